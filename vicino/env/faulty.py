"""An environment in which one operation on files fails, once: every line that can meet an error is met by one."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, Literal, cast

from vicino.env.base import Buffer, Env, File, FileLock, Files, Task, storage_error

Fault = Literal["EIO", "ENOSPC", "short"]
"""What happens: the operation does nothing and fails, or (`short`) a write gets half of its bytes out before the disk is full."""


class FaultyEnv:
    """`inner`, but its `fail_at`-th file operation, counted from 0, fails with `fault`. None never fails and only counts."""

    def __init__(self, inner: Env, *, fail_at: int | None = None, fault: Fault = "EIO") -> None:
        self._inner = inner
        self.files: Files = cast(Files, _FaultyFiles(self, inner.files))
        self.fail_at = fail_at
        self.fault: Fault = fault
        self.n_operations = 0
        self.failed: str | None = None
        """The operation that failed and its path, once it has."""

    def meet(self, operation: str, path: str) -> bool:
        """Count one operation; True when it is the one that fails."""
        index, self.n_operations = self.n_operations, self.n_operations + 1
        if index == self.fail_at:
            self.failed = f"{operation} {path}"
            return True
        return False

    def refuse(self, operation: str, path: str) -> Exception:
        return storage_error(operation, path, errno.EIO if self.fault == "EIO" else errno.ENOSPC)

    def now(self) -> float:
        return self._inner.now()

    def monotonic(self) -> float:
        return self._inner.monotonic()

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)

    def random_bytes(self, n: int) -> bytes:
        return self._inner.random_bytes(n)

    def random_name(self) -> str:
        return self._inner.random_name()

    def spawn(self, name: str, target: Callable[[], object]) -> Task:
        return self._inner.spawn(name, target)

    def spawn_periodic(self, name: str, interval_s: float, target: Callable[[], object]) -> Task:
        return self._inner.spawn_periodic(name, interval_s, target)

    def boot_id(self) -> bytes:
        return self._inner.boot_id()

    def pid(self) -> int:
        return self._inner.pid()

    def hostname(self) -> str:
        return self._inner.hostname()

    def forked(self) -> bool:
        return self._inner.forked()


class _FaultyFiles:
    """Every method of Files: count, perhaps fail, else pass on."""

    def __init__(self, env: FaultyEnv, inner: Files) -> None:
        self._env = env
        self._inner = inner

    def create(self, path: str) -> File:
        self._meet("create", path)
        return _FaultyFile(self._env, self._inner.create(path))

    def open(self, path: str) -> File:
        self._meet("open", path)
        return _FaultyFile(self._env, self._inner.open(path))

    def lock(self, path: str) -> FileLock | None:
        self._meet("lock", path)
        return self._inner.lock(path)

    def sync_dir(self, path: str) -> None:
        self._meet("sync the folder", path)
        self._inner.sync_dir(path)

    def rename(self, old: str, new: str) -> None:
        self._meet("rename", old)
        self._inner.rename(old, new)

    def link_or_copy(self, source: str, target: str) -> None:
        self._meet("link", target)
        self._inner.link_or_copy(source, target)

    def __getattr__(self, operation: str) -> Any:
        """The operations that take a path first and need nothing special to fail."""
        passed_on = getattr(self._inner, operation)

        def counted(path: str, *args: Any) -> Any:
            self._meet(operation, path)
            return passed_on(path, *args)

        return counted

    def _meet(self, operation: str, path: str) -> None:
        if self._env.meet(operation, path):
            raise self._env.refuse(operation, path)


class _FaultyFile:
    def __init__(self, env: FaultyEnv, inner: File) -> None:
        self.path = inner.path
        self._env = env
        self._inner = inner

    @property
    def size(self) -> int:
        return self._inner.size

    def append(self, *buffers: Buffer) -> int:
        self._meet_write(self._inner.size, buffers)
        return self._inner.append(*buffers)

    def write_at(self, offset: int, *buffers: Buffer) -> None:
        self._meet_write(offset, buffers)
        self._inner.write_at(offset, *buffers)

    def truncate(self, size: int) -> None:
        if self._env.meet("truncate", self.path):
            raise self._env.refuse("truncate", self.path)
        self._inner.truncate(size)

    def sync(self) -> None:
        self._meet_sync()
        self._inner.sync()

    def sync_data(self) -> None:
        self._meet_sync()
        self._inner.sync_data()

    def close(self) -> None:
        self._inner.close()

    def _meet_write(self, offset: int, buffers: tuple[Buffer, ...]) -> None:
        if not self._env.meet("write", self.path):
            return
        if self._env.fault == "short":
            content = b"".join(bytes(buffer) for buffer in buffers)
            self._inner.write_at(offset, content[: len(content) // 2])
        raise self._env.refuse("write", self.path)

    def _meet_sync(self) -> None:
        if self._env.meet("sync", self.path):
            if fail := getattr(self._inner, "fail_sync", None):
                fail()
            raise self._env.refuse("sync", self.path)
