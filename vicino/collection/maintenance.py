"""When background work on one shard runs: sealing in a lane of its own, so that a long merge never holds up writes, all else in another.

None of it is needed for right answers. The policy (policy.py) names the next step, steps.py does it. What a step makes may be moot before
it ends: a graph over a segment that is about to be merged is built for nothing. So a build is put off while a writer fills the tier of its
segment, and given up when the merge falls due or the user asks to `optimize`, which merges everything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from vicino import _core
from vicino.collection.jobs import Job, Scheduler
from vicino.collection.limits import Limits
from vicino.collection.policy import (
    Action,
    BuildIndex,
    BuildTerms,
    BuildVectorIndex,
    Checkpoint,
    DropVectorIndex,
    Merge,
    RewriteFields,
    SegmentState,
    is_soon_merged,
    next_action,
    packed,
)
from vicino.collection.promises import Promises
from vicino.collection.shard import Shard
from vicino.collection.steps import Steps
from vicino.errors import Error, MemoryLimitError, StorageError

_LOOK_S = 0.05
"""How long the writer is watched before an index is begun over a segment that it may soon have merged."""


class Maintenance:
    """Background work on one shard."""

    def __init__(self, shard: Shard, scheduler: Scheduler, *, lane: str, threads: int, retain: int) -> None:
        self.shard, self._scheduler, self._lane = shard, scheduler, lane
        self._steps = Steps(shard, threads=threads, retain=retain)
        self._state_lock = threading.Lock()
        self._queued: dict[str, Job] = {}
        self._failed: frozenset[Action] = frozenset()
        self._building: tuple[Job, Action] | None = None
        self._optimizing: Job | None = None
        self._watched_version = -1
        self.last_error: BaseException | None = None
        self.promises = Promises(shard, in_background=self._submit, record=self._steps.record_recall)
        shard.on_frozen = self._on_frozen

    def _on_frozen(self) -> None:
        self.schedule()

    @property
    def limits(self) -> Limits:
        rows_max = self.shard.settings.segment_rows_max or self.shard.limits.segment_rows_max
        return replace(self.shard.limits, segment_rows_max=self._steps.rows_within_memory(rows_max))

    def schedule(self) -> Job:
        """Queues whatever there is to do and returns at once; the job has ended already when there is nothing."""
        if self.shard.frozen:
            return self._submit("seal", "sealing", self._seal_all)
        if self._next() is not None:
            return self._submit("build", "merging and building", self._build_all)
        if self.promises.is_due():
            return self._submit("recall", "measuring recall", self.promises.measure_declared)
        job = Job(f'nothing to do for collection "{self.shard.name}"')
        job.run(lambda _job: None)
        return job

    def index_soon(self, paths: Sequence[str]) -> None:
        """Declares indexes that filters asked for, in the background: a search must not wait for a commit."""

        def declare(_job: Job) -> None:
            for path in paths:
                self.shard.change_settings(lambda settings, path=path: settings.with_index(path, "scalar"))
            self.schedule()

        self._submit("index", "indexing filtered fields", declare)

    def _submit(self, kind: str, title: str, work: Callable[[Job], None]) -> Job:
        """Queues `work`, unless the same kind of work is queued already: then that job is returned."""
        return self.shard.committer.run(lambda: self._queue(kind, title, work))

    def _queue(self, kind: str, title: str, work: Callable[[Job], None]) -> Job:
        job = Job(f'{title} of collection "{self.shard.name}"')
        with self._state_lock:
            if kind in self._queued:
                return self._queued[kind]
            self._queued[kind] = job

        def run(job: Job) -> None:
            with self._state_lock:
                self._queued.pop(kind, None)
            try:
                work(job)
            except Exception as error:
                self.last_error = error
                raise

        try:
            return self._scheduler.submit(f"{self._lane}-{kind}", job, run)
        except StorageError:
            with self._state_lock:
                self._queued.pop(kind, None)
            raise

    # ---- sealing

    def _seal_all(self, job: Job) -> None:
        try:
            while self.shard.frozen and not job.cancel_token.cancelled:
                self._steps.finish_codes(self._seal_next(job), job.cancel_token)
        except Exception as error:  # whatever it is, those who wait for the seal must not wait for ever
            self.shard.seal_error = error
            raise
        if not job.cancel_token.cancelled and self._next() is not None:
            self._submit("build", "merging and building", self._build_all)

    def _seal_next(self, job: Job) -> _core.Segment | None:
        segment = self._steps.seal(job.cancel_token)
        self._failed = frozenset()
        self._give_up_moot_build()
        return segment

    # ---- merging and building

    def _slots(self, *, flat: bool) -> list[int]:
        """Of the vectors that are scanned, or of those that have an index."""
        return [entry.slot for entry in self.shard.settings.vectors.values() if entry.spec.index_spec.is_flat == flat]

    def _texts_wanted(self) -> list[int]:
        return [entry.slot for entry in self.shard.settings.texts.values()]

    def _next(self) -> Action | None:
        return next_action(
            self._steps.segment_states(),
            indexed_slots=self._slots(flat=False),
            flat_slots=self._slots(flat=True),
            indexes=self.shard.settings.indexes,
            texts=self._texts_wanted(),
            texts_of_base={entry.slot for entry in self.shard.manifest.settings.texts.values()},
            limits=self.limits,
            failed=self._failed,
        )

    def _build_all(self, job: Job) -> None:
        while not job.cancel_token.cancelled and (action := self._next()) is not None:
            if self._is_optimize_waiting():
                # What this job was to do and what that one was: whoever waits for this job finds it done.
                self._merge_everything(job)
                break
            if not self._is_put_off(action):
                self.perform(action, job, unless=self._is_moot)
        if not job.cancel_token.cancelled and self.promises.is_due():
            self._submit("recall", "measuring recall", self.promises.measure_declared)

    def perform(self, action: Action, job: Job, *, unless: Callable[[Action], bool] = lambda _: False) -> None:
        """One step, unless it is given up. A step that the memory limit does not allow is put aside until the segments change: rows stay
        searchable as they are.

        unless: whether the step is moot by now, asked when it can be given up already: what makes it moot later finds it and gives it up.
        """

        def step(cancel: _core.Cancel) -> None:
            if not unless(action):
                self._take(action, cancel)

        self._building = job, action
        try:
            if isinstance(action, Checkpoint):
                self._checkpoint(job)
            elif job.run_step(step) and isinstance(action, Merge | RewriteFields):
                self._failed = frozenset()
        except MemoryLimitError as error:
            self.last_error = error
            self._failed |= {action}
        finally:
            self._building = None

    def _take(self, action: Action, cancel: _core.Cancel) -> None:
        steps = self._steps
        match action:
            case Merge():
                steps.merge(action, self.limits, cancel)
            case RewriteFields():
                steps.rewrite_fields(action, cancel)
            case BuildVectorIndex() if steps.leading(action.slot):
                steps.merge(Merge((action.key,)), self.limits, cancel)
            case BuildVectorIndex():
                steps.build_vector_index(action, cancel)
            case DropVectorIndex():
                steps.drop_vector_index(action)
            case BuildIndex():
                steps.build_index(action, cancel)
            case BuildTerms():
                steps.build_terms(action, cancel)

    # ---- work that is moot before it is done

    def _is_put_off(self, action: Action) -> bool:
        """Whether an index is not worth beginning because the writer will soon have its segment merged. Watches it for a moment."""
        if not isinstance(action, BuildVectorIndex):
            return False
        rows_per_s = self._writing_rate()
        unsealed = sum(entry["rows"] for entry in self.shard.state.snapshot().entries if not entry["sealed"])
        states = self._steps.segment_states()
        return is_soon_merged(states, action.key, unsealed=unsealed, rows_per_s=rows_per_s, limits=self.limits)

    def _writing_rate(self) -> float:
        """Rows a second that are being written. Takes no time where nothing has been written since the last look."""
        state, env = self.shard.state, self.shard.env
        if state.version == self._watched_version:
            return 0.0
        start, rows = env.monotonic(), self._rows()
        env.sleep(_LOOK_S)
        self._watched_version = state.version
        return max(0, self._rows() - rows) / (env.monotonic() - start)

    def _rows(self) -> int:
        return sum(entry["rows"] for entry in self.shard.state.snapshot().entries)

    def _is_moot(self, action: Action) -> bool:
        """Whether what a step makes would be merged away at once, since the step was chosen before the writer was watched."""
        return (self._is_optimize_waiting() and self._is_merged_by_optimize(action)) or self._is_merged_next(action)

    def _is_merged_next(self, action: Action) -> bool:
        """Whether an index is of a segment that a merge now takes, as it does once its tier is full."""
        if not isinstance(action, BuildVectorIndex):
            return False
        following = self._next()
        return isinstance(following, Merge) and action.key in following.keys

    def _give_up_moot_build(self) -> None:
        building = self._building
        if building is not None and self._is_merged_next(building[1]):
            building[0].give_up_step()

    def _is_optimize_waiting(self) -> bool:
        waiting = self._optimizing
        return waiting is not None and waiting.state == "queued" and not waiting.cancel_token.cancelled

    def _checkpoint(self, job: Job) -> None:
        self.shard.freeze()
        self._wait_for_seals(job)

    # ---- changes of settings on a live collection

    def settings_changed(self) -> Job:
        """Drops indexes that the new settings no longer want and queues what they do.

        A dropped vector stays in the files until the base is past its drop: versions before that still have it.
        """
        shard = self.shard
        wanted = shard.settings.indexes
        with self._steps.lock, shard.writer:
            for key, files in list(shard.segments.items()):
                for path in files.indexes.keys() - wanted.keys():
                    shard.state.drop_index(key, path)
                    shard.segments[key] = shard.segments[key].without_index(path)
        for slot in self._slots(flat=True):  # every row is read there
            shard.state.give_up_codes(slot)
        self._failed = frozenset()
        return self.schedule()

    # ---- on demand

    def optimize(self) -> Job:
        """Seals the head, merges everything worth merging and builds every graph and index that is wanted."""
        job = Job(f'optimizing collection "{self.shard.name}"')
        self._optimizing = job
        self.shard.committer.run(lambda: self._scheduler.submit(f"{self._lane}-build", job, self._optimize))
        building = self._building
        if building is not None and building[0] is not job and self._is_merged_by_optimize(building[1]):
            building[0].give_up_step()
        return job

    def _optimize(self, job: Job) -> None:
        self._merge_everything(job)
        job.progress = 0.8
        if not job.cancel_token.cancelled:
            self.promises.measure_declared(job)

    def _merge_everything(self, job: Job) -> None:
        self._checkpoint(job)
        job.progress = 0.2
        self._failed = frozenset()
        for together in self._merged_by_optimize():
            if len(together) > 1 or together[0].live < together[0].files.rows:
                self.perform(Merge(tuple(state.files.key for state in together)), job)
            elif together[0].updated:
                self.perform(RewriteFields(together[0].files.key), job)
        job.progress = 0.5
        while not job.cancel_token.cancelled and (action := self._next()) is not None:
            self.perform(action, job)

    def _is_merged_by_optimize(self, action: Action) -> bool:
        """Whether what a step makes is at once merged with more: the head, or other segments."""
        if not isinstance(action, BuildVectorIndex | Merge):
            return False
        keys = set(action.keys if isinstance(action, Merge) else (action.key,))
        groups = [{state.files.key for state in together} for together in self._merged_by_optimize()]
        merged = next((group for group in groups if keys <= group), None)
        has_unsealed_rows = any(entry["rows"] for entry in self.shard.state.snapshot().entries if not entry["sealed"])
        return merged is not None and (has_unsealed_rows or keys != merged)

    def _merged_by_optimize(self) -> list[list[SegmentState]]:
        rows_max = self.limits.segment_rows_max
        return packed([state for state in self._steps.segment_states() if state.live < rows_max], rows_max)

    def _wait_for_seals(self, job: Job) -> None:
        """Returns when no frozen head is left. Raises what sealing raises."""
        shard = self.shard
        shard.seal_error = None
        while shard.frozen and not job.cancel_token.cancelled:
            self._submit("seal", "sealing", self._seal_all)
            shard.env.sleep(0.002)
            if shard.frozen and (error := shard.seal_error) is not None:
                raise error

    def close(self) -> None:
        """Seals a long log away, so that the next opening replays little; the scheduler is idle. A failure costs only that time."""
        shard = self.shard
        shard.on_frozen = lambda: None
        if not shard.is_writable or shard.journal.log_bytes <= self.limits.close_log_bytes_max:
            return
        job = Job("sealing")
        try:
            shard.freeze()
            while shard.frozen:
                self._seal_next(job)
        except Error as error:
            self.last_error = error
