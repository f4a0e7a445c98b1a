from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vicino.collection.columns import Columns
from vicino.collection.record import Record
from vicino.collection.records import Batch, batches
from vicino.collection.schema import Schema
from vicino.collection.settings import Settings
from vicino.collection.transfer import format_of, read_records, write_records
from vicino.collection.vector_spec import VectorSpec
from vicino.env import MemoryEnv
from vicino.env.faulty import FaultyEnv
from vicino.errors import DimensionError, FormatError, InvalidArgument, NotFoundError, SchemaError, StorageError
from vicino.query.hit import RecordView, Shape
from vicino.types import GeoPoint

SETTINGS = Settings().with_vector("vector", VectorSpec(2))
SHAPE = Shape(record=Record)
MOMENT = dt.datetime(2024, 5, 1, 12, 30, 0, 123456, tzinfo=dt.UTC)


@pytest.fixture
def env() -> MemoryEnv:
    return MemoryEnv()


def put(env: MemoryEnv, path: str, content: bytes) -> str:
    file = env.files.create(path)
    file.append(content)
    file.close()
    return path


def load(env: MemoryEnv, path: str, settings: Settings = SETTINGS, **options: Any) -> list[Batch]:
    return list(batches(read_records(path, settings, files=env.files, **options), settings))


def one(env: MemoryEnv, path: str, settings: Settings = SETTINGS, **options: Any) -> Batch:
    found = load(env, path, settings, **options)
    assert len(found) == 1
    return found[0]


def view(record_id: Any, fields: dict[str, Any], vectors: dict[str, Any] | None = None) -> RecordView[Any]:
    return RecordView(record_id, fields, shape=SHAPE, vectors={} if vectors is None else vectors)


def write_npy(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def write_table(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


# ---- names


@pytest.mark.parametrize(
    ("path", "format"), [("/a.parquet", "parquet"), ("/a.JSONL", "jsonl"), ("/a.jsonl.gz", "jsonl"), ("/a.feather", "arrow")]
)
def test_format_is_what_the_name_says(path: str, format: str) -> None:
    assert format_of(path) == format


def test_unknown_ending_names_the_formats(env: MemoryEnv) -> None:
    with pytest.raises(InvalidArgument, match=r"/a\.xlsx has no ending of a format that can be read \(parquet, pq, jsonl"):
        load(env, "/a.xlsx")


def test_missing_file_is_named(env: MemoryEnv) -> None:
    with pytest.raises(NotFoundError, match=r"there is no file /gone\.jsonl"):
        load(env, "/gone.jsonl")


# ---- JSON lines


def test_jsonl_lines_are_records(env: MemoryEnv) -> None:
    lines = (
        b'{"id": 1, "vector": [1, 2], "title": "Emma"}\n\n'
        b'{"id": {"$uuid": "00000000-0000-0000-0000-000000000001"}, "at": {"$datetime": "2024-05-01T12:30:00.123456Z"}}\n'
    )
    batch = one(env, put(env, "/a.jsonl", lines))
    assert batch.ids == [1, uuid.UUID(int=1)]
    assert batch.documents == [{"title": "Emma"}, {"at": MOMENT}]
    assert batch.vectors["vector"].rows.tolist() == [[1, 2], [0, 0]]


def test_compressed_jsonl_is_read(env: MemoryEnv) -> None:
    assert one(env, put(env, "/a.jsonl.gz", gzip.compress(b'{"id": 1}\n'))).ids == [1]


def test_truncated_compressed_file_is_named(env: MemoryEnv) -> None:
    content = gzip.compress(b'{"id": 1}\n' * 1000)
    with pytest.raises(InvalidArgument, match=r"a\.jsonl\.gz cannot be uncompressed"):
        load(env, put(env, "/a.jsonl.gz", content[:-10]))


def test_mapping_renames_keys(env: MemoryEnv) -> None:
    batch = one(env, put(env, "/a.jsonl", b'{"key": 1, "emb": [1, 2], "x": 3}'), mapping={"key": "id", "emb": "vector"})
    assert (batch.ids, batch.documents, batch.vectors["vector"].rows.tolist()) == ([1], [{"x": 3}], [[1, 2]])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "a.jsonl, line 2: "),
        (b"[1]", "line 2: a line must hold one JSON object, this one starts an array"),
        (b"5", "line 2: a line must hold one JSON object, got int"),
        (b'{"id": {"$uuid": 5}}', 'line 2: "\\$uuid" holds a string, got 5'),
        (b'{"title": "x"}', 'the record at a.jsonl, line 2 has no "id"'),
        (b'{"id": true}', "the id of the record at a.jsonl, line 2 must be"),
        (b'{"$record": {"vectors": {}}}', 'line 2: "\\$record" must hold an "id"'),
        (b'{"id": "\xff"}', "a.jsonl, line 2: "),
    ],
    ids=["cut", "array", "number", "tag", "no-id", "bool-id", "record", "utf8"],
)
def test_bad_line_is_named(env: MemoryEnv, line: bytes, problem: str) -> None:
    with pytest.raises((InvalidArgument, SchemaError), match=problem):
        load(env, put(env, "/a.jsonl", b'{"id": 1}\n' + line))


def test_wrong_dimension_in_a_file_names_the_line(env: MemoryEnv) -> None:
    with pytest.raises(DimensionError, match=r"\(record 2 at a\.jsonl, line 3\)"):
        load(env, put(env, "/a.jsonl", b'{"id": 1, "vector": [1, 2]}\n\n{"id": 2, "vector": [1]}'))


def test_declared_types_are_read_from_text(env: MemoryEnv) -> None:
    typed = Settings(schema=Schema({"at": "datetime", "key": "uuid", "place": "geo"}))
    line = b'{"id": 1, "at": "2024-05-01T12:30:00.123456Z", "key": "00000000-0000-0000-0000-000000000001", "place": {"lat": 1, "lon": 2}}'
    assert one(env, put(env, "/a.jsonl", line), typed).documents == [{"at": MOMENT, "key": uuid.UUID(int=1), "place": GeoPoint(1, 2)}]


def test_tags_of_other_systems_are_left_alone(env: MemoryEnv) -> None:
    assert one(env, put(env, "/a.jsonl", b'{"id": 1, "key": {"$oid": "5f"}}')).documents == [{"key": {"$oid": "5f"}}]


# ---- CSV


def test_csv_columns_have_the_type_of_all_their_cells(env: MemoryEnv) -> None:
    content = b'id,n,x,b,zip,mixed,note\n1,1,1,true,01234,1,"a\nb"\n2,-2,2.5,FALSE,91234,x,\n'
    assert one(env, put(env, "/a.csv", content)).documents == [
        {"n": 1, "x": 1.0, "b": True, "zip": "01234", "mixed": "1", "note": "a\nb"},
        {"n": -2, "x": 2.5, "b": False, "zip": "91234", "mixed": "x"},
    ]


@pytest.mark.parametrize("cell", ['"[1, 2.5]"', "1 2.5", "1;2.5"])
def test_csv_cell_holds_a_vector(env: MemoryEnv, cell: str) -> None:
    batch = one(env, put(env, "/a.csv", f"id,vector\n7,{cell}\n".encode()))
    assert batch.vectors["vector"].rows.tolist() == [[1, 2.5]]


def test_csv_schema_goes_before_guessing(env: MemoryEnv) -> None:
    typed = Settings(schema=Schema({"zip": "string", "tags": "list[string]?", "at": "datetime"}))
    content = b'id,zip,tags,at\n1,91234,"[""a""]",2024-05-01T12:30:00.123456Z\n'
    assert one(env, put(env, "/a.csv", content), typed).documents == [{"zip": "91234", "tags": ["a"], "at": MOMENT}]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "a.csv is empty"),
        (b"id,n\n1,2\n3\n", "a.csv, line 3: has 1 cells, the header has 2"),
        (b"id,n\n1,\xff\n", "a.csv is not in UTF-8: .*byte 0xff"),
        (b"id,id\n1,2\n", 'a.csv has two columns for "id"'),
        (b"id,vector\n1,a b\n", "a.csv, line 2: could not convert"),
        (b"n\n1\n", "the record at a.csv, line 2 has no"),
    ],
    ids=["empty", "ragged", "utf8", "twice", "vector", "no-id"],
)
def test_bad_csv_is_named(env: MemoryEnv, content: bytes, problem: str) -> None:
    with pytest.raises((InvalidArgument, SchemaError), match=problem):
        load(env, put(env, "/a.csv", content))


def test_mapping_of_a_column_that_is_not_there_is_answered(env: MemoryEnv) -> None:
    with pytest.raises(InvalidArgument, match=r'mapping names column "idd", which a.csv does not have. Did you mean "id"'):
        load(env, put(env, "/a.csv", b"id\n1\n"), mapping={"idd": "id"})


# ---- NPY


def test_npy_rows_are_numbered_vectors(env: MemoryEnv) -> None:
    batch = one(env, put(env, "/a.npy", write_npy(np.arange(6.0).reshape(3, 2))))
    assert batch.ids == [0, 1, 2]
    assert batch.vectors["vector"].rows.tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (write_npy(np.zeros((10, 2)))[:-8], "a.npy ends after 9 of 10 rows"),
        (write_npy(np.zeros(3)), r"must hold a matrix of numbers with one vector in each row, it holds float64 of shape \(3,\)"),
        (write_npy(np.zeros((2, 3), order="F")), "stored column by column"),
        (b"nothing", "a.npy cannot be read as NPY"),
        (write_npy(np.array([["a"]])), "must hold a matrix of numbers"),
    ],
    ids=["cut", "flat", "fortran", "garbage", "text"],
)
def test_bad_npy_is_named(env: MemoryEnv, content: bytes, problem: str) -> None:
    with pytest.raises(InvalidArgument, match=problem):
        load(env, put(env, "/a.npy", content))


def test_npy_needs_to_know_which_vector_it_holds(env: MemoryEnv) -> None:
    two = Settings().with_vector("a", VectorSpec(2)).with_vector("b", VectorSpec(2))
    path = put(env, "/a.npy", write_npy(np.ones((1, 2))))
    with pytest.raises(InvalidArgument, match="Name the one to load with mapping="):
        load(env, path, two)
    assert one(env, path, two, mapping={"array": "b"}).vectors["b"].rows.tolist() == [[1, 1]]


# ---- Parquet and Arrow


def test_parquet_of_others_is_read_as_a_table(env: MemoryEnv) -> None:
    table = pa.table({"key": ["a", "b"], "vector": pa.array([[1, 2], [3, 4]], pa.list_(pa.float32(), 2)), "n": [1, None]})
    batch = one(env, put(env, "/a.parquet", write_table(table)), mapping={"key": "id"})
    assert (batch.ids, batch.documents, batch.vectors["vector"].rows.tolist()) == (["a", "b"], [{"n": 1}, {}], [[1, 2], [3, 4]])


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_arrow_files_are_read(env: MemoryEnv, kind: str) -> None:
    table, stream = pa.table({"id": [1, 2]}), io.BytesIO()
    with pa.ipc.new_file(stream, table.schema) if kind == "file" else pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    assert one(env, put(env, "/a.arrow", stream.getvalue())).ids == [1, 2]


@pytest.mark.parametrize("path", ["/a.parquet", "/a.arrow"])
def test_damaged_file_is_named(env: MemoryEnv, path: str) -> None:
    with pytest.raises(InvalidArgument, match=f"{path[1:]} cannot be read: .*; the file may be damaged"):
        load(env, put(env, path, b"nothing of that format"))


def test_wrong_dimension_in_parquet_names_the_row(env: MemoryEnv) -> None:
    table = pa.table({"id": range(6000), "vector": [[1.0, 2.0]] * 5999 + [[1.0]]})
    with pytest.raises(DimensionError, match=r"\(record 5999 at a\.parquet, row 5999\)"):
        load(env, put(env, "/a.parquet", write_table(table)))


def test_exported_fields_of_one_type_are_columns_for_everybody(env: MemoryEnv) -> None:
    views = [[view(1, {"title": "a", "n": 1, "at": MOMENT, "o": {"x": 1}, "tags": ["p"]}), view(2, {"title": 5})]]
    assert write_records(views, "/a.parquet", SETTINGS, env=env) == 2
    table = pq.read_table(io.BytesIO(env.files.read("/a.parquet")))
    assert table.drop_columns(["vector", "$rest"]).to_pylist() == [
        {"id": 1, "title": "a", "n": 1, "at": MOMENT, "tags": ["p"]},
        {"id": 2, "title": None, "n": None, "at": None, "tags": None},
    ]
    assert [json.loads(text) for text in table["$rest"].to_pylist()] == [{"fields": {"o": {"x": 1}}}, {"fields": {"title": 5}}]


def test_export_of_a_newer_format_is_refused(env: MemoryEnv) -> None:
    table = pa.table({"id": [1], "$rest": [None]}).replace_schema_metadata({"vicino": '{"format": 2}'})
    with pytest.raises(FormatError, match="is an export of format 2, this version reads 1"):
        load(env, put(env, "/a.parquet", write_table(table)))


@pytest.mark.parametrize("facts", ["5", "{", '{"format": 1, "id": 5}', '{"format": 1, "id": "integer", "vectors": ["v"], "fields": {}}'])
def test_damaged_metadata_of_an_export_is_refused(env: MemoryEnv, facts: str) -> None:
    table = pa.table({"id": [1], "$rest": [None]}).replace_schema_metadata({"vicino": facts})
    with pytest.raises(InvalidArgument, match=r"a\.parquet.*export again"):
        load(env, put(env, "/a.parquet", write_table(table)))


def test_export_into_a_collection_without_its_vector_is_refused(env: MemoryEnv) -> None:
    write_records([[view(1, {}, {"vector": np.ones(2, np.float32)})]], "/a.parquet", SETTINGS, env=env)
    with pytest.raises(InvalidArgument, match='there is no vector "vector"'):
        load(env, "/a.parquet", Settings())


# ---- round trips

_MIXED = (
    Settings()
    .with_vector("vector", VectorSpec(3))
    .with_vector("half", VectorSpec(2, dtype="float16"))
    .with_vector("bytes", VectorSpec(2, "l1", "uint8"))
    .with_vector("signed", VectorSpec(1, "l1", "int8"))
    .with_vector("bits", VectorSpec(11, "hamming", "binary"))
)
_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text
    | st.datetimes(timezones=st.just(dt.UTC))
    | st.uuids()
    | st.builds(GeoPoint, st.floats(-90, 90), st.floats(-180, 180))
)
_keys = _text | st.sampled_from(["id", "vector", "$rest", "$record", "$uuid", "a", "b"])
_values = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=2), max_leaves=6)
_ids = st.integers(-(2**70), 2**70) | _text | st.uuids()
_vectors = st.fixed_dictionaries(
    {},
    optional={
        "vector": st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
        "half": st.lists(st.floats(width=16, allow_nan=False, allow_infinity=False), min_size=2, max_size=2),
        "bytes": st.lists(st.integers(0, 255), min_size=2, max_size=2),
        "signed": st.lists(st.integers(-128, 127), min_size=1, max_size=1),
        "bits": st.lists(st.integers(0, 1), min_size=11, max_size=11),
    },
)
_records = st.lists(st.tuples(_ids, _vectors, st.dictionaries(_keys, _values, max_size=4)), max_size=6)


def views_of(records: Iterable[Record]) -> list[RecordView[Any]]:
    return [
        RecordView(batch.ids[i], batch.blobs[batch.offsets[i] : batch.offsets[i + 1]], shape=SHAPE, vectors={
            name: row for name, column in batch.vectors.items() if (row := column[i]) is not None
        })
        for batch in batches(records, _MIXED) for i in range(len(batch))
    ]  # fmt: skip


def typed(value: Any) -> Any:
    """The value with its types spelled out, since 1 == True == 1.0 in Python; -0.0 is told from 0.0 too."""
    if isinstance(value, GeoPoint):
        return ("geo", repr(value))
    if isinstance(value, list):
        return [typed(element) for element in value]
    if isinstance(value, dict):
        return {name: typed(inner) for name, inner in value.items()}
    return (type(value).__name__, repr(value))


@pytest.mark.parametrize("path", ["/a.parquet", "/a.jsonl", "/a.jsonl.gz"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=_records, size=st.integers(1, 4))
def test_everything_round_trips(path: str, records: Sequence[Any], size: int) -> None:
    env = MemoryEnv()
    written = views_of(Record(*parts) for parts in records)
    count = write_records([written[start : start + size] for start in range(0, len(written), size)], path, _MIXED, env=env)
    pieces: list[Columns] = list(read_records(path, _MIXED, files=env.files))
    read = views_of(Record(batch.ids[i], {n: c[i] for n, c in batch.vectors.items() if c[i] is not None}, batch.documents[i])  # type: ignore[misc]
                    for batch in batches(iter(pieces), _MIXED) for i in range(len(batch)))  # fmt: skip
    assert count == len(read) == len(written)
    for before, after in zip(written, read, strict=True):
        assert typed(after.id) == typed(before.id)
        assert typed(after.fields) == typed(before.fields)
        assert {name: row.tobytes() for name, row in after.vectors.items()} == {name: row.tobytes() for name, row in before.vectors.items()}


def test_views_without_vectors_are_written_without(env: MemoryEnv) -> None:
    write_records([[RecordView(1, {"a": 1}, shape=SHAPE)]], "/a.parquet", SETTINGS, env=env)
    assert pq.read_table(io.BytesIO(env.files.read("/a.parquet"))).column_names == ["id", "a", "$rest"]


# ---- atomic


def test_export_replaces_the_file(env: MemoryEnv) -> None:
    for year in (1, 2):
        write_records([[view(1, {"year": year})]], "/a.jsonl", SETTINGS, env=env)
    assert json.loads(env.files.read("/a.jsonl")) == {"id": 1, "year": 2}
    assert env.files.list("/") == ["a.jsonl"]


def test_failed_export_leaves_the_old_file_and_no_other(env: MemoryEnv) -> None:
    put(env, "/a.jsonl", b"old")

    def failing() -> Iterable[Sequence[RecordView[Any]]]:
        yield [view(1, {})]
        raise InvalidArgument("reading failed")

    with pytest.raises(InvalidArgument, match="reading failed"):
        write_records(failing(), "/a.jsonl", SETTINGS, env=env)
    assert env.files.read("/a.jsonl") == b"old"
    assert env.files.list("/") == ["a.jsonl"]


@pytest.mark.parametrize("path", ["/a.jsonl", "/a.parquet"])
def test_export_meets_every_failing_operation_cleanly(path: str) -> None:
    counting = FaultyEnv(MemoryEnv())
    write_records([[view(1, {"a": 1})]], path, SETTINGS, env=counting)
    for fail_at in range(counting.n_operations):
        inner = MemoryEnv()
        put(inner, path, b"old")
        env = FaultyEnv(inner, fail_at=fail_at, fault="ENOSPC")
        try:
            write_records([[view(1, {"a": 1})]], path, SETTINGS, env=env)
        except StorageError:
            assert inner.files.read(path) == b"old" or str(env.failed).startswith("sync the folder")


def test_export_knows_two_formats(env: MemoryEnv) -> None:
    with pytest.raises(InvalidArgument, match="records can be exported as parquet or jsonl, not as csv"):
        write_records([], "/a.csv", SETTINGS, env=env)
