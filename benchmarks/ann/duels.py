"""Tables of duels: the default search beside others at equal recall, where nearly all is found, and over a million rows."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks import report
from benchmarks.ann import start
from benchmarks.ann.measure import TARGETS
from benchmarks.ann.start import prepare, task_of, write

MILLION = 1_000_000


class Bar(NamedTuple):
    """How many times as fast as a peer the default search is to be; recalls, is_filtered: where.

    at_most: where the peer answers no more queries a second.
    """

    peer: str
    ratio: float
    recalls: tuple[float, ...] = (0.95, 0.99)
    is_filtered: bool = False
    at_most: float = math.inf


BARS = (Bar("symphonyqg", 1.2), Bar("hnswlib", 3.5))
REAL_BARS = (Bar("symphonyqg", 1.3, (0.95,)), Bar("symphonyqg", 1.7, (0.99,)), Bar("hnswlib", 3.5))
DATABASE_BARS = (
    Bar("qdrant", 3.0, (0.95,)),
    Bar("zvec", 3.0, (0.95,)),
    Bar("qdrant", 3.0, (0.95,), is_filtered=True, at_most=7000),
    Bar("qdrant", 0.9, (0.95,), is_filtered=True),
)
HIGH_BARS = tuple(Bar(peer, 1.5, (0.999,)) for peer in ("turbovec", "turbovec-4bit", "hnswlib"))


def duel(options: Namespace) -> None:
    """Ratio of one system (--against decides which, vicino unless said) to each of the others at equal recall."""
    table = "duel" if options.against == "vicino" else f"duel_{options.against}"
    bars = {"vicino": REAL_BARS if options.set == "debian" else BARS, "vicino-db": DATABASE_BARS}
    _duels(table, options, ["symphonyqg", "hnswlib"], bars.get(options.against, ()))


def high_recall(options: Namespace) -> None:
    """The same where nearly everything is to be found, beside an exhaustive scan of codes with rescoring."""
    _duels("high_recall", options, ["turbovec", "turbovec-4bit", "hnswlib"], HIGH_BARS)


def million(options: Namespace) -> None:
    """The same over a million rows; with --keep, indexes that were built before are loaded."""
    options.rows = options.rows or MILLION
    _duels("million", options, ["symphonyqg", "hnswlib"], BARS)


def _duels(table: str, options: Namespace, usual: Sequence[str], bars: Sequence[Bar]) -> None:
    described = prepare(options)
    found = {}
    for name in options.peers or usual:
        task = task_of("duel", options, first=options.against, second=name, targets=options.targets, bands=options.bands)
        found[name] = start.run(task, [options.against, name], options)
    lines = []
    for name, got in found.items():
        for fight in got.get("fights", []):
            band = "" if fight["band"] == "none" else f", {fight['band']},"
            lines.append(line_of(f"{options.against} / {name}{band} at {fight['recall']:g}", fight, _asked(bars, name, fight)))
        if "error" in got:
            lines.append(report.Figure(f"{options.against} / {name}", "", got["error"]))
    write(table, options, lines, data=described, against=options.against, duels=found)


def _asked(bars: Sequence[Bar], name: str, fight: dict[str, Any]) -> float | None:
    """The first bar that a duel falls under."""
    rate, is_filtered = 0.0 if "error" in fight else fight["sides"][name]["qps"], fight["band"] != "none"
    fitting = (
        bar.ratio
        for bar in bars
        if bar.peer == name and fight["recall"] in bar.recalls and bar.is_filtered == is_filtered and rate <= bar.at_most
    )
    return next(fitting, None)


def line_of(title: str, fight: dict[str, Any], asked: float | None = None) -> report.Figure:
    """One ratio with its interval; the lower end of it is held against what is asked."""
    target = "" if asked is None else f">= {asked:g}x"
    if "error" in fight:
        return report.Figure(title, target, fight["error"], None if asked is None else False)
    span = f"{fight['ratio_low']:.3f} at least ({fight['ratio']:.3f}, at most {fight['ratio_high']:.3f})"
    span += f", {fight['processor_ratio']:.3f} in processor time"
    rates = " against ".join(f"{side['qps']:,.0f}/s" for side in fight["sides"].values())
    return report.Figure(title, target, f"{span}; {rates}", None if asked is None else fight["ratio_low"] >= asked)


TABLES: dict[str, Callable[[Namespace], None]] = {table.__name__: table for table in (duel, high_recall, million)}
DEFAULT_TARGETS = {"duel": list(TARGETS), "high_recall": [0.999], "million": list(TARGETS)}
