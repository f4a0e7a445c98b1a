from __future__ import annotations

import copy
import datetime as dt
import decimal
import enum
import pickle
import uuid
from typing import Any

import numpy as np
import pytest

from vicino.errors import FilterError
from vicino.filter import model
from vicino.filter.conditions import all_of, any_of, at_least, has_id, has_vector, in_slice
from vicino.filter.expression import Expression, F, Field
from vicino.types import GeoPoint


class Color(str, enum.Enum):  # noqa: UP042 - the kind whose str() is not its value
    RED = "red"


A_UUID = uuid.UUID("550e8400-e29b-41d4-a716-446655440000")
MISSING_OR_NULL = model.Or((model.IsNull("x"), model.Not(model.Exists("x"))))


@pytest.mark.parametrize(
    ("expression", "condition"),
    [
        (F.price < 50, model.Range("price", lt=50)),
        (F.price <= 50, model.Range("price", lte=50)),
        (F.price > 50, model.Range("price", gt=50)),
        (F.price >= 50, model.Range("price", gte=50)),
        (50 < F.price, model.Range("price", gt=50)),  # noqa: SIM300
        (F.brand == "acme", model.Equal("brand", "acme")),
        (F.brand != "acme", model.Not(model.Equal("brand", "acme"))),
        (F["in-stock"] == True, model.Equal("in-stock", True)),  # noqa: E712
        (F.author.name == "Ada", model.Equal("author.name", "Ada")),
        (F["author.name"] == "Ada", model.Equal("author.name", "Ada")),
        (F['"a.b"'].c == 1, model.Equal('"a.b".c', 1)),
        (F.items[0].price == 1, model.Equal("items[0].price", 1)),
        (F.items[:].price == 1, model.Equal("items[].price", 1)),
        (F.a["between"] == 1, model.Equal("a.between", 1)),
        (F.between == 1, model.Equal("between", 1)),
        (F.year.between(2020, 2024), model.Range("year", gte=2020, lte=2024)),
        (F.year.between(2020, 2024, inclusive="left"), model.Range("year", gte=2020, lt=2024)),
        (F.year.between(2020, 2024, inclusive="right"), model.Range("year", gt=2020, lte=2024)),
        (F.year.between(2020, 2024, inclusive="neither"), model.Range("year", gt=2020, lt=2024)),
        (F.x.is_in([1, "a"]), model.In("x", (1, "a"))),
        (F.x.is_in(np.array([1, 2])), model.In("x", (1, 2))),
        (F.x.is_in(number for number in (1, 2)), model.In("x", (1, 2))),
        (F.x.not_in([1]), model.Not(model.In("x", (1,)))),
        (F.x.has_other_than([1]), model.NotIn("x", (1,))),
        (F.x.contains_any(["a"]), model.In("x", ("a",))),
        (F.x.contains_all(["a"]), model.ContainsAll("x", ("a",))),
        (F.x.equals(1, strict=True), model.Equal("x", 1, strict=True)),
        (F.x.is_null(), model.IsNull("x")),
        (F.x.is_empty(), model.IsEmpty("x")),
        (F.x.exists(), model.Exists("x")),
        (F.x == None, MISSING_OR_NULL),  # noqa: E711
        (F.x != None, model.Not(MISSING_OR_NULL)),  # noqa: E711
        (F.x.is_in([1, None]), model.Or((model.In("x", (1,)), MISSING_OR_NULL))),
        (F.tags.count() >= 2, model.CountRange("tags", gte=2)),
        (F.tags.count() == 2, model.CountRange("tags", gte=2, lte=2)),
        (F.tags.count() != 2, model.Not(model.CountRange("tags", gte=2, lte=2))),
        (F.tags.count().between(1, 3), model.CountRange("tags", gte=1, lte=3)),
        (F.title.startswith("a"), model.Prefix("title", "a")),
        (F.title.contains("a"), model.Substring("title", "a")),
        (F.title.contains("a", ignore_case=True), model.Substring("title", "a", ignore_case=True)),
        (F.title.matches("a b"), model.TextMatch("title", "a b", "all")),
        (F.title.matches_any("a b"), model.TextMatch("title", "a b", "any")),
        (F.title.phrase("a b"), model.TextMatch("title", "a b", "phrase")),
        (F.place.within_km(48.1, 11.6, 5), model.GeoRadius("place", GeoPoint(48.1, 11.6), 5000.0)),
        (F.place.within_box(north=2, west=0, south=1, east=3), model.GeoBox("place", GeoPoint(2, 0), GeoPoint(1, 3))),
        (
            F.place.within_polygon([(0, 0), GeoPoint(0, 1), (1, 1)], holes=[[(0, 0), (0, 1), (1, 1)]]),
            model.GeoPolygon(
                "place", (GeoPoint(0, 0), GeoPoint(0, 1), GeoPoint(1, 1)), ((GeoPoint(0, 0), GeoPoint(0, 1), GeoPoint(1, 1)),)
            ),
        ),
        (F.items.any((F.a < 5) & (F.b == 1)), model.Nested("items", model.And((model.Range("a", lt=5), model.Equal("b", 1))))),
        (~(F.a == 1), model.Not(model.Equal("a", 1))),
        (all_of(F.a == 1), model.And((model.Equal("a", 1),))),
        (any_of(), model.Or(())),
        (at_least(1, F.a == 1, F.b == 2), model.AtLeast(1, (model.Equal("a", 1), model.Equal("b", 2)))),
        (has_id("a"), model.HasId(("a",))),
        (has_id([1, A_UUID]), model.HasId((1, A_UUID))),
        (has_vector(), model.HasVector("vector")),
        (in_slice(1, of=4), model.Slice(4, 1)),
    ],
    ids=lambda value: repr(value) if isinstance(value, Expression) else "",
)
def test_expression_builds_the_condition(expression: Expression, condition: model.Condition) -> None:
    assert expression.condition == condition


def test_joining_keeps_chains_flat() -> None:
    a, b, c = F.a == 1, F.b == 1, F.c == 1
    assert (a & b & c).condition == model.And((a.condition, b.condition, c.condition))
    assert (a | (b | c)).condition == model.Or((a.condition, b.condition, c.condition))


def test_joining_keeps_an_empty_condition() -> None:
    assert (any_of() | any_of()).condition == model.Or((model.Or(()), model.Or(())))


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (np.float32(1.5), 1.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.datetime64("2024-01-01"), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
        (np.datetime64("2024-01-01T00:00:00.123456789"), dt.datetime(2024, 1, 1, microsecond=123456, tzinfo=dt.UTC)),
        (dt.date(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
        (dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
        (dt.datetime(2024, 1, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
        (Color.RED, "red"),
        (A_UUID, A_UUID),
    ],
    ids=repr,
)
def test_values_become_plain_types(value: Any, stored: object) -> None:
    (held,) = [(F.x == value).condition.value]  # type: ignore[attr-defined]
    assert held == stored
    assert type(held) is type(stored)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (decimal.Decimal("1.5"), "Decimal"),
        (b"x", "bytes"),
        (2**63, "64 bits"),
        (1j, "complex"),
        ([1], r"is_in\(\[...\]\)"),
        ({"a": 1}, "author.name"),
        (GeoPoint(0, 0), "within_km"),
        (dt.timedelta(1), "timedelta"),
        (object(), "object"),
        (np.datetime64("NaT"), "NaT"),
        ("\ud800", "surrogate"),
        (dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=1))), "years 1 to 9999"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("build", [lambda value: F.x == value, lambda value: F.x < value, lambda value: F.x.is_in([value])])
def test_values_no_field_holds_are_refused_by_name(value: object, named: str, build: Any) -> None:
    with pytest.raises(FilterError, match=named) as caught:
        build(value)
    assert "x" in str(caught.value)


@pytest.mark.parametrize("value", [True, None, A_UUID])
def test_values_without_order_have_no_range(value: Any) -> None:
    with pytest.raises(FilterError, match="has no order"):
        F.x < value  # noqa: B015


SLIPS = {
    "missing parentheses": ("F.a < 5 & F.b == 1", "put each comparison in parentheses: (... 5) & (F.b == ...)"),
    "missing parentheses on the right": ("(F.a < 5) & F.b == 1", "put each comparison in parentheses: (F.a < 5) & (F.b == ...)"),
    "missing parentheses beside |": ("F.a == 'x' | F.b == 'y'", "put each comparison in parentheses: (... 'x') | (F.b == ...)"),
    "missing parentheses beside numpy": ("F.a < np.float64(5) & F.b == 1", "put each comparison in parentheses"),
    "missing parentheses after ~": ("~F.a == 1", "~(F.a == ...)"),
    "and": ("(F.a < 5) and (F.b == 1)", "write  (F.a < 5) & (...)"),
    "or": ("(F.a < 5) or (F.b == 1)", "(F.a < 5) | (...)"),
    "not": ("not F.a.exists()", "~(F.a.exists())"),
    "chained": ("10 < F.x < 50", "(F.x > low) & (F.x < high), or F.x.between(low, high)"),
    "in field": ("'a' in F.tags", "F.tags.contains_any(['a'])"),
    "in list": ("F.x in [1, 2]", "F.x.is_in([x, y])"),
    "in F": ("'a' in F", "F['a'].exists()"),
    "no condition": ("(F.a < 5) & 5", "5 is int, not a condition"),
    "no condition on the left": ("5 & (F.a < 5)", "5 is int, not a condition"),
    "iteration of a field": ("list(F.a)", "F.a[:]"),
    "iteration of F": ("list(F)", "name one: F.price"),
    "field as condition": ("bool(F.a)", "F.a == True"),
    "two fields": ("F.a == F.b", "compared with values, not with each other"),
    "two fields in a list": ("F.a.is_in([F.b])", "compared with values, not with each other"),
    "comparison of a condition": ("F.a == (F.b == 1)", "(F.a == ...) & (F.b == 1)"),
    "misspelled method": ("F.a.startwith('x')", 'Did you mean "startswith"?'),
    "function on F": ("F.has_id('x')", "vicino.has_id(...)"),
    "string for a list": ("F.a.is_in('red')", "expected a list of values"),
    "number for a text": ("F.a.contains(5)", "expected a string, got int 5"),
    "None for a bound": ("F.a < None", "F.a == None"),
    "mixed bounds": ("F.a.between(1, 'x')", "of different kinds: number 1 and string 'x'"),
    "negative index": ("F.a[-1]", "[0] for one"),
    "malformed path": ("F['a..b']", "a key is missing here, at position 2"),
    "latitude out of range": ("F.a.within_km(99, 0, 1)", "lat must be between -90 and 90 degrees, got 99"),
    "south above north": ("F.a.within_box(north=0, west=0, south=1, east=1)", "swap them"),
    "two corners": ("F.a.within_polygon([(0, 0), (1, 1)])", "at least 3 different corners, got 2"),
    "negative distance": ("F.a.within_km(0, 0, -1)", "km must be at least 0"),
    "count of a fraction": ("F.a.count() > 1.5", "whole number, got float 1.5"),
    "list of conditions": ("all_of([F.a == 1])", "unpack the list"),
    "bool as id": ("has_id(True)", "got bool True"),
    "slice out of range": ("in_slice(3, of=3)", "got index 3 of 3"),
}


@pytest.mark.parametrize(("code", "corrected"), SLIPS.values(), ids=SLIPS)
def test_slip_is_answered_with_the_corrected_spelling(code: str, corrected: str) -> None:
    with pytest.raises(FilterError) as caught:
        eval(code)
    assert corrected in str(caught.value)


def test_assignment_to_a_field_is_refused() -> None:
    with pytest.raises(FilterError, match=r"F\.a\.b == 3"):
        F.a.b = 3  # type: ignore[assignment]
    with pytest.raises(FilterError, match=r"F\.a == 3"):
        F.a = 3  # type: ignore[assignment]


def test_dunder_attributes_are_no_fields() -> None:
    assert not hasattr(F, "__array__")
    assert not hasattr(F.a, "__array_interface__")


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_fields_and_expressions_can_be_copied(duplicate: Any) -> None:
    assert duplicate(F.a.b < 5) == (F.a.b < 5)
    assert repr(duplicate(F.a.b)) == "F.a.b"
    assert isinstance(duplicate(F).x, Field)


@pytest.mark.parametrize("value", [15, 1.5, "acme"], ids=str)
def test_a_comparison_written_out_again_is_the_same_object(value: Any) -> None:
    assert (F["price"] < value) is (F["price"] < value)
    assert (F["price"] == value) is (F["price"] == value)


def test_a_whole_number_and_a_float_are_kept_apart() -> None:
    assert repr(F["price"] < 1) == "F.price < 1"
    assert repr(F["price"] < 1.0) == "F.price < 1.0"
