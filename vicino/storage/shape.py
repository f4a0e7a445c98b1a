"""Checking JSON that was read from a file: it may hold anything, whatever its checksum says.

A shape is a type (`int` takes no bool), a tuple of alternatives, `[shape]` for a list, `{str: shape}` for an object with any keys, or
`{"key": shape, ...}` for an object with at least these keys. None stands for null.
"""

from __future__ import annotations

from typing import Any

from vicino.errors import CorruptionError

INTEGER_MAX = 2**63 - 1


def expect_shape(value: Any, shape: Any, place: str) -> None:
    """Raises CorruptionError naming the place inside the value that is not as it should be."""
    if not _fits(value, shape):
        problem = _problem(value, shape, "")
        raise CorruptionError(f"{place}{problem}; restore the folder from a snapshot or a copy")


def _fits(value: Any, shape: Any) -> bool:
    """Whether `_problem` would find nothing. Opening reads many sound values, and words for what is wrong with none of them take time."""
    if type(shape) is type:
        return type(value) is shape and (shape is not int or 0 <= value <= INTEGER_MAX)
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return False
        if str in shape:
            return all(_fits(part, shape[str]) for part in value.values())
        return all(key in value and _fits(value[key], part) for key, part in shape.items())
    if isinstance(shape, tuple):
        return any(_fits(value, alternative) for alternative in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(item, shape[0]) for item in value)
    return value is None


def _problem(value: Any, shape: Any, at: str) -> str | None:
    """What is wrong with the value, None if nothing is."""
    if isinstance(shape, tuple):
        problems = [_problem(value, alternative, at) for alternative in shape]
        return problems[0] if all(problems) else None
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{at} is {_shown(value)}, expected a list"
        return next((found for i, item in enumerate(value) if (found := _problem(item, shape[0], f"{at}[{i}]"))), None)
    if isinstance(shape, dict):
        return _problem_of_object(value, shape, at)
    if shape is None:
        return None if value is None else f"{at} is {_shown(value)}, expected null"
    if type(value) is not shape:
        return f"{at} is {_shown(value)}, expected {shape.__name__}"
    if shape is int and not 0 <= value <= INTEGER_MAX:
        return f"{at} is {value}, expected a number from 0 to {INTEGER_MAX}"
    return None


def _problem_of_object(value: Any, shape: dict[Any, Any], at: str) -> str | None:
    if not isinstance(value, dict):
        return f"{at} is {_shown(value)}, expected an object"
    parts = dict.fromkeys(value, shape[str]) if str in shape else shape
    for key, part in parts.items():
        if key not in value:
            return f'{at} has no "{key}"'
        if found := _problem(value[key], part, f"{at}.{key}"):
            return found
    return None


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"
