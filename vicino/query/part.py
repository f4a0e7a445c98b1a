"""`Part`: what all parts of a query have in common. A query is a tree of parts, and a part is a frozen value.

As JSON a part is an object with one key, its tag: `{"fuse": {"parts": [{"dense": {"x": [1, 0]}}, {"text": {"words": "cat"}}]}}`.
Arguments that equal their defaults are left out. The same values stand behind Python, REST and gRPC.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from vicino.errors import InvalidArgument, close_match
from vicino.query.json_value import to_json_value

DEPTH_MAX = 32
"""How deep parts may lie inside each other."""


class Part:
    """Base of all parts of a query. Equality and hash are those of the JSON form, so arrays and lists of the same numbers are equal."""

    tag: ClassVar[str]
    readers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    """How arguments that are more than plain JSON values are read back."""
    by_tag: ClassVar[dict[str, type[Part]]] = {}

    def __init_subclass__(cls) -> None:
        if "tag" in cls.__dict__:
            Part.by_tag[cls.tag] = cls

    @property
    def parts_inside(self) -> tuple[Part, ...]:
        """The parts this one is made of."""
        return ()

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `Part.from_json` gives an equal part back."""
        given = {}
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            default = field.default_factory() if field.default_factory is not MISSING else field.default
            if not (value is default or (type(value) is type(default) and not isinstance(value, np.ndarray) and value == default)):
                given[field.name] = _to_json(value)
        return {self.tag: given}

    @staticmethod
    def from_json(value: Any) -> Part:
        """The part that `to_json` was called on. Raises InvalidArgument naming the place of what is no part."""
        from vicino.query.part_json import part_from_json

        return part_from_json(value)

    @cached_property
    def _canonical(self) -> str:
        import json

        return json.dumps(self.to_json(), sort_keys=True)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._canonical == other._canonical  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self._canonical)

    def __repr__(self) -> str:
        shown = []
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.default is MISSING and field.default_factory is MISSING:
                shown.append(_shown(value))
            elif not isinstance(value, np.ndarray) and value != field.default:
                shown.append(f"{field.name}={_shown(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _set(self, **values: Any) -> None:
        """Sets arguments to their checked form, while the value is being made."""
        for name, value in values.items():
            object.__setattr__(self, name, value)


def part_of(value: Any, place: str) -> Part:
    """A part as given: one already, or something that stands for one: a text, a vector. Raises InvalidArgument naming the place."""
    if isinstance(value, Part):
        return value
    from vicino.query.parts import Dense
    from vicino.query.sparse_vector import SparseVector

    if isinstance(value, SparseVector):
        from vicino.query.parts import Sparse

        return Sparse(value)
    if isinstance(value, str | np.ndarray) or (isinstance(value, Sequence) and value and isinstance(value[0], int | float)):
        return Dense(value)
    raise InvalidArgument(f"{place} takes a part of a query such as vicino.Dense(vector) or vicino.Text(words), got {_shown(value)}")


def finite(value: Any, name: str, *, low: float | None = None, high: float | None = None) -> float:
    """A number in [low, high]. Raises InvalidArgument naming it."""
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not is_number or not _is_finite(value) or (low is not None and value < low) or (high is not None and value > high):
        least = "" if low is None else f" of at least {low:g}"
        most = "" if high is None else f" and at most {high:g}"
        raise InvalidArgument(f"{name} must be a finite number{least}{most}, got {value!r}")
    return float(value)


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond what a float holds
        return False


def whole(value: Any, name: str, low: int, high: int | None = None) -> int:
    """An integer in [low, high]. Raises InvalidArgument naming it."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low or (high is not None and value > high):
        bounds = f"at least {low}" if high is None else f"between {low} and {high}"
        raise InvalidArgument(f"{name} must be an integer, {bounds}, got {value!r}")
    return int(value)


def choice(value: Any, name: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise InvalidArgument(f"{name} must be one of {', '.join(choices)}, got {value!r}.{close_match(str(value), choices)}")
    return value


def condition_of(where: Any) -> Any:
    """A condition in any spelling, or in its JSON form, as a tree; None for none."""
    from vicino.filter.tree_json import condition_from_json

    return None if where is None else condition_from_json(where)


def numbers(value: Any, name: str) -> Any:
    """One vector as an array that nobody can change; a text is left for the model. Raises InvalidArgument for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, np.ndarray):
        array = value.view()
    elif isinstance(value, bytes | bytearray | memoryview):  # packed bits, as they are taken on their way in
        array = np.frombuffer(value, np.uint8)
    else:
        try:
            array = np.array(value)
        except ValueError as error:
            raise InvalidArgument(f"{name} takes one vector of numbers or a text, got {_shown(value)}: {error}") from error
    if array.dtype.kind not in "fiub" or array.ndim != 1:
        raise InvalidArgument(f"{name} takes one vector of numbers or a text, got {_shown(value)}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InvalidArgument(f"{name}: the vector holds NaN or an infinity at position {int(np.argmin(np.isfinite(array)))}")
    array.flags.writeable = False
    return array


def _to_json(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [_to_json(element) for element in value]
    from vicino.filter.model import Condition

    if isinstance(value, Condition):
        from vicino.filter.tree_json import condition_to_json

        return condition_to_json(value)
    return to_json_value(value)


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<vector of {value.shape[0]}>" if value.ndim == 1 else f"<matrix of {'×'.join(map(str, value.shape))}>"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(name := getattr(value, "name", None), str):  # a collection, a reranker
        return repr(name)
    from vicino.filter.model import Condition
    from vicino.filter.render import render

    shown = render(value) if isinstance(value, Condition) else repr(value)
    return shown if len(shown) <= 120 else f"{shown[:119]}…"
