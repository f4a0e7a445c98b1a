"""Making one ranking of several: pure functions on arrays, the same for every kind of part.

A ranking is (locators, scores), best first. A side that is empty weighs nothing: it neither adds to any record nor takes from the others.
Results are ordered by score, equal scores by locator, so the same rankings give the same order always.

    rrf        1 / (k + rank), ranks from 1. Cormack, Clarke and Buettcher, SIGIR 2009
    dbsf       each side scaled so that its mean ± 3 standard deviations become 0 and 1, then summed
    weighted   each side brought to about [0, 1], then summed with weights

How `weighted` scales a side depends on what its scores mean, and not on which records it happens to have found, so that a side that
found nothing good does not look as good as one that did (docs/design/0006-fusion.md has the measurements):

    by_spread  similarities of vectors: in standard deviations of the similarity of any two records of the collection
    by_lead    BM25, which is a sum of log-odds and has a scale of its own: times how far the best leads the fifteenth. Words that
               many records have alike say little
    by_range   other scores: from the worst found to the best
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
        return self if len(self.locators) <= n else Ranking(self.locators[:n], self.scores[:n])


Scale = Callable[[Ranking], Scores]
"""From the scores of a side, best first, to what is summed."""

_SPREAD_WEIGHT, _LEAD_WEIGHT = 0.3, 1 / 3
"""Bring both to about [0, 1]. Only their ratio decides: one point of BM25 with a full lead weighs as much as 1.1 standard deviations."""
_LEAD_OVER, _LEAD_SHARE, _LEAD_POWER = 15, 0.93, 1.25
"""The share is below 1, so that scores that all tie at the top still order those below."""

EMPTY = Ranking(np.zeros(0, np.int64), np.zeros(0, np.float64))


def ranked(locators: Locators, scores: Any) -> Ranking:
    """A ranking of records in any order."""
    scores = np.asarray(scores, np.float64)
    order = np.lexsort((locators, -scores))
    return Ranking(locators[order], scores[order])


def rrf(rankings: Sequence[Ranking], weights: Sequence[float], *, k: float = 60.0, first_rank: int = 1) -> Ranking:
    """Reciprocal rank fusion: rank r of a side adds weight / (k + r). Qdrant's own form is k=2 with ranks from 0."""
    return _summed(rankings, weights, [lambda ranking: 1.0 / (k + first_rank + np.arange(len(ranking), dtype=np.float64))] * len(rankings))


def dbsf(rankings: Sequence[Ranking], weights: Sequence[float]) -> Ranking:
    """Distribution-based score fusion, as Qdrant does it: sample variance, not clipped; a side whose scores are all equal gives 0.5."""
    return _summed(rankings, weights, [_by_distribution] * len(rankings))


def weighted(rankings: Sequence[Ranking], weights: Sequence[float], scales: Sequence[Scale] | None = None) -> Ranking:
    """The weighted sum of scaled scores. scales: one for each side, `by_range` for all by default."""
    return _summed(rankings, weights, scales or [by_range] * len(rankings))


def by_range(ranking: Ranking) -> Scores:
    """0 for the worst, 1 for the best; all equal give 1."""
    scores = ranking.scores
    low, high = float(scores.min()), float(scores.max())
    return np.ones(len(scores)) if high == low else (scores - low) / (high - low)


def by_spread(spread: float) -> Scale:
    """Above the worst found, in units of `spread`. A spread of 0, of one record or of many that are the same, says nothing."""
    if spread <= 0.0:
        return by_range
    return lambda ranking: (ranking.scores - ranking.scores.min()) * (_SPREAD_WEIGHT / spread)


def by_lead(ranking: Ranking) -> Scores:
    """Times the lead of the best over the fifteenth; scores that are not positive say nothing."""
    scores = np.maximum(ranking.scores, 0.0)
    best = float(scores.max())
    if best == 0.0:
        return scores
    fifteenth = float(scores[_LEAD_OVER - 1]) if len(scores) >= _LEAD_OVER else 0.0
    return scores * (_LEAD_WEIGHT * (1.0 - _LEAD_SHARE * fifteenth / best) ** _LEAD_POWER)


def _summed(rankings: Sequence[Ranking], weights: Sequence[float], scales: Sequence[Scale]) -> Ranking:
    given = zip(rankings, weights, scales, strict=True)
    sides = [(ranking.locators, weight * scale(ranking)) for ranking, weight, scale in given if len(ranking)]
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
