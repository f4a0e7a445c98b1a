"""The catalog of a database: which collections and aliases there are. A journal whose records are small JSON objects.

    {"op": "create", "name": …, "id": …}   {"op": "delete", "name": …}   {"op": "rename", "name": …, "to": …}
    {"op": "alias", "name": …, "target": name of a collection}           {"op": "unalias", "name": …}

A collection's folder is made and durable before it is created here, and removed after it is deleted here; a folder that the catalog
does not name is left over from a crash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vicino.env import Env
from vicino.errors import CorruptionError, ExistsError, InvalidArgument, NotFoundError, did_you_mean
from vicino.storage.journal import Journal
from vicino.storage.pins import ReaderPins
from vicino.storage.shape import expect_shape
from vicino.types import SyncLevel

FOLDER = "catalog"
RECORD = 1
NAME_BYTES_MAX = 255
CHECKPOINT_BYTES = 64 << 10
"""Log at which it is folded into the manifest: some hundred changes, each of which copies the maps of names when it is replayed."""


@dataclass(frozen=True, slots=True)
class CatalogState:
    """collections: name -> id, in the order of creation. aliases: name -> id of the collection it stands for."""

    collections: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    """collections the other way round; filled when first asked, since every search asks for a name and few changes do."""

    def after(self, change: Mapping[str, Any]) -> CatalogState:
        """The state after one record. Raises KeyError for a record that does not fit."""
        name = change["name"]
        collections, aliases = dict(self.collections), dict(self.aliases)
        match change["op"]:
            case "create":
                collections[name] = change["id"]
            case "delete":
                gone = collections.pop(name)
                aliases = {alias: target for alias, target in aliases.items() if target != gone}
            case "rename":
                collections = {change["to"] if old == name else old: entry for old, entry in collections.items()}
            case "alias":
                aliases[name] = collections[change["target"]]
            case "unalias":
                del aliases[name]
            case other:
                raise KeyError(other)
        return replace(self, collections=collections, aliases=aliases)

    def resolve(self, name: str) -> str:
        """Id of a collection by name or alias. Raises NotFoundError with close matches."""
        found = self.collections.get(name) or self.aliases.get(name)
        if found is None:
            raise NotFoundError(f'there is no collection "{name}".{did_you_mean(name, [*self.collections, *self.aliases])}')
        return found

    def name_of(self, collection_id: str) -> str:
        if not self._names:
            self._names.update({found: name for name, found in self.collections.items()})
        name = self._names.get(collection_id)
        if name is None:
            raise NotFoundError("the collection was deleted")
        return name

    def check_free(self, name: str) -> None:
        if name in self.collections:
            raise ExistsError(f'collection "{name}" exists; open it with collection("{name}"), or pass exist_ok=True')
        if name in self.aliases:
            raise ExistsError(
                f'"{name}" is an alias of collection "{self.name_of(self.aliases[name])}"; choose another name or drop the alias'
            )


class Catalog:
    """The journal behind `CatalogState`; one thread changes it at a time, under the database's lock."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._load()

    @classmethod
    def create(cls, env: Env, root: str) -> None:
        Journal.create(env, f"{root}/{FOLDER}", _manifest(CatalogState(), 0)).close()

    @classmethod
    def open(cls, env: Env, root: str, *, writable: bool, sync: SyncLevel, pins: ReaderPins | None) -> Catalog:
        return cls(Journal.open(env, f"{root}/{FOLDER}", writable=writable, sync=sync, pins=pins))

    def _load(self) -> None:
        manifest = self._journal.manifest
        expect_shape(manifest, {"collections": {str: str}, "aliases": {str: str}}, "the manifest of the catalog")
        self.state = CatalogState(manifest["collections"], manifest["aliases"])
        self._version = manifest["version"]
        self._apply(self._journal.records())

    def _apply(self, records: Any) -> None:
        for _type, version, _time_us, payload in records:
            if version <= self._version:
                continue
            try:
                change = json.loads(bytes(payload))
                expect_shape(change, {str: str}, "catalog: record")
                self.state = self.state.after(change)
            except (KeyError, ValueError) as error:
                raise CorruptionError(f"catalog: record {version} cannot be applied ({error}); restore from a snapshot") from error
            self._version = version

    def refresh(self) -> bool:
        """For a reading process: catches up; whether anything changed."""
        news = self._journal.poll()
        if news.manifest_changed:
            self._load()
        elif news.slices:
            self._apply(self._journal.records())
        return bool(news)

    def change(self, **change: Any) -> None:
        """Makes one change durable."""
        state = self.state.after(change)
        self._journal.append(RECORD, self._version + 1, json.dumps(change).encode())
        self._version += 1
        self._journal.sync()
        self.state = state
        if self._journal.log_bytes > CHECKPOINT_BYTES:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Folds the log into the manifest."""
        floor = self._journal.rotate()
        self._journal.install(_manifest(self.state, self._version), floor=floor)

    @property
    def journal(self) -> Journal:
        return self._journal

    def close(self) -> None:
        self._journal.close()


def _manifest(state: CatalogState, version: int) -> dict[str, Any]:
    return {"version": version, "files": [], "collections": dict(state.collections), "aliases": dict(state.aliases)}


def check_name(name: Any) -> str:
    """A legal name for a collection or alias: any text of 1 to 255 bytes without control characters and slashes."""
    if not isinstance(name, str):
        raise InvalidArgument(f"a collection's name is a string, got {type(name).__name__} {name!r}")
    size = len(name.encode("utf-8", "surrogatepass"))
    if not 1 <= size <= NAME_BYTES_MAX:
        raise InvalidArgument(f"a collection's name has 1 to {NAME_BYTES_MAX} bytes, got {size}")
    if bad := [character for character in name if ord(character) < 32 or character in "/\\\x7f" or 0xD800 <= ord(character) <= 0xDFFF]:
        raise InvalidArgument(f"a collection's name has no control characters and no slashes, got {bad[0]!r} in {name!r}")
    return name
