"""What the machine itself gains by threads, to read the gain of a batch beside.

Cores that are two halves of one, or lent to others at times, give two threads less than twice the rate of one, whatever runs on them; and a
core that slept takes a while to wake up. So the control shares its work as a batch does: the calling thread takes part, one less is woken.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

NUMBERS = 16_384  # 128 KB: they stay in the second cache of a core
ROOTS = 800  # calls, 15 to 20 ms, which is as long as a batch takes


def roots(n: int) -> None:
    """Square roots of numbers that lie in the cache, without the interpreter's lock: arithmetic and next to no memory, and nothing of BLAS,
    which has threads of its own."""
    numbers = np.full(NUMBERS, 2.0)
    for _ in range(n):
        np.sqrt(numbers, out=numbers)


class Control:
    """The same work on one thread and shared by several."""

    def __init__(self, threads: int) -> None:
        self._pool, self._threads = ThreadPoolExecutor(max(1, threads - 1)), threads

    def ways(self) -> dict[str, Callable[[], None]]:
        return {"control": lambda: roots(ROOTS), "control_threads": self._shared}

    def _shared(self) -> None:
        share = ROOTS // self._threads
        others = [self._pool.submit(roots, share) for _ in range(self._threads - 1)]
        roots(share)
        for other in others:
            other.result()

    def close(self) -> None:
        self._pool.shutdown()
