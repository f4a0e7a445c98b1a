"""How much faster are rows found that nothing is built over yet, by their 1-bit codes, than by the rows themselves?

Answers: microseconds of one core call by codes (what a search does) and by rows (`exact=True`), recall@10 of the first against the second,
and rows read, over heads of several sizes and over the same heads sealed, which have no index yet. Blocks of queries take turns in one
process, by processor time; medians over the blocks. And what it takes where a segment has no codes, as after opening: searches make
them, so many of them, the slowest of which takes so many times as long as a scan.
Does not answer: how a segment with an index compares (`default_search`), what a search costs in Python (`overhead`), or what coding adds
to a write (`ingest`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import vicino
from benchmarks import report
from benchmarks.datasets import Dataset, load_dataset
from vicino import _core
from vicino.collection.core_columns import core_column

K = 10
SIZES = (2_000, 5_000, 10_000, 20_000, 50_000)
RATIO_MIN, RECALL_MIN, MEASURED_FROM = 8.0, 0.999, 10_000
FEW_READ = 16
"""Codes are there once a search reads fewer rows than one of so many."""


def unsealed(database: vicino.Database, data: Dataset, n: int) -> Any:
    """A collection whose n rows all lie in its head."""
    collection: Any = database.create_collection("rows", dim=data.base.shape[1])
    collection._shard.limits = replace(collection._shard.limits, head_rows_max=1 << 30, head_bytes_max=1 << 40, graph_rows_min=1 << 30)
    for first in range(0, n, 1000):
        rows = data.base[first : min(first + 1000, n)]
        collection.upsert(ids=range(first, first + len(rows)), vectors=rows)
    return collection


def seal(collection: Any) -> None:
    """Makes the head a segment, over which no index is built."""
    collection._shard.freeze()
    collection._maintenance.schedule().wait()


def measure_coding(collection: Any, data: Dataset) -> dict[str, float]:
    """Searches of a segment without codes until it has them: how many, and how long they take beside scans."""
    snapshot, column = collection._shard.snapshot(), core_column(collection.settings, "vector")
    cancel = _core.Cancel(None, True)

    def search(number: int) -> tuple[float, int]:
        query = np.ascontiguousarray(data.queries[number % len(data.queries)]).view(np.uint8)
        start = time.process_time()
        _, counts = snapshot.search(column, query, K, 0, False, None, cancel)
        return (time.process_time() - start) * 1e6, sum(stats["rows_read"] for stats in counts.entries())

    collection._shard.state.give_up_codes()
    scans: list[float] = []
    coding: list[float] = []
    number, n_read, without_codes = 0, collection.count(), _segment_bytes(collection)
    while n_read * FEW_READ > collection.count():
        took, n_read = search(number)
        (scans if _segment_bytes(collection) == without_codes else coding).append(took)
        number += 1
    scan = float(np.median(scans))
    return {"searches": len(coding), "slowest_scans": max(coding) / scan, "all_scans": sum(coding) / scan}


def _segment_bytes(collection: Any) -> int:
    return sum(entry["memory_bytes"] for entry in collection._shard.state.snapshot().entries if entry["sealed"])


def measure(collection: Any, data: Dataset, *, rounds: int, block: int) -> dict[str, Any]:
    """Both ways over the same queries, in turns."""
    snapshot, column = collection._shard.snapshot(), core_column(collection.settings, "vector")
    cancel = _core.Cancel(None, True)
    queries = [np.ascontiguousarray(query).view(np.uint8) for query in data.queries]

    def searcher(exact: bool) -> Callable[[Any], Any]:
        return lambda query: snapshot.search(column, query, K, 0, exact, None, cancel)

    took: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(rounds):
        part = [queries[(turn * block + i) % len(queries)] for i in range(block)]
        for exact in (True, False):
            search = searcher(exact)
            search(part[0])
            start = time.process_time()
            for query in part:
                search(query)
            took[exact].append((time.process_time() - start) / block * 1e6)
    found, truth = ([searcher(exact)(query) for query in queries] for exact in (False, True))
    ids = [(mine[0].ids(0), theirs[0].ids(0)) for mine, theirs in zip(found, truth, strict=True)]
    return {
        "rows": collection.count(),
        "rows_us": report.spread(took[True]),
        "codes_us": report.spread(took[False]),
        "ratio": report.spread(by_rows / by_codes for by_rows, by_codes in zip(took[True], took[False], strict=True)),
        "recall_at_10": float(np.mean([len(set(mine) & set(theirs)) / K for mine, theirs in ids])),
        "rows_read": float(np.mean([sum(stats["rows_read"] for stats in counts.entries()) for _, counts in found])),
        "results_checksum": report.checksum([mine for mine, _ in ids]),
    }


def figures(sizes: dict[int, dict[str, Any]]) -> list[report.Figure]:
    lines = []
    for n, case in sizes.items():
        if n < MEASURED_FROM:
            continue
        for where, found in (("", case), (", sealed", case["sealed"])):
            lines.append(report.Figure.at_least(f"by codes against by rows, {n:,} rows{where}", found["ratio"]["median"], RATIO_MIN, "x"))
            lines.append(report.Figure.at_least(f"recall@10, {n:,} rows{where}", found["recall_at_10"], RECALL_MIN))
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES), help="rows of the heads")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--block", type=int, default=50, help="queries of one turn")
    parser.add_argument("--queries", type=int, default=500)
    options = parser.parse_args(arguments)
    data = load_dataset(max(options.sizes), options.queries)
    sizes = {}
    for n in options.sizes:
        with vicino.open(threads=1) as database:
            collection = unsealed(database, data, n)
            sizes[n] = measure(collection, data, rounds=options.rounds, block=options.block)
            seal(collection)
            sizes[n]["sealed"] = measure(collection, data, rounds=options.rounds, block=options.block)
            if n >= MEASURED_FROM:
                sizes[n]["coding"] = measure_coding(collection, data)
    report.write("head_scan", figures(sizes), data=data.describe(K) | {"threads": 1}, sizes=sizes)


if __name__ == "__main__":
    main()
