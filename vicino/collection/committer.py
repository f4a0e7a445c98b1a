"""What must not stop half-way runs in a thread of its own when the main thread asks for it: only the main thread is interrupted by Ctrl-C.

An interrupt in the middle of a commit, of a change of the catalog or of closing would leave files and state apart. So the main thread hands
the work over and waits; when it is interrupted the work still ends, and only then the KeyboardInterrupt goes on. Other threads do their
work themselves.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from vicino.env import Env, Task


@dataclass(slots=True)
class _Work:
    action: Callable[[], None]
    ended: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None


class Committer:
    """One helper thread for a database, started by the first commit of the main thread."""

    def __init__(self, env: Env) -> None:
        self._env = env
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread: Task | None = None

    def run(self, action: Callable[[], None]) -> None:
        """Runs `action` to its end, whatever interrupts the caller meanwhile, and raises what it raises."""
        if threading.current_thread() is not threading.main_thread():
            action()
            return
        if self._thread is None:
            self._thread = self._env.spawn("vicino-commit", self._serve)
        work = _Work(action)
        self._queue.put(work)
        try:
            work.ended.wait()
        except KeyboardInterrupt:
            work.ended.wait()
            raise
        if work.error is not None:
            raise work.error

    def _serve(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work.action()
            except BaseException as error:  # the caller's to handle; the thread goes on for the next one
                work.error = error
            finally:
                work.ended.set()

    def close(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None
