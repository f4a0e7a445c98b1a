"""How much does the default search find, and how many rows does it look at?

Answers: recall@10 against exact search by matrix multiplication, and rows scored as a share of all rows, with nothing set: over several
sealed segments and a head, after deletes, for single queries and for one batch, and with filters that keep 50, 10, 1 and 0.1 % of the rows;
and among random numbers, which lie equally far from each other, so that a graph hardly leads anywhere.
Does not answer: how fast that is beside others (`ingest` has the peers), or what a wider beam would find.
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
from vicino.collection.limits import Limits

K = 10
RECALL_MIN, SHARE_MAX = 0.95, 0.05
BANDS = {"50 %": 500, "10 %": 100, "1 %": 10, "0.1 %": 1}
"""Name -> how many of the thousand values of the field `uniform` the filter keeps."""
DRAWN_DIMS = (16, 32, 64, 384)
"""Of the random numbers."""
SEED = 7


def wait_until_built(collection: Any, graph_rows_min: int, timeout_s: float = 900.0) -> None:
    """Returns when no head waits and every sealed segment large enough has its graph."""
    end = time.monotonic() + timeout_s
    while True:
        stats = collection.stats()
        missing = [segment for segment in stats.segments if segment.sealed and segment.rows >= graph_rows_min and not segment.indexes]
        if not stats.waiting_heads and not missing:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"background work is not done after {timeout_s:g} s: {stats!r}")
        time.sleep(0.05)


def fill(collection: Any, data: Dataset, uniform: Any) -> None:
    for first in range(0, len(data.base), 1000):
        rows = data.base[first : first + 1000]
        fields = [{"uniform": int(value)} for value in uniform[first : first + 1000]]
        collection.upsert(ids=range(first, first + len(rows)), vectors=rows, fields=fields)


def measure(collection: Any, data: Dataset, alive: Any, where: Any = None) -> dict[str, Any]:
    """Recall and share of rows scored, single and in one batch. alive: which rows are there and meet the filter."""
    truth = exact_neighbors(data.base, data.queries, K, alive)
    collection.search(data.queries[0], where=where, limit=K)
    single, took = [], []
    for query in data.queries:
        start = time.perf_counter()
        single.append(collection.search(query, where=where, limit=K))
        took.append((time.perf_counter() - start) * 1e6)
    start = time.perf_counter()
    batch = collection.search_many(data.queries, where=where, limit=K)
    batch_us = (time.perf_counter() - start) * 1e6 / len(data.queries)
    n = collection.count()
    return {
        "records": n,
        "matching": int(alive.sum()),
        "recall_at_10": recall([found.ids for found in single], truth),
        "recall_at_10_batch": recall([found.ids for found in batch], truth),
        "share_scored": float(np.mean([found.plan.rows_scored for found in single])) / n,
        "share_scored_batch": batch[0].plan.rows_scored / len(data.queries) / n,
        "query_us": report.spread(took),
        "query_us_batch": batch_us,
        "strategies": sorted({step.strategy for found in single for step in found.plan.segments}),
        "results_checksum": report.checksum([found.ids for found in single]),
    }


def drawn(n: int, dim: int, n_queries: int) -> Dataset:
    """Random numbers, of unit length."""
    rows = np.random.default_rng(SEED).standard_normal((n + n_queries, dim), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Dataset("random numbers", rows[:n], rows[n:])


def drawn_case(n: int, dim: int, n_queries: int) -> dict[str, Any]:
    """The default search of one segment of random numbers, beside walks by the beam that real vectors need."""
    data = drawn(n, dim, n_queries)
    with vicino.open() as database:
        collection = database.create_collection("rows", dim=dim)
        fill(collection, data, np.zeros(n, np.int64))
        collection.optimize()
        found = measure(collection, data, np.ones(n, np.bool_))
        narrow = [collection.search(query, limit=K, ef=64).ids for query in data.queries]
        graph = collection.stats().segments[0].graphs.get("vector")  # none over few rows
        truth = exact_neighbors(data.base, data.queries, K)
        return found | {"ef": graph.ef if graph else None, "recall_at_10_ef_64": recall(narrow, truth)}


def cases(data: Dataset, *, segments: int, deleted: float) -> dict[str, Any]:
    """Fills a collection so that it ends in `segments` sealed segments and a head, and measures every case."""
    folder = report.WORK / "default_search"
    shutil.rmtree(folder, ignore_errors=True)
    random = np.random.default_rng(SEED)
    n = len(data.base)
    uniform = random.integers(0, 1000, n)
    # One part in a hundred stays in the head; no merge, so that the segments remain several.
    limits = Limits(head_rows_max=max(1000, n * 99 // 100 // segments // 1000 * 1000), merge_fan_in=1000)
    found: dict[str, Any] = {}
    try:
        with vicino.open(folder, sync="off", limits=limits) as database:
            collection = database.create_collection("rows", dim=data.base.shape[1])
            collection.create_index("uniform")
            fill(collection, data, uniform)
            wait_until_built(collection, limits.graph_rows_min)
            alive = np.ones(n, np.bool_)
            found["segments"] = [segment.rows for segment in collection.stats().segments]
            found["several segments"] = measure(collection, data, alive)
            gone = random.permutation(n)[: int(n * deleted)]
            collection.delete(gone.tolist())
            alive[gone] = False
            found["after deletes"] = measure(collection, data, alive)
            for name, kept in BANDS.items():
                found[f"filter keeps {name}"] = measure(collection, data, alive & (uniform < kept), vicino.F.uniform < kept)
            collection.optimize()
            found["one segment"] = measure(collection, data, alive)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def figures(found: dict[str, Any]) -> list[report.Figure]:
    lines = []
    for name in ("several segments", "after deletes", "one segment"):
        for kind, suffix in (("single", ""), ("batch", "_batch")):
            share, got = found[name][f"share_scored{suffix}"], found[name][f"recall_at_10{suffix}"]
            met = got >= RECALL_MIN and share <= SHARE_MAX
            lines.append(
                report.Figure(
                    f"default search, {name}, {kind}",
                    f"recall@10 >= {RECALL_MIN}, scored <= {SHARE_MAX:.0%}",
                    f"{got:.4f}, {share:.2%}",
                    met,
                )
            )
    for name in BANDS:
        case = found[f"filter keeps {name}"]
        got = f"{case['recall_at_10']:.4f}, {case['share_scored']:.2%}, {case['query_us']['median']:.0f} us"
        met = case["recall_at_10"] >= RECALL_MIN
        lines.append(report.Figure(f"default search, filter keeps {name}", f"recall@10 >= {RECALL_MIN}", got, met))
    for name, case in found.items():
        if name.startswith("random"):
            got = f"{case['recall_at_10']:.4f} ({case['recall_at_10_ef_64']:.4f} with ef=64), {case['query_us']['median']:.0f} us"
            lines.append(report.Figure(f"default search, {name}", f"recall@10 >= {RECALL_MIN}", got, case["recall_at_10"] >= RECALL_MIN))
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=100_000, help="records")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--drawn", type=int, default=50_000, help="records of random numbers")
    parser.add_argument("--segments", type=int, default=3, help="sealed segments; a default collection of this size has as many")
    parser.add_argument("--deleted", type=float, default=0.15, help="share of the records that is deleted")
    options = parser.parse_args(arguments)
    data = load_dataset(options.n, options.queries)
    found = cases(data, segments=options.segments, deleted=options.deleted)
    for dim in DRAWN_DIMS:
        found[f"random numbers, {dim} dimensions"] = drawn_case(options.drawn, dim, options.queries)
    described = data.describe(K) | {"threads": 1, "segments": options.segments, "deleted": options.deleted, "seed": SEED}
    report.write("default_search", figures(found), data=described, cases=found)


if __name__ == "__main__":
    main()
