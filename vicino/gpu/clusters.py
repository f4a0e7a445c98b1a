"""k-means by Lloyd's rounds: every vector goes to the nearest centroid, every centroid to the mean of its vectors.

One algorithm for processor and device; only tiles of products and sums run elsewhere. Vectors are taken relative to their mean, so that
data far off the origin loses no digits. A centroid without vectors moves onto one of those that lie farthest from theirs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vicino.errors import InvalidArgument
from vicino.gpu.device import Device, Floats, Integers, open_device
from vicino.gpu.nearest import ROWS_PER_TILE_MAX, TILE_BYTES

ROUNDS_MAX = 1000


class Clusters(NamedTuple):
    """centroids: (k, dim) float32. assignments: (n,) int64, the nearest centroid of each vector."""

    centroids: Floats
    assignments: Integers


def kmeans(vectors: npt.ArrayLike, k: int, *, device: str = "cpu", seed: int = 0, rounds: int = 25) -> Clusters:
    """`k` clusters of the rows of a matrix by squared l2 distance.

    vectors: (n, dim) finite numbers, taken as float32. k: 1 to n. A round computes n k distances; what a device holds at once is bounded.
    device: "cpu", "cuda" or "cuda:1". seed: the same seed begins at the same vectors on every device; results agree but for vectors that
    lie between two centroids within single precision. rounds: 1 to 1,000, at most so many; fewer when no vector changes its cluster.
    Raises InvalidArgument for anything but a matrix of finite numbers, for k below 1 or above the number of vectors, MemoryLimitError
    where the device has too little memory left, and what `open_device` raises.
    """
    rows = _checked(vectors, k, rounds)
    at = open_device(device)
    origin = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    start = np.random.default_rng(seed).choice(len(rows), k, replace=False)
    centroids = rows[start] - origin
    assignments = np.full(len(rows), -1, np.int64)
    for _ in range(rounds):
        nearest, moved = _round(at, rows, origin, centroids)
        if np.array_equal(nearest, assignments):
            break
        assignments, centroids = nearest, moved
    else:
        assignments, _ = _round(at, rows, origin, centroids)
    return Clusters(centroids + origin, assignments)


def _checked(vectors: npt.ArrayLike, k: int, rounds: int) -> Floats:
    given = np.asarray(vectors)
    if given.ndim != 2 or given.dtype.kind not in "fiu" or given.shape[1] == 0:
        raise InvalidArgument(f"vectors are a matrix of numbers, got {given.dtype} of shape {given.shape}")
    if not isinstance(k, int) or not 1 <= k <= len(given):
        raise InvalidArgument(f"k must be between 1 and the {len(given)} vectors, got {k!r}")
    if not isinstance(rounds, int) or not 1 <= rounds <= ROUNDS_MAX:
        raise InvalidArgument(f"rounds must be between 1 and {ROUNDS_MAX}, got {rounds!r}")
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(given, np.float32)
    if not (is_finite := np.isfinite(rows).all(axis=1)).all():
        raise InvalidArgument(f"vector {int(np.argmin(is_finite))} has a number that is not finite in single precision")
    return rows


def _round(device: Device, rows: Floats, origin: Floats, centroids: Floats) -> tuple[Integers, Floats]:
    """Nearest centroid of every row, and the centroids after it."""
    held, size = device.hold(centroids), _rows_per_tile(*centroids.shape)
    nearest, distances = np.empty(len(rows), np.int64), np.empty(len(rows), np.float32)
    sums, counts = np.zeros(centroids.shape, np.float64), np.zeros(len(centroids), np.int64)
    for start in range(0, len(rows), size):
        tile = rows[start : start + size] - origin
        part = device.assign(device.hold(tile), held)
        nearest[start : start + size] = part.nearest
        distances[start : start + size] = part.distances + (tile * tile).sum(axis=1) / 2
        sums += part.sums
        counts += part.counts
    moved = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    if len(empty := np.flatnonzero(counts == 0)):
        farthest = np.argsort(-distances, kind="stable")[: len(empty)]
        moved[empty] = rows[farthest] - origin
    return nearest, moved


def _rows_per_tile(k: int, dim: int) -> int:
    """A row takes itself twice, once in double precision, and its distances to all centroids."""
    return max(1, min(ROWS_PER_TILE_MAX, TILE_BYTES // (16 * dim + 8 * k)))
