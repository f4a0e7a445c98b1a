"""Is a collection that has been changed for long as good as a fresh one?

    python -m benchmarks.churn

Answers: after deleting half of the records, giving the other half new vectors, and twenty merges in between, recall@10, rows scored and the
time of a query beside a collection into which the same records were just written. Both are one segment with a graph; times are of
processor time, in turns of a few dozen queries.
Does not answer: what a query costs while many segments wait to be merged (`default_search` has several), or what the merges cost.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import vicino
from benchmarks import report
from benchmarks.datasets import Dataset, exact_neighbors, load_dataset, recall

K = 10
BEAMS = (16, 32, 64, 128)
SEED = 11
RECALL_LOSS_MAX, SCORED_MAX, TIME_RATIO_MIN = 0.005, 1.1, 0.9
BLOCK = 25


def churn(collection: Any, data: Dataset, n: int, cycles: int) -> Any:
    """Deletes a random half of n records and replaces the others' vectors, a share in every cycle.

    Returns id -> row of the data, -1 for deleted.
    """
    order = np.random.default_rng(SEED).permutation(n)
    row_of = np.arange(n)
    deleted, updated = np.array_split(order[: n // 2], cycles), np.array_split(order[n // 2 :], cycles)
    replacement = n
    for gone, changed in zip(deleted, updated, strict=True):
        collection.delete(gone.tolist())
        row_of[gone] = -1
        rows = np.arange(replacement, replacement + len(changed))
        collection.upsert(ids=changed.tolist(), vectors=data.base[rows])
        row_of[changed] = rows
        replacement += len(changed)
        collection.optimize()
    return row_of


def fill(collection: Any, ids: Any, vectors: Any) -> None:
    for first in range(0, len(ids), 1000):
        collection.upsert(ids=ids[first : first + 1000].tolist(), vectors=vectors[first : first + 1000])
    collection.optimize()


def quality(collection: Any, queries: Any, truth: Any) -> dict[str, dict[str, float]]:
    """Recall@10 and rows scored per query at every beam."""
    found = {}
    for beam in BEAMS:
        results = [collection.search(query, limit=K, ef=beam) for query in queries]
        scored = float(np.mean([result.plan.rows_scored for result in results]))
        found[str(beam)] = {"recall_at_10": recall([result.ids for result in results], truth), "rows_scored": scored}
    return found


def time_ratios(fresh: Any, churned: Any, queries: Any, seconds: float) -> list[float]:
    """Processor time of the fresh collection over that of the churned one, a turn of both at a time, who begins alternating."""
    ratios: list[float] = []
    end = time.monotonic() + seconds
    while len(ratios) < 8 or time.monotonic() < end:
        first = len(ratios) * BLOCK % len(queries)
        block = [queries[(first + i) % len(queries)] for i in range(BLOCK)]
        took = {}
        for name, collection in [("fresh", fresh), ("churned", churned)][:: 1 if len(ratios) % 2 else -1]:
            start = time.process_time()
            for query in block:
                collection.search(query, limit=K, ef=64)
            took[name] = time.process_time() - start
        ratios.append(took["fresh"] / took["churned"])
    return ratios


def compare(data: Dataset, n: int, cycles: int, seconds: float) -> dict[str, Any]:
    folder = report.WORK / "churn"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with vicino.open(folder, sync="off", threads=1) as database:
            dim = data.base.shape[1]
            churned, fresh = (database.create_collection(name, dim=dim) for name in ("churned", "fresh"))
            fill(churned, np.arange(n), data.base[:n])
            row_of = churn(churned, data, n, cycles)
            ids = np.flatnonzero(row_of >= 0)
            vectors = data.base[row_of[ids]]
            fill(fresh, ids, vectors)
            truth = ids[exact_neighbors(vectors, data.queries, K)]
            found = {name: quality(side, data.queries, truth) for name, side in (("churned", churned), ("fresh", fresh))}
            ratios = time_ratios(fresh, churned, list(data.queries), seconds)
            segments = {side.name: [segment.rows for segment in side.stats().segments if segment.rows] for side in (churned, fresh)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"records": len(ids), "segments": segments, "quality": found, "fresh_time_over_churned": report.spread(ratios)}


def figures(found: dict[str, Any]) -> list[report.Figure]:
    churned, fresh = found["quality"]["churned"], found["quality"]["fresh"]
    loss = max(fresh[beam]["recall_at_10"] - churned[beam]["recall_at_10"] for beam in fresh)
    scored = max(churned[beam]["rows_scored"] / fresh[beam]["rows_scored"] for beam in fresh)
    return [
        report.Figure.at_most("after churn, recall@10 lost, at most", loss, RECALL_LOSS_MAX, "share"),
        report.Figure.at_most("after churn, rows scored, at most", scored, SCORED_MAX, "x a fresh build"),
        report.Figure.at_least("after churn, speed", found["fresh_time_over_churned"]["median"], TIME_RATIO_MIN, "x a fresh build"),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=30_000, help="records at first; half of them are left")
    parser.add_argument("--cycles", type=int, default=20, help="shares of deleted and updated records, each followed by a merge")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=5.0, help="for the times")
    options = parser.parse_args(arguments)
    data = load_dataset(options.n + options.n // 2 + 1, options.queries)
    found = compare(data, options.n, options.cycles, options.seconds)
    described = data.describe(K) | {"n": options.n, "threads": 1, "cycles": options.cycles, "seed": SEED}
    report.write("churn", figures(found), data=described, **found)


if __name__ == "__main__":
    main()
