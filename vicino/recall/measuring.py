"""Recall of searches on one snapshot, beside the exact scan of the same snapshot under the same filters.

A hit counts when it is no farther than the k-th true neighbor: among equal distances it does not matter which rows are returned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vicino import _core
from vicino.recall.bound import histogram
from vicino.recall.curve import Step
from vicino.recall.sampling import Bytes, Sample, masks

AT_ONCE = 250
"""Queries of one core call, so that a job that is cancelled ends soon and hits take little room."""
RELATIVE_SLACK, ABSOLUTE_SLACK = 1e-5, 1e-6
"""How far two ways of adding up the same distance may differ."""

Distances = npt.NDArray[np.float32]


def true_distances(snapshot: _core.Snapshot, column: Any, rows: Bytes, k: int, matches: Any, cancel: _core.Cancel) -> Distances:
    """Distances of the true neighbors, (n, k), ascending; infinity where there are fewer."""
    return distances_of(snapshot, column, rows, k, 0, True, matches, cancel)[0]


def distances_of(
    snapshot: _core.Snapshot, column: Any, rows: Bytes, k: int, effort: int, exact: bool, matches: Any, cancel: _core.Cancel
) -> tuple[Distances, float]:
    """Distances of what a search finds, (n, k), ascending and filled up with infinity, and the distances computed per query."""
    found, scored = np.full((len(rows), k), np.inf, np.float32), 0
    for first in range(0, len(rows), AT_ONCE):
        part = rows[first : first + AT_ONCE]
        rankings, of_part = snapshot.search_rows(column, part.reshape(-1), k, effort, exact, matches, cancel)
        scored += of_part
        for row, (_, distances) in enumerate(rankings, start=first):
            found[row, : len(distances)] = distances
    return found, scored / max(1, len(rows))


def recalls(found: Distances, truth: Distances) -> npt.NDArray[np.float64]:
    """Recall of each query. truth: at least as many columns as `found`; those beyond do not count. No true neighbor: 1.0."""
    truth = truth[:, : found.shape[1]]
    there = np.isfinite(truth).sum(axis=1)
    farthest = truth[np.arange(len(truth)), np.maximum(there, 1) - 1].astype(np.float64)
    with np.errstate(invalid="ignore"):
        limit = farthest + np.abs(farthest) * RELATIVE_SLACK + ABSOLUTE_SLACK
    hits = (found <= limit[:, None]).sum(axis=1)
    return np.where(there == 0, 1.0, np.minimum(hits, there) / np.maximum(there, 1))


@dataclass(slots=True)
class _Group:
    """Queries that share a filter, and their true distances once they are known."""

    matches: Any
    rows: Bytes
    truth: Distances | None = None


class Bench:
    """Measures one sample of queries on one snapshot under filters of one share. The truth is computed once, for the largest `k`."""

    def __init__(self, snapshot: _core.Snapshot, column: Any, sample: Sample, share: float, k_max: int, seed: int, cancel: Any) -> None:
        self._snapshot, self._column, self._k_max, self._cancel = snapshot, column, k_max, cancel
        drawn = masks(snapshot, share, seed)
        self._groups = [_Group(matches, np.ascontiguousarray(sample.rows[number :: len(drawn)])) for number, matches in enumerate(drawn)]
        self.candidates = snapshot.n_records if drawn[0] is None else drawn[0].count

    def step(self, k: int, effort: int, n: int) -> Step:
        """What about the first `n` queries find with an effort; all of them where `n` is the size of the sample."""
        per_group = -(-n // len(self._groups))
        every, scored = [], 0.0
        for group in self._groups:
            rows = group.rows[:per_group]
            found, of_group = distances_of(self._snapshot, self._column, rows, k, effort, False, group.matches, self._cancel)
            every.append(recalls(found, self._truth(group)[: len(rows)]))
            scored += of_group * len(rows)
        joined = np.concatenate(every)
        return Step(effort, histogram(joined, k), scored / max(1, len(joined)))

    def _truth(self, group: _Group) -> Distances:
        if group.truth is None:
            group.truth = true_distances(self._snapshot, self._column, group.rows, self._k_max, group.matches, self._cancel)
        return group.truth
