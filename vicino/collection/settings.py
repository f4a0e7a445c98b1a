"""All settings of a collection, which are stored as JSON: its vectors, sparse vectors and text indexes, its schema, and how it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vicino.collection.schema import Schema
from vicino.collection.value_specs import MultiSpec, SparseSpec, TextSlot, TextSpec, ValueSlot
from vicino.collection.vector_spec import Index, VectorSlot, VectorSpec
from vicino.errors import CorruptionError, FormatError, InvalidArgument, SchemaError, did_you_mean
from vicino.recall.live import CHECKED_SHARE, KEPT_MAX
from vicino.storage.shape import expect_shape

NAME_BYTES_MAX = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a collection except its name. Changes make a new value; the collection stores it in its journal as JSON.

    vectors, values, texts: by name the dense vectors, the sparse and multi-vectors, and the text indexes; `next_slot` is the slot that
    the next new one of any of them gets.
    embed, model: fields whose text the model turns into the vector named "vector", and the exact identity of that model.
    ttl: datetime field at whose instant a record vanishes.
    indexes: path -> kind of the field indexes asked for; with `auto_index` the engine adds those that filters use.
    keep_queries: how many of the latest queries of each vector are kept to measure recall with. recall_checks: share of the queries under a
    promised recall that are run again exactly in the background.
    head_bytes_max, segment_rows_max: when a head is sealed and how far segments are merged; None leaves it to the engine.
    """

    vectors: Mapping[str, VectorSlot] = field(default_factory=dict)
    values: Mapping[str, ValueSlot] = field(default_factory=dict)
    texts: Mapping[str, TextSlot] = field(default_factory=dict)
    next_slot: int = 0
    schema: Schema = field(default_factory=Schema)
    embed: tuple[str, ...] = ()
    model: Mapping[str, Any] | None = None
    ttl: str | None = None
    indexes: Mapping[str, str] = field(default_factory=dict)
    auto_index: bool = True
    head_bytes_max: int | None = None
    segment_rows_max: int | None = None
    keep_queries: int = 0
    recall_checks: float = CHECKED_SHARE

    def __post_init__(self) -> None:
        if isinstance(self.keep_queries, bool) or not isinstance(self.keep_queries, int) or not 0 <= self.keep_queries <= KEPT_MAX:
            raise InvalidArgument(f"keep_queries must be an integer, 0 to {KEPT_MAX}, got {self.keep_queries!r}")
        if isinstance(self.recall_checks, bool) or not isinstance(self.recall_checks, int | float) or not 0 <= self.recall_checks <= 1:
            raise InvalidArgument(f"recall_checks must be a share of the queries, 0 to 1, got {self.recall_checks!r}")
        if self.ttl is not None and self.ttl in self.schema and self.schema[self.ttl].kind not in ("datetime", "any"):
            raise SchemaError(f'ttl field "{self.ttl}" must be a datetime, the schema declares {self.schema[self.ttl]}')
        for name in self.embed:
            if name in self.schema and self.schema[name].kind not in ("string", "any"):
                raise SchemaError(f'embed field "{name}" must be a string, the schema declares {self.schema[name]}')
        for name in ("head_bytes_max", "segment_rows_max"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidArgument(f"{name} must be at least 1, got {value}")

    @property
    def specs(self) -> dict[str, VectorSpec]:
        """The dense vectors without their slots."""
        return {name: entry.spec for name, entry in self.vectors.items()}

    @property
    def vector_names(self) -> tuple[str, ...]:
        """Every name that a flat record reserves for a vector of whatever kind."""
        return (*self.vectors, *self.values)

    def spec(self, name: str) -> VectorSpec:
        """The declaration of one vector. Raises InvalidArgument with the names there are."""
        if name in self.values:
            raise InvalidArgument(
                f'vector "{name}" is a {_kind(self.values[name].spec)}, and this needs a dense one: {_listed(self.vectors)}'
            )
        if name not in self.vectors:
            raise InvalidArgument(unknown_vector(name, self.vector_names))
        return self.vectors[name].spec

    def with_vector(self, name: str, spec: AnyVectorSpec) -> Settings:
        """With one vector more, in a slot of its own. Raises InvalidArgument for a name that is taken or not allowed."""
        _check_vector_name(name)
        if (found := self.vectors.get(name) or self.values.get(name)) is not None:
            raise InvalidArgument(f'vector "{name}" exists with {found.spec}; drop it first to declare it anew')
        if isinstance(spec, SparseSpec | MultiSpec):
            return replace(self, values={**self.values, name: ValueSlot(self.next_slot, spec)}, next_slot=self.next_slot + 1)
        if not isinstance(spec, VectorSpec):
            raise InvalidArgument(f'vector "{name}" must be declared with a VectorSpec, SparseSpec or MultiSpec, got {spec!r}')
        return replace(self, vectors={**self.vectors, name: VectorSlot(self.next_slot, spec)}, next_slot=self.next_slot + 1)

    def with_recall(self, name: str, recall: float | None) -> Settings:
        """With another recall promised for one dense vector."""
        spec = replace(self.spec(name), recall=recall)
        return replace(self, vectors={**self.vectors, name: VectorSlot(self.vectors[name].slot, spec)})

    def with_vector_index(self, name: str, index: Index) -> Settings:
        """With another index for one dense vector."""
        spec = replace(self.spec(name), index=index)
        return replace(self, vectors={**self.vectors, name: VectorSlot(self.vectors[name].slot, spec)})

    def without_vector(self, name: str) -> Settings:
        """Without one vector; its slot stays unused for ever, so that old files cannot be mistaken."""
        if name in self.values:
            return replace(self, values={other: entry for other, entry in self.values.items() if other != name})
        self.spec(name)
        return replace(self, vectors={other: entry for other, entry in self.vectors.items() if other != name})

    def with_text(self, name: str, spec: TextSpec) -> Settings:
        """With a text index more, in a slot of its own; without fields in `spec` it covers the field of its name.

        Raises InvalidArgument when there is one of this name, SchemaError when a field cannot hold text.
        """
        resolved = spec.resolved(name)
        for other in resolved.fields:
            if other in self.schema and self.schema[other].kind not in ("string", "list", "any"):
                raise SchemaError(f'field "{other}" of a text index must hold strings, the schema declares {self.schema[other]}')
        if (found := self.texts.get(name)) is not None:
            raise InvalidArgument(f'there is a text index "{name}" with {found.spec}; drop it first to declare it anew')
        return replace(self, texts={**self.texts, name: TextSlot(self.next_slot, resolved)}, next_slot=self.next_slot + 1)

    def without_text(self, name: str) -> Settings:
        """Without one text index; its slot stays unused for ever."""
        if name not in self.texts:
            raise InvalidArgument(f'there is no text index "{name}".{did_you_mean(name, self.texts)}')
        return replace(self, texts={other: entry for other, entry in self.texts.items() if other != name})

    def with_languages(self, found: Mapping[str, frozenset[str]]) -> Settings:
        """With languages that the analyzers of these text indexes have met."""
        return replace(self, texts={name: entry.with_languages(found.get(name, frozenset())) for name, entry in self.texts.items()})

    @property
    def text_fields(self) -> frozenset[str]:
        """Every field that a text index covers."""
        return frozenset(name for entry in self.texts.values() for name in entry.spec.fields)

    def with_index(self, path: str, kind: str) -> Settings:
        """With a field index of this kind on this path."""
        return replace(self, indexes={**self.indexes, path: kind})

    def without_index(self, path: str) -> Settings:
        """Without the field index on this path. Raises InvalidArgument with the paths that have one."""
        if path not in self.indexes:
            raise InvalidArgument(f'there is no index on field "{path}".{did_you_mean(path, self.indexes)}')
        return replace(self, indexes={other: kind for other, kind in self.indexes.items() if other != path})

    def with_model(self, model: Mapping[str, Any], embed: Sequence[str]) -> Settings:
        """With the identity of an embedding model and the fields whose text it turns into the vector named "vector"."""
        return replace(self, model=dict(model), embed=tuple(embed))

    def disagreements(self, other: Settings) -> list[str]:
        """What `other` (asked for) has different from these settings (stored), one sentence per difference.

        Indexes and sizes are left out: they change on a live collection and say nothing about what records may hold.
        """
        found = []
        for name in dict.fromkeys([*self.vectors, *other.vectors]):
            mine, asked = self.vectors.get(name), other.vectors.get(name)
            if mine is None:
                found.append(f'there is no vector "{name}"')
            elif asked is None:
                found.append(f'there is a vector "{name}", which was not asked for')
            else:
                found += _differences(f'vector "{name}"', mine.spec.to_json(), asked.spec.to_json())
        for what, mine, asked in (("vector", self.values, other.values), ("text index", self.texts, other.texts)):
            for name, entry in asked.items():
                if name not in mine:
                    found.append(f'there is no {what} "{name}"')
                else:
                    found += _differences(f'{what} "{name}"', mine[name].spec.to_json(), entry.spec.to_json())
        if other.schema.fields or other.schema.closed:
            found += _differences("schema", self.schema.to_json(), other.schema.to_json())
        if other.model is not None and self.model != other.model:
            found += _differences("model", self.model or {}, other.model)
        found += _differences("settings", {"embed": self.embed, "ttl": self.ttl}, {"embed": other.embed, "ttl": other.ttl})
        return found

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` gives equal settings back. Values and texts are left out where there are none."""
        values = {name: entry.to_json() for name, entry in self.values.items()}
        texts = {name: entry.to_json() for name, entry in self.texts.items()}
        return {
            **({"values": values} if values else {}),
            **({"texts": texts} if texts else {}),
            "vectors": {name: {"slot": entry.slot, **entry.spec.to_json()} for name, entry in self.vectors.items()},
            "next_slot": self.next_slot,
            "schema": self.schema.to_json(),
            "embed": list(self.embed),
            "model": None if self.model is None else dict(self.model),
            "ttl": self.ttl,
            "indexes": dict(self.indexes),
            "auto_index": self.auto_index,
            "head_bytes_max": self.head_bytes_max,
            "segment_rows_max": self.segment_rows_max,
            **({"keep_queries": self.keep_queries} if self.keep_queries else {}),
            **({"recall_checks": self.recall_checks} if self.recall_checks != CHECKED_SHARE else {}),
        }

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> Settings:
        """Reads `to_json`'s form. Raises FormatError for settings that this version does not know, CorruptionError for what are none."""
        expect_shape(parts, {}, "settings")
        values = {"values": {}, "texts": {}, "keep_queries": 0, "recall_checks": CHECKED_SHARE, **parts}
        if unknown := values.keys() - cls.__dataclass_fields__.keys():
            raise FormatError(f"settings {', '.join(sorted(unknown))} were written by a newer version of vicino; upgrade to open them")
        expect_shape(values, _JSON_SHAPE, "settings")
        slots = [entry["slot"] for kind in ("vectors", "values", "texts") for entry in values[kind].values()]
        if len(set(slots)) < len(slots) or any(slot >= values["next_slot"] for slot in slots):
            raise CorruptionError(
                f"settings: slots {slots} of vectors are not distinct numbers below {values['next_slot']}; restore from a snapshot"
            )
        try:
            values["vectors"] = {name: _slot_from_json(entry) for name, entry in values["vectors"].items()}
            values["values"] = {name: ValueSlot.from_json(entry) for name, entry in values["values"].items()}
            values["texts"] = {name: TextSlot.from_json(entry) for name, entry in values["texts"].items()}
            values["schema"] = Schema.from_json(values["schema"])
            values["embed"] = tuple(values["embed"])
            return cls(**values)
        except (KeyError, TypeError, AttributeError, InvalidArgument) as error:
            raise FormatError(f"the stored settings of a collection cannot be read: {error}; restore from a snapshot") from error

    @classmethod
    def from_bytes(cls, payload: bytes) -> Settings:
        """Reads the JSON text of a log record. Raises as `from_json` does."""
        import json

        try:
            parts = json.loads(payload)
        except ValueError as error:
            raise CorruptionError(f"a log record holds settings that are not JSON: {error}; restore from a snapshot") from error
        return cls.from_json(parts)


_JSON_SHAPE = {
    "vectors": {str: {"slot": int}},
    "values": {str: {"slot": int, "kind": str}},
    "texts": {str: {"slot": int, "fields": [str], "languages": [str]}},
    "next_slot": int,
    "schema": {"fields": {str: {"kind": str}}},
    "embed": [str],
    "model": ({}, None),
    "ttl": (str, None),
    "indexes": {str: str},
    "auto_index": bool,
    "head_bytes_max": (int, None),
    "segment_rows_max": (int, None),
    "keep_queries": int,
    "recall_checks": (float, int),
}


AnyVectorSpec = VectorSpec | SparseSpec | MultiSpec


def _kind(spec: SparseSpec | MultiSpec) -> str:
    return "sparse vector" if isinstance(spec, SparseSpec) else "multi-vector"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "there is none"


def unknown_vector(name: str, known: Iterable[str]) -> str:
    """Message for a vector name that the collection does not have."""
    names = list(known)
    if not names:
        return f'there is no vector "{name}": the collection was created without vectors; create it with dim=, vectors= or model='
    return f'there is no vector "{name}".{did_you_mean(name, names)}'


def _slot_from_json(entry: Mapping[str, Any]) -> VectorSlot:
    spec = dict(entry)
    return VectorSlot(spec.pop("slot"), VectorSpec(**spec))


def _check_vector_name(name: str) -> None:
    if not isinstance(name, str) or not name or name == "id":
        raise InvalidArgument(f'a vector name is a string that is neither empty nor "id", got {name!r}')
    if len(name.encode("utf-8", "surrogatepass")) > NAME_BYTES_MAX:
        raise InvalidArgument(f"a vector name has at most {NAME_BYTES_MAX} bytes, got {len(name)} characters: {name[:40]}…")


def _differences(what: str, mine: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} of {what} is {_shown(mine.get(key))}, asked for {_shown(asked.get(key))}"
        for key in dict.fromkeys([*mine, *asked])
        if mine.get(key) != asked.get(key)
    ]


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else "none" if value is None else str(value)
