"""Curves of recall against time, and what is read off them.

A system has many settings, and each gives one point: recall and seconds per query. Only the fastest setting for its recall matters, so the
points that another one beats in both are dropped, and between two of the rest the logarithm of the time is taken as linear in recall.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.ann.data import Dataset
from benchmarks.ann.truth import K, Truth, recalls

TARGETS = (0.90, 0.95, 0.99, 0.999)
WARMUP = 20


class Point(NamedTuple):
    """One setting: recall over all queries, seconds per query."""

    recall: float
    seconds: float
    setting: Any = None


class Bracket(NamedTuple):
    """Two points around a recall; weight: how far the way from low to high it lies, 0 to 1."""

    low: Point
    high: Point
    weight: float

    def seconds(self) -> float:
        return interpolate(self.low.seconds, self.high.seconds, self.weight)


def interpolate(low: float, high: float, weight: float) -> float:
    """Between two times, linear in their logarithms."""
    return math.exp((1 - weight) * math.log(low) + weight * math.log(high))


def frontier(points: Sequence[Point]) -> list[Point]:
    """The points that no other one beats in recall and time, in order of rising recall."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (-point.recall, point.seconds)):
        if not kept or (point.seconds < kept[-1].seconds and point.recall < kept[-1].recall):
            kept.append(point)
    return kept[::-1]


def bracket(points: Sequence[Point], target: float) -> Bracket | None:
    """Where a curve reaches a recall; None if it never does. The cheapest setting of all counts as it is if it finds more already."""
    best = frontier(points)
    high = next((number for number, point in enumerate(best) if point.recall >= target), None)
    if high is None:
        return None
    if high == 0:
        return Bracket(best[0], best[0], 0.0)
    low, top = best[high - 1], best[high]
    return Bracket(low, top, (target - low.recall) / (top.recall - low.recall))


def bootstrap(samples: npt.ArrayLike, *, level: float = 0.95, draws: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """Median of samples and the interval that a resampled median falls into with this probability: median, low, high."""
    values = np.asarray(samples, float)
    random = np.random.default_rng(seed)
    medians = np.median(values[random.integers(0, len(values), (draws, len(values)))], axis=1)
    low, high = np.quantile(medians, [(1 - level) / 2, (1 + level) / 2])
    return float(np.median(values)), float(low), float(high)


class Pass(NamedTuple):
    """Every query once: seconds of each, and what was found."""

    seconds: npt.NDArray[np.float64]
    found: list[Any]


def one_pass(search: Callable[[int], Any], order: Sequence[int]) -> Pass:
    """Calls search(query number) for each number in order. Answers come back in the order of the numbers, times in that of the calls."""
    clock, took, found = time.perf_counter, [], [None] * len(order)
    for query in order:
        start = clock()
        answer = search(query)
        took.append(clock() - start)
        found[query] = answer
    return Pass(np.array(took), found)


def measure_setting(search: Callable[[int], Any], dataset: Dataset, truth: Truth, *, seconds: float, masks: Any = None) -> dict[str, Any]:
    """Recall, queries per second and latencies of one setting. Passes over all queries in random order until `seconds` are spent.

    Times are plain: nothing is dropped, neither slow passes nor slow queries.
    """
    n = len(dataset.queries)
    random = np.random.default_rng(0)
    for query in range(min(WARMUP, n)):
        search(query)
    passes: list[Pass] = []
    end = time.perf_counter() + seconds
    while not passes or time.perf_counter() < end:
        passes.append(one_pass(search, random.permutation(n).tolist()))
    found = recalls(dataset, truth, passes[0].found, masks)
    took = np.concatenate([done.seconds for done in passes])
    rates = [n / done.seconds.sum() for done in passes]
    p50, p95, p99 = (float(np.quantile(took, at) * 1e6) for at in (0.5, 0.95, 0.99))
    return {
        "recall": float(found.mean()),
        "recall_p5": float(np.quantile(found, 0.05)),
        "qps": float(np.median(rates)),
        "qps_min": min(rates),
        "qps_max": max(rates),
        "passes": len(passes),
        "latency_us_p50": p50,
        "latency_us_p95": p95,
        "latency_us_p99": p99,
    }


def thinned(settings: Sequence[Any], at_most: int) -> list[Any]:
    """Some of many settings, evenly spread, the first and the last among them."""
    if len(settings) <= at_most:
        return list(settings)
    return [settings[round(at)] for at in np.linspace(0, len(settings) - 1, at_most)]


def curve(settings: Sequence[Any], measure: Callable[[Any], dict[str, Any]], *, enough: float = 0.9995) -> list[dict[str, Any]]:
    """Measures settings in order of rising recall until one finds `enough`, or answers fewer than two queries a second."""
    rows: list[dict[str, Any]] = []
    for setting in settings:
        rows.append({"setting": setting} | measure(setting))
        if rows[-1]["recall"] >= enough or rows[-1]["qps"] < 2:
            break
    return rows


def points(rows: Sequence[dict[str, Any]], rate: str = "qps") -> list[Point]:
    return [Point(row["recall"], 1 / row[rate], row["setting"]) for row in rows if row.get(rate)]


def at_targets(rows: Sequence[dict[str, Any]], rate: str = "qps", targets: Sequence[float] = TARGETS) -> dict[str, float | None]:
    """Queries per second at each recall, None where it is not reached."""
    reached = {f"{target:g}": bracket(points(rows, rate), target) for target in targets}
    return {target: None if found is None else 1 / found.seconds() for target, found in reached.items()}


def single(peer: Any, dataset: Dataset) -> Callable[[int], Any]:
    """One query at a time, by its number. Queries are separate arrays beforehand, as a caller would hand them over."""
    queries = [np.ascontiguousarray(query) for query in dataset.queries]
    return lambda number: peer.search(queries[number], K)
