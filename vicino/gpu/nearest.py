"""The rows near each of many queries, gathered tile by tile on a device, and the proof that none is missing.

Distances on the device are rounded, so the nearest k by them need not be the nearest k. A few more are kept, and the rounding is bounded:
a sum of d products in single precision errs by at most about d * 2^-24 times the product of the lengths, in whatever order it is added up
(Higham 2002, section 3.1). Once the true distance of the k-th candidate is known, every row that was not kept is proven to be farther, or
the query is one that the device cannot answer: rows at one distance by the hundred, numbers beyond the range of single precision.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vicino.gpu.device import METRICS, Device, Floats, Integers

TILE_BYTES = 256 << 20
"""What one tile of rows and its distances to one tile of queries take on the device."""
QUERIES_PER_TILE = 1024
ROWS_PER_TILE_MAX = 65_536
SLACK_MIN, SLACK_SHARE = 32, 8
"""Candidates beyond k: so many, and one for each so many of k."""
_SINGLE = 2.0**-24
_SAFETY = 2.0
"""The core's distances are rounded as well."""


def rows_per_tile(dim: int, n_queries: int) -> int:
    """As many as TILE_BYTES allows: the rows and their squares or unit vectors, and their distances with what finding the least takes."""
    per_row = 4 * (3 * dim + 4 * min(n_queries, QUERIES_PER_TILE))
    return max(1, min(ROWS_PER_TILE_MAX, TILE_BYTES // per_row))


def candidates_for(k: int) -> int:
    return k + SLACK_MIN + k // SLACK_SHARE


class NearestRows:
    """The candidates of some queries, while tiles of rows are offered."""

    def __init__(self, device: Device, queries: Floats, metric: str, k: int) -> None:
        """queries: (n, dim). metric: one of METRICS."""
        assert metric in METRICS
        self._device, self._metric, self._kept = device, metric, candidates_for(k)
        self._n, self._dim = queries.shape
        self._norms = np.sqrt((queries.astype(np.float64) ** 2).sum(axis=1))
        self._tiles = [self._held(queries[start : start + QUERIES_PER_TILE]) for start in range(0, self._n, QUERIES_PER_TILE)]
        self._distances = np.full((self._n, self._kept), np.inf, np.float32)
        self._labels = np.full((self._n, self._kept), -1, np.int64)
        self._is_sound = np.ones(self._n, np.bool_)
        self._norm_max = 1.0 if metric == "cosine" else 0.0
        self._n_offered = 0

    def _held(self, rows: Floats) -> object:
        held = self._device.hold(rows)
        return self._device.unit(held) if self._metric == "cosine" else held

    def offer(self, rows: Floats, labels: Integers) -> None:
        """One tile: rows (n, dim), n at most rows_per_tile, and what each is called."""
        if not len(rows):
            return
        held = self._held(rows)
        self._n_offered += len(rows)
        for number, queries in enumerate(self._tiles):
            here = slice(number * QUERIES_PER_TILE, (number + 1) * QUERIES_PER_TILE)
            found = self._device.nearest(queries, held, self._metric, self._kept)
            self._is_sound[here] &= found.is_sound
            self._norm_max = max(self._norm_max, found.norm_max)
            distances = np.concatenate([self._distances[here], found.distances], axis=1)
            best = np.argpartition(distances, self._kept - 1, axis=1)[:, : self._kept]
            self._distances[here] = np.take_along_axis(distances, best, axis=1)
            self._labels[here] = np.take_along_axis(np.concatenate([self._labels[here], labels[found.rows]], axis=1), best, axis=1)

    def candidates(self) -> Iterator[Integers]:
        """Per query the labels of the nearest rows by the device's distances, ascending."""
        for labels in self._labels:
            yield np.sort(labels[labels >= 0])

    def is_complete(self, query: int, distance: float) -> bool:
        """Whether every row at this public distance or nearer is among the candidates of a query."""
        if not self._is_sound[query] or not np.isfinite(self._norm_max):
            return False
        if self._n_offered <= self._kept:
            return True
        wanted = float(distance) ** 2 if self._metric == "l2" else float(distance)
        farthest = float(self._distances[query].max())
        return wanted + self._error(query, wanted, farthest) < farthest

    def _error(self, query: int, wanted: float, farthest: float) -> float:
        """Bound of how far a distance on the device and one of the core can lie apart."""
        relative = _SAFETY * (self._dim + 16) * _SINGLE
        if self._metric == "l1":
            scale = max(abs(wanted), abs(farthest))
        elif self._metric == "cosine":
            scale = 2.0
        elif self._metric == "dot":
            scale = float(self._norms[query]) * self._norm_max
        else:
            scale = (float(self._norms[query]) + self._norm_max) ** 2
        # Products below the range of single precision are lost whole, a few of the smallest numbers in all.
        return relative * (scale + abs(wanted)) + self._dim * 2.0**-120
