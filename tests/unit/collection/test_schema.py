from __future__ import annotations

import dataclasses
import json
from typing import Any, NotRequired, TypedDict

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicino.collection.record import Record
from vicino.collection.schema import Schema
from vicino.collection.settings import Settings
from vicino.collection.vector_spec import VectorSlot, VectorSpec
from vicino.errors import CorruptionError, FormatError, InvalidArgument, SchemaError


@dataclasses.dataclass
class Author:
    name: str


@dataclasses.dataclass
class Book:
    id: int
    title: str
    author: Author
    vector: np.ndarray | None = None
    year: int = 2000
    note: str | None = None


class BookStruct(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    year: int = 2000


class BookDict(TypedDict):
    id: str
    title: str
    year: NotRequired[int]


class BookRecord(Record):
    title: str
    year: int = 2000


@pytest.mark.parametrize("dim", [0, 65537, -1])
def test_dimension_out_of_range_is_refused(dim: int) -> None:
    with pytest.raises(InvalidArgument, match=f"dim must be between 1 and 65536, got {dim}"):
        VectorSpec(dim)


def test_dimension_of_another_type_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"dim must be an integer, got float 3\.0"):
        VectorSpec(3.0)  # type: ignore[arg-type]


def test_metric_and_dtype_must_go_together() -> None:
    with pytest.raises(InvalidArgument, match='metric "cosine" does not go with dtype "binary"; use metric hamming or jaccard'):
        VectorSpec(8, dtype="binary")
    with pytest.raises(InvalidArgument, match='metric "hamming" does not go with dtype "float32"'):
        VectorSpec(8, metric="hamming")


def test_misspelled_metric_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidArgument, match='Did you mean "cosine"'):
        VectorSpec(8, metric="cosin")  # type: ignore[arg-type]


@pytest.mark.parametrize(("dim", "width"), [(1, 1), (8, 1), (9, 2), (64, 8)])
def test_binary_rows_hold_eight_bits_a_byte(dim: int, width: int) -> None:
    assert VectorSpec(dim, metric="hamming", dtype="binary").row_bytes == width


def test_dataclass_is_read_without_id_and_vectors() -> None:
    schema = Schema.read(Book)
    assert repr(schema) == "Schema({title: string, author: object, year: integer, note: string?})"
    assert [name for name in schema if schema[name].required] == ["title", "author"]


@pytest.mark.parametrize("source", [BookStruct, BookDict, BookRecord], ids=lambda cls: cls.__name__)
def test_class_of_records_is_read(source: type) -> None:
    schema = Schema.read(source)
    assert {name: str(kind) for name, kind in schema.items()} == {"title": "string", "year": "integer"}
    assert [name for name in schema if schema[name].required] == ["title"]


def test_class_that_forbids_other_fields_gives_a_closed_schema() -> None:
    assert Schema.read(BookStruct).closed
    assert not Schema.read(Book).closed


def test_pydantic_shaped_class_is_read() -> None:
    class Info:
        def __init__(self, annotation: Any, required: bool) -> None:
            self.annotation, self.required = annotation, required

        def is_required(self) -> bool:
            return self.required

    class Model:
        model_fields = {"title": Info(str, True), "year": Info(int, False)}  # noqa: RUF012
        model_config = {"extra": "forbid"}  # noqa: RUF012

    schema = Schema.read(Model)
    assert repr(schema) == "Schema({title: string, year: integer}, closed=True)"


def test_arrow_schema_is_read() -> None:
    schema = Schema.read(
        pa.schema(
            [
                pa.field("id", pa.int64()),
                pa.field("vector", pa.list_(pa.float32(), 3)),
                pa.field("title", pa.string(), nullable=False),
                pa.field("tags", pa.list_(pa.string())),
                pa.field("place", pa.struct([("street", pa.string())])),
                pa.field("seen", pa.timestamp("ns")),
            ]
        )
    )
    assert repr(schema) == "Schema({title: string, tags: list[string?]?, place: object?, seen: datetime?})"


def test_arrow_type_that_no_field_holds_is_refused() -> None:
    with pytest.raises(SchemaError, match='column "price" has Arrow type decimal'):
        Schema.read(pa.schema([pa.field("price", pa.decimal128(5, 2))]))


def test_class_without_fields_is_refused() -> None:
    with pytest.raises(SchemaError, match="class int declares no fields"):
        Schema.read(int)


def test_check_names_record_field_expected_and_got() -> None:
    schema = Schema({"year": int})
    with pytest.raises(SchemaError, match="field \"year\" of record 7 must be integer, got str '2020'"):
        schema.check([{"year": 1}, {"year": "2020"}], lambda index: f"record {index + 6}")


def test_check_refuses_a_missing_required_field() -> None:
    with pytest.raises(SchemaError, match='position 0 has no field "year", which must be there and be integer'):
        Schema({"year": "integer"}).check([{}])


def test_nullable_field_may_be_missing() -> None:
    Schema({"year": "integer?"}).check([{}, {"year": None}, {"year": 1}])


def test_open_schema_accepts_other_fields() -> None:
    Schema({"year": "integer?"}).check([{"other": 1}])


def test_closed_schema_refuses_other_fields() -> None:
    with pytest.raises(SchemaError, match=r'has field "yaer", which the closed schema does not declare. Did you mean "year"'):
        Schema({"year": "integer?"}, closed=True).check([{"yaer": 1}])


def test_slots_are_never_reused() -> None:
    settings = (
        Settings().with_vector("a", VectorSpec(2)).with_vector("b", VectorSpec(3)).without_vector("b").with_vector("c", VectorSpec(4))
    )
    assert {name: entry.slot for name, entry in settings.vectors.items()} == {"a": 0, "c": 2}


def test_vector_name_that_is_taken_is_refused() -> None:
    with pytest.raises(InvalidArgument, match='vector "a" exists'):
        Settings().with_vector("a", VectorSpec(2)).with_vector("a", VectorSpec(2))


@pytest.mark.parametrize("name", ["", "id", "x" * 256])
def test_vector_name_that_is_not_allowed_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="a vector name"):
        Settings().with_vector(name, VectorSpec(2))


def test_unknown_vector_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidArgument, match=r'there is no vector "titel". Did you mean "title"'):
        Settings().with_vector("title", VectorSpec(2)).spec("titel")


def test_ttl_field_must_be_a_datetime() -> None:
    with pytest.raises(SchemaError, match='ttl field "expires" must be a datetime, the schema declares integer'):
        Settings(schema=Schema({"expires": int}), ttl="expires")


_specs = st.sampled_from([VectorSpec(3), VectorSpec(9, "hamming", "binary"), VectorSpec(4, "l2", "int8", "flat")])
_types = st.sampled_from(["string", "integer?", "list[float]", "geo", "any"])
_settings = st.builds(
    Settings,
    vectors=st.dictionaries(st.text(min_size=1, max_size=5), _specs, max_size=3).map(
        lambda specs: {name: VectorSlot(slot, spec) for slot, (name, spec) in enumerate(specs.items())}
    ),
    next_slot=st.integers(3, 20),
    schema=st.builds(Schema, st.dictionaries(st.text(max_size=5), _types, max_size=3), closed=st.booleans()),
    embed=st.lists(st.just("text_of_record"), max_size=2).map(tuple),
    model=st.none() | st.dictionaries(st.text(max_size=3), st.text(max_size=3)),
    ttl=st.none() | st.just("expires_at"),
    indexes=st.dictionaries(st.text(max_size=3), st.text(max_size=3)),
    auto_index=st.booleans(),
    segment_rows_max=st.none() | st.integers(1, 10),
)


@given(_settings)
def test_settings_round_trip_as_json(settings: Settings) -> None:
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


@given(_settings)
def test_settings_agree_with_themselves(settings: Settings) -> None:
    assert settings.disagreements(settings) == []


def test_settings_of_a_newer_version_are_refused() -> None:
    with pytest.raises(FormatError, match="settings sharding were written by a newer version"):
        Settings.from_json({**Settings().to_json(), "sharding": 2})


def test_damaged_settings_are_refused() -> None:
    with pytest.raises(CorruptionError, match=r'settings.vectors.a has no "slot"'):
        Settings.from_json({**Settings().to_json(), "vectors": {"a": {"dim": 2}}})


def test_settings_that_give_two_vectors_one_slot_are_refused() -> None:
    spec = {"slot": 0, **VectorSpec(2).to_json()}
    with pytest.raises(CorruptionError, match=r"slots \[0, 0\] of vectors are not distinct"):
        Settings.from_json({**Settings(next_slot=1).to_json(), "vectors": {"a": spec, "b": spec}})


def test_a_log_record_of_settings_that_is_no_json_is_refused() -> None:
    with pytest.raises(CorruptionError, match="not JSON"):
        Settings.from_bytes(b"{")


def test_disagreements_name_both_values() -> None:
    stored = Settings().with_vector("vector", VectorSpec(384))
    asked = Settings(ttl="expires").with_vector("vector", VectorSpec(768)).with_vector("title", VectorSpec(3))
    assert stored.disagreements(asked) == [
        'dim of vector "vector" is 384, asked for 768',
        'there is no vector "title"',
        'ttl of settings is none, asked for "expires"',
    ]


def test_index_can_be_added_and_dropped() -> None:
    settings = Settings().with_index("year", "integer")
    assert settings.indexes == {"year": "integer"}
    assert settings.without_index("year").indexes == {}
    with pytest.raises(InvalidArgument, match='there is no index on field "yaer"'):
        settings.without_index("yaer")
