from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicino import _core
from vicino.collection.columns import columns
from vicino.collection.record import Record
from vicino.collection.records import Batch, batches
from vicino.collection.schema import Schema
from vicino.collection.settings import Settings
from vicino.collection.vector_spec import VectorSpec
from vicino.errors import DimensionError, InvalidArgument, SchemaError
from vicino.query.hit import RecordView, Shape

SETTINGS = Settings().with_vector("vector", VectorSpec(2)).with_vector("image", VectorSpec(3))


def one(records: Any, settings: Settings = SETTINGS, **options: Any) -> Batch:
    found = list(batches(records, settings, **options))
    assert len(found) == 1
    return found[0]


def vector(batch: Batch, index: int, name: str = "vector") -> list[float] | None:
    row = batch.vectors[name][index]
    return None if row is None else row.tolist()


def test_flat_mapping_is_split_into_id_vectors_and_fields() -> None:
    batch = one({"id": "a", "vector": [1, 2], "title": "Emma", "year": 1815})
    assert batch.ids == ["a"]
    assert vector(batch, 0) == [1, 2]
    assert vector(batch, 0, "image") is None
    assert batch.documents == [{"title": "Emma", "year": 1815}]


def test_users_mapping_is_not_changed() -> None:
    row = {"id": 1, "vector": [1, 2], "title": "Emma"}
    one([row])
    assert row == {"id": 1, "vector": [1, 2], "title": "Emma"}


def test_record_may_have_fields_of_any_name() -> None:
    batch = one(Record(1, {"image": [1, 2, 3]}, {"id": "x", "vector": "y"}))
    assert batch.ids == [1]
    assert batch.documents == [{"id": "x", "vector": "y"}]
    assert vector(batch, 0, "image") == [1, 2, 3]


@dataclasses.dataclass
class Author:
    name: str


@dataclasses.dataclass
class Book:
    id: int
    title: str
    author: Author
    others: list[Author]
    vector: list[float] | None = None


class BookStruct(msgspec.Struct):
    id: int
    title: str


class BookRecord(Record):
    title: str


def test_dataclass_objects_are_records_with_nested_objects_as_dicts() -> None:
    batch = one([Book(1, "Emma", Author("Jane"), [Author("Ann")], [1, 2]), Book(2, "Ada", Author("Joe"), [])])
    assert batch.documents[0] == {"title": "Emma", "author": {"name": "Jane"}, "others": [{"name": "Ann"}]}
    assert vector(batch, 0) == [1, 2]
    assert vector(batch, 1) is None


@pytest.mark.parametrize("record", [BookStruct(1, "Emma"), BookRecord(1, title="Emma")], ids=["msgspec", "Record"])
def test_object_alone_is_one_record(record: Any) -> None:
    batch = one(record)
    assert batch.ids == [1]
    assert batch.documents == [{"title": "Emma"}]


def test_any_mapping_is_a_record() -> None:
    class Lazy(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            return {"id": 1, "title": "Emma"}[key]

        def __iter__(self) -> Iterator[str]:
            return iter(["id", "title"])

        def __len__(self) -> int:
            return 2

    assert one(Lazy()).documents == [{"title": "Emma"}]


def test_record_that_was_read_can_be_written_again() -> None:
    view = RecordView(1, {"id": "x", "year": 1}, shape=Shape(record=Record), vectors={"vector": np.array([1, 2], np.float32)})
    batch = one([view])
    assert (batch.ids, batch.documents, vector(batch, 0)) == ([1], [{"id": "x", "year": 1}], [1, 2])


def test_generator_of_mixed_forms_is_taken() -> None:
    batch = one(row for row in [{"id": 1}, Record(2), BookStruct(3, "c"), columns([4, 5])])
    assert batch.ids == [1, 2, 3, 4, 5]


def test_columns_are_taken_without_conversion_of_rows() -> None:
    matrix = np.ones((3, 2), np.float32)
    batch = one(columns(np.array([1, 2, 3]), matrix, [{"a": 1}, {}, {"a": 3}]))
    assert batch.ids == [1, 2, 3]
    assert np.shares_memory(batch.vectors["vector"].rows, matrix)
    assert batch.documents == [{"a": 1}, {}, {"a": 3}]


def test_columns_accept_fields_by_name() -> None:
    assert one(columns(["a", "b"], fields={"year": np.array([1, 2]), "x": ["p", "q"]})).documents == [
        {"year": 1, "x": "p"},
        {"year": 2, "x": "q"},
    ]


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(InvalidArgument, match='there are 3 ids and 2 vectors of "vector"'):
        columns([1, 2, 3], np.ones((2, 2)))


def test_encoded_documents_are_those_of_the_batch() -> None:
    batch = one([{"id": 1, "a": 1}, {"id": 2}, {"id": 3, "b": [True, None]}])
    assert [_core.decode_document(batch.blobs[batch.offsets[i] : batch.offsets[i + 1]]) for i in range(3)] == batch.documents


# ---- ids


class Color(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("given_id", "expected"),
    [
        (1, 1),
        (-(2**70), -(2**70)),
        ("ü", "ü"),
        ("", ""),
        (uuid.UUID(int=5), uuid.UUID(int=5)),
        (np.int64(7), 7),
        (np.str_("s"), "s"),
        (Color.RED, 1),
    ],
    ids=repr,
)
def test_id_is_kept_as_its_plain_type(given_id: Any, expected: Any) -> None:
    batch = one([{"id": given_id}])
    assert batch.ids == [expected]
    assert type(batch.ids[0]) is type(expected)


@pytest.mark.parametrize("wrong", [True, np.bool_(True), 1.5, None, b"a", (1, 2)], ids=repr)
def test_id_of_another_type_is_refused_with_its_position(wrong: Any) -> None:
    with pytest.raises(SchemaError, match="the id of the record at position 1 must be an integer, a string or a UUID, got"):
        one([{"id": 1}, {"id": wrong}])


def test_id_with_unpaired_surrogate_is_refused() -> None:
    with pytest.raises(SchemaError, match="position 0 is not valid Unicode"):
        one([{"id": "\ud800"}])


def test_missing_id_names_position_and_keys() -> None:
    with pytest.raises(SchemaError, match="the record at position 1 has no \"id\"; its keys are 'title'"):
        one([{"id": 1}, {"title": "x"}])


# ---- what is refused


def test_wrong_dimension_names_collection_record_and_position() -> None:
    message = r'vector "vector" of collection "books" has 2 dimensions, got 3 \(record "b" at position 1\)'
    with pytest.raises(DimensionError, match=message):
        one([{"id": "a", "vector": [1, 2]}, {"id": "b", "vector": [1, 2, 3]}], collection="books")


def test_unknown_vector_of_a_record_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidArgument, match=r'there is no vector "imgae". Did you mean "image"\? \(record 1 at position 0\)'):
        one(Record(1, {"imgae": [1, 2, 3]}))


def test_unknown_vector_of_columns_is_refused() -> None:
    with pytest.raises(InvalidArgument, match='there is no vector "x"'):
        one(columns([1], {"x": np.ones((1, 2))}))


def test_vector_under_a_misspelled_key_is_refused() -> None:
    with pytest.raises(SchemaError, match='field "vectr" of record 1 at position 0 is an array of 2 numbers'):
        one([{"id": 1, "vectr": np.ones(2)}])


@pytest.mark.parametrize(
    ("value", "reason"),
    [(float("nan"), "NaN is not"), (b"x", "bytes is not"), (2**64, "beyond 64 bits"), ("\ud800", "surrogate")],
    ids=repr,
)
def test_value_that_no_field_holds_is_refused_by_record_and_path(value: Any, reason: str) -> None:
    with pytest.raises(SchemaError, match=rf'field "a\[1\].b" of record 7 at position 1: .*{reason}'):
        one([{"id": 6}, {"id": 7, "a": [0, {"b": value}]}])


def test_schema_is_checked_before_anything_is_handed_out() -> None:
    with pytest.raises(SchemaError, match='field "year" of record 2 at position 1 must be integer'):
        next(batches([{"id": 1, "year": 1}, {"id": 2, "year": "1"}], Settings(schema=Schema({"year": int}))))


@pytest.mark.parametrize("wrong", ["books.parquet", b"x", np.ones((2, 2)), 5, None], ids=lambda value: type(value).__name__)
def test_input_that_is_no_records_says_what_to_do(wrong: Any) -> None:
    with pytest.raises(InvalidArgument, match="records must be"):
        one(wrong)


def test_row_that_is_no_record_is_named() -> None:
    with pytest.raises(SchemaError, match="the record at position 1 is int '5'; a record is a mapping with an id"):
        one([{"id": 1}, 5])


# ---- embedding

EMBEDDED = Settings(embed=("title", "body"), model={"name": "length"}).with_vector("vector", VectorSpec(2))


def lengths(texts: list[str]) -> np.ndarray:
    return np.array([[len(text), 1] for text in texts], np.float32)


def test_text_fields_are_joined_by_a_space_and_embedded() -> None:
    batch = one([{"id": 1, "title": "ab", "body": "cde"}, {"id": 2, "body": "x"}], EMBEDDED, embed=lengths)
    assert batch.vectors["vector"].rows.tolist() == [[6, 1], [1, 1]]
    assert batch.vectors["vector"].present is None


def test_given_vector_is_not_embedded_again() -> None:
    batch = one([{"id": 1, "title": "ab"}, {"id": 2, "title": "ab", "vector": [9, 9]}], EMBEDDED, embed=lengths)
    assert batch.vectors["vector"].rows.tolist() == [[2, 1], [9, 9]]


def test_record_without_text_and_vector_is_refused() -> None:
    with pytest.raises(
        SchemaError, match=r'record 2 at position 1 has neither a vector "vector" nor text to embed in field \'title\' or \'body\''
    ):
        one([{"id": 1, "title": "a"}, {"id": 2, "text": "a"}], EMBEDDED, embed=lengths)


# ---- slices


def test_input_within_the_limit_is_one_batch() -> None:
    assert len(list(batches(({"id": i} for i in range(10_000)), SETTINGS))) == 1


def test_input_is_cut_by_bytes() -> None:
    rows = [{"id": i, "vector": [i, i], "text": "x" * 1000} for i in range(20)]
    found = list(batches(rows, SETTINGS, slice_bytes=5500))
    assert [len(batch) for batch in found] == [5, 5, 5, 5]
    assert all(batch.size_bytes <= 5500 for batch in found)
    assert [batch.documents[0]["text"] for batch in found] == ["x" * 1000] * 4


def test_record_larger_than_a_slice_comes_alone() -> None:
    rows = [{"id": 1}, {"id": 2, "text": "x" * 1000}, {"id": 3}]
    assert [batch.ids for batch in batches(rows, SETTINGS, slice_bytes=200)] == [[1], [2], [3]]


def test_no_records_give_no_batch() -> None:
    assert list(batches([], SETTINGS)) == []


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(50, 400), st.none() | st.integers(1, 7), st.integers(1, 9))
def test_slices_hold_everything_in_order(sizes: list[int], slice_bytes: int, slice_rows: int | None, piece: int) -> None:
    rows = [{"id": i, "t": "x" * size, **({"vector": [i, 1]} if i % 3 else {})} for i, size in enumerate(sizes)]
    runs = (columns([row["id"] for row in part], {"vector": [row.get("vector") for row in part]}, [{"t": row["t"]} for row in part])
            for part in (rows[start : start + piece] for start in range(0, len(rows), piece)))  # fmt: skip
    found = list(batches(runs, SETTINGS, slice_bytes=slice_bytes, slice_rows=slice_rows))
    assert [record_id for batch in found for record_id in batch.ids] == list(range(len(rows)))
    for batch in found:
        assert 0 < len(batch) <= (slice_rows or len(batch))
        assert batch.size_bytes <= slice_bytes or len(batch) == 1
        assert batch.offsets[-1] == len(batch.blobs)
        for index, record_id in enumerate(batch.ids):
            assert vector(batch, index) == rows[record_id].get("vector")  # type: ignore[call-overload]
            assert _core.decode_document(batch.blobs[batch.offsets[index] : batch.offsets[index + 1]]) == {"t": rows[record_id]["t"]}  # type: ignore[call-overload]


def test_datetime_and_uuid_fields_pass_through() -> None:
    moment = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    assert one({"id": 1, "at": moment, "key": uuid.UUID(int=1)}).documents == [{"at": moment, "key": uuid.UUID(int=1)}]
