"""What an environment offers. Every failure of the operating system is a StorageError naming operation and path."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from vicino.errors import StorageError

if TYPE_CHECKING:
    from vicino._core import Blob

Buffer = Any
"""Whatever supports the buffer protocol: bytes, memoryview, a contiguous numpy array, `_core.Blob`."""

_NEXT_STEP = {
    errno.ENOSPC: "free disk space and retry",
    errno.EDQUOT: "raise the disk quota or free space and retry",
    errno.EACCES: "check the permissions of the file and its folder",
    errno.EPERM: "check the permissions of the file and its folder",
    errno.EROFS: 'the file system is read-only; open with mode="r"',
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "the machine has too many open files",
    errno.EIO: "the device reported an error; check the disk, then reopen",
}


def storage_error(operation: str, path: str, number: int) -> StorageError:
    """The error for `operation` on `path` that the system refused with errno `number`."""
    reason = f"{path}: cannot {operation}: {os.strerror(number)} ({errno.errorcode.get(number, number)})"
    step = _NEXT_STEP.get(number)
    error = StorageError(f"{reason}; {step}" if step else reason, errno=number)
    error.filename = path
    return error


def is_missing(error: StorageError) -> bool:
    """Whether the operation failed because there is no such file or folder."""
    return error.errno == errno.ENOENT


class File(Protocol):
    """A file open for writing. One thread writes at a time; `sync` and `sync_data` may run beside a write."""

    path: str

    @property
    def size(self) -> int: ...
    def append(self, *buffers: Buffer) -> int:
        """Write all buffers, one after another, at the end; the new size. After an error any part of them may have been written."""
        ...

    def write_at(self, offset: int, *buffers: Buffer) -> None: ...
    def truncate(self, size: int) -> None: ...
    def sync(self) -> None:
        """Data, size and attributes are durable on return."""
        ...

    def sync_data(self) -> None:
        """Data and size are durable on return."""
        ...

    def close(self) -> None: ...


class FileLock(Protocol):
    """An exclusive lock that ends with the process that holds it, however that ends. It is not inherited by forked processes."""

    path: str

    def write(self, content: bytes) -> None:
        """Replace the content of the lock file, for others to read."""
        ...

    def release(self, *, unlink: bool = False) -> None: ...


class Files(Protocol):
    """Paths are absolute strings with "/"; a path's folder must exist."""

    def create(self, path: str) -> File:
        """A new file; an error when the name is taken."""
        ...

    def open(self, path: str) -> File:
        """An existing file, for appending, overwriting and truncating."""
        ...

    def read(self, path: str) -> bytes: ...
    def read_range(self, path: str, offset: int, size: int) -> bytes:
        """At most `size` bytes; fewer at the end of the file."""
        ...

    def map(self, path: str) -> Blob:
        """The file's present bytes without copying them. They stay readable after the file is unlinked, not after it is truncated."""
        ...

    def size(self, path: str) -> int: ...
    def exists(self, path: str) -> bool: ...
    def is_dir(self, path: str) -> bool: ...
    def list(self, path: str) -> list[str]:
        """Names in a folder, sorted."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Atomic; replaces `new` if it is a file."""
        ...

    def unlink(self, path: str) -> None: ...
    def mkdir(self, path: str) -> None: ...
    def rmdir(self, path: str) -> None: ...
    def sync_dir(self, path: str) -> None:
        """Names created, renamed and removed in this folder are durable on return."""
        ...

    def lock(self, path: str) -> FileLock | None:
        """Lock the file, made if it does not exist; None when somebody else holds it. Never waits."""
        ...

    def free_bytes(self, path: str) -> int: ...
    def link_or_copy(self, source: str, target: str) -> None:
        """A second name for an immutable file, or a synced copy where the file system has no links."""
        ...


class Task(Protocol):
    """Something that was spawned."""

    name: str
    error: BaseException | None

    @property
    def done(self) -> bool: ...
    def join(self, timeout: float | None = None) -> bool:
        """Wait until it is done; False when `timeout` seconds passed first."""
        ...

    def stop(self) -> None:
        """Ask a periodic task to run no more; returns at once."""
        ...


class Env(Protocol):
    @property
    def files(self) -> Files: ...
    def now(self) -> float:
        """Seconds since 1970, UTC; may jump."""
        ...

    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...
    def random_bytes(self, n: int) -> bytes: ...
    def random_name(self) -> str:
        """Sixteen hexadecimal digits, never the same twice."""
        ...

    def spawn(self, name: str, target: Callable[[], object]) -> Task:
        """Run `target` beside the caller. An exception ends the task and is kept in its `error`."""
        ...

    def spawn_periodic(self, name: str, interval_s: float, target: Callable[[], object]) -> Task:
        """Run `target` every `interval_s` seconds until the task is stopped or `target` raises."""
        ...

    def boot_id(self) -> bytes:
        """Sixteen bytes that are the same for all processes since the machine started, and different after it starts again."""
        ...

    def pid(self) -> int: ...
    def hostname(self) -> str: ...
    def forked(self) -> bool:
        """Whether this process is a forked child of the one that made this environment; its files and locks are the parent's."""
        ...
