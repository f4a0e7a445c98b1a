"""Types of fields: what a schema says about one value, spelled as text (`"list[string]?"`) or as a Python annotation.

Text spelling: `string`, `integer`, `float`, `bool`, `datetime`, `uuid`, `geo`, `object`, `any`, `list[...]`; a `?` at the end allows null.
A type never converts: an integer is accepted where a float is declared, as everywhere in Python, and nothing else crosses kinds (a bool is
not an integer). Text becomes a datetime, a UUID or a geo point only where a file without such types is read (`from_plain`).
"""

from __future__ import annotations

import collections.abc
import datetime as dt
import types
import typing
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin

import numpy as np

from vicino.collection.typed import class_fields
from vicino.errors import SchemaError, did_you_mean
from vicino.types import GeoPoint

FieldKind = Literal["any", "string", "integer", "float", "bool", "datetime", "uuid", "geo", "object", "list"]

_PYTHON_TYPES: dict[FieldKind, tuple[type, ...]] = {
    "any": (object,),
    "string": (str,),
    "integer": (int,),
    "float": (float, int),
    "bool": (bool,),
    "datetime": (dt.date,),  # a datetime is a date in Python; a date is stored as its midnight in UTC
    "uuid": (uuid.UUID,),
    "geo": (GeoPoint,),
    "object": (dict,),
    "list": (list, tuple),
}

_KIND_OF_ANNOTATION: dict[Any, FieldKind] = {
    Any: "any",
    object: "any",
    str: "string",
    int: "integer",
    float: "float",
    bool: "bool",
    dt.datetime: "datetime",
    dt.date: "datetime",
    uuid.UUID: "uuid",
    GeoPoint: "geo",
    dict: "object",
    Mapping: "object",
    typing.Mapping: "object",
    collections.abc.MutableMapping: "object",
    list: "list",
    tuple: "list",
    collections.abc.Sequence: "list",
    collections.abc.Iterable: "list",
}


@dataclass(frozen=True, slots=True)
class FieldType:
    """What the values of one field are. `item` types the elements of a list, `fields` the keys of an object; None leaves them open."""

    kind: FieldKind = "any"
    item: FieldType | None = None
    fields: Mapping[str, FieldType] | None = None
    nullable: bool = False
    required: bool = False

    def __str__(self) -> str:
        inner = f"[{self.item}]" if self.item is not None else ""
        return f"{self.kind}{inner}{'?' if self.nullable else ''}"

    def problem(self, value: Any, path: str) -> tuple[str, str, Any] | None:
        """(path, what was expected, the value met) of the first value that does not fit, or None."""
        if isinstance(value, np.generic | np.ndarray):
            value = value.tolist()  # the core stores numpy's values as the plain ones
        if value is None:
            return None if self.nullable or self.kind == "any" else (path, str(self), value)
        if not self._fits(value):
            return (path, str(self), value)
        if self.item is not None:
            for position, element in enumerate(value):
                if found := self.item.problem(element, f"{path}[{position}]"):
                    return found
        for name, nested in (self.fields or {}).items():
            if name not in value:
                if nested.required:
                    return (f"{path}.{name}", f"{nested} (required)", MISSING)
            elif found := nested.problem(value[name], f"{path}.{name}"):
                return found
        return None

    def _fits(self, value: Any) -> bool:
        if isinstance(value, bool):
            return self.kind in ("bool", "any")
        if self.kind == "list":
            return isinstance(value, list | tuple) and not isinstance(value, GeoPoint)
        if self.kind == "object":
            return isinstance(value, Mapping)
        return isinstance(value, _PYTHON_TYPES[self.kind])

    def from_plain(self, value: Any) -> Any:
        """The value as this type where a file can only hold text or plain objects in its place; other values come back unchanged."""
        match self.kind, value:
            case "datetime", str():
                return _parsed(dt.datetime.fromisoformat, value)
            case "uuid", str():
                return _parsed(uuid.UUID, value)
            case "geo", {"lat": (int() | float()) as lat, "lon": (int() | float()) as lon, **rest} if not rest:
                return GeoPoint(float(lat), float(lon))
            case "list", [*elements] if self.item is not None:
                return [self.item.from_plain(element) for element in elements]
            case "object", dict() if self.fields:
                return {name: self.fields[name].from_plain(inner) if name in self.fields else inner for name, inner in value.items()}
        return value

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` gives an equal type back."""
        parts: dict[str, Any] = {"kind": self.kind}
        if self.item is not None:
            parts["item"] = self.item.to_json()
        if self.fields is not None:
            parts["fields"] = {name: nested.to_json() for name, nested in self.fields.items()}
        if self.nullable:
            parts["nullable"] = True
        if self.required:
            parts["required"] = True
        return parts

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> FieldType:
        """Reads `to_json`'s form. Raises SchemaError for a kind that does not exist."""
        kind = parts.get("kind")
        if kind not in _PYTHON_TYPES:
            raise SchemaError(f"a field type of kind {kind!r} is unknown.{did_you_mean(str(kind), _PYTHON_TYPES)}")
        item, fields = parts.get("item"), parts.get("fields")
        return cls(
            kind=kind,
            item=None if item is None else cls.from_json(item),
            fields=None if fields is None else {name: cls.from_json(nested) for name, nested in fields.items()},
            nullable=bool(parts.get("nullable", False)),
            required=bool(parts.get("required", False)),
        )


class _Missing:
    """A field that is not there, as opposed to null."""

    def __repr__(self) -> str:
        return "nothing"


MISSING: Any = _Missing()


def field_type(spelling: Any, field: str) -> FieldType:
    """The type that a text, an annotation, a class with fields, a mapping of an object's keys or a FieldType means.

    field: name of the field, for messages. Raises SchemaError where the spelling has no meaning as a field.
    """
    if isinstance(spelling, FieldType):
        return spelling
    if isinstance(spelling, str):
        return _parse_text(spelling, field)
    if isinstance(spelling, Mapping):
        return FieldType("object", fields={name: declared(nested, f"{field}.{name}") for name, nested in spelling.items()})
    return _from_annotation(spelling, field)


def declared(spelling: Any, field: str) -> FieldType:
    """The type of a field in a mapping of names to types: such a field must be there unless it may be null."""
    read = field_type(spelling, field)
    return read if isinstance(spelling, FieldType) else replace(read, required=not read.nullable and read.kind != "any")


def _parse_text(text: str, field: str) -> FieldType:
    spelled = text.strip()
    nullable = spelled.endswith("?")
    if nullable:
        spelled = spelled[:-1].rstrip()
    if spelled.startswith("list[") and spelled.endswith("]"):
        return FieldType("list", item=_parse_text(spelled[5:-1], field), nullable=nullable)
    if spelled not in _PYTHON_TYPES:
        raise SchemaError(f'type "{text}" of field "{field}" is unknown.{did_you_mean(spelled, _PYTHON_TYPES)}')
    return FieldType(typing.cast(FieldKind, spelled), nullable=nullable)


def _from_annotation(annotation: Any, field: str) -> FieldType:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated or origin in (typing.Required, typing.NotRequired):
        return _from_annotation(arguments[0], field)
    if origin in (typing.Union, types.UnionType):
        return _from_union(arguments, field)
    if origin is Literal:
        return _from_union(tuple(dict.fromkeys(type(value) for value in arguments)), field)
    try:
        kind = _KIND_OF_ANNOTATION.get(origin if origin is not None else annotation)
    except TypeError:  # an unhashable object is no annotation
        kind = None
    if kind == "list":
        elements = tuple(argument for argument in arguments if argument is not Ellipsis)
        return FieldType("list", item=_from_union(elements, field) if elements else None)
    if kind is not None:
        return FieldType(kind)
    if isinstance(annotation, type) and (nested := class_fields(annotation)) is not None:
        return FieldType(
            "object",
            fields={name: replace(field_type(inner, f"{field}.{name}"), required=required) for name, (inner, required) in nested.items()},
        )
    raise SchemaError(
        f'field "{field}" is declared as {_annotation_name(annotation)}, which no field can hold; '
        "use str, int, float, bool, datetime, UUID, GeoPoint, dict, list of these, a class of such fields, or Any"
    )


def _from_union(members: tuple[Any, ...], field: str) -> FieldType:
    """A union is a type if its members other than None are one kind, or are integer and float."""
    nullable = any(member in (None, type(None)) for member in members)
    read = [_from_annotation(member, field) for member in members if member not in (None, type(None))]
    if not read:
        return FieldType("any", nullable=True)
    if {member.kind for member in read} == {"integer", "float"}:
        return FieldType("float", nullable=nullable)
    if any(member != read[0] for member in read):
        kinds = ", ".join(dict.fromkeys(str(member) for member in read))
        raise SchemaError(f'field "{field}" is declared as one of {kinds}; a field has one type: choose one, or Any')
    return replace(read[0], nullable=nullable or read[0].nullable)


def _annotation_name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _parsed(parse: Any, text: str) -> Any:
    try:
        return parse(text)
    except ValueError:
        return text  # the check that follows names the record and the text
