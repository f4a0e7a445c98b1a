"""Opening a database: the lock, the folder, and the rule that a folder opened twice in one process is one `Database`."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from dataclasses import dataclass, replace
from typing import Any

from vicino.collection.catalog import FOLDER as CATALOG
from vicino.collection.catalog import Catalog
from vicino.collection.committer import Committer
from vicino.collection.jobs import Scheduler
from vicino.collection.limits import Limits
from vicino.database.database import Database, Mode, Options
from vicino.env import Env, MemoryEnv, RealEnv, in_forked_child
from vicino.errors import InvalidArgument, NotFoundError
from vicino.segment.memory import parse_bytes
from vicino.storage.backup import restore_database
from vicino.storage.files import absolute, make_folders, remove_tree
from vicino.storage.journal import Journal
from vicino.storage.lock import DatabaseLock
from vicino.types import SyncLevel

MEMORY_ROOT = "/memory"


@dataclass(slots=True)
class _Opened:
    """A database of this process and how many callers hold it."""

    database: Database
    holders: int = 1


_guard = threading.Lock()
_opened: dict[tuple[int, int], _Opened] = {}
"""By identity of the folder, so that two spellings of a path are one."""


_in_memory: weakref.WeakSet[Scheduler | Committer] = weakref.WeakSet()
"""Background work of databases in memory. Nobody need close these, and they may be gone while a collection of theirs is in use."""


def _release(database: Database) -> bool:
    """One holder fewer; whether that was the last."""
    with _guard:
        for key, opened in _opened.items():
            if opened.database is database:
                opened.holders -= 1
                if opened.holders == 0:
                    del _opened[key]
                return opened.holders == 0
    return True


def _forget_in_child() -> None:
    """What is open is the parent's, and a thread that the child does not have may be holding the guard."""
    global _guard
    _guard = threading.Lock()
    _opened.clear()
    _in_memory.clear()


in_forked_child(_forget_in_child)


@atexit.register
def _shut_down_all() -> None:
    """Stops background work before the interpreter goes, so that no thread is caught inside the core."""
    for opened in list(_opened.values()):
        opened.database._shut_down()
    for work in list(_in_memory):
        work.close()


def open(
    path: str | os.PathLike[str] | None = None,
    *,
    mode: Mode = "rw",
    memory_limit: int | str | None = None,
    sync: SyncLevel = "commit",
    lock_timeout: float = 0.0,
    retain: int = 0,
    threads: int | None = None,
    limits: Limits | None = None,
    _env: Env | None = None,
) -> Database:
    """Opens the database in a folder, made if it does not exist; without a path (or with ":memory:") a new one in memory.

    mode: "rw" writes and is for one process at a time; "r" reads beside it and follows it; "rescue" reads what damage has left.
    memory_limit: bytes or a text such as "2GB"; vicino's anonymous memory stays below it, or the call refuses with the shortfall.
    sync: "commit" makes every write durable before it returns; "interval" within 0.1 s; "off" leaves it to the system.
    lock_timeout: seconds to wait for another writer. retain: past versions `Collection.at` can read. threads: for background
    builds, and for the queries of one `search_many`.
    Opening a folder twice in one process gives the same database.
    Raises LockedError (pid, host), FormatError, CorruptionError, StorageError, NotFoundError (mode "r" of nothing).
    """
    _check_options(mode, sync, retain, threads, lock_timeout)
    limit = None if memory_limit is None else parse_bytes(memory_limit)
    options = Options(mode, limit, sync, retain, threads, limits or Limits())
    if path is None or path == ":memory:":
        env = _env if _env is not None else MemoryEnv()
        database = _open(env, MEMORY_ROOT, options, lock_timeout)
        _in_memory.update((database._scheduler, database._committer))
        return database
    text = os.fspath(path)
    if "://" in text:
        raise InvalidArgument(f"open() takes a folder, got {text!r}")
    root = absolute(text)
    if _env is not None:
        return _open(_env, root, options, lock_timeout)
    env = RealEnv()
    with _guard:
        key = env.files.identity(root)
        if key is not None and (found := _opened.get(key)) is not None and not found.database.is_closed:
            _expect_same(found.database, options)
            found.holders += 1
            return found.database
        database = _open(env, root, options, lock_timeout)
        key = env.files.identity(root)
        assert key is not None, root
        _opened[key] = _Opened(database)
        return database


def _expect_same(database: Database, options: Options) -> None:
    """A second opening may ask for less (reading), not for something else."""
    asked = replace(options, mode=database.mode) if options.mode == "r" else options
    if asked != database._options:
        differing = [name for name in Options.__slots__ if getattr(asked, name) != getattr(database._options, name)]
        shown = ", ".join(f"{name}={getattr(database._options, name)!r}" for name in differing)
        raise InvalidArgument(
            f"database {database.path} is open in this process with {shown}; open it with the same options, or close it first"
        )


def _open(env: Env, root: str, options: Options, lock_timeout: float) -> Database:
    files = env.files
    catalog = f"{root}/{CATALOG}"
    if options.mode != "rw":
        if not Journal.exists(env, catalog):
            raise NotFoundError(f'there is no vicino database in {root}; open it with mode="rw" to make one')
        return Database(env, root, options, None, _release)
    if not files.is_dir(root):
        if files.exists(root):
            raise InvalidArgument(f"{root} is a file; open() takes the folder of a database, or a new one")
        make_folders(files, root)
    lock = DatabaseLock.acquire(env, root, timeout=lock_timeout)
    try:
        if not Journal.exists(env, catalog):
            _expect_empty(env, root)
            Catalog.create(env, root)
        return Database(env, root, options, lock, _release)
    except BaseException:
        lock.release()
        raise


def _expect_empty(env: Env, root: str) -> None:
    """A folder that holds something else is not taken over by mistake."""
    foreign = [name for name in env.files.list(root) if name not in ("LOCK", CATALOG, "readers")]
    if foreign:
        shown = ", ".join(foreign[:3])
        raise InvalidArgument(f"{root} is not empty and holds no vicino database (found {shown}); give an empty or new folder")


def _check_options(mode: str, sync: str, retain: int, threads: int | None, lock_timeout: float) -> None:
    if mode not in ("rw", "r", "rescue"):
        raise InvalidArgument(f'mode must be "rw", "r" or "rescue", got {mode!r}')
    if sync not in ("commit", "interval", "off"):
        raise InvalidArgument(f'sync must be "commit", "interval" or "off", got {sync!r}')
    if retain < 0:
        raise InvalidArgument(f"retain must be at least 0 versions, got {retain}")
    if threads is not None and threads < 1:
        raise InvalidArgument(f"threads must be at least 1, got {threads}")
    if lock_timeout < 0:
        raise InvalidArgument(f"lock_timeout must be at least 0 seconds, got {lock_timeout}")


def restore(snapshot: str | os.PathLike[str], to: str | os.PathLike[str], **options: Any) -> Database:
    """Copies a snapshot to a new folder, verifies every checksum of the copy, and opens it. Options as in `open`."""
    env = options.get("_env") or RealEnv()
    restore_database(env, absolute(snapshot), absolute(to))
    database = open(to, **options)
    report = database.check()
    if not report.is_sound:
        database.close()
        remove_tree(env.files, absolute(to))
        report.raise_first()
    return database
