"""Does a declared recall hold, and what does it cost beyond the cheapest setting that would have held?

Answers: calibrates many times over, each time with a sample of its own (rows that are held out, as the engine takes them when it knows no
queries, or real queries), and judges each choice by ten thousand queries that no calibration has seen: the share of calibrations whose true
recall is below the target, and the cost of searches as a multiple of the cheapest effort that meets the target: in distances computed
where both walk, which can be repeated exactly; in processor time where one of them scans more than a few rows, vectors or codes, since a
distance costs a scan a fraction of what it costs a walk. Without a filter, under random filters that keep 50 to 2 % of the rows,
and under filters that follow the vectors and keep as many: half of the queries lie within what is kept, half far away. The engine does
not know of which kind a filter is and takes what both need. The selection itself is the engine's: `vicino.recall.curve` and `bound`.
Does not answer: how fast searches are (`ann` has the peers).

Every effort is measured once for every query; a calibration then is a choice of queries, so that hundreds of them cost little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

import vicino
from benchmarks import report
from benchmarks.ann import data as sets
from vicino import _core
from vicino.collection.core_columns import core_column
from vicino.recall.bound import histogram
from vicino.recall.calibration import SCAN_SHARE
from vicino.recall.curve import Curve, Step, efforts, extended
from vicino.recall.measuring import Bench, Work
from vicino.recall.sampling import Sample, draw, sample_size

K = 10
TARGETS = (0.90, 0.95, 0.99)
SHARES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02)
SETS = ("debian", "synth768", "l2sift128")
KINDS = ("random", "clustered")
BELOW_MAX, COST_MAX = 0.05, 2.0
RECALL_ENOUGH = 0.998
SCANNED_MAX = 0.1
"""A search that scans a smaller share of what it scores is one that walks."""
SEED = 11


@dataclass(frozen=True, slots=True)
class Table:
    """Recall of every query at every effort: recalls (queries, efforts). works, seconds: distances and processor time of a query.

    scan_seconds: time of a query that is answered by an exact scan.
    """

    efforts: list[int]
    recalls: npt.NDArray[np.float32]
    works: list[Work]
    seconds: npt.NDArray[np.float64]
    candidates: int
    scan_seconds: float

    def step(self, effort: int, queries: npt.NDArray[np.int64]) -> Step:
        """As the engine measures a step, from the queries of one calibration; the last effort stands for every larger one."""
        at = self.place(effort)
        return Step(effort, histogram(self.recalls[queries, at], K), self.works[at].cost)

    def place(self, effort: int) -> int:
        """Where in the table an effort is, or the next larger one."""
        return next((place for place, known in enumerate(self.efforts) if known >= effort), len(self.efforts) - 1)

    def costs(self, chosen: int, cheapest: int) -> float:
        """How many times as much one setting costs as another; the last place is the exact scan."""
        if max(chosen, cheapest) < len(self.works):
            one, other = self.works[chosen], self.works[cheapest]
            if all(work.scanned < SCANNED_MAX * work.scored for work in (one, other)):
                return one.scored / other.scored
        seconds = np.append(self.seconds, self.scan_seconds)
        return float(seconds[chosen] / seconds[cheapest])


def table(snapshot: Any, column: Any, sample: Sample, share: float, seed: int, *, clustered: bool) -> Table:
    """Measures until nothing more is to be found, or a scan costs as much."""
    bench = Bench(snapshot, column, sample, share=share, k_max=K, seed=seed, cancel=_core.Cancel(), clustered=clustered)
    tried, recalls, works, seconds = [], [], [], []
    start = time.process_time()
    bench.find_truth()
    scan_seconds = (time.process_time() - start) / len(sample)
    for effort in islice(efforts(K), 60):
        start = time.process_time()
        each, work = bench.each(K, effort, len(sample))
        seconds.append((time.process_time() - start) / len(sample))
        tried.append(effort)
        recalls.append(each[np.argsort(bench.numbers)].astype(np.float32))
        works.append(work)
        if each.mean() >= RECALL_ENOUGH or work.cost >= SCAN_SHARE * bench.candidates:
            break
    return Table(tried, np.stack(recalls, axis=1), works, np.array(seconds), bench.candidates, scan_seconds)


def choose(calibrating: Table, target: float, queries: npt.NDArray[np.int64]) -> Step | None:
    """The engine's choice from these queries; None for an exact scan."""

    def measure(effort: int, n: int) -> Step:
        return calibrating.step(effort, queries[:n])

    curve = Curve(K, 1.0, len(queries))
    return extended(curve, target, measure, cost_max=SCAN_SHARE * calibrating.candidates).chosen(target)


def repeats(
    calibrating: Sequence[Table], judging: Table, target: float, n: int, random: np.random.Generator, *, is_split: bool
) -> dict[str, Any]:
    """Many calibrations for one target. calibrating: of every kind of filter, the largest effort of which is taken.

    is_split: all tables are of the same queries, in the same order; each calibration keeps half of them from judging.
    """
    truth, cost = [], []
    for _ in range(n):
        order = random.permutation(len(judging.recalls) if is_split else len(calibrating[0].recalls))
        asked = order[: min(sample_size(target), len(order) // 2 if is_split else len(order))]
        judges = order[len(order) // 2 :] if is_split else slice(None)
        true_recall = np.append(judging.recalls[judges].mean(axis=0), 1.0)
        steps = [choose(one, target, asked) for one in calibrating]
        chosen = [step.effort for step in steps if step is not None]
        at = judging.place(max(chosen)) if len(chosen) == len(steps) else len(judging.efforts)
        truth.append(float(true_recall[at]))
        cost.append(judging.costs(at, int(np.argmax(true_recall >= target))))
    return {
        "target": target,
        "below": float(np.mean(np.array(truth) < target)),
        "true_recall": {"min": min(truth), "median": float(np.median(truth))},
        "cost": {"median": float(np.median(cost)), "mean": float(np.mean(cost)), "max": max(cost)},
    }


def cases(name: str, n: int, n_queries: int, n_repeats: int, shares: Sequence[float] = SHARES) -> list[dict[str, Any]]:
    rows, queries = _rows_and_queries(name, n, n_queries)
    found: list[dict[str, Any]] = []
    with vicino.open() as database:
        metric: Any = "l2" if name == "l2sift128" else "cosine"
        collection = database.create_collection("rows", dim=rows.shape[1], metric=metric)
        for first in range(0, n, 5000):
            part = rows[first : first + 5000]
            collection.upsert(ids=range(first, first + len(part)), vectors=part)
        collection.optimize()
        snapshot, column = collection._shard.snapshot(), core_column(collection.settings, "vector")
        given = Sample(np.ascontiguousarray(queries).view(np.uint8).reshape(len(queries), -1), "given")
        held_out = draw(snapshot, column, np.zeros((0, 1), np.uint8), n_queries, SEED)
        for share in shares:
            random = np.random.default_rng([SEED, round(1000 * share)])
            kinds = KINDS if share < 1.0 else KINDS[:1]
            judges, rows_held_out = (
                {kind: table(snapshot, column, sample, share, seed, clustered=kind == "clustered") for kind in kinds}
                for sample, seed in ((given, SEED + 1), (held_out, SEED + 2))
            )
            for kind, judging in judges.items():
                for source, tables in {"rows": rows_held_out, "queries": judges}.items():
                    for target in TARGETS:
                        case = repeats([*tables.values()], judging, target, n_repeats, random, is_split=source == "queries")
                        found.append({"set": name, "share": share, "filters": kind, "source": source} | case)
                        print(found[-1], flush=True)
    return found


def _rows_and_queries(name: str, n: int, n_queries: int) -> tuple[Any, Any]:
    """Rows to store, and queries of the same kind that are none of them."""
    if name in sets.LAWS:
        drawn = sets.load(name, n, n_queries)
        return drawn.base, drawn.queries
    all_rows = sets.load(name).base
    order = np.random.default_rng(SEED).permutation(len(all_rows))
    return np.ascontiguousarray(all_rows[order[:n]]), np.ascontiguousarray(all_rows[order[n : n + n_queries]])


def figures(found: Sequence[dict[str, Any]]) -> list[report.Figure]:
    """Of every set, kind of queries and target, the worst filter.

    What filters that follow the vectors cost beyond the cheapest is shown, not judged: where random ones are harder, it is these that
    set the effort.
    """
    groups: dict[tuple[str, str, str, float], list[dict[str, Any]]] = {}
    for case in found:
        groups.setdefault((case["set"], case["source"], case["filters"], case["target"]), []).append(case)
    lines = []
    for (name, source, kind, target), own in groups.items():
        below, cost = max(case["below"] for case in own), max(case["cost"]["median"] for case in own)
        is_judged = kind == "random"
        lines.append(
            report.Figure(
                f"declared recall {target:g}, {name}, calibrated with {source}"
                + ("" if is_judged else ", filters that follow the vectors"),
                f"below in <= {BELOW_MAX:.0%}" + (f", cost <= {COST_MAX:g}x" if is_judged else ""),
                f"below in {below:.0%}, cost {cost:.2f}x (worst of {len(own)} filters)",
                below <= BELOW_MAX and (not is_judged or cost <= COST_MAX),
            )
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=90_000, help="records")
    parser.add_argument("--queries", type=int, default=10_000, help="queries that judge; as many rows are there to calibrate with")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=sets.SETS)
    options = parser.parse_args(arguments)
    found = [case for name in options.sets for case in cases(name, options.n, options.queries, options.repeats)]
    described = {"sets": options.sets, "n": options.n, "queries": options.queries, "repeats": options.repeats, "k": K, "seed": SEED}
    report.write("declared_recall", figures(found), data=described, cases=found)


if __name__ == "__main__":
    main()
