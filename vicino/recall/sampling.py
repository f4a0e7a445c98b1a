"""Which queries a calibration asks, and the filters it asks them under.

Real queries are best. Rows in their place need care: a row is a node of the graph and linked to its neighbors, so that a walk that comes
near it has all of them at hand; no query from outside has that luck. A row that serves as a query is therefore held out: the walk does
not meet its node, and it does not count as its own neighbor. Nodes that were linked through it make that slightly harder than a graph
built without it would, which is the side to err on.

Measured on vectors-debian (40,000 rows, beam 24, k = 10): queries from outside 0.953, rows that only do not count themselves 0.992, rows
moved by the difference of two neighbors 0.987, rows held out 0.932.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vicino import _core

QuerySource = Literal["queries", "rows", "given"]

SHARES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
"""Shares of the rows that filters keep, at which recall is measured; 1.0 stands for no filter."""
REAL_QUERIES_MIN = 500
"""Fewer real queries than this say less than rows do."""
QUERIES, QUERIES_HIGH, HIGH_TARGET = 1000, 4000, 0.98
"""Size of a sample, and of one for targets from `HIGH_TARGET` on, where a bound of the same width would leave little room."""
MASKS = 4
"""Filters drawn for one share; each serves a part of the queries."""

Bytes = npt.NDArray[np.uint8]
Locators = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sample:
    """Queries as the core takes them, one a row, and where they come from. held_out: the locators of rows that serve as queries."""

    rows: Bytes
    source: QuerySource
    held_out: Locators | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, numbers: npt.NDArray[np.int64]) -> Sample:
        """Some of the queries, in this order."""
        held_out = None if self.held_out is None else np.ascontiguousarray(self.held_out[numbers])
        return Sample(np.ascontiguousarray(self.rows[numbers]), self.source, held_out)

    def part(self, first: int, end: int) -> Sample:
        return Sample(self.rows[first:end], self.source, None if self.held_out is None else self.held_out[first:end])


def sample_size(target: float) -> int:
    """Queries a calibration for this target asks."""
    return QUERIES_HIGH if target >= HIGH_TARGET else QUERIES


def draw(snapshot: _core.Snapshot, column: Any, kept: Bytes, n: int, seed: int) -> Sample:
    """`n` queries for a dense column: of those in `kept` where there are enough of them, else rows.

    kept: real queries, one a row, as the core takes them. There are fewer than `n` when there are no more queries, or rows with the vector.
    """
    random = np.random.default_rng(seed)
    if len(kept) >= REAL_QUERIES_MIN:
        return Sample(kept[random.permutation(len(kept))[:n]], "queries")
    locators = _some_rows(snapshot, column, n, random)
    return Sample(stored_queries(snapshot, column, locators), "rows", locators)


def _some_rows(snapshot: _core.Snapshot, column: Any, n: int, random: np.random.Generator) -> Locators:
    """At most `n` live rows that have the vector, in random order."""
    live = snapshot.locators(None, -1, snapshot.n_records)
    order = random.permutation(len(live))
    for tried in (2 * n, len(live)):  # twice as many as are wanted, since some may lack the vector
        locators = live[order[:tried]]
        _, present = snapshot.vectors(column, locators)
        locators = locators[present.view(np.bool_)]
        if len(locators) >= n:
            break
    return locators[:n]


def stored_queries(snapshot: _core.Snapshot, column: Any, locators: Locators) -> Bytes:
    """Vectors of some rows in the type that queries have: float32 for float16, else their own."""
    rows, _ = snapshot.vectors(column, locators)
    stored = rows.view(np.uint8).reshape(len(locators), len(rows) // max(1, len(locators)))
    if column[2] != _core.Dtype.float16:
        return stored
    return np.ascontiguousarray(stored).view(np.float16).astype(np.float32).view(np.uint8)


def masks(snapshot: _core.Snapshot, share: float, seed: int) -> list[_core.Matches | None]:
    """Random filters that keep a share of the live rows; [None] for 1.0."""
    if share >= 1.0:
        return [None]
    live = snapshot.locators(None, -1, snapshot.n_records)
    random = np.random.default_rng([seed, round(share * 1000)])
    size = max(1, round(share * len(live)))
    return [snapshot.matches_of(np.sort(random.choice(live, size, replace=False))) for _ in range(MASKS)]


Asked = tuple[_core.Matches | None, npt.NDArray[np.int64]]
"""A filter, and the numbers of the queries that are asked under it."""


def under_random_filters(snapshot: _core.Snapshot, sample: Sample, share: float, seed: int) -> list[Asked]:
    """The queries, shared among a few random filters."""
    drawn = masks(snapshot, share, seed)
    return [(matches, np.arange(number, len(sample), len(drawn))) for number, matches in enumerate(drawn)]


def under_clusters(snapshot: _core.Snapshot, column: Any, sample: Sample, share: float, seed: int, cancel: _core.Cancel) -> list[Asked]:
    """The queries under filters that follow the vectors: each keeps a share of the rows, those nearest to a row drawn at random.

    Every second query is asked under the filter whose row is nearest to it, so that its neighbors match, the others under the one farthest
    away, where nothing near the query matches.
    """
    random = np.random.default_rng([seed, round(share * 1000)])
    centers = np.sort(_some_rows(snapshot, column, MASKS, random))
    if not len(centers) or not len(sample):
        return []
    size = max(1, round(share * snapshot.n_records))
    at_centers = stored_queries(snapshot, column, centers)
    clusters, _ = snapshot.search_rows(column, at_centers.reshape(-1), size, 0, True, None, cancel, None)
    orders, _ = snapshot.search_rows(column, sample.rows.reshape(-1), len(centers), 0, True, snapshot.matches_of(centers), cancel, None)
    chosen = np.array([locators[-1] if number % 2 else locators[0] for number, (locators, _) in enumerate(orders)], np.int64)
    return [
        (snapshot.matches_of(np.sort(locators)), np.flatnonzero(chosen == center))
        for center, (locators, _) in zip(centers, clusters, strict=True)
        if (chosen == center).any()
    ]
