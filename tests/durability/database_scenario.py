"""A whole database used in every way, for the crash images: the state is everything a user can see, and the oracle says what it becomes.

Records have vectors, sparse and multi-vectors, and texts that are indexed. Heads of a few rows, merges of two segments and graphs over four
make a script of some dozen calls pass through seals, merges, graph and index builds, checkpoints of the catalog and removal of old files.
Tasks run inline, so a seed is a script.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np
import pytest

import vicino
from tests.durability.deferring_env import DeferringEnv
from tests.durability.harness import State, Step
from tests.property.invariants import check_sound, read_database, read_snapshots
from tests.property.lexical import PLAIN
from tests.property.oracle import CollectionState, DatabaseState, Given, Spec, Stored, difference
from vicino import Database, VectorSpec
from vicino.collection.limits import Limits
from vicino.collection.shard import Shard
from vicino.collection.value_specs import MultiSpec, SparseSpec, TextSpec
from vicino.env import Env
from vicino.errors import MemoryLimitError, StorageError
from vicino.types import RecordId, SyncLevel

ROOT = "/db"
SNAPSHOTS = "/snapshots"
RETAIN = 2
LIMITS = Limits(head_rows_max=8, merge_fan_in=2, graph_rows_min=4, close_log_bytes_max=4096, backlog_max=1000)

_NAMES = ("ant", "bee", "cat", "dog")
_ALIASES = ("one", "two")
_SPECS: dict[str, Spec] = {
    "vector": VectorSpec(3, "cosine"),
    "small": VectorSpec(2, "l2", "int8"),
    "bits": VectorSpec(12, "hamming", "binary"),
    "bag": SparseSpec(idf=True),
    "tokens": MultiSpec(2, dtype="int8"),
}
_TEXTS = {"tag": ("tag",), "list": ("list",), "both": ("tag", "list")}
_IDS: list[RecordId] = [*range(8), "1", "a", "b", "longer than most ids", uuid.UUID(int=1), uuid.UUID(int=2)]
_FIELDS = ("n", "tag", "list", "deep")


class DatabaseScenario:
    """with_catalog: collections are created, renamed, deleted too; without, there is one, for the sync levels that promise less.

    deferred: background work runs only now and then, so that several heads wait to be sealed when a crash comes.
    """

    def __init__(self, sync: SyncLevel = "commit", *, with_catalog: bool = True, deferred: bool = False) -> None:
        self._sync: SyncLevel = sync
        self._deferred = deferred
        self._deferring: DeferringEnv | None = None
        self._with_catalog = with_catalog
        self.durable_reads = sync == "commit"
        self._database: Database | None = None
        self._failed: list[DatabaseState] | None = None

    @property
    def database(self) -> Database:
        assert self._database is not None
        return self._database

    # ---- what the harness asks for

    def create(self, env: Env) -> State:
        env.files.mkdir(SNAPSHOTS)
        env.files.sync_dir("/")
        self._open(env)
        self.database.create_collection("ant", vectors=dict(_SPECS), text={"list": _text_spec("list")})
        return DatabaseState().with_collection("ant", _new_collection(_SPECS, texts={"list": _TEXTS["list"]}))

    def reopen(self, env: Env) -> State:
        self._abandon(env)
        self._failed = None
        self._open(env)
        return self._observe(env)

    def read(self, env: Env) -> State:
        with vicino.open(ROOT, mode="r", _env=env) as database:
            return read_database(database, retain=RETAIN)

    def step(self, env: Env, state: State, chance: random.Random) -> Step:
        if self._failed is not None:
            if self.database._closed:
                return Step("use a closed database", [state], lambda: self.database.names())
            if self._is_poisoned():
                return Step("write after a lost sync", self._failed, self._expect_refusal)
            try:
                state = self._after_failure(env, self._failed)
            except StorageError as error:
                return Step("read after an error", self._failed, partial(_raise, error))
        step = self._some_step(env, state, chance)
        act, before = step.act, state
        let_run = chance.random() < 0.3

        def checked() -> None:
            self._failed = [before, *step.states]
            act()
            if let_run:
                self._run_tasks()
            self._failed = None
            self._expect_no_hidden_error()

        step.act = checked
        step.durable = self._sync == "commit"
        return step

    def _is_poisoned(self) -> bool:
        """Whether an error has left it unknown what a journal holds; reopening decides, so nothing more may be acknowledged by it."""
        journals = [self.database._catalog.journal, *(shard.journal for shard, _ in self.database._shards.values())]
        return any(journal._log is not None and journal._log._failure is not None for journal in journals)

    def _expect_refusal(self) -> None:
        """Every collection whose journal is poisoned refuses to write, and so does a poisoned catalog."""
        for collection_id, (shard, _) in list(self.database._shards.items()):
            if isinstance(shard, Shard) and shard.journal._log is not None and shard.journal._log._failure is not None:
                name = self.database._catalog.state.name_of(collection_id)
                with pytest.raises(StorageError):
                    self.database.collection(name).upsert({"id": 1, "n": 1})
        if self.database._catalog.journal._log._failure is not None:  # type: ignore[union-attr]
            with pytest.raises(StorageError):
                self.database.create_collection("new")
        raise StorageError("refused, as it should be")

    def _after_failure(self, env: Env, possible: list[DatabaseState]) -> DatabaseState:
        """After an error a user may go on: what is seen now is one of the states the call could have left, and counts."""
        found = read_database(self.database, retain=RETAIN, snapshots=read_snapshots(env, SNAPSHOTS))
        if found not in possible:
            raise AssertionError(f"after an error found {found!r}, possible {possible!r}: {difference(possible[-1], found)}")
        return found

    def _expect_no_hidden_error(self) -> None:
        """Background jobs keep their errors to themselves; here only those of the file system are expected."""
        for _, maintenance in self.database._shards.values():
            error = None if maintenance is None else maintenance.last_error
            if error is not None and not isinstance(error, StorageError | MemoryLimitError):
                raise AssertionError("a background job failed") from error

    # ---- opening

    def _open(self, env: Env) -> None:
        self._deferring = DeferringEnv(env) if self._deferred else None
        own = cast(Env, self._deferring or env)
        self._database = vicino.open(ROOT, _env=own, limits=LIMITS, retain=RETAIN, sync=self._sync)

    def _run_tasks(self) -> None:
        if self._deferring is not None:
            self._deferring.run_tasks()

    def _abandon(self, env: Env) -> None:
        """Lets go of the old handle as a killed process does: nothing is written, the lock is free."""
        self._database = None
        getattr(env.files, "_inner", env.files).locked.clear()

    def _observe(self, env: Env) -> State:
        check_sound(self.database)
        return read_database(self.database, retain=RETAIN, snapshots=read_snapshots(env, SNAPSHOTS))

    # ---- steps

    def _some_step(self, env: Env, state: DatabaseState, chance: random.Random) -> Step:
        steps: list[tuple[int, Callable[..., Step | None]]] = [
            (10, self._upsert),
            (4, self._add),
            (3, self._upsert_in_slices),
            (3, self._conditional),
            (5, self._update),
            (3, self._update_vectors),
            (5, self._delete),
            (2, self._index),
            (2, self._vector),
            (3, self._text),
            (2, self._optimize),
            (2, self._close_and_open),
        ]
        if self._with_catalog:
            steps += [
                (3, self._create_collection),
                (2, self._delete_collection),
                (2, self._rename),
                (2, self._alias),
                (1, self._checkpoint_catalog),
                (1, self._snapshot),
            ]
        while True:
            (make,) = chance.choices([make for _, make in steps], [weight for weight, _ in steps])
            if (step := make(env, state, chance)) is not None:
                return step

    def _target(self, state: DatabaseState, chance: random.Random) -> tuple[str, CollectionState, Any] | None:
        if not state.collections:
            return None
        name = chance.choice(sorted(state.collections))
        return name, state.collections[name], _Handle(self.database, name)

    def _change(self, state: DatabaseState, name: str, what: str, after: CollectionState, act: Callable[[], object]) -> Step:
        return Step(f"{what} in {name}", [state.with_collection(name, after)], act)

    def _upsert(self, env: Env, state: DatabaseState, chance: random.Random) -> Step | None:
        if (target := self._target(state, chance)) is None:
            return None
        name, before, collection = target
        given = _some_records(before, chance)
        return self._change(
            state, name, f"upsert {len(given)}", before.after_upsert(given), lambda: collection.upsert([one.to_dict() for one in given])
        )

    def _add(self, env: Env, state: DatabaseState, chance: random.Random) -> Step | None:
        if (target := self._target(state, chance)) is None:
            return None
        name, before, collection = target
        given = [one for one in _some_records(before, chance) if (type(one.id).__name__, one.id) not in before.records]
        if not given:
            return None
        return self._change(
            state, name, f"add {len(given)}", before.after_upsert(given), lambda: collection.add([one.to_dict() for one in given])
        )

    def _upsert_in_slices(self, env: Env, state: DatabaseState, chance: random.Random) -> Step | None:
        """A call that makes several commits: a crash between them leaves the first ones."""
        if (target := self._target(state, chance)) is None:
            return None
        name, before, collection = target
        given = _some_records(before, chance, n_max=9)
        states, after = [], before
        for first in range(0, len(given), 2):
            after = after.after_upsert(given[first : first + 2])
            states.append(state.with_collection(name, after))
        return Step(f"upsert in slices in {name}", states, lambda: collection.upsert([one.to_dict() for one in given], batch=2))

    def _conditional(self, env: Env, state: DatabaseState, chance: random.Random) -> Step | None:
        if (target := self._target(state, chance)) is None:
            return None
        name, before, collection = target
        given = _some_records(before, chance)
        if chance.random() < 0.5:
            new = [one for one in given if (type(one.id).__name__, one.id) not in before.records]
            return self._change(
                state,
                name,
                "upsert if absent",
                before.after_upsert(new),
                lambda: collection.upsert([g.to_dict() for g in given], if_absent=True),
            )
        bound = chance.randrange(10)

        def replaced(one: Given) -> bool:
            old = before.records.get((type(one.id).__name__, one.id))
            return old is None or _number_at_least(old.fields, bound)

        kept = [one for one in given if replaced(one)]
        return self._change(
            state,
            name,
            "upsert where",
            before.after_upsert(kept),
            lambda: collection.upsert([one.to_dict() for one in given], where={"n": {"$gte": bound}}),
        )

    def _update(self, env: Env, state: DatabaseState, chance: random.Random) -> Step | None:
        if (target := self._target(state, chance)) is None:
            return None
        name, before, collection = target
        changes = {
            "set_fields": _some_fields(chance),
            "unset": chance.sample(_FIELDS, chance.randrange(2)),
            "replaced": chance.random() < 0.2,
        }
        given = {"set": changes["set_fields"], "unset": changes["unset"], "replace": changes["replaced"]}
        if chance.random() < 0.4:
            bound = chance.randrange(10)
            ids = [record.id for record in before.where(lambda fields: _number_at_least(fields, bound))]
            return self._change(
                state,
                name,
                "update where",
                before.after_update(ids, **changes),
                lambda: collection.update(where={"n": {"$gte": bound}}, **given),
            )
        ids = _some_of(before, chance)
        return None if not ids else self._change(
            state, name, f"update {len(ids)}", before.after_update(ids, **changes), lambda: collection.update(ids, **given)
        )  # fmt: skip

    def _update_vectors(self, env: Env, state: DatabaseState, chance: random.Random) -> Step | None:
        if (target := self._target(state, chance)) is None:
            return None
        name, before, collection = target
        ids = _some_of(before, chance)
        if not ids or not before.vectors:
            return None
        vectors: dict[str, Any] = {}
        for vector in chance.sample(sorted(before.vectors), chance.randint(1, len(before.vectors))):
            spec = before.vectors[vector]
            vectors[vector] = None if chance.random() < 0.2 else [_some_vector(spec, chance) for _ in ids]
        fields = _some_fields(chance) if chance.random() < 0.5 else None
        after = before.after_update(ids, set_fields=fields, vectors=vectors)
        return self._change(
            state, name, f"update vectors of {len(ids)}", after, lambda: collection.update(ids, set=fields, vectors=vectors)
        )

    def _delete(self, env: Env, state: DatabaseState, chance: random.Random) -> Step | None:
        if (target := self._target(state, chance)) is None:
            return None
        name, before, collection = target
        if chance.random() < 0.3:
            bound = chance.randrange(4, 10)
            ids = [record.id for record in before.where(lambda fields: _number_at_least(fields, bound))]
            return self._change(
                state, name, "delete where", before.after_delete(ids), lambda: collection.delete(where={"n": {"$gte": bound}})
            )
        ids = chance.sample(_IDS, chance.randint(1, 4))
        return self._change(state, name, f"delete {len(ids)}", before.after_delete(ids), lambda: collection.delete(ids))

    def _index(self, env: Env, state: DatabaseState, chance: random.Random) -> Step | None:
        if (target := self._target(state, chance)) is None:
            return None
        name, before, collection = target
        path = chance.choice(_FIELDS)
        if path in before.indexes and chance.random() < 0.5:
            return self._change(state, name, "drop an index", before.without_index(path), lambda: collection.drop_index(path))
        kind = chance.choice(["scalar", "text"])
        return self._change(state, name, "create an index", before.with_index(path, kind), lambda: collection.create_index(path, kind=kind))

    def _vector(self, env: Env, state: DatabaseState, chance: random.Random) -> Step | None:
        if (target := self._target(state, chance)) is None:
            return None
        name, before, collection = target
        vector = chance.choice(sorted(_SPECS))
        if vector in before.vectors:
            return self._change(state, name, "drop a vector", before.without_vector(vector), lambda: collection.drop_vector(vector))
        spec = _SPECS[vector]
        if not isinstance(spec, SparseSpec):
            spec = replace(spec, dim=chance.choice([spec.dim, 9]))
        return self._change(state, name, "add a vector", before.with_vector(vector, spec), lambda: collection.add_vector(vector, spec))

    def _text(self, env: Env, state: DatabaseState, chance: random.Random) -> Step | None:
        if (target := self._target(state, chance)) is None:
            return None
        name, before, collection = target
        text = chance.choice(sorted(_TEXTS))
        if text in before.texts:
            return self._change(state, name, "drop a text index", before.without_text(text), lambda: collection.drop_text(text))
        after = before.with_text(text, _TEXTS[text])
        return self._change(state, name, "add a text index", after, lambda: collection.add_text(text, _text_spec(text)))

    def _optimize(self, env: Env, state: DatabaseState, chance: random.Random) -> Step | None:
        if (target := self._target(state, chance)) is None:
            return None
        name, _, collection = target

        def act() -> None:
            collection.optimize(wait=not self._deferred)
            if not self._deferred:
                own = self.database.collection(name)
                assert not any(own._shard.snapshot().n_uncovered(entry.slot) for entry in own.settings.texts.values())

        return Step(f"optimize {name}", [state], act)

    def _close_and_open(self, env: Env, state: DatabaseState, chance: random.Random) -> Step:
        def act() -> None:
            self._run_tasks()  # closing waits for them
            self.database.close()
            self._open(env)

        return Step("close and open", [state], act)

    def _create_collection(self, env: Env, state: DatabaseState, chance: random.Random) -> Step | None:
        name = chance.choice(_NAMES)
        if name in state.collections or name in state.aliases:
            return None
        specs = {vector: _SPECS[vector] for vector in chance.sample(sorted(_SPECS), chance.randrange(len(_SPECS) + 1))}
        after = state.with_collection(name, _new_collection(specs))
        return Step(f"create {name}", [after], lambda: self.database.create_collection(name, vectors=specs))

    def _delete_collection(self, env: Env, state: DatabaseState, chance: random.Random) -> Step | None:
        if not state.collections:
            return None
        name = chance.choice(sorted(state.collections))

        def act() -> None:
            self._run_tasks()  # deleting waits for them
            self.database.delete_collection(name)

        return Step(f"delete {name}", [state.without_collection(name)], act)

    def _rename(self, env: Env, state: DatabaseState, chance: random.Random) -> Step | None:
        free = [name for name in _NAMES if name not in state.collections]
        if not state.collections or not free:
            return None
        name, to = chance.choice(sorted(state.collections)), chance.choice(free)
        return Step(f"rename {name} to {to}", [state.renamed(name, to)], lambda: self.database.rename_collection(name, to))

    def _alias(self, env: Env, state: DatabaseState, chance: random.Random) -> Step | None:
        alias = chance.choice(_ALIASES)
        target = None if alias in state.aliases and chance.random() < 0.3 else chance.choice([*sorted(state.collections), None])
        if target is None and alias not in state.aliases:
            return None
        return Step(f"alias {alias} of {target}", [state.with_alias(alias, target)], lambda: self.database.alias(alias, target))

    def _checkpoint_catalog(self, env: Env, state: DatabaseState, chance: random.Random) -> Step:
        return Step("checkpoint the catalog", [state], self.database._catalog.checkpoint)

    def _snapshot(self, env: Env, state: DatabaseState, chance: random.Random) -> Step | None:
        if len(state.snapshots or ()) >= 2:
            return None
        path = f"{SNAPSHOTS}/{len(state.snapshots or ())}"
        return Step("snapshot", [state.with_snapshot(path)], lambda: self.database.snapshot(path))


class _Handle:
    """A collection that is opened by the call itself, so that an error while opening it is an error of the call."""

    def __init__(self, database: Database, name: str) -> None:
        self._database, self._name = database, name

    def __getattr__(self, verb: str) -> Callable[..., object]:
        return lambda *args, **options: getattr(self._database.collection(self._name), verb)(*args, **options)


def _raise(error: Exception) -> None:
    raise error


def _text_spec(name: str) -> TextSpec:
    return TextSpec(_TEXTS[name], analyzer=PLAIN, positions=name == "both")


def _new_collection(specs: dict[str, Spec], texts: Mapping[str, tuple[str, ...]] | None = None) -> CollectionState:
    return CollectionState(dict(specs), retain=RETAIN, texts=texts or {})


def _number_at_least(fields: Any, bound: int) -> bool:
    return isinstance(fields.get("n"), int) and fields["n"] >= bound


def _some_of(state: CollectionState, chance: random.Random) -> list[RecordId]:
    stored: list[Stored] = list(state.records.values())
    return [record.id for record in chance.sample(stored, min(len(stored), chance.randint(1, 3)))]


def _some_records(state: CollectionState, chance: random.Random, n_max: int = 5) -> list[Given]:
    ids = chance.sample(_IDS, chance.randint(1, n_max))
    return [Given(record_id, _some_vectors(state, chance), _some_fields(chance)) for record_id in ids]


def _some_vectors(state: CollectionState, chance: random.Random) -> dict[str, Any]:
    return {name: _some_vector(spec, chance) for name, spec in state.vectors.items() if chance.random() < 0.8}


def _some_vector(spec: Spec, chance: random.Random) -> Any:
    if isinstance(spec, SparseSpec):
        return {index: chance.choice([0.5, 1.0, 2.0]) for index in chance.sample(range(6), chance.randint(1, 3))}
    if isinstance(spec, MultiSpec):
        return np.array([[chance.randint(-8, 8) for _ in range(spec.dim)] for _ in range(chance.randint(1, 3))], np.int8)
    if spec.dtype == "binary":
        return np.packbits([chance.random() < 0.5 for _ in range(spec.dim)])
    return np.array([chance.randint(-8, 8) for _ in range(spec.dim)], spec.numpy_dtype)


def _some_fields(chance: random.Random) -> dict[str, Any]:
    fields: dict[str, Any] = {"n": chance.randrange(10), "tag": chance.choice(["red", "green", "blue apple", "red apple red", ""])}
    if chance.random() < 0.3:
        fields["list"] = [chance.randrange(3), "x" * chance.randrange(40), None]
    if chance.random() < 0.2:
        fields["deep"] = {"a": {"b": chance.random()}}
    return fields
