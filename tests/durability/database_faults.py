"""Faults planted on purpose in what a database does with its journals; those inside a journal are in faults.py and are caught here too.

Each is a slip that somebody could make in vicino/collection, vicino/database.py or vicino/segment. A fault takes pytest's monkeypatch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from vicino import errors
from vicino.collection import catalog, steps
from vicino.collection.replaying import ALL_VERSIONS
from vicino.collection.settings import Settings
from vicino.collection.shard import Shard
from vicino.collection.steps import Steps
from vicino.database import database
from vicino.storage import backup, journal
from vicino.storage.files import remove_tree

Fault = Callable[[pytest.MonkeyPatch], None]
DATABASE_FAULTS: dict[str, Fault] = {}


def _fault(plant: Fault) -> Fault:
    DATABASE_FAULTS[plant.__name__.removeprefix("plant_").replace("_", " ")] = plant
    return plant


@_fault
def plant_acknowledge_before_syncing(patch: pytest.MonkeyPatch) -> None:
    def make_durable(self: Shard, group: list[Any]) -> None:
        self.state.publish()
        for request in group:
            request.finish()

    patch.setattr(Shard, "_make_durable", make_durable)


@_fault
def plant_go_on_after_a_failed_sync(patch: pytest.MonkeyPatch) -> None:
    def make_durable(self: Shard, group: list[Any]) -> None:
        try:
            self.journal.sync()
        except errors.Error:
            self.journal._log._failure = None  # type: ignore[union-attr]
        self.state.publish()
        for request in group:
            request.finish()

    patch.setattr(Shard, "_make_durable", make_durable)


@_fault
def plant_catalog_names_a_collection_before_its_folder_is_there(patch: pytest.MonkeyPatch) -> None:
    create = Shard.create.__func__  # type: ignore[attr-defined]
    later: list[Callable[[], None]] = []
    change = catalog.Catalog.change

    def change_then_create(self: catalog.Catalog, **what: Any) -> None:
        change(self, **what)
        if what["op"] == "create":
            later.pop()()

    patch.setattr(Shard, "create", classmethod(lambda cls, *args: later.append(lambda: create(cls, *args))))
    patch.setattr(catalog.Catalog, "change", change_then_create)


@_fault
def plant_remove_the_folder_before_the_catalog_forgets_it(patch: pytest.MonkeyPatch) -> None:
    change = catalog.Catalog.change

    def remove_first(self: catalog.Catalog, **what: Any) -> None:
        if what["op"] == "delete":
            root = self.journal.path.rpartition("/")[0]
            remove_tree(self.journal.env.files, f"{root}/c-{self.state.collections[what['name']]}")
        change(self, **what)

    patch.setattr(catalog.Catalog, "change", remove_first)


@_fault
def plant_catalog_does_not_sync(patch: pytest.MonkeyPatch) -> None:
    change = catalog.Catalog.change

    def without_sync(self: catalog.Catalog, **what: Any) -> None:
        own = self._journal
        self._journal = _Without(own, "sync")  # type: ignore[assignment]
        try:
            change(self, **what)
        finally:
            self._journal = own

    patch.setattr(catalog.Catalog, "change", without_sync)


@_fault
def plant_rename_as_delete_and_create(patch: pytest.MonkeyPatch) -> None:
    change = catalog.Catalog.change

    def in_two(self: catalog.Catalog, **what: Any) -> None:
        if what["op"] != "rename":
            return change(self, **what)
        found = self.state.collections[what["name"]]
        change(self, op="delete", name=what["name"])
        return change(self, op="create", name=what["to"], id=found)

    patch.setattr(catalog.Catalog, "change", in_two)


@_fault
def plant_leftovers_are_swept_by_name_instead_of_by_catalog(patch: pytest.MonkeyPatch) -> None:
    """A sweep that takes every folder without a checkpoint for one whose creation never finished."""

    def sweep(self: database.Database) -> None:
        for name in self._env.files.list(self.path):
            if name.startswith("c-") and sum(file.endswith(".ids") for file in self._env.files.list(f"{self.path}/{name}")) == 0:
                remove_tree(self._env.files, f"{self.path}/{name}")

    patch.setattr(database.Database, "_remove_leftovers", sweep)


@_fault
def plant_floor_one_log_too_high(patch: pytest.MonkeyPatch) -> None:
    install = journal.Journal.install

    def too_high(self: journal.Journal, manifest: Any, *, floor: int, **how: Any) -> None:
        install(self, manifest, floor=min(floor + 1, self._log.number), **how)  # type: ignore[union-attr]

    patch.setattr(journal.Journal, "install", too_high)


@_fault
def plant_manifest_says_a_newer_version_than_it_holds(patch: pytest.MonkeyPatch) -> None:
    install = journal.Journal.install

    def newer(self: journal.Journal, manifest: Any, **how: Any) -> None:
        later = 1 if "segments" in manifest else 0
        install(self, {**manifest, "version": manifest["version"] + later}, **how)

    patch.setattr(journal.Journal, "install", newer)


@_fault
def plant_tombstones_are_not_written(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(steps, "write_tombstones", lambda journal, words: None)


@_fault
def plant_patches_are_not_written(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(steps, "write_patch", lambda journal, patch: None)


@_fault
def plant_manifest_leaves_out_a_patch_file(patch: pytest.MonkeyPatch) -> None:
    """The manifest speaks of the file, but does not list it among those that must stay."""
    from vicino.collection.manifest import Manifest

    to_json = Manifest.to_json

    def without(self: Manifest) -> dict[str, Any]:
        parts = to_json(self)
        return {**parts, "files": [name for name in parts["files"] if not name.endswith((".patch", ".tombstones"))]}

    patch.setattr(Manifest, "to_json", without)


@_fault
def plant_settings_of_now_in_the_manifest_of_then(patch: pytest.MonkeyPatch) -> None:
    """The base is older than the current settings, so `at` of a version between them shows what was not yet."""
    write = Steps._write_manifest

    def newest(self: Steps) -> None:
        self.shard.manifest = replace(self.shard.manifest, settings=self.shard.settings)
        write(self)

    patch.setattr(Steps, "_write_manifest", newest)


@_fault
def plant_settings_are_not_logged(patch: pytest.MonkeyPatch) -> None:
    def change(self: Shard, change: Callable[[Any], Any]) -> Any:
        self.settings = change(self.settings)
        return self.settings

    patch.setattr(Shard, "change_settings", change)


@_fault
def plant_replay_forgets_the_settings(patch: pytest.MonkeyPatch) -> None:
    def replay(self: Shard) -> None:
        for number, blob in self.journal.log_blobs():
            self.state.replay(blob, 0, f"wal-{number}", ALL_VERSIONS)

    patch.setattr(Shard, "_replay", replay)


@_fault
def plant_history_is_dropped_too_early(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Steps, "_keeps", lambda self, entry: entry.until > self.shard.state.snapshot().version)


@_fault
def plant_snapshot_without_the_log(patch: pytest.MonkeyPatch) -> None:
    hold = journal.Journal.hold_state

    def without_logs(self: journal.Journal) -> Any:
        state = hold(self)
        return state._replace(logs=[(number, blob.part(0, min(blob.size, 64))) for number, blob in state.logs])

    patch.setattr(journal.Journal, "hold_state", without_logs)


@_fault
def plant_snapshot_appears_before_it_is_whole(patch: pytest.MonkeyPatch) -> None:
    from contextlib import contextmanager

    @contextmanager
    def at_once(env: Any, target: str) -> Any:
        env.files.mkdir(target)
        env.files.sync_dir(target.rpartition("/")[0])
        yield target

    patch.setattr(backup, "_built", at_once)


@_fault
def plant_snapshot_is_not_synced(patch: pytest.MonkeyPatch) -> None:
    def write(env: Any, path: str, content: memoryview) -> None:
        env.files.create(path).append(content)

    patch.setattr(backup, "_write", write)


@_fault
def plant_manifest_leaves_out_files_of_values(patch: pytest.MonkeyPatch) -> None:
    from vicino.collection.manifest import Manifest

    to_json = Manifest.to_json

    def without(self: Manifest) -> dict[str, Any]:
        parts = to_json(self)
        return {**parts, "files": [name for name in parts["files"] if not name.endswith((".terms", ".values", ".multi"))]}

    patch.setattr(Manifest, "to_json", without)


@_fault
def plant_segments_are_written_without_values(patch: pytest.MonkeyPatch) -> None:
    write = steps.write_segment

    def without(journal: Any, rewrite: Any, key: int, columns: Any, _values: Any, cancel: Any, **how: Any) -> Any:
        return write(journal, rewrite, key, columns, [], cancel, **how)

    patch.setattr(steps, "write_segment", without)


@_fault
def plant_update_of_an_indexed_text_writes_fields_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Settings, "text_fields", frozenset())


class _Without:
    """An object whose named operations do nothing."""

    def __init__(self, inner: Any, *operations: str) -> None:
        self._inner = inner
        self._operations = operations

    def __getattr__(self, name: str) -> Any:
        return (lambda *_: None) if name in self._operations else getattr(self._inner, name)
