"""Two systems in one process, in turn on the same queries: their ratio at equal recall, with its interval.

Clock rates and other load change over seconds, so two curves measured one after another differ by more than many of the things worth
knowing. Here both sides answer each block of 100 queries right after another, in the order A B B A over two blocks, and the ratio is taken
per block. Every query comes once per pass and side. Each side is read at exactly the recall asked for: of its curve over fine settings,
the two around that recall are measured in passes of their own, and the time between them is interpolated on the log scale. Times are
plain. The interval is that of the median over blocks, resampled; its lower end is what counts. The same ratio in processor time stands
beside it: where the two differ, other programs had the processor meanwhile.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.ann.data import Dataset
from benchmarks.ann.measure import Bracket, Point, bootstrap, bracket, interpolate, one_pass, single
from benchmarks.ann.peer import Peer
from benchmarks.ann.truth import Truth, recalls

BLOCK = 100


class Side(NamedTuple):
    """One system, built, with the points of all of its settings."""

    name: str
    peer: Peer
    search: Callable[[int], Any]
    points: list[Point]


def tune(
    name: str,
    peer: Peer,
    dataset: Dataset,
    truth: Truth,
    *,
    search: Callable[[int], Any] | None = None,
    masks: Any = None,
    enough: float = 0.9995,
) -> Side:
    """Recall and time of every setting, in order, until nearly everything is found. The better of two passes counts as the time.

    search, masks: how queries with filters are made, and what each of them may return.
    """
    search, n = search or single(peer, dataset), len(dataset.queries)
    points = []
    for setting in peer.settings():
        peer.use(setting)
        first, second = (one_pass(search, range(n)) for _ in range(2))
        took = min(first.seconds.sum(), second.seconds.sum())
        points.append(Point(float(recalls(dataset, truth, first.found, masks).mean()), took / n, setting))
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
    wall, processor, rates = _rounds((first, second), (low, high), n_queries, seconds)
    names = ("ratio", "ratio_low", "ratio_high")
    return {
        "recall": target,
        **{name: math.exp(value) for name, value in zip(names, bootstrap(wall), strict=True)},
        **{f"processor_{name}": math.exp(value) for name, value in zip(names, bootstrap(processor), strict=True)},
        "blocks": len(wall),
        "sides": {
            side.name: _describe(found) | {"qps": float(np.median(rate))}
            for side, found, rate in zip((first, second), (low, high), rates, strict=True)
        },
    }


def _describe(found: Bracket) -> dict[str, Any]:
    ends = (("below", found.low), ("above", found.high))
    return {end: {"setting": point.setting, "recall": point.recall} for end, point in ends} | {"weight": found.weight}


class Clocks(NamedTuple):
    """Seconds of one block: on the wall, and of this process."""

    wall: float
    processor: float


def _rounds(
    sides: Sequence[Side], brackets: Sequence[Bracket], n_queries: int, seconds: float
) -> tuple[list[float], list[float], list[list[float]]]:
    """Log ratio of times (second / first) of every block by either clock, and the rate of each side in it."""
    random = np.random.default_rng(0)
    wall: list[float] = []
    processor: list[float] = []
    rates: list[list[float]] = [[], []]
    end = time.perf_counter() + seconds
    while not wall or time.perf_counter() < end:
        order = random.permutation(n_queries)
        blocks = [order[start : start + BLOCK].tolist() for start in range(0, n_queries, BLOCK)]
        # A pass with both lower settings, then one with both upper: no query meets the same side again within a pass.
        low = _alternate(sides, [found.low.setting for found in brackets], blocks)
        high = _alternate(sides, [found.high.setting for found in brackets], blocks)
        for block, numbers in enumerate(blocks):
            took = [_between(low[side][block], high[side][block], found.weight) for side, found in enumerate(brackets)]
            wall.append(math.log(took[1].wall / took[0].wall))
            processor.append(math.log(took[1].processor / took[0].processor))
            for side in range(2):
                rates[side].append(len(numbers) / took[side].wall)
    return wall, processor, rates


def _between(low: Clocks, high: Clocks, weight: float) -> Clocks:
    return Clocks(interpolate(low.wall, high.wall, weight), interpolate(low.processor, high.processor, weight))


def _alternate(sides: Sequence[Side], settings: Sequence[Any], blocks: Sequence[list[int]]) -> list[list[Clocks]]:
    """Times of each side for each block: A B, B A, A B, …"""
    took: list[list[Clocks]] = [[], []]
    for side, setting in zip(sides, settings, strict=True):
        side.peer.use(setting)
    for block, numbers in enumerate(blocks):
        for which in (0, 1) if block % 2 == 0 else (1, 0):
            search = sides[which].search
            wall, processor = time.perf_counter(), time.process_time()
            for query in numbers:
                search(query)
            took[which].append(Clocks(time.perf_counter() - wall, time.process_time() - processor))
    return took
