"""The files of a sealed segment: which there are, how they are written from a rewrite, how they are opened.

The bytes come from the core; what is decided here is which file holds what, and that a segment's parts are files of their own, so that
fields, tombstones, graphs and indexes can be replaced without touching the vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vicino import _core
from vicino.errors import CorruptionError
from vicino.storage.container import ContainerWriter
from vicino.storage.journal import Journal
from vicino.storage.shape import expect_shape

SLOT_LIMIT = 2**32

Column = tuple[int, int, Any, Any]
"""slot, dim, core dtype, core metric: what the core needs to know of a vector."""

ValueColumns = tuple[int, Any, int, Any, Any]
"""slot, core kind, dim, core dtype, core metric: the same of sparse vectors, multi-vectors and text indexes."""

SLICE_BYTES = 1 << 20
"""Bytes of vectors or documents written at a time, if a row is not larger; bounds the memory of a rewrite whatever its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFiles:
    """One sealed segment as the manifest describes it.

    key: identity of the segment in the core's state, unique as long as the collection is open.
    vectors, graphs, values, terms, multis: by slot. indexes: by path, as (kind, file).
    tombstones, n_dead: dead rows as of the manifest's version. patch, patched_at: newer documents, and the version of the newest of them.
    """

    key: int
    rows: int
    ids: str
    fields: str
    vectors: Mapping[int, str] = field(default_factory=dict)
    graphs: Mapping[int, str] = field(default_factory=dict)
    values: Mapping[int, str] = field(default_factory=dict)
    terms: Mapping[int, str] = field(default_factory=dict)
    multis: Mapping[int, str] = field(default_factory=dict)
    indexes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    tombstones: str | None = None
    n_dead: int = 0
    patch: str | None = None
    patched_at: int = 0

    @property
    def names(self) -> list[str]:
        """Every file of the segment."""
        found = [self.ids, self.fields, *(name for slots in self._by_slot.values() for name in slots.values())]
        found += [name for _, name in self.indexes.values()]
        return found + [name for name in (self.tombstones, self.patch) if name is not None]

    @property
    def _by_slot(self) -> dict[str, Mapping[int, str]]:
        return {kind: getattr(self, kind) for kind in _SLOT_KINDS}

    @property
    def slots(self) -> set[int]:
        """Slots of which the segment has a file."""
        return {slot for files in self._by_slot.values() for slot in files}

    def with_terms(self, slot: int, name: str) -> SegmentFiles:
        return replace(self, terms={**self.terms, slot: name})

    def without_graph(self, slot: int) -> SegmentFiles:
        return replace(self, graphs={other: name for other, name in self.graphs.items() if other != slot})

    def with_graph(self, slot: int, name: str) -> SegmentFiles:
        return replace(self, graphs={**self.graphs, slot: name})

    def with_index(self, path: str, kind: str, name: str) -> SegmentFiles:
        return replace(self, indexes={**self.indexes, path: (kind, name)})

    def without_index(self, path: str) -> SegmentFiles:
        return replace(self, indexes={other: entry for other, entry in self.indexes.items() if other != path})

    def without_slot(self, slot: int) -> SegmentFiles:
        kept = {kind: {other: name for other, name in files.items() if other != slot} for kind, files in self._by_slot.items()}
        return replace(self, **kept)

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "rows": self.rows,
            "ids": self.ids,
            "fields": self.fields,
            "vectors": {str(slot): name for slot, name in self.vectors.items()},
            "graphs": {str(slot): name for slot, name in self.graphs.items()},
            # Left out where there are none, as versions without them expect it.
            **{
                kind: {str(slot): name for slot, name in files.items()}
                for kind, files in self._by_slot.items()
                if files and kind in _NEW_KINDS
            },
            "indexes": {path: list(entry) for path, entry in self.indexes.items()},
            "tombstones": self.tombstones,
            "n_dead": self.n_dead,
            "patch": self.patch,
            "patched_at": self.patched_at,
        }

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> SegmentFiles:
        """Reads `to_json`'s form. Raises CorruptionError for anything else."""
        parts = {**{kind: {} for kind in _NEW_KINDS}, **parts}
        expect_shape(parts, _JSON_SHAPE, "the manifest: segment")
        for slot in {slot for kind in _SLOT_KINDS for slot in parts[kind]}:
            if not (slot.isascii() and slot.isdigit() and int(slot) < SLOT_LIMIT):
                raise CorruptionError(f"the manifest: segment.vectors names slot {slot!r}; restore the folder from a snapshot or a copy")
        values = {key: parts[key] for key in _JSON_SHAPE}
        for kind in _SLOT_KINDS:
            values[kind] = {int(slot): name for slot, name in values[kind].items()}
        if odd := [path for path, entry in values["indexes"].items() if len(entry) != 2]:
            raise CorruptionError(f"the manifest: segment.indexes.{odd[0]} is no pair of kind and file; restore the folder from a copy")
        values["indexes"] = {path: (kind, name) for path, (kind, name) in values["indexes"].items()}
        return cls(**values)


_NEW_KINDS = ("values", "terms", "multis")
_SLOT_KINDS = ("vectors", "graphs", *_NEW_KINDS)
_JSON_SHAPE = {
    "key": int,
    "rows": int,
    "ids": str,
    "fields": str,
    "vectors": {str: str},
    "graphs": {str: str},
    "values": {str: str},
    "terms": {str: str},
    "multis": {str: str},
    "indexes": {str: [str]},
    "tombstones": (str, None),
    "n_dead": int,
    "patch": (str, None),
    "patched_at": int,
}


@contextmanager
def new_file(journal: Journal, kind: str) -> Iterator[ContainerWriter]:
    """A new file that is finished when the block ends, and gone when it fails."""
    file = journal.create_file(kind)
    try:
        yield file
        file.finish()
    except BaseException:
        journal.discard(file)
        raise


def _stream(file: ContainerWriter, name: str, pieces: Iterator[bytes]) -> None:
    with file.section(name) as section:
        for piece in pieces:
            section.write(piece)


def slices(rows: int, row_bytes: int) -> Iterator[tuple[int, int]]:
    """(first, count) pairs that cover `rows` rows of one size, about SLICE_BYTES at a time."""
    step = max(1, SLICE_BYTES // row_bytes)
    for first in range(0, rows, step):
        yield first, min(step, rows - first)


def document_slices(offsets: bytes) -> Iterator[tuple[int, int]]:
    """The same for documents, which begin and end at `offsets`."""
    ends = np.frombuffer(offsets, np.uint64)
    rows, first = len(ends) - 1, 0
    while first < rows:
        stop = int(np.searchsorted(ends, ends[first] + np.uint64(SLICE_BYTES), side="right")) - 1
        stop = min(rows, max(first + 1, stop))
        yield first, stop - first
        first = stop


def write_segment(
    journal: Journal,
    rewrite: _core.Rewrite,
    key: int,
    columns: Sequence[Column],
    values: Sequence[ValueColumns],
    cancel: _core.Cancel,
    *,
    coded: Container[int] = frozenset(),
) -> SegmentFiles:
    """Writes ids, fields, vectors, values and terms of a rewrite; every file is durable on return. The rewrite must have rows.

    coded: slots of the vectors whose rows are kept in 8 bits a number.
    """
    names = [_write_ids(journal, rewrite), write_fields(journal, rewrite, cancel)]
    vectors = {}
    for column in columns:
        if rewrite.has_column(column):
            vectors[column[0]] = _write_vectors(journal, rewrite, column, cancel, coded=column[0] in coded)
    stored, terms, multis = {}, {}, {}
    for column in values:
        if not rewrite.has_values(column):
            continue
        slot, kind = column[0], column[1]
        if kind != _core.ValueKind.text:
            stored[slot] = _write_values(journal, rewrite, column, cancel)
        if kind == _core.ValueKind.multi:
            multis[slot] = _write_multi(journal, rewrite, column, cancel)
        else:
            terms[slot] = write_terms(journal, rewrite.value_meta(column), rewrite.terms(column, cancel))
    return SegmentFiles(
        key=key, rows=rewrite.n_rows, ids=names[0], fields=names[1], vectors=vectors, values=stored, terms=terms, multis=multis
    )


def _write_ids(journal: Journal, rewrite: _core.Rewrite) -> str:
    meta, data, offsets, table, tags = rewrite.ids()
    with new_file(journal, "ids") as file:
        file.add("meta", meta)
        file.add("bytes", data)
        if offsets:
            file.add("offsets", offsets)
        file.add("table", table)
        file.add("tags", tags)
    return file.name


def write_fields(journal: Journal, rewrite: _core.Rewrite, cancel: _core.Cancel) -> str:
    """Writes only the documents of a rewrite: a segment whose vectors stay."""

    def documents(offsets: bytes) -> Iterator[bytes]:
        for first, count in document_slices(offsets):
            _check(cancel)
            yield rewrite.documents(first, count)

    with new_file(journal, "fields") as file:
        file.add("versions", rewrite.versions())
        offsets = rewrite.document_offsets()
        file.add("offsets", offsets)
        _stream(file, "documents", documents(offsets))
    return file.name


def _write_vectors(journal: Journal, rewrite: _core.Rewrite, column: Column, cancel: _core.Cancel, *, coded: bool) -> str:
    row_bytes = _core.row_bytes(_core.Dtype.coded if coded else column[2], column[1])

    def rows() -> Iterator[bytes]:
        for first, count in slices(rewrite.n_rows, row_bytes):
            _check(cancel)
            yield rewrite.vectors(column, first, count, coded)

    with new_file(journal, "vectors") as file:
        file.add("meta", rewrite.column_meta(column, coded))
        _stream(file, "rows", rows())
        if column[3] == _core.Metric.cosine:
            _stream(file, "norms", (rewrite.norms(column, first, count, coded) for first, count in slices(rewrite.n_rows, row_bytes)))
        if presence := rewrite.presence(column):
            file.add("presence", presence)
    return file.name


def _write_values(journal: Journal, rewrite: _core.Rewrite, column: ValueColumns, cancel: _core.Cancel) -> str:
    def values(offsets: bytes) -> Iterator[bytes]:
        for first, count in document_slices(offsets):
            _check(cancel)
            yield rewrite.values(column, first, count)

    with new_file(journal, "values") as file:
        file.add("meta", rewrite.value_meta(column))
        offsets = rewrite.value_offsets(column)
        file.add("offsets", offsets)
        _stream(file, "bytes", values(offsets))
    return file.name


def _write_multi(journal: Journal, rewrite: _core.Rewrite, column: ValueColumns, cancel: _core.Cancel) -> str:
    with new_file(journal, "multi") as file:
        file.add("meta", rewrite.value_meta(column))
        file.add("index", rewrite.multi_index(column, 1, cancel))
    return file.name


def write_terms(journal: Journal, meta: bytes, sections: Sequence[tuple[str, bytes]]) -> str:
    """Writes the inverted index of a text or sparse column."""
    with new_file(journal, "terms") as file:
        file.add("meta", meta)
        for name, data in sections:
            file.add(name, data)
    return file.name


def write_vector_index(
    journal: Journal,
    slot: int,
    kind: str,
    make: Callable[[Callable[[bytes], None]], None],
    made: str,
    *,
    pages: Callable[[], Iterator[bytes]] | None = None,
) -> str:
    """make: is given what to call with the bytes of the index, piece by piece.

    made: how it was asked for; an index made otherwise than asked for now is built anew. pages: of a graph that is walked from disk, asked
    for once the graph is made.
    """
    with new_file(journal, "graph") as file:
        file.add("meta", slot.to_bytes(4, "little"))
        with file.section(_core.vector_index_section(kind)) as section:
            make(section.write)
        if pages is not None:
            _stream(file, "pages", pages())
        if made:
            file.add("made", made.encode())
    return file.name


def pieces_of(pages: _core.GraphPages, cancel: _core.Cancel) -> Iterator[bytes]:
    """The blocks of a graph, about SLICE_BYTES at a time."""
    yield pages.header()
    for first, count in slices(pages.n_nodes, pages.block_bytes):
        _check(cancel)
        yield pages.blocks(first, count)


def write_index(journal: Journal, path: str, index: bytes) -> str:
    with new_file(journal, "index") as file:
        file.add("path", path.encode())
        file.add("index", index)
    return file.name


def write_tombstones(journal: Journal, words: bytes) -> str:
    with new_file(journal, "tombstones") as file:
        file.add("words", words)
    return file.name


def write_patch(journal: Journal, patch: tuple[bytes, bytes, bytes, bytes]) -> str:
    with new_file(journal, "patch") as file:
        for name, data in zip(("rows", "versions", "offsets", "documents"), patch, strict=True):
            file.add(name, data)
    return file.name


def _check(cancel: _core.Cancel) -> None:
    if cancel.cancelled:
        raise KeyboardInterrupt


def open_container(journal: Journal, name: str, kind: str) -> _core.Container:
    container = _core.Container.open(journal.open_file(name), name)
    container.expect_kind(kind)
    return container


def open_segment(journal: Journal, files: SegmentFiles) -> tuple[_core.Segment, _core.Container | None, _core.Container | None]:
    """The segment, its tombstones and its patch. Reads headers only."""
    segment = _core.open_segment(
        files.key,
        open_container(journal, files.ids, "ids"),
        open_container(journal, files.fields, "fields"),
        [open_container(journal, name, "vectors") for name in files.vectors.values()],
        [open_container(journal, name, "graph") for name in files.graphs.values()],
        [open_container(journal, name, "index") for _, name in files.indexes.values()],
        [open_container(journal, name, "values") for name in files.values.values()],
        [open_container(journal, name, "terms") for name in files.terms.values()],
        [open_container(journal, name, "multi") for name in files.multis.values()],
    )
    return (
        segment,
        None if files.tombstones is None else open_container(journal, files.tombstones, "tombstones"),
        None if files.patch is None else open_container(journal, files.patch, "patch"),
    )
