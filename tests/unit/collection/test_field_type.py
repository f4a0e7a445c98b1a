from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, Literal

import numpy as np
import pytest

from vicino.collection.field_type import FieldType, field_type
from vicino.errors import SchemaError
from vicino.types import GeoPoint


@pytest.mark.parametrize("text", ["string", "integer?", "list[float]", "list[list[string?]?]?", "any", "geo", "object?"])
def test_text_spelling_round_trips(text: str) -> None:
    assert str(field_type(text, "f")) == text


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (str, "string"),
        (int | None, "integer?"),
        (int | float, "float"),
        (list[str], "list[string]"),
        (tuple[int, ...], "list[integer]"),
        (list, "list"),
        (dict[str, Any], "object"),
        (dt.datetime, "datetime"),
        (uuid.UUID, "uuid"),
        (GeoPoint, "geo"),
        (Literal["a", "b"], "string"),
        (Any, "any"),
    ],
    ids=str,
)
def test_annotation_means_a_type(annotation: Any, text: str) -> None:
    assert str(field_type(annotation, "f")) == text


def test_unknown_spelling_suggests_the_nearest() -> None:
    with pytest.raises(SchemaError, match=r'type "strng" of field "title" is unknown. Did you mean "string"'):
        field_type("strng", "title")


def test_union_of_kinds_is_refused() -> None:
    with pytest.raises(SchemaError, match='field "x" is declared as one of string, integer'):
        field_type(str | int, "x")


def test_array_annotation_is_refused_by_name() -> None:
    with pytest.raises(SchemaError, match='field "x" is declared as ndarray, which no field can hold'):
        field_type(np.ndarray, "x")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("integer", 3),
        ("integer", np.int64(3)),
        ("float", 3),
        ("float", 0.5),
        ("bool", True),
        ("datetime", dt.datetime(2024, 1, 1)),
        ("list[integer]", [1, 2]),
        ("list[integer]", np.array([1, 2])),
        ("list[string?]", ["a", None]),
        ("object", {"a": 1}),
        ("geo", GeoPoint(1, 2)),
        ("any", None),
        ("string?", None),
    ],
    ids=str,
)
def test_fitting_value_is_accepted(text: str, value: Any) -> None:
    assert field_type(text, "f").problem(value, "f") is None


@pytest.mark.parametrize(
    ("text", "value", "path"),
    [
        ("integer", True, "f"),
        ("integer", 1.0, "f"),
        ("float", True, "f"),
        ("string", 3, "f"),
        ("bool", 1, "f"),
        ("list", GeoPoint(1, 2), "f"),
        ("list[integer]", [1, "2"], "f[1]"),
        ("list[string]", [None], "f[0]"),
        ("string", None, "f"),
    ],
    ids=str,
)
def test_misfit_is_found_where_it_is(text: str, value: Any, path: str) -> None:
    problem = field_type(text, "f").problem(value, "f")
    assert problem is not None
    assert problem[0] == path


def test_object_with_keys_is_checked_inside() -> None:
    author = field_type({"name": str, "born": "integer?"}, "author")
    assert author.problem({"name": "Ada"}, "author") is None
    assert author.problem({"name": "Ada", "born": "1815"}, "author") == ("author.born", "integer?", "1815")
    missing = author.problem({}, "author")
    assert missing is not None
    assert missing[:2] == ("author.name", "string (required)")


def test_plain_text_becomes_the_declared_type() -> None:
    assert field_type("datetime", "f").from_plain("2024-01-01T00:00:00Z") == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    assert field_type("list[uuid]", "f").from_plain(["00000000-0000-0000-0000-000000000001"]) == [uuid.UUID(int=1)]
    assert field_type("geo", "f").from_plain({"lat": 1, "lon": 2}) == GeoPoint(1, 2)
    assert field_type("datetime", "f").from_plain("soon") == "soon"


def test_json_round_trips() -> None:
    kind = field_type({"name": str, "tags": "list[string]?"}, "f")
    assert FieldType.from_json(kind.to_json()) == kind
