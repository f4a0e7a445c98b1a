"""The lock of the one writing process of a database: an flock on LOCK, free the moment its holder is gone, however it went.

The file says who holds it, for the message to others; only the lock itself counts. It is never removed: two processes could then hold
locks on two files of one name.
"""

from __future__ import annotations

from vicino.env import Env, FileLock
from vicino.errors import LockedError, StorageError

LOCK = "LOCK"
_TRY_AGAIN_S = 0.02


class DatabaseLock:
    """Held from `acquire` until `release` or the end of the process."""

    def __init__(self, lock: FileLock) -> None:
        self._lock = lock

    @classmethod
    def acquire(cls, env: Env, root: str, *, timeout: float = 0.0) -> DatabaseLock:
        """Take the lock, waiting up to `timeout` seconds. Raises LockedError naming the process that holds it."""
        path = f"{root}/{LOCK}"
        deadline = env.monotonic() + timeout
        while (lock := env.files.lock(path)) is None:
            if env.monotonic() >= deadline:
                raise _locked(env, root, path, timeout)
            env.sleep(_TRY_AGAIN_S)
        lock.write(f"pid {env.pid()}\nhost {env.hostname()}\nboot {env.boot_id().hex()}\n".encode())
        return cls(lock)

    def release(self) -> None:
        self._lock.release()


def read_holder(env: Env, root: str) -> tuple[int | None, str | None]:
    """Process id and host of the last process that took the lock, as far as the file tells."""
    try:
        lines = env.files.read(f"{root}/{LOCK}").decode(errors="replace").splitlines()
    except StorageError:
        return None, None  # only the wording of a message depends on it
    facts = dict(line.split(" ", 1) for line in lines if " " in line)
    pid = facts.get("pid", "")
    return int(pid) if pid.isdigit() else None, facts.get("host")


def _locked(env: Env, root: str, path: str, timeout: float) -> LockedError:
    pid, host = read_holder(env, root)
    who = f"process {pid} on {host}" if pid is not None else "another process"
    waited = f" and did not let go within {timeout:g} s" if timeout else ""
    return LockedError(
        f'{path}: {who} writes to this database{waited}; close it there, pass lock_timeout= to wait, or open with mode="r" to read',
        pid=pid,
        host=host,
    )
