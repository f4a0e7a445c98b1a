"""Every file operation of a script on a journal failing once: a clean error or none at all, and afterwards it opens and has everything."""

from __future__ import annotations

import random
from typing import cast

import pytest

from tests.durability.journal_scenario import JournalScenario
from vicino.env import Env
from vicino.env.faulty import Fault, FaultyEnv
from vicino.env.recording import RecordingEnv
from vicino.errors import ClosedError, StorageError

_N_STEPS = 20


def run_with_fault(fail_at: int | None, fault: Fault) -> tuple[FaultyEnv, list[str]]:
    """Steps until the end, an error each as text; whatever was acknowledged must be there after reopening."""
    env = FaultyEnv(RecordingEnv(7), fault=fault)
    scenario = JournalScenario()
    acknowledged = scenario.create(cast(Env, env))
    chance = random.Random(3)
    env.n_operations, env.fail_at = 0, fail_at
    errors = []
    for _ in range(_N_STEPS):
        step = scenario.step(cast(Env, env), None, chance)
        try:
            step.act()
        except (StorageError, ClosedError) as error:
            errors.append(str(error))
        else:
            acknowledged = step.states[-1]
    env.fail_at = None
    n_operations = env.n_operations
    observed = scenario.reopen(cast(Env, env))
    assert observed >= acknowledged, f"{env.failed}: acknowledged {acknowledged}, found {observed}"
    env.n_operations = n_operations
    return env, errors


@pytest.mark.parametrize("fault", ["EIO", "ENOSPC", "short"])
def test_every_operation_failing_once_leaves_a_whole_journal(fault: Fault) -> None:
    n_operations = run_with_fault(None, fault)[0].n_operations
    assert n_operations > 200
    for fail_at in range(n_operations):
        env, errors = run_with_fault(fail_at, fault)
        assert env.failed is not None
        assert all("/db/c-1" in error for error in errors), errors


def test_failed_sync_poisons_the_journal() -> None:
    env = FaultyEnv(RecordingEnv(1))
    scenario = JournalScenario()
    scenario.create(cast(Env, env))
    scenario.journal.append(1, 1, b"x")
    env.fail_at = env.n_operations
    with pytest.raises(StorageError, match="cannot sync"):
        scenario.journal.sync()
    with pytest.raises(StorageError, match="close it and open it again"):
        scenario.journal.append(1, 2, b"y")


def test_full_disk_while_appending_leaves_the_journal_writable() -> None:
    env = FaultyEnv(RecordingEnv(1), fault="short")
    scenario = JournalScenario()
    scenario.create(cast(Env, env))
    env.fail_at = env.n_operations
    with pytest.raises(StorageError, match="free disk space"):
        scenario.journal.append(1, 1, b"x" * 100)
    scenario.journal.append(1, 1, b"y")
    scenario.journal.sync()
    assert [bytes(payload) for *_, payload in scenario.journal.records()] == [b"y"]
