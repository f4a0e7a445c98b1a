"""The writing end of a journal's log: append, sync in groups, publish, rotate. core/storage/log.h draws the bytes and reads them.

The file is open only while it holds bytes that are not synced, so that a database of many thousand idle collections needs no descriptor for
each of them.

Any failure that leaves it unknown what is durable poisons the log. A sync that failed once must never be tried again and believed: the
kernel may have dropped the bytes and forgotten that it did. Only reopening, which reads what is there, finds out.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, cast

from vicino import _core
from vicino.env import Buffer, Env, File, Task
from vicino.errors import ClosedError, StorageError
from vicino.storage.files import unlink_if_present
from vicino.storage.pointer import POSITION, Position
from vicino.types import SyncLevel

_PREFIX = "wal-"


def log_name(number: int) -> str:
    return f"{_PREFIX}{number}"


def log_number(name: str) -> int | None:
    """The n of a file named wal-<n>; None for any other file."""
    digits = name.removeprefix(_PREFIX)
    return int(digits) if name.startswith(_PREFIX) and digits.isascii() and digits.isdigit() and digits == str(int(digits)) else None


def create_log(env: Env, folder: str, number: int, *, previous_size: int, version: int) -> tuple[int, int]:
    """Size and nonce of a new log file that goes on after `version`, its header synced. The name is not yet durable."""
    nonce = int.from_bytes(env.random_bytes(8), "little")
    file = env.files.create(f"{folder}/{log_name(number)}")
    try:
        file.append(_core.encode_log_file_header(number, nonce, previous_size, version))
        file.sync()
    finally:
        file.close()
    return file.size, nonce


class _End(NamedTuple):
    """How far a log goes. n_cuts: how often bytes of a refused append were cut off behind it; until a sync they may come back."""

    size: int
    version: int
    n_cuts: int = 0


class LogWriter:
    """Appends from one thread at a time, syncs from any. The order of locks is `_sync_lock`, then `_append_lock`."""

    def __init__(
        self,
        env: Env,
        folder: str,
        number: int,
        size: int,
        *,
        nonce: int,
        version: int,
        marked: bool,
        sync: SyncLevel,
        interval_s: float,
    ) -> None:
        self._env = env
        self._folder = folder
        self._level = sync
        self._interval_s = interval_s
        self._append_lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._file: File | None = None
        self._nonce = nonce
        # One value, replaced whole: a sync beside an append sees an end and the version that ends there, never a mixture.
        self._tail = self._durable = _End(size, version)
        self._marked = marked  # a mark, or nothing at all, is the last thing in the log
        self._failure: BaseException | None = None
        self._closed = False
        self._flusher: Task | None = None
        self.number = number
        self.published = Position(0, 0)
        self._has_position = False

    @property
    def size(self) -> int:
        return self._tail.size

    @property
    def version(self) -> int:
        """Version of the last record."""
        return self._tail.version

    def check(self) -> None:
        """Refuse unless this log can be written."""
        if self._env.forked():
            raise ClosedError(f"{self._folder}: opened by the parent of this forked process; open it anew in the child")
        if self._closed:
            raise ClosedError(f"{self._folder}: is closed; open it again")
        if self._failure is not None:
            raise StorageError(
                f"{self._folder}: refuses to write since an earlier operation failed ({self._failure}); close it and open it again",
                errno=getattr(self._failure, "errno", None),
            )

    @contextmanager
    def poisoning(self) -> Iterator[None]:
        """Whatever fails inside leaves the state on the disk unknown: nothing is written after it."""
        try:
            yield
        except BaseException as error:
            self._failure = self._failure or error
            raise

    def append(self, type: int, version: int, payload: Buffer | Sequence[Buffer], *, time_us: int | None = None) -> None:
        parts = cast("Sequence[Buffer]", payload) if isinstance(payload, list | tuple) else (payload,)
        self.check()
        with self._append_lock:
            self.check()
            self._write(type, version, int(self._env.now() * 1e6) if time_us is None else time_us, parts)
            self._marked = False

    def sync(self) -> None:
        """Make everything appended so far durable, as the level asks, and publish it. Callers that wait share one sync."""
        self.check()
        with self._append_lock:
            target = (self.number, self.size)
        with self._sync_lock:
            if (self.published.number, self.published.offset) >= target:
                return
            self.check()
            if self._level == "commit":
                self._sync_data()
            with self.poisoning():
                self.publish()
            with self._append_lock:
                self._rest()
            if self._level == "interval" and self._flusher is None:
                self._flusher = self._env.spawn_periodic("log flush", self._interval_s, self._flush)

    def rotate(self) -> int:
        """Begin the next log file, durable before it is used; its number."""
        self.check()
        with self._sync_lock, self._append_lock:
            self.check()
            self._prove()
            number = self.number + 1
            try:
                size, nonce = create_log(self._env, self._folder, number, previous_size=self.size, version=self.version)
            except BaseException:
                # A next file that could come back after a crash would contradict what is appended here from now on.
                with self.poisoning():
                    unlink_if_present(self._env.files, f"{self._folder}/{log_name(number)}")
                    self._env.files.sync_dir(self._folder)
                raise
            with self.poisoning():
                self._env.files.sync_dir(self._folder)
                self._rest()
                self._nonce, self.number = nonce, number
                self._tail = self._durable = _End(size, self.version)
                self._marked = True
                self.publish()
        return number

    def publish(self, *, clean: bool = False) -> None:
        """Tell other processes how far they may read."""
        end = self._durable if self._level == "commit" else self._tail
        position = Position(self.number, end.size, end.version, clean)
        path, files = f"{self._folder}/{POSITION}", self._env.files
        file = files.open(path) if self._has_position or files.exists(path) else files.create(path)
        try:
            file.write_at(0, position.encode(self._env.boot_id()))
        finally:
            file.close()
        self._has_position = True
        self.published = position

    def close(self) -> None:
        """Make everything durable and provable at every level, unless the log is poisoned or belongs to a parent process."""
        if self._env.forked():  # its locks may be held by threads that the child does not have
            self._close_files()
            return
        with self._sync_lock, self._append_lock:
            if self._closed:
                return
            self._closed = True
            self._stop_flusher()
            try:
                if self._failure is None:
                    self._prove()
                    self.publish(clean=True)
            finally:
                self._close_files()

    def _close_files(self) -> None:
        self._closed = True
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rest(self) -> None:
        """Closes the file if all of it is durable. The caller holds both locks."""
        if self._file is not None and self._durable == self._tail:
            with self.poisoning():
                self._file.close()
            self._file = None

    def _write(self, type: int, version: int, time_us: int, parts: Sequence[Buffer]) -> None:
        if self._file is None:
            self._file = self._env.files.open(f"{self._folder}/{log_name(self.number)}")
        header = _core.encode_log_header(self._nonce, type, version, time_us, self._durable.size, parts)
        tail = self._tail
        try:
            self._tail = _End(self._file.append(header, *parts), version, tail.n_cuts)
        except BaseException:
            # Records behind a torn one would never be read, so its bytes go, and the log stays good.
            with self.poisoning():
                self._tail = tail._replace(n_cuts=tail.n_cuts + 1)
                self._file.truncate(tail.size)
            raise

    def _sync_data(self) -> None:
        """The caller holds `_sync_lock`; appends go on meanwhile and are not counted."""
        tail, file = self._tail, self._file
        if file is not None:
            with self.poisoning():
                file.sync_data()
        self._durable = tail

    def _prove(self) -> None:
        """Sync, then write and sync a mark: the last records can no longer be mistaken for a torn tail."""
        if self._durable != self._tail:
            self._sync_data()
        if self._marked:
            return
        # Only now: a mark that reached the disk before the records it vouches for would turn a torn tail into corruption.
        self._write(_core.LOG_MARK, self.version, int(self._env.now() * 1e6), ())
        self._sync_data()
        self._marked = True

    def _flush(self) -> None:
        """One tick of level "interval"; stops ticking when nothing was written since the last."""
        with self._sync_lock:
            if self._closed or self._failure is not None or self._durable == self._tail:
                self._stop_flusher()
            else:
                self._sync_data()
                with self._append_lock:
                    self._rest()

    def _stop_flusher(self) -> None:
        if self._flusher is not None:
            self._flusher.stop()
            self._flusher = None
