"""Reading a journal's folder: which logs there are, where the last one ends, and what a crash left behind.

The logs from the floor on must be there without a gap, each as long as its successor says it was. Only the last may end in a torn tail.
A last log without a whole header was never used, because a log is synced, name and header, before its first record: it is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from vicino import _core
from vicino.env import Env
from vicino.errors import CorruptionError, FormatError
from vicino.storage.log import log_name, log_number
from vicino.storage.pointer import Position

_RESTORE = "restore the folder from a snapshot or a copy"


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where the last log ends: `end` of its `size` bytes are valid records, `proven` of them say they were synced; `marked`: all are."""

    number: int
    end: int
    proven: int
    size: int
    version: int
    nonce: int
    marked: bool


def numbered_logs(env: Env, folder: str, first: int) -> list[int]:
    """Numbers of the logs from `first` on, without a gap. The last may be one that was never used."""
    found = sorted(number for name in env.files.list(folder) if (number := log_number(name)) is not None and number >= first)
    needed = range(first, found[-1] + 1) if found else range(first, first + 1)
    if missing := sorted(set(needed) - set(found)):
        raise CorruptionError(f"{folder}: {log_name(missing[0])} is missing, the logs from {log_name(first)} on are needed; {_RESTORE}")
    return found


def is_unused(env: Env, folder: str, number: int) -> bool:
    """Whether the log never got as far as a valid header; only a log without records can be so."""
    path = f"{folder}/{log_name(number)}"
    if env.files.size(path) > _core.LOG_FILE_HEADER_SIZE:
        return False
    try:
        _core.LogReader(_core.Blob(env.files.read(path)), 0, path)
    except FormatError:
        raise
    except CorruptionError:
        return True
    return False


def find_end(blob: _core.Blob, folder: str, number: int) -> LogEnd:
    """Check the whole log and find its end. Raises CorruptionError for damage before what is proven to have been durable."""
    reader = open_log(blob, folder, number)
    n_records = reader.skip_to_end()
    marked = reader.marked or (n_records == 0 and reader.end == _core.LOG_FILE_HEADER_SIZE)
    return LogEnd(number, reader.end, reader.proven, blob.size, reader.version, reader.nonce, marked)


def open_log(blob: _core.Blob, folder: str, number: int, offset: int = 0) -> _core.LogReader:
    path = f"{folder}/{log_name(number)}"
    reader = _core.LogReader(blob, offset, path)
    if reader.number != number:
        raise CorruptionError(f"{path}: says that it is {log_name(reader.number)}; {_RESTORE}")
    return reader


def check_chain(blobs: list[tuple[int, _core.Blob]], folder: str) -> None:
    """Every log must be as long as the next one says it was when it was closed."""
    for (number, blob), (next_number, next_blob) in pairwise(blobs):
        expected = open_log(next_blob, folder, next_number).previous_size
        if blob.size != expected:
            raise CorruptionError(f"{folder}/{log_name(number)}: has {blob.size} bytes, had {expected} when it was closed; {_RESTORE}")


def check_acknowledged(end: LogEnd, position: Position | None, folder: str) -> None:
    """What was published since the machine started must be there."""
    if position is not None and (position.number, position.offset) > (end.number, end.end):
        raise CorruptionError(
            f"{folder}: {log_name(end.number)} holds {end.end} valid bytes, but {log_name(position.number)} up to {position.offset} was "
            f"acknowledged since the machine started; {_RESTORE}"
        )


def records(blobs: list[tuple[int, _core.Blob]], folder: str) -> Iterator[tuple[int, int, int, memoryview]]:
    """(type, version, time_us, payload) of every record of the given logs, in order."""
    for number, blob in blobs:
        reader = open_log(blob, folder, number)
        while (record := reader.next()) is not None:
            type, version, time_us, _, payload, _, _ = record
            yield type, version, time_us, memoryview(payload)
        if reader.torn:
            # The journal hands out whole records only, so what does not hold here was whole when it was acknowledged.
            raise CorruptionError(f"{folder}/{log_name(number)}: the record at offset {reader.end} is damaged; {_RESTORE}")
