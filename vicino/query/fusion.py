"""Making one ranking of several: pure functions on arrays, the same for every kind of part.

A ranking is (locators, scores), best first. A side that is empty weighs nothing: it neither adds to any record nor takes from the others.
Results are ordered by score, equal scores by locator, so the same rankings give the same order always.

    rrf        1 / (k + rank), ranks from 1. Cormack, Clarke and Buettcher, SIGIR 2009
    dbsf       each side scaled so that its mean ± 3 standard deviations become 0 and 1, then summed
    weighted   each side scaled to [0, 1], then summed with weights
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Locators = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Records and their scores (larger is better), best first, equal scores by locator."""

    locators: Locators
    scores: Scores

    def __len__(self) -> int:
        return len(self.locators)

    def first(self, n: int) -> Ranking:
        return Ranking(self.locators[:n], self.scores[:n])


EMPTY = Ranking(np.zeros(0, np.int64), np.zeros(0, np.float64))


def ranked(locators: Locators, scores: Any) -> Ranking:
    """A ranking of records in any order."""
    scores = np.asarray(scores, np.float64)
    order = np.lexsort((locators, -scores))
    return Ranking(locators[order], scores[order])


def rrf(rankings: Sequence[Ranking], weights: Sequence[float], *, k: float = 60.0, first_rank: int = 1) -> Ranking:
    """Reciprocal rank fusion: rank r of a side adds weight / (k + r). Qdrant's own form is k=2 with ranks from 0."""
    return _summed(rankings, weights, lambda ranking: 1.0 / (k + first_rank + np.arange(len(ranking), dtype=np.float64)))


def dbsf(rankings: Sequence[Ranking], weights: Sequence[float]) -> Ranking:
    """Distribution-based score fusion, as Qdrant does it: sample variance, not clipped; a side whose scores are all equal gives 0.5."""
    return _summed(rankings, weights, _by_distribution)


def weighted(rankings: Sequence[Ranking], weights: Sequence[float]) -> Ranking:
    """The weighted sum of scores that were scaled to [0, 1] over each side's candidates; all equal give 1."""
    return _summed(rankings, weights, _by_range)


def _summed(rankings: Sequence[Ranking], weights: Sequence[float], scale: Callable[[Ranking], Scores]) -> Ranking:
    sides = [(ranking.locators, weight * scale(ranking)) for ranking, weight in zip(rankings, weights, strict=True) if len(ranking)]
    if not sides:
        return EMPTY
    locators, positions = np.unique(np.concatenate([side[0] for side in sides]), return_inverse=True)
    sums = np.zeros(len(locators))
    np.add.at(sums, positions, np.concatenate([side[1] for side in sides]))
    return ranked(locators, sums)


def _by_distribution(ranking: Ranking) -> Scores:
    scores = ranking.scores
    deviation = float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0
    if deviation == 0.0:
        return np.full(len(scores), 0.5)
    return (scores - (float(np.mean(scores)) - 3 * deviation)) / (6 * deviation)


def _by_range(ranking: Ranking) -> Scores:
    scores = ranking.scores
    low, high = float(scores.min()), float(scores.max())
    return np.ones(len(scores)) if high == low else (scores - low) / (high - low)
