"""A signal given once, which Ctrl-C cannot break while it is waited for."""

from __future__ import annotations

import threading
import time

_POLL_S = 0.02
"""A signal that comes just before a wait begins is noticed only when that wait ends."""


class Latch:
    """Opened once, waited for by any number of threads.

    What `threading.Event` is for, but Event locks and unlocks in steps of Python: an interrupt of the main thread between two of them
    leaves the lock taken, and whoever sets the event then waits for ever. Here the only step that takes anything is one call of C.
    """

    __slots__ = ("_gate", "is_open")

    def __init__(self) -> None:
        self.is_open = False
        self._gate = threading.Lock()
        self._gate.acquire()

    def open(self) -> None:
        """Lets everybody pass, from now on. By one thread; a second call does nothing."""
        if not self.is_open:
            self.is_open = True
            self._gate.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Returns when it is open, or after `timeout` seconds: whether it is open."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.is_open:
            left = _POLL_S if deadline is None else min(_POLL_S, deadline - time.monotonic())
            if left <= 0:
                return self.is_open
            if self._gate.acquire(timeout=left):  # an interrupt may keep it from being given back: the others see `is_open`
                self._gate.release()
        return True
