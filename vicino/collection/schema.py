"""The fields that the records of a collection are expected to have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vicino.collection.field_type import MISSING, FieldType, declared, field_type
from vicino.collection.typed import class_fields, forbids_other_fields
from vicino.errors import SchemaError, did_you_mean
from vicino.types import DEFAULT_VECTOR


@dataclass(frozen=True, slots=True)
class Schema(Mapping[str, FieldType]):
    """The fields a collection expects. An open schema accepts other fields beside them, a closed one refuses them."""

    fields: Mapping[str, FieldType] = field(default_factory=dict)
    closed: bool = False

    def __init__(self, fields: Mapping[str, Any] | None = None, *, closed: bool = False) -> None:
        object.__setattr__(self, "fields", {name: declared(spelling, name) for name, spelling in (fields or {}).items()})
        object.__setattr__(self, "closed", closed)

    @classmethod
    def read(cls, source: Any, *, vector_names: Iterable[str] = (DEFAULT_VECTOR,)) -> Schema:
        """The schema that `source` means: a Schema, a mapping of names to types, a class of records, or an Arrow schema.

        vector_names: attributes of these names, and "id", are no fields. Raises SchemaError for what cannot be read as a schema.
        """
        if isinstance(source, Schema):
            return source
        reserved = {"id", *vector_names}
        if isinstance(source, Mapping):
            return cls({name: spelling for name, spelling in source.items() if name not in reserved})
        if isinstance(source, type):
            return cls._of_class(source, reserved)
        if hasattr(source, "__arrow_c_schema__"):
            from vicino.collection.frames import arrow_field_types

            return cls({name: read for name, read in arrow_field_types(source).items() if name not in reserved})
        raise SchemaError(
            f"a schema is a vicino.Schema, a mapping of field names to types, a class of records or an Arrow schema, "
            f"got {type(source).__name__}"
        )

    @classmethod
    def _of_class(cls, source: type, reserved: set[str]) -> Schema:
        attributes = class_fields(source)
        if attributes is None:
            raise SchemaError(
                f"class {source.__name__} declares no fields that can be read; "
                "use a dataclass, a TypedDict, a msgspec Struct, a pydantic model, an attrs class or a vicino.Record"
            )
        if getattr(source, "__record_fields__", None) is not None:
            reserved = set()  # id and vectors of a vicino.Record lie beside its fields, which may have any name
        read = {name: (field_type(hint, name), required) for name, (hint, required) in attributes.items() if name not in reserved}
        return cls(
            {name: replace(kind, required=required and not kind.nullable) for name, (kind, required) in read.items()},
            closed=forbids_other_fields(source),
        )

    def check(self, documents: Sequence[Mapping[str, Any]], describe: Callable[[int], str] = "position {}".format) -> None:
        """Refuses the first document that does not fit, with a SchemaError that names record, field, expected and got.

        describe: says for an index which record it is, as `record "a" at position 17`.
        """
        if not self.fields and not self.closed:
            return
        for index, document in enumerate(documents):
            for name, kind in self.fields.items():
                value = document.get(name, MISSING)
                if value is MISSING:
                    if kind.required:
                        raise SchemaError(f'{describe(index)} has no field "{name}", which must be there and be {kind}')
                elif problem := kind.problem(value, name):
                    raise _misfit(problem, describe(index))
            if self.closed and len(document) > 0 and not document.keys() <= self.fields.keys():
                raise self._unknown(next(name for name in document if name not in self.fields), describe(index))

    def _unknown(self, name: str, record: str) -> SchemaError:
        return SchemaError(f'{record} has field "{name}", which the closed schema does not declare.{did_you_mean(name, self.fields)}')

    def from_plain(self, document: dict[str, Any]) -> dict[str, Any]:
        """A document read from a file without datetimes, UUIDs and geo points, with the declared ones turned from text into values."""
        for name, kind in self.fields.items():
            if name in document:
                document[name] = kind.from_plain(document[name])
        return document

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` gives an equal schema back."""
        return {"fields": {name: kind.to_json() for name, kind in self.fields.items()}, "closed": self.closed}

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> Schema:
        return cls({name: FieldType.from_json(kind) for name, kind in parts["fields"].items()}, closed=bool(parts["closed"]))

    def __getitem__(self, name: str) -> FieldType:
        return self.fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}: {kind}" for name, kind in self.fields.items())
        return f"Schema({{{fields}}}{', closed=True' if self.closed else ''})"


def _misfit(problem: tuple[str, str, Any], record: str) -> SchemaError:
    path, expected, value = problem
    shown = repr(value)
    shown = f"{shown[:60]}…" if len(shown) > 60 else shown
    got = "null" if value is None else shown if value is MISSING else f"{type(value).__name__} {shown}"
    return SchemaError(f'field "{path}" of {record} must be {expected}, got {got}')
