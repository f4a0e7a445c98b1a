"""Replaying a log into a shard's state, within the memory limit.

What replay holds, the head of everything in the log, shows only as it goes: deletes take next to nothing, and what was overwritten still
takes its room. So under a limit the log is read in pieces, each counted before it is applied and the state as it grows. A log that does not
fit is refused: a manifest can only begin where a log file begins, so half a log cannot be sealed away.
"""

from __future__ import annotations

from vicino import _core
from vicino.collection.settings import Settings
from vicino.errors import MemoryLimitError
from vicino.segment.memory import MemoryBudget, show_bytes

ALL_VERSIONS = 2**64 - 1
_PIECES_PER_LIMIT = 32
_PIECE_BYTES_MIN = 256 << 10


class Replay:
    """Replays logs into one state. time_us and settings are those of the last records that set them; None before."""

    def __init__(self, state: _core.ShardState, budget: MemoryBudget, name: str) -> None:
        self._state, self._budget, self._name = state, budget, name
        self.time_us: int | None = None
        self.settings: Settings | None = None

    def log(self, number: int, blob: _core.Blob, offset: int = 0, *, until: int = ALL_VERSIONS) -> None:
        """Applies the records of `blob`, log `number` from its first byte on, from `offset` up to version `until`.

        Raises MemoryLimitError naming what is needed at least and what is there; CorruptionError.
        """
        if self._budget.limit is None:
            self._apply(number, blob, offset, until)
            return
        piece_bytes = max(_PIECE_BYTES_MIN, self._budget.limit // _PIECES_PER_LIMIT)
        size = piece_bytes
        while self._state.version < until:
            stop = min(blob.size, max(offset, _core.LOG_FILE_HEADER_SIZE) + size)
            self._expect_room(stop - offset, blob.size - offset)
            # A record that the piece ends within is not whole there: it is passed over, and read with the next piece.
            try:
                end = self._apply(number, blob.part(0, stop), offset, until)
            except MemoryError as error:
                told = self._budget.shortage(error, f'opening collection "{self._name}"')
                raise told from error
            if stop == blob.size:
                break
            size = piece_bytes if end > max(offset, _core.LOG_FILE_HEADER_SIZE) else 2 * size
            offset = end
        self._expect_room(0, 0)

    def _apply(self, number: int, blob: _core.Blob, offset: int, until: int) -> int:
        end, time_us, controls = self._state.replay(blob, offset, f"wal-{number}", until)
        self.time_us = time_us or self.time_us
        for _version, _time_us, payload in controls:
            self.settings = Settings.from_bytes(payload)
        return end

    def _expect_room(self, piece: int, left: int) -> None:
        """Raises MemoryLimitError when the next `piece` bytes do not fit. left: of the log, with the piece."""
        limit = self._budget.limit
        assert limit is not None
        self._budget.make_room(piece)
        used = self._budget.used()
        if used + piece <= limit:
            return
        others = max(0, used - self._state.memory_bytes)
        needed, free = self._state.memory_bytes + left, max(0, limit - others)
        raise MemoryLimitError(
            f'opening collection "{self._name}" needs about {show_bytes(needed)} for what its log holds, of which {show_bytes(left)} are '
            f"not read yet; memory_limit of {show_bytes(limit)} leaves {show_bytes(free)}: {show_bytes(max(0, needed - free))} short; "
            f"open it for writing with memory_limit={_limit_for(others + needed)} or more, and call optimize(), which seals the log",
            needed=needed,
            available=free,
        )


def _limit_for(size: int) -> int:
    """A limit that is enough with some room to work, in whole MiB."""
    return (size + size // 2 + (16 << 20)) >> 20 << 20
