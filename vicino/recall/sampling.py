"""Which queries a calibration asks, and the filters it asks them under.

Real queries are best. Rows in their place need care: a row is a node of the graph and linked to its neighbors, so that a walk which comes
near it has all of them at hand; no query from outside has that luck. A row is therefore moved to where no row is, by a difference between two
rows near it: as far from its neighbors as they are from each other, and within the shape of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vicino import _core

QuerySource = Literal["queries", "jittered rows", "given"]

SHARES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
"""Shares of the rows that filters keep, at which recall is measured; 1.0 stands for no filter."""
REAL_QUERIES_MIN = 500
"""Fewer real queries than this say less than rows do."""
QUERIES, QUERIES_HIGH, HIGH_TARGET = 1000, 4000, 0.98
"""Size of a sample, and of one for targets from `HIGH_TARGET` on, where a bound of the same width would leave little room."""
MASKS = 4
"""Filters drawn for one share; each serves a part of the queries."""
NEIGHBORS = 10
"""Rows near a row, two of which say by what it is moved."""

Bytes = npt.NDArray[np.uint8]
Locators = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sample:
    """Queries as the core takes them, one a row, and where they come from."""

    rows: Bytes
    source: QuerySource

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, n: int) -> Sample:
        return Sample(self.rows[:n], self.source)


def sample_size(target: float) -> int:
    """Queries a calibration for this target asks."""
    return QUERIES_HIGH if target >= HIGH_TARGET else QUERIES


def draw(snapshot: _core.Snapshot, column: Any, kept: Bytes, n: int, seed: int, cancel: _core.Cancel) -> Sample:
    """About `n` queries for a dense column: those in `kept` where there are enough of them, else rows that were moved.

    kept: real queries, one a row, as the core takes them. Fewer are drawn when fewer rows have the vector.
    """
    random = np.random.default_rng(seed)
    if len(kept) >= REAL_QUERIES_MIN:
        return Sample(kept[random.permutation(len(kept))[:n]], "queries")
    return Sample(_moved_rows(snapshot, column, n, random, cancel), "jittered rows")


def _moved_rows(snapshot: _core.Snapshot, column: Any, n: int, random: np.random.Generator, cancel: _core.Cancel) -> Bytes:
    _, dim, dtype, _ = column
    chosen = _some_rows(snapshot, column, n, random)
    stored = _stored(snapshot, column, chosen)
    if dtype == _core.Dtype.binary or not len(chosen):
        return _with_flipped_bits(stored, random, dim) if len(chosen) else stored
    found, _ = snapshot.search_rows(column, as_queries(stored, column).reshape(-1), NEIGHBORS + 1, 0, False, None, cancel)
    moved = _numbers(stored, column).astype(np.float64)
    for row, (near, _) in enumerate(found):
        near = near[near != chosen[row]]
        if len(near) >= 2:
            first, second = _numbers(_stored(snapshot, column, random.choice(near, 2, replace=False)), column).astype(np.float64)
            moved[row] += (first - second) * np.sqrt(0.5)
    return as_queries(_like(moved, dtype), column)


def _some_rows(snapshot: _core.Snapshot, column: Any, n: int, random: np.random.Generator) -> Locators:
    """At most `n` live rows that have the vector, at random, ascending."""
    live = snapshot.locators(None, -1, snapshot.n_records)
    chosen = random.permutation(len(live))[: 2 * n]  # more than are wanted, since some may lack the vector
    locators = live[chosen]
    _, present = snapshot.vectors(column, locators)
    return np.sort(locators[present.view(np.bool_)][:n])


def _stored(snapshot: _core.Snapshot, column: Any, locators: Locators) -> Bytes:
    """Vectors of some rows, one a row, as bytes of the column's own type."""
    rows, _ = snapshot.vectors(column, locators)
    return rows.view(np.uint8).reshape(len(locators), -1)


def _numbers(stored: Bytes, column: Any) -> npt.NDArray[Any]:
    return np.ascontiguousarray(stored).view(_NUMPY[column[2]])


def _like(moved: npt.NDArray[np.float64], dtype: Any) -> Bytes:
    """Moved vectors as bytes of the column's type again."""
    numpy_dtype = _NUMPY[dtype]
    if np.issubdtype(numpy_dtype, np.integer):
        limits = np.iinfo(numpy_dtype)
        moved = np.clip(np.rint(moved), limits.min, limits.max)
    return np.ascontiguousarray(moved.astype(numpy_dtype)).view(np.uint8)


def _with_flipped_bits(stored: Bytes, random: np.random.Generator, dim: int) -> Bytes:
    """One bit in 32 turned over, where binary vectors have no differences to be moved by."""
    bits = np.unpackbits(stored, axis=1, count=dim, bitorder="little") ^ (random.random((len(stored), dim)) < 1 / 32)
    return np.packbits(bits.astype(np.uint8), axis=1, bitorder="little")


def as_queries(stored: Bytes, column: Any) -> Bytes:
    """Stored vectors in the type that queries have: float32 for float16, else their own."""
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


_NUMPY = {
    _core.Dtype.float32: np.float32,
    _core.Dtype.float16: np.float16,
    _core.Dtype.int8: np.int8,
    _core.Dtype.uint8: np.uint8,
    _core.Dtype.binary: np.uint8,
}
