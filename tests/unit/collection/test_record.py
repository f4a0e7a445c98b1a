from __future__ import annotations

import dataclasses
from typing import Any, TypedDict

import msgspec
import numpy as np
import pytest

from vicino.collection.record import Record
from vicino.collection.typed import record_factory, to_mapping
from vicino.errors import SchemaError


class Book(Record):
    title: str
    tags: list[str] = []  # noqa: RUF012
    year: int = 2000


def test_declared_fields_are_attributes_over_fields() -> None:
    book = Book("a", title="Emma", year=1815)
    assert (book.title, book.year, book.fields) == ("Emma", 1815, {"title": "Emma", "year": 1815, "tags": []})
    book.year = 1816
    assert book.fields["year"] == 1816


def test_default_is_not_shared_between_records() -> None:
    first, second = Book(1, title="a"), Book(2, title="b")
    first.tags.append("x")
    assert second.tags == []


def test_undeclared_keyword_is_answered_with_the_nearest() -> None:
    with pytest.raises(SchemaError, match=r'Book declares no field "titel". Did you mean "title"'):
        Book(1, titel="x")  # type: ignore[call-arg]


def test_fields_that_are_not_declared_are_kept() -> None:
    assert Book(1, fields={"title": "a", "id": "x"}).fields == {"title": "a", "id": "x", "tags": [], "year": 2000}


def test_missing_field_names_the_record() -> None:
    with pytest.raises(AttributeError, match='record 1 has no field "title"'):
        _ = Book(1, fields={}).title


def test_subclass_inherits_declarations() -> None:
    class Novel(Book):
        pages: int

    assert Novel(1, title="a", pages=3).fields == {"title": "a", "pages": 3, "tags": [], "year": 2000}


def test_reserved_attribute_cannot_be_declared() -> None:
    with pytest.raises(SchemaError, match='class Wrong declares a field "fields"'):

        class Wrong(Record):
            fields: int  # type: ignore[assignment]


def test_records_are_equal_by_content() -> None:
    def record(value: float, id: Any = 1) -> Record:
        return Record(id, {"vector": np.array([value])}, {"a": 1})

    assert record(1.0) == record(1.0)
    assert record(1.0) != record(2.0)
    assert record(1.0) != record(1.0, id=True)


def test_repr_shows_vectors_by_name_only() -> None:
    assert repr(Record(1, {"v": np.ones(3)}, {"a": 2})) == "Record(1, vectors={'v'}, fields={'a': 2})"


@dataclasses.dataclass
class Author:
    name: str


@dataclasses.dataclass
class Novel:
    id: int
    title: str
    author: Author | None = None
    others: list[Author] = dataclasses.field(default_factory=list)
    pair: tuple[int, int] = (0, 0)
    vector: Any = None


class Struct(msgspec.Struct):
    title: str
    author: Author | None = None


class Typed(TypedDict):
    id: int
    title: str


def test_dataclass_is_made_with_nested_objects() -> None:
    make = record_factory(Novel, ("vector",))
    fields = {"title": "Emma", "author": {"name": "Jane"}, "others": [{"name": "Ann"}], "pair": [1, 2], "extra": 1}
    assert make(7, {"vector": 5}, fields) == Novel(7, "Emma", Author("Jane"), [Author("Ann")], (1, 2), 5)


def test_dataclass_goes_into_fields_and_comes_back() -> None:
    novel = Novel(1, "Emma", Author("Jane"), [Author("Ann")], (1, 2))
    mapping = to_mapping(novel)
    assert mapping is not None
    assert record_factory(Novel, ())(1, {}, mapping) == novel


def test_struct_is_made_from_fields() -> None:
    assert record_factory(Struct, ())(1, {}, {"title": "a", "author": {"name": "b"}}) == Struct("a", Author("b"))


def test_typed_dict_is_made_from_fields() -> None:
    assert record_factory(Typed, ())(1, {}, {"title": "a", "other": 2}) == {"id": 1, "title": "a"}


def test_lacking_field_becomes_none() -> None:
    assert record_factory(Novel, ())(1, {}, {}).title is None


def test_record_class_keeps_what_it_does_not_declare() -> None:
    made = record_factory(Book, ())("a", {}, {"title": "x", "other": 2})
    assert isinstance(made, Book)
    assert made.fields == {"title": "x", "other": 2, "tags": [], "year": 2000}


def test_class_without_fields_makes_no_records() -> None:
    with pytest.raises(SchemaError, match="int declares no fields"):
        record_factory(int, ())
