"""`where=`, in whatever spelling: an `F` expression, a string, a mapping, Qdrant's JSON or its client's objects, a condition itself."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Any

from vicino.errors import FilterError
from vicino.filter import model
from vicino.filter.expression import Expression, Field
from vicino.filter.paths import check_known

_PLAIN = frozenset({str, int, float, bool, type(None)})

Where = Expression | model.Condition | str | Mapping[str, Any]
"""What `where=` takes; an object with `model_dump`, such as a filter of qdrant-client, is taken too."""


def parse_where(where: object, *, known_fields: Collection[str] | None = None) -> model.Condition | None:
    """The condition to filter by, or None for all records: without a filter, and with an empty one such as `{}` or `{"must": []}`.

    known_fields: paths of all fields there are, where the schema is closed; any other field raises FilterError with close matches.
    """
    if where is None:
        return None
    condition = _parse(where)
    if known_fields is not None:
        check_known(condition, known_fields)
    return None if isinstance(condition, model.And) and not condition.parts else condition


def spelling_of(where: object) -> Hashable | None:
    """What a string or a mapping says, to know it again by: equal ones are parsed into equal conditions. None where that cannot be told.

    Only mappings of plain values: another's may say something else tomorrow. Types count, as 1 and True are equal and mean two things.
    """
    kind = type(where)
    if kind in _PLAIN:
        return (kind, where)
    if kind is not dict:
        return None
    parts: list[Hashable] = []
    for key, value in where.items():  # type: ignore[attr-defined]
        said = spelling_of(value)
        if said is None or type(key) is not str:
            return None
        parts += (key, said)
    return tuple(parts)


def _parse(where: object) -> model.Condition:
    match where:
        case Expression(condition):
            return condition
        case model.Condition():
            return where
        case str():
            from vicino.filter.parse_string import parse_string

            return parse_string(where)
        case Mapping():
            return _parse_mapping(where)
        case Field():
            raise FilterError(f"where={where!r} is a field, not a condition; compare it: {where!r} == True, {where!r}.exists()")
        case bool():
            raise FilterError(
                f"where={where} is what Python made of a comparison before vicino saw it; compare fields of F, as in F.price < 50"
            )
        case list() | tuple():
            raise FilterError("where= takes one condition, got a list of them; join them by all_of(*conditions) or any_of(*conditions)")
    # Asked for last: a field of `F` answers to any name.
    if hasattr(where, "model_dump"):
        from vicino.filter.parse_qdrant import parse_qdrant

        return parse_qdrant(where)
    raise FilterError(
        f"where= takes an expression such as F.price < 50, a string such as 'price < 50', a mapping such as {{'price': {{'$lt': 50}}}} "
        f"or a Qdrant filter, got {type(where).__name__}"
    )


def _parse_mapping(where: Mapping[Any, Any]) -> model.Condition:
    from vicino.filter.parse_mapping import parse_mapping
    from vicino.filter.parse_qdrant import is_qdrant_filter, parse_qdrant

    return parse_qdrant(where) if is_qdrant_filter(where) else parse_mapping(where)
