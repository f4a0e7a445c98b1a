"""Pins: how reading processes keep files from being removed under them, and how dead readers keep nothing.

    readers/<pid>-<random>    one per reading process, locked by it; a line "<folder> <manifest>" for every manifest it needs, and a last
                              line with the checksum of the others

A reader writes its pin, then looks again whether CURRENT still names that manifest. The writer replaces CURRENT, then looks at the pins.
So one of them always sees the other. A pin file whose lock is free belongs to a dead process and is removed.
"""

from __future__ import annotations

import threading
from collections import Counter

from vicino import _core
from vicino.env import Env, FileLock, is_missing
from vicino.errors import ClosedError, StorageError
from vicino.storage.files import make_folders

FOLDER = "readers"


class ReaderPins:
    """The pins of this process on one database.

    Where this process may not write nothing is pinned: on read-only media nothing can be removed either, and with permissions that forbid
    it a file that is gone when it is first opened means reading CURRENT again.
    """

    def __init__(self, env: Env, root: str) -> None:
        self._env = env
        self._folder = f"{root}/{FOLDER}"
        self._guard = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock: FileLock | None = None
        self._read_only = False
        self._closed = False

    def pin(self, folder: str, manifest: str) -> None:
        self._change(folder, manifest, +1)

    def unpin(self, folder: str, manifest: str) -> None:
        self._change(folder, manifest, -1)

    def close(self) -> None:
        with self._guard:
            self._closed = True
            if self._lock is not None:
                self._lock.release(unlink=not self._env.forked())
                self._lock = None

    def _change(self, folder: str, manifest: str, by: int) -> None:
        with self._guard:
            if self._closed:
                if by < 0:
                    return
                raise ClosedError(f"{self._folder}: this reader is closed; open the database again")
            before = set(+self._counts)
            self._counts[folder, manifest] += by
            if set(+self._counts) != before:
                self._write()

    def _write(self) -> None:
        if self._read_only:
            return
        try:
            if self._lock is None:
                self._lock = self._make()
            self._lock.write(_encode(sorted(+self._counts)))
        except StorageError as error:
            if not _is_read_only(error):
                raise
            self._read_only = True

    def _make(self) -> FileLock:
        while True:
            try:
                lock = self._env.files.lock(f"{self._folder}/{self._env.pid()}-{self._env.random_name()}")
            except StorageError as error:
                if not is_missing(error):
                    raise
                make_folders(self._env.files, self._folder)
                continue
            if lock is not None:  # None: the writer is looking whether this new file belongs to the dead; take another name
                return lock


def read_pins(env: Env, root: str) -> set[tuple[str, str]] | None:
    """(folder, manifest) of everything a living reader of any process pins; None when one cannot be read: remove nothing."""
    folder = f"{root}/{FOLDER}"
    try:
        names = env.files.list(folder)
    except StorageError as error:
        if is_missing(error):
            return set()
        raise
    pins: set[tuple[str, str]] = set()
    for name in names:
        path = f"{folder}/{name}"
        if not env.files.exists(path):
            continue
        if (lock := env.files.lock(path)) is not None:
            lock.release(unlink=True)
            continue
        try:
            found = _decode(env.files.read(path))
        except StorageError as error:
            if is_missing(error):
                continue
            raise
        if found is None:
            return None
        pins |= found
    return pins


def _encode(pins: list[tuple[str, str]]) -> bytes:
    body = "".join(f"{folder} {manifest}\n" for folder, manifest in pins).encode()
    return body + b"%08x\n" % _core.crc32c(body)


def _decode(content: bytes) -> set[tuple[str, str]] | None:
    """None for a content that is being replaced. An empty file is a reader that has not pinned yet."""
    if not content:
        return set()
    body, checksum = content[:-9], content[-9:]
    if checksum != b"%08x\n" % _core.crc32c(body):
        return None
    lines = [line.split(" ") for line in body.decode().splitlines()]
    return {(folder, manifest) for folder, manifest in lines}


def _is_read_only(error: StorageError) -> bool:
    import errno

    return error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
