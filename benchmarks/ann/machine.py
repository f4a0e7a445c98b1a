"""What the machine itself gains by threads, to read the gain of a batch beside.

Cores that are two halves of one, or lent to others at times, give two threads less than twice the rate of one, whatever runs on them; and a
core that slept takes a while to wake up. So the control shares its work as a batch does: the calling thread takes part, others are started.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

ROUNDS = 45_000
"""Of SHA-256: 8 to 12 ms of one thread, which is as long as a batch of vicino takes."""


def hash_for(rounds: int) -> None:
    """Arithmetic in registers, all of it without the interpreter's lock: many short calls would wait for each other at its return."""
    hashlib.pbkdf2_hmac("sha256", b"control", b"of the machine", rounds)


class Control:
    """The same work on one thread and shared by several."""

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def ways(self) -> dict[str, Callable[[], None]]:
        return {"control": lambda: hash_for(ROUNDS), "control_threads": self._shared}

    def _shared(self) -> None:
        share = ROUNDS // self._threads
        others = [threading.Thread(target=hash_for, args=(share,)) for _ in range(self._threads - 1)]
        for other in others:
            other.start()
        hash_for(share)
        for other in others:
            other.join()
