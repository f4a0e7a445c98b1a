"""Files of an environment as Python streams, for the libraries that read and write file formats."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from vicino.env import Env, File, Files

_BLOCK_BYTES = 1 << 20


class _Reader(io.RawIOBase):
    """A file read block by block; it must not change meanwhile."""

    def __init__(self, files: Files, path: str) -> None:
        super().__init__()
        self._files, self._path = files, path
        self._size = files.size(path)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        block = self._files.read_range(self._path, self._position, len(view))
        view[: len(block)] = block
        self._position += len(block)
        return len(block)


class _Writer(io.RawIOBase):
    """Appends to a file that is being made."""

    def __init__(self, file: File) -> None:
        super().__init__()
        self._file = file
        self.is_abandoned = False

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.size

    def write(self, buffer: Any) -> int:
        if self.is_abandoned:  # what buffers above still hold when they are closed goes nowhere
            return len(buffer)
        before = self._file.size
        return self._file.append(buffer) - before


def open_stream(files: Files, path: str) -> io.BufferedReader:
    """The bytes of a file as a buffered, seekable stream."""
    return io.BufferedReader(_Reader(files, path), _BLOCK_BYTES)


@contextmanager
def replacing(env: Env, path: str) -> Iterator[IO[bytes]]:
    """A stream whose content takes the place of `path` when the block ends well: nobody ever sees half of it, and it is durable."""
    folder = path.rpartition("/")[0] or "/"
    unfinished = f"{path}.{env.random_name()}.tmp"
    file = env.files.create(unfinished)
    writer = _Writer(file)
    stream = io.BufferedWriter(writer, _BLOCK_BYTES)
    try:
        yield stream
        stream.flush()
        file.sync()
        file.close()
        env.files.rename(unfinished, path)
    except BaseException:
        writer.is_abandoned = True
        file.close()
        if env.files.exists(unfinished):
            env.files.unlink(unfinished)
        raise
    env.files.sync_dir(folder)
