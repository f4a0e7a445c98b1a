from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

from vicino.errors import FilterError
from vicino.filter.conditions import all_of, any_of, at_least, has_id, has_vector, in_slice
from vicino.filter.expression import Expression, F
from vicino.filter.parse_mapping import parse_mapping


@pytest.mark.parametrize(
    ("mapping", "expression"),
    [
        ({"year": {"$gte": 2020}, "brand": "acme"}, (F.year >= 2020) & (F.brand == "acme")),
        ({}, all_of()),
        ({"a": 1}, F.a == 1),
        ({"a": None}, F.a == None),  # noqa: E711
        ({"a.b": 1}, F.a.b == 1),
        ({"a[].b": 1}, F.a[:].b == 1),
        ({"a": {"$eq": 1}}, F.a == 1),
        ({"a": {"$ne": 1}}, F.a != 1),
        ({"a": {"$gt": 1}}, F.a > 1),
        ({"a": {"$lt": 1}}, F.a < 1),
        ({"a": {"$gte": 1, "$lt": 5}}, F.a.between(1, 5, inclusive="left")),
        ({"a": {"$gte": 1, "$ne": 3}}, (F.a != 3) & (F.a >= 1)),
        ({"a": {"$between": [1, 5]}}, F.a.between(1, 5)),
        ({"a": {"$in": [1, 2]}}, F.a.is_in([1, 2])),
        ({"a": {"$in": {1}}}, F.a.is_in([1])),
        ({"a": {"$nin": [1]}}, F.a.not_in([1])),
        ({"a": {"$not_in": [1]}}, F.a.not_in([1])),
        ({"a": {"$has_other_than": [1]}}, F.a.has_other_than([1])),
        ({"a": {"$all": [1]}}, F.a.contains_all([1])),
        ({"a": {"$contains_any": [1]}}, F.a.contains_any([1])),
        ({"a": {"$exists": True}}, F.a.exists()),
        ({"a": {"$exists": False}}, ~F.a.exists()),
        ({"a": {"$is_null": True}}, F.a.is_null()),
        ({"a": {"$isEmpty": True}}, F.a.is_empty()),
        ({"a": {"$size": 2}}, F.a.count() == 2),
        ({"a": {"$count": {"$gte": 2}}}, F.a.count() >= 2),
        ({"a": {"$startsWith": "x"}}, F.a.startswith("x")),
        ({"a": {"$starts_with": "x"}}, F.a.startswith("x")),
        ({"a": {"$contains": "x"}}, F.a.contains("x")),
        ({"a": {"$not_contains": "x"}}, ~F.a.contains("x")),
        ({"a": {"$matches": "x"}}, F.a.matches("x")),
        ({"a": {"$matchesAny": "x"}}, F.a.matches_any("x")),
        ({"a": {"$phrase": "x"}}, F.a.phrase("x")),
        ({"a": {"$within_km": {"lat": 1, "lon": 2, "km": 3}}}, F.a.within_km(1, 2, 3)),
        ({"a": {"$within_box": {"north": 1, "west": 0, "south": 0, "east": 1}}}, F.a.within_box(north=1, west=0, south=0, east=1)),
        ({"a": {"$within_polygon": {"corners": [[0, 0], [0, 1], [1, 1]]}}}, F.a.within_polygon([(0, 0), (0, 1), (1, 1)])),
        ({"a": {"$elemMatch": {"b": 1, "c": {"$lt": 2}}}}, F.a.any((F.b == 1) & (F.c < 2))),
        ({"a": {"$not": {"$gt": 5}}}, ~(F.a > 5)),
        ({"a": {"$gte": {"$date": "2024-01-01"}}}, F.a >= dt.datetime(2024, 1, 1)),
        ({"a": {"$date": "2024-01-01"}}, F.a == dt.datetime(2024, 1, 1)),
        ({"a": {"$uuid": "550e8400-e29b-41d4-a716-446655440000"}}, F.a == uuid.UUID("550e8400-e29b-41d4-a716-446655440000")),
        ({"$and": [{"a": 1}, {"b": 2}]}, (F.a == 1) & (F.b == 2)),
        ({"$or": [{"a": 1}, {"b": 2, "c": 3}]}, (F.a == 1) | ((F.b == 2) & (F.c == 3))),
        ({"$nor": [{"a": 1}, {"b": 2}]}, ~((F.a == 1) | (F.b == 2))),
        ({"$not": {"a": 1}}, ~(F.a == 1)),
        ({"$or": []}, any_of()),
        ({"$at_least": {"n": 1, "of": [{"a": 1}, {"b": 2}]}}, at_least(1, F.a == 1, F.b == 2)),
        ({"$has_id": [1, "a"]}, has_id([1, "a"])),
        ({"$has_id": 1}, has_id(1)),
        ({"$has_vector": "title"}, has_vector("title")),
        ({"$in_slice": {"index": 0, "of": 4}}, in_slice(0, of=4)),
    ],
    ids=str,
)
def test_mapping_means_the_expression(mapping: dict[str, Any], expression: Expression) -> None:
    assert parse_mapping(mapping) == expression.condition


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"a": {"$gtee": 1}}, 'at a: there is no operator $gtee. Did you mean "$gte"?'),
        ({"$ad": []}, 'there is no operator $ad. Did you mean "$and"?'),
        ({"a": {"b": 1}}, 'a field inside an object is named "a.b"'),
        ({"a": [1]}, 'at a: a list is compared with {"$in": [...]}'),
        ({"a": {}}, '{"a": {"$exists": true}}'),
        ({"$gte": 1}, 'it belongs to a field: {"field": {"$gte": ...}}'),
        ({"a": {"$and": []}}, "it joins conditions and stands where fields stand"),
        ({"a": {"$gte": None}}, "at a.$gte: null has no order"),
        ({"a": {"$in": "x"}}, "at a.$in: expected a list, got str 'x'"),
        ({"a": {"$exists": 1}}, "at a.$exists: expected true or false, got int 1"),
        ({"a": {"$gt": 1, "$lt": "x"}}, "at a: the bounds"),
        ({"a": {"$between": [1]}}, "at a.$between: expected [low, high], got 1 values"),
        ({"a": {"$size": "2"}}, "at a.$size: the number of values"),
        ({"a": {"$size": {"$near": 2}}}, "got '$near'"),
        ({"a": {"$within_km": {"lat": 1}}}, "at a.$within_km: 'lon' is missing; give {lat, lon, km}"),
        ({"a": {"$within_km": {"lat": 1, "lon": 1, "km": 1, "m": 1}}}, "'m' is not known here"),
        ({"a": {"$within_km": [1, 1, 1]}}, "expected a mapping with {lat, lon, km}, got list"),
        ({"a": {"$date": "x"}}, 'write it like {"$date": "2024-01-31T12:00:00Z"}'),
        ({"a": {"$not": 1}}, "use $ne for a single value"),
        ({"a..b": 1}, "at a..b: the path 'a..b' cannot be read"),
        ({"$and": {"a": 1}}, "at $and: expected a list of conditions, got dict"),
        ({"$or": [{"a": 1}, 5]}, "at $or[1]: expected a mapping"),
        ({1: 2}, "keys are fields or operators in quotes, got int 1"),
        ({"a": b"x"}, "no field holds bytes"),
        ({"a": {"$in": [float("nan")]}}, "no field holds NaN"),
        ({"$at_least": {"n": -1, "of": []}}, "at $at_least: at_least(n, ...)"),
    ],
    ids=str,
)
def test_fault_is_named_with_its_place(mapping: Any, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_mapping(mapping)
    assert message in str(caught.value)


def test_deep_nesting_is_refused() -> None:
    mapping: dict[str, Any] = {"a": 1}
    for _ in range(5000):
        mapping = {"$not": mapping}
    with pytest.raises(FilterError, match="lie 100 deep"):
        parse_mapping(mapping)
