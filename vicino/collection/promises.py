"""Keeping declared recall: which effort a search takes, when recall is measured, and what live queries say about it.

One object per shard. A search never waits for a measurement where there is background work: until the calibration it needs is there, it
scans exactly. A process that only reads measures what it needs itself, unless the writer's calibration has it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vicino import _core
from vicino.collection.core_columns import core_column
from vicino.collection.jobs import Job
from vicino.collection.settings import Settings
from vicino.errors import CorruptionError, Error
from vicino.recall import file as recall_file
from vicino.recall.calibration import COST_QUERIES, WIDENING_MAX, Calibration, Choice, Need, Walked, calibrated
from vicino.recall.live import WIDENING_STEP, KeptQueries, Watch
from vicino.recall.measuring import distances_of, recalls
from vicino.recall.sampling import SHARES, Bytes, Sample, draw, sample_size
from vicino.segment.files import new_file, open_container

UNFILTERED_LEVELS, FILTERED_LEVEL = (1, 10, 100), 10
"""Numbers of neighbors that are measured at a seal without a filter, and under filters; others when a search asks for them."""
COST_SEED = 0
CHECKS_WAITING = 32
"""Live queries that may wait to be run again; each holds on to its snapshot. More are let go."""
_HIT_BYTES = 24


@dataclass(frozen=True, slots=True)
class _Check:
    """A live query to be run again: what was asked, under which promise, and the distances it was answered with."""

    snapshot: _core.Snapshot
    matches: _core.Matches | None
    column: Any
    row: Any
    k: int
    target: float
    distances: Any


class Promises:
    """Calibrations, kept queries and checks of one shard.

    in_background: queues a kind of job ("recall" or "recheck"); None where there is no background work. record: makes a written file
    of calibrations part of the collection.
    """

    def __init__(
        self,
        shard: Any,
        *,
        in_background: Callable[[str, str, Callable[[Job], None]], Any] | None = None,
        record: Callable[[str], None] | None = None,
    ) -> None:
        self._shard, self._in_background, self._record = shard, in_background, record
        self._lock = threading.RLock()
        self._measuring = threading.Lock()
        self._calibrations: dict[int, Calibration] = {}
        self._kept: dict[int, KeptQueries] = {}
        self._watches: dict[int, Watch] = {}
        self._wanted: dict[int, set[Need]] = {}
        self._failed: tuple[int, Walked] | None = None
        self._checks: list[_Check] = []
        self._choices: dict[Any, Choice] = {}
        self._loaded: str | None = None
        self._priced: dict[int, tuple[int, Walked]] = {}
        self._random: np.random.Generator | None = None
        self.last_error: Error | None = None

    # ---- searches

    def choose(
        self, snapshot: _core.Snapshot, column: Any, k: int, matches: _core.Matches | None, target: float, cap: int | None = None
    ) -> Choice:
        """How a search keeps a promise. cap: the largest effort allowed. Raises RecallUnreachable."""
        slot = column[0]
        walked: Walked = snapshot.walked(slot)
        if not walked or (cap is not None and matches is not None and matches.count <= cap):  # a scan is no more than the beam allowed
            return Choice(target=target, k=k, exact=True)
        share = 1.0 if matches is None else matches.count / max(1, snapshot.n_records)
        calibration = self._calibration(slot)
        is_known = calibration is not None and calibration.is_of(walked)
        if is_known and calibration is not None:
            self.price(snapshot, column)
            missing = calibration.missing(k, share, target)
            if not missing:
                return self._chosen(calibration, slot, k, share, target, cap)
        else:
            missing = Calibration(walked, "rows", 0, 0, 0).missing(k, share, target)
        if self._in_background is None or cap is not None:
            self._measure_now(snapshot, column, missing, Job("measuring recall"))
            return self._chosen(self._calibrations[slot], slot, k, share, target, cap)
        self._want(slot, walked, missing)
        return Choice(target=target, k=k, exact=True, pending=True)

    def ready(self, snapshot: _core.Snapshot, column: Any, k: int, matches: _core.Matches | None, target: float, job: Job) -> Choice:
        """The same, once everything it needs has been measured; this may take seconds."""
        choice = self.choose(snapshot, column, k, matches, target)
        if not choice.pending:
            return choice
        share = 1.0 if matches is None else matches.count / max(1, snapshot.n_records)
        walked: Walked = snapshot.walked(column[0])
        self._measure_now(snapshot, column, Calibration(walked, "rows", 0, 0, 0).missing(k, share, target), job)
        return self._chosen(self._calibrations[column[0]], column[0], k, share, target, None)

    def sample(self, snapshot: _core.Snapshot, column: Any, n: int, seed: int) -> Sample:
        """Queries to measure with: kept ones where there are enough, else rows that are held out."""
        kept = self._kept.get(column[0])
        return draw(snapshot, column, np.zeros((0, 1), np.uint8) if kept is None else kept.rows, n, seed)

    def _chosen(self, calibration: Calibration, slot: int, k: int, share: float, target: float, cap: int | None) -> Choice:
        key = (slot, k, share, target, cap)
        found = self._choices.get(key)
        if found is None:
            if len(self._choices) > 1000:
                self._choices = {}
            found = self._choices[key] = calibration.choose(k, share, target, cap=cap)
        return found

    def _calibration(self, slot: int) -> Calibration | None:
        """The calibration of a vector, from the collection's file when that is newer than what was read last."""
        manifest = getattr(self._shard, "manifest", None)
        name = None if manifest is None else manifest.recall
        if name is not None and name != self._loaded:
            self._load(name)
        return self._calibrations.get(slot)

    def _load(self, name: str) -> None:
        with self._lock:
            if name == self._loaded:
                return
            try:
                recorded = recall_file.read(open_container(self._shard.journal, name, recall_file.KIND))
                self._expect_queries(recorded.kept, name)
            except CorruptionError as error:
                # Nothing is lost that cannot be measured again, and until then promised searches scan; `Database.check` names the file.
                self.last_error, recorded = error, recall_file.Recorded()
            # What this process has measured itself is at least as new as what its own file says.
            self._calibrations = {**recorded.calibrations, **(self._calibrations if self._record is not None else {})}
            for slot, rows in recorded.kept.items():
                if (room := self._shard.settings.keep_queries) and slot not in self._kept:
                    self._kept[slot] = KeptQueries(room, rows.shape[1], rows)
            self._loaded, self._choices = name, {}

    def _expect_queries(self, kept: Mapping[int, Bytes], name: str) -> None:
        """Raises CorruptionError for kept queries that are none of their vector. Those of a vector that is gone stay unused."""
        for entry in self._shard.settings.vectors.values():
            spec, rows = entry.spec, kept.get(entry.slot)
            width = 4 * spec.dim if spec.dtype == "float16" else spec.row_bytes  # queries are float32 there
            if rows is not None and rows.shape[1] != width:
                raise CorruptionError(
                    f"{name}: kept queries of slot {entry.slot} have {rows.shape[1]} bytes, those of its vector {width}; "
                    "restore the folder from a snapshot or a copy"
                )

    def _want(self, slot: int, walked: Walked, needs: Iterable[Need]) -> None:
        with self._lock:
            if self._failed == (slot, walked):
                return
            self._wanted.setdefault(slot, set()).update(needs)
        assert self._in_background is not None
        self._in_background("recall", "measuring recall", self.measure)

    # ---- costs

    def price(self, snapshot: _core.Snapshot, column: Any) -> None:
        """Sees to it that what searches under filters cost is known: as it was when recall was measured, else measured in the background.

        A promise holds under the costs it was measured with: by them a search walks or scans.
        """
        slot = column[0]
        known = self._priced.get(slot)
        if known is not None and known[0] == snapshot.identity:
            return
        walked: Walked = snapshot.walked(slot)
        before, self._priced[slot] = known, (snapshot.identity, walked)
        if not walked or (before is not None and [entry[:2] for entry in before[1]] == [entry[:2] for entry in walked]):
            return
        calibration = self._calibration(slot)
        if calibration is not None and calibration.is_of(walked):
            if calibration.costs:
                snapshot.set_costs(slot, calibration.costs)
        elif self._in_background is not None and not all(scanned for scanned, _, _ in snapshot.costs(slot)):
            self._in_background("costs", "measuring what searches cost", lambda job: self._measure_costs(snapshot, column, job))

    def _measure_costs(self, snapshot: _core.Snapshot, column: Any, job: Job) -> None:
        """Not while recall is measured, which does the same first."""
        with self._measuring:
            if column[0] in self._calibrations:
                return
            queries = self.sample(snapshot, column, COST_QUERIES, COST_SEED).rows
            if len(queries):
                snapshot.measure_costs(column, queries.reshape(-1), self._shard.env.monotonic, job.cancel_token)

    # ---- live queries

    def saw(
        self, snapshot: _core.Snapshot, column: Any, rows: Any, k: int, matches: Any, choice: Choice | None, found: _core.Found
    ) -> None:
        """Told of every search of a vector: `rows` are its queries, `found` what each of them found."""
        settings: Settings = self._shard.settings
        width = len(rows) // max(1, len(found))
        if settings.keep_queries and width:
            with self._lock:
                kept = self._kept.get(column[0])
                if kept is None or kept.room != settings.keep_queries:
                    self._kept[column[0]] = kept = KeptQueries(settings.keep_queries, width, None if kept is None else kept.rows)
                kept.add(rows)
        if choice is None or choice.exact or self._in_background is None or not settings.recall_checks:
            return
        for number in range(len(found)):
            if self._draw() < settings.recall_checks and len(self._checks) < CHECKS_WAITING:
                row = np.array(rows[number * width : (number + 1) * width])
                distances = np.asarray(found.distances(number), np.float32)
                self._checks.append(_Check(snapshot, matches, column, row, k, choice.target, distances))
                self._in_background("recheck", "checking live queries", self._run_checks)

    def _draw(self) -> float:
        if self._random is None:
            self._random = np.random.default_rng(int.from_bytes(self._shard.env.random_bytes(8), "little"))
        return float(self._random.random())

    def _run_checks(self, job: Job) -> None:
        while self._checks and not job.cancel_token.cancelled:
            check = self._checks.pop(0)
            sample = Sample(check.row.reshape(1, -1), "queries")
            truth, _ = distances_of(
                check.snapshot, check.column, sample, check.k, exact=True, matches=check.matches, cancel=job.cancel_token
            )
            found = np.full((1, check.k), np.inf, np.float32)
            found[0, : len(check.distances)] = check.distances[: check.k]
            self.checked(check.column[0], float(recalls(found, truth)[0]), check.target)

    def checked(self, slot: int, recall: float, target: float) -> None:
        """Takes one check of a live query into account. Where promises do not hold, raises the effort and has recall measured anew."""
        with self._lock:
            watch = self._watches.setdefault(slot, Watch())
            watch.add(recall, target)
            calibration = self._calibrations.get(slot)
            if not watch.is_below or calibration is None:
                return
            del self._watches[slot]
            wider = replace(calibration, widening=min(WIDENING_MAX, calibration.widening * WIDENING_STEP))
            self._calibrations[slot], self._choices = wider, {}
            self._wanted.setdefault(slot, set()).update(_needs_again(calibration, self._targets(slot, target)))
        if self._in_background is not None:
            self._in_background("recall", "measuring recall", lambda job: self.measure(job, anew=slot))

    def watch(self, slot: int) -> Watch | None:
        """What checks of live queries have shown so far; None before the first."""
        return self._watches.get(slot)

    # ---- measuring

    def is_due(self) -> bool:
        """Whether a declared recall has no calibration of the present segments."""
        return any(self._due(name) for name, entry in self._shard.settings.vectors.items() if entry.spec.recall is not None)

    def _due(self, name: str) -> bool:
        column = core_column(self._shard.settings, name)
        walked: Walked = self._shard.state.snapshot().walked(column[0])
        if not walked or self._failed == (column[0], walked):
            return False
        known = self._calibration(column[0])
        target = self._shard.settings.vectors[name].spec.recall
        if known is None or not known.is_of(walked) or known.has_drifted(walked):
            return True
        return bool(known.missing(FILTERED_LEVEL, 1.0, target))

    def measure_declared(self, job: Job) -> None:
        """Measures what declared recalls need, and what was measured before and has aged."""
        for name, entry in self._shard.settings.vectors.items():
            target = entry.spec.recall
            if target is not None and self._due(name):
                needs = {Need(level, 1.0, target) for level in UNFILTERED_LEVELS} | {
                    Need(FILTERED_LEVEL, share, target) for share in SHARES
                }
                known = self._calibration(entry.slot)
                with self._lock:
                    self._wanted.setdefault(entry.slot, set()).update(needs, () if known is None else _needs_again(known, {target}))
        self.measure(job)

    def measure(self, job: Job, *, anew: int | None = None) -> None:
        """Measures everything that searches or declarations are waiting for, and stores it. anew: a slot whose curves are not kept."""
        is_changed = False
        while not job.cancel_token.cancelled:
            with self._lock:
                if not self._wanted:
                    break
                slot, needs = self._wanted.popitem()
            name = next((name for name, entry in self._shard.settings.vectors.items() if entry.slot == slot), None)
            if name is None:  # dropped since it was asked for
                continue
            column, snapshot = core_column(self._shard.settings, name), self._shard.state.snapshot()
            walked: Walked = snapshot.walked(slot)
            if not walked:
                continue
            try:
                self._measure_now(snapshot, column, needs, job, keep=slot != anew)
                is_changed = True
            except Error as error:
                self._failed, self.last_error = (slot, walked), error
                raise
        if is_changed and self._record is not None:
            self._store()

    def _measure_now(self, snapshot: _core.Snapshot, column: Any, needs: Iterable[Need], job: Job, *, keep: bool = True) -> None:
        slot, needs = column[0], list(needs)
        with self._measuring:
            base = self._calibrations.get(slot)
            if base is not None and not keep:
                base = replace(base, curves={}, pool=0)
            kept = self._kept.get(slot)
            rows = np.zeros((0, 1), np.uint8) if kept is None else kept.rows
            n = max((sample_size(need.target) for need in needs), default=0)
            k_max = max((need.k for need in needs), default=0)
            needed = n * (column[1] * 4 + 3 * _HIT_BYTES * (k_max + 1)) + snapshot.n_records * 24
            seed = int.from_bytes(self._shard.env.random_bytes(6), "little")
            with self._shard.budget.reserve(needed, "measuring recall", optional=True):
                clock, cancel = self._shard.env.monotonic, job.cancel_token
                found = calibrated(base, snapshot, column, needs, rows, seed=seed, cancel=cancel, done=_progress(job), clock=clock)
            with self._lock:
                self._calibrations[slot], self._choices = found, {}

    def _store(self) -> None:
        assert self._record is not None
        slots = {entry.slot for entry in self._shard.settings.vectors.values()}
        with self._lock:
            recorded = recall_file.Recorded(
                {slot: calibration for slot, calibration in self._calibrations.items() if slot in slots},
                {slot: kept.rows for slot, kept in self._kept.items() if slot in slots and len(kept)},
            )
        with new_file(self._shard.journal, recall_file.KIND) as writer:
            recall_file.write(writer, recorded)
        self._loaded = writer.name
        self._record(writer.name)

    def _targets(self, slot: int, target: float) -> set[float]:
        declared = {entry.spec.recall for entry in self._shard.settings.vectors.values() if entry.slot == slot}
        return {target, *(value for value in declared if value is not None)}


def _needs_again(calibration: Calibration, targets: set[float]) -> set[Need]:
    """Every curve there was, for the given targets."""
    return {Need(k, share, target) for k, share in calibration.curves for target in targets}


def _progress(job: Job) -> Callable[[float], None]:
    def done(share: float) -> None:
        job.progress = max(job.progress, min(0.99, share))

    return done
