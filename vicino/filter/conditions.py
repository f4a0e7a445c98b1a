"""Conditions that are no comparison of a field: of other conditions, of ids, of vectors, of a share of the records."""

from __future__ import annotations

from collections.abc import Iterable

from vicino.errors import FilterError
from vicino.filter import model, operands
from vicino.filter.expression import Expression
from vicino.types import DEFAULT_VECTOR, RecordId


def all_of(*conditions: Expression) -> Expression:
    """Every condition holds; without any, always."""
    return Expression(model.And(_conditions("all_of", conditions)))


def any_of(*conditions: Expression) -> Expression:
    """Some condition holds; without any, never."""
    return Expression(model.Or(_conditions("any_of", conditions)))


def at_least(n: int, *conditions: Expression) -> Expression:
    """At least `n` of the conditions hold."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise FilterError(f"at_least(n, ...) takes how many conditions must hold first, got {type(n).__name__}: {n!r}")
    return Expression(model.AtLeast(n, _conditions("at_least", conditions)))


def has_id(ids: RecordId | Iterable[RecordId]) -> Expression:
    """The record has this id, or one of these."""
    several = ids if isinstance(ids, Iterable) and not isinstance(ids, (str, bytes)) else (ids,)
    return Expression(model.HasId(tuple(operands.record_id(id) for id in several)))


def has_vector(name: str = DEFAULT_VECTOR) -> Expression:
    """The record has a vector of this name."""
    if not isinstance(name, str):
        raise FilterError(f"has_vector takes the name of a vector, got {type(name).__name__}: {name!r}")
    return Expression(model.HasVector(name))


def in_slice(index: int, *, of: int) -> Expression:
    """The record falls into part `index` (from 0) of `of` parts of about the same size, by a fixed hash of its id."""
    if any(isinstance(number, bool) or not isinstance(number, int) for number in (index, of)) or not 0 <= index < of < 2**32:
        raise FilterError(f"in_slice takes 0 <= index < of < 2**32, got index {index!r} of {of!r}")
    return Expression(model.Slice(of, index))


def _conditions(function: str, conditions: tuple[object, ...]) -> tuple[model.Condition, ...]:
    for position, condition in enumerate(conditions):
        if not isinstance(condition, Expression):
            advice = "unpack the list: *conditions" if isinstance(condition, (list, tuple)) else "compare a field, like F.price < 50"
            got = f"{type(condition).__name__} {condition!r}"
            raise FilterError(f"{function} takes conditions, got {got} as number {position + 1}; {advice}")
    return tuple(condition.condition for condition in conditions)  # type: ignore[attr-defined]
