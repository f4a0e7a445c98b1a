"""Whether a condition that was sent as a tree is one that a parser could have made.

The parsers check what people write; the core trusts what the parsers made. A tree from outside skips the parsers, so its conditions, one
by one, are held to the same rules here. Parts inside were checked when they were read.
"""

from __future__ import annotations

from typing import Any

from vicino.errors import FilterError
from vicino.filter import model, operands
from vicino.filter.paths import check_path

_BOUNDS = ("gt", "gte", "lt", "lte")


def check_condition(condition: model.Condition) -> None:
    """Raises FilterError naming the condition and what is wrong with it."""
    path = getattr(condition, "path", "")
    if "path" in condition.__match_args__:
        check_path(path)
    match condition:
        case model.And(parts=parts) | model.Or(parts=parts):
            _expect_conditions(condition, parts)
        case model.AtLeast(n=n, parts=parts):
            _expect(condition, _is_whole(n) and n >= 0, "n", n, "a number of conditions")
            _expect_conditions(condition, parts)
        case model.Not(part=part) | model.Nested(part=part):
            _expect(condition, isinstance(part, model.Condition), "part", part, "a condition")
        case model.Equal(value=value, strict=strict):
            operands.scalar(path, value)
            _expect_flag(condition, "strict", strict)
        case model.In(values=values, strict=strict) | model.NotIn(values=values, strict=strict):
            _expect_scalars(condition, path, values)
            _expect_flag(condition, "strict", strict)
        case model.ContainsAll(values=values):
            _expect_scalars(condition, path, values)
        case model.Range():
            operands.in_range(path, **_bounds(condition))
        case model.CountRange():
            _expect(condition, bool(_bounds(condition)), "bounds", None, "at least one bound")
            operands.in_count_range(path, **_bounds(condition))
        case model.Prefix(text=text) | model.TextMatch(text=text) | model.Substring(text=text):
            operands.text(path, text)
            if isinstance(condition, model.TextMatch):
                _expect(condition, condition.mode in ("all", "any", "phrase"), "mode", condition.mode, '"all", "any" or "phrase"')
            if isinstance(condition, model.Substring):
                _expect_flag(condition, "ignore_case", condition.ignore_case)
        case model.HasId(ids=ids):
            _expect(condition, isinstance(ids, tuple), "ids", ids, "a list of ids")
            for record_id in ids:
                operands.record_id(record_id)
        case model.HasVector(name=name):
            _expect(condition, isinstance(name, str), "name", name, "a string")
        case model.Slice(total=total, index=index):
            _expect(condition, _is_whole(total) and _is_whole(index) and 0 <= index < total < 2**32, "index", index, "below the total")
        case model.GeoRadius() | model.GeoBox() | model.GeoPolygon():
            _check_geo(condition, path)


def _check_geo(condition: model.GeoRadius | model.GeoBox | model.GeoPolygon, path: str) -> None:
    match condition:
        case model.GeoRadius(center=center, radius_m=radius):
            operands.place(path, center)
            _expect(condition, operands.real(path, "radius", radius) >= 0, "radius_m", radius, "0 or more")
        case model.GeoBox(top_left=top_left, bottom_right=bottom_right):
            operands.place(path, top_left)
            operands.place(path, bottom_right)
        case model.GeoPolygon(exterior=exterior, interiors=interiors):
            _expect(condition, isinstance(interiors, tuple), "interiors", interiors, "a list of rings")
            for ring in (exterior, *interiors):
                operands.ring(path, ring)


def _bounds(condition: model.Range | model.CountRange) -> dict[str, Any]:
    return {name: value for name in _BOUNDS if (value := getattr(condition, name)) is not None}


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _expect(condition: model.Condition, holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise FilterError(f"{name} of {type(condition).__name__} must be {expected}, got {str(value)[:80]}")


def _expect_flag(condition: model.Condition, name: str, value: object) -> None:
    _expect(condition, isinstance(value, bool), name, value, "true or false")


def _expect_conditions(condition: model.Condition, parts: object) -> None:
    is_right = isinstance(parts, tuple) and all(isinstance(part, model.Condition) for part in parts)
    _expect(condition, is_right, "parts", parts, "a list of conditions")


def _expect_scalars(condition: model.Condition, path: str, values: object) -> None:
    _expect(condition, isinstance(values, tuple), "values", values, "a list of values")
    for value in values:  # type: ignore[attr-defined]
        operands.scalar(path, value)
