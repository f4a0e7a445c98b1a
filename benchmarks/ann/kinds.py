"""The table of our kinds of indexes: each beside its classic implementation, and what "auto" stands for beside the best of them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import Any

from benchmarks import report
from benchmarks.ann import duels, start
from benchmarks.ann.start import prepare, task_of, write

AUTO = "vicino"
"""What index="auto" builds of every set here."""
OWN = (
    "vicino-hnsw", "vicino-ivf-flat", "vicino-ivf-hnsw", "vicino-ivf-coded", "vicino-ivf-coded-copies", "vicino-ivf-pq", "vicino-ivf-opq",
)  # fmt: skip
CLASSICS = (
    ("vicino-hnsw", "hnswlib"),
    ("vicino-hnsw", "faiss-hnsw"),
    ("vicino-ivf-flat", "faiss-ivf-flat"),
    ("vicino-ivf-hnsw", "faiss-ivf-hnsw"),
    ("vicino-ivf-coded", "rabitq-ivf"),
    ("vicino-ivf-pq", "faiss-ivf-pq"),
    ("vicino-ivf-pq", "faiss-ivf-pq-sq8"),
    ("vicino-ivf-opq", "faiss-ivf-pq"),
    ("vicino-ivf-opq", "faiss-ivf-pq-sq8"),
)
"""Our kind, and who is known for it."""
AUTO_SHARE = 0.9
"""What "auto" is to reach of the best of our kinds."""


def kinds(options: Namespace) -> None:
    """Our kinds beside their classic implementations, and the default beside the best of our kinds, single and in batches."""
    described = prepare(options)
    usual = dict.fromkeys([AUTO, *OWN, *(classic for _, classic in CLASSICS)])
    names = list(options.peers or usual)
    pairs = [pair for pair in (*CLASSICS, *((AUTO, name) for name in OWN)) if set(pair) <= set(names)]
    got = start.run(task_of("kinds", options, peers=names, pairs=pairs, targets=options.targets), names, options)
    if "error" in got:
        write("kinds", options, [report.Figure("kinds", "", got["error"])], data=described)
        return
    lines = [report.Figure(name, "", facts["error"]) for name, facts in got["built"].items() if "error" in facts]
    for way, contests in got["contests"].items():
        for found in contests:
            lines += _lines(f"{way} at {found['recall']:g}", found)
    write("kinds", options, lines, data=described, **got)


def _lines(where: str, found: dict[str, Any]) -> list[report.Figure]:
    ratios = {(pair["first"], pair["second"]): pair for pair in found["pairs"]}
    lines = []
    for first, second in CLASSICS:
        title = f"{first} / {second}, {where}"
        if pair := ratios.get((first, second)):
            lines.append(duels.line_of(title, pair | {"sides": {name: found["sides"][name] for name in (first, second)}}))
        else:
            lines += [report.Figure(title, "", found["short"][name]) for name in (first, second) if name in found["short"]]
    rates = {name: found["sides"][name]["qps"] for name in OWN if (AUTO, name) in ratios}
    if rates:
        best = max(rates, key=rates.__getitem__)
        pair = ratios[AUTO, best] | {"sides": {name: found["sides"][name] for name in (AUTO, best)}}
        lines.append(duels.line_of(f"auto / {best}, the best of our other kinds, {where}", pair, AUTO_SHARE))
    return lines


TABLES: dict[str, Callable[[Namespace], None]] = {"kinds": kinds}
DEFAULT_TARGETS = {"kinds": [0.9, 0.95, 0.99]}
