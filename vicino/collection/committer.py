"""What must not stop half-way runs in a thread of its own when the main thread asks for it: only the main thread is interrupted by Ctrl-C.

An interrupt in the middle of a commit, of a change of the catalog, of queueing a job or of closing would leave files and state apart. So
the main thread hands the work over and waits; when it is interrupted the work still ends. It is waited for, but for a commit: one of 64 MiB
may take a slow disk a second, so it is given up when nothing of it was written yet, else it is waited for only shortly and ends by itself.
The main thread's next commit queues up behind it. Other threads do their work themselves.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from vicino.env import Env, Latch, Machine, Task

T = TypeVar("T")

PATIENCE_S = 0.03
"""How long an interrupted call still waits for a commit that is being written: long enough for all but the largest."""


@dataclass(slots=True)
class _Work:
    action: Callable[[], Any]
    ended: Latch = field(default_factory=Latch)
    result: Any = None
    error: BaseException | None = None


class Committer:
    """One helper thread for a database, started when the main thread first hands work over."""

    def __init__(self, env: Env) -> None:
        self._env = env
        self._is_direct = not isinstance(env, Machine)  # an environment of tests, which has no threads or means to replay what one does
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread: Task | None = None

    def run(self, action: Callable[[], T], *, give_up: Callable[[], None] | None = None) -> T:
        """Runs `action` to its end, whatever interrupts the caller meanwhile. Returns what it returns and raises what it raises.

        give_up: called when the caller is interrupted; asks `action` to end early if it can. With it the caller waits PATIENCE_S at most.
        """
        is_alone = self._is_direct or self._env.forked()  # the helper of a forked child is its parent's
        if is_alone or threading.current_thread() is not threading.main_thread():
            return action()
        if self._thread is None:
            self._thread = self._env.spawn("vicino-commit", self._serve)
        work = _Work(action)
        try:
            self._queue.put(work)
            work.ended.wait()
        except KeyboardInterrupt:
            self._queue.put(work)  # it may have struck before the line above did; work that has ended is not done again
            if give_up is not None:
                give_up()
            work.ended.wait(None if give_up is None else PATIENCE_S)
            raise
        if work.error is not None:
            raise work.error
        return work.result

    def _serve(self) -> None:
        while (work := self._queue.get()) is not None:
            if work.ended.is_open:
                continue
            try:
                work.result = work.action()
            except BaseException as error:  # the caller's to handle; the thread goes on for the next one
                work.error = error
            finally:
                work.ended.open()

    def close(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None
