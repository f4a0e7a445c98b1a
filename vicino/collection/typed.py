"""Classes that describe records, read by what they look like: nothing of pydantic, msgspec or attrs is imported here.

A dataclass has `__dataclass_fields__`, a msgspec Struct `__struct_fields__`, a pydantic model `model_fields`, an attrs class
`__attrs_attrs__`, a TypedDict `__required_keys__`, and a class that derives from `vicino.Record` `__record_fields__`.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, get_args, get_origin

from vicino.errors import SchemaError
from vicino.types import RecordId

Fields = dict[str, tuple[Any, bool]]
"""Name of each attribute -> (its annotation, must it be given)."""

RecordFactory = Callable[[RecordId, Mapping[str, Any], Mapping[str, Any]], Any]
"""Makes the user's object from id, vectors and fields."""


@lru_cache(maxsize=256)
def class_fields(cls: type) -> Fields | None:
    """The declared attributes of a class of records, or None if it is no such class. Raises SchemaError for unresolvable names."""
    if (record_fields := getattr(cls, "__record_fields__", None)) is not None:
        hints = _hints(cls)
        return {name: (hints[name], required) for name, required in record_fields.items()}
    if (data_fields := getattr(cls, "__dataclass_fields__", None)) is not None:
        return _dataclass_fields(cls, data_fields)
    if (names := getattr(cls, "__struct_fields__", None)) is not None:
        return _struct_fields(cls, names)
    if (model_fields := getattr(cls, "model_fields", None)) is not None:
        return {name: (field.annotation, bool(field.is_required())) for name, field in model_fields.items()}
    if (attributes := getattr(cls, "__attrs_attrs__", None)) is not None:
        hints = _hints(cls)
        return {item.name: (hints.get(item.name, Any), getattr(item.default, "name", "") == "NOTHING") for item in attributes}
    if (required_keys := getattr(cls, "__required_keys__", None)) is not None:
        return {name: (hint, _is_required(hint, name in required_keys)) for name, hint in _hints(cls).items()}
    return None


def forbids_other_fields(cls: type) -> bool:
    """Whether the class itself says that no other keys may come (pydantic's extra="forbid", msgspec's forbid_unknown_fields)."""
    if getattr(getattr(cls, "__struct_config__", None), "forbid_unknown_fields", False):
        return True
    config = getattr(cls, "model_config", None)
    return isinstance(config, Mapping) and config.get("extra") == "forbid"


@lru_cache(maxsize=256)
def attribute_names(cls: type) -> tuple[str, ...] | None:
    """The attributes that make an object of this class a record, or None if the class is no class of records."""
    for marker in ("__dataclass_fields__", "__struct_fields__", "model_fields"):
        if (names := getattr(cls, marker, None)) is not None:
            return tuple(names)
    if (attributes := getattr(cls, "__attrs_attrs__", None)) is not None:
        return tuple(item.name for item in attributes)
    return None


def to_mapping(record: Any) -> dict[str, Any] | None:
    """The attributes of an object of a class of records, nested such objects turned into dicts too; None for any other object."""
    names = attribute_names(type(record))
    return None if names is None else {name: _plain(getattr(record, name)) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return [_plain(element) for element in value]
    nested = to_mapping(value)
    return value if nested is None else nested


def record_factory(cls: type, vector_names: tuple[str, ...]) -> RecordFactory:
    """A function that makes an object of the user's class from id, vectors and fields.

    Attributes named "id" or after a vector take those; the class's defaults fill what the record lacks, else None does. Fields that
    the class does not declare are kept by classes deriving from vicino.Record, and left out by others.
    """
    if getattr(cls, "__record_fields__", None) is not None:
        return lambda record_id, vectors, fields: cls(record_id, vectors=vectors, fields=fields)
    declared = class_fields(cls)
    if declared is None:
        raise SchemaError(f"{cls.__name__} declares no fields; use a dataclass, a msgspec Struct, a pydantic model or a vicino.Record")
    build = _builder(cls)
    vector_attributes = tuple(name for name in vector_names if name in declared)

    def make(record_id: RecordId, vectors: Mapping[str, Any], fields: Mapping[str, Any]) -> Any:
        given = {name: value for name, value in fields.items() if name in declared}
        given.update({name: vectors[name] for name in vector_attributes if name in vectors})
        if "id" in declared:
            given["id"] = record_id
        return build(given)

    return make


@lru_cache(maxsize=256)
def _builder(cls: type) -> Callable[[dict[str, Any]], Any]:
    """Makes an object of a class of records from its attributes; nested objects are still dicts."""
    if (validate := getattr(cls, "model_validate", None)) is not None:
        return validate  # pydantic builds nested models itself
    declared = class_fields(cls) or {}
    nested = {name: convert for name, (annotation, _) in declared.items() if (convert := _converter(annotation)) is not None}
    required = [name for name, (_, is_required) in declared.items() if is_required]

    def build(given: dict[str, Any]) -> Any:
        values = {name: nested[name](value) if name in nested else value for name, value in given.items() if name in declared}
        for name in required:
            values.setdefault(name, None)
        return cls(**values)

    return build


def _converter(annotation: Any) -> Callable[[Any], Any] | None:
    """How a stored value becomes what the annotation says, or None if it is that already."""
    if isinstance(annotation, type) and class_fields(annotation) is not None:
        return lambda value: _builder(annotation)(value) if isinstance(value, dict) else value
    converters = [convert for argument in get_args(annotation) if (convert := _converter(argument)) is not None]
    if not converters:
        return tuple_of if get_origin(annotation) is tuple else None
    convert_inner = converters[0]
    if get_origin(annotation) is tuple:
        return lambda value: tuple(convert_inner(element) for element in value)
    if get_origin(annotation) is dict:
        return lambda value: {name: convert_inner(element) for name, element in value.items()}
    return lambda value: [convert_inner(element) for element in value] if isinstance(value, list) else convert_inner(value)


def tuple_of(value: Any) -> Any:
    """Stored lists come back as the tuples that the class declares."""
    return tuple(value) if isinstance(value, list) else value


def _dataclass_fields(cls: type, data_fields: Mapping[str, Any]) -> Fields:
    hints = _hints(cls)
    return {
        name: (hints[name], field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING)
        for name, field in data_fields.items()
        if get_origin(hints[name]) is not typing.ClassVar and field.init
    }


def _struct_fields(cls: type, names: tuple[str, ...]) -> Fields:
    """msgspec aligns the defaults with the last fields; a keyword-only field without one has the marker NODEFAULT there."""
    hints = _hints(cls)
    defaults: tuple[Any, ...] = getattr(cls, "__struct_defaults__", ())
    lacking = len(names) - len(defaults)
    return {
        name: (hints[name], position < lacking or repr(defaults[position - lacking]) == "NODEFAULT") for position, name in enumerate(names)
    }


def _is_required(hint: Any, otherwise: bool) -> bool:
    """Where annotations are strings, `__required_keys__` does not know of NotRequired; the annotation itself does."""
    return {typing.Required: True, typing.NotRequired: False}.get(get_origin(hint), otherwise)


def _hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise SchemaError(
            f"the annotations of {cls.__name__} cannot be read: {error}; the names they use must be importable from {cls.__module__}"
        ) from error
