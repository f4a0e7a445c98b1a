"""The bands of filters: which rows a query may return, from half of all rows down to one in a thousand, with and against the vectors.

Every row has two whole numbers as fields: `uniform`, independent of the vectors, below 1000, and `cluster`, one of 20 that follow them.
"50 %" to "0.1 %" keep the rows whose `uniform` is below a value. "own cluster" keeps those of the cluster the query lies in, "other
cluster" those of another one, drawn at random: every near row is then forbidden, the hardest case for a graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.ann.data import N_CLUSTERS, Dataset
from benchmarks.ann.synthetic import Rows
from benchmarks.ann.truth import K, Truth, exact

BANDS = {"50 %": 500, "10 %": 100, "1 %": 10, "0.1 %": 1}
"""Name -> `uniform` below this."""
CLUSTER_BANDS = ("own cluster", "other cluster")
ALL_BANDS = ("none", *BANDS, *CLUSTER_BANDS)
N_VALUES = 1000
SAMPLE = 20_000


class Condition(NamedTuple):
    """`uniform` < value or `cluster` == value, by the field's name."""

    field: str
    value: int


class Fields(NamedTuple):
    """The two fields of every row, int32, and the clusters of each query that "own" and "other" ask for."""

    uniform: npt.NDArray[np.int32]
    cluster: npt.NDArray[np.int32]
    own: npt.NDArray[np.int32]
    other: npt.NDArray[np.int32]

    def mask(self, condition: Condition) -> npt.NDArray[np.bool_]:
        return self.uniform < condition.value if condition.field == "uniform" else self.cluster == condition.value

    def conditions(self, band: str) -> list[Condition | None]:
        """The condition of each query in a band."""
        if band == "none":
            return [None] * len(self.own)
        if band in BANDS:
            return [Condition("uniform", BANDS[band])] * len(self.own)
        clusters = self.own if band == "own cluster" else self.other
        return [Condition("cluster", int(cluster)) for cluster in clusters]


def fields_of(dataset: Dataset, seed: int = 5) -> Fields:
    random = np.random.default_rng(seed)
    uniform = random.integers(0, N_VALUES, len(dataset.base)).astype(np.int32)
    centers = k_means(dataset.base[:: max(1, len(dataset.base) // SAMPLE)], min(N_CLUSTERS, len(dataset.base)), random)
    own = nearest_center(dataset.queries, centers)
    other = (own + random.integers(1, max(2, len(centers)), len(own))) % len(centers)
    return Fields(uniform, nearest_center(dataset.base, centers), own, other.astype(np.int32))


def k_means(rows: Rows, n_clusters: int, random: np.random.Generator, rounds: int = 10) -> Rows:
    """Lloyd's algorithm from random rows; a center that loses all of its rows stays where it was."""
    centers = rows[random.permutation(len(rows))[:n_clusters]].copy()
    for _ in range(rounds):
        cluster = nearest_center(rows, centers)
        for number in range(n_clusters):
            mine = rows[cluster == number]
            if len(mine):
                centers[number] = mine.mean(0)
    return centers


def nearest_center(rows: Rows, centers: Rows, block: int = 50_000) -> npt.NDArray[np.int32]:
    halves = (centers**2).sum(1) / 2
    parts = [np.argmin(halves - rows[first : first + block] @ centers.T, axis=1) for first in range(0, len(rows), block)]
    return np.concatenate(parts).astype(np.int32)


def exact_filtered(dataset: Dataset, fields: Fields, conditions: Sequence[Condition | None], k: int = K) -> Truth:
    """Exact neighbors where each query has its own condition; queries with the same one are answered together."""
    rows, limits = np.full((len(conditions), k), -1, np.int64), np.full(len(conditions), -np.inf)
    for condition in set(conditions):
        mine = [query for query, asked in enumerate(conditions) if asked == condition]
        allowed = None if condition is None else fields.mask(condition)
        rows[mine], limits[mine] = exact(dataset.metric, dataset.base, dataset.queries[mine], k, allowed)
    return Truth(rows, limits)


def describe(fields: Fields, band: str) -> dict[str, Any]:
    """How many rows a band's filters keep, in the mean over the queries."""
    conditions = fields.conditions(band)
    kept = {condition: int(fields.mask(condition).sum()) for condition in set(conditions) if condition is not None}
    n = len(fields.uniform)
    return {"matching": float(np.mean([n if condition is None else kept[condition] for condition in conditions]))}
