"""Paths into a record's fields, as text: check them, put them together, and hold them against what fields there are.

The grammar stands at the top of model.py. Wherever a string names a field, in whatever spelling, it is a path; a key that holds one of
. [ ] stands in double quotes. A key that holds a double quote has no path, as on Qdrant's wire.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from vicino.errors import FilterError, did_you_mean
from vicino.filter import model

_KEY = re.compile(r'"([^"]*)"|([^.\[\]"]+)')
_OPENING = re.compile(r"\[([0-9]*)\]")


def steps_of(path: str) -> list[str | int | None]:
    """Keys as strings, `[i]` as a number, `[]` as None. Raises FilterError showing where the path cannot be read."""
    steps: list[str | int | None] = []
    position = 0
    while True:
        key = _KEY.match(path, position)
        if key is None:
            raise _unreadable(path, position, "a key is missing here")
        steps.append(key[1] if key[1] is not None else key[2])
        position = key.end()
        while opening := _OPENING.match(path, position):
            steps.append(int(opening[1]) if opening[1] else None)
            position = opening.end()
        if position == len(path):
            return steps
        if path[position] != ".":
            raise _unreadable(path, position, f"{path[position]!r} cannot stand here")
        position += 1


def check_path(path: object) -> str:
    """The path itself, if it is one."""
    if not isinstance(path, str):
        raise FilterError(f'a field is named by a string like "price" or "author.name", got {type(path).__name__}: {path!r}')
    steps_of(path)
    return path


def path_of_key(key: str) -> str:
    """The path that leads to the field of exactly this name, quoted if need be."""
    if '"' in key:
        raise FilterError(f"the field {key!r} cannot be filtered on: no path can name a key that holds a double quote; rename the field")
    return f'"{key}"' if key == "" or any(character in key for character in ".[]") else key


def paths_of(condition: model.Condition) -> Iterator[str]:
    """Every path the condition looks at, from the record's root, in order of appearance and as often as it appears."""
    match condition:
        case model.And(parts) | model.Or(parts) | model.AtLeast(_, parts):
            for part in parts:
                yield from paths_of(part)
        case model.Not(part):
            yield from paths_of(part)
        case model.Nested(path, part):
            element = path if path.endswith("[]") else f"{path}[]"
            yield path
            yield from (f"{element}.{inner}" for inner in paths_of(part))
        case model.HasId() | model.HasVector() | model.Slice():
            return
        case _:
            yield condition.path  # type: ignore[attr-defined]


def check_known(condition: model.Condition, known_fields: Collection[str]) -> None:
    """As `check_known_paths`, for the paths of a condition."""
    check_known_paths(paths_of(condition), known_fields)


def check_known_paths(paths: Iterable[str], known_fields: Collection[str]) -> None:
    """Raises FilterError for the first path that leads to no known field.

    known_fields: paths. What lies inside a known field, or on the way to one, is known too: a field declared as an object says nothing
    about its keys.
    """
    known = {_keys_of(path) for path in known_fields}
    for path in paths:
        keys = _keys_of(path)
        if not any(keys[: len(other)] == other[: len(keys)] for other in known):
            hint = " Record ids are asked for with has_id(...)." if keys == ("id",) else did_you_mean(path, known_fields)
            raise FilterError(f'there is no field "{path}".{hint}')


def _keys_of(path: str) -> tuple[str, ...]:
    return tuple(step for step in steps_of(path) if isinstance(step, str))


def _unreadable(path: str, position: int, reason: str) -> FilterError:
    return FilterError(
        f"the path {path!r} cannot be read: {reason}, at position {position}; write paths like price, author.name, items[].price, "
        'items[0].price, and quote a key that holds . [ or ]: "a.b"'
    )
