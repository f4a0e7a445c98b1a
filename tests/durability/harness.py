"""Crash images: run a script on an environment that remembers, lose power or kill the process at any operation, open what is left, look.

A scenario says how to create, reopen, observe and step; the harness knows nothing else about it, so that one journal and a whole database
are tested alike. The oracle is a list of intervals: at every moment the states that a crash may leave. Beginning a step adds the states it
passes through, acknowledging it drops all but the last. What is observed after reopening must be one of the allowed states: an earlier
one means that something acknowledged was lost, none of them that something was invented or half applied.

Checked at every crash point:
    * reopening succeeds, and observes an allowed state
    * a reader beside the writer sees at least what was acknowledged, and nothing that a power failure at that moment could take back
    * crashing again while reopening loses nothing either; crashing after reopening leaves exactly what had been observed
    * what is written after reopening is kept as well as what was written before
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from vicino.env import Env
from vicino.env.faulty import FaultyEnv
from vicino.env.recording import CrashState, RecordingEnv
from vicino.errors import ClosedError, StorageError

State = Any
"""What a user can see, comparable with ==."""


@dataclass(slots=True)
class Step:
    """One call of the user. `states` are those it passes through, the last of them the one it acknowledges."""

    name: str
    states: list[State]
    act: Callable[[], object]
    durable: bool = True
    """Whether returning promises durability; without it a power failure may go back to any state since the last promise."""


class Scenario(Protocol):
    """Holds the handle it works on. `step` is asked for one step at a time, after the last one was acknowledged."""

    # Whether readers are promised to see only what is durable.
    durable_reads: bool

    def create(self, env: Env) -> State:
        """Make the database; the state it is then in."""
        ...

    def reopen(self, env: Env) -> State:
        """Open it for writing; the state it is then in."""
        ...

    def read(self, env: Env) -> State:
        """What another process that opens it for reading sees."""
        ...

    def step(self, env: Env, state: State, chance: random.Random) -> Step: ...


@dataclass(slots=True)
class History:
    """Allowed states by event: `since[i]` is the first event after which `allowed[i]` holds. States are ordered by when they were begun."""

    env: RecordingEnv
    since: list[int] = field(default_factory=list)
    allowed: list[list[tuple[int, State]]] = field(default_factory=list)
    _count: int = 0

    def restrict(self, state: State) -> None:
        """From now on only this."""
        self._count += 1
        self._note([(self._count, state)])

    def begin(self, step: Step) -> None:
        added = []
        for state in step.states:
            self._count += 1
            added.append((self._count, state))
        self._note([*self.allowed[-1], *added])

    def acknowledge(self, step: Step) -> None:
        if step.durable:
            self._note([self.allowed[-1][-1]])

    def at(self, index: int) -> list[tuple[int, State]]:
        """What a crash after `index` events may leave."""
        found = [allowed for since, allowed in zip(self.since, self.allowed, strict=True) if since <= index]
        return found[-1] if found else []

    def _note(self, allowed: list[tuple[int, State]]) -> None:
        self.since.append(self.env.n_events)
        self.allowed.append(allowed)


@dataclass(slots=True)
class Report:
    n_images: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def is_by_mistake(self) -> bool:
        """Whether a planted fault no longer fits the code: it breaks the script at once, which proves nothing."""
        return any(mistake in failure for failure in self.failures for mistake in ("AttributeError", "TypeError", "NameError"))

    def __str__(self) -> str:
        shown = "\n".join(self.failures[:5])
        return f"{len(self.failures)} of {self.n_images} images failed\n{shown}"


def check_crashes(
    new_scenario: Callable[[], Scenario], seeds: range, *, n_steps: int, images_per_seed: int, stop_at: int | None = None
) -> Report:
    """Run one script per seed and draw `images_per_seed` crashes of each. Stops early at `stop_at` failures."""
    report = Report()
    for seed in seeds:
        for failure in _failures_of(new_scenario, seed, n_steps, images_per_seed):
            report.n_images += 1
            if failure is not None:
                report.failures.append(f"seed {seed}: {failure}")
        if stop_at is not None and len(report.failures) >= stop_at:
            break
    return report


def _failures_of(new_scenario: Callable[[], Scenario], seed: int, n_steps: int, images: int) -> Iterator[str | None]:
    env = RecordingEnv(seed)
    chance = random.Random(f"script {seed}")
    try:
        history = run_script(new_scenario(), env, chance, n_steps, with_faults=seed % 3 == 0)
    except Exception as error:
        yield f"the script itself failed: {error!r}"
        return
    first = history.since[0]
    state = env.crash_state()
    for index in sorted(chance.randint(first, env.n_events) for _ in range(images)):
        state.advance_to(index)
        crash = _Crash(new_scenario, state, history.at(index), random.Random(f"crash {seed} {index} {chance.random()}"))
        try:
            crash.check()
        except _Violation as violation:
            yield f"event {index} of {env.n_events}: {violation}"
        else:
            yield None


def run_script(scenario: Scenario, recording: RecordingEnv, chance: random.Random, n_steps: int, *, with_faults: bool) -> History:
    """A script of random steps. With faults, every now and then one operation on files fails, and the database is opened anew."""
    history = History(recording)
    faulty = FaultyEnv(recording)
    env = cast(Env, faulty)
    state = scenario.create(env)
    history.restrict(state)
    for _ in range(n_steps):
        if with_faults and chance.random() < 0.15:
            faulty.fail_at = faulty.n_operations + chance.randrange(8)
            faulty.fault = chance.choice(["EIO", "ENOSPC", "short"])
        step = scenario.step(env, state, chance)
        history.begin(step)
        try:
            step.act()
        except StorageError:
            if chance.random() < 0.5:
                _go_on_regardless(scenario, env, state, history, chance)
            faulty.fail_at = None
            state = scenario.reopen(env)
            _expect(
                state in [one for _, one in history.allowed[-1]], f"after an error: observed {state!r}, allowed {history.allowed[-1]!r}"
            )
            history.restrict(state)
        else:
            history.acknowledge(step)
            state = step.states[-1]
    return history


def _go_on_regardless(scenario: Scenario, env: Env, state: State, history: History, chance: random.Random) -> None:
    """After an error, as a stubborn user would: what is acknowledged now must hold as well."""
    step = scenario.step(env, state, chance)
    history.begin(step)
    try:
        step.act()
    except (StorageError, ClosedError):
        return
    history.acknowledge(step)


class _Violation(Exception):
    """A promise that did not hold."""


def _expect(holds: bool, message: str) -> None:
    if not holds:
        raise _Violation(message)


@dataclass(slots=True)
class _Crash:
    """One crash at one moment, and what follows from it."""

    new_scenario: Callable[[], Scenario]
    state: CrashState
    allowed: list[tuple[int, State]]
    chance: random.Random

    def check(self) -> None:
        match self.chance.randrange(4):
            case 0:
                self._check_kill()
            case 1:
                self._check_reader()
            case _:
                self._check_power_loss()

    def _check_power_loss(self) -> None:
        env = RecordingEnv.after_power_loss(self.state, self.chance, boot=1)
        scenario = self.new_scenario()
        observed = self._observe(lambda: scenario.reopen(env), "reopening after power loss")
        self._check_later(env, observed, scenario)

    def _check_kill(self) -> None:
        """The process died, the machine did not: all is seen, and what was not synced is still not durable when power is lost next."""
        env = RecordingEnv.after_kill(self.state, self.chance, boot=0)
        scenario = self.new_scenario()
        observed = self._observe(lambda: scenario.reopen(env), "reopening after kill -9")
        self._check_later(env, observed, scenario)

    def _check_reader(self) -> None:
        beside = RecordingEnv.after_kill(self.state, self.chance, boot=0)
        scenario = self.new_scenario()
        seen = self._observe(lambda: scenario.read(beside), "reading beside the writer")
        if not scenario.durable_reads:
            return
        env = RecordingEnv.after_power_loss(self.state, self.chance, boot=1)
        kept = self._observe(lambda: self.new_scenario().reopen(env), "reopening after power loss")
        _expect(self._order(seen) <= self._order(kept), f"a reader saw {seen!r}, which was not durable: {kept!r} was left")

    def _check_later(self, env: RecordingEnv, observed: State, scenario: Scenario) -> None:
        n_recovered = env.n_events
        match self.chance.randrange(3):
            case 0:
                again = env.crash_state()
                again.advance_to(self.chance.randint(0, n_recovered))
                second = RecordingEnv.after_power_loss(again, self.chance, boot=2)
                self._observe(lambda: self.new_scenario().reopen(second), "reopening after power loss while reopening")
            case 1:
                again = env.crash_state()
                again.advance_to(n_recovered)
                self._observe_exactly(again, observed, "after reopening")
            case _:
                step = scenario.step(cast(Env, env), observed, self.chance)
                try:
                    step.act()
                except Exception as error:
                    raise _Violation(f"{step.name} after reopening failed: {error!r}") from error
                if step.durable:
                    again = env.crash_state()
                    again.advance_to(env.n_events)
                    self._observe_exactly(again, step.states[-1], f"after reopening and {step.name}")

    def _observe(self, look: Callable[[], State], what: str) -> State:
        try:
            observed = look()
        except Exception as error:
            raise _Violation(f"{what} failed: {error!r}") from error
        _expect(observed in [state for _, state in self.allowed], f"{what}: observed {observed!r}, allowed {self.allowed!r}")
        return observed

    def _observe_exactly(self, state: CrashState, expected: State, when: str) -> None:
        env = RecordingEnv.after_power_loss(state, self.chance, boot=2)
        try:
            observed = self.new_scenario().reopen(env)
        except Exception as error:
            raise _Violation(f"reopening after power loss {when} failed: {error!r}") from error
        _expect(observed == expected, f"power loss {when}: observed {observed!r}, expected {expected!r}")

    def _order(self, state: State) -> int:
        return next(order for order, one in self.allowed if one == state)
