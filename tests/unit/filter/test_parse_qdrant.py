from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

from vicino.errors import FilterError
from vicino.filter import model
from vicino.filter.match import matches
from vicino.filter.parse_qdrant import is_qdrant_filter, parse_qdrant
from vicino.types import GeoPoint

A_UUID = uuid.UUID("550e8400-e29b-41d4-a716-446655440000")
NEW_YEAR = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
SQUARE = [{"lat": 0, "lon": 0}, {"lat": 0, "lon": 1}, {"lat": 1, "lon": 1}, {"lat": 0, "lon": 0}]
CORNERS = (GeoPoint(0, 0), GeoPoint(0, 1), GeoPoint(1, 1), GeoPoint(0, 0))
ONE = {"key": "a", "match": {"value": 1}}
TWO = {"key": "b", "match": {"value": 2}}
IS_ONE, IS_TWO = model.Equal("a", 1, strict=True), model.Equal("b", 2, strict=True)


class ClientModel:
    """As the generated classes of a client behave: attributes outside, a plain mapping by `model_dump`."""

    def __init__(self, **fields: Any) -> None:
        self._fields = fields

    def model_dump(self, *, exclude_none: bool) -> dict[str, Any]:
        assert exclude_none
        return {name: value for name, value in self._fields.items() if value is not None}


@pytest.mark.parametrize(
    ("asked", "condition"),
    [
        ({"match": {"value": 1}}, model.Equal("a", 1, strict=True)),
        ({"match": {"value": "x"}}, model.Equal("a", "x", strict=True)),
        ({"match": {"value": True}}, model.Equal("a", True, strict=True)),
        ({"match": {"any": ["x", "y"]}}, model.In("a", ("x", "y"), strict=True)),
        ({"match": {"any": []}}, model.In("a", (), strict=True)),
        ({"match": {"any": [A_UUID]}}, model.In("a", (str(A_UUID),), strict=True)),
        ({"match": {"except": [1]}}, model.NotIn("a", (1,), strict=True)),
        ({"match": {"except_": [1]}}, model.NotIn("a", (1,), strict=True)),
        ({"match": {"text": "x y"}}, model.TextMatch("a", "x y", "all")),
        ({"match": {"text_any": "x y"}}, model.TextMatch("a", "x y", "any")),
        ({"match": {"phrase": "x y"}}, model.TextMatch("a", "x y", "phrase")),
        ({"match": {"prefix": "x"}}, model.Prefix("a", "x")),
        ({"match": {"substring": "x"}}, model.Substring("a", "x")),
        ({"range": {"gte": 1, "lt": 2.5, "gt": None}}, model.Range("a", gte=1, lt=2.5)),
        ({"range": {"gt": 1, "gte": 1}}, model.Range("a", gt=1)),
        ({"range": {"lte": 2**64}}, model.Range("a", lte=float(2**64))),
        ({"range": {"gte": "2024-01-01T00:00:00Z"}}, model.Range("a", gte=NEW_YEAR)),
        ({"range": {"gte": NEW_YEAR}}, model.Range("a", gte=NEW_YEAR)),
        ({"range": {"lt": "2024-01-01"}}, model.Range("a", lt=NEW_YEAR)),
        ({"values_count": {"gte": 1}}, model.CountRange("a", gte=1)),
        ({"values_count": {}}, model.CountRange("a")),
        ({"is_empty": True}, model.IsEmpty("a")),
        ({"is_null": False}, model.Not(model.IsNull("a"))),
        ({"geo_radius": {"center": {"lon": 2, "lat": 1}, "radius": 5}}, model.GeoRadius("a", GeoPoint(1, 2), 5.0)),
        (
            {"geo_bounding_box": {"top_left": {"lon": 0, "lat": 2}, "bottom_right": {"lon": 3, "lat": 1}}},
            model.GeoBox("a", GeoPoint(2, 0), GeoPoint(1, 3)),
        ),
        ({"geo_polygon": {"exterior": {"points": SQUARE}}}, model.GeoPolygon("a", CORNERS)),
        (
            {"geo_polygon": {"exterior": {"points": SQUARE}, "interiors": [{"points": SQUARE}]}},
            model.GeoPolygon("a", CORNERS, (CORNERS,)),
        ),
    ],
    ids=str,
)
def test_field_condition(asked: dict[str, Any], condition: model.Condition) -> None:
    assert parse_qdrant({"must": [{"key": "a", **asked}]}) == condition


@pytest.mark.parametrize(
    ("filter", "condition"),
    [
        ({}, model.And(())),
        ({"must": [], "should": [], "must_not": None}, model.And(())),
        ({"must": ONE}, IS_ONE),
        ({"must": [ONE, TWO]}, model.And((IS_ONE, IS_TWO))),
        ({"should": [ONE, TWO]}, model.Or((IS_ONE, IS_TWO))),
        ({"must_not": [ONE, TWO]}, model.And((model.Not(IS_ONE), model.Not(IS_TWO)))),
        ({"min_should": {"conditions": [ONE, TWO], "min_count": 1}}, model.AtLeast(1, (IS_ONE, IS_TWO))),
        ({"must": ONE, "should": [ONE, TWO], "must_not": TWO}, model.And((IS_ONE, model.Or((IS_ONE, IS_TWO)), model.Not(IS_TWO)))),
        ({"must": [{"should": [ONE, TWO]}]}, model.Or((IS_ONE, IS_TWO))),
        ({"must": {"is_empty": {"key": "a"}}}, model.IsEmpty("a")),
        ({"must": {"is_null": {"key": "a[].b"}}}, model.IsNull("a[].b")),
        ({"must": {"has_id": [1, str(A_UUID)]}}, model.HasId((1, A_UUID, str(A_UUID)))),
        ({"must": {"has_id": ["a"]}}, model.HasId(("a",))),
        ({"must": {"has_vector": "v"}}, model.HasVector("v")),
        ({"must": {"nested": {"key": "n", "filter": {"must": [ONE, TWO]}}}}, model.Nested("n", model.And((IS_ONE, IS_TWO)))),
        ({"must": {"slice": {"total": 4, "index": 1}}}, model.Slice(4, 1)),
        (ONE, IS_ONE),
        (ClientModel(must=[ClientModel(key="a", match={"value": 1})], should=None), IS_ONE),
        ({"must": [ClientModel(key="a", match=ClientModel(value=1), range=None)]}, IS_ONE),
    ],
    ids=str,
)
def test_filter(filter: Any, condition: model.Condition) -> None:
    assert parse_qdrant(filter) == condition


def test_several_tests_on_one_key_hold_if_any_does() -> None:
    condition = parse_qdrant({"must": {"key": "a", "match": {"value": 1}, "range": {"gte": 5}}})
    assert [matches(condition, {"a": value}) for value in (1, 7, 3)] == [True, True, False]


def test_open_range_takes_every_number_and_nothing_else() -> None:
    condition = parse_qdrant({"must": {"key": "a", "range": {}}})
    assert [matches(condition, {"a": value}) for value in (0, -1.5, True, "1", None)] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        ({"must": [{"key": "a", "match": {"vale": 1}}]}, "filter at must[0].match: a match has one of value, any"),
        ({"must": [{"key": "a", "match": {"value": 1.5}}]}, "filter at must[0].match.value: match takes a string, an integer or a boolean"),
        ({"must": [{"key": "a", "match": {"any": "x"}}]}, "must[0].match.any: expected a list"),
        ({"must": [{"key": "a", "match": {"text": 5}}]}, "must[0].match.text"),
        ({"must": [{"key": "a"}]}, 'nothing is asked of the key "a"'),
        ({"must": [{"key": "a", "mach": {}}]}, 'Did you mean "match"?'),
        ({"must": [{"key": "a..b", "match": {"value": 1}}]}, "must[0].key: the path"),
        ({"must": [{"key": 5, "match": {"value": 1}}]}, "must[0].key: a field is named by a string"),
        ({"must": [5]}, "filter at must[0]: expected a mapping, got int 5"),
        ({"must": [{"has_ids": [1]}]}, 'Did you mean "has_id"?'),
        ({"must": [{"has_id": [1], "has_vector": "v"}]}, "Give one condition at a time"),
        ({"must": [{"has_id": 1}]}, "must[0].has_id: expected a list of ids"),
        ({"must": [{"key": "a", "range": {"gte": "soon"}}]}, "must[0].range.gte: expected a number, a date or a datetime"),
        ({"must": [{"key": "a", "range": {"gte": True}}]}, "has no order"),
        ({"must": [{"key": "a", "range": {"gte": 1, "lt": "2024-01-01"}}]}, "different kinds"),
        ({"must": [{"key": "a", "range": {"from": 1}}]}, "'from' is not known here"),
        ({"must": [{"key": "a", "values_count": {"gte": -1}}]}, "a whole number from 0 on, got int -1"),
        ({"must": [{"key": "a", "is_empty": 1}]}, "expected true or false"),
        ({"must": [{"key": "a", "geo_radius": {"radius": 1}}]}, "'center' is missing"),
        ({"must": [{"key": "a", "geo_radius": {"radius": 1, "center": {"lat": 99, "lon": 0}}}]}, "must[0].geo_radius.center"),
        ({"must": [{"key": "a", "geo_polygon": {"exterior": {"points": SQUARE[:3]}}}]}, "at least 4 points"),
        ({"must": [{"slice": {"total": 2, "index": 2}}]}, "got index 2 of 2"),
        ({"must": [{"nested": {"key": "a"}}]}, "must[0].nested: 'filter' is missing"),
        ({"min_should": {"conditions": [ONE]}}, "min_should: 'min_count' is missing"),
        ({"min_should": {"conditions": [5], "min_count": 1}}, "min_should.conditions[0]"),
    ],
    ids=str,
)
def test_fault_is_named_with_its_place(filter: Any, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_qdrant(filter)
    assert message in str(caught.value)


def test_deep_nesting_is_refused() -> None:
    filter: dict[str, Any] = {"must": ONE}
    for _ in range(5000):
        filter = {"must": filter}
    with pytest.raises(FilterError, match="lie 100 deep"):
        parse_qdrant(filter)


@pytest.mark.parametrize(
    ("mapping", "is_filter"),
    [
        ({"must": [ONE]}, True),
        ({"must": ONE, "must_not": None}, True),
        ({"must": []}, True),
        ({"must": ClientModel()}, True),
        ({}, False),
        ({"must": 5}, False),
        ({"must": {"$gt": 5}}, False),
        ({"must": [ONE], "year": 2020}, False),
        ({"year": 2020}, False),
    ],
    ids=str,
)
def test_filter_is_told_from_field_names(mapping: dict[str, Any], is_filter: bool) -> None:
    assert is_qdrant_filter(mapping) is is_filter
