"""Faults planted on purpose, each a slip that somebody could make in vicino/storage. The crash tests must notice every one of them.

A fault takes pytest's monkeypatch and breaks one step. They know nothing of scenarios: a whole database can be tested with them too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vicino.env import Files
from vicino.env.memory import MemoryFile
from vicino.storage import container, garbage, journal, log, recovery

Fault = Callable[[pytest.MonkeyPatch], None]
FAULTS: dict[str, Fault] = {}


def _fault(plant: Fault) -> Fault:
    FAULTS[plant.__name__.removeprefix("plant_").replace("_", " ")] = plant
    return plant


class _Without:
    """A file or a store whose named operations do nothing."""

    def __init__(self, inner: Any, *operations: str) -> None:
        self._inner = inner
        self._operations = operations

    def __getattr__(self, name: str) -> Any:
        return (lambda *_: None) if name in self._operations else getattr(self._inner, name)


def _replace_file(files_: Files, path: str, temporary: str, content: bytes, *, skip: str = "", in_place: bool = False) -> None:
    """The steps of files.replace_file, one of them left out."""
    folder = path.rpartition("/")[0]
    if in_place:
        file = files_.open(path) if files_.exists(path) else files_.create(path)
        file.write_at(0, content)
        file.sync()
        files_.sync_dir(folder)
        return
    file = files_.create(temporary)
    file.append(content)
    if skip != "sync":
        file.sync()
    if skip != "first folder sync":
        files_.sync_dir(folder)
    files_.rename(temporary, path)
    if skip != "second folder sync":
        files_.sync_dir(folder)


def _skip_in_replace(patch: pytest.MonkeyPatch, **how: Any) -> None:
    patch.setattr(journal, "replace_file", lambda *args: _replace_file(*args, **how))


@_fault
def plant_commit_without_syncing_the_log(patch: pytest.MonkeyPatch) -> None:
    def pretend(self: log.LogWriter) -> None:
        self._durable = self._tail

    patch.setattr(log.LogWriter, "_sync_data", pretend)


@_fault
def plant_acknowledge_after_a_failed_sync(patch: pytest.MonkeyPatch) -> None:
    original = log.LogWriter._sync_data

    def try_again(self: log.LogWriter) -> None:
        try:
            original(self)
        except Exception:
            self._failure = None
            original(self)

    patch.setattr(log.LogWriter, "_sync_data", try_again)


@_fault
def plant_publish_before_syncing(patch: pytest.MonkeyPatch) -> None:
    original = log.LogWriter.append

    def append(self: log.LogWriter, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        durable, self._durable = self._durable, self._tail
        self.publish()
        self._durable = durable

    patch.setattr(log.LogWriter, "append", append)


@_fault
def plant_claim_unsynced_bytes_durable(patch: pytest.MonkeyPatch) -> None:
    original = log.LogWriter._write

    def write(self: log.LogWriter, *args: Any) -> None:
        durable, self._durable = self._durable, self._tail
        original(self, *args)
        self._durable = durable

    patch.setattr(log.LogWriter, "_write", write)


@_fault
def plant_write_the_mark_before_syncing(patch: pytest.MonkeyPatch) -> None:
    def prove(self: log.LogWriter) -> None:
        self._durable = self._tail
        self._write(0, self.version, 0, ())
        self._sync_data()
        self._marked = True

    patch.setattr(log.LogWriter, "_prove", prove)


@_fault
def plant_rotate_without_syncing_the_old_log(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(log.LogWriter, "_prove", lambda self: None)


@_fault
def plant_rotate_without_syncing_the_folder(patch: pytest.MonkeyPatch) -> None:
    original = log.LogWriter.rotate

    def rotate(self: log.LogWriter) -> int:
        env = self._env
        self._env = _Without(env)  # type: ignore[assignment]
        self._env.files = _Without(env.files, "sync_dir")  # type: ignore[misc]
        try:
            return original(self)
        finally:
            self._env = env

    patch.setattr(log.LogWriter, "rotate", rotate)


@_fault
def plant_new_log_without_syncing_its_header(patch: pytest.MonkeyPatch) -> None:
    original = log.create_log

    def create(env: Any, *args: Any, **kwargs: Any) -> Any:
        create_file = env.files.create
        quiet = _Without(env)
        quiet.files = _Without(env.files)  # type: ignore[attr-defined]
        quiet.files.create = lambda path: _Without(create_file(path), "sync")  # type: ignore[attr-defined]
        return original(quiet, *args, **kwargs)  # type: ignore[arg-type]

    patch.setattr(log, "create_log", create)
    patch.setattr(journal, "create_log", create)


@_fault
def plant_install_unsynced_files(patch: pytest.MonkeyPatch) -> None:
    _finish_without_sync(patch, lambda name: not name.endswith(".manifest"))


@_fault
def plant_install_an_unsynced_manifest(patch: pytest.MonkeyPatch) -> None:
    _finish_without_sync(patch, lambda name: name.endswith(".manifest"))


def _finish_without_sync(patch: pytest.MonkeyPatch, applies: Callable[[str], bool]) -> None:
    original = container.ContainerWriter.finish

    def finish(self: container.ContainerWriter) -> None:
        if applies(self.name):
            self._file = _Without(self._file, "sync")  # type: ignore[assignment]
        original(self)

    patch.setattr(container.ContainerWriter, "finish", finish)


@_fault
def plant_rename_an_unsynced_current(patch: pytest.MonkeyPatch) -> None:
    _skip_in_replace(patch, skip="sync")


@_fault
def plant_rename_before_syncing_the_folder(patch: pytest.MonkeyPatch) -> None:
    _skip_in_replace(patch, skip="first folder sync")


@_fault
def plant_forget_to_sync_the_folder_after_the_rename(patch: pytest.MonkeyPatch) -> None:
    _skip_in_replace(patch, skip="second folder sync")


@_fault
def plant_overwrite_current_in_place(patch: pytest.MonkeyPatch) -> None:
    _skip_in_replace(patch, in_place=True)


@_fault
def plant_unlink_logs_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    original = journal.Journal._write_manifest

    def write(self: journal.Journal, manifest: Any) -> str:
        self._garbage.collect({**self._needed(), "new": set(manifest["files"])}, manifest["floor"])
        return original(self, manifest)

    patch.setattr(journal.Journal, "_write_manifest", write)


@_fault
def plant_unlink_files_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    original = journal.Journal._write_manifest

    def write(self: journal.Journal, manifest: Any) -> str:
        needed = {**self._needed(), "base": {self.manifest_name, *manifest["files"]}}
        self._garbage.collect(needed, self._lowest_log())
        return original(self, manifest)

    patch.setattr(journal.Journal, "_write_manifest", write)


@_fault
def plant_unlink_what_history_needs(patch: pytest.MonkeyPatch) -> None:
    original = garbage.Garbage.collect

    def collect(self: garbage.Garbage, needed: dict[str, set[str]], lowest_log: int) -> int:
        return original(self, {**needed, "history": set()}, lowest_log)

    patch.setattr(garbage.Garbage, "collect", collect)


@_fault
def plant_recover_without_cutting_the_torn_tail(patch: pytest.MonkeyPatch) -> None:
    original = journal.find_end

    def find_end(*args: Any) -> recovery.LogEnd:
        end = original(*args)
        return recovery.LogEnd(end.number, end.size, end.proven, end.size, end.version, end.nonce, end.marked)

    patch.setattr(journal, "find_end", find_end)


@_fault
def plant_recover_without_syncing(patch: pytest.MonkeyPatch) -> None:
    def settle(self: journal.Journal, end: recovery.LogEnd) -> None:
        if end.end < end.size:
            self.env.files.open(f"{self.path}/{log.log_name(end.number)}").truncate(end.end)

    patch.setattr(journal.Journal, "_settle", settle)


@_fault
def plant_recover_without_writing_again(patch: pytest.MonkeyPatch) -> None:
    original = journal.Journal._settle

    def settle(self: journal.Journal, end: recovery.LogEnd) -> None:
        original(self, recovery.LogEnd(end.number, end.end, end.end, end.size, end.version, end.nonce, end.marked))

    patch.setattr(journal.Journal, "_settle", settle)


@_fault
def plant_leave_a_partial_record_behind(patch: pytest.MonkeyPatch) -> None:
    def write(self: log.LogWriter, type: int, version: int, time_us: int, parts: Any) -> None:
        if self._file is None:
            self._file = self._env.files.open(f"{self._folder}/{log.log_name(self.number)}")
        header = log._core.encode_log_header(self._nonce, type, version, time_us, self._durable.size, parts)
        self._tail = log._End(self._file.append(header, *parts), version, self._tail.n_cuts)

    patch.setattr(log.LogWriter, "_write", write)


@_fault
def plant_no_sync_of_a_file_reaches_the_disk(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryFile, "sync", lambda self: None)


@_fault
def plant_no_sync_of_a_folder_reaches_the_disk(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("vicino.env.memory.MemoryFiles.sync_dir", lambda self, path: None)
