"""Manifests: what a journal's base consists of. A container of kind "manifest" with one section "json"; never changed once written.

The keys are the owner's, except for these, which mean something to the journal:

    files      names of the immutable files the base needs; the owner lists them
    version    version of the base: replaying the log from `floor` on gives every later one; the owner states it, 0 if it does not
    floor      number of the first log to replay; the journal writes it
    history    older bases that are kept, oldest first; the journal writes it
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vicino import _core
from vicino.env import Env, is_missing
from vicino.errors import CorruptionError, StorageError
from vicino.storage.container import ContainerWriter

KIND = "manifest"
_FILE_NAME = re.compile(r"[0-9a-f]{16}\.[a-z0-9_]+")

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """An older base: with the logs from `floor` on it gives the versions from `version` up to `until`, where a newer base begins."""

    manifest: str
    floor: int
    version: int
    until: int
    files: tuple[str, ...]


def is_file_name(name: object) -> bool:
    """Whether it is a name a journal gives to its immutable files. Nothing else is opened or removed: names come from files."""
    return isinstance(name, str) and _FILE_NAME.fullmatch(name) is not None


def complete_manifest(owner: Mapping[str, Any], *, floor: int, history: list[HistoryEntry]) -> Manifest:
    return {
        **owner,
        "files": sorted(set(owner.get("files", ()))),
        "version": owner.get("version", 0),
        "floor": floor,
        "history": [asdict(entry) for entry in history],
    }


def history_of(manifest: Manifest) -> list[HistoryEntry]:
    return [HistoryEntry(**{**entry, "files": tuple(entry["files"])}) for entry in manifest["history"]]


def write_manifest(writer: ContainerWriter, manifest: Manifest) -> None:
    import json

    writer.add("json", json.dumps(manifest, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())
    writer.finish()


def read_manifest(env: Env, path: str) -> Manifest:
    import json

    try:
        container = _core.Container.open(env.files.map(path), path)
    except StorageError as error:
        if not is_missing(error):
            raise
        raise CorruptionError(
            f"{path}: the manifest that CURRENT names is missing; restore the folder from a snapshot or a copy"
        ) from error
    container.expect_kind(KIND)
    manifest: Any = None
    try:
        manifest = json.loads(bytes(container.section("json")))
        names = {*manifest["files"], *(name for entry in history_of(manifest) for name in (entry.manifest, *entry.files))}
        whole = {type(manifest["version"]), type(manifest["floor"])} == {int} and all(is_file_name(name) for name in names)
    except (ValueError, TypeError, KeyError):
        whole = False
    if not whole:
        raise CorruptionError(f"{path}: files, version, floor or history are not what they should be; restore the folder from a copy")
    return manifest
