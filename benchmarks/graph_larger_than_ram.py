"""What does a search of vectors larger than memory read from disk, by each index, at the same recall?

Answers, for each case in processes of its own: pages of 4 KiB that one cold query reads, and how long it takes cold and warm, at the
narrowest beam (or fewest lists) that reaches a recall@10 of 0.95 and of 0.99; the most anonymous memory while everything was written and
indexed, and while it was searched. Cases: a graph laid out for disk, an ordinary graph read from its mapped file (as it is, and with the
system told that reads are at random places), inverted lists; all written with the memory they want and then served under one
`memory_limit`, a quarter of the vectors.
Cold means: before each query every page of the vectors and indexes is dropped from the page cache, and afterwards those that are back are
counted (mincore). Pages do not depend on the machine, times depend on its disk.
Does not answer: many queries at a time.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import mmap
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import vicino
from benchmarks import report
from benchmarks.ann import data
from benchmarks.ivf_larger_than_ram import AT_ONCE, Peak, recall, warm_up
from vicino import _core

K, COLD_QUERIES, WARM_ROUNDS = 10, 40, 3
TARGETS = (0.95, 0.99)
PAGES_SAVED_MIN = 3.0
BEAMS = (12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536)
KINDS: dict[str, Any] = {"disk": {"kind": "graph", "layout": "disk"}, "graph": "graph", "ivf": "ivf"}
ADVICE = {"disk": ("",), "graph": ("", "random"), "ivf": ("",)}
"""What the system is told of the files beside what the engine tells it."""
MADV_RANDOM = 1


class Mapped:
    """The files of a folder that this process has mapped, and their pages."""

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._ranges: list[tuple[int, int]] = []
        paths = set()
        for line in Path("/proc/self/maps").read_text().splitlines():
            parts = line.split(maxsplit=5)
            if len(parts) == 6 and parts[5].startswith(str(folder)) and Path(parts[5]).suffix in (".vectors", ".graph"):
                start, end = (int(part, 16) for part in parts[0].split("-"))
                self._ranges.append((start, end - start))
                paths.add(parts[5])
        # Pages are asked of mappings of this class, each of a whole file: the engine may map a file twice, or advise on a part of it.
        self._files = [np.memmap(path, np.uint8, "r") for path in sorted(paths)]

    def _advise(self, advice: int) -> None:
        for start, size in self._ranges:
            if self._libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), advice):
                raise OSError(ctypes.get_errno(), "madvise")

    def expect_random_reads(self) -> None:
        self._advise(MADV_RANDOM)

    def drop(self) -> None:
        """Takes the pages out of this process and out of the page cache."""
        self._advise(mmap.MADV_DONTNEED)
        for mapped in self._files:
            file = os.open(str(mapped.filename), os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)

    def pages(self) -> int:
        """How many are in memory."""
        return sum(self._resident(mapped) for mapped in self._files)

    def _resident(self, mapped: np.memmap[Any, Any]) -> int:
        flags = np.empty(-(-mapped.nbytes // mmap.PAGESIZE), np.uint8)
        if self._libc.mincore(ctypes.c_void_p(mapped.ctypes.data), ctypes.c_size_t(mapped.nbytes), ctypes.c_void_p(flags.ctypes.data)):
            raise OSError(ctypes.get_errno(), "mincore")
        return int(np.count_nonzero(flags & 1))


def write(rows: Path, folder: Path, kind: str, metric: str) -> dict[str, Any]:
    """Writes and indexes all rows."""
    base = np.load(rows, mmap_mode="r")
    warm_up()
    peak = Peak()
    start = time.perf_counter()
    with peak.watching(), vicino.open(folder) as database:
        index = vicino.IndexSpec.read(KINDS[kind])
        collection = database.create_collection("rows", dim=base.shape[1], metric=metric, index=index)  # type: ignore[arg-type]
        for first in range(0, len(base), AT_ONCE):
            part = np.array(base[first : first + AT_ONCE])
            collection.upsert(ids=range(first, first + len(part)), vectors=part)
        collection.optimize()
    return {"write_s": round(time.perf_counter() - start, 1), "peak_writing_bytes": peak.bytes()["anonymous"]}


def beams_for(search: Any, truth: Any) -> Iterator[tuple[float, int, float]]:
    """(target, the narrowest beam that reaches it, the recall there), as far as there are such."""
    left = list(TARGETS)
    for ef in BEAMS:
        reached = recall(search(ef), truth)
        while left and reached >= left[0]:
            yield left.pop(0), ef, reached
        if not left:
            return


def at_beam(collection: Any, queries: Any, ef: int, mapped: Mapped) -> dict[str, Any]:
    """Cold and warm cost of one beam."""
    pages, cold, warm = [], [], []
    for query in queries[:COLD_QUERIES]:
        mapped.drop()
        left = mapped.pages()
        cold.append(report.timed(lambda query=query: collection.search(query, limit=K, ef=ef)))
        pages.append(mapped.pages() - left)
    for _ in range(1 + WARM_ROUNDS):
        warm = [report.timed(lambda query=query: collection.search(query, limit=K, ef=ef)) for query in queries]
    return {
        "pages": report.spread(pages),
        "cold_ms": report.spread(1e3 * seconds for seconds in cold),
        "warm_ms": report.spread(1e3 * seconds for seconds in warm),
    }


def serve(queries: Path, truth: Path, folder: Path, limit: int, advice: str) -> dict[str, Any]:
    """Searches what was written, as far as the targets."""
    asked, best = np.load(queries), np.load(truth)
    warm_up()
    peak = Peak()
    found: dict[str, Any] = {}
    with peak.watching(), vicino.open(folder, memory_limit=limit) as database:
        collection = database["rows"]
        steps = collection.search(asked[0], limit=K).plan.segments
        mapped = Mapped(folder)
        if advice == "random":
            mapped.expect_random_reads()

        def search(ef: int) -> list[list[Any]]:
            return [collection.search(query, limit=K, ef=ef).ids for query in asked]

        for target, ef, reached in beams_for(search, best):
            found[str(target)] = {"ef": ef, "recall": round(reached, 4), **at_beam(collection, asked, ef, mapped)}
        stats = collection.stats()
    return {
        "peak_serving_bytes": peak.bytes()["anonymous"],
        "segments": [segment.rows for segment in stats.segments if segment.rows],
        "disk_bytes": stats.total_bytes,
        "strategies": sorted({step.strategy for step in steps} - {"none"}),
        "at_recall": found,
    }


def child(task: Sequence[str]) -> dict[str, Any]:
    phase, rows, queries, truth, folder, kind, metric, limit, advice = task
    if phase == "write":
        return write(Path(rows), Path(folder), kind, metric)
    return serve(Path(queries), Path(truth), Path(folder), int(limit), advice)


def run_child(task: Sequence[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.graph_larger_than_ram", "--child", *task]
    done = subprocess.run(command, cwd=report.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the measured process ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(made: data.Dataset, kinds: Sequence[str], limit: int) -> dict[str, Any]:
    folder = report.WORK / "graph_larger_than_ram"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = {}
    try:
        files = {name: folder / f"{name}.npy" for name in ("rows", "queries", "truth")}
        np.save(files["rows"], made.base)
        np.save(files["queries"], made.queries)
        np.save(files["truth"], _core.exact_search(made.base, made.queries, K, made.metric)[0])
        for kind in kinds:
            task = [*map(str, files.values()), str(folder / "database"), kind, made.metric, str(limit)]
            written = run_child(["write", *task, ""])
            for advice in ADVICE[kind]:
                name = f"{kind}, {advice}" if advice else kind
                found[name] = {**written, **run_child(["serve", *task, advice])}
            shutil.rmtree(folder / "database")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def pages_saved(cases: dict[str, Any]) -> dict[str, float]:
    """Recall -> how many times the pages of the graph on disk an ordinary graph reads, at best."""
    if not {"disk", "graph, random"} <= cases.keys():
        return {}
    usual, ours = cases["graph, random"]["at_recall"], cases["disk"]["at_recall"]
    return {target: usual[target]["pages"]["median"] / ours[target]["pages"]["median"] for target in usual.keys() & ours.keys()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", default="debian", choices=data.SETS)
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--share", type=float, default=0.25, help="the limit, as a share of the vectors' bytes")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--child", nargs=9, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(child(options.child)))
        return
    made = data.load(options.set, options.n, options.queries)
    limit = int(options.share * made.base.nbytes)
    cases = measure(made, options.kinds, limit)
    figures = []
    for name, case in cases.items():
        figures.append(report.Figure.at_most(f"{name}: anonymous memory of searches", case["peak_serving_bytes"] / 1e6, limit / 1e6, "MB"))
        for target, cost in case["at_recall"].items():
            figures.append(report.Figure(f"{name}: pages of a cold query at {target}", "", f"{cost['pages']['median']:.0f}"))
            shown = f"{cost['cold_ms']['median']:.3g}, {cost['warm_ms']['median']:.3g} ms"
            figures.append(report.Figure(f"{name}: cold, warm at {target}", "", shown))
    figures += [
        report.Figure.at_least(f"graph, random over disk: pages of a cold query at {target}", round(ratio, 2), PAGES_SAVED_MIN)
        for target, ratio in pages_saved(cases).items()
    ]
    report.write("graph_larger_than_ram", figures, data=made.describe(K), limit_bytes=limit, cases=cases)


if __name__ == "__main__":
    main()
