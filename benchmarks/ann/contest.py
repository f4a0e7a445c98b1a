"""Many systems in one process, each answering every block in turn: how fast is each, and each beside another, at equal recall?

A duel of every pair would build most systems several times and could not say which of them is the fastest. One query at a time and whole
batches are tuned apart, because a setting that is best for the one need not be for the other.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import report
from benchmarks.ann import duel, measure
from benchmarks.ann.data import Dataset
from benchmarks.ann.duel import Side
from benchmarks.ann.measure import Point, bracket
from benchmarks.ann.peer import Peer
from benchmarks.ann.truth import K, Truth, recalls

BLOCKS_MIN = 8


def tune_batches(name: str, peer: Peer, dataset: Dataset, truth: Truth, *, enough: float) -> Side:
    """As `duel.tune`, with all queries in one call."""
    points: list[Point] = []
    n = len(dataset.queries)
    for setting in peer.settings():
        peer.use(setting)
        found = peer.search_batch(dataset.queries, K, 1)
        took = min(report.timed(lambda: peer.search_batch(dataset.queries, K, 1)) for _ in range(2))
        points.append(Point(float(recalls(dataset, truth, found).mean()), took / n, setting))
        if points[-1].recall >= enough:
            break
    # A block is all queries, whatever their order, so that the batch lies ready as one array before the clock starts.
    return Side(name, peer, measure.single(peer, dataset), points, lambda block: peer.search_batch(dataset.queries, K, 1))


def contest(sides: Sequence[Side], pairs: Sequence[Sequence[str]], n_queries: int, target: float, *, seconds: float) -> dict[str, Any]:
    """Rates of all sides that reach a recall, and the ratio of each pair of these with its interval."""
    reached = [(side, found) for side in sides if (found := bracket(side.points, target)) is not None]
    short = {side.name: duel.short_of(side) for side in sides if bracket(side.points, target) is None}
    if not reached:
        return {"recall": target, "sides": {}, "short": short, "pairs": []}
    taking_part = [side for side, _ in reached]
    brackets = [found for _, found in reached]
    block_of = n_queries if taking_part[0].together else duel.BLOCK
    rounds = duel.alternate(taking_part, brackets, n_queries, seconds=seconds, block_of=block_of, blocks_min=BLOCKS_MIN)
    place = {side.name: which for which, side in enumerate(taking_part)}
    ratios = [
        {"first": first, "second": second} | duel.ratio_of(rounds, place[first], place[second])
        for first, second in pairs
        if first in place and second in place
    ]
    described = {side.name: duel.describe(found, rounds, place[side.name]) for side, found in reached}
    print(f"{target:g}: {len(taking_part)} systems, {len(rounds)} blocks", file=sys.stderr, flush=True)
    return {"recall": target, "blocks": len(rounds), "sides": described, "short": short, "pairs": ratios}
