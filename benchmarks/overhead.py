"""What does Python cost per query: `collection.search` over the core calls it makes?

Answers: median time of a search of one vector in Python, minus the median of the same core calls alone (`Snapshot.search`, and for a
filter `Snapshot.match` with the condition compiled before); unfiltered, and with a filter the collection has seen, be it one object, a
text, or a condition that is written out again with every search. Interleaved rounds.
Does not answer: how fast the core is (`ingest`, `default_search`), or what reading fields of hits costs: hits are made when looked at.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import vicino
from benchmarks import report
from benchmarks.datasets import load_dataset
from vicino import F, _core
from vicino.collection.core_columns import core_column
from vicino.filter.compile import compile_filter
from vicino.filter.parse import parse_where

K = 10
LIMIT_US = 10.0


def calls(collection: Any, query: Any, where: Callable[[], Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The search as a user spells it, and the core calls it comes down to. where: makes the condition of one search."""
    snapshot = collection._shard.snapshot()
    column, rows = core_column(collection.settings, "vector"), np.ascontiguousarray(query).view(np.uint8)
    slots = {name: entry.slot for name, entry in collection.settings.vectors.items()}
    condition = parse_where(where())
    compiled = None if condition is None else compile_filter(condition)
    cancel = _core.Cancel(None, True)

    def core() -> Any:
        where()  # as in the search: what it costs to write a condition is not the search's
        matches = None if compiled is None else snapshot.match(compiled, slots, cancel)
        return snapshot.search(column, rows, K, 0, False, matches, cancel)

    return lambda: collection.search(query, where=where(), limit=K), core


def measure(collection: Any, query: Any, where: Callable[[], Any], *, rounds: int, repeats: int) -> dict[str, Any]:
    """Medians of both in microseconds, taken in turns so that both see the same machine, and their difference."""
    search, core = calls(collection, query, where)
    searches, cores = [], []
    for _ in range(rounds):
        cores.append(report.median_us(core, repeats))
        searches.append(report.median_us(search, repeats))
    overhead = report.spread(mine - bare for mine, bare in zip(searches, cores, strict=True))
    checksum = report.checksum(search().ids)
    return {"search_us": report.spread(searches), "core_us": report.spread(cores), "overhead_us": overhead, "results_checksum": checksum}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--n", type=int, default=100, help="records, few so that the core's own time hides nothing and their vectors stay in its cache"
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--repeats", type=int, default=2000, help="calls a round")
    options = parser.parse_args(arguments)
    data = load_dataset(options.n, 1)
    with vicino.open() as database:
        collection = database.create_collection("rows", dim=data.base.shape[1])
        collection.upsert(ids=range(options.n), vectors=data.base, fields=[{"year": 2000 + row % 25} for row in range(options.n)])
        made = F.year >= 2013
        cases: dict[str, Callable[[], Any]] = {
            "unfiltered": lambda: None,
            "filtered": lambda: made,
            "filtered by a string": lambda: "year >= 2013",
            "filtered, written out": lambda: F.year >= 2013,
        }
        measured = {
            name: measure(collection, data.queries[0], where, rounds=options.rounds, repeats=options.repeats)
            for name, where in cases.items()
        }
    figures = [
        report.Figure.at_most(f"Python over the core, {name}", found["overhead_us"]["median"], LIMIT_US, "us")
        for name, found in measured.items()
    ]
    report.write("overhead", figures, data=data.describe(K) | {"threads": 1}, cases=measured)


if __name__ == "__main__":
    main()
