"""An environment whose tasks wait until the test lets them run: background work far behind the writes, with several frozen heads at once.

One thread all the same, so a seed is still a script. Whoever sleeps lets the tasks run, as sleeping does with threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vicino.env import Env


class Deferred:
    """A task that has not run yet, or has."""

    def __init__(self, name: str, target: Callable[[], object]) -> None:
        self.name = name
        self.error: BaseException | None = None
        self.done = False
        self._target = target

    def run(self) -> None:
        try:
            self._target()
        except Exception as error:  # as in a thread: kept for whoever joins
            self.error = error
        self.done = True

    def join(self, timeout: float | None = None) -> bool:
        if not self.done:
            self.run()
        return True

    def stop(self) -> None:
        self.done = True


class DeferringEnv:
    """`inner`, but spawned tasks wait for `run_tasks`."""

    def __init__(self, inner: Env) -> None:
        self.inner = inner
        self.files, self.now, self.monotonic = inner.files, inner.now, inner.monotonic  # asked for all the time
        self.waiting: list[Deferred] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def spawn(self, name: str, target: Callable[[], object]) -> Deferred:
        self.waiting.append(Deferred(name, target))
        return self.waiting[-1]

    def sleep(self, seconds: float) -> None:
        self.run_tasks()
        self.inner.sleep(seconds)

    def run_tasks(self) -> None:
        """Runs everything that waits, and what that spawns."""
        while self.waiting:
            self.waiting.pop(0).run()
