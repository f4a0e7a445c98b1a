"""The steps of background work: a head becomes a segment, segments become one, an index is built, the manifest is written.

Every step writes new files beside the old ones, swaps them in under the writer lock in microseconds, and only then writes the manifest
that makes the step last. A crash before that leaves files nobody names, which the next opening removes. So a step can also be given up
at any time before it swaps: its `cancel` says so.
Disk overhead: a merge needs its inputs' size a second time until its manifest is durable.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from vicino import _core
from vicino.collection.core_columns import coded_slots, columns_of, core_slot, slots_of, values_of
from vicino.collection.limits import Limits
from vicino.collection.policy import BuildIndex, BuildTerms, BuildVectorIndex, DropVectorIndex, Merge, RewriteFields, SegmentState
from vicino.collection.settings import Settings
from vicino.collection.shard import Shard
from vicino.collection.values import to_text
from vicino.collection.vector_spec import VectorSlot
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


class Steps:
    """What is done to one shard in the background, step by step. `lock` is held while a step is swapped in and its manifest written."""

    def __init__(self, shard: Shard, *, threads: int, retain: int) -> None:
        self.shard, self._threads, self._retain = shard, threads, retain
        self.lock = threading.RLock()
        self._floor = shard.journal.floor

    def segment_states(self) -> list[SegmentState]:
        """The sealed segments as of the base and as of now; vector indexes that are to be built anew do not count as there."""
        with self.lock:
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

    # ---- segments

    def seal(self, cancel: _core.Cancel) -> _core.Segment | None:
        """Writes the oldest frozen head as a segment, and the manifest that moves the log floor past it.

        Returns the segment, for finish_codes; None when nothing was left of the head.
        """
        shard = self.shard
        frozen = shard.frozen[0]
        entries = frozen.snapshot.entries
        rewrite = _core.Rewrite(frozen.snapshot, [len(entries) - 1])
        output, files = self._write(rewrite, entries[-1]["key"], frozen.settings, cancel, optional=False)
        if output is not None:
            rewrite.carry_codes(output, [entry.slot for entry in shard.settings.vectors.values() if not entry.spec.index_spec.is_flat])
        with self.lock:
            with shard.writer:
                shard.state.install(rewrite, output, True)
                if files is not None:
                    shard.segments[files.key] = files
                # With the base, before the manifest is written: if writing fails, the next one to be written describes this base.
                shard.manifest = replace(shard.manifest, version=frozen.version, time_us=frozen.time_us, settings=frozen.settings)
                self._floor = frozen.log
                shard.sealed()
            self._write_manifest()
        return output

    def finish_codes(self, segment: _core.Segment | None, cancel: _core.Cancel) -> None:
        """Makes what a seal could not carry over of the codes of its head: those of rows that have other numbers now."""
        if not self.shard.budget.has_plenty():
            self.shard.state.give_up_codes()
        elif segment is not None:
            segment.finish_codes(cancel)

    def merge(self, action: Merge, limits: Limits, cancel: _core.Cancel) -> None:
        shard = self.shard
        base = shard.state.base()
        positions = [position for position, entry in enumerate(base.entries) if entry["key"] in action.keys]
        rewrite = _core.Rewrite(base, positions)
        settings, leading = shard.manifest.settings, self.leading()
        if leading is not None and rewrite.n_rows >= limits.graph_rows_min and _has(rewrite, leading, settings):
            output, files = self._write_in_lists(rewrite, shard.state.next_key(), leading, settings, cancel)
        else:
            output, files = self._write(rewrite, shard.state.next_key(), settings, cancel, optional=True)
        with self.lock:
            with shard.writer:
                shard.state.install(rewrite, output, False)
                if files is not None:
                    shard.segments[files.key] = files
            self._write_manifest()

    def rewrite_fields(self, action: RewriteFields, cancel: _core.Cancel) -> None:
        shard = self.shard
        base = shard.state.base()
        position = next(position for position, entry in enumerate(base.entries) if entry["key"] == action.key)
        rewrite = _core.Rewrite(base, [position], True)
        with shard.budget.reserve(rewrite.working_bytes(SLICE_BYTES), "rewriting fields", optional=True):
            name = write_fields(shard.journal, rewrite, cancel)
        container = open_container(shard.journal, name, "fields")
        with self.lock:
            with shard.writer:
                shard.state.replace_fields(action.key, container, base.version)
            files = replace(shard.segments[action.key], fields=name, indexes={}, patch=None, patched_at=0)
            shard.segments[action.key] = files
            self._write_manifest()

    # ---- indexes

    def build_vector_index(self, action: BuildVectorIndex, cancel: _core.Cancel) -> None:
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

                base.write_vector_index(action.key, action.slot, self._threads, cancel, take, **options)

            def pages() -> Iterator[bytes]:
                return pieces_of(_core.GraphPages(base, action.key, action.slot, bytes(graph)), cancel)

            asked = pages if index.is_on_disk else None
            name = write_vector_index(shard.journal, action.slot, options["kind"], make, index.made, pages=asked)
        container = open_container(shard.journal, name, "graph")
        with self.lock:
            with shard.writer:
                shard.state.attach_vector_index(action.key, container)
            shard.segments[action.key] = shard.segments[action.key].with_graph(action.slot, name)
            self._write_manifest()

    def rows_within_memory(self, rows_max: int) -> int:
        """How many rows, at most rows_max, a segment may have so that the graphs that are walked from disk can be built.

        Whoever walks graphs from disk has more rows than fit into memory: merges stop where the graph of one segment would not fit. Where
        not even that of the fewest rows does, there is none to stop for.
        """
        limit, fewest = self.shard.budget.limit, self.shard.limits.graph_rows_min
        if limit is None:
            return rows_max
        for entry in self.shard.settings.vectors.values():
            if entry.spec.index_spec.is_on_disk:
                rows = range(fewest, rows_max + 1)
                fitting = bisect_right(rows, limit // GRAPH_SHARE, key=lambda rows, entry=entry: self._graph_bytes(entry, rows))
                rows_max = fewest + fitting - 1 if fitting else rows_max
        return rows_max

    def _graph_bytes(self, entry: VectorSlot, rows: int) -> int:
        """Memory that building the index of so many rows takes."""
        index = entry.spec.index_spec
        needed: int = _core.vector_index_build_bytes(core_slot(entry), rows, self._threads, **index.build_options())
        return needed + 2 * SLICE_BYTES if index.is_on_disk else needed

    def drop_vector_index(self, action: DropVectorIndex) -> None:
        shard = self.shard
        with self.lock:
            with shard.writer:
                shard.state.drop_vector_index(action.key, action.slot)
            shard.segments[action.key] = shard.segments[action.key].without_graph(action.slot)
            self._write_manifest()

    def build_index(self, action: BuildIndex, cancel: _core.Cancel) -> None:
        shard = self.shard
        files = shard.segments[action.key]
        # At most every document holds nothing but this field; its values are sorted, then encoded.
        needed = files.rows * INDEX_ROW_BYTES + 2 * shard.journal.open_file(files.fields).size
        with shard.budget.reserve(needed, f'indexing field "{action.path}"', optional=True):
            index = shard.state.base().build_index(action.key, action.path, action.kind, cancel)
            name = write_index(shard.journal, action.path, index)
        container = open_container(shard.journal, name, "index")
        with self.lock:
            with shard.writer:
                shard.state.attach_index(action.key, container)
            shard.segments[action.key] = shard.segments[action.key].with_index(action.path, action.kind, name)
            self._write_manifest()

    def build_terms(self, action: BuildTerms, cancel: _core.Cancel) -> None:
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
                if cancel.cancelled:
                    raise KeyboardInterrupt
                first = (int(rows[-1]) & 0xFFFFFFFF) + 1
                documents = [_core.decode_document(document) for document in base.documents(rows)]
                column, found = to_text(documents, entry)
                builder.add(rows, column.data, column.offsets)
                languages |= found
            file = write_terms(shard.journal, builder.meta, builder.finish(cancel))
        if not languages <= entry.languages:
            shard.change_settings(lambda settings: settings.with_languages({name: languages}))
        container = open_container(shard.journal, file, "terms")
        with self.lock:
            with shard.writer:
                shard.state.attach_terms(action.key, container)
            shard.segments[action.key] = shard.segments[action.key].with_terms(action.slot, file)
            self._write_manifest()

    # ---- writing

    def _write(
        self, rewrite: _core.Rewrite, key: int, settings: Settings, cancel: _core.Cancel, *, optional: bool
    ) -> tuple[_core.Segment | None, SegmentFiles | None]:
        if rewrite.n_rows == 0:
            return None, None
        values = values_of(settings)
        needed = rewrite.working_bytes(SLICE_BYTES) + max((rewrite.terms_bytes(column) for column in values), default=0)
        with self.shard.budget.reserve(needed, "writing a segment", optional=optional):
            coded = coded_slots(settings)
            files = write_segment(self.shard.journal, rewrite, key, columns_of(settings), values, cancel, coded=coded)
        return open_segment(self.shard.journal, files)[0], files

    def _write_in_lists(
        self, rewrite: _core.Rewrite, key: int, leading: VectorSlot, settings: Settings, cancel: _core.Cancel
    ) -> tuple[_core.Segment | None, SegmentFiles | None]:
        """The same with rows in the order of inverted lists over a vector, and the index of these."""
        column, index = core_slot(leading), leading.spec.index_spec
        options = index.build_options()
        sample, needed = self._training(column, rewrite, options)
        coded = leading.slot in coded_slots(settings)
        purpose = f"{rewrite.n_rows} vectors in inverted lists (fewer, by nlist=, take less)"
        with self.shard.budget.reserve(needed, purpose, optional=True):
            rewrite.order_by_lists(column, coded, self._threads, cancel, sample=sample, **options)
            written, files = self._write(rewrite, key, settings, cancel, optional=True)
            assert written is not None, "a rewrite without rows is not ordered"
            assert files is not None

            def make(write: Callable[[bytes], None]) -> None:
                rewrite.write_lists(written, column, self._threads, cancel, write, **options)

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

    def leading(self, slot: int | None = None) -> VectorSlot | None:
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

    def record_recall(self, name: str) -> None:
        """Makes a written file of calibrations part of the collection."""
        with self.lock:
            self.shard.manifest = replace(self.shard.manifest, recall=name)
            self._write_manifest()


def _has(rewrite: _core.Rewrite, vector: VectorSlot, settings: Settings) -> bool:
    """Whether the base that is rewritten knows of a vector and any of its rows has it."""
    return any(entry.slot == vector.slot for entry in settings.vectors.values()) and rewrite.has_column(core_slot(vector))


def _with_usable_indexes(files: SegmentFiles, entry: Mapping[str, Any], made: Mapping[int, str]) -> SegmentFiles:
    """The files without those of vector indexes that are built anew: of a format no longer searched, or made otherwise than asked for."""
    found = entry["columns"]

    def is_usable(slot: int) -> bool:
        return found[slot] is not None and made.get(slot, found[slot]) == found[slot]

    return replace(files, graphs={slot: name for slot, name in files.graphs.items() if is_usable(slot)})
