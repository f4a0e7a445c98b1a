"""Every file operation of a script fails once, in every way: the call ends well or with a clean error, nothing acknowledged is lost.

The script is cut into its calls. Before each the disk is remembered; then the call is made again and again from there, with its first
operation failing, its second, and so on, until it runs through without meeting the fault. So a script of n operations costs n calls, not
n scripts.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast, get_args

from tests.durability.database_scenario import DatabaseScenario
from vicino.env import Env
from vicino.env.faulty import Fault, FaultyEnv
from vicino.env.memory import Folder
from vicino.env.recording import RecordingEnv, RecordingFiles
from vicino.errors import Error


@dataclass(slots=True)
class Outcome:
    """n_calls: of the script, up to the last that was examined. n_operations: that failed, each in every way. n_survived: faults that the
    call did not even report."""

    n_calls: int = 0
    n_operations: int = 0
    n_faults: int = 0
    n_survived: int = 0
    failures: list[str] = field(default_factory=list)


def fail_every_operation(seed: int, calls: range, *, enough: Callable[[], bool] = lambda: False) -> Outcome:
    """calls: which of the script are examined; those before them only lead there. enough: asked after each, whether to end here."""
    outcome = Outcome()
    env = RecordingEnv(seed)
    state = DatabaseScenario().create(cast(Env, env))
    chance = random.Random(f"calls {seed}")
    disk = _copy(env)
    for call in range(calls.stop):
        before = chance.getstate()
        outcome.n_calls += 1
        if call in calls:
            _fail_one_call(outcome, seed, disk, state, before)
            if enough():
                break
        env = RecordingEnv(chance.randrange(1 << 30), files=RecordingFiles(disk))
        scenario = DatabaseScenario()
        scenario.reopen(cast(Env, env))
        chance.setstate(before)
        step = scenario.step(cast(Env, env), state, chance)
        step.act()
        state = step.states[-1]
        disk = _copy(env)
    return outcome


def _fail_one_call(outcome: Outcome, seed: int, disk: Folder, state: object, before: object) -> None:
    for fault in get_args(Fault):
        index = 0
        while _one_call(outcome, seed, disk, state, before, fault, index):
            index += 1
        outcome.n_operations += index if fault == "EIO" else 0
        outcome.n_faults += index


def _copy(env: RecordingEnv) -> Folder:
    """The files as they are now, for an environment of their own."""
    state = env.crash_state()
    state.advance_to(env.n_events)
    return state.survivors()


def _one_call(outcome: Outcome, seed: int, disk: Folder, state: object, before: object, fault: Fault, index: int) -> bool:
    """Makes the call with its operation number `index` failing. False when the call does not have so many."""
    # A seed of its own for every call, so that it draws names that are not on the disk already.
    recording = RecordingEnv(hash((seed, outcome.n_calls)), files=RecordingFiles(_copy(RecordingEnv(files=RecordingFiles(disk)))))
    faulty = FaultyEnv(recording, fault=fault)
    env = cast(Env, faulty)
    scenario = DatabaseScenario()
    scenario.reopen(env)
    chance = random.Random()
    chance.setstate(before)  # type: ignore[arg-type]
    step = scenario.step(env, state, chance)  # type: ignore[arg-type]
    faulty.fail_at = faulty.n_operations + index
    where = f"call {outcome.n_calls} ({step.name}), operation {index}, {fault}"
    allowed = [state, *step.states]
    try:
        step.act()
        allowed = allowed[-1:]
        outcome.n_survived += faulty.failed is not None
    except Error:
        pass
    except Exception as error:
        outcome.failures.append(f"{where}: {faulty.failed}: not a clean error: {error!r}")
    if faulty.failed is None:
        return False
    faulty.fail_at = None
    _check_reopening(outcome, f"{where}: {faulty.failed}", recording, allowed, random.Random(f"{seed} {where}"))
    return True


def _check_reopening(outcome: Outcome, where: str, recording: RecordingEnv, allowed: list[object], chance: random.Random) -> None:
    """What is left opens, on the same machine or after losing power, holds an allowed state, and takes one more write."""
    state = recording.crash_state()
    state.advance_to(recording.n_events)
    if chance.random() < 0.5:
        env = RecordingEnv.after_kill(state, chance, boot=0)
    else:
        env = RecordingEnv.after_power_loss(state, chance, boot=1)
    scenario = DatabaseScenario()
    try:
        found = scenario.reopen(cast(Env, env))
        step = scenario.step(cast(Env, env), found, chance)
        step.act()
    except Exception as error:
        outcome.failures.append(f"{where}: reopening failed: {error!r}")
        return
    if found not in allowed:
        outcome.failures.append(f"{where}: found {found!r}, allowed {allowed!r}")
