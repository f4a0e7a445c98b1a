"""How soon does a call stop after Ctrl-C, or after its `timeout=`?

Answers: the time from the signal to the KeyboardInterrupt in the caller, for every kind of long call, interrupted at different moments of
its work, each in a process of its own; and how late TimeoutError comes. After every interrupt the collection is written to and searched.
Does not answer: calls of models; a disk that takes seconds for one fdatasync is waited for in the background.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import report

LIMIT_MS = 100.0
SETUP = """
import json, os, signal, sys, time
import numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores the signal
import vicino
from vicino import F
where, what, n, dim = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
chance = np.random.default_rng(0)
rows = chance.standard_normal((n, dim), dtype=np.float32)
docs = vicino.open(where or None).create_collection("docs", dim=dim, index="auto" if what == "optimize" else "flat")
small = min(n, 50_000)
if what.startswith("upsert"):
    docs.upsert(ids=[-1], vectors=rows[:1])
else:
    docs.upsert(ids=range(small), vectors=rows[:small], fields=[{"n": i, "text": f"word{i % 1000} and more"} for i in range(small)])
"""
INTERRUPTED = (
    SETUP
    + """
work = {
    "upsert of a matrix": lambda: docs.upsert(ids=range(n), vectors=rows),
    "upsert of mappings": lambda: docs.upsert({"id": i, "vector": rows[i % n], "text": "some words"} for i in range(10**9)),
    "exact search_many": lambda: docs.search_many(rows, exact=True),
    "filters": lambda: [docs.count(where=F.text.contains("word7") | F.text.contains(f"none{i}")) for i in range(10**9)],
    "updates": lambda: [docs.update(where=F.n >= 0, set={"round": i}) for i in range(10**9)],
    "iteration": lambda: [sum(1 for _ in docs.iter(order_by="-n")) for _ in range(10**9)],
    "optimize": lambda: docs.optimize(),
}[what]
print("ready", flush=True)
try:
    work()
    print(json.dumps(None), flush=True)
except KeyboardInterrupt:
    print(json.dumps(time.monotonic()), flush=True)
    docs.upsert(ids=[-2], vectors=rows[:1] * 3)
    assert -2 in [hit.id for hit in docs.search(rows[0], limit=3)]
os._exit(0)
"""
)
LATE = (
    SETUP
    + """
timeout, start = 0.2, time.monotonic()
try:
    docs.search_many(rows[:small], exact=True, timeout=timeout)
    print(json.dumps(None))
except vicino.errors.TimeoutError:
    print(json.dumps(time.monotonic() - start - timeout))
"""
)
WORKS = ["upsert of a matrix", "upsert of mappings", "exact search_many", "filters", "updates", "iteration", "optimize"]


def interrupted_ms(what: str, folder: str, n: int, dim: int, after_s: float) -> float | None:
    """Milliseconds from the signal to the exception; None when the work had ended before."""
    command = [sys.executable, "-c", INTERRUPTED, folder, what, str(n), str(dim)]
    with subprocess.Popen(command, cwd=report.ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        if child.stdout.readline() != "ready\n":
            raise RuntimeError(f"the child that was to do {what!r} did not begin")
        time.sleep(after_s)
        sent = time.monotonic()
        child.send_signal(signal.SIGINT)
        caught = json.loads(child.stdout.read())
        if child.wait():
            raise RuntimeError(f"the child that was interrupted in {what!r} ended with status {child.returncode}")
    return None if caught is None else (caught - sent) * 1e3


def late_ms(n: int, dim: int) -> float | None:
    """Milliseconds that TimeoutError came after its time; None when the search had ended before."""
    done = subprocess.run(
        [sys.executable, "-c", LATE, "", "search", str(n), str(dim)], cwd=report.ROOT, capture_output=True, text=True, check=True
    )
    late = json.loads(done.stdout)
    return None if late is None else late * 1e3


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=250_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--times", type=int, default=15, help="interrupts of each work, on disk and in memory")
    options = parser.parse_args(arguments)
    folder, figures, measured = report.WORK / "interrupted", [], {}
    for what in WORKS:
        for place in ("disk", "memory"):
            samples = []
            for turn in range(options.times):
                shutil.rmtree(folder, ignore_errors=True)
                after_s = 0.05 + 0.04 * turn  # through all stages of the first slices
                late = interrupted_ms(what, str(folder) if place == "disk" else "", options.n, options.dim, after_s)
                if late is not None:
                    samples.append(late)
            shutil.rmtree(folder, ignore_errors=True)
            measured[f"{what}, {place}"] = {"ms": report.spread(samples) if samples else None, "ended_before": options.times - len(samples)}
            if samples:
                figures.append(report.Figure.at_most(f"Ctrl-C in {what}, {place}, worst of {len(samples)}", max(samples), LIMIT_MS, "ms"))
    samples = [late for _ in range(options.times) if (late := late_ms(options.n, options.dim)) is not None]
    if samples:
        figures.append(
            report.Figure.at_most(f"timeout= of exact search_many late by, worst of {len(samples)}", max(samples), LIMIT_MS, "ms")
        )
    data: dict[str, Any] = {"set": "random", "n": options.n, "dim": options.dim, "dtype": "float32"}
    report.write("interrupts", figures, data=data, interrupts=measured, timeout_late_ms=report.spread(samples) if samples else None)


if __name__ == "__main__":
    main()
