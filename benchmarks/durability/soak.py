"""A bounded soak: one writer with deletes and updates, readers in threads and in processes, for twenty minutes. Does anything grow?

The number of records is bounded, so memory, file descriptors and disk must be flat after the first minutes. The slope of each is fitted
over the second half of the run. It does not measure speed: the rates are there to show that work was done.

`python -m benchmarks.durability.soak --minutes 20` writes benchmarks/results/soak.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

import vicino
from benchmarks.report import RESULTS, WORK, command_of, commit, machine, memory_of
from vicino.collection.limits import Limits
from vicino.errors import NotFoundError

RECORDS_MAX = 20_000
DIM = 64
BATCH = 200
LIMITS = Limits(head_rows_max=2_000, graph_rows_min=1_000)
"""Small heads: a run passes through hundreds of seals, merges and graph builds."""


class Load:
    """Threads of this process: one writes, the others read. `counts` says how much was done, `errors` what should not have happened."""

    def __init__(self, database: vicino.Database, n_readers: int) -> None:
        self.collection = database.create_collection("soak", dim=DIM)
        self.collection.create_index("group")
        self.counts = dict.fromkeys(("upserted", "updated", "deleted", "searches", "gets"), 0)
        self.errors: list[str] = []
        self.stop = threading.Event()
        self._threads = [threading.Thread(target=self._guard, args=(self._write,))]
        self._threads += [threading.Thread(target=self._guard, args=(self._read, seed)) for seed in range(n_readers)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def _guard(self, work: Any, *arguments: Any) -> None:
        try:
            work(*arguments)
        except Exception as error:
            self.errors.append(repr(error))
            self.stop.set()

    def _write(self) -> None:
        chance = np.random.default_rng(1)
        turn = 0
        while not self.stop.is_set():
            turn += 1
            ids = np.unique(chance.integers(0, RECORDS_MAX, BATCH))
            rows = chance.standard_normal((len(ids), DIM), dtype=np.float32)
            fields = [{"group": int(one) % 10, "turn": turn, "text": "x" * int(chance.integers(0, 200))} for one in ids]
            self.counts["upserted"] += self.collection.upsert(ids=ids.tolist(), vectors=rows, fields=fields).count
            if turn % 3 == 0:
                self.counts["updated"] += self.collection.update(
                    where={"group": int(chance.integers(10)), "turn": turn - 1}, set={"seen": turn}
                ).count
            if turn % 5 == 0:
                gone = chance.integers(0, RECORDS_MAX, BATCH // 2).tolist()
                self.counts["deleted"] += self.collection.delete(gone).count
            time.sleep(0.02)

    def _read(self, seed: int) -> None:
        chance = np.random.default_rng(100 + seed)
        while not self.stop.is_set():
            query = chance.standard_normal(DIM, dtype=np.float32)
            hits = self.collection.search(query, limit=10, where={"group": int(chance.integers(10))} if chance.random() < 0.5 else None)
            assert [hit.distance for hit in hits] == sorted(hit.distance for hit in hits)
            self.counts["searches"] += 1
            self.collection.get(int(chance.integers(RECORDS_MAX)))
            self.counts["gets"] += 1
            time.sleep(0.005)


def read_beside(path: str, seconds: float, result: Any) -> None:
    """A reading process; reports its memory and descriptors at the end, and what it did."""
    chance = np.random.default_rng(os.getpid())
    database = vicino.open(path, mode="r")
    start, searches, samples = time.monotonic(), 0, []
    while time.monotonic() - start < seconds:
        try:
            database["soak"].search(chance.standard_normal(DIM, dtype=np.float32), limit=5)
        except NotFoundError:
            time.sleep(0.05)
            continue
        searches += 1
        if searches % 200 == 1:
            samples.append(sample(time.monotonic() - start))
        time.sleep(0.02)
    database.close()
    result.put({"searches": searches, **slopes(samples)})


def sample(at_s: float, folder: Path | None = None) -> dict[str, float]:
    """Memory, descriptors and, of the writer, disk now."""
    found = {"at_s": round(at_s, 1), "anonymous": memory_of()["anonymous"], "descriptors": len(os.listdir("/proc/self/fd"))}
    if folder is not None:
        found["disk"] = disk_bytes(folder)
    return found


def disk_bytes(folder: Path) -> int:
    """Bytes of all files; those that go while they are counted count nothing."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(f"{root}/{name}").st_size
    return total


def slopes(samples: list[dict[str, float]]) -> dict[str, Any]:
    """First, last, largest value of each figure, and its growth in percent an hour, fitted over the second half."""
    half = samples[len(samples) // 2 :]
    found: dict[str, Any] = {}
    for name in samples[0].keys() - {"at_s"} if len(half) > 2 else ():
        values = [entry[name] for entry in half]
        per_second = float(np.polyfit([entry["at_s"] for entry in half], values, 1)[0])
        found[name] = {
            "first": samples[0][name],
            "last": samples[-1][name],
            "max": max(entry[name] for entry in samples),
            "half_mean": round(float(np.mean(values))),
            "growth_percent_per_hour": round(100 * 3600 * per_second / max(1.0, float(np.mean(values))), 2),
        }
    return found


def soak(minutes: float, n_threads: int, n_processes: int, every_s: float) -> dict[str, Any]:
    folder = WORK / "soak"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    database = vicino.open(folder, limits=LIMITS, threads=1)
    load = Load(database, n_threads)
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    seconds = minutes * 60
    readers = [spawn.Process(target=read_beside, args=(str(folder), seconds * 0.95, results)) for _ in range(n_processes)]
    start = time.monotonic()
    load.start()
    for reader in readers:
        reader.start()
    samples = []
    try:
        while time.monotonic() - start < seconds and not load.stop.wait(every_s):
            samples.append(sample(time.monotonic() - start, folder))
            print(json.dumps(samples[-1]), file=sys.stderr, flush=True)
    finally:
        load.join()
    beside = [results.get(timeout=60) for _ in readers]
    for reader in readers:
        reader.join()
    report = database.check()
    found = {
        "minutes": minutes,
        "reader_threads": n_threads,
        "reader_processes": n_processes,
        "counts": load.counts,
        "errors": load.errors,
        "records": load.collection.count(),
        "versions": load.collection.version,
        "sound": report.is_sound,
        "writer": slopes(samples),
        "readers": beside,
        "samples": samples,
        "command": command_of("durability.soak", sys.argv[1:]),
        "commit": commit(),
        "machine": machine(),
    }
    database.close()
    shutil.rmtree(folder)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=3, help="reading threads beside the writing one")
    parser.add_argument("--processes", type=int, default=2, help="reading processes")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between samples")
    given = parser.parse_args()
    found = soak(given.minutes, given.threads, given.processes, given.every)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "soak.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({name: value for name, value in found.items() if name != "samples"}, indent=1))
    return 1 if found["errors"] or not found["sound"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
