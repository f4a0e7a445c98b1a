"""One function per table: starts the tasks, each in a process of its own, and writes what they found, with a chart where one says more.

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
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks import report
from benchmarks.ann import data, plot, registry, truth
from benchmarks.ann.measure import TARGETS, frontier, points
from benchmarks.ann.truth import K
from benchmarks.environments import MissingPeer, shared_interpreter

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "LANCE_CPU_THREADS", "TOKIO_WORKER_THREADS")
QUIET = {"ANONYMIZED_TELEMETRY": "False", "RUST_LOG": "error", "LANCE_LOG": "error", "TF_CPP_MIN_LOG_LEVEL": "3"}
GROWTH = (10_000, 30_000, 100_000, 300_000, 1_000_000)


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
    return common | more


def prepare(options: Namespace, n: int | None = None) -> dict[str, Any]:
    """Draws the set and computes its truth before anything is measured; the facts about it."""
    dataset = data.load(options.set, n or options.rows, options.queries)
    truth.load(dataset)
    return dataset.describe(K)


def write(table: str, options: Namespace, figures: Sequence[report.Figure], **content: Any) -> None:
    facts = {"threads": 1, "rounds": options.rounds, "seconds_per_setting": options.seconds}
    path = report.write(
        f"ann_{table}_{options.set}", figures, command=report.command_of("ann", sys.argv[1:]), measured_with=facts, **content
    )  # fmt: skip
    print(path)


def draw(table: str, options: Namespace, text: str) -> None:
    report.RESULTS.mkdir(parents=True, exist_ok=True)
    (report.RESULTS / f"ann_{table}_{options.set}.svg").write_text(text, encoding="utf-8")


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def curves(options: Namespace) -> None:
    """Recall against rate of every index, single and in batches."""
    described = prepare(options)
    names = options.peers or list(registry.INDEXES)
    found = {name: run(task_of("curve", options, peer=name), [name], options) for name in names}
    lines = []
    for name, got in found.items():
        if "error" in got:
            lines.append(report.Figure(name, "", got["error"]))
            continue
        single, batch = got["qps_at_recall"]["single"], got["qps_at_recall"]["batch"]
        rates = ", ".join(f"{_rate(single[target])} (batch {_rate(batch[target])}) at {target}" for target in single)
        lines.append(report.Figure(name, "", f"{rates}; built in {got['build_s']:.1f} s, {_rate(got.get('hot_bytes_per_row'))} B/row hot"))
    best = {name: frontier(points(got.get("rows", []))) for name, got in found.items()}
    charted = {name: [(point.recall, 1 / point.seconds) for point in line if point.recall >= 0.8] for name, line in best.items()}
    if any(charted.values()):
        draw("curves", options, curve_chart(f"{options.set}, {described['n']:,} × {described['dim']}, one thread", charted))
    write("curves", options, lines, data=described, peers=found)


def curve_chart(title: str, lines: dict[str, list[tuple[float, float]]]) -> str:
    lines = {name: points for name, points in lines.items() if points}
    rates = [rate for points in lines.values() for _, rate in points]
    return plot.chart(title, plot.recall_axis(0.8), plot.log_axis("queries per second", rates), lines)


def duel(options: Namespace) -> None:
    """Ratio of one system (--against decides which, vicino unless said) to each of the others at equal recall."""
    described = prepare(options)
    found = {}
    for name in options.peers or ["symphonyqg", "hnswlib"]:
        task = task_of("duel", options, first=options.against, second=name, targets=options.targets, bands=options.bands)
        found[name] = run(task, [options.against, name], options)
    lines = []
    for name, got in found.items():
        for fight in got.get("fights", []):
            band = "" if fight["band"] == "none" else f", {fight['band']},"
            title = f"{options.against} / {name}{band} at {fight['recall']:g}"
            if "error" in fight:
                lines.append(report.Figure(title, "", fight["error"]))
                continue
            rates = " against ".join(f"{side['qps']:,.0f}/s" for side in fight["sides"].values())
            span = f"{fight['ratio_low']:.3f} at least ({fight['ratio']:.3f}, at most {fight['ratio_high']:.3f})"
            span += f", {fight['processor_ratio']:.3f} in processor time"
            lines.append(report.Figure(title, "", f"{span}; {rates}"))
        if "error" in got:
            lines.append(report.Figure(f"{options.against} / {name}", "", got["error"]))
    table = "duel" if options.against == "vicino" else f"duel_{options.against}"
    write(table, options, lines, data=described, against=options.against, duels=found)


def build(options: Namespace) -> None:
    """Whole builds, the peers taking turns, and recall at equal beams."""
    described = prepare(options)
    names = options.peers or ["vicino", "hnswlib", "symphonyqg", "faiss-hnsw", "usearch"]
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    failed: dict[str, str] = {}
    for _ in range(options.rounds):
        for name in names:
            if name in failed:
                continue
            got = run(task_of("build", options, peer=name, threads=options.threads), [name], options)
            if "error" in got:
                failed[name] = got["error"]
            else:
                rounds[name].append(got)
    found: dict[str, Any] = {}
    lines = []
    for name, runs in rounds.items():
        if name in failed or not runs:
            found[name] = {"error": failed.get(name, "no round was run")}
            lines.append(report.Figure(name, "", found[name]["error"]))
            continue
        spreads = {key: report.spread(run[key] for run in runs) for key in ("build_s", "build_cpu_s", "rows_per_s", "peak_rss_bytes")}
        found[name] = runs[-1] | spreads
        beams = ", ".join(f"{recall:.4f} at beam {beam}" for beam, recall in runs[-1].get("recall_at_beam", {}).items())
        got = f"{spreads['build_s']['median']:.2f} s, {spreads['rows_per_s']['median']:,.0f} rows/s; recall {beams or '-'}"
        lines.append(report.Figure(name, "", got))
    write("build", options, lines, data=described, build_threads=options.threads, peers=found)


def filtered(options: Namespace) -> None:
    """Recall against rate of every band, for databases through their ordinary query."""
    names = options.peers or ["vicino-db", "zvec", "qdrant", "chroma", "lance", "pgvector", "vicino", "hnswlib", "faiss-hnsw", "turbovec"]
    _bands("filtered", options, names)


def databases(options: Namespace) -> None:
    """Ingest, index, reopen, and every band of filters, through each database's own face."""
    _bands("databases", options, options.peers or list(registry.DATABASES))


def _bands(table: str, options: Namespace, names: Sequence[str]) -> None:
    described = prepare(options)
    found = {
        name: run(task_of("filtered", options, peer=name, n_settings=options.settings, bands=options.bands), [name], options)
        for name in names
    }
    lines = []
    for name, got in found.items():
        if "error" in got:
            lines.append(report.Figure(name, "", got["error"]))
            continue
        if "ingest_s" in got:
            rates = f"{described['n'] / got['ingest_s']:,.0f} rows/s in, {got['rows_per_s']:,.0f} rows/s to indexed"
            steps = f"{rates}, {got['disk_bytes_per_row']:,.0f} B/row disk, reopen {got['reopen_s'] * 1e3:.0f} ms"
            lines.append(report.Figure(f"{name}, ingest", "", steps))
        for band in options.bands:
            lines.append(report.Figure(f"{name}, {band}", "", _reached(got["bands"][band])))  # noqa: PERF401  (the other lines come between)
    write(table, options, lines, data=described, peers=found)


def _reached(band: dict[str, Any], target: str = "0.95") -> str:
    rate = band["qps_at_recall"][target]
    if rate is not None:
        return f"{rate:,.0f}/s at a recall of {target}"
    best = max(band["rows"], key=lambda row: row["recall"])
    return f"reaches {best['recall']:.3f}, at {best['qps']:,.0f}/s"


def growth(options: Namespace) -> None:
    """Time and rows scored at one recall, from 10,000 rows to --rows."""
    largest = data.load(options.set, options.rows, 1)
    sizes = [n for n in GROWTH if n < len(largest.base)] + [len(largest.base)]
    names = options.peers or ["vicino", "hnswlib", "symphonyqg"]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    described = {}
    for n in sizes:
        described = prepare(options, n)
        for name in names:
            found[name].append(run(task_of("growth", options, peer=name, target=options.targets[0]) | {"n": n}, [name], options))
    lines = []
    for name, runs in found.items():
        for n, got in zip(sizes, runs, strict=True):
            scored = f", {got['rows_scored']:,.0f} rows scored" if got.get("rows_scored") else ""
            lines.append(report.Figure(f"{name}, {n:,} rows", "", got["error"] if "error" in got else f"{got['qps']:,.0f}/s{scored}"))
        both = [got["rows_scored"] for got in runs if got.get("rows_scored")]
        if len(both) == len(sizes) > 1:
            lines.append(report.Figure.at_most(f"{name}, growth of rows scored", both[-1] / both[0], 2.5, "x"))
    charted = {name: [(got["n"], got["qps"]) for got in runs if "qps" in got] for name, runs in found.items()}
    charted = {name: points for name, points in charted.items() if points}
    if charted:
        rates = [rate for points in charted.values() for _, rate in points]
        title = f"{options.set} at a recall of {options.targets[0]:g}, one thread"
        draw("growth", options, plot.chart(title, plot.log_axis("rows", sizes), plot.log_axis("queries per second", rates), charted))
    write("growth", options, lines, data=described, target=options.targets[0], sizes=sizes, peers=found)


def batch(options: Namespace) -> None:
    """What a batch gains over single queries, and two threads over one."""
    described = prepare(options)
    names = options.peers or ["vicino", "vicino-db", "symphonyqg", "hnswlib", "faiss-ivf-pq"]
    found = {}
    for name in names:
        found[name] = run(task_of("batch", options, peer=name, targets=options.targets, threads=options.threads), [name], options)
    lines = []
    for name, got in found.items():
        for target, one in got.get("targets", {}).items():
            spans = {way.replace("_", " "): span for way, span in one.items() if "over" in way}
            ratios = [f"{way} {span['low']:.2f} at least ({span['median']:.2f})" for way, span in spans.items()]
            lines.append(report.Figure(f"{name} at {target}", "", one.get("error") or ", ".join(ratios)))
        if "error" in got:
            lines.append(report.Figure(name, "", got["error"]))
    write("batch", options, lines, data=described, batch=described["queries"], batch_threads=options.threads, peers=found)


TABLES: dict[str, Callable[[Namespace], None]] = {
    table.__name__: table for table in (curves, duel, build, filtered, growth, batch, databases)
}  # fmt: skip
DEFAULT_BANDS = {"duel": ["none"]}
DEFAULT_TARGETS = {"growth": [0.95], "duel": list(TARGETS), "batch": [0.95, 0.99]}
