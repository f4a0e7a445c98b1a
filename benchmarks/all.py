"""Runs every benchmark, one after another, each in its own process, and prints one table: figure, target, got.

    python -m benchmarks.all

Answers: whether this machine and commit meet every stated figure, within 25 minutes on two cores. For that, `ingest` runs one
round and `text_speed` one over fewer passages; by themselves they run three.
Does not answer: anything its parts do not; each states its own limits at its top.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report

PLAN: dict[str, list[str]] = {
    "import_time": [],
    "overhead": [],
    "multi": [],
    "default_search": [],
    "head_scan": [],
    "declared_recall": ["--n", "20000", "--queries", "3000"],
    "churn": [],
    "open_time": [],
    "relevance": [],
    "interrupts": ["--times", "5"],
    "text_speed": ["--passages", "100000", "--sparse", "60000", "--rounds", "1", "--sparse-rounds", "1"],
    "ingest": ["--rounds", "1"],
    "ivf_larger_than_ram": ["--n", "200000"],
    "graph_larger_than_ram": ["--n", "50000"],
}
"""Benchmark -> arguments."""
QUICK = {
    "import_time": ["--runs", "3"],
    "overhead": ["--rounds", "2", "--repeats", "200"],
    "multi": ["--writes", "10"],
    "head_scan": ["--sizes", "3000", "--rounds", "2", "--block", "10", "--queries", "20"],
    "default_search": ["--n", "12000", "--queries", "50", "--segments", "2"],
    "declared_recall": ["--n", "6000", "--queries", "400", "--repeats", "5", "--sets", "l2sift128"],
    "churn": ["--n", "12000", "--cycles", "2", "--queries", "50", "--seconds", "1"],
    "open_time": ["--n", "5000", "--runs", "3", "--collections", "50", "--log-mib", "4"],
    "interrupts": ["--n", "20000", "--times", "1"],
    "text_speed": ["--passages", "2000", "--sparse", "1000", "--queries", "20", "--checked", "20", "--rounds", "1", "--peers"],
    "ingest": ["--n", "5000", "--rounds", "1", "--peers"],
    "ivf_larger_than_ram": ["--n", "40000", "--queries", "20", "--share", "1.25"],
    "graph_larger_than_ram": ["--set", "l2sift128", "--n", "9000", "--queries", "10", "--share", "4", "--kinds", "disk", "graph"],
}
"""The same with parameters that take seconds, to see that every part runs."""


def run(name: str, arguments: Sequence[str], results: Path) -> list[report.Figure]:
    """One benchmark in its own process; its figures, or one line that says how it failed."""
    result = results / f"{name}.json"
    before = result.stat().st_mtime_ns if result.exists() else 0
    start = time.perf_counter()
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    print(f"{report.command_of(name, arguments)}", flush=True)
    done = subprocess.run(command, cwd=report.ROOT, env={**os.environ, "VICINO_BENCH_RESULTS": str(results)}, check=False)
    print(f"  {time.perf_counter() - start:.0f} s\n", flush=True)
    if done.returncode or not result.exists() or result.stat().st_mtime_ns == before:
        return [report.Figure(name, "runs", f"exit status {done.returncode}", met=False)]
    figures = json.loads(result.read_text())["figures"]
    return [report.Figure(**figure) for figure in figures]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="parameters that take seconds; results go to build/bench/quick")
    parser.add_argument("--only", nargs="*", choices=list(PLAN), help="run these alone")
    options = parser.parse_args(arguments)
    plan, results = (QUICK, report.WORK / "quick") if options.quick else (PLAN, report.RESULTS)
    chosen = {name: given for name, given in plan.items() if not options.only or name in options.only}
    start = time.perf_counter()
    figures = [figure for name, given in chosen.items() for figure in run(name, given, results)]
    print(report.table(figures))
    print(f"\n{time.perf_counter() - start:.0f} s on commit {report.commit()}")
    if any(figure.met is False for figure in figures):
        sys.exit(1)


if __name__ == "__main__":
    main()
