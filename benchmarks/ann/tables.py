"""Tables of one system after another: curves, builds, filters, growth, batches, databases. `duels` and `kinds` oppose systems."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import report
from benchmarks.ann import data, plot, registry, start
from benchmarks.ann.measure import frontier, points
from benchmarks.ann.start import draw, prepare, task_of, write

BATCH = 1000  # queries, as the bar has it
GROWTH = (10_000, 30_000, 100_000, 300_000, 1_000_000)
CURVES = ("vicino", "vicino-hnsw", "vicino-ivf-coded", "symphonyqg", "hnswlib", "faiss-hnsw", "faiss-ivf-pq", "rabitq-ivf")
"""What the chart of a set shows unless peers are named: more lines than these are hard to tell apart."""
BUILD_TARGET_ROWS = 100_000
BUILD_TARGETS = {"debian": 9.0, "synth768": 9.0}
"""Set -> how many times as fast as hnswlib a whole build of so many rows is to be, at no lower recall for an equal beam."""
CHARTS = {"single": ("qps", "one query at a time"), "batch": ("batch_qps", "queries in batches")}
"""Chart -> which rate it shows, and how its title says so."""


def curves(options: Namespace) -> None:
    """Recall against rate of indexes, single and in batches, with a chart of each."""
    described = prepare(options)
    names = options.peers or list(CURVES)
    found = {name: start.run(task_of("curve", options, peer=name, n_settings=options.settings), [name], options) for name in names}
    lines = []
    for name, got in found.items():
        if "error" in got:
            lines.append(report.Figure(name, "", got["error"]))
            continue
        single, batch = got["qps_at_recall"]["single"], got["qps_at_recall"]["batch"]
        rates = ", ".join(f"{_rate(single[target])} (batch {_rate(batch[target])}) at {target}" for target in single)
        lines.append(report.Figure(name, "", f"{rates}; {_index_of(got)}"))
    for chart, (rate, how) in CHARTS.items():
        best = {name: frontier(points(got.get("rows", []), rate)) for name, got in found.items()}
        charted = {name: [(point.recall, 1 / point.seconds) for point in line if point.recall >= 0.8] for name, line in best.items()}
        if any(charted.values()):
            title = f"{options.set}, {described['n']:,} × {described['dim']}, one thread, {how}"
            draw("curves", options, curve_chart(title, charted), of=chart)
    write("curves", options, lines, data=described, peers=found)


def _index_of(got: dict[str, Any]) -> str:
    took = f"built in {got['build_s']:.1f} s" if "build_s" in got else got["index"]
    memory = f"{_rate(got.get('hot_bytes_per_row'))} B/row hot, {_rate(got.get('total_bytes_per_row'))} in all"
    return f"{took}, {memory}, {_latency(got['rows'])}"


def _latency(rows: Sequence[dict[str, Any]], target: float = 0.95) -> str:
    """Of the fastest setting that finds enough."""
    enough = [row for row in rows if row["recall"] >= target]
    if not enough:
        return f"recall below {target:g}"
    best = max(enough, key=lambda row: row["qps"])
    median, slow, slowest = (best[f"latency_us_{at}"] for at in ("p50", "p95", "p99"))
    return f"latency {median:,.0f} / {slow:,.0f} / {slowest:,.0f} µs (p50, p95, p99) at {best['recall']:.3f}"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def curve_chart(title: str, lines: dict[str, list[tuple[float, float]]]) -> str:
    lines = {name: points for name, points in lines.items() if points}
    rates = [rate for points in lines.values() for _, rate in points]
    return plot.chart(title, plot.recall_axis(0.8), plot.log_axis("queries per second", rates), lines)


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
            got = start.run(task_of("build", options, peer=name, threads=options.threads), [name], options)
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
    if all("error" not in found.get(name, {"error": "not asked for"}) for name in ("vicino", "hnswlib")):
        target = BUILD_TARGETS.get(options.set) if described["n"] >= BUILD_TARGET_ROWS else None
        lines.append(_build_ratio(rounds["vicino"], rounds["hnswlib"], target))
    write("build", options, lines, data=described, build_threads=options.threads, peers=found)


def _build_ratio(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]], target: float | None) -> report.Figure:
    """How many times as fast every round was, and whether anything was lost for it."""
    ratios = report.spread(slow["build_s"] / fast["build_s"] for fast, slow in zip(ours, theirs, strict=True))
    wanted = theirs[-1]["recall_at_beam"]
    lower = [f"{beam} ({got:.4f} of {wanted[beam]:.4f})" for beam, got in ours[-1]["recall_at_beam"].items() if got < wanted[beam]]
    times = f"{ratios['min']:.2f} at least ({ratios['median']:.2f}, at most {ratios['max']:.2f})"
    got = f"{times}; recall lower at beams: {', '.join(lower) or 'none'}"
    if target is None:
        return report.Figure("vicino / hnswlib", "", got)
    return report.Figure("vicino / hnswlib", f">= {target:g}x, recall no lower", got, ratios["min"] >= target and not lower)


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
        name: start.run(task_of("filtered", options, peer=name, n_settings=options.settings, bands=options.bands), [name], options)
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
    largest = len(data.load(options.set, options.rows, 1, is_mapped=True).base)
    sizes = [n for n in GROWTH if n < largest] + [largest]
    names = options.peers or ["vicino", "hnswlib", "symphonyqg"]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    described = {}
    for n in sizes:
        described = prepare(options, n)
        for name in names:
            found[name].append(start.run(task_of("growth", options, peer=name, target=options.targets[0]) | {"n": n}, [name], options))
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
        task = task_of("batch", options, peer=name, targets=options.targets, threads=options.threads, batch=BATCH)
        found[name] = start.run(task, [name], options)
    lines = []
    for name, got in found.items():
        for target, one in got.get("targets", {}).items():
            spans = {way.replace("_", " "): span for way, span in one.items() if "over" in way}
            ratios = [f"{way} {span['low']:.2f} at least ({span['median']:.2f})" for way, span in spans.items()]
            lines.append(report.Figure(f"{name} at {target}", "", one.get("error") or ", ".join(ratios)))
        if "error" in got:
            lines.append(report.Figure(name, "", got["error"]))
    write("batch", options, lines, data=described, batch=BATCH, batch_threads=options.threads, peers=found)


def keep(options: Namespace) -> None:
    """Builds indexes into --keep, for later tables to load; writes no result."""
    prepare(options)
    for name in options.peers or ["symphonyqg", "hnswlib", "vicino"]:
        got = start.run(task_of("keep", options, peer=name), [name], options)
        print(got.get("error") or f"{name}: {got['index']}, {_rate(got.get('total_bytes_per_row'))} B/row", flush=True)


TABLES: dict[str, Callable[[Namespace], None]] = {
    table.__name__: table for table in (curves, build, filtered, growth, batch, databases, keep)
}  # fmt: skip
DEFAULT_TARGETS = {"growth": [0.95], "batch": [0.95, 0.99]}
