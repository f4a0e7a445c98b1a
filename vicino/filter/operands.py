"""From what people hand over to what a condition holds: values, bounds, texts, places, ids; and the conditions that need care to build.

All spellings go through here, so a value is refused in the same words whether it came from `F`, a string, a dict or the wire.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

import numpy as np

from vicino.errors import FilterError
from vicino.filter import model
from vicino.types import GeoPoint, RecordId

Bound = int | float | str | dt.datetime
Comparison = Literal["<", "<=", ">", ">="]
BOUND_OF: dict[str, Literal["gt", "gte", "lt", "lte"]] = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}

DEPTH_MAX = 100
"""Conditions may lie this deep within each other."""

INT64 = range(-(2**63), 2**63)

_T = TypeVar("_T", int, Bound)

_DATETIME = re.compile(
    r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}(:?\d{2})?)?)?",
    re.ASCII,
)


def scalar(path: str, value: object) -> model.Scalar:
    """The value as a field could hold it: plain Python types, datetimes in UTC. Raises FilterError naming the type that no field holds."""
    if isinstance(value, np.generic):
        value = _from_numpy(path, value)
    match value:
        case None | bool():
            return value
        case int():
            return _checked_int(path, int(value))
        case float():
            if not math.isfinite(value):
                raise _refused(path, repr(float(value)), "no field holds NaN or infinity; compare with a finite number, or use is_null()")
            return float(value)
        case str():
            return text(path, value)
        case dt.datetime():
            return _in_utc(path, value)
        case dt.date():
            return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
        case uuid.UUID():
            return value
    raise _refused(path, f"{type(value).__name__} {_short(value)}", _advice(value))


def scalars(path: str, values: object) -> tuple[model.Scalar, ...]:
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise FilterError(
            f'field "{path}": expected a list of values, got {type(values).__name__} {_short(values)}; write [{_short(values)}]'
        )
    return tuple(scalar(path, value) for value in values)


def text(path: str, value: object) -> str:
    if not isinstance(value, str):
        raise FilterError(f'field "{path}": expected a string, got {type(value).__name__} {_short(value)}; compare other values with ==')
    plain = str.__str__(value)  # an Enum that is also a string gives its string
    if any("\ud800" <= character <= "\udfff" for character in plain):
        raise _refused(path, _short(plain), "it holds an unpaired surrogate, which no stored text does")
    return plain


def equal(path: str, value: object, *, strict: bool = False) -> model.Condition:
    """`== value`. None stands for "no value": null or missing, as in most languages and in MongoDB; strictly, it is null alone."""
    plain = scalar(path, value)
    return model.Equal(path, plain, strict) if plain is not None or strict else _no_value(path)


def is_in(path: str, values: object, *, strict: bool = False) -> model.Condition:
    plain = scalars(path, values)
    if None not in plain or strict:
        return model.In(path, plain, strict)
    return model.Or((model.In(path, tuple(value for value in plain if value is not None), strict), _no_value(path)))


def _no_value(path: str) -> model.Condition:
    return model.Or((model.IsNull(path), model.Not(model.Exists(path))))


def in_range(path: str, *, gt: object = None, gte: object = None, lt: object = None, lte: object = None) -> model.Range:
    """A range of at least one bound, with at most one below and one above: of two on the same side the tighter one counts."""
    bounds = {name: bound(path, value) for name, value in (("gt", gt), ("gte", gte), ("lt", lt), ("lte", lte)) if value is not None}
    kinds = {_kind(value): value for value in bounds.values()}
    if not bounds:
        raise FilterError(f'the range of field "{path}" has no bound; give at least one')
    if len(kinds) > 1:
        listed = " and ".join(f"{kind} {_short(value)}" for kind, value in kinds.items())
        raise FilterError(f'the bounds of field "{path}" are of different kinds: {listed}; give all numbers, all strings or all datetimes')
    return model.Range(path, **_tightened(bounds))


def beyond(path: str, comparison: Comparison, value: object) -> model.Range:
    """A range of one bound."""
    return model.Range(path, **{BOUND_OF[comparison]: bound(path, value)})


def bound(path: str, value: object) -> Bound:
    if type(value) is int and value in INT64:
        return value
    plain = scalar(path, value)
    if plain is None or isinstance(plain, (bool, uuid.UUID)):
        named = "None" if plain is None else f"{type(plain).__name__} {plain}"
        raise FilterError(f'field "{path}": {named} has no order; compare it with == or !=, or give a number, a string or a datetime')
    return plain


def in_count_range(path: str, **bounds: object) -> model.CountRange:
    checked = {name: count(path, value) for name, value in bounds.items() if value is not None}
    return model.CountRange(path, **_tightened(checked))


def count(path: str, value: object) -> int:
    value = value.item() if isinstance(value, np.integer) else value
    if isinstance(value, bool) or not isinstance(value, int):
        raise FilterError(f'the number of values of field "{path}" is a whole number, got {type(value).__name__} {_short(value)}')
    return _checked_int(path, int(value))


def place(path: str, value: object) -> GeoPoint:
    """A GeoPoint, a mapping with lat and lon, or a pair (lat, lon)."""
    if isinstance(value, Mapping):
        if set(value) != {"lat", "lon"}:
            raise FilterError(f'field "{path}": a place has the keys "lat" and "lon", got {_short(dict(value))}')
        value = (value["lat"], value["lon"])
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise FilterError(f'field "{path}": a place is a pair (lat, lon) in degrees, got {_short(value)}')
    lat, lon = (degrees(path, name, part, limit) for name, part, limit in zip(("lat", "lon"), value, (90, 180)))
    return GeoPoint(lat, lon)


def degrees(path: str, name: str, value: object, limit: int) -> float:
    number = real(path, name, value)
    if abs(number) > limit:
        swapped = "; a place is given as (lat, lon), in this order" if limit == 90 and abs(number) <= 180 else ""
        raise FilterError(f'field "{path}": {name} must be between {-limit} and {limit} degrees, got {number:g}{swapped}')
    return number


def real(path: str, name: str, value: object) -> float:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise FilterError(f'field "{path}": {name} must be a finite number, got {type(value).__name__} {_short(value)}')
    return float(value)


def ring(path: str, corners: object) -> tuple[GeoPoint, ...]:
    if isinstance(corners, (str, bytes, Mapping)) or not isinstance(corners, Iterable):
        raise FilterError(f'field "{path}": a polygon is a list of corners (lat, lon), got {type(corners).__name__} {_short(corners)}')
    places = tuple(place(path, corner) for corner in corners)
    if len(set(places)) < 3:
        raise FilterError(f'field "{path}": a polygon has at least 3 different corners, got {len(set(places))}')
    return places


def record_id(value: object) -> RecordId:
    if isinstance(value, np.integer):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, str, uuid.UUID)):
        raise FilterError(f"a record id is an integer, a string or a UUID, got {type(value).__name__} {_short(value)}")
    return value


def parse_datetime(written: str) -> dt.datetime | None:
    """The instant that a string in one of the forms listed at model.Range stands for, in UTC; None for any other string."""
    if not _DATETIME.fullmatch(written):
        return None
    try:
        moment = dt.datetime.fromisoformat(written.upper())
        return (moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment).astimezone(dt.UTC)
    except (ValueError, OverflowError):  # no such day or hour, or before year 1 once it is in UTC
        return None


def _tightened(bounds: Mapping[str, _T]) -> dict[str, _T]:
    tight = dict(bounds)
    if "gt" in tight and "gte" in tight:
        del tight["gte" if tight["gt"] >= tight["gte"] else "gt"]  # type: ignore[operator]
    if "lt" in tight and "lte" in tight:
        del tight["lte" if tight["lt"] <= tight["lte"] else "lt"]  # type: ignore[operator]
    return tight


def _kind(value: Bound) -> str:
    return "number" if isinstance(value, (int, float)) else "string" if isinstance(value, str) else "datetime"


def _checked_int(path: str, value: int) -> int:
    if value not in INT64:
        raise _refused(path, str(value), "integers in fields have 64 bits; compare with a float, or leave the condition out")
    return value


def _in_utc(path: str, value: dt.datetime) -> dt.datetime:
    if value != value:  # pandas' NaT is a datetime that equals nothing
        raise _refused(path, repr(value), "it is no instant; use is_null() or exists()")
    try:
        aware = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
    except OverflowError as error:
        raise _refused(path, str(value), "in UTC it lies outside the years 1 to 9999") from error
    # A subclass, such as pandas' Timestamp, may carry more than microseconds; a field holds a plain datetime.
    return dt.datetime(aware.year, aware.month, aware.day, aware.hour, aware.minute, aware.second, aware.microsecond, tzinfo=dt.UTC)


def _from_numpy(path: str, value: np.generic) -> Any:
    if isinstance(value, np.datetime64):
        moment = value.astype("datetime64[us]").item()
        if not isinstance(moment, dt.datetime):
            raise _refused(path, repr(value), "it is no instant in the years 1 to 9999")
        return moment
    return value.item()


def _advice(value: object) -> str:
    if isinstance(value, GeoPoint):
        return "places are found by within_km, within_box or within_polygon"
    match value:
        case decimal.Decimal():
            return "no field holds a Decimal; compare with float(...) or int(...)"
        case bytes() | bytearray() | memoryview():
            return "no field holds bytes; compare with a string"
        case dt.timedelta():
            return "a field holds instants, not spans; compare with a datetime such as now - span"
        case list() | tuple() | set() | frozenset() | np.ndarray():
            return "for one of several values use is_in([...]) or contains_any([...]), for all of them contains_all([...])"
        case Mapping():
            return 'compare what lies inside by its path, such as "author.name"'
    return "a field is compared with None, bool, int, float, str, datetime or UUID"


def _refused(path: str, what: str, advice: str) -> FilterError:
    return FilterError(f'field "{path}" cannot be compared with {what}: {advice}')


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
