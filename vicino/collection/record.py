"""`vicino.Record`: one record spelled in full, and the base of classes that declare the fields of their records."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

import numpy as np

from vicino.errors import SchemaError, did_you_mean
from vicino.types import RecordId

_NO_DEFAULT: Any = object()


def _positional(*, kw_only: bool = False, default: Any = ...) -> Any:
    """Tells type checkers which attributes of a record may be given by position; never called."""
    raise AssertionError


@dataclass_transform(kw_only_default=True, field_specifiers=(_positional,))
class _Declarations:
    """Marks the classes below for type checkers: annotations of subclasses are keyword arguments of their constructors."""


class _Field:
    """A declared field of a record class; its value lies in the record's `fields`."""

    __slots__ = ("default", "name")

    def __init__(self, name: str, default: Any) -> None:
        self.name, self.default = name, default

    def __get__(self, record: Record | None, owner: type) -> Any:
        if record is None:
            return self
        try:
            return record.fields[self.name]
        except KeyError:
            raise AttributeError(f'record {record.id!r} has no field "{self.name}"') from None

    def __set__(self, record: Record, value: Any) -> None:
        record.fields[self.name] = value


class Record(_Declarations):
    """An id, vectors by name, and fields: any JSON key is a legal field, "id" and "vector" too.

    A subclass declares fields as a dataclass does and takes them as keyword arguments; others lie in `fields` beside them:

    >>> class Book(Record):
    ...     title: str
    ...     year: int = 2000
    >>> Book("a", title="Emma").fields
    {'title': 'Emma', 'year': 2000}
    """

    __record_fields__: ClassVar[Mapping[str, bool] | None] = None
    """Declared fields -> must be given; None for Record itself."""

    if TYPE_CHECKING:
        id: RecordId = _positional()
        vectors: Mapping[str, Any] = _positional(default={})
        fields: dict[str, Any] = _positional(default={})

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        declared = dict(cls.__record_fields__ or {})
        for name in cls.__annotations__:
            if name.startswith("_") or name == "id":
                continue
            if name in ("vectors", "fields"):
                raise SchemaError(f'class {cls.__name__} declares a field "{name}", which every record has; choose another name')
            default = cls.__dict__.get(name, _NO_DEFAULT)
            declared[name] = default is _NO_DEFAULT
            setattr(cls, name, _Field(name, default))
        cls.__record_fields__ = declared

    def __init__(
        self, id: RecordId, vectors: Mapping[str, Any] | None = None, fields: Mapping[str, Any] | None = None, **declared: Any
    ) -> None:
        known = type(self).__record_fields__ or {}
        for name in declared:
            if name not in known:
                raise SchemaError(f'{type(self).__name__} declares no field "{name}".{did_you_mean(name, known)}')
        self.id = id
        self.vectors = dict(vectors or {})
        self.fields = {**(fields or {}), **declared}
        for name in known:
            if name not in self.fields and (default := getattr(type(self), name).default) is not _NO_DEFAULT:
                self.fields[name] = copy.deepcopy(default)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record) or type(self) is not type(other):
            return NotImplemented
        return (
            type(self.id) is type(other.id)
            and self.id == other.id
            and self.fields == other.fields
            and self.vectors.keys() == other.vectors.keys()
            and all(np.array_equal(vector, other.vectors[name]) for name, vector in self.vectors.items())
        )

    __hash__ = None  # type: ignore[assignment]  # fields can be changed

    def __repr__(self) -> str:
        vectors = f", vectors={{{', '.join(map(repr, self.vectors))}}}" if self.vectors else ""
        return f"{type(self).__name__}({self.id!r}{vectors}, fields={self.fields!r})"
