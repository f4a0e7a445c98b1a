"""Recall of searches on one snapshot, beside the exact scan of the same snapshot under the same filters.

A hit counts when it is no farther than the k-th true neighbor: among equal distances it does not matter which rows are returned.

Work is counted in distances, as times differ from run to run. They do not cost the same: a walk comes to rows in no order, a scan of codes
takes one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vicino import _core
from vicino.recall.bound import histogram
from vicino.recall.curve import Step
from vicino.recall.sampling import Sample, under_clusters, under_random_filters

AT_ONCE = 250
"""Queries of one core call, so that a job that is cancelled ends soon and hits take little room."""
RELATIVE_SLACK, ABSOLUTE_SLACK = 1e-5, 1e-6
"""How far two ways of adding up the same distance may differ."""

SCANNED_COST = 0.25
"""Of a code that a scan scores, beside one that a walk comes to: 0.16 to 0.31 were measured for 128 to 768 dimensions."""

Distances = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Work:
    """Distances computed for a query, on average. scanned: those of them that scans of codes computed."""

    scored: float
    scanned: float = 0.0

    @property
    def cost(self) -> float:
        """In distances of a walk."""
        return self.scored - (1.0 - SCANNED_COST) * self.scanned


def distances_of(
    snapshot: _core.Snapshot,
    column: Any,
    sample: Sample,
    k: int,
    *,
    effort: int = 0,
    exact: bool = False,
    nprobe: int = 0,
    oversampling: float = -1.0,
    matches: Any,
    cancel: _core.Cancel,
) -> tuple[Distances, Work]:
    """Distances of what a search finds, (n, k), ascending and filled up with infinity, and the work per query.

    oversampling: times k rows that codes found are scored by the vectors; below 0 as their error bound says.
    """
    found, scored, scanned = np.full((len(sample), k), np.inf, np.float32), 0, 0
    more = sample.held_out is not None  # a row that is held out is found by scans, and left out of what they found
    for first in range(0, len(sample), AT_ONCE):
        part = sample.part(first, first + AT_ONCE)
        rankings, of_part = snapshot.search_rows(
            column, part.rows.reshape(-1), k + more, effort, exact, matches, cancel, part.held_out, nprobe, oversampling
        )
        scored += sum(entry["rows_scored"] for entry in of_part)
        scanned += sum(entry["codes_scanned"] for entry in of_part)
        for row, (locators, distances) in enumerate(rankings):
            if part.held_out is not None:
                distances = distances[locators != part.held_out[row]]
            found[first + row, : min(k, len(distances))] = distances[:k]
    n = max(1, len(sample))
    return found, Work(scored / n, scanned / n)


def recalls(found: Distances, truth: Distances) -> npt.NDArray[np.float64]:
    """Recall of each query. truth: at least as many columns as `found`; those beyond do not count. No true neighbor: 1.0."""
    truth = truth[:, : found.shape[1]]
    there = np.isfinite(truth).sum(axis=1)
    farthest = truth[np.arange(len(truth)), np.maximum(there, 1) - 1].astype(np.float64)
    limit = np.where(there > 0, farthest, 0.0)
    limit += np.abs(limit) * RELATIVE_SLACK + ABSOLUTE_SLACK
    hits = (found <= limit[:, None]).sum(axis=1)
    return np.where(there == 0, 1.0, np.minimum(hits, there) / np.maximum(there, 1))


@dataclass(slots=True)
class _Group:
    """Queries that share a filter, and their true distances once they are known."""

    matches: Any
    sample: Sample
    truth: Distances | None = None


class Bench:
    """Measures one sample of queries on one snapshot under filters of one share. The truth is computed once, for the largest `k`.

    clustered: filters that follow the vectors, instead of random ones. `numbers`: those of the queries, in the order in which `each` has
    them when all are asked.
    """

    def __init__(
        self,
        snapshot: _core.Snapshot,
        column: Any,
        sample: Sample,
        *,
        share: float,
        k_max: int,
        seed: int,
        cancel: _core.Cancel,
        clustered: bool = False,
    ) -> None:
        self._snapshot, self._column, self._k_max, self._cancel = snapshot, column, k_max, cancel
        asked = (
            under_clusters(snapshot, column, sample, share, seed, cancel)
            if clustered
            else under_random_filters(snapshot, sample, share, seed)
        )
        self._groups = [_Group(matches, sample.at(numbers)) for matches, numbers in asked]
        self.numbers = np.concatenate([np.zeros(0, np.int64), *(numbers for _, numbers in asked)])
        self.candidates = max((snapshot.n_records if matches is None else matches.count for matches, _ in asked), default=0)

    def step(self, k: int, effort: int, n: int) -> Step:
        """What about the first `n` queries find with an effort; all of them where `n` is the size of the sample."""
        each, work = self.each(k, effort, n)
        return Step(effort, histogram(each, k), work.cost)

    def each(self, k: int, effort: int, n: int) -> tuple[npt.NDArray[np.float64], Work]:
        """The recall of each of those queries, and the work per query."""
        every, scored, scanned = [np.zeros(0)], 0.0, 0.0
        for group in self._groups:
            asked = group.sample.part(0, -(-len(group.sample) * n // len(self.numbers)))
            found, work = distances_of(self._snapshot, self._column, asked, k, effort=effort, matches=group.matches, cancel=self._cancel)
            every.append(recalls(found, self._truth(group)[: len(asked)]))
            scored += work.scored * len(asked)
            scanned += work.scanned * len(asked)
        joined = np.concatenate(every)
        n_asked = max(1, len(joined))
        return joined, Work(scored / n_asked, scanned / n_asked)

    def find_truth(self) -> None:
        """Computes the true neighbors now, so that the steps measured after it take no longer for it."""
        for group in self._groups:
            self._truth(group)

    def _truth(self, group: _Group) -> Distances:
        if group.truth is None:
            group.truth, _ = distances_of(
                self._snapshot, self._column, group.sample, self._k_max, exact=True, matches=group.matches, cancel=self._cancel
            )
        return group.truth
