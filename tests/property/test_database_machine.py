"""The whole public API against an oracle in plain Python, in any order, through seals, merges, reopening, crashes, snapshots and time.

Everything is deterministic: files, clock and tasks are a RecordingEnv's, so a failing sequence is found again and shrunk.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

import vicino
from tests.property.drawn import aliases, bounds, fields, ids, indexes, lifetimes, names, seeds, specs, text_names, texts_of, vector_names
from tests.property.invariants import check_search, check_sound, read_collection, read_database, some_query
from tests.property.lexical import PLAIN, expect_values_agree
from tests.property.oracle import CollectionState, DatabaseState, Given, Spec, Stored, difference, is_expired, key_of
from vicino import Collection, TextSpec, VectorSpec
from vicino.collection.limits import Limits
from vicino.collection.value_specs import MultiSpec, SparseSpec
from vicino.env import Env
from vicino.env.recording import RecordingEnv
from vicino.errors import ConflictError, DuplicateIdError, ExistsError, NotFoundError

ROOT = "/db"
RETAIN = 3
LIMITS = Limits(head_rows_max=8, merge_fan_in=2, graph_rows_min=4, close_log_bytes_max=4096)
TTL = "until"


def at_least(bound: int) -> Any:
    return lambda values: isinstance(values.get("n"), int | float) and not isinstance(values["n"], bool) and values["n"] >= bound


class DatabaseMachine(RuleBasedStateMachine):
    @initialize(seed=seeds)
    def begin(self, seed: int) -> None:
        self.env = RecordingEnv(seed)
        self.chance = np.random.default_rng(seed)
        self.boot = 0
        self.copies = 0
        self.state = DatabaseState()
        self.open()
        vectors = {"vector": VectorSpec(3, "cosine"), "other": VectorSpec(12, "hamming", "binary")}
        self.database.create_collection("ant", vectors=vectors)
        state = CollectionState(vectors, retain=RETAIN)
        given = self.records(state, list(range(20)), [{"n": n % 6, "text": "red apple"} for n in range(20)], None)
        self.database["ant"].upsert([one.to_dict() for one in given])
        self.becomes("ant", state.after_upsert(given))

    def open(self) -> None:
        self.database = vicino.open(ROOT, _env=cast(Env, self.env), limits=LIMITS, retain=RETAIN)

    # ---- helpers

    def now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.env._time, tz=dt.UTC)

    def resolve(self, name: str) -> tuple[str, CollectionState, Collection[Any]] | None:
        """A collection by any of its names; None, after the right error, when there is none."""
        own = self.state.aliases.get(name, name)
        if own not in self.state.collections:
            with pytest.raises(NotFoundError):
                self.database.collection(name)
            return None
        return own, self.state.collections[own], self.database.collection(name)

    def becomes(self, name: str, after: CollectionState) -> None:
        self.state = self.state.with_collection(name, after)

    def rows(self, spec: Spec) -> Any:
        if isinstance(spec, SparseSpec):
            chosen = self.chance.choice(12, self.chance.integers(1, 4), replace=False)
            return {int(index): float(self.chance.integers(1, 9)) for index in chosen}
        if isinstance(spec, MultiSpec):
            return self.chance.integers(-5, 6, (self.chance.integers(1, 4), spec.dim)).astype(spec.dtype)
        if spec.dtype == "binary":
            return np.packbits(self.chance.random(spec.dim) < 0.5)
        return self.chance.integers(0 if spec.dtype == "uint8" else -5, 6, spec.dim).astype(spec.numpy_dtype)

    def records(self, state: CollectionState, chosen: list[Any], values: list[dict[str, Any]], lifetime: float | None) -> list[Given]:
        given = []
        for record_id, own in zip(chosen, values, strict=False):
            if state.ttl is not None and lifetime is not None:
                own = {**own, TTL: self.now() + dt.timedelta(seconds=lifetime)}
            given.append(
                Given(record_id, {name: self.rows(spec) for name, spec in state.vectors.items() if self.chance.random() < 0.8}, own)
            )
        return given

    def existing(self, state: CollectionState) -> dict[Any, Stored]:
        return dict(state.visible(self.now()))

    # ---- collections

    @rule(name=names, given=st.dictionaries(vector_names, specs, max_size=2), with_ttl=st.booleans())
    def create_collection(self, name: str, given: dict[str, Spec], with_ttl: bool) -> None:
        options: dict[str, Any] = {"vectors": given, "ttl": TTL if with_ttl else None}
        if name in self.state.collections or name in self.state.aliases:
            with pytest.raises(ExistsError):
                self.database.create_collection(name, **options)
            return
        self.database.create_collection(name, **options)
        indexes = {TTL: "scalar"} if with_ttl else {}
        self.becomes(name, CollectionState(dict(given), indexes, options["ttl"], retain=RETAIN))

    @rule(name=names, sure=st.integers(0, 4))
    def delete_collection(self, name: str, sure: int) -> None:
        if name in self.state.collections and sure:
            return  # seldom, or nothing would ever grow
        if name not in self.state.collections:
            with pytest.raises(NotFoundError):
                self.database.delete_collection(name)
            return
        self.database.delete_collection(name)
        self.state = self.state.without_collection(name)

    @rule(name=names, to=names)
    def rename(self, name: str, to: str) -> None:
        if name in self.state.collections and to not in self.state.collections:
            handle = self.database.collection(name)
            self.database.rename_collection(name, to)
            assert handle.name == to
            self.state = self.state.renamed(name, to)

    @rule(alias=aliases, meant=st.one_of(names, st.none()))
    def point_alias(self, alias: str, meant: str | None) -> None:
        target = meant
        if (target is None and alias not in self.state.aliases) or (target is not None and target not in self.state.collections):
            with pytest.raises(NotFoundError):
                self.database.alias(alias, target)
            return
        self.database.alias(alias, target)
        self.state = self.state.with_alias(alias, target)

    # ---- writes

    @rule(
        name=st.one_of(names, aliases),
        chosen=st.lists(ids, min_size=1, max_size=9),
        values=st.lists(fields, min_size=9, max_size=9),
        lifetime=lifetimes,
    )
    def upsert(self, name: str, chosen: list[Any], values: list[dict[str, Any]], lifetime: float | None) -> None:
        if (found := self.resolve(name)) is None:
            return
        own, state, collection = found
        given = self.records(state, chosen, values, lifetime)
        result = collection.upsert([one.to_dict() for one in given])
        self.becomes(own, state.after_upsert(given))
        assert result.count == len({key_of(one.id) for one in given})

    @rule(name=names, chosen=st.lists(ids, min_size=1, max_size=4), values=st.lists(fields, min_size=4, max_size=4), lifetime=lifetimes)
    def add(self, name: str, chosen: list[Any], values: list[dict[str, Any]], lifetime: float | None) -> None:
        if (found := self.resolve(name)) is None:
            return
        own, state, collection = found
        given = self.records(state, chosen, values, lifetime)
        keys = [key_of(one.id) for one in given]
        if len(set(keys)) < len(keys) or self.existing(state).keys() & set(keys):
            with pytest.raises(DuplicateIdError):
                collection.add([one.to_dict() for one in given])
            return
        collection.add([one.to_dict() for one in given])
        self.becomes(own, state.after_upsert(given))

    @rule(
        name=names,
        chosen=st.lists(ids, min_size=1, max_size=4, unique_by=key_of),
        values=st.lists(fields, min_size=4, max_size=4),
        bound=bounds,
    )
    def conditional_upsert(self, name: str, chosen: list[Any], values: list[dict[str, Any]], bound: int) -> None:
        if (found := self.resolve(name)) is None:
            return
        own, state, collection = found
        there = self.existing(state)
        given = self.records(state, chosen, values, None)
        if bound % 2:
            kept = [one for one in given if key_of(one.id) not in there]
            collection.upsert([one.to_dict() for one in given], if_absent=True)
        else:
            kept = [one for one in given if key_of(one.id) not in there or at_least(bound)(there[key_of(one.id)].fields)]
            collection.upsert([one.to_dict() for one in given], where={"n": {"$gte": bound}})
        self.becomes(own, state.after_upsert(kept))

    @rule(name=names, record_id=ids, value=fields, version=st.integers(0, 30))
    def upsert_if_version(self, name: str, record_id: Any, value: dict[str, Any], version: int) -> None:
        if (found := self.resolve(name)) is None:
            return
        own, state, collection = found
        there = self.existing(state).get(key_of(record_id))
        is_version = there.version if there is not None else 0
        wanted = is_version if version % 2 else version
        (given,) = self.records(state, [record_id], [value], None)
        if wanted != is_version:
            with pytest.raises(ConflictError):
                collection.upsert(given.to_dict(), if_version=wanted)
            return
        collection.upsert(given.to_dict(), if_version=wanted)
        self.becomes(own, state.after_upsert([given]))

    @rule(
        name=names, chosen=st.lists(ids, min_size=1, max_size=4, unique_by=key_of), values=fields,
        unset=st.sampled_from([(), ("n",), ("text", "list")]), replaced=st.booleans(), with_vectors=st.booleans(),
    )  # fmt: skip
    def update(
        self, name: str, chosen: list[Any], values: dict[str, Any], unset: tuple[str, ...], replaced: bool, with_vectors: bool
    ) -> None:
        if (found := self.resolve(name)) is None:
            return
        own, state, collection = found
        vectors: dict[str, Any] | None = None
        if with_vectors and state.vectors:
            vector = sorted(state.vectors)[0]
            vectors = {vector: None if replaced else [self.rows(state.vectors[vector]) for _ in chosen]}
        options: dict[str, Any] = {"set": values, "unset": unset, "replace": replaced, "vectors": vectors}
        there = self.existing(state)
        if any(key_of(record_id) not in there for record_id in chosen):
            with pytest.raises(NotFoundError):
                collection.update(chosen, **options)
            return
        collection.update(chosen, **options)
        self.becomes(own, state.after_update(chosen, set_fields=values, unset=unset, replaced=replaced, vectors=vectors))

    @rule(name=names, bound=bounds, values=fields)
    def update_where(self, name: str, bound: int, values: dict[str, Any]) -> None:
        if (found := self.resolve(name)) is None:
            return
        own, state, collection = found
        chosen = [record.id for record in state.where(at_least(bound), self.now())]
        assert collection.update(where={"n": {"$gte": bound}}, set=values).count == len(chosen)
        self.becomes(own, state.after_update(chosen, set_fields=values))

    @rule(name=names, chosen=st.lists(ids, min_size=1, max_size=4))
    def delete(self, name: str, chosen: list[Any]) -> None:
        if (found := self.resolve(name)) is not None:
            own, state, collection = found
            collection.delete(chosen)
            self.becomes(own, state.after_delete(chosen))

    @rule(name=names, bound=bounds)
    def delete_where(self, name: str, bound: int) -> None:
        if (found := self.resolve(name)) is None:
            return
        own, state, collection = found
        chosen = [record.id for record in state.where(at_least(bound), self.now())]
        assert collection.delete(where={"n": {"$gte": bound}}).count == len(chosen)
        self.becomes(own, state.after_delete(chosen))

    # ---- shape

    @rule(name=names, path=st.sampled_from(["n", "text", "list", "deep.a"]), kind=st.sampled_from(["scalar", "text"]))
    def create_index(self, name: str, path: str, kind: str) -> None:
        if (found := self.resolve(name)) is not None:
            own, state, collection = found
            collection.create_index(path, kind=cast(Any, kind))
            self.becomes(own, state.with_index(path, kind))

    @rule(name=names, path=st.sampled_from(["n", "text"]))
    def drop_index(self, name: str, path: str) -> None:
        if (found := self.resolve(name)) is not None and path in found[1].indexes:
            own, state, collection = found
            collection.drop_index(path)
            self.becomes(own, state.without_index(path))

    @rule(name=names, vector=vector_names, spec=specs)
    def change_vector(self, name: str, vector: str, spec: Spec) -> None:
        if (found := self.resolve(name)) is None:
            return
        own, state, collection = found
        if vector in state.vectors:
            collection.drop_vector(vector)
            self.becomes(own, state.without_vector(vector))
        else:
            collection.add_vector(vector, spec)
            self.becomes(own, state.with_vector(vector, spec))

    @rule(name=names, vector=vector_names, kind=indexes)
    def set_index(self, name: str, vector: str, kind: str) -> None:
        if (found := self.resolve(name)) is None or not isinstance(spec := found[1].vectors.get(vector), VectorSpec):
            return
        own, state, collection = found
        collection.set_index(cast(Any, kind), vector=vector)
        if spec.index != kind:
            self.becomes(own, state.with_vector(vector, replace(spec, index=cast(Any, kind))))

    @rule(name=names, text=text_names)
    def change_text(self, name: str, text: str) -> None:
        if (found := self.resolve(name)) is None:
            return
        own, state, collection = found
        if text in state.texts:
            collection.drop_text(text)
            self.becomes(own, state.without_text(text))
        else:
            collection.add_text(text, TextSpec(texts_of[text], analyzer=PLAIN))
            self.becomes(own, state.with_text(text, texts_of[text]))

    @rule(name=names)
    def optimize(self, name: str) -> None:
        if (found := self.resolve(name)) is not None:
            own, state, collection = found
            self.becomes(own, self.purged(state))
            collection.optimize()

    # ---- time

    @rule(seconds=st.sampled_from([0.2, 0.7]))
    def pass_time(self, seconds: float) -> None:
        self.env.sleep(seconds)

    @rule(name=names)
    def purge(self, name: str) -> None:
        if (found := self.resolve(name)) is not None:
            own, state, collection = found
            after = self.purged(state)
            assert collection.purge_expired() == len(state.records) - len(after.records)
            self.becomes(own, after)

    def purged(self, state: CollectionState) -> CollectionState:
        if state.ttl is None:
            return state
        return state.after_delete(record.id for record in state.records.values() if is_expired(record, state.ttl, self.now()))

    # ---- ends and beginnings

    @rule()
    def reopen(self) -> None:
        self.database.close()
        self.open()

    @rule(seed=seeds, power=st.booleans())
    def crash(self, seed: int, power: bool) -> None:
        """Everything was acknowledged, so everything must be there."""
        state, chance = self.env.crash_state(), random.Random(seed)
        state.advance_to(self.env.n_events)
        start = self.env._time
        if power:
            self.boot += 1
            self.env = RecordingEnv.after_power_loss(state, chance, boot=self.boot)
        else:
            self.env = RecordingEnv.after_kill(state, chance, boot=self.boot)
        self.env._time = self.env._start = start
        self.open()

    @rule()
    def snapshot_and_restore(self) -> None:
        self.copies += 1
        self.database.snapshot(f"/copy-{self.copies}")
        with vicino.restore(f"/copy-{self.copies}", f"/restored-{self.copies}", _env=cast(Env, self.env), limits=LIMITS) as restored:
            found = read_database(restored)
        self.expect(self.visible().as_copied(), self.without_expired(found))

    # ---- reading

    @rule(name=names, vector=vector_names, limit=st.integers(1, 12))
    def search(self, name: str, vector: str, limit: int) -> None:
        if (found := self.resolve(name)) is not None and vector in found[1].vectors and found[1].ttl is None:
            spec = found[1].vectors[vector]
            if not isinstance(spec, VectorSpec):
                expect_values_agree(found[2])
                return
            check_search(found[2], found[1], vector, self.rows(spec), limit)
            hits = found[2].search(some_query(spec), vector=vector, where={"n": {"$gte": 3}}, limit=100)
            wanted = {key_of(record.id) for record in found[1].where(at_least(3)) if vector in record.vectors}
            assert {key_of(hit.id) for hit in hits} == wanted

    @rule(name=names, bound=bounds)
    def filter(self, name: str, bound: int) -> None:
        if (found := self.resolve(name)) is not None:
            wanted = {key_of(record.id) for record in found[1].where(at_least(bound), self.now())}
            assert {key_of(view.id) for view in found[2].iter(where={"n": {"$gte": bound}})} == wanted
            assert found[2].count(where={"n": {"$gte": bound}}) == len(wanted)

    @precondition(lambda self: self.state.collections)
    @rule()
    def beside(self) -> None:
        """A reading process sees the same."""
        with vicino.open(ROOT, mode="r", _env=cast(Env, self.env)) as reader:
            self.expect(self.visible(), self.without_expired(read_database(reader)))

    @rule()
    def check(self) -> None:
        if all(state.ttl is None for state in self.state.collections.values()):
            check_sound(self.database)
        assert self.database.check().is_sound

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "database"):
            return
        found = read_database(self.database)
        for name in found.collections:
            if self.state.collections[name].ttl is None:
                found = found.with_collection(name, read_collection(self.database[name], retain=RETAIN))
        self.expect(self.visible(), self.without_expired(found))

    def visible(self) -> DatabaseState:
        """What the oracle says can be seen now; where records expire, history is left aside, as it is read with today's clock."""
        return self.without_expired(self.state)

    def without_expired(self, state: DatabaseState) -> DatabaseState:
        for name, one in state.collections.items():
            if one.ttl is not None:
                state = state.with_collection(name, replace(one, records=dict(one.visible(self.now())), past={}, retain=0))
            elif not one.retain:
                state = state.with_collection(name, replace(one, past={}))
        return state

    def expect(self, wanted: DatabaseState, found: DatabaseState) -> None:
        bare = {name: replace(one, retain=0) for name, one in wanted.collections.items()}
        got = {
            name: replace(one, retain=0, past=one.past if one.retain else wanted.collections[name].past)
            for name, one in found.collections.items()
            if name in bare
        }
        lines = difference(DatabaseState(bare, wanted.aliases), DatabaseState(got, found.aliases))
        assert not lines, lines
        assert bare.keys() == found.collections.keys()


COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}


def test_database_does_what_the_oracle_says() -> None:
    run_state_machine_as_test(DatabaseMachine, settings=settings(max_examples=40, stateful_step_count=60, derandomize=True, **COMMON))


@pytest.mark.long
@pytest.mark.timeout(0)
def test_database_does_what_the_oracle_says_for_long() -> None:
    run_state_machine_as_test(DatabaseMachine, settings=settings(max_examples=2000, stateful_step_count=50, **COMMON))
