"""JSON lines: one record per line, in its flat spelling, readable by anybody and read back without loss.

    {"id": 7, "vector": [0.1, 0.2], "title": "Emma", "published": {"$datetime": "1815-12-23T00:00:00.000000Z"}}

Values are spelled as `vicino.query.json_value` says. Vectors are arrays of numbers that give the same bits in the declared dtype again;
binary ones are arrays of 0 and 1. A record with a field named "id", "$record" or like a vector is spelled in full:

    {"$record": {"id": 7, "vectors": {"vector": [0.1, 0.2]}, "fields": {"id": "ISBN 1"}}}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

import numpy as np

from vicino.collection.columns import Columns
from vicino.collection.record import Record
from vicino.collection.records import split_rows
from vicino.collection.settings import Settings
from vicino.errors import InvalidArgument
from vicino.query.hit import RecordView
from vicino.query.json_value import from_json_value, to_json_value

_LINES_PER_PIECE = 1024
_RECORD = "$record"


def read_jsonl(stream: Iterable[bytes], name: str, settings: Settings, mapping: Mapping[str, str]) -> Iterator[Columns]:
    """Records of a stream of lines; empty lines are skipped. Raises InvalidArgument naming file and line."""
    import msgspec

    decode = msgspec.json.Decoder().decode
    rows: list[dict[str, Any] | Record] = []
    numbers: list[int] = []
    for number, line in enumerate(stream, start=1):
        if not (text := line.strip()):
            continue
        try:
            rows.append(_read_row(decode(text), settings, mapping))
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            raise InvalidArgument(f"{name}, line {number}: {_problem(text, error)}") from error
        numbers.append(number)
        if len(rows) == _LINES_PER_PIECE:
            yield split_rows(rows, tuple(settings.vectors), _place(name, numbers))
            rows, numbers = [], []
    if rows:
        yield split_rows(rows, tuple(settings.vectors), _place(name, numbers))


def _place(name: str, numbers: Sequence[int]) -> Callable[[int], str]:
    return lambda index: f"{name}, line {numbers[index]}"


def _problem(text: bytes, error: Exception) -> str:
    if text[:1] == b"[":
        return "a line must hold one JSON object, this one starts an array; write one object per line, without brackets and commas"
    return str(error)


def _read_row(row: Any, settings: Settings, mapping: Mapping[str, str]) -> dict[str, Any] | Record:
    if not isinstance(row, dict):
        raise ValueError(f"a line must hold one JSON object, got {type(row).__name__}")
    if len(row) == 1 and isinstance(full := row.get(_RECORD), dict):
        return _read_full(full, settings)
    read: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    for key, value in row.items():
        name = mapping.get(key, key)
        if name in read or name in fields:
            raise ValueError(f'two keys mean "{name}" after mapping')
        if name in settings.vectors:
            read[name] = value
        elif name == "id":
            read[name] = from_json_value(value)
        else:
            fields[name] = from_json_value(value)
    return {**settings.schema.from_plain(fields), **read}


def _read_full(full: dict[str, Any], settings: Settings) -> Record:
    if "id" not in full:
        raise ValueError(f'"{_RECORD}" must hold an "id"')
    vectors, fields = full.get("vectors", {}), full.get("fields", {})
    if not isinstance(vectors, dict) or not isinstance(fields, dict):
        raise ValueError(f'"vectors" and "fields" of a "{_RECORD}" must be objects')
    read = {name: from_json_value(value) for name, value in fields.items()}
    return Record(from_json_value(full["id"]), vectors, settings.schema.from_plain(read))


def write_jsonl(views: Iterable[Sequence[RecordView[Any]]], stream: IO[bytes], settings: Settings) -> int:
    """Writes every record as a line; the number of records written."""
    import msgspec

    encode = msgspec.json.Encoder().encode
    count = 0
    for batch in views:
        stream.writelines(encode(_to_row(view, settings)) + b"\n" for view in batch)
        count += len(batch)
    return count


def _to_row(view: RecordView[Any], settings: Settings) -> dict[str, Any]:
    given = view.vectors if view.has_vectors else {}
    vectors = {name: _vector_to_list(vector, settings, name) for name, vector in given.items()}
    fields = {name: to_json_value(value) for name, value in view.fields.items()}
    record_id = to_json_value(view.id)
    if fields.keys() & {"id", _RECORD, *settings.vectors}:
        return {_RECORD: {"id": record_id, "vectors": vectors, "fields": fields}}
    return {"id": record_id, **vectors, **fields}


def _vector_to_list(vector: np.ndarray[Any, Any], settings: Settings, name: str) -> list[Any]:
    spec = settings.spec(name)
    return np.unpackbits(vector, count=spec.dim).tolist() if spec.dtype == "binary" else vector.tolist()
