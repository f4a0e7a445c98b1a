from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vicino
from vicino.filter import model
from vicino.filter.conditions import all_of, at_least
from vicino.filter.expression import F
from vicino.filter.render import render
from vicino.types import GeoPoint

NAMES = {name: getattr(vicino, name) for name in ("F", "all_of", "any_of", "at_least", "has_id", "has_vector", "in_slice")}

keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters='"'), max_size=4) | st.sampled_from(
    ["a", "count", "in", "a.b", "ﬁ"]
)
openings = st.sampled_from(["", "", "[]", "[0]", "[3][]"])


def path_of(parts: list[tuple[str, str]]) -> str:
    return ".".join((f'"{key}"' if key == "" or set(key) & set(".[]") else key) + opening for key, opening in parts)


path = st.lists(st.tuples(keys, openings), min_size=1, max_size=3).map(path_of)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
moment = st.datetimes(timezones=st.just(datetime.UTC))
integer = st.integers(-(2**63), 2**63 - 1)
number = integer | st.floats(allow_nan=False, allow_infinity=False)
value = st.none() | st.booleans() | number | text | moment | st.uuids()
values = st.lists(value, max_size=3).map(tuple)
place = st.builds(GeoPoint, st.floats(-90, 90), st.floats(-180, 180))
ring = st.lists(place, min_size=3, max_size=4, unique=True).map(tuple)


@st.composite
def ranges(draw: Any, kind: Any, bounds: Any) -> Any:
    below, above = draw(st.sampled_from([None, "gt", "gte"])), draw(st.sampled_from([None, "lt", "lte"]))
    given_bounds = {name: draw(bounds) for name in (below, above) if name} or {"gte": draw(bounds)}
    return kind(draw(path), **given_bounds)


leaves = st.one_of(
    st.builds(model.Equal, path, value, st.just(True)),
    st.builds(model.Equal, path, value.filter(lambda value: value is not None)),
    st.builds(model.In, path, values, st.just(True)),
    st.builds(model.In, path, values.filter(lambda values: None not in values)),
    st.builds(model.NotIn, path, values, st.booleans()),
    st.builds(model.ContainsAll, path, values),
    st.one_of(*(ranges(model.Range, bound) for bound in (number, text, moment))),
    ranges(model.CountRange, integer),
    st.builds(model.IsNull, path),
    st.builds(model.IsEmpty, path),
    st.builds(model.Exists, path),
    st.builds(model.Prefix, path, text),
    st.builds(model.Substring, path, text, st.booleans()),
    st.builds(model.TextMatch, path, text, st.sampled_from(["all", "any", "phrase"])),
    st.builds(model.GeoRadius, path, place, st.integers(0, 10**6).map(lambda km: km * 1000.0)),
    st.builds(lambda path, a, b: model.GeoBox(path, max(a, b), min(a, b)), path, place, place),
    st.builds(model.GeoPolygon, path, ring, st.lists(ring, max_size=2).map(tuple)),
    st.builds(model.HasId, st.lists(integer | text | st.uuids(), max_size=3).map(tuple)),
    st.builds(model.HasVector, text),
    st.builds(model.Slice, st.just(5), st.integers(0, 4)),
)


def joined(parts: Any) -> Any:
    some = st.lists(parts, max_size=3).map(tuple)
    return st.one_of(
        some.map(model.And),
        some.map(model.Or),
        parts.map(model.Not),
        st.builds(model.AtLeast, st.integers(0, 3), some),
        st.builds(model.Nested, path, parts),
    )


conditions = st.recursive(leaves, joined, max_leaves=6)


def flattened(condition: model.Condition) -> model.Condition:
    """& and | join chains into one: `a & (b & c)` comes back as `a & b & c`."""
    match condition:
        case model.And(parts) | model.Or(parts):
            kind = type(condition)
            flat = [flattened(part) for part in parts]
            if len(flat) < 2:
                return kind(tuple(flat))
            return kind(tuple(inner for part in flat for inner in (part.parts if isinstance(part, kind) and part.parts else (part,))))
        case model.Not(part):
            return model.Not(flattened(part))
        case model.AtLeast(n, parts):
            return model.AtLeast(n, tuple(map(flattened, parts)))
        case model.Nested(path, part):
            return model.Nested(path, flattened(part))
    return condition


@given(conditions)
def test_rendered_condition_evaluates_to_itself(condition: model.Condition) -> None:
    names = {**NAMES, "datetime": datetime, "UUID": uuid.UUID}
    assert eval(render(condition), names).condition == flattened(condition)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (
            (F.price < 50) & (F.brand == "acme") & ~F.tags.contains_any(["old"]),
            "(F.price < 50) & (F.brand == 'acme') & F.tags.not_in(['old'])",
        ),
        (F["in-stock"] == True, "F['in-stock'] == True"),  # noqa: E712
        (F.items[:].price.between(1, 2), "F.items[:].price.between(1, 2)"),
        (~(F.a == 1), "F.a != 1"),
        (~(F.a < 1), "~(F.a < 1)"),
        ((F.a < 1) & ((F.b < 1) | (F.c.is_null())), "(F.a < 1) & ((F.b < 1) | F.c.is_null())"),
        (at_least(1, F.a < 1, F.b.exists()), "at_least(1, F.a < 1, F.b.exists())"),
        (all_of(), "all_of()"),
        (F.a["count"].count() == 2, "F.a['count'].count() == 2"),
    ],
)
def test_repr_is_the_expression(shown: object, expected: str) -> None:
    assert repr(shown) == expected
