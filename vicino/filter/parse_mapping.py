"""Filters as mappings, for configuration files and for users of MongoDB, Pinecone and Chroma: `{"year": {"$gte": 2020}, "brand": "acme"}`.

Keys are paths and several keys are joined by "and". A value is compared with ==; a mapping of operators applies them all to the field.
Operators are the names of MongoDB and the methods of `F` fields behind a "$", written as one likes: $starts_with, $startsWith, $startswith.
Bounds on both sides of one field make one range, met by one and the same value of a list.

JSON has no datetimes and no UUIDs, so `{"$date": "2024-01-31"}` and `{"$uuid": "..."}` stand for them wherever a value may stand.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vicino.errors import FilterError, did_you_mean
from vicino.filter import conditions, model, operands
from vicino.filter.expression import Expression, Field

_RANGE = {"$lt": "lt", "$lte": "lte", "$gt": "gt", "$gte": "gte"}
_COUNT_BOUNDS = {**_RANGE, "$eq": "eq"}


def parse_mapping(where: Mapping[str, Any]) -> model.Condition:
    """The condition that the mapping spells; an empty one holds for every record. Raises FilterError naming the place in the mapping."""
    return _parse(where, at="", depth=0)


def _parse(where: object, *, at: str, depth: int) -> model.Condition:
    if not isinstance(where, Mapping):
        raise _error(at, f'expected a mapping like {{"year": {{"$gte": 2020}}}}, got {type(where).__name__} {where!r}')
    if depth > operands.DEPTH_MAX:
        raise _error(at, f"conditions may lie {operands.DEPTH_MAX} deep, this one lies deeper")
    parts = [_parse_entry(key, value, at=at, depth=depth) for key, value in where.items()]
    return parts[0] if len(parts) == 1 else model.And(tuple(parts))


def _parse_entry(key: object, value: Any, *, at: str, depth: int) -> model.Condition:
    if not isinstance(key, str):
        raise _error(at, f"keys are fields or operators in quotes, got {type(key).__name__} {key!r}")
    if not key.startswith("$"):
        return _parse_field(key, value, at=_join(at, key), depth=depth)
    return _JOINERS[_operator(key, _JOINERS, at=at, elsewhere={**_RANGE, **_FIELD_OPERATORS})](value, _join(at, key), depth)


def _several(value: Any, at: str, depth: int) -> tuple[model.Condition, ...]:
    if not _is_list(value):
        raise _error(at, f"expected a list of conditions, got {type(value).__name__} {value!r}")
    return tuple(_parse(part, at=f"{at}[{position}]", depth=depth + 1) for position, part in enumerate(value))


def _at_least(value: Any, at: str, depth: int) -> model.Condition:
    given = _options(value, ("n", "of"), (), at)
    parts = _several(given["of"], _join(at, "of"), depth)
    return _built(at, lambda: conditions.at_least(given["n"], *map(Expression, parts))).condition


_JOINERS: dict[str, Callable[[Any, str, int], model.Condition]] = {
    "$and": lambda value, at, depth: model.And(_several(value, at, depth)),
    "$or": lambda value, at, depth: model.Or(_several(value, at, depth)),
    "$nor": lambda value, at, depth: model.Not(model.Or(_several(value, at, depth))),
    "$not": lambda value, at, depth: model.Not(_parse(value, at=at, depth=depth + 1)),
    "$at_least": _at_least,
    "$has_id": lambda value, at, _: (
        _built(at, lambda: conditions.has_id(_values(value, at) if _is_list(value) else _value(value, at))).condition
    ),
    "$has_vector": lambda value, at, _: _built(at, lambda: conditions.has_vector(value)).condition,
    "$in_slice": lambda value, at, _: _built(at, lambda: conditions.in_slice(**_options(value, ("index", "of"), (), at))).condition,
}


def _parse_field(path: str, value: Any, *, at: str, depth: int) -> model.Condition:
    field = _built(at, lambda: Field(path))
    if _is_list(value):
        raise _error(at, 'a list is compared with {"$in": [...]} (one of them), {"$contains_all": [...]} (all of them)')
    if not isinstance(value, Mapping) or _is_tagged_value(value):
        plain = _value(value, at)
        return _built(at, lambda: field == plain).condition
    return _parse_operators(field, value, at=at, depth=depth)


def _parse_operators(field: Field, operators: Mapping[Any, Any], *, at: str, depth: int) -> model.Condition:
    if depth > operands.DEPTH_MAX:
        raise _error(at, f"conditions may lie {operands.DEPTH_MAX} deep, this one lies deeper")
    if foreign := [key for key in operators if not (isinstance(key, str) and key.startswith("$"))]:
        inner = f'"{field._path}.{foreign[0]}"'
        raise _error(at, f"expected operators such as $gte, got the key {foreign[0]!r}; a field inside an object is named {inner}")
    if not operators:
        raise _error(at, f'no operator is given; write {{"{field._path}": {{"$exists": true}}}} to ask for the field')
    bounds: dict[str, Any] = {}
    parts: list[model.Condition] = []
    for key, value in operators.items():
        operator = _operator(key, {**_RANGE, **_FIELD_OPERATORS}, at=at, elsewhere=_JOINERS)
        if operator in _RANGE:
            bounds[_RANGE[operator]] = _bound(value, _join(at, key))
        else:
            parts.append(_FIELD_OPERATORS[operator](field, value, _join(at, key), depth))
    if bounds:
        parts.append(_built(at, lambda: operands.in_range(field._path, **bounds)))
    return parts[0] if len(parts) == 1 else model.And(tuple(parts))


def _bound(value: Any, at: str) -> object:
    plain = _value(value, at)
    if plain is None:
        raise _error(at, "null has no order; leave the bound out, or ask for null by itself")
    return plain


def _negated(build: Callable[[Field, Any, str, int], model.Condition]) -> Callable[[Field, Any, str, int], model.Condition]:
    return lambda field, value, at, depth: model.Not(build(field, value, at, depth))


def _with_value(method: str) -> Callable[[Field, Any, str, int], model.Condition]:
    return lambda field, value, at, _: _built(at, lambda: getattr(field, method)(_value(value, at))).condition


def _with_values(method: str) -> Callable[[Field, Any, str, int], model.Condition]:
    return lambda field, value, at, _: _built(at, lambda: getattr(field, method)(_values(value, at))).condition


def _with_options(
    method: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Callable[[Field, Any, str, int], model.Condition]:
    return lambda field, value, at, _: _built(at, lambda: getattr(field, method)(**_options(value, required, optional, at))).condition


def _yes_or_no(method: str) -> Callable[[Field, Any, str, int], model.Condition]:
    def build(field: Field, value: Any, at: str, _: int) -> model.Condition:
        if not isinstance(value, bool):
            raise _error(at, f"expected true or false, got {type(value).__name__} {value!r}")
        holds = getattr(field, method)()
        return (holds if value else ~holds).condition

    return build


def _between(field: Field, value: Any, at: str, _: int) -> model.Condition:
    low_and_high = _values(value, at)
    if len(low_and_high) != 2:
        raise _error(at, f"expected [low, high], got {len(low_and_high)} values")
    return _built(at, lambda: field.between(*low_and_high)).condition


def _count(field: Field, value: Any, at: str, _: int) -> model.Condition:
    given: dict[Any, Any] = dict(value) if isinstance(value, Mapping) else {"$eq": value}
    if unknown := [key for key in given if key not in _COUNT_BOUNDS]:
        raise _error(at, f"a number of values is compared with {', '.join(_COUNT_BOUNDS)}, got {unknown[0]!r}")
    bounds = {_COUNT_BOUNDS[key]: _built(at, lambda bound=bound: operands.count(field._path, bound)) for key, bound in given.items()}
    exact = bounds.pop("eq", None)
    if exact is not None:
        bounds = {"gte": exact, "lte": exact, **bounds}
    return _built(at, lambda: operands.in_count_range(field._path, **bounds))


def _element(field: Field, value: Any, at: str, depth: int) -> model.Condition:
    return model.Nested(field._path, _parse(value, at=at, depth=depth + 1))


def _not(field: Field, value: Any, at: str, depth: int) -> model.Condition:
    if not isinstance(value, Mapping):
        raise _error(at, f'expected operators such as {{"$gte": 2020}}, got {type(value).__name__} {value!r}; use $ne for a single value')
    return model.Not(_parse_operators(field, value, at=at, depth=depth + 1))


_FIELD_OPERATORS: dict[str, Callable[[Field, Any, str, int], model.Condition]] = {
    "$eq": _with_value("equals"),
    "$ne": _negated(_with_value("equals")),
    "$between": _between,
    "$in": _with_values("is_in"),
    "$nin": _with_values("not_in"),
    "$is_in": _with_values("is_in"),
    "$not_in": _with_values("not_in"),
    "$has_other_than": _with_values("has_other_than"),
    "$contains_any": _with_values("contains_any"),
    "$contains_all": _with_values("contains_all"),
    "$all": _with_values("contains_all"),
    "$exists": _yes_or_no("exists"),
    "$is_null": _yes_or_no("is_null"),
    "$is_empty": _yes_or_no("is_empty"),
    "$count": _count,
    "$size": _count,
    "$starts_with": _with_value("startswith"),
    "$contains": _with_value("contains"),
    "$not_contains": _negated(_with_value("contains")),
    "$matches": _with_value("matches"),
    "$matches_any": _with_value("matches_any"),
    "$phrase": _with_value("phrase"),
    "$within_km": _with_options("within_km", ("lat", "lon", "km")),
    "$within_box": _with_options("within_box", ("north", "west", "south", "east")),
    "$within_polygon": _with_options("within_polygon", ("corners",), ("holes",)),
    "$any": _element,
    "$elem_match": _element,
    "$not": _not,
}


def _operator(key: str, known: Mapping[str, Any], *, at: str, elsewhere: Mapping[str, Any]) -> str:
    """The operator's name as listed here, found without regard to case and underscores: $startsWith, $starts_with, $startswith are one."""
    letters = _letters(key)
    for name in known:
        if _letters(name) == letters:
            return name
    if letters in map(_letters, elsewhere):
        is_joiner = elsewhere is _JOINERS
        advice = (
            "it joins conditions and stands where fields stand" if is_joiner else f'it belongs to a field: {{"field": {{"{key}": ...}}}}'
        )
        raise _error(at, f"{key} cannot stand here; {advice}")
    raise _error(at, f"there is no operator {key}.{did_you_mean(key, known)}")


def _letters(name: str) -> str:
    return name.replace("_", "").lower()


def _is_tagged_value(value: Mapping[Any, Any]) -> bool:
    return len(value) == 1 and next(iter(value)) in ("$date", "$uuid")


def _value(value: Any, at: str) -> Any:
    if not isinstance(value, Mapping):
        return value
    if not _is_tagged_value(value):
        raise _error(at, f"expected a value, got a mapping with {', '.join(map(repr, value)) or 'no keys'}")
    ((tag, written),) = value.items()
    parsed: object = None
    if isinstance(written, str):
        parsed = operands.parse_datetime(written) if tag == "$date" else _built(at, lambda: uuid.UUID(written))
    if parsed is None:
        example = '{"$date": "2024-01-31T12:00:00Z"}' if tag == "$date" else '{"$uuid": "550e8400-e29b-41d4-a716-446655440000"}'
        raise _error(at, f"{tag} {written!r} cannot be read; write it like {example}")
    return parsed


def _values(value: Any, at: str) -> list[Any]:
    if not _is_list(value):
        raise _error(at, f"expected a list, got {type(value).__name__} {value!r}")
    return [_value(one, f"{at}[{position}]") for position, one in enumerate(value)]


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))


def _options(value: Any, required: tuple[str, ...], optional: tuple[str, ...], at: str) -> dict[str, Any]:
    names = f"{{{', '.join(required)}}}" + (f", and perhaps {', '.join(optional)}" if optional else "")
    if not isinstance(value, Mapping):
        raise _error(at, f"expected a mapping with {names}, got {type(value).__name__} {value!r}")
    if missing := [name for name in required if name not in value]:
        raise _error(at, f"{missing[0]!r} is missing; give {names}")
    if unknown := [name for name in value if name not in (*required, *optional)]:
        raise _error(at, f"{unknown[0]!r} is not known here; give {names}")
    return dict(value)


def _built(at: str, build: Callable[[], Any]) -> Any:
    try:
        return build()
    except ValueError as error:
        raise error if isinstance(error, FilterError) and str(error).startswith("at ") else _error(at, str(error)) from error


def _join(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key


def _error(at: str, message: str) -> FilterError:
    return FilterError(f"at {at}: {message}" if at else message)
