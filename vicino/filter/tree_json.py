"""A condition tree as JSON and back, without loss: `{"$tree": ["Range", {"path": "year", "gte": 2020}]}`.

The friendly spellings cannot say everything that the tree can (Qdrant's strict equality, for one), so what is stored or sent is the tree.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from vicino.errors import FilterError
from vicino.filter import model
from vicino.filter.parse import parse_where
from vicino.filter.tree_check import check_condition
from vicino.types import GeoPoint

DEPTH_MAX = 64


def condition_to_json(condition: model.Condition) -> dict[str, Any]:
    """The tree as a JSON object; `condition_from_json` gives an equal one back."""
    return {"$tree": _encoded(condition)}


def condition_from_json(value: Any) -> model.Condition | None:
    """The condition behind `condition_to_json`'s form, or behind any spelling of a filter. Raises FilterError."""
    if isinstance(value, Mapping) and set(value) == {"$tree"}:
        condition = _decoded(value["$tree"], 0)
        if not isinstance(condition, model.Condition):
            raise FilterError(f'"$tree" holds a condition such as ["Exists", {{"path": "year"}}], got {str(value)[:80]}')
        return condition
    return parse_where(value)


def _encoded(value: Any) -> Any:
    if isinstance(value, model.Condition):
        parts = {name: getattr(value, name) for name in value.__match_args__}
        return [type(value).__name__, {name: _encoded(part) for name, part in parts.items() if part is not None or name == "value"}]
    if isinstance(value, GeoPoint):
        return {"$geo": [value.lat, value.lon]}
    if isinstance(value, tuple):
        return {"$list": [_encoded(element) for element in value]}
    if isinstance(value, dt.datetime):
        return {"$datetime": value.isoformat()}
    if isinstance(value, uuid.UUID):
        return {"$uuid": str(value)}
    return value


def _decoded(value: Any, depth: int) -> Any:
    if depth > DEPTH_MAX:
        raise FilterError(f"conditions may lie {DEPTH_MAX} deep, this one lies deeper")
    match value:
        case [str() as name, dict() as parts]:
            kind = getattr(model, name, None)
            if not (isinstance(kind, type) and issubclass(kind, model.Condition)) or kind is model.Condition:
                raise FilterError(f'"$tree" names a condition {name!r}, which there is not')
            try:
                condition = kind(**{key: _decoded(part, depth + 1) for key, part in parts.items()})
            except TypeError as error:
                raise FilterError(f'"$tree" holds a {name} that is none: {error}') from error
            check_condition(condition)
            return condition
        case {"$geo": [int() | float() as lat, int() | float() as lon]}:
            return GeoPoint(float(lat), float(lon))
        case {"$list": list() as elements}:
            return tuple(_decoded(element, depth + 1) for element in elements)
        case {"$datetime": str() as text}:
            try:
                return dt.datetime.fromisoformat(text)
            except ValueError as error:
                raise FilterError(f'"$tree" holds the datetime {text[:40]!r}, which is none: {error}') from error
        case {"$uuid": str() as text}:
            try:
                return uuid.UUID(text)
            except ValueError as error:
                raise FilterError(f'"$tree" holds the UUID {text[:40]!r}, which is none: {error}') from error
        case None | bool() | int() | float() | str():
            return value
    raise FilterError(f'"$tree" holds {str(value)[:80]}, which is no condition and no value')
