"""Sparse vectors searched by impacts, the form of long lists that sums are made from: the best are those of a slow reference, whatever
the vectors, the filter and the number of hits; damage is found."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vicino
from tests.property.lexical import expect_best, sparse_scores
from tests.property.shard_model import container_bytes
from vicino import SparseSpec, SparseVector, _core
from vicino.collection.limits import Limits
from vicino.env import Env
from vicino.env.recording import RecordingEnv
from vicino.errors import CorruptionError

LIMITS = Limits(head_rows_max=10**6, head_bytes_max=1 << 30)
N = 20_000
"""Three windows of rows."""
Bag = dict[int, float]


def rounded(weight: float) -> float:
    return float(np.float32(weight))


def bags_of(seed: int, n: int, *, n_indices: int, weight: Any) -> dict[int, Bag]:
    """Vectors whose first indices come most often, some only a few times. A tenth of the numbers has none."""
    chance = random.Random(seed)
    rarity = [1 / (1 + index) ** 1.5 for index in range(n_indices)]
    return {
        number: {index: rounded(weight(chance)) for index in chance.choices(range(n_indices), rarity, k=4)}
        for number in range(n)
        if number % 10
    }


def collection_of(database: vicino.Database, bags: Mapping[int, Bag], name: str = "c") -> Any:
    collection = database.create_collection(name, vectors={"bag": SparseSpec()})
    vectors = [SparseVector(np.array(sorted(bag), np.uint32), np.array([bag[i] for i in sorted(bag)], np.float32)) for bag in bags.values()]
    collection.upsert(ids=list(bags), vectors={"bag": vectors})
    collection.optimize()
    return collection


def expect(
    collection: Any, bags: Mapping[int, Bag], query: Bag, *, k: int = 10, allowed: list[int] | None = None, idf: bool = False
) -> list[dict[str, Any]]:
    """The core's answer is that of the reference; gives the statistics of the search."""
    snapshot = collection._shard.snapshot()
    matches = None if allowed is None else snapshot.matches_of(np.array(snapshot.find(allowed), np.int64))
    expected = sparse_scores(query, bags, with_idf=idf)
    if allowed is not None:
        expected = {number: expected[number] for number in allowed if number in expected}
    slot = collection.settings.values["bag"].slot
    indices, weights = np.array(sorted(query), np.uint32), np.array([query[index] for index in sorted(query)], np.float32)
    locators, scores, stats = snapshot.search_sparse(slot, indices, weights, idf, k, matches, _core.Cancel())
    expect_best(snapshot, locators, scores, expected, k)
    return stats


WEIGHTS = {
    "even": lambda chance: chance.uniform(0.1, 3),
    "few that are large": lambda chance: 3 / chance.randint(1, 100) ** 0.5,
    "equal": lambda chance: chance.choice([0.5, 1.0]),
    "tiny among them": lambda chance: chance.choice([2.0**-20, 0.25, 2.0]),
}


@pytest.fixture(scope="module", params=WEIGHTS)
def stored(request: pytest.FixtureRequest) -> Any:
    bags = bags_of(1, N, n_indices=60, weight=WEIGHTS[request.param])
    with vicino.open(limits=LIMITS) as database:
        yield collection_of(database, bags), bags


@pytest.mark.parametrize("idf", [False, True])
@pytest.mark.parametrize("k", [1, 10, 300, N])
def test_best_are_those_of_the_reference(stored: Any, k: int, idf: bool) -> None:
    chance = random.Random(k)
    for n in (1, 2, 7, 40):
        query = {index: rounded(chance.uniform(0.05, 2)) for index in chance.sample(range(62), n)}
        expect(*stored, query, k=k, idf=idf)


@pytest.mark.parametrize("share", [0.3, 0.01, 0.0005])
def test_best_of_the_matches_are_those_of_the_reference(stored: Any, share: float) -> None:
    chance = random.Random(share)
    collection, bags = stored
    for _ in range(4):
        allowed = [number for number in bags if chance.random() < share]
        query = {index: rounded(chance.uniform(0.05, 2)) for index in chance.sample(range(60), 9)}
        expect(collection, bags, query, allowed=allowed)


def test_few_rows_are_scored_exactly() -> None:
    bags = bags_of(2, N, n_indices=60, weight=WEIGHTS["few that are large"])
    with vicino.open(limits=LIMITS) as database:
        stats = expect(collection_of(database, bags), bags, dict.fromkeys(range(30), 1.0))
    assert 10 <= sum(entry["rows_scored"] for entry in stats) < 200


def test_segments_with_and_without_impacts_are_searched_together() -> None:
    """A large segment, a small one, a head, and records of the first that are gone."""
    bags = bags_of(3, N, n_indices=60, weight=WEIGHTS["even"])
    with vicino.open(limits=Limits(head_rows_max=2000, merge_fan_in=1000)) as database:
        collection = collection_of(database, {number: bag for number, bag in bags.items() if number < 9000})
        for number in list(bags)[:3000:7]:
            del bags[number]
            collection.delete(number)
        rest = {number: bag for number, bag in bags.items() if number >= 9000}
        for first in range(9000, N, 1900):
            part = {number: bag for number, bag in rest.items() if first <= number < first + 1900}
            collection.upsert([{"id": number, "bag": bag} for number, bag in part.items()])
        chance = random.Random(5)
        for idf in (False, True):
            query = {index: rounded(chance.uniform(0.05, 2)) for index in chance.sample(range(60), 12)}
            expect(collection, bags, query, idf=idf)


@settings(max_examples=40, deadline=None)
@given(
    patterns=st.lists(
        st.dictionaries(st.integers(0, 5), st.floats(2**-20, 1e4, width=32), min_size=1, max_size=6),
        min_size=1,
        max_size=12,
    ),
    query=st.dictionaries(st.integers(0, 6), st.floats(2**-10, 1e3, width=32), min_size=1, max_size=6),
    k=st.integers(1, 400),
)
def test_any_weights_give_the_best_of_the_reference(patterns: list[Bag], query: Bag, k: int) -> None:
    """Lists are long enough for impacts when a few patterns repeat."""
    bags = {number: patterns[number % len(patterns)] for number in range(400)}
    with vicino.open(limits=LIMITS) as database:
        expect(collection_of(database, bags), bags, query, k=k)


# ---- damage


def database_with_impacts(change: Any) -> tuple[RecordingEnv, str]:
    """A database whose `.terms` file has a section `impacts` that `change` was applied to, behind right checksums."""
    env = RecordingEnv(1)
    bags = bags_of(4, 2000, n_indices=3, weight=WEIGHTS["even"])
    with vicino.open("/db", _env=cast(Env, env), limits=LIMITS) as database:
        collection_of(database, bags)
        folder = next(f"/db/{entry}" for entry in env.files.list("/db") if entry.startswith("c-"))
        name = next(entry for entry in env.files.list(folder) if entry.endswith(".terms"))
    data = bytes(env.files.read(f"{folder}/{name}"))
    container = _core.Container.open(_core.Blob(data), "whole")
    sections = {name: bytearray(data[offset : offset + size]) for name, offset, size in container.sections}
    change(sections["impacts"])
    env.files.open(f"{folder}/{name}").write_at(0, container_bytes("terms", [(name, bytes(content)) for name, content in sections.items()]))
    return env, name


def set_bytes(at: int, value: bytes) -> Any:
    def change(section: bytearray) -> None:
        section[at : at + len(value)] = value

    return change


TABLE = 8 + 3 * 16
"""Where the first list of three begins: the end of its only window, then places, then codes."""


@pytest.mark.parametrize(
    ("at", "value"),
    [(8, b"\xff"), (16, b"\xff" * 8), (16, b"\1"), (TABLE, b"\xff\xff\xff\xff")],
    ids=["a list that is missing", "a list out of bounds", "a list out of step", "a window out of bounds"],
)
def test_search_of_damaged_impacts_names_the_file(at: int, value: bytes) -> None:
    env, name = database_with_impacts(set_bytes(at, value))
    with vicino.open("/db", mode="r", _env=cast(Env, env)) as database, pytest.raises(CorruptionError, match=name):
        database["c"].search(SparseVector([0, 1, 2], [1.0, 1.0, 1.0]), vector="bag")


def test_open_rejects_more_lists_than_there_are_bytes() -> None:
    env, name = database_with_impacts(set_bytes(0, b"\xff" * 8))
    with pytest.raises(CorruptionError, match=name), vicino.open("/db", mode="r", _env=cast(Env, env)) as database:
        database["c"].search(SparseVector([0], [1.0]), vector="bag")


def test_places_beyond_the_window_stay_within_memory_and_leave_nothing_behind() -> None:
    env, _ = database_with_impacts(set_bytes(TABLE + 4, b"\xff" * 2000))
    bags = bags_of(4, 2000, n_indices=3, weight=WEIGHTS["even"])
    with vicino.open("/db", mode="r", _env=cast(Env, env)) as damaged:
        damaged["c"].search(SparseVector([0, 1, 2], [1.0, 1.0, 1.0]), vector="bag")
    with vicino.open(limits=LIMITS) as database:
        expect(collection_of(database, bags), bags, {0: 1.0, 1: 1.0, 2: 1.0})


def test_check_finds_impacts_that_contradict_the_postings() -> None:
    env, name = database_with_impacts(set_bytes(TABLE + 4, b"\xff\x1f"))
    with vicino.open("/db", mode="rescue", _env=cast(Env, env)) as database:
        problems = [what for _, what in database.check().problems]
    assert any(name in what and "impacts" in what for what in problems), problems
