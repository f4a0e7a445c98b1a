"""Two systems in one process, in turn on the same queries: their ratio at equal recall, with its interval.

Clock rates and other load change over seconds, so two curves measured one after another differ by more than many of the things worth
knowing. Here both sides answer each block of 100 queries right after another, in the order A B B A over two blocks, and the ratio is taken
per block. Every query comes once per pass and side. Each side is read at exactly the recall asked for: of its curve over fine settings,
the two around that recall are measured in passes of their own, and the time between them is interpolated on the log scale. Times are
plain. The interval is that of the median over blocks, resampled; its lower end is what counts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.ann.data import Dataset
from benchmarks.ann.measure import Bracket, Point, bootstrap, bracket, one_pass, single
from benchmarks.ann.peer import Peer
from benchmarks.ann.truth import Truth, recalls

BLOCK = 100


class Side(NamedTuple):
    """One system, built, with the points of all of its settings."""

    name: str
    peer: Peer
    search: Callable[[int], Any]
    points: list[Point]


def tune(name: str, peer: Peer, dataset: Dataset, truth: Truth, *, enough: float = 0.9995) -> Side:
    """Recall and time of every setting, in order, until nearly everything is found. The better of two passes counts as the time."""
    search, n = single(peer, dataset), len(dataset.queries)
    points = []
    for setting in peer.settings():
        peer.use(setting)
        first, second = (one_pass(search, range(n)) for _ in range(2))
        took = min(first.seconds.sum(), second.seconds.sum())
        points.append(Point(float(recalls(dataset, truth, first.found).mean()), took / n, setting))
        if points[-1].recall >= enough:
            break
    return Side(name, peer, search, points)


def fight(first: Side, second: Side, n_queries: int, target: float, *, seconds: float) -> dict[str, Any]:
    """Ratio of the first side's rate to the second's at a recall, over about `seconds` of alternating blocks."""
    brackets = [bracket(side.points, target) for side in (first, second)]
    for side, found in zip((first, second), brackets, strict=True):
        if found is None:
            best = max(point.recall for point in side.points)
            return {"recall": target, "error": f"{side.name} reaches a recall of {best:.4f} at most"}
    low, high = [found for found in brackets if found is not None]
    ratios, rates = _rounds((first, second), (low, high), n_queries, seconds)
    middle, bottom, top = (math.exp(value) for value in bootstrap(ratios))
    return {
        "recall": target,
        "ratio": middle,
        "ratio_low": bottom,
        "ratio_high": top,
        "blocks": len(ratios),
        "sides": {
            side.name: _describe(found) | {"qps": float(np.median(rate))}
            for side, found, rate in zip((first, second), (low, high), rates, strict=True)
        },
    }


def _describe(found: Bracket) -> dict[str, Any]:
    ends = (("below", found.low), ("above", found.high))
    return {end: {"setting": point.setting, "recall": point.recall} for end, point in ends} | {"weight": found.weight}


def _rounds(sides: Sequence[Side], brackets: Sequence[Bracket], n_queries: int, seconds: float) -> tuple[list[float], list[list[float]]]:
    """Log ratio of times (second / first) of every block, and the rate of either side in it."""
    random = np.random.default_rng(0)
    ratios: list[float] = []
    rates: list[list[float]] = [[], []]
    end = time.perf_counter() + seconds
    while not ratios or time.perf_counter() < end:
        order = random.permutation(n_queries)
        blocks = [order[start : start + BLOCK].tolist() for start in range(0, n_queries, BLOCK)]
        # A pass with both lower settings, then one with both upper: no query meets the same side again within a pass.
        ends = [_alternate(sides, [found.low.setting for found in brackets], blocks)]
        ends.append(_alternate(sides, [found.high.setting for found in brackets], blocks))
        for block, numbers in enumerate(blocks):
            logs = [
                (1 - found.weight) * math.log(ends[0][side][block]) + found.weight * math.log(ends[1][side][block])
                for side, found in enumerate(brackets)
            ]
            ratios.append(logs[1] - logs[0])
            for side in range(2):
                rates[side].append(len(numbers) / math.exp(logs[side]))
    return ratios, rates


def _alternate(sides: Sequence[Side], settings: Sequence[Any], blocks: Sequence[list[int]]) -> list[list[float]]:
    """Seconds of each side for each block: A B, B A, A B, …"""
    took: list[list[float]] = [[0.0] * len(blocks), [0.0] * len(blocks)]
    for side, setting in zip(sides, settings, strict=True):
        side.peer.use(setting)
    clock = time.perf_counter
    for block, numbers in enumerate(blocks):
        for which in (0, 1) if block % 2 == 0 else (1, 0):
            search = sides[which].search
            start = clock()
            for query in numbers:
                search(query)
            took[which][block] = clock() - start
    return took
