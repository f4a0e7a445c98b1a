"""Commits of the main thread run in a thread of their own, because only the main thread is interrupted by Ctrl-C.

An interrupt in the middle of a commit would leave the log and the state apart. So the main thread hands the commit over and waits; when it
is interrupted the commit still ends, and only then the KeyboardInterrupt goes on. Other threads commit themselves.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from vicino.env import Env, Task


class Committer:
    """One helper thread for a database, started by the first commit of the main thread."""

    def __init__(self, env: Env) -> None:
        self._env = env
        self._work: queue.SimpleQueue[tuple[Callable[[], None], threading.Event] | None] = queue.SimpleQueue()
        self._thread: Task | None = None

    def run(self, action: Callable[[], None]) -> None:
        """Runs `action`, which raises nothing, to its end, whatever interrupts the caller meanwhile."""
        if threading.current_thread() is not threading.main_thread():
            action()
            return
        if self._thread is None:
            self._thread = self._env.spawn("vicino-commit", self._serve)
        ended = threading.Event()
        self._work.put((action, ended))
        try:
            ended.wait()
        except KeyboardInterrupt:
            ended.wait()
            raise

    def _serve(self) -> None:
        while (item := self._work.get()) is not None:
            action, ended = item
            try:
                action()
            finally:
                ended.set()

    def close(self) -> None:
        if self._thread is not None:
            self._work.put(None)
            self._thread.join()
            self._thread = None
