"""How fast does a batch of vectors become durable, and how fast searchable by index, beside four other embedded databases?

Answers: vectors per second from an empty database to the last acknowledged batch (burst), and to the moment every row is in the index that
searches use (sustained, the build included), for vicino also without asking for it (until background work has indexed all rows); time of
reopening in a new process; bytes on disk and in memory per record; recall and time of each peer's default search on what it built. Peers
take turns over several rounds, each in its own process and environment.
Does not answer: ingest of fields or text, concurrent writers, search speed at equal recall (recall differs from peer to peer, and stands
beside the times). Graphs are built with 16 links and a build beam of 200 everywhere but in vicino and lancedb, which have their own. What
an acknowledged write is worth differs: the fsyncs counted per batch say what reached the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.datasets import Dataset, exact_neighbors, load_dataset, recall
from benchmarks.environments import PACKAGES, MissingPeer, interpreter

K = 10
BATCH = 1000
DRIVER = Path(__file__).parent / "peers" / "driver.py"
SYNC_CALLS = "fsync,fdatasync,sync_file_range,msync"
PHASE_TIMEOUT_S = 900.0
INDEXED_PER_S_MIN = 12_000
"""Of 384 dimensions, by one core: the bar of rows that become durable, coded and part of a graph."""


class PeerFailed(Exception):
    """A peer's process ended without an answer; the message holds the end of what it printed."""


def run_phase(task: dict[str, Any], *, prefix: Sequence[str] = (), timeout_s: float = PHASE_TIMEOUT_S) -> dict[str, Any]:
    """One phase of one peer in a new process. prefix: a command to run it under."""
    python = interpreter(task["peer"])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if task["peer"] == "vicino":
        environment["PYTHONPATH"] = str(report.ROOT)
    command = [*prefix, str(python), str(DRIVER), json.dumps(task)]
    try:
        done = subprocess.run(command, capture_output=True, env=environment, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise PeerFailed(f"{task['peer']}, phase {task['phase']}: no answer within {timeout_s:g} s") from error
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise PeerFailed(f"{task['peer']}, phase {task['phase']}: exit status {done.returncode}: {' '.join(last)}")
    return json.loads(done.stdout) if done.stdout else {}


def syncs_per_batch(task: dict[str, Any], folder: Path) -> float | None:
    """Calls that force bytes to the disk per acknowledged batch, counted by strace; None where strace is not there.

    Counted over 5 and over 25 batches: the difference leaves out what creating the database costs.
    """
    if shutil.which("strace") is None:
        return None
    counts = []
    for n_batches in (5, 25):
        path, log = folder / f"strace-{n_batches}", folder / "strace.log"
        phase = {**task, "phase": "write", "path": str(path), "n": min(task["n"], n_batches * 100), "batch": 100}
        run_phase(phase, prefix=["strace", "-f", "-o", str(log), "-e", f"trace={SYNC_CALLS}"])
        counts.append(len(re.findall(rf"\b(?:{SYNC_CALLS.replace(',', '|')})\(", log.read_text(errors="replace"))))
        shutil.rmtree(path)
    return (counts[1] - counts[0]) / 20


def run_round(task: dict[str, Any], folder: Path, truth: Any) -> dict[str, Any]:
    """One round of one peer: ingest in one process, reopen in another."""
    path = folder / "database"
    shutil.rmtree(path, ignore_errors=True)
    try:
        result = run_phase({**task, "phase": "ingest", "path": str(path)})
        result["disk_bytes"] = report.folder_bytes(path)
        result |= run_phase({**task, "phase": "reopen", "path": str(path)})
        if task["peer"] == "vicino":
            shutil.rmtree(path)
            result |= run_phase({**task, "phase": "background", "path": str(path)})
    finally:
        shutil.rmtree(path, ignore_errors=True)
    result["recall"] = recall(result["found"], truth)
    return result


def summarize(rounds: list[dict[str, Any]], n: int) -> dict[str, Any]:
    """One peer's rounds as medians and spreads."""
    return {
        "version": rounds[0]["version"],
        "acknowledged": rounds[0]["acknowledged"],
        "durable_per_s": report.spread(n / found["durable_s"] for found in rounds),
        "indexed_per_s": report.spread(n / found["indexed_s"] for found in rounds),
        **({"settled_per_s": report.spread(n / found["settled_s"] for found in rounds)} if "settled_s" in rounds[0] else {}),
        "build_share": report.spread(1 - found["durable_s"] / found["indexed_s"] for found in rounds),
        "batch_ms": report.spread(found["batch_s_median"] * 1e3 for found in rounds),
        "batch_ms_max": report.spread(found["batch_s_max"] * 1e3 for found in rounds),
        "open_ms": report.spread(found["open_s"] * 1e3 for found in rounds),
        "first_query_ms": report.spread(found["first_query_s"] * 1e3 for found in rounds),
        "query_us": report.spread(found["query_us"] for found in rounds),
        "recall_at_10": report.spread(found["recall"] for found in rounds),
        "disk_bytes_per_record": report.spread(found["disk_bytes"] / n for found in rounds),
        "memory_bytes_per_record": report.spread(found["memory"]["rss"] / n for found in rounds),
        "anonymous_bytes_per_record": report.spread(found["memory"]["anonymous"] / n for found in rounds),
        "ingest_peak_bytes_per_record": report.spread(found["memory_peak"] / n for found in rounds),
        "results_checksum": report.checksum(rounds[0]["found"]),
    }


def measure(data: Dataset, peers: Sequence[str], *, rounds: int, threads: int, folder: Path) -> dict[str, Any]:
    """Every peer's summary, or {"error": why} for one that does not install or fails."""
    folder.mkdir(parents=True, exist_ok=True)
    vectors, queries = folder / "vectors.npy", folder / "queries.npy"
    np.save(vectors, data.base)
    np.save(queries, data.queries)
    truth = exact_neighbors(data.base, data.queries, K)
    n, dim = data.base.shape
    common = {"vectors": str(vectors), "queries": str(queries), "n": n, "dim": dim, "batch": BATCH, "k": K, "threads": threads}
    found: dict[str, list[dict[str, Any]]] = {peer: [] for peer in peers}
    failed: dict[str, str] = {}
    syncs: dict[str, float | None] = {}
    for turn in range(rounds):
        # Another one begins each round, so that no peer always follows the same neighbor.
        for peer in [*peers[turn % len(peers) :], *peers[: turn % len(peers)]]:
            if peer in failed:
                continue
            task = {**common, "peer": peer}
            try:
                if peer not in syncs:
                    syncs[peer] = syncs_per_batch(task, folder)
                found[peer].append(run_round(task, folder, truth))
                durable_s, indexed_s = found[peer][-1]["durable_s"], found[peer][-1]["indexed_s"]
                print(f"round {turn + 1}, {peer}: durable {n / durable_s:,.0f}/s, indexed {n / indexed_s:,.0f}/s", flush=True)
            except (MissingPeer, PeerFailed) as error:
                failed[peer] = str(error)
                print(f"round {turn + 1}, {error}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    return {
        peer: {"error": failed[peer]} if peer in failed else summarize(found[peer], n) | {"syncs_per_batch": syncs[peer]} for peer in peers
    }


def figures(measured: dict[str, Any], *, dim: int, threads: int) -> list[report.Figure]:
    lines: list[report.Figure] = []
    for peer, found in measured.items():
        if "error" in found:
            lines.append(report.Figure(f"ingest, {peer}", "", found["error"]))
            continue
        settled = f" and {found['settled_per_s']['median']:,.0f}/s by background work" if "settled_per_s" in found else ""
        got = (
            f"{found['durable_per_s']['median']:,.0f}/s durable, {found['indexed_per_s']['median']:,.0f}/s indexed{settled} "
            f"({found['build_share']['median']:.0%} of the time after the last write), "
            f"recall {found['recall_at_10']['median']:.3f} at {found['query_us']['median']:,.0f} us, "
            f"reopen {found['open_ms']['median']:.1f} + {found['first_query_ms']['median']:.1f} ms, "
            f"{found['disk_bytes_per_record']['median']:,.0f} B disk, {found['memory_bytes_per_record']['median']:,.0f} B memory"
        )
        lines.append(report.Figure(f"ingest, {peer}", "", got))
    ours = measured.get("vicino", {})
    if "indexed_per_s" in ours and (dim, threads) == (384, 1):
        least = ours["indexed_per_s"]["min"]
        target, got = f">= {INDEXED_PER_S_MIN:,}/s", f"{least:,.0f}/s at least"
        lines.append(report.Figure("ingest, vicino, indexed by one core", target, got, least >= INDEXED_PER_S_MIN))
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=100_000, help="records")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--peers", nargs="*", default=list(PACKAGES), choices=list(PACKAGES), help="databases beside vicino")
    parser.add_argument("--name", default="ingest", help="name of the result file")
    options = parser.parse_args(arguments)
    data = load_dataset(options.n, options.queries)
    measured = measure(data, ["vicino", *options.peers], rounds=options.rounds, threads=options.threads, folder=report.WORK / "ingest")
    described = data.describe(K) | {"batch": BATCH, "threads": options.threads, "rounds": options.rounds}
    lines = figures(measured, dim=data.base.shape[1], threads=options.threads)
    report.write(options.name, lines, data=described, peers=measured)


if __name__ == "__main__":
    main()
