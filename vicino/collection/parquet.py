"""Parquet and Arrow files. What others wrote is read as any table is; what vicino writes everybody can read, and vicino without loss.

An export has these columns:

    id          int64, or text (with the kind "uuid" for UUIDs)
    <vector>    for each vector: fixed-size list of the declared number type, or for binary the packed bytes; null where a record has none
    <field>     for each field that holds values of one type in the first batch: bool, int64, double, text, timestamp (microseconds, UTC),
                UUID as text, geo point as struct of lat and lon, or a list of one of these but geo
    $rest       JSON (`vicino.query.json_value`) with what fits no column: {"id": …, "fields": {…}}; null for most records

So objects, explicit nulls, values of another type than their column, and fields with a taken name lie in `$rest`; a null in a field's
column means that the record lacks the field or has it in `$rest`. The types are decided by the first batch because an export is one pass
over one snapshot. The key "vicino" of the file's metadata says in JSON which column is what, and which format this is. Everything comes
back but the order of a record's fields.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import IO, Any

import numpy as np

from vicino.collection.columns import Columns
from vicino.collection.csv_file import rename_columns
from vicino.collection.frames import arrow_values, arrow_vectors, from_record_batch
from vicino.collection.records import PIECE_ROWS
from vicino.collection.settings import Settings, unknown_vector
from vicino.errors import Error, FormatError, InvalidArgument
from vicino.query.hit import RecordView
from vicino.query.json_value import from_json_value, to_json_value
from vicino.query.table import require
from vicino.types import GeoPoint

_FORMAT = 1
_REST = "$rest"
_KEY = b"vicino"

Kind = str
"""bool, integer, float, string, datetime, uuid, geo, or "list[...]" of one of these but geo."""

_SCALAR_KINDS: dict[type, Kind] = {
    bool: "bool", int: "integer", float: "float", str: "string", dt.datetime: "datetime", uuid.UUID: "uuid", GeoPoint: "geo",
}  # fmt: skip


def kind_of(value: Any) -> Kind | None:
    """The kind of column that holds the value, None if only `$rest` does."""
    if type(value) is list and value:
        kinds = {_SCALAR_KINDS.get(type(element)) for element in value}
        kind = kinds.pop()
        return f"list[{kind}]" if not kinds and kind not in (None, "geo") else None
    return _SCALAR_KINDS.get(type(value))


def fits(value: Any, kind: Kind) -> bool:
    """Whether a column of this kind holds the value."""
    return kind_of(value) == kind or (kind.startswith("list[") and type(value) is list and not value)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which column of an export is what."""

    id_kind: Kind
    vectors: Sequence[str]
    fields: Mapping[str, Kind]

    @classmethod
    def of(cls, batch: Sequence[RecordView[Any]], settings: Settings) -> _Layout:
        """Decided by the records of the first batch."""
        ids = Counter(_id_kind(view.id) for view in batch)
        counts: dict[str, Counter[Kind]] = {}
        for view in batch:
            for name, value in view.fields.items():
                if (kind := kind_of(value)) is not None:
                    counts.setdefault(name, Counter())[kind] += 1
        taken = {"id", _REST, *settings.vectors}
        return cls(
            id_kind=ids.most_common(1)[0][0] if ids else "integer",
            vectors=list(settings.vectors) if any(view.has_vectors for view in batch) else [],
            fields={name: kinds.most_common(1)[0][0] for name, kinds in counts.items() if name not in taken},
        )

    @classmethod
    def from_facts(cls, facts: bytes, columns: Sequence[str], file: str) -> _Layout:
        """What the metadata of a file says. Raises FormatError for another format, InvalidArgument if the columns do not fit."""
        import msgspec

        try:
            read = msgspec.json.decode(facts, type=dict[str, Any])
            if read.get("format") != _FORMAT:
                raise FormatError(f"{file} is an export of format {read.get('format')}, this version reads {_FORMAT}; upgrade vicino")
            layout = cls(
                msgspec.convert(read["id"], str),
                msgspec.convert(read["vectors"], list[str]),
                msgspec.convert(read["fields"], dict[str, str]),
            )
        except (msgspec.MsgspecError, KeyError) as error:
            raise InvalidArgument(f"{file}: the metadata of the export cannot be read: {error}; export again") from error
        if missing := {"id", _REST, *layout.vectors, *layout.fields} - set(columns):
            raise InvalidArgument(f'{file}: the export lacks column "{min(missing)}"; export again')
        return layout

    def schema(self, pa: Any, settings: Settings) -> Any:
        import msgspec

        entries = [pa.field("id", _arrow_type(pa, self.id_kind))]
        entries += [pa.field(name, _vector_type(pa, settings, name)) for name in self.vectors]
        entries += [pa.field(name, _arrow_type(pa, kind)) for name, kind in self.fields.items()]
        entries.append(pa.field(_REST, pa.string()))
        facts = {"format": _FORMAT, "id": self.id_kind, "vectors": self.vectors, "fields": self.fields}
        return pa.schema(entries, metadata={_KEY: msgspec.json.encode(facts)})

    def holds_id(self, record_id: Any) -> bool:
        return _id_kind(record_id) == self.id_kind != "large"

    def holds(self, name: str, value: Any) -> bool:
        """Whether the field has a column that holds this value."""
        return name in self.fields and fits(value, self.fields[name])


def _id_kind(record_id: Any) -> Kind:
    if isinstance(record_id, int):
        return "integer" if -(1 << 63) <= record_id < 1 << 63 else "large"
    return "uuid" if isinstance(record_id, uuid.UUID) else "string"


def _arrow_type(pa: Any, kind: Kind) -> Any:
    if kind.startswith("list["):
        return pa.list_(_arrow_type(pa, kind[5:-1]))
    return {
        "bool": pa.bool_(),
        "integer": pa.int64(),
        "float": pa.float64(),
        "datetime": pa.timestamp("us", "UTC"),
        "geo": pa.struct([("lat", pa.float64()), ("lon", pa.float64())]),
    }.get(kind, pa.string())


def _vector_type(pa: Any, settings: Settings, name: str) -> Any:
    spec = settings.spec(name)
    return pa.binary(spec.width) if spec.dtype == "binary" else pa.list_(pa.from_numpy_dtype(spec.numpy_dtype), spec.width)


def write_parquet(views: Iterable[Sequence[RecordView[Any]]], stream: IO[bytes], settings: Settings) -> int:
    """Writes every batch as a row group; the number of records written."""
    pa, pq = require("pyarrow", "parquet"), require("pyarrow.parquet", "parquet")
    batches = iter(views)
    first = next(batches, [])
    layout = _Layout.of(first, settings)
    schema = layout.schema(pa, settings)
    count = 0
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for batch in chain([first], batches):
            if batch:
                writer.write_batch(_to_arrow(pa, batch, layout, schema))
            count += len(batch)
    return count


def _to_arrow(pa: Any, batch: Sequence[RecordView[Any]], layout: _Layout, schema: Any) -> Any:
    columns: dict[str, Any] = {"id": [_cell(view.id, layout.id_kind) if layout.holds_id(view.id) else None for view in batch]}
    for name in layout.vectors:
        columns[name] = _vector_column(pa, [view.vectors.get(name) for view in batch], schema.field(name).type)
    for name, kind in layout.fields.items():
        values = [view.fields.get(name) for view in batch]
        columns[name] = [_cell(value, kind) if fits(value, kind) else None for value in values]
    columns[_REST] = [_rest_of(view, layout) for view in batch]
    arrays = [column if isinstance(column, pa.Array) else pa.array(column, schema.field(name).type) for name, column in columns.items()]
    return pa.record_batch(arrays, schema=schema)


def _cell(value: Any, kind: Kind) -> Any:
    if kind == "uuid":
        return str(value)
    if kind == "list[uuid]":
        return [str(element) for element in value]
    return value._asdict() if kind == "geo" else value


def _vector_column(pa: Any, vectors: list[np.ndarray[Any, Any] | None], kind: Any) -> Any:
    if pa.types.is_fixed_size_binary(kind):
        return pa.array([None if vector is None else vector.tobytes() for vector in vectors], kind)
    gap = np.zeros(kind.list_size, kind.value_type.to_pandas_dtype())
    rows = np.concatenate([gap if vector is None else vector for vector in vectors])
    missing = pa.array([vector is None for vector in vectors])
    return pa.FixedSizeListArray.from_arrays(pa.array(rows), type=kind, mask=missing)


def _rest_of(view: RecordView[Any], layout: _Layout) -> str | None:
    import msgspec

    rest: dict[str, Any] = {}
    if not layout.holds_id(view.id):
        rest["id"] = to_json_value(view.id)
    if fields := {name: to_json_value(value) for name, value in view.fields.items() if not layout.holds(name, value)}:
        rest["fields"] = fields
    return msgspec.json.encode(rest).decode() if rest else None


def read_parquet(stream: IO[bytes], name: str, settings: Settings, mapping: Mapping[str, str]) -> Iterator[Columns]:
    """Records of a Parquet file, row groups one after another. Raises InvalidArgument naming the file if it cannot be read."""
    pa, pq = require("pyarrow", "parquet"), require("pyarrow.parquet", "parquet")
    with _naming(pa, name):
        file = pq.ParquetFile(stream)
    yield from _read_batches(pa, file.schema_arrow, file.iter_batches(PIECE_ROWS), name, settings, mapping)


def read_arrow_file(stream: IO[bytes], name: str, settings: Settings, mapping: Mapping[str, str]) -> Iterator[Columns]:
    """Records of an Arrow IPC file (Feather) or stream. Raises InvalidArgument naming the file if it cannot be read."""
    pa, ipc = require("pyarrow", "parquet"), require("pyarrow.ipc", "parquet")
    is_file = stream.read(6) == b"ARROW1"
    stream.seek(0)
    with _naming(pa, name):
        reader = ipc.open_file(stream) if is_file else ipc.open_stream(stream)
    batches = (reader.get_batch(index) for index in range(reader.num_record_batches)) if is_file else iter(reader)
    yield from _read_batches(pa, reader.schema, batches, name, settings, mapping)


@contextmanager
def _naming(pa: Any, name: str) -> Iterator[None]:
    try:
        yield
    except Error:
        raise
    except (pa.ArrowException, OSError, EOFError) as error:
        raise InvalidArgument(f"{name} cannot be read: {error}; the file may be damaged or of another format") from error


def _read_batches(
    pa: Any, schema: Any, batches: Iterator[Any], name: str, settings: Settings, mapping: Mapping[str, str]
) -> Iterator[Columns]:
    names = rename_columns(schema.names, mapping, name)
    facts = (schema.metadata or {}).get(_KEY)
    layout = None if facts is None else _Layout.from_facts(facts, schema.names, name)
    first = 0
    while True:
        with _naming(pa, name):
            batch = next(batches, None)
        if batch is None:
            return
        for start in range(0, batch.num_rows, PIECE_ROWS):
            part = batch.slice(start, PIECE_ROWS)
            place = _row_of(name, first)
            if layout is None:
                piece = from_record_batch(part.rename_columns(names), tuple(settings.vectors), place)
                piece.documents = [settings.schema.from_plain(document) for document in piece.documents]
                yield piece
            else:
                yield _from_export(part, layout, settings, mapping, place)
            first += part.num_rows


def _row_of(name: str, first: int) -> Callable[[int], str]:
    return lambda index: f"{name}, row {first + index}"


def _from_export(batch: Any, layout: _Layout, settings: Settings, mapping: Mapping[str, str], place: Callable[[int], str]) -> Columns:
    ids = _values(batch["id"], layout.id_kind, place)
    vectors: dict[str, Any] = {}
    for name in layout.vectors:
        if mapping.get(name, name) not in settings.vectors:
            raise InvalidArgument(f"{unknown_vector(mapping.get(name, name), settings.vectors)} ({place(0)})")
        vectors[mapping.get(name, name)] = arrow_vectors(batch[name])
    documents: list[dict[str, Any]] = [{} for _ in ids]
    for name, kind in layout.fields.items():
        for document, value in zip(documents, _values(batch[name], kind, place), strict=True):
            if value is not None:
                document[mapping.get(name, name)] = value
    for index, text in enumerate(batch[_REST].to_pylist()):
        if text is not None:
            _add_rest(text, index, ids, documents[index], mapping, place)
    return Columns(ids, vectors, documents, place)


def _add_rest(
    text: str, index: int, ids: list[Any], document: dict[str, Any], mapping: Mapping[str, str], place: Callable[[int], str]
) -> None:
    import msgspec

    try:
        rest = msgspec.json.decode(text, type=dict[str, Any])
        if "id" in rest:
            ids[index] = from_json_value(rest["id"])
        for name, value in msgspec.convert(rest.get("fields", {}), dict[str, Any]).items():
            document[mapping.get(name, name)] = from_json_value(value)
    except (msgspec.MsgspecError, ValueError) as error:
        raise InvalidArgument(f'{place(index)}: column "{_REST}" cannot be read: {error}; export again') from error


def _values(column: Any, kind: Kind, place: Callable[[int], str]) -> list[Any]:
    values = arrow_values(column)
    try:
        match kind:
            case "uuid":
                return [None if value is None else uuid.UUID(value) for value in values]
            case "list[uuid]":
                return [None if value is None else [uuid.UUID(element) for element in value] for value in values]
            case "geo":
                return [None if value is None else GeoPoint(value["lat"], value["lon"]) for value in values]
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise InvalidArgument(f"{place(0)} and after: a value is not of kind {kind}: {error}; export again") from error
    return values
