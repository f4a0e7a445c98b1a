"""Snapshots of a whole database into another folder, and their restoration. The copy is an ordinary database folder.

Immutable files are linked where source and target share a file system, so a snapshot costs little time and no space until the
originals go. The log is copied up to its last durable record. Everything is built under a temporary name and renamed when it is whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from vicino.env import Env
from vicino.errors import ExistsError, NotFoundError, StorageError
from vicino.storage.container import ContainerWriter
from vicino.storage.files import remove_tree
from vicino.storage.journal import Journal
from vicino.storage.log import log_name
from vicino.storage.manifest import KIND, complete_manifest, write_manifest
from vicino.storage.pointer import CURRENT, Current

COPY_BYTES = 8 << 20
CATALOG = "catalog"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A finished snapshot: where it lies, how many files and bytes it has (links counted in full)."""

    path: str
    files: int
    size_bytes: int


def copy_database(env: Env, target_env: Env, catalog: Journal, journals: Mapping[str, Journal], target: str) -> Snapshot:
    """Copies every journal as it is at one moment of its own. journals: by folder name. Raises ExistsError if the target has content."""
    counts = _Counts()
    with _built(target_env, target) as folder:
        # Collections first: one that the catalog's copy names is then there. One created meanwhile is in neither.
        for name, journal in journals.items():
            _copy_journal(env, target_env, journal, f"{folder}/{name}", counts)
        _copy_journal(env, target_env, catalog, f"{folder}/{CATALOG}", counts)
        target_env.files.sync_dir(folder)
    return Snapshot(target, counts.files, counts.size_bytes)


@dataclass(slots=True)
class _Counts:
    files: int = 0
    size_bytes: int = 0


@contextmanager
def _built(env: Env, target: str) -> Iterator[str]:
    """A folder under a temporary name that becomes `target` when the block ends well, and goes when it does not."""
    files = env.files
    if files.exists(target) and (not files.is_dir(target) or files.list(target)):
        raise ExistsError(f"{target} exists and is not an empty folder; give a new one")
    parent = target.rpartition("/")[0] or "/"
    if not files.is_dir(parent):
        raise NotFoundError(f"{parent} does not exist; make it first, or give another place for {target}")
    temporary = f"{target}.{env.random_name()}.partial"
    files.mkdir(temporary)
    try:
        yield temporary
        if files.exists(target):
            files.rmdir(target)
        files.rename(temporary, target)
        files.sync_dir(parent)
    except BaseException:
        remove_tree(files, temporary)
        raise


def _copy_journal(env: Env, target_env: Env, journal: Journal, folder: str, counts: _Counts) -> None:
    target_env.files.mkdir(folder)
    state = journal.hold_state()
    try:
        for name in state.manifest["files"]:
            _copy_file(env, target_env, f"{journal.path}/{name}", f"{folder}/{name}")
            counts.files += 1
            counts.size_bytes += target_env.files.size(f"{folder}/{name}")
        for number, blob in state.logs:
            _write(target_env, f"{folder}/{log_name(number)}", memoryview(blob))
            counts.files += 1
            counts.size_bytes += blob.size
        # History is not part of a snapshot, so its manifest is written anew.
        manifest = complete_manifest(state.manifest, floor=state.manifest["floor"], history=[])
        name = f"{target_env.random_name()}.{KIND}"
        write_manifest(ContainerWriter(target_env.files.create(f"{folder}/{name}"), KIND), manifest)
        _write(target_env, f"{folder}/{CURRENT}", memoryview(Current(name, manifest["floor"]).encode()))
        target_env.files.sync_dir(folder)
    finally:
        state.hold.release()


def _copy_file(env: Env, target_env: Env, source: str, target: str) -> None:
    if type(env) is type(target_env):
        target_env.files.link_or_copy(source, target)
    else:
        _write(target_env, target, memoryview(env.files.map(source)))


def _write(env: Env, path: str, content: memoryview) -> None:
    file = env.files.create(path)
    try:
        for start in range(0, content.nbytes, COPY_BYTES):
            file.append(content[start : start + COPY_BYTES])
        file.sync()
    finally:
        file.close()


def restore_database(env: Env, snapshot: str, target: str) -> None:
    """Copies a snapshot's folder byte by byte to a new one, durable on return. Raises NotFoundError, ExistsError."""
    if not Journal.exists(env, f"{snapshot}/{CATALOG}"):
        raise NotFoundError(f"there is no snapshot in {snapshot}; a snapshot is a folder made by snapshot(to=…)")
    with _built(env, target) as folder:
        for name in env.files.list(snapshot):
            source = f"{snapshot}/{name}"
            if not env.files.is_dir(source) or name == "readers":
                continue
            env.files.mkdir(f"{folder}/{name}")
            for file in env.files.list(source):
                if file == "position":
                    continue  # it speaks of the machine the snapshot was opened on
                try:
                    _write(env, f"{folder}/{name}/{file}", memoryview(env.files.map(f"{source}/{file}")))
                except StorageError as error:
                    raise StorageError(f"{source}/{file} cannot be copied: {error}", errno=error.errno) from error
            env.files.sync_dir(f"{folder}/{name}")
        env.files.sync_dir(folder)
