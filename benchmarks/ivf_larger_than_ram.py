"""Does a collection with inverted lists keep its memory limit when its vectors are four times as large? What does it read from a cold disk?

Answers, for each kind of lists in a process of its own: the most anonymous memory it took beyond what it had before it opened the
database, while vectors came in, while they were merged and indexed, and while it searched; recall@10 with the lists to probe that the
index chose; time of a query. Anonymous memory is what `memory_limit` promises: mapped files are page cache, which the system takes back
when it needs the room, so their pages are listed apart. And, in a further process, after the files have left the page cache: how often a
query waits for a page, how much is read, and how long it takes.
Does not answer: how fast the disk is. Waits and bytes do not depend on it, times do.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import vicino
from benchmarks import report
from benchmarks.ann import data
from vicino import _core

DIM, K, QUERIES = 128, 10, 200
KINDS = ("ivf_flat", "ivf", "ivf_hnsw", "ivf_pq", "ivf_opq")
AT_ONCE = 2000
"""Rows of one upsert."""
LOOK_S = 0.005
RECALL_MIN = 0.9


class Peak:
    """The most resident memory this process had, beyond what it has when this is made."""

    def __init__(self) -> None:
        self.before = report.memory_of()
        self.most = dict(self.before)

    def look(self) -> None:
        for name, size in report.memory_of().items():
            self.most[name] = max(self.most[name], size)

    def bytes(self) -> dict[str, int]:
        return {name: size - self.before[name] for name, size in self.most.items()}

    @contextmanager
    def watching(self) -> Iterator[None]:
        done = threading.Event()

        def watch() -> None:
            while not done.wait(LOOK_S):
                self.look()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self.look()


def warm_up() -> None:
    """Loads what the first use of a collection imports, so that it is not counted as memory of vectors."""
    with vicino.open() as database:
        collection = database.create_collection("rows", dim=DIM, metric="l2")
        collection.upsert(ids=range(AT_ONCE), vectors=np.zeros((AT_ONCE, DIM), np.float32))
        collection.optimize()
        collection.search(np.zeros(DIM, np.float32), limit=K)


def child(rows: Path, queries: Path, folder: Path, kind: str, limit: int) -> dict[str, Any]:
    """Writes, indexes and searches below a limit; the truth is another process's work."""
    base, asked = np.load(rows, mmap_mode="r"), np.load(queries)
    found, took = [], []
    warm_up()
    peak = Peak()
    with peak.watching():
        start = time.perf_counter()
        with vicino.open(folder, memory_limit=limit) as database:
            collection = database.create_collection("rows", dim=DIM, metric="l2", index=vicino.IndexSpec.read(kind))
            for first in range(0, len(base), AT_ONCE):
                part = np.array(base[first : first + AT_ONCE])
                collection.upsert(ids=range(first, first + len(part)), vectors=part)
            written = time.perf_counter()
            collection.optimize()
            built = time.perf_counter()
            building = peak.bytes()
            for query in asked:
                began = time.perf_counter()
                found.append(collection.search(query, limit=K).ids)
                took.append(time.perf_counter() - began)
            stats = collection.stats()
    return {
        "write_s": round(written - start, 2),
        "optimize_s": round(built - written, 2),
        "peak_building_bytes": building,
        "peak_bytes": peak.bytes(),
        "query_ms": {name: value for name, value in report.spread(1e3 * seconds for seconds in took).items() if name != "runs"},
        "segments": [segment.rows for segment in stats.segments if segment.rows],
        "unindexed_rows": stats.unindexed_rows,
        "disk_bytes": stats.total_bytes,
        "last_error": stats.last_error,
        "found": found,
    }


def drop_pages(folder: Path) -> None:
    """The files of a folder leave the page cache."""
    for file in folder.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def cold_child(queries: Path, folder: Path) -> dict[str, Any]:
    """Searches what is not in memory yet. Later queries find some of what earlier ones read."""
    asked = np.load(queries)
    warm_up()
    took, waits, blocks = [], [], []
    with vicino.open(folder, mode="r") as database:
        collection = database["rows"]
        for query in asked:
            began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
            collection.search(query, limit=K)
            after = resource.getrusage(resource.RUSAGE_SELF)
            took.append(1e3 * (time.perf_counter() - began))
            waits.append(after.ru_majflt - before.ru_majflt)
            blocks.append(after.ru_inblock - before.ru_inblock)
    half = len(asked) // 2
    return {
        "queries": half,
        "waits_per_query": round(float(np.mean(waits[:half])), 1),
        "read_mb_per_query": round(float(np.mean(blocks[:half])) * 512 / 1e6, 3),
        "query_ms": {name: value for name, value in report.spread(took[:half]).items() if name != "runs"},
    }


def in_process(*task: str) -> dict[str, Any]:
    """What a process of its own measured."""
    command = [sys.executable, "-m", "benchmarks.ivf_larger_than_ram", *task]
    done = subprocess.run(command, cwd=report.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the measured process ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def recall(found: Sequence[Sequence[int]], truth: Any) -> float:
    return float(np.mean([len(set(ids) & set(best)) / len(best) for ids, best in zip(found, truth.tolist(), strict=True)]))


def measure(n: int, kind: str, share: float, n_queries: int) -> dict[str, Any]:
    """One child process over n generated rows, with a limit of `share` of their bytes, and its recall."""
    folder = report.WORK / "ivf_larger_than_ram"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        made = data.load("l2sift128", n, n_queries)
        rows, queries = folder / "rows.npy", folder / "queries.npy"
        np.save(rows, made.base)
        np.save(queries, made.queries)
        limit = int(share * made.base.nbytes)
        truth = _core.exact_search(made.base, made.queries, K, "l2")[0]
        del made
        measured = in_process("--child", str(rows), str(queries), str(folder / "database"), kind, str(limit))
        drop_pages(folder / "database")
        measured["cold"] = in_process("--cold", str(queries), str(folder / "database"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found = measured.pop("found")
    return {"limit_bytes": limit, "recall": round(recall(found, truth), 4), **measured, "results_checksum": report.checksum(found)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--share", type=float, default=0.25, help="the limit, as a share of the vectors' bytes")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--cold", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        rows, queries, folder, kind, limit = options.child
        print(json.dumps(child(Path(rows), Path(queries), Path(folder), kind, int(limit))))
        return
    if options.cold:
        print(json.dumps(cold_child(*map(Path, options.cold))))
        return
    cases = {kind: measure(options.n, kind, options.share, options.queries) for kind in options.kinds}
    figures = []
    for kind, case in cases.items():
        figures += [
            report.Figure.at_most(f"{kind}: anonymous memory", case["peak_bytes"]["anonymous"] / 1e6, case["limit_bytes"] / 1e6, "MB"),
            report.Figure.at_least(f"{kind}: recall@{K}", case["recall"], RECALL_MIN),
            report.Figure(f"{kind}: one query, median", "", f"{case['query_ms']['median']:.3g} ms"),
            report.Figure(f"{kind}: pages a cold query waits for", "", f"{case['cold']['waits_per_query']:.3g}"),
        ]
    measured = {"set": "l2sift128", "n": options.n, "dim": DIM, "dtype": "float32", "metric": "l2", "k": K, "queries": options.queries}
    report.write("ivf_larger_than_ram", figures, data=measured, cases=cases)


if __name__ == "__main__":
    main()
