"""Records on their way in: whatever the user handed over becomes columns, sliced into commits.

A record is an id, vectors by name, and fields. Its flat spelling is one mapping in which "id" and the names of the collection's vectors are
reserved and every other key is a field; `Record(id, vectors=, fields=)` spells it in full and lets a field have any name. The stages:

    user's records ── pieces ──► Columns (a few thousand rows, raw) ── complete ──► checked, converted, embedded ── cut ──► Batch

Every record of a batch has been checked before the batch is handed out, so a batch is a commit that cannot fail half way on bad input.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from vicino.collection.columns import Columns, show_id
from vicino.collection.record import Record
from vicino.collection.settings import Settings, unknown_vector
from vicino.collection.typed import attribute_names, to_mapping
from vicino.collection.values import ValueColumn, join, to_text, to_values
from vicino.collection.vectors import Context, to_column, to_rows
from vicino.errors import InvalidArgument, SchemaError, shortened
from vicino.query.hit import RecordView, embedded_text
from vicino.types import DEFAULT_VECTOR, RecordId, VectorColumn

SLICE_BYTES = 64 << 20
"""A call up to this size is one commit; larger input is committed in slices of at most this size."""

PIECE_ROWS = 4096
"""Rows converted at a time: enough to make numpy's fixed costs vanish, little enough to bound what a generator holds in memory."""

Embed = Callable[[list[str]], npt.NDArray[Any]]
"""Texts in, one row of numbers per text out."""


@dataclass(slots=True)
class Batch:
    """Records of one commit, checked and in the form the core takes.

    documents: the fields of each record; `blobs` and `offsets` hold them encoded, record i in blobs[offsets[i]:offsets[i + 1]].
    values: by slot the sparse vectors, multi-vectors and terms of text indexes; languages: those that the analyzers of text indexes met.
    size_bytes: bytes of the rows and the encoded documents and ids, near what the log will take.
    """

    ids: list[RecordId]
    vectors: dict[str, VectorColumn]
    documents: list[dict[str, Any]]
    blobs: bytes
    offsets: npt.NDArray[np.uint64]
    size_bytes: int
    values: dict[int, ValueColumn] = field(default_factory=dict)
    languages: dict[str, frozenset[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, start: int, stop: int, row_bytes: npt.NDArray[np.int64]) -> Batch:
        """Some of the records; vectors are views."""
        first, last = int(self.offsets[start]), int(self.offsets[stop])
        return Batch(
            ids=self.ids[start:stop],
            vectors={
                name: VectorColumn(column.rows[start:stop], None if column.present is None else column.present[start:stop])
                for name, column in self.vectors.items()
            },
            documents=self.documents[start:stop],
            blobs=self.blobs[first:last],
            offsets=self.offsets[start : stop + 1] - self.offsets[start],
            size_bytes=int(row_bytes[start:stop].sum()),
            values={slot: column.rows(start, stop) for slot, column in self.values.items()},
            languages=self.languages,
        )


def batches(
    records: Any,
    settings: Settings,
    *,
    embed: Embed | None = None,
    collection: str = "",
    slice_bytes: int = SLICE_BYTES,
    slice_rows: int | None = None,
) -> Iterator[Batch]:
    """The user's records as batches, each checked as a whole and at most `slice_bytes` large (a larger single record comes alone).

    records: a mapping, a Record, an object of a class of records, a frame or Arrow data, `Columns`, or any iterable of these.
    embed: turns texts into the vector named "vector" for records that have none; None leaves them without.
    Raises SchemaError, DimensionError or InvalidArgument naming the record and its position; batches before it are out already.
    """
    if slice_rows is not None and slice_rows < 1:
        raise InvalidArgument(f"batch must be at least 1 record, got {slice_rows}")
    cutter = _Cutter(slice_bytes, slice_rows)
    for piece in pieces(records, settings.vector_names):
        yield from cutter.add(_complete(piece, settings, embed, collection))
    yield from cutter.rest()


def pieces(records: Any, vector_names: Iterable[str]) -> Iterator[Columns]:
    """Whatever the user handed over, as runs of a few thousand records in raw columns."""
    names = tuple(vector_names)
    if isinstance(records, Columns):
        yield from _in_pieces(records)
    elif _is_one_record(records):
        yield split_rows([records], names)
    elif _is_frame(records):
        from vicino.collection.frames import read_frame

        yield from read_frame(records, names, PIECE_ROWS)
    elif isinstance(records, str | bytes | np.ndarray) or not isinstance(records, Iterable):
        raise InvalidArgument(_not_records(records))
    else:
        yield from _from_iterable(records, names)


def _from_iterable(records: Iterable[Any], names: tuple[str, ...]) -> Iterator[Columns]:
    iterator, first = iter(records), 0
    while chunk := list(islice(iterator, PIECE_ROWS)):
        if any(isinstance(item, Columns) or _is_frame(item) for item in chunk if type(item) is not dict):
            for item in chunk:
                for piece in pieces(item, names):
                    yield piece
                    first += len(piece.ids)
        else:
            yield split_rows(chunk, names, _position_from(first))
            first += len(chunk)


def _position_from(first: int) -> Callable[[int], str]:
    return lambda index: f"position {first + index}"


def split_rows(rows: Sequence[Any], vector_names: tuple[str, ...], place: Callable[[int], str] = "position {}".format) -> Columns:
    """Records in any row form as raw columns. Raises SchemaError for a record without an id or of a form that is none."""
    n = len(rows)
    ids: list[Any] = [None] * n
    documents: list[dict[str, Any]] = [{}] * n
    vectors: dict[str, npt.NDArray[Any] | list[Any]] = {name: [None] * n for name in vector_names}
    by_name = [(name, vectors[name]) for name in vector_names]
    for index, row in enumerate(rows):
        if type(row) is dict:
            document = row.copy()
        elif isinstance(row, Record | RecordView):
            _take_full(row, index, ids, documents, vectors, place)
            continue
        else:
            document = _flat(row, place(index))
        try:
            ids[index] = document.pop("id")
        except KeyError:
            keys = ", ".join(map(repr, document)) or "none"
            raise SchemaError(f'the record at {place(index)} has no "id"; its keys are {keys}') from None
        for name, column in by_name:
            if name in document:
                column[index] = document.pop(name)
        documents[index] = document
    return Columns(ids, vectors, documents, place)


def _take_full(
    record: Record | RecordView[Any],
    index: int,
    ids: list[Any],
    documents: list[dict[str, Any]],
    vectors: dict[str, npt.NDArray[Any] | list[Any]],
    place: Callable[[int], str],
) -> None:
    ids[index] = record.id
    documents[index] = dict(record.fields)
    given = record.vectors if isinstance(record, Record) or record.has_vectors else {}
    for name, vector in given.items():
        if name not in vectors:
            raise InvalidArgument(f"{unknown_vector(name, vectors)} (record {show_id(record.id)} at {place(index)})")
        vectors[name][index] = vector


def _flat(row: Any, place: str) -> dict[str, Any]:
    if isinstance(row, Mapping):
        return dict(row)
    document = to_mapping(row)
    if document is None:
        raise SchemaError(
            f"the record at {place} is {type(row).__name__} {str(row)[:40]!r}; a record is a mapping with an id, "
            "a vicino.Record, or an object of a dataclass, msgspec, pydantic or attrs class"
        )
    return document


def _is_one_record(records: Any) -> bool:
    if isinstance(records, Mapping | Record):
        return True
    return attribute_names(type(records)) is not None


def _is_frame(records: Any) -> bool:
    kind = type(records)
    if kind in (dict, list, tuple):
        return False
    if hasattr(kind, "__arrow_c_stream__") or hasattr(kind, "__arrow_c_array__"):
        return True
    return kind.__module__.partition(".")[0] in ("pandas", "polars") and kind.__name__ in ("DataFrame", "LazyFrame")


def _not_records(records: Any) -> str:
    if isinstance(records, str | bytes):
        return f"records must be mappings with an id, got {type(records).__name__} {str(records)[:40]!r}; to read a file, call load(path)"
    if isinstance(records, np.ndarray):
        return f"records must be mappings with an id, got an array of shape {records.shape}; to write a matrix, give ids= and vectors="
    return f"records must be a mapping, a frame or an iterable of mappings, got {type(records).__name__}"


def _in_pieces(run: Columns) -> Iterator[Columns]:
    for start in range(0, len(run.ids), PIECE_ROWS):
        stop = start + PIECE_ROWS
        yield Columns(
            run.ids[start:stop],
            {name: values[start:stop] for name, values in run.vectors.items()},
            run.documents[start:stop],
            lambda index, start=start: run.place(start + index),
        )


def _complete(piece: Columns, settings: Settings, embed: Embed | None, collection: str) -> tuple[Batch, npt.NDArray[np.int64]]:
    """The piece checked, converted and embedded, and the size of each of its records in bytes."""
    ids = check_ids(piece)
    settings.schema.check(piece.documents, piece.describe)
    blobs, offsets = encode_documents(piece.documents, piece.describe)
    for name in piece.vectors:
        if name not in settings.vectors and name not in settings.values:
            raise InvalidArgument(unknown_vector(name, settings.vector_names))
    vectors = {}
    for name, entry in settings.vectors.items():
        context = Context(name, piece.describe, collection)
        column = to_column(piece.vectors.get(name, [None] * len(ids)), entry.spec, context)
        if ids and column.present is not None and not column.present.any():
            _refuse_misnamed_vector(piece, name, entry.spec.dim)
        if embed is not None and name == DEFAULT_VECTOR and column.present is not None:
            column = _embedded(column, piece, settings, embed, context)
        vectors[name] = column
    values, languages = text_values(piece.documents, settings)
    for name, entry in settings.values.items():
        given = piece.vectors.get(name, [None] * len(ids))
        values[entry.slot] = to_values(given, entry.spec, Context(name, piece.describe, collection))
    row_bytes = np.diff(offsets).astype(np.int64) + _fixed_bytes(settings) + np.array([_id_bytes(id) for id in ids], dtype=np.int64)
    for column in values.values():
        row_bytes += column.sizes
    return Batch(ids, vectors, piece.documents, blobs, offsets, int(row_bytes.sum()), values, languages), row_bytes


def text_values(documents: Sequence[Mapping[str, Any]], settings: Settings) -> tuple[dict[int, ValueColumn], dict[str, frozenset[str]]]:
    """The terms of every text index by slot, and the languages they are in by the index's name."""
    values, languages = {}, {}
    for name, entry in settings.texts.items():
        values[entry.slot], languages[name] = to_text(documents, entry)
    return values, languages


def with_new_texts(batch: Batch, settings: Settings) -> Batch:
    """The batch with the terms of text indexes that were added after it was made."""
    values, languages = dict(batch.values), dict(batch.languages)
    for name, entry in settings.texts.items():
        if entry.slot not in values:
            values[entry.slot], languages[name] = to_text(batch.documents, entry)
    return replace(batch, values=values, languages=languages)


def check_ids(piece: Columns) -> list[RecordId]:
    """The ids as int, str or UUID; subclasses and numpy's integers become the plain type. Raises SchemaError naming the position."""
    ids = piece.ids
    kinds = set(map(type, ids))
    if kinds <= {int, uuid.UUID}:
        return ids
    for index, given in enumerate(ids):
        kind = type(given)
        if kind is int or kind is uuid.UUID or (kind is str and given.isascii()):
            continue
        ids[index] = check_id(given, f"the record at {piece.place(index)}")
    return ids


def is_one_id(ids: Any) -> bool:
    """Whether an argument that takes an id or several is given one. A record, which yields its names, is no list of ids."""
    return isinstance(ids, str | Mapping) or not isinstance(ids, Iterable)


def check_id_list(ids: Any, call: str) -> list[RecordId]:
    """One id or several in their plain types. Raises SchemaError naming the call, and the position among several."""
    if is_one_id(ids):
        return [check_id(ids, call)]
    return [check_id(record_id, f"{call}, position {position}") for position, record_id in enumerate(ids)]


def check_id(given: Any, what: str) -> RecordId:
    """One id in its plain type. what: names the record or argument in the message."""
    if isinstance(given, bool | np.bool_) or not isinstance(given, int | np.integer | str | uuid.UUID):
        hint = "; convert the column to integers" if isinstance(given, float | np.floating) else ""
        hint = "; give the id alone, not the record" if isinstance(given, Mapping) else hint
        raise SchemaError(f"the id of {what} must be an integer, a string or a UUID, got {type(given).__name__} {shortened(given)}{hint}")
    if isinstance(given, str):
        try:
            given.encode("utf-8")
        except UnicodeEncodeError as error:
            raise SchemaError(f"the id of {what} is not valid Unicode: {given!r} has an unpaired surrogate at {error.start}") from error
        return str(given)
    return given if isinstance(given, uuid.UUID) else int(given)


def encode_documents(documents: Sequence[dict[str, Any]], describe: Callable[[int], str]) -> tuple[bytes, npt.NDArray[np.uint64]]:
    """The documents end to end, and where each begins. Raises SchemaError for a value that no field can hold; describe names a record."""
    if len(documents) <= PIECE_ROWS:
        return _encode_piece(documents, describe)
    starts = range(0, len(documents), PIECE_ROWS)  # not one call of the core: between two of them Ctrl-C is heard
    parts = [
        _encode_piece(documents[start : start + PIECE_ROWS], lambda index, start=start: describe(start + index)) for start in starts
    ]
    return b"".join(blobs for blobs, _ in parts), _join_offsets([(len(blobs), offsets) for blobs, offsets in parts])


def _encode_piece(documents: Sequence[dict[str, Any]], describe: Callable[[int], str]) -> tuple[bytes, npt.NDArray[np.uint64]]:
    from vicino import _core

    try:
        return _core.encode_documents(documents)
    except _core.FieldValueError as error:
        raise SchemaError(f'field "{error.path}" of {describe(error.index)}: {error.reason}') from error


def _join_offsets(parts: Sequence[tuple[int, npt.NDArray[np.uint64]]]) -> npt.NDArray[np.uint64]:
    """Offsets of what lies end to end, from the size of each part and the offsets within it."""
    starts = np.cumsum([0] + [size for size, _ in parts]).astype(np.uint64)
    return np.concatenate([*(offsets[:-1] + start for (_, offsets), start in zip(parts, starts)), starts[-1:]])


_VECTORS_ELSEWHERE = frozenset({"embedding", "embeddings", "vectors", "dense_vector"})
"""What other databases call the vector of a record. Lists are fields like any other under every other name."""


def _refuse_misnamed_vector(piece: Columns, name: str, dim: int) -> None:
    """A run without any vector of this name whose first record has an array of its length as a field: most likely a misspelled name."""
    for key, value in piece.documents[0].items():
        if isinstance(value, np.ndarray) and value.shape == (dim,):
            raise SchemaError(
                f'field "{key}" of {piece.describe(0)} is an array of {dim} numbers, and there is no vector "{name}" of that length; '
                f'name it "{name}", or give the field as a list with .tolist()'
            )
        if key in _VECTORS_ELSEWHERE and isinstance(value, list) and len(value) == dim:
            raise SchemaError(
                f'field "{key}" of {piece.describe(0)} is a list of {dim} values, and there is no vector "{name}" of that length; '
                f'name it "{name}", or give the field another name'
            )


def _embedded(column: VectorColumn, piece: Columns, settings: Settings, embed: Embed, context: Context) -> VectorColumn:
    """The column with its gaps filled by the model."""
    assert column.present is not None
    gaps = np.flatnonzero(~column.present).tolist()
    texts = []
    for index in gaps:
        text = embedded_text(piece.documents[index], settings.embed)
        if text is None:
            raise SchemaError(
                f'{piece.describe(index)} has neither a vector "{DEFAULT_VECTOR}" nor text to embed in field '
                f"{' or '.join(map(repr, settings.embed))}; its fields are {', '.join(map(repr, piece.documents[index])) or 'none'}"
            )
        texts.append(text)
    column.rows[gaps] = to_rows(embed(texts), settings.spec(DEFAULT_VECTOR), context.of_rows(gaps))
    return VectorColumn(column.rows)


def _fixed_bytes(settings: Settings) -> int:
    return sum(entry.spec.row_bytes for entry in settings.vectors.values())


def _id_bytes(record_id: RecordId) -> int:
    if type(record_id) is int:
        return 9 if -(1 << 63) <= record_id < 1 << 63 else 2 + record_id.bit_length() // 8
    return 17 if isinstance(record_id, uuid.UUID) else 1 + len(record_id.encode()) if isinstance(record_id, str) else 9


class _Cutter:
    """Joins completed pieces and cuts them into batches of at most `slice_bytes` and `slice_rows`."""

    def __init__(self, slice_bytes: int, slice_rows: int | None) -> None:
        self.slice_bytes, self.slice_rows = slice_bytes, slice_rows
        self.pending: list[Batch] = []
        self.pending_bytes = 0
        self.pending_rows = 0

    def add(self, completed: tuple[Batch, npt.NDArray[np.int64]]) -> Iterator[Batch]:
        piece, row_bytes = completed
        ends = np.cumsum(row_bytes)
        start = 0
        while start < len(piece):
            taken = int(ends[start - 1]) if start else 0
            stop = int(np.searchsorted(ends, taken + self.slice_bytes - self.pending_bytes, side="right"))
            if self.slice_rows is not None:
                stop = min(stop, start + self.slice_rows - self.pending_rows)
            if stop == start and not self.pending:
                stop = start + 1  # a record larger than a slice is a batch of its own
            stop = max(start, min(stop, len(piece)))
            if stop > start:
                self._keep(piece if (start, stop) == (0, len(piece)) else piece.rows(start, stop, row_bytes))
            start = stop
            if start < len(piece):
                yield from self.rest()

    def _keep(self, part: Batch) -> None:
        self.pending.append(part)
        self.pending_bytes += part.size_bytes
        self.pending_rows += len(part)

    def rest(self) -> Iterator[Batch]:
        """What is left, as a last batch."""
        if self.pending:
            parts, self.pending, self.pending_bytes, self.pending_rows = self.pending, [], 0, 0
            yield parts[0] if len(parts) == 1 else _join(parts)


def _join(parts: Sequence[Batch]) -> Batch:
    return Batch(
        ids=[record_id for part in parts for record_id in part.ids],
        vectors={name: _join_columns([part.vectors[name] for part in parts]) for name in parts[0].vectors},
        documents=[document for part in parts for document in part.documents],
        blobs=b"".join(part.blobs for part in parts),
        offsets=_join_offsets([(len(part.blobs), part.offsets) for part in parts]),
        size_bytes=sum(part.size_bytes for part in parts),
        values={slot: join([part.values[slot] for part in parts]) for slot in parts[0].values},
        languages={name: frozenset().union(*(part.languages[name] for part in parts)) for name in parts[0].languages},
    )


def _join_columns(parts: Sequence[VectorColumn]) -> VectorColumn:
    rows = np.empty((sum(len(part.rows) for part in parts), *parts[0].rows.shape[1:]), parts[0].rows.dtype)
    start = 0
    for part in parts:  # not one np.concatenate: between two parts Ctrl-C is heard
        rows[start : start + len(part.rows)] = part.rows
        start += len(part.rows)
    if all(part.present is None for part in parts):
        return VectorColumn(rows)
    present = [np.ones(len(part.rows), dtype=np.bool_) if part.present is None else part.present for part in parts]
    return VectorColumn(rows, np.concatenate(present))
