"""What a database should hold, in plain Python: immutable values, one for every state, and the changes that lead from one to the next.

It shares no code with the engine. A record's vectors are kept as the bytes they were written as, since they must come back bit for bit.
A collection remembers what it looked like at its last versions, because `at(version)` promises them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vicino import VectorSpec
from vicino.collection.value_specs import MultiSpec, SparseSpec
from vicino.types import RecordId

Key = tuple[str, RecordId]
Spec = VectorSpec | SparseSpec | MultiSpec
Condition = Callable[[Mapping[str, Any]], bool]


def key_of(record_id: RecordId) -> Key:
    """1 and "1" are different ids, and Python's 1 == 1.0 must not matter."""
    return type(record_id).__name__, record_id


@dataclass(frozen=True, slots=True)
class Given:
    """A record as it is handed to a write."""

    id: RecordId
    vectors: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, **self.vectors, **self.fields}


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it is kept: the vectors by name as bytes, and the version that last wrote it."""

    id: RecordId
    vectors: Mapping[str, bytes]
    fields: Mapping[str, Any]
    version: int


Records = Mapping[Key, Stored]


@dataclass(frozen=True, slots=True)
class CollectionState:
    """vectors: of every kind. texts: the fields of each text index. past: the records at the last `retain` versions, by version, with the
    names of the vectors there were."""

    vectors: Mapping[str, Spec]
    indexes: Mapping[str, str] = field(default_factory=dict)
    ttl: str | None = None
    version: int = 0
    records: Records = field(default_factory=dict)
    retain: int = 0
    past: Mapping[int, tuple[frozenset[str], Records]] = field(default_factory=dict)
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    # ---- what there is

    def where(self, condition: Condition, now: dt.datetime | None = None) -> list[Stored]:
        return [record for record in self.visible(now).values() if condition(record.fields)]

    def visible(self, now: dt.datetime | None) -> Records:
        """The records that have not expired."""
        if self.ttl is None or now is None:
            return self.records
        return {key: record for key, record in self.records.items() if not is_expired(record, self.ttl, now)}

    # ---- changes

    def after_commit(self, records: Records) -> CollectionState:
        return replace(self, version=self.version + 1, records=records, past=self._past())

    def after_upsert(self, given: Sequence[Given]) -> CollectionState:
        if not given:
            return self
        version = self.version + 1
        records = dict(self.records)
        for one in given:
            records[key_of(one.id)] = self._stored(one, version)
        return self.after_commit(records)

    def after_delete(self, ids: Iterable[RecordId]) -> CollectionState:
        gone = {key_of(record_id) for record_id in ids} & self.records.keys()
        if not gone:
            return self
        return self.after_commit({key: record for key, record in self.records.items() if key not in gone})

    def after_update(
        self,
        ids: Iterable[RecordId],
        *,
        set_fields: Mapping[str, Any] | None = None,
        unset: Sequence[str] = (),
        replaced: bool = False,
        vectors: Mapping[str, Sequence[np.ndarray[Any, Any]] | None] | None = None,
    ) -> CollectionState:
        """All ids must exist. vectors: by name, one for every id, or None to remove it."""
        chosen = list(ids)
        if not chosen:
            return self
        version, records = self.version + 1, dict(self.records)
        for position, record_id in enumerate(chosen):
            before = records[key_of(record_id)]
            fields = dict(set_fields or {}) if replaced else {**before.fields, **(set_fields or {})}
            for name in unset:
                fields.pop(name, None)
            own = dict(before.vectors)
            for name, rows in (vectors or {}).items():
                own.pop(name, None)
                if rows is not None:
                    own[name] = self._bytes(name, rows[position])
            records[key_of(record_id)] = Stored(before.id, own, fields, version)
        return self.after_commit(records)

    def with_vector(self, name: str, spec: Spec) -> CollectionState:
        return replace(self.after_commit(self.records), vectors={**self.vectors, name: spec})

    def without_vector(self, name: str) -> CollectionState:
        def without(record: Stored) -> Stored:
            return replace(record, vectors={other: row for other, row in record.vectors.items() if other != name})

        state = self.after_commit({key: without(record) for key, record in self.records.items()})
        return replace(state, vectors={other: spec for other, spec in self.vectors.items() if other != name})

    def with_index(self, path: str, kind: str) -> CollectionState:
        if self.indexes.get(path) == kind:
            return self
        return replace(self.after_commit(self.records), indexes={**self.indexes, path: kind})

    def without_index(self, path: str) -> CollectionState:
        return replace(self.after_commit(self.records), indexes={other: kind for other, kind in self.indexes.items() if other != path})

    def with_text(self, name: str, fields: tuple[str, ...]) -> CollectionState:
        return replace(self.after_commit(self.records), texts={**self.texts, name: fields})

    def without_text(self, name: str) -> CollectionState:
        return replace(self.after_commit(self.records), texts={other: fields for other, fields in self.texts.items() if other != name})

    # ---- inside

    def _past(self) -> dict[int, tuple[frozenset[str], Records]]:
        oldest = self.version + 1 - self.retain
        past = {version: state for version, state in self.past.items() if version >= oldest}
        if self.version >= oldest:
            past[self.version] = (frozenset(self.vectors), self.records)
        return past

    def _stored(self, given: Given, version: int) -> Stored:
        return Stored(given.id, {name: self._bytes(name, row) for name, row in given.vectors.items()}, dict(given.fields), version)

    def _bytes(self, name: str, row: Any) -> bytes:
        spec = self.vectors[name]
        if isinstance(spec, SparseSpec):
            return sparse_bytes(row)
        return np.ascontiguousarray(row, dtype=spec.dtype if isinstance(spec, MultiSpec) else spec.numpy_dtype).tobytes()


def sparse_bytes(vector: Mapping[int, float]) -> bytes:
    """Indices, then weights, by rising index."""
    order = sorted(vector)
    return np.array(order, np.uint32).tobytes() + np.array([vector[index] for index in order], np.float32).tobytes()


def is_expired(record: Stored, ttl: str, now: dt.datetime) -> bool:
    until = record.fields.get(ttl)
    return isinstance(until, dt.datetime) and until <= now


@dataclass(frozen=True, slots=True, eq=False)
class DatabaseState:
    """collections: by name. aliases: second name -> name. snapshots: the folders of finished snapshots and what they hold.

    snapshots None: nobody looked at them; such a state equals one with any.
    """

    collections: Mapping[str, CollectionState] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    snapshots: Mapping[str, DatabaseState] | None = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DatabaseState):
            return NotImplemented
        looked = self.snapshots is not None and other.snapshots is not None
        return self.collections == other.collections and self.aliases == other.aliases and (not looked or self.snapshots == other.snapshots)

    __hash__ = None  # type: ignore[assignment]  # holds mappings

    def with_collection(self, name: str, state: CollectionState) -> DatabaseState:
        return replace(self, collections={**self.collections, name: state})

    def without_collection(self, name: str) -> DatabaseState:
        return replace(
            self,
            collections={other: state for other, state in self.collections.items() if other != name},
            aliases={alias: target for alias, target in self.aliases.items() if target != name},
        )

    def renamed(self, name: str, to: str) -> DatabaseState:
        return replace(
            self,
            collections={to if other == name else other: state for other, state in self.collections.items()},
            aliases={alias: to if target == name else target for alias, target in self.aliases.items()},
        )

    def with_alias(self, alias: str, target: str | None) -> DatabaseState:
        aliases = {other: found for other, found in self.aliases.items() if other != alias}
        return replace(self, aliases=aliases if target is None else {**aliases, alias: target})

    def with_snapshot(self, path: str) -> DatabaseState:
        return replace(self, snapshots={**(self.snapshots or {}), path: self.as_copied()})

    def as_copied(self) -> DatabaseState:
        """What a snapshot of this state holds: no history, no snapshots."""
        bare = {name: replace(state, retain=0, past={}) for name, state in self.collections.items()}
        return DatabaseState(bare, self.aliases)

    def __repr__(self) -> str:
        # Short: failure messages list several states. `difference` says what two of them disagree about.
        shown = ", ".join(f"{name} v{state.version} n={len(state.records)}" for name, state in sorted(self.collections.items()))
        aliases = "".join(f" {alias}->{target}" for alias, target in sorted(self.aliases.items()))
        return f"<{shown}{aliases}{' +' + str(len(self.snapshots)) + ' snapshots' if self.snapshots else ''}>"


def difference(expected: DatabaseState, found: DatabaseState) -> str:
    """What two states disagree about, in words; empty when they are equal."""
    lines = []
    for what, wanted, got in (
        ("collections", sorted(expected.collections), sorted(found.collections)),
        ("aliases", dict(expected.aliases), dict(found.aliases)),
        ("snapshots", sorted(expected.snapshots or ()), sorted(found.snapshots or ())),
    ):
        if wanted != got:
            lines.append(f"{what}: expected {wanted}, found {got}")
    for name in expected.collections.keys() & found.collections.keys():
        lines += [f"{name}: {line}" for line in _collection_difference(expected.collections[name], found.collections[name])]
    copies, found_copies = expected.snapshots or {}, found.snapshots or {}
    for path in copies.keys() & found_copies.keys():
        lines += [f"{path}: {line}" for line in difference(copies[path], found_copies[path]).splitlines()]
    return "\n".join(lines)


def _collection_difference(expected: CollectionState, found: CollectionState) -> list[str]:
    lines = [
        f"{name}: expected {getattr(expected, name)}, found {getattr(found, name)}"
        for name in ("vectors", "indexes", "texts", "ttl", "version")
        if getattr(expected, name) != getattr(found, name)
    ]
    lines += _records_difference("", expected.records, found.records)
    if expected.past.keys() != found.past.keys():
        lines.append(f"past versions: expected {sorted(expected.past)}, found {sorted(found.past)}")
    for version in expected.past.keys() & found.past.keys():
        names, found_names = expected.past[version][0], found.past[version][0]
        if names != found_names:
            lines.append(f"at version {version}: expected vectors {sorted(names)}, found {sorted(found_names)}")
        lines += _records_difference(f"at version {version}: ", expected.past[version][1], found.past[version][1])
    return lines


def _records_difference(prefix: str, expected: Records, found: Records) -> list[str]:
    lines = [f"{prefix}record {key} is missing" for key in expected.keys() - found.keys()]
    lines += [f"{prefix}record {key} was invented: {found[key]}" for key in found.keys() - expected.keys()]
    lines += [
        f"{prefix}record {key}: expected {expected[key]}, found {found[key]}"
        for key in expected.keys() & found.keys()
        if expected[key] != found[key]
    ]
    return lines
