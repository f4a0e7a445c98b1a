"""How far behind is a process that reads a folder while another writes it?

Answers: time from the moment a write returns to its writer until the other process first reads the record, polling every millisecond, and
until it does when it reads without a pause; and what one look costs when there is nothing new.
Does not answer: throughput of many readers, or folders on network file systems.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import vicino
from benchmarks import report

LIMIT_MS = 100.0
DIM = 384
WAIT_S = 60.0


def write(folder: Path, writes: int, pause_s: float) -> None:
    """The writer: one record every `pause_s` seconds. Prints, for each, when the call began and when it returned."""
    moments = []
    with vicino.open(folder) as database:
        collection = database["rows"]
        for number in range(1, writes + 1):
            time.sleep(pause_s)
            before = time.monotonic()
            collection.upsert([{"id": number, "vector": np.full(DIM, number, np.float32)}])
            moments.append((before, time.monotonic()))
    print(json.dumps(moments))


def follow(folder: Path, writes: int, pause_s: float, poll_s: float) -> dict[str, Any]:
    """The reader, in this process: delays in milliseconds after the write returned and after it began."""
    shutil.rmtree(folder, ignore_errors=True)
    with vicino.open(folder) as database:
        database.create_collection("rows", dim=DIM)
    command = [sys.executable, "-m", "benchmarks.multi", "--writer", str(folder), "--writes", str(writes), "--pause", str(pause_s)]
    try:
        with vicino.open(folder, mode="r") as database:
            collection = database["rows"]
            idle_us = report.median_us(collection.count, 1000)
            with subprocess.Popen(command, cwd=report.ROOT, stdout=subprocess.PIPE, text=True) as writer:
                seen: list[float] = []
                end = time.monotonic() + WAIT_S + writes * pause_s
                while len(seen) < writes:
                    if collection.count() > len(seen):
                        seen += [time.monotonic()] * (collection.count() - len(seen))
                    if time.monotonic() > end:
                        raise TimeoutError(f"{len(seen)} of {writes} writes were seen")
                    time.sleep(poll_s)
                moments = json.loads(writer.communicate(timeout=WAIT_S)[0])
            checksum = report.checksum(sorted(view.id for view in collection.iter(select=())))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "after_return_ms": report.spread((at - returned) * 1e3 for at, (_, returned) in zip(seen, moments, strict=True)),
        "after_begin_ms": report.spread((at - began) * 1e3 for at, (began, _) in zip(seen, moments, strict=True)),
        "look_us": idle_us,
        "results_checksum": checksum,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--writes", type=int, default=200)
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between writes")
    parser.add_argument("--writer", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.writer is not None:
        write(options.writer, options.writes, options.pause)
        return
    folder = report.WORK / "multi"
    measured = {
        f"polling every {poll_s * 1e3:g} ms": follow(folder, options.writes, options.pause, poll_s) for poll_s in (0.001, 0.0)
    }
    polled = measured["polling every 1 ms"]
    figures = [
        report.Figure.at_most("a reading process behind its writer, median", polled["after_return_ms"]["median"], LIMIT_MS, "ms"),
        report.Figure("a look that finds nothing new", "", f"{polled['look_us']:.1f} us"),
    ]
    report.write("multi", figures, data={"set": "constant vectors", "n": options.writes, "dim": DIM, "dtype": "float32"}, cases=measured)


if __name__ == "__main__":
    main()
