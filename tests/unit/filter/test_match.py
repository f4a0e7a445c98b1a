"""The reference evaluator against facts that one can check by eye; those about paths, nulls and lists were measured on Qdrant's engine."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest

from vicino.errors import FilterError
from vicino.filter import model
from vicino.filter.match import crc32c, encoded_id, fold, matches, words_of
from vicino.types import GeoPoint

UTC = dt.UTC
A_UUID = uuid.UUID("550e8400-e29b-41d4-a716-446655440000")


def holds_for(condition: model.Condition, *documents: object) -> list[object]:
    return [document for document in documents if matches(condition, {"a": document} if document is not ... else {})]


MISSING = ...


@pytest.mark.parametrize(
    ("path", "matching", "others"),
    [
        ("a", [1, [1, 2], [None, 1], [1, [2]]], [[[1]], {"b": 1}, None, MISSING]),
        ("a[]", [[1], [[1, 2]], [None, 1]], [1, [[[1]]], {"b": 1}, MISSING]),
        ("a[0]", [[1, 2], [[1, 2]]], [1, [2, 1], []]),
        ("a[1]", [[None, 1], [2, 1]], [[1], [1, 2]]),
        ("a.b", [{"b": 1}, {"b": [1]}], [[{"b": 1}], {"c": 1}, 1, MISSING]),
        ("a[].b", [[{"b": 1}], [{"b": [1, 2]}], [{"c": 1}, {"b": 1}]], [{"b": 1}, [[{"b": 1}]]]),
        ("a[0].b", [[{"b": 1}, {"b": 2}]], [[{"b": 2}, {"b": 1}], {"b": 1}]),
        ("a[].b[]", [[{"b": [1, 2]}], [{"b": [[1]]}]], [[{"b": 1}], {"b": [1]}]),
        ('a."b.c"', [{"b.c": 1}], [{"b": {"c": 1}}]),
        ('"a".b', [{"b": 1}], [MISSING]),
        ('a.""', [{"": 1}], [{"b": 1}]),
        ("a.b c", [{"b c": 1}], [{"b": 1}]),
    ],
)
def test_path_leads_to_values(path: str, matching: list[object], others: list[object]) -> None:
    assert holds_for(model.Equal(path, 1), *matching, *others) == matching


@pytest.mark.parametrize("path", ["", ".a", "a.", "a..b", "a[", "a[x]", "a[-1]", "a]", "[0]", '"a', 'a"b"', '"a"b', "a[]b", "a[]."])
def test_malformed_path_is_refused(path: str) -> None:
    with pytest.raises(FilterError):
        matches(model.Exists(path), {})


@pytest.mark.parametrize(
    ("condition", "matching", "others"),
    [
        (model.Equal("a", None), [None, [None], [None, 1]], [MISSING, [], 0, "", [[None]]]),
        (model.Equal("a", 1), [1, 1.0], [True, "1"]),
        (model.Equal("a", True), [True], [1, 1.0, "True"]),
        (model.Equal("a", 1, strict=True), [1], [1.0, True]),
        (model.Equal("a", 1.0, strict=True), [1.0], [1]),
        (model.Equal("a", 0.0), [0, -0.0], [False, None, ""]),
        (model.Equal("a", float(2**53)), [2**53], [2**53 + 1]),
        (model.Equal("a", "x"), ["x", ["y", "x"]], ["X", ["xy"], {"x": 1}]),
        (model.Equal("a", A_UUID), [A_UUID], [str(A_UUID)]),
        (
            model.Equal("a", dt.datetime(2024, 1, 1, tzinfo=UTC)),
            [dt.datetime(2024, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))],
            ["2024-01-01"],
        ),
        (model.In("a", (1, "x")), [1, "x", [5, "x"]], [2, MISSING, None]),
        (model.In("a", ()), [], [1, MISSING, None, []]),
        (model.NotIn("a", (1,), strict=True), [2, 1.0, True, {}, [1, 2], [None, 2], [[]]], [1, [1], MISSING, None, [], [None]]),
        (model.NotIn("a", ()), [1, {}], [MISSING, None, [], [None]]),
        (model.ContainsAll("a", (1, 2)), [[2, 1, 3]], [[1], 1, MISSING]),
        (model.ContainsAll("a", ()), [MISSING, 1], []),
    ],
)
def test_equality_and_membership(condition: model.Condition, matching: list[object], others: list[object]) -> None:
    assert holds_for(condition, *matching, *others) == matching


@pytest.mark.parametrize(
    ("condition", "matching", "others"),
    [
        (model.Range("a", gte=0, lte=1), [0, 1, 0.5, -0.0, [5, 1]], [2, True, "0", None, MISSING, []]),
        (model.Range("a", gt=2**53), [2**53 + 1], [2**53, float(2**53)]),
        (model.Range("a", lt=0.1), [0], [0.1, 1]),
        (model.Range("a", gte="b", lt="c"), ["b", "bz"], ["a", "c", 1, dt.datetime(2024, 1, 1, tzinfo=UTC)]),
        (model.Range("a", gt=1, lt=3), [2, [0, 2]], [[0, 5]]),
    ],
)
def test_range(condition: model.Condition, matching: list[object], others: list[object]) -> None:
    assert holds_for(condition, *matching, *others) == matching


SAME_INSTANT = [
    "2024-01-01",
    "2024-01-01T00:00:00Z",
    "2024-01-01t00:00:00z",
    "2024-01-01 00:00",
    "2024-01-01T00:00Z",
    "2024-01-01T01:00:00+01:00",
    "2024-01-01T01:00:00+0100",
    "2023-12-31T19:00-05",
    "2024-01-01T00:00:00.0000009",
]


@pytest.mark.parametrize("written", SAME_INSTANT)
def test_datetime_range_reads_strings(written: str) -> None:
    moment = dt.datetime(2024, 1, 1, tzinfo=UTC)
    assert matches(model.Range("a", gte=moment, lte=moment), {"a": written})


@pytest.mark.parametrize(
    "written",
    ["2024", "2024-01", "20240101", "2024-1-1", " 2024-01-01", "2024-01-01Z", "2024-02-30", "2024-01-01T24:00", "2024-01-01T00:00:60Z",
     "2024-01-01T00", "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00 Z", "2024-01-01T00:00+24:00", "0000-01-01",
     "２024-01-01", "2023-12-31T19-05"],
)  # fmt: skip
def test_other_strings_are_no_datetimes(written: str) -> None:
    assert not matches(model.Range("a", lt=dt.datetime(9999, 1, 1, tzinfo=UTC)), {"a": written})


def test_instant_before_year_one_is_compared_all_the_same() -> None:
    assert matches(model.Range("a", lt=dt.datetime(1, 1, 1, tzinfo=UTC)), {"a": "0001-01-01T00:00+01:00"})


def test_digits_beyond_microseconds_are_cut_off() -> None:
    moment = dt.datetime(2024, 1, 1, microsecond=123456, tzinfo=UTC)
    assert matches(model.Range("a", gte=moment, lte=moment), {"a": "2024-01-01T00:00:00.123456789Z"})


@pytest.mark.parametrize(
    ("condition", "matching", "others"),
    [
        (model.IsNull("a"), [None, [None], [None, 1]], [MISSING, [], "", {}, [[None]]]),
        (model.IsNull("a[]"), [[None], [[None]]], [None, [1]]),
        (model.IsNull("a[].b"), [[{"b": None}, {"c": 1}]], [[{"b": 1}], [{"c": 1}], {"b": None}]),
        (model.IsEmpty("a"), [MISSING, None, []], ["", {}, [None], 0]),
        (model.IsEmpty("a[]"), [MISSING, 1, [None], [[]], [None, None]], [[1], [None, 1], [{}], [[None]]]),
        (model.IsEmpty("a[].b"), [[{"c": 1}], [{"b": []}, {"b": None}], {"b": 1}], [[{"b": 1}, {"b": None}]]),
        (model.Exists("a"), [None, [], 0], [MISSING]),
        (model.Exists("a[]"), [[None]], [[], 1, MISSING]),
        (model.CountRange("a", gte=0, lte=0), [MISSING, None, []], [0, {}, [None]]),
        (model.CountRange("a", gte=1, lte=1), [1, "", {}, {"b": [1, 2]}, [None], [[1, 2]]], [[1, 2], None]),
        (model.CountRange("a", gte=2), [[None, 1], [{}, {}]], ["ab", [1]]),
        (model.CountRange("a[]", gte=2), [[[1, 2]], [[1], [1, 2]]], [[1, 2], MISSING]),
        (model.CountRange("a"), [MISSING, 1, []], []),
    ],
)
def test_null_empty_exists_and_count(condition: model.Condition, matching: list[object], others: list[object]) -> None:
    assert holds_for(condition, *matching, *others) == matching


@pytest.mark.parametrize(
    ("condition", "matching", "others"),
    [
        (model.Prefix("a", "ne"), ["new", ["x", "ne"]], ["New", "one", 5, MISSING]),
        (model.Prefix("a", ""), ["", "x"], [1, None]),
        (model.Substring("a", "ew"), ["new"], ["NEW", "e w"]),
        (model.Substring("a", "EW", ignore_case=True), ["new", "NEW"], ["ne w"]),
        (model.Substring("a", "Σ", ignore_case=True), ["ς", "σ"], ["s"]),
        (model.TextMatch("a", "new york"), ["New York City", "york, NEW", "new_york", "new-york"], ["newyork", ["new", "york"], "new"]),
        (model.TextMatch("a", "new york", "any"), ["new", ["new", "york"]], ["newyork", 1]),
        (model.TextMatch("a", "new york", "phrase"), ["in New, York!", "new_york"], ["york new", "new old york"]),
        (model.TextMatch("a", "a b", "phrase"), ["a a b"], ["a", "b a"]),
        (model.TextMatch("a", "nai\u0308ve"), ["nai\u0308ve"], ["nai ve"]),
        (model.TextMatch("a", "x2 ²"), ["x2 ²"], ["x²"]),
    ],
)
def test_text(condition: model.Condition, matching: list[object], others: list[object]) -> None:
    assert holds_for(condition, *matching, *others) == matching


@pytest.mark.parametrize("text", ["", ",", "_"])
@pytest.mark.parametrize("mode", ["all", "any", "phrase"])
def test_query_without_words_matches_nothing(text: str, mode: str) -> None:
    assert holds_for(model.TextMatch("a", text, mode), "", ",", "a") == []  # type: ignore[arg-type]


def test_folding_keeps_every_character_one_character() -> None:
    assert fold("ẞßİΣς") == "ßßİσσ"


def test_underscore_parts_words() -> None:
    assert [word for word in words_of("snake_case") if word] == ["snake", "case"]


@pytest.mark.parametrize(
    ("condition", "matching", "others"),
    [
        (
            model.GeoRadius("a", GeoPoint(0, 0), 111_195.09),
            [{"lat": 0, "lon": 1}, GeoPoint(0, 1), [None, {"lat": 0, "lon": 1}], {"lat": 0, "lon": 0, "name": "x"}],
            [{"lat": 0, "lon": 1.00001}, {"lat": True, "lon": 0}, {"lat": "0", "lon": 0}, {"lat": 0}, [0, 0], MISSING],
        ),
        (model.GeoRadius("a", GeoPoint(0, 0), 0), [], [GeoPoint(0, 0)]),
        (model.GeoBox("a", GeoPoint(1, 0), GeoPoint(0, 1)), [GeoPoint(0.5, 0.5)], [GeoPoint(0.5, 0), GeoPoint(0, 0.5), GeoPoint(1, 1)]),
        (
            model.GeoBox("a", GeoPoint(1, 179), GeoPoint(-1, -179)),
            [GeoPoint(0, 180), GeoPoint(0, -180)],
            [GeoPoint(0, 179), GeoPoint(0, 0)],
        ),
        (
            model.GeoPolygon("a", (GeoPoint(0, 0), GeoPoint(0, 2), GeoPoint(2, 2), GeoPoint(2, 0))),
            [GeoPoint(1, 1)],
            [GeoPoint(0, 1), GeoPoint(2, 2), GeoPoint(1, 3), GeoPoint(0, 3)],
        ),
        (
            model.GeoPolygon(
                "a",
                (GeoPoint(0, 0), GeoPoint(0, 4), GeoPoint(4, 4), GeoPoint(4, 0), GeoPoint(0, 0)),
                ((GeoPoint(1, 1), GeoPoint(1, 3), GeoPoint(3, 3), GeoPoint(3, 1)),),
            ),
            [GeoPoint(0.5, 2)],
            [GeoPoint(2, 2), GeoPoint(1, 2), GeoPoint(1, 1)],
        ),
    ],
)
def test_places(condition: model.Condition, matching: list[object], others: list[object]) -> None:
    assert holds_for(condition, *matching, *others) == matching


@pytest.mark.parametrize("path", ["a", "a[]"])
def test_nested_asks_one_and_the_same_element(path: str) -> None:
    red_and_cheap = model.Nested(path, model.And((model.Equal("color", "red"), model.Range("price", lt=5))))
    same, different = [{"color": "red", "price": 1}], [{"color": "red", "price": 9}, {"color": "blue", "price": 1}]
    assert holds_for(red_and_cheap, same, different, {"color": "red", "price": 1}, MISSING) == [same]


def test_nested_negation_needs_an_object() -> None:
    not_one = model.Nested("a", model.Not(model.Equal("b", 1)))
    assert holds_for(not_one, [{}], [{"b": 1}, {"b": 2}], [{"b": 1}], [1], MISSING) == [[{}], [{"b": 1}, {"b": 2}]]


YES, NO = model.And(()), model.Or(())


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (YES, True), (NO, False), (model.Not(NO), True), (model.And((YES, NO)), False), (model.Or((YES, NO)), True),
        (model.AtLeast(0, ()), True), (model.AtLeast(1, ()), False), (model.AtLeast(2, (YES, NO, YES)), True),
        (model.AtLeast(2, (YES, NO)), False),
    ],
)  # fmt: skip
def test_joined_conditions(condition: model.Condition, expected: bool) -> None:
    assert matches(condition, {}) is expected


def test_ids_of_different_types_differ() -> None:
    ids: list[int | str | uuid.UUID] = [1, "1", A_UUID, str(A_UUID)]
    assert [matches(model.HasId((wanted,)), {}, id=id) for wanted in ids for id in ids] == [wanted is id for wanted in ids for id in ids]


def test_has_vector_asks_for_the_name() -> None:
    assert matches(model.HasVector("title"), {}, vector_names={"title"})
    assert not matches(model.HasVector("title"), {}, vector_names={"body"})


def test_slices_part_all_ids() -> None:
    ids: list[int | str | uuid.UUID] = [*range(-50, 50), *(str(number) for number in range(50)), A_UUID, 2**70, -(2**63) - 1]
    shares = [[matches(model.Slice(3, index), {}, id=id) for index in range(3)] for id in ids]
    assert all(sum(share) == 1 for share in shares)
    assert min(sum(column) for column in zip(*shares)) > len(ids) / 6


def test_slice_is_the_checksum_of_the_encoded_id() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
    assert encoded_id(1) == b"\x01\x01" + bytes(7)
    assert matches(model.Slice(1000, crc32c(encoded_id("a")) % 1000), {}, id="a")


def test_slice_without_an_id_is_refused() -> None:
    with pytest.raises(FilterError, match="needs the record's id"):
        matches(model.Slice(2, 0), {})
