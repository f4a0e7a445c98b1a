"""Parts of a query from JSON: the form that queries have in files, on the command line and on the wire.

Nothing is guessed: an argument that is not known, is missing, or is of another type is refused, and the refusal says where it stands, as
in `fuse.parts[1].text.fuzzy: …`. What `Part.to_json` writes is read back as an equal part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from vicino.errors import InvalidArgument, did_you_mean
from vicino.query.json_value import from_json_value
from vicino.query.part import DEPTH_MAX, Part

_Check = Callable[[Any], bool]


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


# By the annotation of an argument: whether a JSON value can be it, and what to call what is expected. Numbers are checked by the parts.
_TYPES: Mapping[str, tuple[_Check, str]] = {
    "str": (lambda value: isinstance(value, str), "a string"),
    "str | None": (lambda value: value is None or isinstance(value, str), "a string or null"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "bool | None": (lambda value: value is None or isinstance(value, bool), "true, false or null"),
    "Sequence[str]": (lambda value: isinstance(value, str) or _is_texts(value), "a string or a list of strings"),
    "Sequence[float] | None": (lambda value: value is None or isinstance(value, list), "a list of numbers or null"),
    "Part": (lambda value: isinstance(value, Mapping), 'a part such as {"text": {"words": "cat"}}'),
    "Sequence[Part]": (lambda value: isinstance(value, list), 'a list of parts such as [{"text": {"words": "cat"}}]'),
}


def part_from_json(value: Any, place: str = "", depth: int = 0) -> Part:
    """The part that `to_json` was called on. Raises InvalidArgument naming the place of what is no part."""
    kind, tag, arguments = _kind_of(value, place, depth)
    here = f"{place}.{tag}" if place else tag
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for name in arguments:
        if name not in known:
            raise InvalidArgument(f'{here} has no argument "{name}".{did_you_mean(str(name), known)}')
    for name, field in known.items():
        if field.default is MISSING and field.default_factory is MISSING and name not in arguments:
            raise InvalidArgument(f'{here} needs the argument "{name}"')
    read = {name: _argument(kind, name, str(known[name].type), entry, f"{here}.{name}", depth) for name, entry in arguments.items()}
    return placed(here, lambda: kind(**read))


def _kind_of(value: Any, place: str, depth: int) -> tuple[type[Part], str, Mapping[str, Any]]:
    import vicino.query.examples
    import vicino.query.parts  # noqa: F401  every part is known once its module is loaded

    where = f"{place}: " if place else ""
    if depth > DEPTH_MAX:
        raise InvalidArgument(f"{where}parts of a query may lie {DEPTH_MAX} deep, this one lies deeper")
    if not isinstance(value, Mapping) or len(value) != 1:
        raise InvalidArgument(
            f'{where}a part of a query is an object with one key such as {{"dense": {{"x": [1, 0]}}}}, got {_shown(value)}'
        )
    ((tag, arguments),) = value.items()
    kind = Part.by_tag.get(tag)
    if kind is None:
        raise InvalidArgument(f"{where}there is no part {tag!r} of a query.{did_you_mean(str(tag), Part.by_tag)}")
    if not isinstance(arguments, Mapping):
        raise InvalidArgument(f'{where}"{tag}" takes an object of arguments, got {_shown(arguments)}')
    return kind, tag, arguments


def _argument(kind: type[Part], name: str, annotation: str, value: Any, place: str, depth: int) -> Any:
    if annotation in _TYPES:
        is_right, expected = _TYPES[annotation]
        if not is_right(value):
            raise InvalidArgument(f"{place} must be {expected}, got {_shown(value)}")
    if annotation == "Part":
        return part_from_json(value, place, depth + 1)
    if annotation == "Sequence[Part]":
        return [part_from_json(entry, f"{place}[{index}]", depth + 1) for index, entry in enumerate(value)]
    if (reader := kind.readers.get(name)) is not None:
        return placed(place, lambda: reader(value))
    # Conditions have a reader of their own in the part that takes them.
    return value if name == "where" else placed(place, lambda: from_json_value(value))


def placed(place: str, read: Callable[[], Any]) -> Any:
    """What `read` gives. What it refuses is told with the place; the kind of the error stays."""
    try:
        return read()
    except InvalidArgument as error:
        raise type(error)(f"{place}: {error.message}") from error
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        # A value of a type that nobody foresaw; the program is in order, so the value is at fault.
        raise InvalidArgument(f"{place} cannot be read: {error}") from error


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"
