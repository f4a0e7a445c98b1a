"""Systems in one process, in turn on the same queries: the ratio of two of them at equal recall, with its interval.

Clock rates and other load change over seconds, so two curves measured one after another differ by more than many of the things worth
knowing. Here both sides answer each block of 100 queries right after another, in the order A B B A over two blocks, and the ratio is taken
per block; more than two sides take turns in the same way. Every query comes once per pass and side. Each side is read at exactly the
recall asked for: of its curve over fine settings, the two around that recall are measured in passes of their own, and the time between
them is interpolated on the log scale. Times are plain. The interval is that of the median over blocks, resampled; its lower end is what
counts. The same ratio in processor time stands beside it: where the two differ, other programs had the processor meanwhile.
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
    """One system, built, with the points of all of its settings.

    search: answers one query by its number. together: answers a block of them by one call, and is then used instead.
    """

    name: str
    peer: Peer
    search: Callable[[int], Any]
    points: list[Point]
    together: Callable[[list[int]], Any] | None = None

    def answer(self, block: list[int]) -> None:
        if self.together is not None:
            self.together(block)
            return
        for query in block:
            self.search(query)


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
    sides = (first, second)
    brackets = [bracket(side.points, target) for side in sides]
    for side, found in zip(sides, brackets, strict=True):
        if found is None:
            return {"recall": target, "error": short_of(side)}
    reached = [found for found in brackets if found is not None]
    rounds = alternate(sides, reached, n_queries, seconds=seconds)
    return {
        "recall": target,
        **ratio_of(rounds, 0, 1),
        "blocks": len(rounds),
        "sides": {side.name: describe(found, rounds, which) for which, (side, found) in enumerate(zip(sides, reached, strict=True))},
    }


def short_of(side: Side) -> str:
    """Why a side takes no part at a recall."""
    return f"{side.name} reaches a recall of {max(point.recall for point in side.points):.4f} at most"


class Clocks(NamedTuple):
    """Seconds a query of one block takes in the mean: on the wall, and of this process."""

    wall: float
    processor: float


Rounds = list[list[Clocks]]
"""Of every block the clocks of each side."""


def ratio_of(rounds: Rounds, first: int, second: int) -> dict[str, float]:
    """How many times as fast the first side is, by either clock: median and interval over all blocks."""
    found = {}
    for prefix, clock in (("", 0), ("processor_", 1)):
        middle, low, high = bootstrap([math.log(block[second][clock] / block[first][clock]) for block in rounds])
        found |= {f"{prefix}ratio": math.exp(middle), f"{prefix}ratio_low": math.exp(low), f"{prefix}ratio_high": math.exp(high)}
    return found


def describe(found: Bracket, rounds: Rounds, which: int) -> dict[str, Any]:
    """Between which settings a side was read, and its rate."""
    ends = (("below", found.low), ("above", found.high))
    settings = {end: {"setting": point.setting, "recall": point.recall} for end, point in ends}
    return settings | {"weight": found.weight, "qps": float(np.median([1 / block[which].wall for block in rounds]))}


def alternate(
    sides: Sequence[Side], brackets: Sequence[Bracket], n_queries: int, *, seconds: float, block_of: int = BLOCK, blocks_min: int = 1
) -> Rounds:
    """Passes over all queries, in random order and in blocks, until the seconds are over."""
    random = np.random.default_rng(0)
    rounds: Rounds = []
    end = time.perf_counter() + seconds
    while len(rounds) < blocks_min or time.perf_counter() < end:
        order = random.permutation(n_queries)
        blocks = [order[start : start + block_of].tolist() for start in range(0, n_queries, block_of)]
        # A pass with all lower settings, then one with all upper: no query meets the same side again within a pass.
        low = _one_pass(sides, [found.low.setting for found in brackets], blocks, len(rounds))
        high = _one_pass(sides, [found.high.setting for found in brackets], blocks, len(rounds))
        for lower, upper in zip(low, high, strict=True):
            rounds.append([_between(*ends, found.weight) for *ends, found in zip(lower, upper, brackets, strict=True)])
    return rounds


def _between(low: Clocks, high: Clocks, weight: float) -> Clocks:
    return Clocks(interpolate(low.wall, high.wall, weight), interpolate(low.processor, high.processor, weight))


def _one_pass(sides: Sequence[Side], settings: Sequence[Any], blocks: Sequence[list[int]], number: int) -> Rounds:
    """Times of each side for each block: A B, B A, A B, …; number: of the first block, which decides who begins."""
    for side, setting in zip(sides, settings, strict=True):
        side.peer.use(setting)
    rounds = []
    for block, queries in enumerate(blocks, number):
        took = {}
        for which in range(len(sides)) if block % 2 == 0 else reversed(range(len(sides))):
            wall, processor = time.perf_counter(), time.process_time()
            sides[which].answer(queries)
            took[which] = Clocks((time.perf_counter() - wall) / len(queries), (time.process_time() - processor) / len(queries))
        rounds.append([took[which] for which in range(len(sides))])
    return rounds
