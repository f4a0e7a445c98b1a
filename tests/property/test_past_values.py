"""Random scripts of a database's life: after every call, searches by words, sparse and multi-vectors are right, now and in the past."""

from __future__ import annotations

import random
from typing import cast

import pytest

from tests.durability.database_scenario import RETAIN, DatabaseScenario
from tests.property.lexical import expect_values_agree
from vicino.env import Env
from vicino.env.recording import RecordingEnv


@pytest.mark.parametrize("deferred", [False, True], ids=["work at once", "work that lags behind"])
@pytest.mark.parametrize("seed", range(6))
def test_values_are_found_as_they_are_and_as_they_were(seed: int, deferred: bool) -> None:
    env, chance = cast(Env, RecordingEnv(seed)), random.Random(f"past {seed}")
    scenario = DatabaseScenario(deferred=deferred)
    state = scenario.create(env)
    for _ in range(25):
        step = scenario.step(env, state, chance)
        step.act()
        state = step.states[-1]
        for name in scenario.database.names():
            collection = scenario.database.collection(name)
            for version in range(max(0, collection.version - RETAIN), collection.version + 1):
                expect_values_agree(collection if version == collection.version else collection.at(version))
