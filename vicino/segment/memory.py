"""`memory_limit` as a promise: the anonymous memory vicino holds is counted, and what would pass the limit is refused before it is begun.

Counted are heads, bitmaps, overlays and the working memory of commits, merges, builds and of answers while they are made; a finished answer
is the caller's. Codes of segments that wait for their index count too; they are made only where there is plenty, and go when room is short.
Mapped files are page cache, which the system takes back when it needs the room; `stats()` reports them apart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vicino.errors import InvalidArgument, MemoryLimitError

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
LIMIT_MIN = 16 * 2**20


def parse_bytes(value: int | str) -> int:
    """Bytes of `2000000000`, `"2GB"`, `"1.5 GiB"`. Raises InvalidArgument for anything else."""
    if isinstance(value, str):
        text = value.strip().lower()
        digits = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
        unit = text[len(digits) :].strip()
        try:
            return int(float(digits) * _UNITS[unit])
        except (ValueError, KeyError):
            raise InvalidArgument(f'a size is a number of bytes or a text like "2GB" or "512MiB", got {value!r}') from None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidArgument(f'a size is a number of bytes or a text like "2GB" or "512MiB", got {value!r}')
    return value


def show_bytes(size: int) -> str:
    """`1.5 MB`, in powers of ten."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


class MemoryBudget:
    """All memory of one open database. Thread-safe."""

    def __init__(self, limit: int | None = None) -> None:
        if limit is not None and limit < LIMIT_MIN:
            raise InvalidArgument(f"memory_limit must be at least {show_bytes(LIMIT_MIN)}, got {show_bytes(limit)}")
        self.limit = limit
        self._lock = threading.Lock()
        self._taking = threading.Lock()
        self._reserved: dict[object, int] = {}
        self._measures: dict[object, Callable[[], int]] = {}
        self._spares: dict[object, Callable[[], None]] = {}

    def track(self, owner: object, measure: Callable[[], int], give_up: Callable[[], None] | None = None) -> None:
        """Counts what `measure()` returns, in bytes, until `untrack(owner)`.

        give_up: frees what is counted and can be made again; called when something would be refused otherwise.
        """
        with self._lock:
            self._measures[owner] = measure
            if give_up is not None:
                self._spares[owner] = give_up

    def untrack(self, owner: object) -> None:
        with self._lock:
            self._measures.pop(owner, None)
            self._spares.pop(owner, None)

    def used(self) -> int:
        """Bytes held and reserved now."""
        with self._lock:
            measures, reserved = list(self._measures.values()), sum(list(self._reserved.values()))
        return reserved + sum(measure() for measure in measures)

    def available(self) -> int | None:
        """Bytes that may still be taken; None without a limit."""
        return None if self.limit is None else max(0, self.limit - self.used())

    def has_plenty(self) -> bool:
        """Whether the part of the limit is free that work which may wait leaves free."""
        available = self.available()
        return available is None or available >= self._kept_free(optional=True)

    def make_room(self, size: int) -> None:
        """Frees what can be made again unless `size` bytes are free."""
        available = self.available()
        if available is None or size <= available:
            return
        with self._lock:
            spares = list(self._spares.values())
        for give_up in spares:
            give_up()

    def room(self, *, optional: bool) -> int | None:
        """Bytes that a reservation could take now; None without a limit."""
        available = self.available()
        return available if available is None or self.limit is None else max(0, available - self._kept_free(optional))

    def _kept_free(self, optional: bool) -> int:
        return 0 if self.limit is None or not optional else self.limit // 2

    @contextmanager
    def reserve(self, size: int, purpose: str, *, optional: bool = False) -> Iterator[None]:
        """Counts `size` bytes while the block runs. Raises MemoryLimitError with the shortfall when they are not there.

        optional: work that may wait takes at most what leaves half of the limit free, so that writes and their sealing go on beside it.
        """
        reservation = object()  # made and dropped in one step each, without waiting for a lock: Ctrl-C comes before it or after
        try:
            self._take(reservation, size, purpose, self._kept_free(optional))
            yield
        finally:
            self._reserved.pop(reservation, None)

    def shortage(self, error: MemoryError, purpose: str) -> MemoryError:
        """What to raise when an allocation failed: under a limit a MemoryLimitError with the numbers, else the error itself."""
        if self.limit is None or isinstance(error, MemoryLimitError):
            return error
        used = self.used()
        free = max(0, self.limit - used)
        return MemoryLimitError(
            f"{purpose} got no more memory from the system, with {show_bytes(used)} counted of a memory_limit of "
            f"{show_bytes(self.limit)} and {show_bytes(free)} left of it; "
            "do it in smaller parts, or give the process more memory than memory_limit",
            available=free,
        )

    def _take(self, reservation: object, size: int, purpose: str, kept_free: int) -> None:
        with self._taking:  # two that take at once would each find the room that there is for one
            self.make_room(size + kept_free)
            available = self.available()
            if self.limit is not None and available is not None and size > (free := max(0, available - kept_free)):
                kept = f" ({show_bytes(kept_free)} are kept for writes)" if kept_free else ""
                raise MemoryLimitError(
                    f"{purpose} needs {show_bytes(size)}, memory_limit of {show_bytes(self.limit)} leaves {show_bytes(free)}{kept}: "
                    f"{show_bytes(size - free)} short; raise memory_limit or do it in smaller parts",
                    needed=size,
                    available=free,
                )
            self._reserved[reservation] = size
