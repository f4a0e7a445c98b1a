"""Expressions as JSON values and back. What is read comes from outside and is trusted in nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from vicino.errors import InvalidArgument, did_you_mean
from vicino.filter.model import Condition
from vicino.query.decay import Decay  # noqa: F401  (its tag is among the known ones once it is imported)
from vicino.query.formula import Expression, Number, Value
from vicino.query.json_value import from_json_value, to_json_value
from vicino.types import GeoPoint

DEPTH_MAX = 64


def expression_to_json(expression: Expression) -> dict[str, Any]:
    """An object with one key, the tag; what has its default is left out."""
    given = {}
    for field in fields(expression):  # type: ignore[arg-type]
        if (value := getattr(expression, field.name)) != field.default:
            given[field.name] = _plain(value)
    return {expression.tag: given}


def expression_from_json(value: Any) -> Expression:
    """The expression that was turned into `value`. Raises InvalidArgument."""
    return _from_json(value, 0)


def _plain(value: Any) -> Any:
    if isinstance(value, Expression):
        return value.to_json()
    if isinstance(value, tuple) and not isinstance(value, GeoPoint):
        return [_plain(entry) for entry in value]
    if isinstance(value, Condition):
        from vicino.filter.tree_json import condition_to_json

        return condition_to_json(value)
    return to_json_value(value)


def _from_json(value: Any, depth: int) -> Expression:
    if depth > DEPTH_MAX:
        raise InvalidArgument(f"expressions may lie {DEPTH_MAX} deep, this one lies deeper")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Number(value)
    if isinstance(value, str):
        return Value(value)
    if not isinstance(value, Mapping) or len(value) != 1:
        raise InvalidArgument(
            f'an expression is a number, the name of a field, or an object with one key such as {{"score": {{}}}}, got {str(value)[:80]}'
        )
    ((tag, arguments),) = value.items()
    kind = Expression.by_tag.get(tag)
    if kind is None:
        raise InvalidArgument(f"there is no expression {tag!r}.{did_you_mean(str(tag), Expression.by_tag)}")
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(arguments, Mapping) or not arguments.keys() <= known:
        raise InvalidArgument(f'"{tag}" takes an object with {", ".join(sorted(known))}, got {str(arguments)[:80]}')
    try:
        return kind(**{name: _argument(entry, _is_expression(kind, name, entry), depth) for name, entry in arguments.items()})
    except InvalidArgument:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidArgument(f'"{tag}" cannot be read: {error}') from error


def _is_expression(kind: type[Expression], name: str, value: Any) -> bool:
    return name in ("of", "left", "right", "base", "exponent") and not (kind.reads_fields and isinstance(value, str))


def _argument(value: Any, is_expression: bool, depth: int) -> Any:
    if not is_expression:
        return value if isinstance(value, Mapping) and "$tree" in value else from_json_value(value)
    if isinstance(value, list):
        return tuple(_from_json(entry, depth + 1) for entry in value)
    return _from_json(value, depth + 1)
