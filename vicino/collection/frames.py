"""Records from tables: pandas and polars by their own methods, everything else through the Arrow C interface.

A row is a record, a column a field, or a vector if it has the name of one. A table cannot leave a cell out, so a null (for pandas NaN
and NaT too) means that the record lacks the field, within structs as well; nulls in lists stay. Dates become datetimes at midnight UTC,
and what lies below a microsecond is cut off. A column of fixed-size lists becomes one matrix without a look at single rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from vicino.collection.columns import Columns
from vicino.collection.field_type import FieldKind, FieldType
from vicino.errors import InvalidArgument, MissingExtraError, SchemaError
from vicino.query.table import require


def read_frame(frame: Any, vector_names: Sequence[str], piece_rows: int) -> Iterator[Columns]:
    """The rows of a pandas or polars frame, or of any object with an Arrow C stream or array, `piece_rows` at a time."""
    library, name = type(frame).__module__.partition(".")[0], type(frame).__name__
    if library == "pandas":
        yield from _read_pandas(frame, vector_names, piece_rows)
    elif library == "polars":
        if name == "LazyFrame":
            raise InvalidArgument("records are a polars LazyFrame; call .collect() on it first")
        yield from _read_polars(frame if name == "DataFrame" else frame.to_frame(), vector_names, piece_rows)
    else:
        yield from _read_arrow(frame, vector_names, piece_rows)


def _columns(
    ids: list[Any] | None,
    vectors: dict[str, Any],
    fields: dict[str, list[Any]],
    n: int,
    place: Callable[[int], str],
) -> Columns:
    if ids is None:
        raise SchemaError(f'the table has no column "id"; its columns are {", ".join(map(repr, [*vectors, *fields])) or "none"}')
    documents: list[dict[str, Any]] = [{} for _ in range(n)]
    for name, values in fields.items():
        for document, value in zip(documents, values, strict=True):
            if value is not None:
                document[name] = value
    return Columns(ids, vectors, documents, place)


def _from(first: int) -> Callable[[int], str]:
    return lambda index: f"row {first + index} of the table"


def _read_pandas(frame: Any, vector_names: Sequence[str], piece_rows: int) -> Iterator[Columns]:
    if "id" not in frame.columns and frame.index.name == "id":
        frame = frame.reset_index()
    for name in frame.columns:
        if not isinstance(name, str):
            raise SchemaError(f"the columns of the DataFrame must be named by strings, got {type(name).__name__} {name!r}")
    for first in range(0, len(frame), piece_rows):
        part = frame.iloc[first : first + piece_rows]
        values = {name: _pandas_values(part[name]) for name in part.columns}
        ids = values.pop("id", None)
        vectors = {name: values.pop(name) for name in vector_names if name in values}
        fields = {name: [_plain(value) for value in column] for name, column in values.items()}
        yield _columns(ids, vectors, fields, len(part), _from(first))


def _pandas_values(series: Any) -> list[Any]:
    present = series.notna().to_numpy()
    return [value if there else None for value, there in zip(series.astype(object).tolist(), present.tolist(), strict=True)]


def _read_polars(frame: Any, vector_names: Sequence[str], piece_rows: int) -> Iterator[Columns]:
    first = 0
    for part in frame.iter_slices(piece_rows):
        names = part.columns
        ids = part["id"].to_list() if "id" in names else None
        vectors = {name: _polars_vectors(part[name]) for name in vector_names if name in names}
        fields = {name: [_plain(value) for value in part[name].to_list()] for name in names if name != "id" and name not in vectors}
        yield _columns(ids, vectors, fields, len(part), _from(first))
        first += len(part)


def _polars_vectors(series: Any) -> Any:
    if type(series.dtype).__name__ == "Array" and series.null_count() == 0:
        return series.to_numpy()
    return series.to_list()


def _read_arrow(source: Any, vector_names: Sequence[str], piece_rows: int) -> Iterator[Columns]:
    try:
        pa = require("pyarrow", "parquet")
    except MissingExtraError:
        yield from _read_polars(_arrow_in_polars(source), vector_names, piece_rows)
        return
    first = 0
    for batch in _record_batches(pa, source):
        for start in range(0, batch.num_rows, piece_rows):
            part = batch.slice(start, piece_rows)
            yield from_record_batch(part, vector_names, _from(first))
            first += part.num_rows


def _arrow_in_polars(source: Any) -> Any:
    """Arrow data as a polars frame, for those who have polars and not pyarrow."""
    try:
        return require("polars", "polars").DataFrame(source)
    except MissingExtraError as error:
        raise MissingExtraError(
            'reading Arrow data takes pyarrow or polars, and neither is installed; run: pip install "vicino[parquet]"'
        ) from error


def _record_batches(pa: Any, source: Any) -> Iterator[Any]:
    try:
        if hasattr(source, "__arrow_c_stream__"):
            yield from pa.RecordBatchReader.from_stream(source)
        else:
            yield pa.record_batch(source)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
        raise InvalidArgument(f"records are a {type(source).__name__} that Arrow cannot read as a table: {error}") from error


def from_record_batch(batch: Any, vector_names: Sequence[str], place: Callable[[int], str]) -> Columns:
    """One pyarrow RecordBatch as raw columns. Raises SchemaError if it has no column "id"."""
    names = batch.schema.names
    named = dict(zip(names, batch.columns))
    ids = named["id"].to_pylist() if "id" in named else None
    vectors = {name: arrow_vectors(named[name]) for name in vector_names if name in named}
    fields = {name: arrow_values(column) for name, column in named.items() if name != "id" and name not in vectors}
    return _columns(ids, vectors, fields, batch.num_rows, place)


def arrow_values(column: Any) -> list[Any]:
    """The values of a pyarrow array as fields hold them; None where the record lacks the field."""
    pa = require("pyarrow", "parquet")
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return [_plain(value) for value in column.to_pylist()]


def arrow_vectors(column: Any) -> np.ndarray[Any, Any] | list[Any]:
    """The vectors of a pyarrow array: a matrix if every row has one of the same length, else a list with None for null."""
    pa = require("pyarrow", "parquet")
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_fixed_size_list(column.type) and _is_number(pa, column.type.value_type):
        width = column.type.list_size
        values = column.values.slice(column.offset * width, len(column) * width)
        return _with_gaps(column, _to_numpy(values).reshape(len(column), width))
    if (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)) and _is_number(pa, column.type.value_type):
        offsets = column.offsets.to_numpy()
        values = _to_numpy(column.values)
        lengths = np.diff(offsets)
        if len(lengths) and (lengths == lengths[0]).all():
            return _with_gaps(column, values[offsets[0] : offsets[-1]].reshape(len(column), lengths[0]))
        return _with_gaps(column, [values[start:stop] for start, stop in pairwise(offsets.tolist())])
    return column.to_pylist()


def _is_number(pa: Any, kind: Any) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _to_numpy(values: Any) -> np.ndarray[Any, Any]:
    """A flat array of numbers; nulls among them become NaN, which the check of vectors then refuses by name."""
    return values.to_numpy(zero_copy_only=False)


def _with_gaps(column: Any, rows: Any) -> Any:
    if column.null_count == 0:
        return rows
    return [row if there else None for row, there in zip(rows, column.is_valid().to_pylist(), strict=True)]


def _plain(value: Any) -> Any:
    """A cell as a field value: pandas' timestamps and dates become datetimes, structs lose their nulls."""
    kind = type(value)
    if kind is str or kind is int or kind is float or value is None:
        return value
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items() if inner is not None}
    if kind in (list, tuple):
        return [_plain(element) for element in value]
    if isinstance(value, dt.datetime):
        return getattr(value, "to_pydatetime", lambda warn: value)(warn=False)
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    return value


def arrow_field_types(source: Any) -> dict[str, FieldType]:
    """The field types of an Arrow schema. Raises SchemaError for types that fields do not have."""
    pa = require("pyarrow", "parquet")
    return {entry.name: _field_type_of_arrow(pa, entry) for entry in pa.schema(source)}


def _field_type_of_arrow(pa: Any, entry: Any) -> FieldType:
    kind, types = entry.type, pa.types
    given = {"nullable": entry.nullable, "required": not entry.nullable}
    if str(getattr(kind, "extension_name", "")) == "arrow.uuid":
        return FieldType("uuid", **given)
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return FieldType("list", item=_field_type_of_arrow(pa, kind.value_field), **given)
    if types.is_struct(kind):
        inner = {kind.field(position).name: _field_type_of_arrow(pa, kind.field(position)) for position in range(kind.num_fields)}
        return FieldType("object", fields=inner, **given)
    tests: dict[FieldKind, tuple[Callable[[Any], bool], ...]] = {
        "string": (types.is_string, types.is_large_string, types.is_string_view),
        "integer": (types.is_integer,),
        "float": (types.is_floating,),
        "bool": (types.is_boolean,),
        "datetime": (types.is_timestamp, types.is_date),
        "any": (types.is_null,),
    }
    for name, matchers in tests.items():
        if any(matches(kind) for matches in matchers):
            return FieldType(name, **given)
    raise SchemaError(f'column "{entry.name}" has Arrow type {kind}, which no field can hold; cast it, or leave it out of the schema')
