"""Damaged files with right checksums: see untrusted_bytes.py. VICINO_FUZZ_SEEDS=first:last chooses the range of the long run."""

from __future__ import annotations

import json
import os
import random
import resource
import time
from collections.abc import Collection, Iterator

import numpy as np
import pytest

import vicino
from tests.property.shard_model import container_bytes
from tests.property.untrusted_bytes import ROOT, Files, User, damaged, disk_of, make_files, use
from tests.property.untrusted_indexes import DATABASES, KINDS, IndexUser
from vicino import _core
from vicino.errors import InvalidArgument

SECONDS_MAX = 20.0
MEMORY_MAX = 1 << 30


@pytest.fixture(scope="module")
def files() -> Files:
    return make_files()


@pytest.fixture(scope="module", params=DATABASES)
def indexes(request: pytest.FixtureRequest) -> Files:
    """A database with indexes of vectors of one family."""
    return DATABASES[request.param]()


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """A gibibyte more than now: an allocation that damage has decided on fails at once."""
    if "VICINO_SANITIZED_CORE" in os.environ:  # sanitizers reserve terabytes of addresses
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_MAX, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def fuzz(files: Files, seed: int, kinds: Collection[str] = (), user: type[User] = User) -> None:
    chance = random.Random(seed)
    path, changed = damaged(files, chance, kinds)
    start = time.process_time()
    try:
        use(changed, chance, user)
    except BaseException as error:
        error.add_note(f"seed {seed}, damaged {path}")
        raise
    assert time.process_time() - start < SECONDS_MAX, f"seed {seed}, damaged {path}: took {time.process_time() - start:.1f} s"


def test_a_sound_database_passes_every_use(files: Files) -> None:
    for seed in range(5):
        assert use(files, random.Random(seed)) == []


@pytest.mark.parametrize("first", range(0, 150, 50))
def test_damage_behind_checksums_gives_errors_and_nothing_worse(files: Files, first: int) -> None:
    for seed in range(first, first + 50):
        fuzz(files, seed)


def test_sound_indexes_pass_every_use(indexes: Files) -> None:
    for seed in range(4):
        assert all(isinstance(error, InvalidArgument) for error in use(indexes, random.Random(seed), IndexUser))


def test_damaged_indexes_give_errors_and_nothing_worse(indexes: Files) -> None:
    for seed in range(25):
        fuzz(indexes, seed, KINDS, IndexUser)


@pytest.mark.long
def test_much_damage_behind_checksums_gives_errors_and_nothing_worse(files: Files) -> None:
    for seed in long_seeds():
        fuzz(files, seed)


@pytest.mark.long
def test_much_damage_of_indexes_gives_errors_and_nothing_worse(indexes: Files) -> None:
    for seed in long_seeds():
        fuzz(indexes, seed, KINDS, IndexUser)


def long_seeds() -> range:
    first, last = map(int, os.environ.get("VICINO_FUZZ_SEEDS", "1000:11000").split(":"))
    return range(first, last)


@pytest.mark.parametrize("shape", [[0, 0], [5, 0], [1, 7]], ids=str)
def test_kept_queries_of_another_width_are_measured_anew(shape: list[int]) -> None:
    files = DATABASES["promise"]()
    path = next(path for path in files if path.endswith(".recall"))
    container = _core.Container.open(_core.Blob(files[path]), "whole")
    facts = json.loads(bytes(container.section("json")))
    assert facts["kept"] == {"0": [30, 32]}
    facts["kept"] = {"0": shape}
    sections = [("json", json.dumps(facts).encode()), ("queries", bytes(container.section("queries")))]
    with vicino.open(ROOT, mode="r", _env=disk_of({**files, path: container_bytes("recall", sections)})) as database:
        promise = database["kinds"].search(np.ones(8, np.float32)).plan.promise
    assert promise is not None
    assert promise.low >= 0.9
