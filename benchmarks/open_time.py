"""How long until a database that is there already can be used?

Answers, all with a warm page cache and in new processes that have their modules loaded: opening a cleanly closed collection of a million
records and its first query; opening a database of 10,000 small collections, listing them, opening one and opening all; disk and memory
of an empty collection; opening after a kill, in GiB of log replayed per second, for several sizes of log and two shapes of records.
Does not answer: a cold disk, or importing vicino (`import_time`).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import vicino
from benchmarks import report
from benchmarks.datasets import synthetic_batches

OPEN_MS_MAX, MANY_S_MAX, REPLAY_GIB_MIN = 50.0, 1.0, 1.0
MIB, GIB = 1 << 20, 1 << 30
SMALL_DIM = 8


def child(**task: Any) -> dict[str, Any]:
    """The answer of one process of `benchmarks.open_child`, which may have killed itself after it."""
    command = [sys.executable, "-m", "benchmarks.open_child", json.dumps(task)]
    done = subprocess.run(command, cwd=report.ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    if not lines:
        raise RuntimeError(f"{task['do']}: no answer, exit status {done.returncode}: {done.stderr.strip()[-500:]}")
    return json.loads(lines[0])


# ---- one large collection


def build_large(path: Path, n: int, dim: int, threads: int) -> None:
    """A cleanly closed database with one optimized collection, kept for later runs: building it takes minutes."""
    if (ready := path.with_suffix(".ready")).exists():
        return
    shutil.rmtree(path, ignore_errors=True)
    with vicino.open(path, sync="off", threads=threads) as database:
        collection = database.create_collection("rows", dim=dim)
        first = 0
        for rows in synthetic_batches(n, dim):
            collection.upsert(ids=range(first, first + len(rows)), vectors=rows)
            first += len(rows)
        collection.optimize()
    ready.touch()


def measure_large(n: int, dim: int, runs: int, threads: int) -> dict[str, Any]:
    path = report.WORK / f"open-{n}-{dim}"
    path.parent.mkdir(parents=True, exist_ok=True)
    build_large(path, n, dim, threads)
    child(do="open", path=str(path), dim=dim)  # warms the page cache
    found = [child(do="open", path=str(path), dim=dim) for _ in range(runs)]
    if any(one["n"] != n for one in found):
        raise RuntimeError(f"{path.name} holds {found[0]['n']} records, expected {n}; remove it and its .ready file, and run again")
    return {
        "n": n,
        "dim": dim,
        "disk_bytes": report.folder_bytes(path),
        "open_ms": report.spread(one["open_s"] * 1e3 for one in found),
        "first_query_ms": report.spread(one["first_query_s"] * 1e3 for one in found),
        "memory_bytes": report.spread(one["memory"]["rss"] for one in found),
        "anonymous_bytes": report.spread(one["memory"]["anonymous"] for one in found),
        "results_checksum": report.checksum(found[0]["ids"]),
    }


# ---- many small ones


def build_many(path: Path, count: int) -> dict[str, float]:
    """A database of `count` collections of one record each; disk bytes of an empty collection on the way.

    Made in memory where the system has a file system for that, and copied: that 10,000 creations are durable one by one is not asked here.
    """
    fast = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=fast if fast.is_dir() else None) as folder:
        source = Path(folder) / "database"
        with vicino.open(source) as database:
            for number in range(count):
                database.create_collection(f"collection-{number:05}", dim=SMALL_DIM)
                if number == 0:
                    (only,) = source.glob("c-*")
                    empty = {"disk_bytes": report.folder_bytes(only), "files": len(list(only.iterdir()))}
            for name in database.names():
                database[name].upsert([{"id": name, "vector": [1.0] * SMALL_DIM, "name": name}])
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(source, path)
    return empty


def measure_many(count: int, runs: int) -> dict[str, Any]:
    path = report.WORK / "many"
    try:
        empty = build_many(path, count)
        found = [child(do="open many", path=str(path)) for _ in range(runs)]
        if any(one["n"] != count for one in found):
            raise RuntimeError(f"{found[0]['n']} records are there, expected one in each of {count} collections")
        return {
            "collections": count,
            "open_ms": report.spread(one["open_s"] * 1e3 for one in found),
            "list_ms": report.spread(one["list_s"] * 1e3 for one in found),
            "open_one_ms": report.spread(one["one_s"] * 1e3 for one in found),
            "open_all_s": report.spread(one["all_s"] for one in found),
            "memory_bytes_each": report.spread(one["memory_each"]["rss"] for one in found),
            "descriptors": found[0]["descriptors"],
            "empty_collection": empty,
        }
    finally:
        shutil.rmtree(path, ignore_errors=True)


# ---- after a crash


def measure_replay(size: int, dim: int, runs: int) -> dict[str, Any]:
    path = report.WORK / "replay"
    shutil.rmtree(path, ignore_errors=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = child(do="crash", path=str(path), dim=dim, bytes=size, batch=1000)
        found = [child(do="replay", path=str(path), dim=dim) for _ in range(runs)]
        if any(one["n"] != written["n"] for one in found):
            raise RuntimeError(f"{written['n']} records were acknowledged, {found[0]['n']} came back")
        return {
            "log_bytes": written["log_bytes"],
            "records": written["n"],
            "dim": dim,
            "open_s": report.spread(one["open_s"] for one in found),
            "gib_per_s": report.spread(written["log_bytes"] / GIB / one["open_s"] for one in found),
            "records_per_s": report.spread(written["n"] / one["open_s"] for one in found),
            "results_checksum": report.checksum(found[0]["ids"]),
        }
    finally:
        shutil.rmtree(path, ignore_errors=True)


def figures(large: dict[str, Any], many: dict[str, Any], replays: list[dict[str, Any]]) -> list[report.Figure]:
    last = max((one for one in replays if one["dim"] > SMALL_DIM), key=lambda one: one["log_bytes"])
    opened = many["open_ms"]["median"] + many["list_ms"]["median"]
    lines = [
        report.Figure.at_most(f"open {large['n']:,} x {large['dim']}", large["open_ms"]["median"], OPEN_MS_MAX, "ms"),
        report.Figure("its first query", "", f"{large['first_query_ms']['median']:.3g} ms"),
        report.Figure.at_most(f"open and list {many['collections']:,} collections", opened / 1e3, MANY_S_MAX, "s"),
        report.Figure("open every one of them", "", f"{many['open_all_s']['median']:.3g} s"),
        report.Figure(
            "an empty collection",
            "",
            f"{many['empty_collection']['disk_bytes']:,} B disk, {many['memory_bytes_each']['median']:,.0f} B memory when open",
        ),
        report.Figure.at_least(f"replay of a {last['log_bytes'] / GIB:.2g} GiB log", last["gib_per_s"]["median"], REPLAY_GIB_MIN, "GiB/s"),
    ]
    for one in replays:
        if one is not last:
            shown = f"{one['gib_per_s']['median']:.3g} GiB/s, {one['records_per_s']['median']:,.0f} records/s"
            lines.append(report.Figure(f"replay of {one['log_bytes'] / MIB:.0f} MiB, dim {one['dim']}", "", shown))
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=1_000_000, help="records of the large collection")
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--runs", type=int, default=20, help="opens of the large collection")
    parser.add_argument("--collections", type=int, default=10_000)
    parser.add_argument("--log-mib", type=int, nargs="*", default=[64, 256, 1100], help="sizes of logs to replay")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="for building the large collection")
    options = parser.parse_args(arguments)
    few = max(3, options.runs // 4)
    replays = [measure_replay(size * MIB, options.dim, few) for size in options.log_mib]
    replays.append(measure_replay(min(options.log_mib) * MIB, SMALL_DIM, few))
    many = measure_many(options.collections, few)
    large = measure_large(options.n, options.dim, options.runs, options.threads)
    data = {"set": "synthetic (clustered, seed 1)", "n": options.n, "dim": options.dim, "dtype": "float32", "k": 10, "threads": 1}
    report.write("open_time", figures(large, many, replays), data=data, large=large, many=many, replays=replays)


if __name__ == "__main__":
    main()
