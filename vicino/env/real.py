"""The machine: POSIX files, flock, daemon threads, the system's clock and randomness."""

from __future__ import annotations

import builtins
import errno
import fcntl
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from vicino.env.base import Buffer, FileLock, Task, storage_error
from vicino.errors import StorageError

if TYPE_CHECKING:
    from vicino._core import Blob

_BUFFERS_PER_CALL = 1024  # IOV_MAX of Linux
_BYTES_PER_CALL = 1 << 30  # Linux writes at most 2 GiB - 4 KiB in one call
_COPY_BYTES = 1 << 20
_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: fsync alone leaves the bytes in the drive's cache
_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}

_fork_count = 0
_held_locks: weakref.WeakSet[RealFileLock] = weakref.WeakSet()


def _let_go_in_child() -> None:
    """A lock belongs to the open file, which the child shares: only closing the child's copy lets the parent's death free it."""
    global _fork_count
    _fork_count += 1
    for lock in list(_held_locks):
        lock.abandon()


os.register_at_fork(after_in_child=_let_go_in_child)


def in_forked_child(action: Callable[[], None]) -> None:
    """Has `action` run in every child that this process forks, before anything else of the child does."""
    os.register_at_fork(after_in_child=action)


def _refuse(operation: str, path: str, error: OSError) -> NoReturn:
    raise storage_error(operation, path, error.errno or errno.EIO) from error


def _write_all(fd: int, offset: int, buffers: tuple[Buffer, ...]) -> int:
    """Write every byte, however the kernel cuts the calls; the offset after the last. Python itself retries EINTR."""
    left = [view for buffer in buffers if (view := memoryview(buffer).cast("B")).nbytes]
    while left:
        batch, room = [], _BYTES_PER_CALL
        for view in left[:_BUFFERS_PER_CALL]:
            batch.append(view[:room])
            room -= batch[-1].nbytes
            if not room:
                break
        written = os.pwritev(fd, batch, offset)
        if written == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        offset += written
        while written:
            if written < left[0].nbytes:
                left[0] = left[0][written:]
                break
            written -= left.pop(0).nbytes
    return offset


def _sync(fd: int) -> None:
    if _FULL_SYNC is not None:
        fcntl.fcntl(fd, _FULL_SYNC)
    else:
        os.fsync(fd)


class RealFile:
    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self._fd = fd
        self._size = os.fstat(fd).st_size

    @property
    def size(self) -> int:
        return self._size

    def append(self, *buffers: Buffer) -> int:
        try:
            self._size = _write_all(self._fd, self._size, buffers)
        except OSError as error:
            _refuse("write", self.path, error)
        return self._size

    def write_at(self, offset: int, *buffers: Buffer) -> None:
        try:
            self._size = max(self._size, _write_all(self._fd, offset, buffers))
        except OSError as error:
            _refuse("write", self.path, error)

    def truncate(self, size: int) -> None:
        try:
            os.ftruncate(self._fd, size)
        except OSError as error:
            _refuse("truncate", self.path, error)
        self._size = size

    def sync(self) -> None:
        try:
            _sync(self._fd)
        except OSError as error:
            _refuse("sync", self.path, error)

    def sync_data(self) -> None:
        try:
            os.fdatasync(self._fd) if hasattr(os, "fdatasync") else _sync(self._fd)
        except OSError as error:
            _refuse("sync", self.path, error)

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class RealFileLock:
    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self._fd = fd
        _held_locks.add(self)

    def write(self, content: bytes) -> None:
        try:
            # Written before it is cut: a reader in between sees the new text with a rest of the old behind it, never nothing.
            _write_all(self._fd, 0, (content,))
            os.ftruncate(self._fd, len(content))
        except OSError as error:
            _refuse("write", self.path, error)

    def release(self, *, unlink: bool = False) -> None:
        if self._fd < 0:
            return
        try:
            if unlink:
                os.unlink(self.path)
            fcntl.flock(self._fd, fcntl.LOCK_UN)  # at once, also if a child that was just forked has not yet let go of its copy
        except FileNotFoundError:
            pass
        except OSError as error:
            _refuse("unlink", self.path, error)
        finally:
            self.abandon()

    def abandon(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class RealFiles:
    def create(self, path: str) -> RealFile:
        return self._open("create", path, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def open(self, path: str) -> RealFile:
        return self._open("open", path, os.O_RDWR)

    def _open(self, operation: str, path: str, flags: int) -> RealFile:
        try:
            return RealFile(path, os.open(path, flags | os.O_CLOEXEC, 0o644))
        except OSError as error:
            _refuse(operation, path, error)

    def read(self, path: str) -> bytes:
        try:
            with builtins.open(path, "rb", buffering=0) as file:
                return file.read()
        except OSError as error:
            _refuse("read", path, error)

    def read_range(self, path: str, offset: int, size: int) -> bytes:
        try:
            with builtins.open(path, "rb") as file:
                file.seek(offset)
                return file.read(size)
        except OSError as error:
            _refuse("read", path, error)

    def map(self, path: str) -> Blob:
        from vicino import _core

        try:
            return _core.map_file(path)
        except StorageError:
            self.size(path)  # a missing file is reported with its errno, which the core's errors do not carry
            raise

    def size(self, path: str) -> int:
        try:
            return os.stat(path).st_size
        except OSError as error:
            _refuse("stat", path, error)

    def exists(self, path: str) -> bool:
        return os.path.lexists(path)

    def identity(self, path: str) -> tuple[int, int] | None:
        """What tells one folder from another whatever it is called; None if there is none."""
        try:
            status = os.stat(path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def is_dir(self, path: str) -> bool:
        return os.path.isdir(path)

    def list(self, path: str) -> list[str]:
        return sorted(self._call("list", path, os.listdir, path))

    def rename(self, old: str, new: str) -> None:
        self._call("rename", old, os.replace, old, new)

    def unlink(self, path: str) -> None:
        self._call("unlink", path, os.unlink, path)

    def mkdir(self, path: str) -> None:
        self._call("make the folder", path, os.mkdir, path)

    def rmdir(self, path: str) -> None:
        self._call("remove the folder", path, os.rmdir, path)

    def sync_dir(self, path: str) -> None:
        fd = self._call("open the folder", path, os.open, path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._call("sync the folder", path, _sync, fd)
        finally:
            os.close(fd)

    def lock(self, path: str) -> FileLock | None:
        while True:
            fd = self._call("open", path, os.open, path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Somebody may have removed the file between our opening and our locking it; then ours locks nothing.
                if os.path.lexists(path) and os.stat(path).st_ino == os.fstat(fd).st_ino:
                    return RealFileLock(path, fd)
                os.close(fd)
            except BlockingIOError:
                os.close(fd)
                return None
            except OSError as error:
                os.close(fd)
                if error.errno != errno.ENOENT:
                    _refuse("lock", path, error)

    def free_bytes(self, path: str) -> int:
        status = self._call("ask the free space of", path, os.statvfs, path)
        return status.f_bavail * status.f_frsize

    def link_or_copy(self, source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                _refuse("link", target, error)
            self._copy(source, target)

    def _copy(self, source: str, target: str) -> None:
        copy = self.create(target)
        try:
            with builtins.open(source, "rb") as file:
                while chunk := file.read(_COPY_BYTES):
                    copy.append(chunk)
            copy.sync()
        except OSError as error:
            _refuse("copy", source, error)
        finally:
            copy.close()

    @staticmethod
    def _call(operation: str, path: str, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        except OSError as error:
            _refuse(operation, path, error)


class ThreadTask:
    """A daemon thread: it never keeps the process from ending."""

    def __init__(self, name: str, target: Callable[[], object], interval_s: float | None = None) -> None:
        self.name = name
        self.error: BaseException | None = None
        self._target = target
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"vicino {name}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            raise StorageError(f"no thread could be started for {name} ({error}); the system limits threads or memory, retry") from error

    def _run(self) -> None:
        try:
            if self._interval_s is None:
                self._target()
                return
            while not self._stop.wait(self._interval_s):
                self._target()
        except BaseException as error:  # kept for whoever joins: there is nobody above a thread to catch it
            self.error = error

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def join(self, timeout: float | None = None) -> bool:
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return self.done

    def stop(self) -> None:
        self._stop.set()


class Machine:
    """Clock, randomness, threads and identity of the real machine; subclasses add the files."""

    def __init__(self) -> None:
        self._fork_count = _fork_count
        self._boot_id: bytes | None = None

    def now(self) -> float:
        return time.time()

    monotonic = staticmethod(time.monotonic)  # itself: every search asks a few times

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def random_bytes(self, n: int) -> bytes:
        return os.urandom(n)

    def random_name(self) -> str:
        return os.urandom(8).hex()

    def spawn(self, name: str, target: Callable[[], object]) -> Task:
        return ThreadTask(name, target)

    def spawn_periodic(self, name: str, interval_s: float, target: Callable[[], object]) -> Task:
        return ThreadTask(name, target, interval_s)

    def boot_id(self) -> bytes:
        if self._boot_id is None:
            try:
                with builtins.open("/proc/sys/kernel/random/boot_id", "rb") as file:
                    self._boot_id = bytes.fromhex(file.read().strip().replace(b"-", b"").decode("ascii"))
            except (OSError, ValueError):
                # A system that does not say: an id nobody else has, so that nobody trusts a position across processes.
                self._boot_id = os.urandom(16)
        return self._boot_id

    def pid(self) -> int:
        return os.getpid()

    def hostname(self) -> str:
        return os.uname().nodename

    def forked(self) -> bool:
        return self._fork_count != _fork_count


class RealEnv(Machine):
    def __init__(self) -> None:
        super().__init__()
        self.files = RealFiles()
