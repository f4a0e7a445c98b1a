"""Runs one task of one table in this process and prints one JSON line. Started by `tables` with the peers' interpreter.

    python -m benchmarks.ann.child '{"task": "curve", "peer": "hnswlib", "set": "debian", …}'

With one thread the process stays on one core, so that no library can use another unseen.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.ann import contest, data, duel, filters, measure, registry, truth
from benchmarks.ann.data import Dataset
from benchmarks.ann.kept import Kept
from benchmarks.ann.machine import Control
from benchmarks.ann.peer import Database, Peer
from benchmarks.ann.truth import K

Task = dict[str, Any]
COMPARED_BEAMS = (32, 64, 128)


def dataset_of(task: Task) -> Dataset:
    return data.load(task["set"], task["n"], task["n_queries"])


def built(name: str, dataset: Dataset, threads: int, made: list[Peer], keep: str | None = None) -> tuple[Peer, dict[str, Any]]:
    """A peer with its index, and what that took: seconds, bytes by its own account, and growth of the process.

    keep: folder of kept indexes. One that lies there is loaded, and then nothing is said of the time it took to build.
    """
    peer = registry.make(name, dataset.metric, dataset.base.shape[1], threads)
    made.append(peer)
    kept = Kept(peer, name, dataset, keep)
    gc.collect()
    before, n = report.memory_of(), len(dataset.base)
    start, busy = time.perf_counter(), time.process_time()
    if kept.load():
        facts: dict[str, Any] = {"index": "loaded from a kept one"}
    else:
        peer.build(dataset.base)
        took, worked = time.perf_counter() - start, time.process_time() - busy
        facts = {"index": "built in this run", "build_s": took, "build_cpu_s": worked, "rows_per_s": n / took}
        kept.save()
    gc.collect()
    after = report.memory_of()
    bytes_per_row = {f"{kind}_bytes_per_row": size / n for kind, size in peer.size_bytes().items()}
    grown = {f"{kind}_growth_bytes_per_row": (after[kind] - before[kind]) / n for kind in ("rss", "anonymous")}
    return peer, {"version": peer.version()} | facts | bytes_per_row | grown


def keep(task: Task, made: list[Peer]) -> dict[str, Any]:
    """Builds an index for later tables and keeps it, unless it lies there already."""
    dataset = data.load(task["set"], task["n"], task["n_queries"], is_mapped=True)
    return built(task["peer"], dataset, 1, made, task["keep"])[1]


def curve(task: Task, made: list[Peer]) -> dict[str, Any]:
    dataset = dataset_of(task)
    known = truth.load(dataset)
    peer, facts = built(task["peer"], dataset, 1, made, task.get("keep"))
    search = measure.single(peer, dataset)
    peer.use(peer.settings()[0])
    answers = np.asarray([np.resize(np.asarray(search(query)), K) for query in range(min(20, len(dataset.queries)))])

    def one(setting: Any) -> dict[str, Any]:
        peer.use(setting)
        row = measure.measure_setting(search, dataset, known, seconds=task["seconds"])
        if peer.has_batch:
            row["batch_qps"] = batch_rate(peer, dataset, task["seconds"])
        return row

    rows = measure.curve(measure.thinned(peer.settings(), task["n_settings"]), one)
    at = {"single": measure.at_targets(rows), "batch": measure.at_targets(rows, "batch_qps")}
    return facts | {"rows": rows, "qps_at_recall": at, "results_checksum": report.checksum(answers)}


def batch_rate(peer: Peer, dataset: Dataset, seconds: float) -> float:
    """Queries per second of whole batches on one thread, the median over as many as fit into the time, two at least."""
    rates: list[float] = []
    end = time.perf_counter() + seconds
    while len(rates) < 2 or time.perf_counter() < end:
        rates.append(len(dataset.queries) / report.timed(lambda: peer.search_batch(dataset.queries, K, 1)))
    return float(np.median(rates))


def fight(task: Task, made: list[Peer]) -> dict[str, Any]:
    dataset = dataset_of(task)
    fields = filters.fields_of(dataset)
    names = (task["first"], task["second"])
    peers, facts = [], {}
    for name in names:
        peer, facts[name] = filled(name, dataset, fields, made, task.get("keep"))
        peers.append(peer)
    fights = []
    for band in task["bands"]:
        asked = Asked(dataset, fields, band)
        sides = []
        for name, peer in zip(names, peers, strict=True):
            search = asked.search(peer)
            sides.append(duel.tune(name, peer, dataset, asked.known, search=search, masks=asked.masks, enough=max(task["targets"])))
            reached = sides[-1].points
            print(f"{name}, {band}: {len(reached)} settings, recall up to {reached[-1].recall:.4f}", file=sys.stderr, flush=True)
        n = len(dataset.queries)
        fights += [{"band": band} | duel.fight(sides[0], sides[1], n, target, seconds=task["seconds"]) for target in task["targets"]]
    return {"built": facts, "fights": fights}


def kinds(task: Task, made: list[Peer]) -> dict[str, Any]:
    """Many systems side by side; one that cannot be built or tuned stands in the result with the reason, and the others go on."""
    dataset = dataset_of(task)
    known = truth.load(dataset)
    facts: dict[str, dict[str, Any]] = {}
    sides: dict[str, list[duel.Side]] = {"single": [], "batch": []}
    enough = max(task["targets"])
    for name in task["peers"]:
        try:
            peer, facts[name] = built(name, dataset, 1, made, task.get("keep"))
            single = duel.tune(name, peer, dataset, known, enough=enough)
            batches = contest.tune_batches(name, peer, dataset, known, enough=enough)
        except Exception as failed:
            # Adapters of a dozen libraries fail in ways of their own.
            facts[name] = {"error": f"{name}: {type(failed).__name__}: {failed}"}
            print(facts[name]["error"], file=sys.stderr, flush=True)
            continue
        sides["single"].append(single)
        sides["batch"].append(batches)
        print(f"{name}: recall up to {single.points[-1].recall:.4f}", file=sys.stderr, flush=True)
    n, seconds = len(dataset.queries), task["seconds"]
    contests = {
        way: [contest.contest(taking_part, task["pairs"], n, target, seconds=seconds) for target in task["targets"]]
        for way, taking_part in sides.items()
    }
    return {"built": facts, "contests": contests}


def build(task: Task, made: list[Peer]) -> dict[str, Any]:
    """One build, and recall at fixed beams where the peer has such."""
    dataset = dataset_of(task)
    known = truth.load(dataset)
    peer, facts = built(task["peer"], dataset, task["threads"], made)
    facts["peak_rss_bytes"] = _peak()
    if peer.is_graph:
        facts["recall_at_beam"] = {}
        search = measure.single(peer, dataset)
        for beam in COMPARED_BEAMS:
            peer.use(beam)
            found = measure.one_pass(search, range(len(dataset.queries))).found
            facts["recall_at_beam"][str(beam)] = float(truth.recalls(dataset, known, found).mean())
    return facts


def _peak() -> int:
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


class Asked:
    """The queries of one band with what they may return and what is true of them."""

    def __init__(self, dataset: Dataset, fields: filters.Fields, band: str) -> None:
        self._dataset, self._fields = dataset, fields
        conditions = fields.conditions(band)
        self.known = truth.load(dataset) if band == "none" else filters.exact_filtered(dataset, fields, conditions)
        masks = {condition: fields.mask(condition) for condition in set(conditions) if condition is not None}
        self._asked = [condition for condition in conditions if condition is not None]
        self.masks = [masks[condition] for condition in self._asked] or None
        self._distinct = sorted(masks)

    def search(self, peer: Peer) -> Callable[[int], Any]:
        """One query by its number. Masks that a library wants made beforehand are made now."""
        if self.masks is None:
            return measure.single(peer, self._dataset)
        peer.prepare(self._fields, self._distinct)
        queries, conditions = [np.ascontiguousarray(query) for query in self._dataset.queries], self._asked
        return lambda number: peer.search_filtered(queries[number], K, conditions[number])


def filtered(task: Task, made: list[Peer]) -> dict[str, Any]:
    """Curves of every band, "none" among them; databases are reopened first."""
    dataset = dataset_of(task)
    fields = filters.fields_of(dataset)
    peer, facts = filled(task["peer"], dataset, fields, made, task.get("keep"))
    bands = {}
    for band in task["bands"]:
        asked = Asked(dataset, fields, band)
        search = asked.search(peer)

        def one(setting: Any, search: Any = search, asked: Asked = asked) -> dict[str, Any]:
            peer.use(setting)
            return measure.measure_setting(search, dataset, asked.known, seconds=task["seconds"], masks=asked.masks)

        rows = measure.curve(measure.thinned(peer.settings(), task["n_settings"]), one, enough=0.995)
        bands[band] = filters.describe(fields, band) | {"rows": rows, "qps_at_recall": measure.at_targets(rows)}
        print(f"{task['peer']}, {band}: recall up to {max(row['recall'] for row in rows):.3f}", file=sys.stderr, flush=True)
    return facts | {"bands": bands}


def filled(name: str, dataset: Dataset, fields: filters.Fields, made: list[Peer], keep: str | None) -> tuple[Peer, dict[str, Any]]:
    """A peer ready for filters: indexes as they are, databases with both fields, timed step by step and reopened."""
    if name in registry.INDEXES:
        return built(name, dataset, 1, made, keep)
    peer = registry.make(name, dataset.metric, dataset.base.shape[1], 1)
    made.append(peer)
    assert isinstance(peer, Database)
    n, path = len(dataset.base), peer.folder()
    before = report.memory_of()
    steps = {
        "create_s": report.timed(lambda: peer.create(path)),
        "ingest_s": report.timed(lambda: peer.ingest(dataset.base, fields)),
        "index_s": report.timed(peer.index),
    }
    steps["disk_bytes_per_row"] = report.folder_bytes(os.path.dirname(path)) / n  # type: ignore[arg-type]
    steps["reopen_s"] = report.timed(peer.reopen)
    peer.use(peer.settings()[0])
    steps["first_query_s"] = report.timed(lambda: peer.search(dataset.queries[0], K))
    steps["rows_per_s"] = n / (steps["ingest_s"] + steps["index_s"])
    steps["rss_growth_bytes_per_row"] = (report.memory_of()["rss"] - before["rss"]) / n
    return peer, {"version": peer.version()} | steps


def growth(task: Task, made: list[Peer]) -> dict[str, Any]:
    """Time, and rows scored where the peer says, at one recall over a prefix of the set."""
    dataset = dataset_of(task)
    known = truth.load(dataset)
    peer, facts = built(task["peer"], dataset, 1, made, task.get("keep"))
    side = duel.tune(task["peer"], peer, dataset, known, enough=task["target"] + 0.01)
    found = measure.bracket(side.points, task["target"])
    if found is None:
        return facts | {"n": len(dataset.base), "error": f"reaches a recall of {max(point.recall for point in side.points):.4f} at most"}
    search, rates = measure.single(peer, dataset), []
    for point in (found.low, found.high):
        peer.use(point.setting)
        rates.append(measure.measure_setting(search, dataset, known, seconds=task["seconds"])["qps"])
    facts |= {"n": len(dataset.base), "below": found.low._asdict(), "above": found.high._asdict()}
    facts["qps"] = measure.interpolate(rates[0], rates[1], found.weight)
    return facts | _rows_scored(peer, dataset, side.points, task["target"])


def _rows_scored(peer: Peer, dataset: Dataset, points: Sequence[measure.Point], target: float) -> dict[str, Any]:
    """Rows scored at a recall, read off a curve of its own: which settings count must not hang on times, which other work disturbs."""
    counted: list[measure.Point] = []
    for point in points:
        peer.use(point.setting)
        rows = peer.rows_scored(dataset.queries, K)
        if rows is None:
            return {"rows_scored": None}
        counted.append(measure.Point(point.recall, rows, point.setting))
    found = measure.bracket(counted, target)
    assert found is not None, "a curve by time reached this recall with the same settings"
    curve = [{"setting": point.setting, "recall": point.recall, "rows_scored": point.seconds} for point in counted]
    return {"rows_scored": measure.interpolate(found.low.seconds, found.high.seconds, found.weight), "rows_scored_by_setting": curve}


def batch(task: Task, made: list[Peer]) -> dict[str, Any]:
    """Single queries, one batch on one thread, one on several, and what the machine gains, in turn: rates and ratios with intervals.

    Of two calls the second is timed: another number of threads is another copy of the collection, and the ways are not to differ by whose
    rows the one before them has left in the cache.
    """
    dataset = dataset_of(task)
    known = truth.load(dataset)
    peer, facts = built(task["peer"], dataset, 1, made, task.get("keep"))
    side = duel.tune(task["peer"], peer, dataset, known, enough=max(task["targets"]))
    runs: dict[str, Any] = {}
    for target in task["targets"]:
        found = measure.bracket(side.points, target)
        if found is None:
            runs[f"{target:g}"] = {"error": f"reaches a recall of {max(point.recall for point in side.points):.4f} at most"}
            continue
        peer.use(found.high.setting)
        runs[f"{target:g}"] = {"setting": found.high.setting, "recall": found.high.recall} | _batch_ratios(peer, dataset, task)
    return facts | {"targets": runs}


def _batch_ratios(peer: Peer, dataset: Dataset, task: Task) -> dict[str, Any]:
    search, n, threads = measure.single(peer, dataset), task["batch"], task["threads"]
    numbers = [number % len(dataset.queries) for number in range(n)]  # of a set that has fewer queries some come twice
    queries = np.ascontiguousarray(dataset.queries[numbers])
    ways: dict[str, Callable[[], Any]] = {
        "single": lambda: [search(number) for number in numbers],
        "batch": lambda: peer.search_batch(queries, K, 1),
        "threads": lambda: peer.search_batch(queries, K, threads),
    } | Control(threads).ways()
    took: dict[str, list[float]] = {way: [] for way in ways}
    rounds, end = 0, time.perf_counter() + task["seconds"]
    while rounds < 5 or time.perf_counter() < end:
        for way in ways if rounds % 2 == 0 else reversed(ways):
            ways[way]()
            took[way].append(report.timed(ways[way]))
        rounds += 1
    times = {way: np.array(seconds) for way, seconds in took.items()}
    ratios = {
        "batch_over_single": times["single"] / times["batch"],
        f"{threads}_threads_over_1": times["batch"] / times["threads"],
        f"{threads}_threads_over_1_of_the_machine": times["control"] / times["control_threads"],
    }
    intervals = {name: dict(zip(("median", "low", "high"), measure.bootstrap(values), strict=True)) for name, values in ratios.items()}
    qps = {way: report.spread(n / times[way]) for way in ("single", "batch", "threads")}
    return {"qps": qps} | intervals


TASKS: dict[str, Callable[[Task, list[Peer]], dict[str, Any]]] = {
    "curve": curve, "duel": fight, "build": build, "filtered": filtered, "growth": growth, "batch": batch, "keep": keep, "kinds": kinds,
}  # fmt: skip


def perform(task: Task) -> dict[str, Any]:
    """A task's result; whatever peers it made are closed after it."""
    made: list[Peer] = []
    try:
        return TASKS[task["task"]](task, made)
    finally:
        for peer in made:
            peer.close()


def main() -> None:
    task = json.loads(sys.argv[1])
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-task.get("threads", 1) :])
    answer = os.dup(1)  # whatever a peer prints goes to stderr, so that stdout holds the answer alone
    os.dup2(2, 1)
    result = perform(task)
    with os.fdopen(answer, "w") as out:
        json.dump(result, out, default=plain)
    sys.stderr.flush()
    os._exit(0)  # some peers keep threads that delay or spoil the end of the interpreter


def plain(value: Any) -> Any:
    """numpy's numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} does not belong in a result")


if __name__ == "__main__":
    main()
