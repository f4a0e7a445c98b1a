"""Filters with, across and against the query: what does a plain walk find, and what one that gives up, and goes on in another way?

Answers how well the signs are read by which a walk notices an opposed filter (docs/design/0010-filters.md), and what a walk over matching
rows and a coded scan find and cost after it, beside each other on one graph. Does not answer how fast a collection is: no planner, no ids,
no fields.

    python -m benchmarks.ann.opposed --set debian --queries 400
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.ann import data, filters
from vicino import _core

K = 10
ROUNDS = 3
BEAM, MATCHING_BEAM, BEAM_PER_SHARE = 64, 192, 9.0
RANDOM = {"random 20 %": 0.2, "random 9 %": 0.09}
RANKS = {
    "own": slice(0, 1),
    "5 nearest": slice(0, 5),
    "all but own": slice(1, None),
    "far 15": slice(5, None),
    "far 10": slice(10, None),
    "three others": slice(6, 13, 3),
    "far 5": slice(15, None),
}
"""Name -> which clusters match, in the order of their distance from the query's own."""


class Group(NamedTuple):
    """Queries with one filter, and their exact neighbors."""

    queries: npt.NDArray[np.float32]
    allowed: npt.NDArray[np.bool_]
    expected: npt.NDArray[np.int64]


class Outcome(NamedTuple):
    rows: npt.NDArray[np.int64]
    scored: int
    opposed: int


Ask = Callable[[Group], Outcome]


def group_by_filter(dataset: data.Dataset, name: str, random: np.random.Generator) -> list[Group]:
    masks: list[tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]] = []
    if name in RANDOM:
        masks.append((np.arange(len(dataset.queries)), random.random(len(dataset.base)) < RANDOM[name]))
    else:
        centers = filters.k_means(dataset.base[:: max(1, len(dataset.base) // filters.SAMPLE)], data.N_CLUSTERS, random)
        cluster, own = filters.nearest_center(dataset.base, centers), filters.nearest_center(dataset.queries, centers)
        for mine in np.unique(own):
            order = np.argsort(((centers - centers[mine]) ** 2).sum(1))
            masks.append((np.flatnonzero(own == mine), np.isin(cluster, order[RANKS[name]])))
    groups = []
    for numbers, allowed in masks:
        queries = np.ascontiguousarray(dataset.queries[numbers])
        expected, _ = _core.exact_search(dataset.base, queries, K, dataset.metric, allowed=allowed)
        groups.append(Group(queries, allowed, expected))
    return groups


def plain(graph: _core.SearchableGraph, group: Group, *, watched: bool) -> Outcome:
    share = float(group.allowed.mean())
    beam = max(BEAM, int(BEAM_PER_SHARE / share))
    rows, _, scored, _, _, opposed, _ = graph.search(group.queries, K, beam, group.allowed, share=share if watched else 0.0)
    return Outcome(rows, scored, opposed)


def switched(graph: _core.SearchableGraph, group: Group, go_on: Callable[[Group], Outcome]) -> Outcome:
    """A watched walk; the queries to which the filter is opposed are asked again in another way."""
    rows, scored, opposed = plain(graph, group, watched=True)
    again = np.flatnonzero(rows[:, 0] < 0)
    if len(again):
        found = go_on(group._replace(queries=np.ascontiguousarray(group.queries[again])))
        rows[again], scored = found.rows, scored + found.scored
    return Outcome(rows, scored, opposed)


def over_matches(graph: _core.SearchableGraph, group: Group) -> Outcome:
    rows, _, scored, *_ = graph.search_two_hop(group.queries, K, MATCHING_BEAM, group.allowed)
    return Outcome(rows, scored, 0)


def scan(graph: _core.SearchableGraph, group: Group) -> Outcome:
    rows, _, scored, *_ = graph.scan(group.queries, K, group.allowed)
    return Outcome(rows, scored, 0)


def measure(groups: list[Group], ask: Ask) -> str:
    """Recall, rows scored, share opposed and the least of a few times, per query."""
    best, n = np.inf, sum(len(group.queries) for group in groups)
    outcomes: list[Outcome] = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        outcomes = [ask(group) for group in groups]
        best = min(best, time.perf_counter() - start)
    wanted = sum(int((group.expected >= 0).sum()) for group in groups)
    found = sum(
        len(set(mine) & set(theirs) - {-1})
        for group, outcome in zip(groups, outcomes)
        for mine, theirs in zip(outcome.rows.tolist(), group.expected.tolist())
    )
    scored, opposed = sum(outcome.scored for outcome in outcomes), sum(outcome.opposed for outcome in outcomes)
    return f"{found / wanted:.3f} {scored / n:6.0f} scored {best / n * 1e6:6.0f} us  opposed {opposed / n:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ann.opposed", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", default="debian", choices=list(data.SETS))
    parser.add_argument("--rows", type=int, help="all rows unless given")
    parser.add_argument("--queries", type=int, default=400)
    options = parser.parse_args()
    dataset = data.load(options.set, options.rows, options.queries)
    graph = _core.SearchableGraph(_core.build_graph(dataset.base, dataset.metric, threads=2), dataset.base, dataset.metric)
    asks: dict[str, Ask] = {
        "plain": lambda group: plain(graph, group, watched=False),
        "matches": lambda group: switched(graph, group, lambda opposed: over_matches(graph, opposed)),
        "scanned": lambda group: switched(graph, group, lambda opposed: scan(graph, opposed)),
        "scan": lambda group: scan(graph, group),
    }
    for name in (*RANDOM, *RANKS):
        groups = group_by_filter(dataset, name, np.random.default_rng(5))
        print(f"{name}: {np.mean([group.allowed.sum() for group in groups]):.0f} of {len(dataset.base)} match")
        for way, ask in asks.items():
            print(f"  {way:9}{measure(groups, ask)}", flush=True)


if __name__ == "__main__":
    main()
