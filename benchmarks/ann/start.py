"""Starts tasks, each in a process of its own with the peers' interpreter, and writes what a table found.

A peer that does not install, fails or takes too long is part of the result, with the reason, and spoils nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import report
from benchmarks.ann import data, registry, truth
from benchmarks.ann.truth import K
from benchmarks.environments import MissingPeer, shared_interpreter

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "LANCE_CPU_THREADS", "TOKIO_WORKER_THREADS")
QUIET = {"ANONYMIZED_TELEMETRY": "False", "RUST_LOG": "error", "LANCE_LOG": "error", "TF_CPP_MIN_LOG_LEVEL": "3"}


class PeerFailed(Exception):
    """A task's process ended without an answer; the message holds the end of what it printed."""


def run(task: dict[str, Any], peers: Sequence[str], options: Namespace) -> dict[str, Any]:
    """A task's answer, or {"error": why}."""
    threads = task.get("threads", 1)
    environment = os.environ | QUIET | dict.fromkeys(THREADS, str(threads)) | {"PYTHONPATH": str(report.ROOT)}
    print(f"{task['task']}: {', '.join(peers)}", flush=True)
    try:
        python = shared_interpreter(sorted({package for peer in peers for package in registry.PEERS[peer].packages}))
        command = [str(python), "-m", "benchmarks.ann.child", json.dumps(task)]
        return answer_of(command, environment, options.timeout)
    except (MissingPeer, PeerFailed) as failed:
        error = f"{', '.join(peers)}: {failed}"
    print(error, file=sys.stderr, flush=True)
    return {"error": error}


def answer_of(command: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> dict[str, Any]:
    """What the process writes to stdout, as JSON. What it says on stderr is passed on line by line, and its end stands in the error."""
    last = ""
    with tempfile.TemporaryFile() as out:
        with subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, env=environment, cwd=report.ROOT, text=True) as process:
            timer = threading.Timer(timeout_s, process.kill)
            timer.start()
            assert process.stderr is not None
            for line in process.stderr:
                sys.stderr.write(line)
                last = line.strip() or last
        timed_out = timer.finished.is_set()
        timer.cancel()
        if timed_out:
            raise PeerFailed(f"no answer within {timeout_s:g} s")
        out.seek(0)
        answer = out.read()
    if process.returncode or not answer:
        raise PeerFailed(f"exit status {process.returncode}: {last}")
    return json.loads(answer)


def task_of(name: str, options: Namespace, **more: Any) -> dict[str, Any]:
    common = {"task": name, "set": options.set, "n": options.rows, "n_queries": options.queries, "seconds": options.seconds}
    kept = {"keep": str(options.keep.resolve())} if options.keep else {}
    return common | kept | more


def prepare(options: Namespace, n: int | None = None) -> dict[str, Any]:
    """Draws the set and computes its truth before anything is measured; the facts about it."""
    dataset = data.load(options.set, n or options.rows, options.queries, is_mapped=True)
    truth.load(dataset)
    return dataset.describe(K)


def write(table: str, options: Namespace, figures: Sequence[report.Figure], **content: Any) -> None:
    """Writes the result of a table, with the command that repeats it."""
    facts = {"threads": 1, "rounds": options.rounds, "seconds_per_setting": options.seconds}
    path = report.write(
        f"ann_{table}_{options.set}", figures, command=report.command_of("ann", sys.argv[1:]), measured_with=facts, **content
    )  # fmt: skip
    print(path)


def draw(table: str, options: Namespace, text: str, *, of: str | None = None) -> None:
    """Writes a chart beside the result. of: which one, where a table has several."""
    report.RESULTS.mkdir(parents=True, exist_ok=True)
    name = "_".join(part for part in ("ann", table, options.set, of) if part)
    (report.RESULTS / f"{name}.svg").write_text(text, encoding="utf-8")
