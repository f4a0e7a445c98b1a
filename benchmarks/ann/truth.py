"""Exact neighbors, computed once per set and kept under build/, and recall against them by distance.

Recall counts a row as found if it is no farther than the k-th true neighbor: where several rows are equally far, which of them the truth
happens to hold must not matter. Distances of found rows are therefore computed anew here, in float64, from the vectors.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.ann import data
from benchmarks.ann.data import Dataset
from benchmarks.ann.synthetic import Rows
from benchmarks.report import checksum

K = 10
BLOCK = 50_000
TIE = 1e-6
"""Distances closer than this times (1 + the distance) are equal: float32 arithmetic of one peer or another cannot tell them apart."""


class Truth(NamedTuple):
    """rows (n_queries, k) int64, nearest first, -1 where fewer match; limits (n_queries,) float64: distance of the last of them."""

    rows: npt.NDArray[np.int64]
    limits: npt.NDArray[np.float64]


def distances(metric: str, rows: Rows, query: Rows) -> npt.NDArray[np.float64]:
    """Distance of each row in float64: 1 - inner product for unit rows, else squared L2."""
    wide, center = rows.astype(np.float64), query.astype(np.float64)
    return 1.0 - wide @ center if metric == "cosine" else ((wide - center) ** 2).sum(1)


def exact(metric: str, base: Rows, queries: Rows, k: int = K, allowed: npt.NDArray[np.bool_] | None = None) -> Truth:
    """The k nearest allowed rows of each query. Blocks of matrix products choose four times as many; float64 decides among those."""
    matching = None if allowed is None else np.flatnonzero(allowed)
    n = len(base) if matching is None else len(matching)
    wide = min(4 * k, n)
    rows = np.full((len(queries), k), -1, np.int64)
    limits = np.full(len(queries), np.inf)
    best: tuple[npt.NDArray[Any], npt.NDArray[Any]] = (np.zeros((len(queries), 0), np.float32), np.zeros((len(queries), 0), np.int64))
    for first in range(0, n, BLOCK):
        numbers = np.arange(first, min(first + BLOCK, n)) if matching is None else matching[first : first + BLOCK]
        block = base[first : first + BLOCK] if matching is None else base[numbers]
        best = _merge(best, _scores(metric, block, queries), numbers, wide)
    for query, candidates in enumerate(best[1]):
        exactly = distances(metric, base[candidates], queries[query])
        order = np.lexsort((candidates, exactly))[:k]
        rows[query, : len(order)] = candidates[order]
        limits[query] = exactly[order[-1]] if len(order) else -np.inf
    return Truth(rows, limits)


def _scores(metric: str, block: Rows, queries: Rows) -> Rows:
    """Smaller is nearer, up to a constant of the query."""
    products = queries @ block.T
    return -products if metric == "cosine" else np.einsum("ij,ij->i", block, block)[None, :] - 2 * products


def _merge(best: tuple[Any, Any], scores: Rows, numbers: npt.NDArray[np.int64], k: int) -> tuple[Any, Any]:
    all_scores = np.concatenate([best[0], scores], axis=1)
    all_rows = np.concatenate([best[1], np.broadcast_to(numbers, scores.shape)], axis=1)
    if all_scores.shape[1] <= k:
        return all_scores, all_rows
    kept = np.argpartition(all_scores, k - 1, axis=1)[:, :k]
    return np.take_along_axis(all_scores, kept, 1), np.take_along_axis(all_rows, kept, 1)


def load(dataset: Dataset) -> Truth:
    """The truth of a set without a filter, from the cache where it holds it."""
    data.CACHE.mkdir(parents=True, exist_ok=True)
    print_of = checksum(data.sample(dataset), dataset.queries)
    path = data.CACHE / f"truth.{dataset.name}.{len(dataset.base)}.{len(dataset.queries)}.{print_of}.npz"
    if path.exists():
        with np.load(path) as kept:
            return Truth(kept["rows"], kept["limits"])
    truth = exact(dataset.metric, dataset.base, dataset.queries)
    unfinished = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(unfinished, rows=truth.rows, limits=truth.limits)
    os.replace(unfinished, path)
    return truth


def recalls(
    dataset: Dataset, truth: Truth, found: Sequence[Any], masks: Sequence[npt.NDArray[np.bool_]] | None = None
) -> npt.NDArray[np.float64]:
    """Recall of each query. found: row numbers per query, any order. masks: which rows a query's filter allows; others do not count."""
    got = np.empty(len(found))
    for query, answer in enumerate(found):
        # A row given twice counts once; peers pad short answers with negative numbers or very large ones.
        rows = np.unique(np.asarray(answer).astype(np.int64, copy=False))
        rows = rows[(rows >= 0) & (rows < len(dataset.base))]
        if masks is not None:
            rows = rows[masks[query][rows]]
        wanted = int((truth.rows[query] >= 0).sum())
        if not wanted:
            got[query] = 1.0
            continue
        limit = truth.limits[query] + TIE * (1 + abs(truth.limits[query]))
        near = int((distances(dataset.metric, dataset.base[rows], dataset.queries[query]) <= limit).sum())
        got[query] = min(near, wanted) / wanted
    return got
