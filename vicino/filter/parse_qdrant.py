"""Qdrant's filters: `{"must": [{"key": "price", "range": {"lt": 50}}]}`, as JSON or as the objects of its Python client.

Every condition becomes one of ours with the same answers for every record (docs/explain/filters.md lists the few differences, all in what
counts as a word or a date). Two things are not obvious from the wire: `match` compares by JSON type, so 1 is not 1.0 (`strict`), and a
condition with several tests on one key, such as `match` beside `range`, holds if any of the tests does.

A client object is anything with `model_dump(exclude_none=True)`; no client is imported.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from vicino.errors import FilterError, did_you_mean
from vicino.filter import model, operands, paths
from vicino.types import GeoPoint, RecordId

CLAUSES = ("must", "should", "must_not", "min_should")
_BOUNDS = ("lt", "gt", "gte", "lte")


def parse_qdrant(where: object) -> model.Condition:
    """The condition of a filter, or of a single condition. An empty filter holds for every record. Errors name the place in the JSON."""
    return _parse(where, at="", depth=0)


def is_qdrant_filter(where: Mapping[Any, Any]) -> bool:
    """Whether a mapping is Qdrant's filter rather than field names with values.

    It is if it has clauses only, and they hold what clauses hold: lists, conditions, null. `{"must": 5}` and `{"must": {"$gt": 5}}` ask for
    a field of that name.
    """

    def is_clause(value: object) -> bool:
        if isinstance(value, Mapping):
            return not any(isinstance(key, str) and key.startswith("$") for key in value)
        return value is None or isinstance(value, (list, tuple)) or hasattr(value, "model_dump")

    return bool(where) and all(key in CLAUSES and is_clause(value) for key, value in where.items())


def _parse(where: object, *, at: str, depth: int) -> model.Condition:
    if depth > operands.DEPTH_MAX:
        raise _error(at, f"conditions may lie {operands.DEPTH_MAX} deep, this one lies deeper")
    given = _mapping(where, at)
    if given.keys() <= set(CLAUSES):
        return _parse_filter(given, at=at, depth=depth)
    if "key" in given:
        return _parse_field(given, at=at)
    names = given.keys() & _OTHER_CONDITIONS.keys()
    if len(names) != 1 or len(given) != 1:
        known = (*CLAUSES, "key", *_OTHER_CONDITIONS)
        unknown = next((str(name) for name in given if name not in known), None)
        hint = did_you_mean(unknown, known) if unknown else " Give one condition at a time."
        raise _error(at, f"this is no filter and no condition of Qdrant's: it has the keys {sorted(map(str, given))}.{hint}")
    (name,) = names
    return _OTHER_CONDITIONS[name](given[name], _join(at, name), depth)


def _parse_filter(given: Mapping[str, Any], *, at: str, depth: int) -> model.Condition:
    parts: list[model.Condition] = []

    def several(clause: str, value: Any) -> tuple[model.Condition, ...]:
        """One condition may stand for a list of one."""
        place = _join(at, clause)
        if not isinstance(value, (list, tuple)):
            return (_parse(value, at=place, depth=depth + 1),)
        return tuple(_parse(part, at=f"{place}[{position}]", depth=depth + 1) for position, part in enumerate(value))

    if given.get("must") is not None:
        parts += several("must", given["must"])
    if given.get("should") is not None and (some := several("should", given["should"])):
        parts.append(some[0] if len(some) == 1 else model.Or(some))
    if given.get("must_not") is not None:
        parts += [model.Not(part) for part in several("must_not", given["must_not"])]
    if given.get("min_should") is not None:
        clause = _fields(given["min_should"], ("conditions", "min_count"), (), _join(at, "min_should"))
        n = _count(clause["min_count"], _join(at, "min_should.min_count"))
        parts.append(model.AtLeast(n, several("min_should.conditions", clause["conditions"])))
    return parts[0] if len(parts) == 1 else model.And(tuple(parts))


def _parse_field(given: Mapping[str, Any], *, at: str) -> model.Condition:
    if unknown := [name for name in given if name != "key" and name not in _FIELD_CONDITIONS]:
        raise _error(at, f"there is no condition {unknown[0]!r} on a key.{did_you_mean(str(unknown[0]), _FIELD_CONDITIONS)}")
    path = _path(given["key"], _join(at, "key"))
    tests = [_FIELD_CONDITIONS[name](path, value, _join(at, name)) for name, value in given.items() if name != "key" and value is not None]
    if not tests:
        raise _error(at, f'nothing is asked of the key "{path}"; give one of {", ".join(_FIELD_CONDITIONS)}')
    return tests[0] if len(tests) == 1 else model.Or(tuple(tests))


def _match(path: str, value: Any, at: str) -> model.Condition:
    given = _mapping(value, at)
    if len(given) != 1 or (name := next(iter(given))) not in _MATCHES:
        raise _error(at, f"a match has one of {', '.join(_MATCHES)}, got {sorted(map(str, given))}")
    return _MATCHES[name](path, given[name], _join(at, name))


def _match_value(path: str, value: Any, at: str) -> model.Condition:
    return model.Equal(path, _keyword(path, value, at), strict=True)


def _match_values(kind: type[model.In] | type[model.NotIn]) -> Callable[[str, Any, str], model.Condition]:
    def build(path: str, value: Any, at: str) -> model.Condition:
        if not isinstance(value, (list, tuple, set, frozenset)):
            raise _error(at, f"expected a list of strings or integers, got {type(value).__name__} {value!r}")
        return kind(path, tuple(_keyword(path, one, f"{at}[{position}]") for position, one in enumerate(value)), strict=True)

    return build


def _keyword(path: str, value: Any, at: str) -> model.Scalar:
    """Match compares strings, integers and booleans; the client's UUID objects travel as strings."""
    if isinstance(value, uuid.UUID):
        return str(value)
    if not isinstance(value, (str, int)):
        raise _error(at, f"match takes a string, an integer or a boolean, got {type(value).__name__} {value!r}; use a range for floats")
    return _built(at, lambda: operands.scalar(path, value))


def _match_text(mode: Any) -> Callable[[str, Any, str], model.Condition]:
    return lambda path, value, at: model.TextMatch(path, _built(at, lambda: operands.text(path, value)), mode)


_MATCHES: dict[str, Callable[[str, Any, str], model.Condition]] = {
    "value": _match_value,
    "any": _match_values(model.In),
    "except": _match_values(model.NotIn),
    "except_": _match_values(model.NotIn),  # the Python client's attribute; `except` is a keyword there
    "text": _match_text("all"),
    "text_any": _match_text("any"),
    "phrase": _match_text("phrase"),
    "prefix": lambda path, value, at: model.Prefix(path, _built(at, lambda: operands.text(path, value))),
    "substring": lambda path, value, at: model.Substring(path, _built(at, lambda: operands.text(path, value))),
}


def _range(path: str, value: Any, at: str) -> model.Condition:
    given = _fields(value, (), _BOUNDS, at)
    bounds = {name: _bound(bound, _join(at, name)) for name, bound in given.items() if bound is not None}
    if not bounds:  # every number lies in the open range
        return model.Or((model.Range(path, gte=0), model.Range(path, lt=0)))
    return _built(at, lambda: operands.in_range(path, **bounds))


def _bound(value: Any, at: str) -> Any:
    """A number, or a datetime as text. Qdrant reads every bound as a double, so integers of more than 64 bits are no error."""
    if isinstance(value, str):
        moment = operands.parse_datetime(value)
        if moment is None:
            raise _error(at, f"expected a number, a date or a datetime such as 2024-01-31T12:00:00Z, got {value!r}")
        return moment
    if isinstance(value, int) and value not in operands.INT64:
        return _built(at, lambda: float(value))
    return value


def _values_count(path: str, value: Any, at: str) -> model.Condition:
    given = _fields(value, (), _BOUNDS, at)
    bounds = {name: _count(bound, _join(at, name)) for name, bound in given.items() if bound is not None}
    return operands.in_count_range(path, **bounds)


def _geo_bounding_box(path: str, value: Any, at: str) -> model.Condition:
    given = _fields(value, ("top_left", "bottom_right"), (), at)
    corners = (_place(path, given[name], _join(at, name)) for name in ("top_left", "bottom_right"))
    return model.GeoBox(path, *corners)


def _geo_radius(path: str, value: Any, at: str) -> model.Condition:
    given = _fields(value, ("center", "radius"), (), at)
    radius_m = _built(_join(at, "radius"), lambda: operands.real(path, "radius", given["radius"]))
    return model.GeoRadius(path, _place(path, given["center"], _join(at, "center")), radius_m)


def _geo_polygon(path: str, value: Any, at: str) -> model.Condition:
    given = _fields(value, ("exterior",), ("interiors",), at)
    interiors = given.get("interiors") or ()
    if not isinstance(interiors, (list, tuple)):
        raise _error(_join(at, "interiors"), f"expected a list of rings, got {type(interiors).__name__} {interiors!r}")
    holes = tuple(_ring(path, ring, f"{_join(at, 'interiors')}[{position}]") for position, ring in enumerate(interiors))
    return model.GeoPolygon(path, _ring(path, given["exterior"], _join(at, "exterior")), holes)


def _ring(path: str, value: Any, at: str) -> tuple[GeoPoint, ...]:
    points = _fields(value, ("points",), (), at)["points"]
    if not isinstance(points, (list, tuple)):
        raise _error(at, f"expected a list of points, got {type(points).__name__} {points!r}")
    places = tuple(_place(path, point, f"{at}.points[{position}]") for position, point in enumerate(points))
    if len(places) < 4 or places[0] != places[-1]:
        raise _error(at, f"a ring has at least 4 points, of which the last repeats the first; got {len(places)}")
    return places


def _place(path: str, value: Any, at: str) -> GeoPoint:
    given = _fields(value, ("lat", "lon"), (), at)
    return _built(at, lambda: operands.place(path, given))


def _is(kind: type[model.IsEmpty] | type[model.IsNull]) -> Callable[[str, Any, str], model.Condition]:
    """`is_empty: false` beside a key asks for the opposite."""

    def build(path: str, value: Any, at: str) -> model.Condition:
        if not isinstance(value, bool):
            raise _error(at, f"expected true or false, got {type(value).__name__} {value!r}")
        return kind(path) if value else model.Not(kind(path))

    return build


_FIELD_CONDITIONS: dict[str, Callable[[str, Any, str], model.Condition]] = {
    "match": _match,
    "range": _range,
    "geo_bounding_box": _geo_bounding_box,
    "geo_radius": _geo_radius,
    "geo_polygon": _geo_polygon,
    "values_count": _values_count,
    "is_empty": _is(model.IsEmpty),
    "is_null": _is(model.IsNull),
}


def _is_with_key(kind: type[model.IsEmpty] | type[model.IsNull]) -> Callable[[Any, str, int], model.Condition]:
    return lambda value, at, _: kind(_path(_fields(value, ("key",), (), at)["key"], _join(at, "key")))


def _nested(value: Any, at: str, depth: int) -> model.Condition:
    given = _fields(value, ("key", "filter"), (), at)
    return model.Nested(_path(given["key"], _join(at, "key")), _parse(given["filter"], at=_join(at, "filter"), depth=depth + 1))


def _has_id(value: Any, at: str, _: int) -> model.Condition:
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise _error(at, f"expected a list of ids, got {type(value).__name__} {value!r}")
    return model.HasId(tuple(id for one in value for id in _ids(one, at)))


def _ids(value: Any, at: str) -> tuple[RecordId, ...]:
    """JSON has no UUIDs: a string that reads as one stands for the UUID, and for the string where records were written with that."""
    id = _built(at, lambda: operands.record_id(value))
    if not isinstance(id, str):
        return (id,)
    try:
        return (uuid.UUID(id), id)
    except ValueError:
        return (id,)


def _has_vector(value: Any, at: str, _: int) -> model.Condition:
    if not isinstance(value, str):
        raise _error(at, f"expected the name of a vector, got {type(value).__name__} {value!r}")
    return model.HasVector(value)


def _slice(value: Any, at: str, _: int) -> model.Condition:
    given = _fields(value, ("total", "index"), (), at)
    total, index = _count(given["total"], _join(at, "total")), _count(given["index"], _join(at, "index"))
    if not index < total < 2**32:
        raise _error(at, f"expected index < total < 2**32, got index {index} of {total}")
    return model.Slice(total, index)


_OTHER_CONDITIONS: dict[str, Callable[[Any, str, int], model.Condition]] = {
    "is_empty": _is_with_key(model.IsEmpty),
    "is_null": _is_with_key(model.IsNull),
    "has_id": _has_id,
    "has_vector": _has_vector,
    "nested": _nested,
    "slice": _slice,
}


def _mapping(value: Any, at: str) -> Mapping[str, Any]:
    if hasattr(value, "model_dump"):
        value = value.model_dump(exclude_none=True)
    if not isinstance(value, Mapping):
        raise _error(at, f"expected a mapping, got {type(value).__name__} {value!r}")
    return value


def _fields(value: Any, required: tuple[str, ...], optional: tuple[str, ...], at: str) -> Mapping[str, Any]:
    given = _mapping(value, at)
    known = (*required, *optional)
    if missing := [name for name in required if given.get(name) is None]:
        raise _error(at, f"{missing[0]!r} is missing; give {', '.join(required)}")
    if unknown := [name for name in given if name not in known]:
        raise _error(at, f"{unknown[0]!r} is not known here.{did_you_mean(str(unknown[0]), known)}")
    return given


def _path(value: Any, at: str) -> str:
    return _built(at, lambda: paths.check_path(value))


def _count(value: Any, at: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise _error(at, f"expected a whole number from 0 on, got {type(value).__name__} {value!r}")
    return value


def _built(at: str, build: Callable[[], Any]) -> Any:
    try:
        return build()
    except (ValueError, OverflowError) as error:
        raise _error(at, str(error)) from error


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _error(at: str, message: str) -> FilterError:
    return FilterError(f"filter at {at}: {message}" if at else f"filter: {message}")
