"""Seal, merge, build: background work on one shard, each step bounded in memory, none needed for correctness.

Every step writes new files beside the old ones, swaps them in under the writer lock in microseconds, and only then writes the manifest
that makes the step last. A crash before that leaves files nobody names, which the next opening removes.
Disk overhead: a merge needs its inputs' size a second time until its manifest is durable.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vicino import _core
from vicino.collection.core_columns import coded_slots, columns_of, core_slot, slots_of, values_of
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
    next_action,
    packed,
)
from vicino.collection.promises import Promises
from vicino.collection.settings import Settings
from vicino.collection.shard import Shard
from vicino.collection.values import to_text
from vicino.collection.vector_spec import VectorSlot
from vicino.errors import Error, MemoryLimitError, StorageError
from vicino.segment.files import (
    SLICE_BYTES,
    Column,
    SegmentFiles,
    open_container,
    open_segment,
    pieces_of,
    write_fields,
    write_index,
    write_patch,
    write_segment,
    write_terms,
    write_tombstones,
    write_vector_index,
)
from vicino.storage.manifest import HistoryEntry

TERMS_ROWS = 4096
"""Records analyzed at a time while a text index is built."""
TERMS_BYTES_MIN = 1 << 20

LISTS_SAMPLES = (64, 32, 16)
"""Rows a list that centroids are trained on: a memory limit may leave room for fewer than are usual."""

GRAPH_SHARE = 3
"""Part of a memory limit that the graph of a segment may take to build: half is kept for writes, and what is held counts as well."""

INDEX_ROW_BYTES = 64
"""Working memory of building a field index per row, beside the values themselves."""


class Maintenance:
    """Background work on one shard. Seals run in their own lane, so that a long merge never holds up writes."""

    def __init__(self, shard: Shard, scheduler: Scheduler, *, lane: str, threads: int, retain: int) -> None:
        self.shard, self._scheduler, self._lane, self._threads, self._retain = shard, scheduler, lane, threads, retain
        self._install_lock = threading.RLock()
        self._state_lock = threading.Lock()
        self._queued: dict[str, Job] = {}
        self._failed: frozenset[Action] = frozenset()
        self._floor = shard.journal.floor
        self.last_error: BaseException | None = None
        self.promises = Promises(shard, in_background=self._submit, record=self._record_recall)
        shard.on_frozen = self._on_frozen

    def _on_frozen(self) -> None:
        self.schedule()

    @property
    def limits(self) -> Limits:
        rows_max = self.shard.settings.segment_rows_max or self.shard.limits.segment_rows_max
        for entry in self.shard.settings.vectors.values():
            if entry.spec.index_spec.is_on_disk:
                rows_max = min(rows_max, self._rows_of_graph(entry, rows_max))
        return replace(self.shard.limits, segment_rows_max=rows_max)

    def _rows_of_graph(self, entry: VectorSlot, rows_max: int) -> int:
        """How many rows, at most rows_max, have a graph that can be built within the memory limit.

        Whoever walks graphs from disk has more rows than fit into memory: merges stop where the graph of one segment would not fit. Where
        not even that of the fewest rows does, there is none to stop for.
        """
        limit, fewest = self.shard.budget.limit, self.shard.limits.graph_rows_min
        if limit is None:
            return rows_max
        room = limit // GRAPH_SHARE
        fitting = bisect_right(range(fewest, rows_max + 1), room, key=lambda rows: self._graph_bytes(entry, rows))
        return fewest + fitting - 1 if fitting else rows_max

    def _graph_bytes(self, entry: VectorSlot, rows: int) -> int:
        """Memory that building the index of so many rows takes."""
        index = entry.spec.index_spec
        needed: int = _core.vector_index_build_bytes(core_slot(entry), rows, self._threads, **index.build_options())
        return needed + 2 * SLICE_BYTES if index.is_on_disk else needed

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
                self.seal_next(job)
        except Exception as error:  # whatever it is, those who wait for the seal must not wait for ever
            self.shard.seal_error = error
            raise
        if not job.cancel_token.cancelled and self._next() is not None:
            self._submit("build", "merging and building", self._build_all)

    def seal_next(self, job: Job) -> None:
        """Writes the oldest frozen head as a segment, and the manifest that moves the log floor past it."""
        shard = self.shard
        frozen = shard.frozen[0]
        entries = frozen.snapshot.entries
        rewrite = _core.Rewrite(frozen.snapshot, [len(entries) - 1])
        output, files = self._write(rewrite, entries[-1]["key"], frozen.settings, job, optional=False)
        with self._install_lock:
            with shard.writer:
                shard.state.install(rewrite, output, True)
                if files is not None:
                    shard.segments[files.key] = files
                # With the base, before the manifest is written: if writing fails, the next one to be written describes this base.
                shard.manifest = replace(shard.manifest, version=frozen.version, time_us=frozen.time_us, settings=frozen.settings)
                self._floor = frozen.log
                shard.sealed()
            self._failed = frozenset()
            self._write_manifest()

    def _write(
        self, rewrite: _core.Rewrite, key: int, settings: Settings, job: Job, *, optional: bool
    ) -> tuple[_core.Segment | None, SegmentFiles | None]:
        if rewrite.n_rows == 0:
            return None, None
        values = values_of(settings)
        needed = rewrite.working_bytes(SLICE_BYTES) + max((rewrite.terms_bytes(column) for column in values), default=0)
        with self.shard.budget.reserve(needed, "writing a segment", optional=optional):
            coded = coded_slots(settings)
            files = write_segment(self.shard.journal, rewrite, key, columns_of(settings), values, job.cancel_token, coded=coded)
        return open_segment(self.shard.journal, files)[0], files

    def _write_in_lists(
        self, rewrite: _core.Rewrite, key: int, leading: VectorSlot, settings: Settings, job: Job
    ) -> tuple[_core.Segment | None, SegmentFiles | None]:
        """The same with rows in the order of inverted lists over a vector, and the index of these."""
        column, index = core_slot(leading), leading.spec.index_spec
        options = index.build_options()
        sample, needed = self._training(column, rewrite, options)
        coded = leading.slot in coded_slots(settings)
        purpose = f"{rewrite.n_rows} vectors in inverted lists (fewer, by nlist=, take less)"
        with self.shard.budget.reserve(needed, purpose, optional=True):
            rewrite.order_by_lists(column, coded, self._threads, job.cancel_token, sample=sample, **options)
            written, files = self._write(rewrite, key, settings, job, optional=True)
            assert written is not None, "a rewrite without rows is not ordered"
            assert files is not None

            def make(write: Callable[[bytes], None]) -> None:
                rewrite.write_lists(written, column, self._threads, job.cancel_token, write, **options)

            name = write_vector_index(self.shard.journal, leading.slot, options["kind"], make, index.made)
        files = files.with_graph(leading.slot, name)
        return open_segment(self.shard.journal, files)[0], files

    def _training(self, column: Column, rewrite: _core.Rewrite, options: Mapping[str, Any]) -> tuple[int, int]:
        """Rows a list that centroids are trained on, as many as memory allows, and the memory it takes to build with them."""
        room, writing = self.shard.budget.room(optional=True), rewrite.working_bytes(SLICE_BYTES)
        sample, needed = 0, 0
        for sample in LISTS_SAMPLES:
            needed = _core.vector_index_build_bytes(column, rewrite.n_rows, self._threads, sample=sample, **options)
            if room is None or needed + writing <= room:
                break
        return sample, needed

    def _leading(self, slot: int | None = None) -> VectorSlot | None:
        """The vector whose lists decide the order of rows: the first that has lists. slot: None unless it is this one."""
        found = next((entry for entry in self.shard.settings.vectors.values() if entry.spec.index_spec.has_lists), None)
        return None if found is None or (slot is not None and found.slot != slot) else found

    def _write_manifest(self) -> None:
        """Writes the base as it is now: tombstones and patches that changed, then the manifest."""
        shard = self.shard
        base = shard.state.base()
        slots = slots_of(shard.manifest.settings)
        segments = []
        for position, entry in enumerate(base.entries):
            if not entry["sealed"]:
                continue
            files = shard.segments[entry["key"]]
            for slot in files.slots - slots:
                with shard.writer:
                    shard.state.drop_column(files.key, slot)
                files = files.without_slot(slot)
            if (n_dead := entry["rows"] - entry["live"]) != files.n_dead:
                files = replace(files, tombstones=write_tombstones(shard.journal, base.tombstones(position)), n_dead=n_dead)
            if entry["last_update"] != files.patched_at:
                patch = write_patch(shard.journal, base.patch(position)) if entry["updated"] else None
                files = replace(files, patch=patch, patched_at=entry["last_update"])
            shard.segments[files.key] = files
            segments.append(files)
        shard.segments = {files.key: files for files in segments}
        shard.manifest = replace(shard.manifest, segments=tuple(segments))
        shard.journal.install(shard.manifest.to_json(), floor=self._floor, keep_history=self._keeps)

    def _keeps(self, entry: HistoryEntry) -> bool:
        """Older bases stay as long as one of the last `retain` versions is built from them.

        Counted from the base, not from now: below sync="commit" a crash may take the versions after it back. A base that was replaced by
        another of the same version, as merges and builds do, gives nothing that the other does not.
        """
        return entry.until > max(entry.version, self.shard.manifest.version - self._retain)

    def _record_recall(self, name: str) -> None:
        """Makes a written file of calibrations part of the collection."""
        with self._install_lock:
            self.shard.manifest = replace(self.shard.manifest, recall=name)
            self._write_manifest()

    # ---- merging and building

    def _segment_states(self) -> list[SegmentState]:
        with self._install_lock:
            base = self.shard.state.base().entries
            now = {entry["key"]: entry for entry in self.shard.state.snapshot().entries}
            segments = dict(self.shard.segments)
        wanted = {entry.slot: entry.spec.index_spec for entry in self.shard.settings.vectors.values()}
        made = {slot: index.made for slot, index in wanted.items() if not index.is_flat}

        def state(entry: Mapping[str, Any]) -> SegmentState:
            key, latest = entry["key"], now[entry["key"]]
            files = _with_usable_indexes(segments[key], entry, made)
            return SegmentState(files, entry["live"], entry["updated"], latest["live"], latest["updated"])

        return [state(entry) for entry in base if entry["sealed"]]

    def _slots(self, *, flat: bool) -> list[int]:
        """Of the vectors that are scanned, or of those that have an index."""
        return [entry.slot for entry in self.shard.settings.vectors.values() if entry.spec.index_spec.is_flat == flat]

    def _next(self) -> Action | None:
        return next_action(
            self._segment_states(),
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
            self.perform(action, job)
        if not job.cancel_token.cancelled and self.promises.is_due():
            self._submit("recall", "measuring recall", self.promises.measure_declared)

    def perform(self, action: Action, job: Job) -> None:
        """One step. A step the memory limit does not allow is put aside until the segments change; rows stay searchable as they are."""
        try:
            match action:
                case Merge():
                    self._merge(action, job)
                case RewriteFields():
                    self._rewrite_fields(action, job)
                case Checkpoint():
                    self._checkpoint(job)
                case BuildVectorIndex() if self._leading(action.slot):
                    self._merge(Merge((action.key,)), job)
                case BuildVectorIndex():
                    self._build_vector_index(action, job)
                case DropVectorIndex():
                    self._drop_vector_index(action)
                case BuildIndex():
                    self._build_index(action, job)
                case BuildTerms():
                    self._build_terms(action, job)
        except MemoryLimitError as error:
            self.last_error = error
            self._failed |= {action}

    def _merge(self, action: Merge, job: Job) -> None:
        shard = self.shard
        base = shard.state.base()
        positions = [position for position, entry in enumerate(base.entries) if entry["key"] in action.keys]
        rewrite = _core.Rewrite(base, positions)
        settings, leading = shard.manifest.settings, self._leading()
        if leading is not None and rewrite.n_rows >= self.limits.graph_rows_min and _has(rewrite, leading, settings):
            output, files = self._write_in_lists(rewrite, shard.state.next_key(), leading, settings, job)
        else:
            output, files = self._write(rewrite, shard.state.next_key(), settings, job, optional=True)
        with self._install_lock:
            with shard.writer:
                shard.state.install(rewrite, output, False)
                if files is not None:
                    shard.segments[files.key] = files
            self._failed = frozenset()
            self._write_manifest()

    def _rewrite_fields(self, action: RewriteFields, job: Job) -> None:
        shard = self.shard
        base = shard.state.base()
        position = next(position for position, entry in enumerate(base.entries) if entry["key"] == action.key)
        rewrite = _core.Rewrite(base, [position], True)
        with shard.budget.reserve(rewrite.working_bytes(SLICE_BYTES), "rewriting fields", optional=True):
            name = write_fields(shard.journal, rewrite, job.cancel_token)
        container = open_container(shard.journal, name, "fields")
        with self._install_lock:
            with shard.writer:
                shard.state.replace_fields(action.key, container, base.version)
            files = replace(shard.segments[action.key], fields=name, indexes={}, patch=None, patched_at=0)
            shard.segments[action.key] = files
            self._failed = frozenset()
            self._write_manifest()

    def _checkpoint(self, job: Job) -> None:
        self.shard.freeze()
        self._wait_for_seals(job)

    def _build_vector_index(self, action: BuildVectorIndex, job: Job) -> None:
        shard = self.shard
        files = shard.segments[action.key]
        entry = next((entry for entry in shard.settings.vectors.values() if entry.slot == action.slot), None)
        if entry is None:  # dropped since the action was chosen
            return
        index = entry.spec.index_spec
        options = index.build_options()
        with shard.budget.reserve(self._graph_bytes(entry, files.rows), f"indexing {files.rows} vectors", optional=True):
            base = shard.state.base()
            graph = bytearray()  # kept where blocks are made of it

            def make(write: Callable[[bytes], None]) -> None:
                def take(piece: bytes) -> None:
                    write(piece)
                    if index.is_on_disk:
                        graph.extend(piece)

                base.write_vector_index(action.key, action.slot, self._threads, job.cancel_token, take, **options)

            def pages() -> Iterator[bytes]:
                return pieces_of(_core.GraphPages(base, action.key, action.slot, bytes(graph)), job.cancel_token)

            asked = pages if index.is_on_disk else None
            name = write_vector_index(shard.journal, action.slot, options["kind"], make, index.made, pages=asked)
        container = open_container(shard.journal, name, "graph")
        with self._install_lock:
            with shard.writer:
                shard.state.attach_vector_index(action.key, container)
            shard.segments[action.key] = shard.segments[action.key].with_graph(action.slot, name)
            self._write_manifest()

    def _drop_vector_index(self, action: DropVectorIndex) -> None:
        shard = self.shard
        with self._install_lock:
            with shard.writer:
                shard.state.drop_vector_index(action.key, action.slot)
            shard.segments[action.key] = shard.segments[action.key].without_graph(action.slot)
            self._write_manifest()

    def _build_index(self, action: BuildIndex, job: Job) -> None:
        shard = self.shard
        files = shard.segments[action.key]
        # At most every document holds nothing but this field; its values are sorted, then encoded.
        needed = files.rows * INDEX_ROW_BYTES + 2 * shard.journal.open_file(files.fields).size
        with shard.budget.reserve(needed, f'indexing field "{action.path}"', optional=True):
            index = shard.state.base().build_index(action.key, action.path, action.kind, job.cancel_token)
            name = write_index(shard.journal, action.path, index)
        container = open_container(shard.journal, name, "index")
        with self._install_lock:
            with shard.writer:
                shard.state.attach_index(action.key, container)
            shard.segments[action.key] = shard.segments[action.key].with_index(action.path, action.kind, name)
            self._write_manifest()

    def _texts_wanted(self) -> list[int]:
        return [entry.slot for entry in self.shard.settings.texts.values()]

    def _build_terms(self, action: BuildTerms, job: Job) -> None:
        """The text index of a segment that was sealed before there was one, from its documents as of the base.

        The base knows the index, so every later change of a text wrote its record anew: what is read here is what the rows say.
        """
        shard = self.shard
        name, entry = next(((name, entry) for name, entry in shard.settings.texts.items() if entry.slot == action.slot), ("", None))
        if entry is None:  # dropped since the action was chosen
            return
        base = shard.state.base()
        position = next(position for position, found in enumerate(base.entries) if found["key"] == action.key)
        builder = _core.TermsBuilder(action.slot, base.entries[position]["rows"])
        languages: frozenset[str] = frozenset()
        file_bytes = shard.journal.open_file(shard.segments[action.key].fields).size
        with shard.budget.reserve(2 * file_bytes + TERMS_BYTES_MIN, f'building the text index "{name}"', optional=True):
            first = 0
            while len(rows := base.rows_of(position, first, TERMS_ROWS)):
                if job.cancel_token.cancelled:
                    raise KeyboardInterrupt
                first = (int(rows[-1]) & 0xFFFFFFFF) + 1
                documents = [_core.decode_document(document) for document in base.documents(rows)]
                column, found = to_text(documents, entry)
                builder.add(rows, column.data, column.offsets)
                languages |= found
            file = write_terms(shard.journal, builder.meta, builder.finish(job.cancel_token))
        if not languages <= entry.languages:
            shard.change_settings(lambda settings: settings.with_languages({name: languages}))
        container = open_container(shard.journal, file, "terms")
        with self._install_lock:
            with shard.writer:
                shard.state.attach_terms(action.key, container)
            shard.segments[action.key] = shard.segments[action.key].with_terms(action.slot, file)
            self._write_manifest()

    # ---- changes of settings on a live collection

    def settings_changed(self) -> Job:
        """Drops indexes that the new settings no longer want and queues what they do.

        A dropped vector stays in the files until the base is past its drop: versions before that still have it.
        """
        shard = self.shard
        wanted = shard.settings.indexes
        with self._install_lock, shard.writer:
            for key, files in list(shard.segments.items()):
                for path in files.indexes.keys() - wanted.keys():
                    shard.state.drop_index(key, path)
                    shard.segments[key] = shard.segments[key].without_index(path)
        self._failed = frozenset()
        return self.schedule()

    # ---- on demand

    def optimize(self) -> Job:
        """Seals the head, merges everything worth merging and builds every graph and index that is wanted."""
        job = Job(f'optimizing collection "{self.shard.name}"')
        return self._scheduler.submit(f"{self._lane}-build", job, self._optimize)

    def _optimize(self, job: Job) -> None:
        self._checkpoint(job)
        job.progress = 0.2
        self._failed = frozenset()
        states = [state for state in self._segment_states() if state.live < self.limits.segment_rows_max]
        for together in packed(states, self.limits.segment_rows_max):
            wasteful = any(state.live < state.files.rows or state.updated for state in together)
            if len(together) > 1 or wasteful:
                self.perform(Merge(tuple(state.files.key for state in together)), job)
        job.progress = 0.5
        self._build_all(job)
        job.progress = 0.8
        if not job.cancel_token.cancelled:
            self.promises.measure_declared(job)

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
                self.seal_next(job)
        except Error as error:
            self.last_error = error


def _has(rewrite: _core.Rewrite, vector: VectorSlot, settings: Settings) -> bool:
    """Whether the base that is rewritten knows of a vector and any of its rows has it."""
    return any(entry.slot == vector.slot for entry in settings.vectors.values()) and rewrite.has_column(core_slot(vector))


def _with_usable_indexes(files: SegmentFiles, entry: Mapping[str, Any], made: Mapping[int, str]) -> SegmentFiles:
    """The files without those of vector indexes that are built anew: of a format no longer searched, or made otherwise than asked for."""
    found = entry["columns"]

    def is_usable(slot: int) -> bool:
        return found[slot] is not None and made.get(slot, found[slot]) == found[slot]

    return replace(files, graphs={slot: name for slot, name in files.graphs.items() if is_usable(slot)})
