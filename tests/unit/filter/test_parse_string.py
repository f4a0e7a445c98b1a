from __future__ import annotations

import contextlib
import datetime as dt
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicino.errors import FilterError
from vicino.filter.conditions import all_of, at_least, has_id, has_vector, in_slice
from vicino.filter.expression import Expression, F
from vicino.filter.parse_string import LENGTH_MAX, parse_string

NEW_YEAR = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
A_UUID = uuid.UUID("550e8400-e29b-41d4-a716-446655440000")


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        (
            "10 <= price < 50 and brand == 'acme' and 'red' in colors",
            F.price.between(10, 50, inclusive="left") & (F.brand == "acme") & (F.colors == "red"),
        ),
        ("price > -1", F.price > -1),
        ("-1.5 < price", F.price > -1.5),
        ("50 > price >= 10", F.price.between(10, 50, inclusive="left")),
        ("1 < a > 0", (F.a > 1) & (F.a > 0)),
        ("a == 1 == b", (F.a == 1) & (F.b == 1)),
        ("a != 1", F.a != 1),
        ("not a == 1", ~(F.a == 1)),
        ("a == 1 or b == 1 and c == 1", (F.a == 1) | ((F.b == 1) & (F.c == 1))),
        ("(a == 1 or b == 1) and c == 1", ((F.a == 1) | (F.b == 1)) & (F.c == 1)),
        ("a in [1, 2]", F.a.is_in([1, 2])),
        ("a in ('x',)", F.a.is_in(["x"])),
        ("a not in {1}", F.a.not_in([1])),
        ("'red' not in colors", F.colors != "red"),
        ("a in []", F.a.is_in([])),
        ("a is None", F.a == None),  # noqa: E711
        ("a is not None", F.a != None),  # noqa: E711
        ("a == True", F.a == True),  # noqa: E712
        ("author.name == 'Ada'", F.author.name == "Ada"),
        ("author['first name'] == 'Ada'", F.author["first name"] == "Ada"),
        ("items[0].price == 1", F.items[0].price == 1),
        ("items[:].price == 1", F.items[:].price == 1),
        ("field('in-stock') == True", F["in-stock"] == True),  # noqa: E712
        ("field('items[].price') == 1", F.items[:].price == 1),
        ("len(tags) >= 2", F.tags.count() >= 2),
        ("2 <= tags.count() < 5", F.tags.count().between(2, 5, inclusive="left")),
        ("created >= datetime('2024-01-01')", F.created >= NEW_YEAR),
        ("created >= datetime('2024-01-01T01:00:00+01:00')", F.created >= NEW_YEAR),
        ("created >= datetime(2024, 1, 1)", F.created >= NEW_YEAR),
        ("created >= date('2024-01-01')", F.created >= NEW_YEAR),
        ("owner == uuid('550e8400-e29b-41d4-a716-446655440000')", F.owner == A_UUID),
        ("year.between(2020, 2024, inclusive='left')", F.year.between(2020, 2024, inclusive="left")),
        ("title.matches('solar panel')", F.title.matches("solar panel")),
        ("title.contains('x', ignore_case=True)", F.title.contains("x", ignore_case=True)),
        ("place.within_km(48.1, -11.6, 5)", F.place.within_km(48.1, -11.6, 5)),
        ("place.within_box(north=1, west=0, south=0, east=1)", F.place.within_box(north=1, west=0, south=0, east=1)),
        ("place.within_polygon([(0, 0), (0, 1), (1, 1)])", F.place.within_polygon([(0, 0), (0, 1), (1, 1)])),
        ("items.any(price < 5 and color == 'red')", F.items.any((F.price < 5) & (F.color == "red"))),
        ("at_least(2, a > 1, b.exists(), not c.is_null())", at_least(2, F.a > 1, F.b.exists(), ~F.c.is_null())),
        ("all_of()", all_of()),
        ("has_id(['a', 1])", has_id(["a", 1])),
        ("has_vector('title')", has_vector("title")),
        ("in_slice(0, of=4)", in_slice(0, of=4)),
        ("größe > 1", F.größe > 1),
        ("datetime > 1 and field == 2", (F.datetime > 1) & (F.field == 2)),
        ("  a == 1\n  and b == 2  ", (F.a == 1) & (F.b == 2)),
        ("a == 'it''s'", F.a == "its"),
    ],
)
def test_string_means_the_expression(text: str, expression: Expression) -> None:
    assert parse_string(text) == expression.condition


FAULTS = {
    "unknown method": ("title.startwith('x') and a == 1", "startwith", 'Did you mean "startswith"?'),
    "unknown function": ("has_ids('x')", "has_ids('x')", 'Did you mean "has_id"?'),
    "unquoted value": ("a == red", "red", "put strings in quotes"),
    "unquoted value in a list": ("a in [red]", "red", "put strings in quotes: 'red'"),
    "lower-case true": ("a == true", "true", "True, False, None"),
    "& for and": ("price < 50 & brand == 'a'", "50 & brand", "joined by `and` and `or`"),
    "& between conditions": ("(a == 1) & (b == 1)", "(a == 1) & (b == 1)", "joined by `and`, `or` and `not`"),
    "= for ==": ("price = 5", "=", "write `==`"),
    "&& for and": ("a == 1 && b == 'a&&b'", "&&", "write `and`"),
    "SQL's AND": ("a == 1 AND b == 2", "AND", "write `and`"),
    "SQL's LIKE": ("a LIKE 'x%'", "LIKE", "startswith"),
    "bare field": ("active and a == 1", "active", "active == True"),
    "bare value": ("a == 1 or 'x'", "'x'", "this is a value, not a condition"),
    "comma": ("a == 1, b == 2", "a == 1, b == 2", "not by commas"),
    "two values": ("5 < 6", "5", "neither side of this comparison is a field"),
    "string for a list": ("a in 'red'", "'red'", "a.contains('red')"),
    "is with a value": ("a is 1", "1", "`is` asks for None only"),
    "arithmetic": ("a == 1 + 1", "1 + 1", "nothing is computed"),
    "f-string": ("a == f'{b}'", "f'{b}'", "f-strings are not evaluated"),
    "bytes": ("a == b'x'", "b'x'", "no field holds bytes"),
    "bool bound": ("a < True", "True", "has no order"),
    "mixed bounds": ("1 < a < 'x'", "1 < a < 'x'", "different kinds"),
    "call of a call": ("__import__('os').system('x')", "__import__('os')", "only fields have methods"),
    "lambda": ("(lambda: 1)()", "(lambda: 1)()", "this is not a condition"),
    "comprehension": ("a == [x for x in y]", "[x for x in y]", "a value is expected here"),
    "walrus": ("(x := 5) > 3", "x := 5", "neither side"),
    "starred": ("a.is_in(*[1])", "*[1]", "write the values out"),
    "missing argument": ("a.within_km(1, 2)", "a.within_km(1, 2)", "missing a required argument: 'km': within_km(lat, lon, km)"),
    "argument of another type": ("a.matches(5)", "a.matches(5)", "expected a string, got int 5"),
    "count without comparison": ("tags.count()", "tags.count()", "tags.count() >= 2"),
    "no such day": ("a > datetime('2024-02-30')", "datetime('2024-02-30')", "is no date or datetime"),
    "no such uuid": ("a == uuid('x')", "uuid('x')", "badly formed"),
    "slice of a list": ("a[1:2] == 1", "a[1:2]", "a field is expected here"),
    "negative index": ("a[-1] == 1", "a[-1]", "a field is expected here"),
    "malformed path": ("field('a..b') == 1", "field('a..b')", "a key is missing here"),
    "name in another form": ("ﬁne == 1", "ﬁne", "Python reads this name as 'fine'"),
    "caret behind wide text": ("größe == 'äöü' and a == b'x'", "b'x'", "no field holds bytes"),
}


@pytest.mark.parametrize(("text", "marked", "message"), FAULTS.values(), ids=FAULTS)
def test_fault_is_marked_with_carets(text: str, marked: str, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_string(text)
    said, shown, carets = str(caught.value).rsplit("\n", 2)
    assert message in said
    start = carets.index("^")
    assert shown[start : start + carets.count("^")] == marked


@pytest.mark.parametrize("text", ["price <", "not", "a == 1 and", "(a == 1", "a == 1)", "a ==== 1", "1 +"])
def test_incomplete_text_is_refused(text: str) -> None:
    with pytest.raises(FilterError, match="cannot be read"):
        parse_string(text)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_empty_text_is_refused(text: str) -> None:
    with pytest.raises(FilterError, match="empty string"):
        parse_string(text)


def test_text_beyond_the_limit_is_refused() -> None:
    with pytest.raises(FilterError, match="has 100006 characters"):
        parse_string("a == " + "1" * (LENGTH_MAX + 1))


@pytest.mark.parametrize(
    "text",
    [
        "-" * 50_000 + "1 == a",
        "not " * 20_000 + "a == 1",
        "(" * 5_000 + "a == 1" + ")" * 5_000,
        "a" + ".b" * 40_000 + " == 1",
        "a" + "[0]" * 30_000 + " == 1",
        "a == " + "1+" * 40_000 + "1",
        "a == " + "[" * 40_000 + "]" * 40_000,
        "a == 1" + " or (b == 1 and (c == 1" * 60 + "))" * 60,
        "a" + ".any(a" * 101 + " == 1" + ")" * 101,
        "a" + "()" * 40_000,
    ],
    ids=["minus", "not", "parentheses", "attributes", "subscripts", "plus", "lists", "joined", "any", "calls"],
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(FilterError):
        parse_string(text)


def test_long_fault_shows_the_text_around_it() -> None:
    with pytest.raises(FilterError) as caught:
        parse_string("a == 1 and " * 500 + "b" + " or a == 1" * 500)
    assert all(len(line) < 200 for line in str(caught.value).splitlines())


@given(st.text(max_size=60) | st.text("ab.[]()'\"<>=!&|~0 1,:andorti", max_size=40))
def test_any_text_is_a_condition_or_a_filter_error(text: str) -> None:
    with contextlib.suppress(FilterError):
        parse_string(text)
