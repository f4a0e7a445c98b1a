"""The command line of `python -m benchmarks.ann`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks import ann, report
from benchmarks.ann import data, duels, filters, kinds, registry, tables

TABLES = tables.TABLES | duels.TABLES | kinds.TABLES
DEFAULT_TARGETS = tables.DEFAULT_TARGETS | duels.DEFAULT_TARGETS | kinds.DEFAULT_TARGETS
ALL_BANDS = ("filtered", "databases")
"""Tables that show every band of filters unless told which; the others show searches without a filter."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ann", description=(ann.__doc__ or "").splitlines()[0])
    parser.add_argument("table", choices=list(TABLES))
    parser.add_argument("--set", default="debian", choices=list(data.SETS))
    parser.add_argument("--peers", nargs="+", choices=list(registry.PEERS), help="which systems; the table's usual ones unless given")
    parser.add_argument("--against", default="vicino", choices=list(registry.PEERS), help="duel: the side that is compared with the others")
    parser.add_argument("--rows", type=int, help="rows of the set; all of a real one, the usual number of a drawn one unless given")
    parser.add_argument("--queries", type=int, default=data.N_QUERIES, help="at most so many queries")
    parser.add_argument("--targets", type=float, nargs="+", help="recalls to read at: duels, kinds, growth, batch")
    parser.add_argument(
        "--bands", nargs="+", choices=list(filters.ALL_BANDS), help="filters of duels (none unless given), filtered, databases"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="per setting; duels, kinds and batch: per recall")
    parser.add_argument("--rounds", type=int, default=3, help="build: how often every peer builds")
    parser.add_argument("--settings", type=int, default=16, help="curves, filtered, databases: at most so many of a peer")
    parser.add_argument("--threads", type=int, default=None, help="build: 1 unless given; batch: 2 unless given")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds after which a peer is given up")
    parser.add_argument("--keep", type=Path, help="folder of built indexes: those that lie there are loaded, others are built and kept")
    parser.add_argument("--out", type=Path, help="folder for the results, benchmarks/results unless given")
    options = parser.parse_args(arguments)
    options.targets = options.targets or DEFAULT_TARGETS.get(options.table)
    options.bands = options.bands or (list(filters.ALL_BANDS) if options.table in ALL_BANDS else ["none"])
    options.threads = options.threads or (2 if options.table == "batch" else 1)
    if options.threads > len(os.sched_getaffinity(0)):
        parser.error(f"--threads {options.threads}: this process may use {len(os.sched_getaffinity(0))} cores")
    if options.table == "keep" and not options.keep:
        parser.error("keep needs --keep FOLDER, where the indexes are to lie")
    if options.out:
        report.RESULTS = options.out
    try:
        TABLES[options.table](options)
    except data.TooSmall as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
