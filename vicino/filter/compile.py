"""From a condition tree (model.py) to the core's filter: the program of nested tuples that core/bind/filter_program.h draws.

What the core need not know is settled here: Equal is In with one value, ContainsAll is several of them, a Range has one kind of bounds, and
numbers beyond 64 bits become the nearest float bound that lets the same fields through.
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Sequence
from typing import Any

from vicino import _core
from vicino.errors import FilterError, InvalidArgument
from vicino.filter import model

Program = tuple[Any, ...]

INT64 = range(-(2**63), 2**63)


def compile_filter(condition: model.Condition) -> _core.Filter:
    """The filter that evaluates `condition`.

    Raises FilterError for a malformed path, a value that no field can be compared with, or a tree that is too deep.
    """
    try:
        return _core.Filter(program_of(condition))
    except RecursionError:
        raise FilterError("the filter is nested too deeply to be evaluated; flatten its ands and ors") from None
    except FilterError:
        raise
    except (InvalidArgument, TypeError) as error:  # TypeError: an id of a type that no id has
        raise FilterError(str(error)) from error


def program_of(condition: model.Condition) -> Program:
    match condition:
        case model.And(parts):
            return "and", programs_of(parts)
        case model.Or(parts):
            return "or", programs_of(parts)
        case model.Not(part):
            return "not", program_of(part)
        case model.AtLeast(n, parts):
            # With no more parts than this, a larger n holds for nothing either.
            return "at_least", max(0, min(n, len(parts) + 1)), programs_of(parts)
        case model.Equal(path, value, strict):
            return "in", path, scalars((value,), strict), strict
        case model.In(path, values, strict):
            return "in", path, scalars(values, strict), strict
        case model.NotIn(path, values, strict):
            return "not_in", path, scalars(values, strict), strict
        case model.ContainsAll(path, values):
            return "and", tuple(("in", path, scalars((value,), strict=False), False) for value in values)
        case model.Range():
            return range_program(condition)
        case model.IsNull(path):
            return "null", path
        case model.IsEmpty(path):
            return "empty", path
        case model.Exists(path):
            return "exists", path
        case model.CountRange():
            return count_program(condition)
        case model.Prefix(path, text):
            return "prefix", path, text
        case model.Substring(path, text, ignore_case):
            return "substring", path, text, ignore_case
        case model.TextMatch(path, text, mode):
            if mode not in ("all", "any", "phrase"):
                raise FilterError(f'a text match on `{path}` has mode "all", "any" or "phrase", got {mode!r}')
            return "words", path, text, mode
        case model.GeoRadius(path, center, radius_m):
            return "radius", path, center.lat, center.lon, radius_m
        case model.GeoBox(path, top_left, bottom_right):
            return "box", path, top_left.lat, top_left.lon, bottom_right.lat, bottom_right.lon
        case model.GeoPolygon(path, exterior, interiors):
            return "polygon", path, exterior, interiors
        case model.Nested(path, part):
            return "nested", path, program_of(part)
        case model.HasId(ids):
            return "has_id", ids
        case model.HasVector(name):
            return "has_vector", name
        case model.Slice(total, index):
            return "slice", total, index
    raise FilterError(f"a condition of vicino.filter.model was expected, got {type(condition).__name__}; parse it with vicino.filter first")


def programs_of(parts: Sequence[model.Condition]) -> tuple[Program, ...]:
    return tuple(program_of(part) for part in parts)


def scalars(values: Sequence[model.Scalar], strict: bool) -> tuple[model.Scalar, ...]:
    """The values that a field can equal at all: an int beyond 64 bits only as the float of the same value, and only by value."""
    kept: list[model.Scalar] = []
    for value in values:
        if not is_large(value):
            kept.append(value)
        elif not strict and (same := float_of(value)) == value:
            kept.append(same)
    return tuple(kept)


def is_large(value: object) -> bool:
    return isinstance(value, int) and value not in INT64


def float_of(value: Any) -> float:
    """The nearest float; infinite for an int beyond the floats."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def kind_of(bound: object) -> str:
    if isinstance(bound, (int, float)) and not isinstance(bound, bool):
        return "numbers"
    if isinstance(bound, str):
        return "strings"
    if isinstance(bound, dt.datetime):
        return "datetimes"
    name = "UUID" if isinstance(bound, uuid.UUID) else type(bound).__name__
    raise FilterError(f"a range compares with numbers, strings or datetimes, got {name} {bound!r}")


def range_program(condition: model.Range) -> Program:
    bounds = {name: bound for name in ("gt", "gte", "lt", "lte") if (bound := getattr(condition, name)) is not None}
    kinds = {kind_of(bound) for bound in bounds.values()}
    if len(kinds) != 1:
        got = bounds or "none"
        raise FilterError(f"a range on `{condition.path}` needs bounds that are all numbers, all strings or all datetimes, got {got}")
    for name in [name for name, bound in bounds.items() if is_large(bound)]:
        replace_large_bound(bounds, name)
    return kinds.pop(), condition.path, bounds.get("gt"), bounds.get("gte"), bounds.get("lt"), bounds.get("lte")


def replace_large_bound(bounds: dict[str, Any], name: str) -> None:
    """Only floats can lie beyond 64 bits, and none lies between an int and the float nearest to it: that float bounds the same fields.

    It does so inclusively or not by the side of it on which the int lies. Ints of 64 bits are all on one side of both.
    """
    bound = bounds.pop(name)
    nearest = float_of(bound)
    if nearest != bound:
        # gt or gte of an int just below the float includes the float, just above excludes it; lt and lte the other way round.
        includes = nearest > bound if name in ("gt", "gte") else nearest < bound
        name = name[:2] + ("e" if includes else "")
    if name in bounds:
        # Both spellings of one side are now the same: the tighter bound decides.
        tighter = max if name in ("gt", "gte") else min
        nearest = tighter(nearest, bounds[name])
    bounds[name] = nearest


def count_program(condition: model.CountRange) -> Program:
    lows = [0, *([condition.gt + 1] if condition.gt is not None else []), *([condition.gte] if condition.gte is not None else [])]
    highs = [*([condition.lt - 1] if condition.lt is not None else []), *([condition.lte] if condition.lte is not None else [])]
    # No list has more elements than a 64-bit count, and none fewer than zero.
    low = min(max(lows), INT64[-1])
    high = max(-1, min(highs)) if highs else None
    return "count", condition.path, low, high if high is None else min(high, INT64[-1])
