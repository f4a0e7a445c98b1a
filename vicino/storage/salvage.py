"""A journal's folder read in spite of damage: the newest manifest that can be read, and logs up to where they break. Nothing is written."""

from __future__ import annotations

from vicino import _core
from vicino.env import Env
from vicino.errors import CorruptionError, Error
from vicino.storage.journal import Journal
from vicino.storage.log import log_number
from vicino.storage.manifest import KIND, HistoryEntry, Manifest, read_manifest
from vicino.storage.pointer import read_current


class SalvagedJournal(Journal):
    """Offers what reading needs. `log_blobs` are whole files: their reader stops at the first record that does not hold."""

    def log_blobs(self, floor: int | None = None) -> list[tuple[int, _core.Blob]]:
        first = self.floor if floor is None else floor
        names = self.env.files.list(self.path)
        numbers = sorted(number for name in names if (number := log_number(name)) is not None and number >= first)
        return [(number, self.env.files.map(f"{self.path}/wal-{number}")) for number in numbers]

    @property
    def history(self) -> list[HistoryEntry]:
        return []

    @property
    def log_bytes(self) -> int:
        return sum(blob.size for _, blob in self.log_blobs())


def open_damaged(env: Env, folder: str, losses: list[str]) -> Journal:
    """Appends to `losses` what could not be read. Raises CorruptionError when there is no manifest left."""
    try:
        current = read_current(env, folder)
        return SalvagedJournal(env, folder, current.manifest, read_manifest(env, f"{folder}/{current.manifest}"))
    except Error as error:
        losses.append(str(error))
    found = _newest_manifest(env, folder)
    if found is None:
        raise CorruptionError(f"{folder}: no manifest can be read; restore the folder from a snapshot or a copy")
    return SalvagedJournal(env, folder, *found)


def _newest_manifest(env: Env, folder: str) -> tuple[str, Manifest] | None:
    found: list[tuple[int, str, Manifest]] = []
    for name in env.files.list(folder):
        if name.endswith(f".{KIND}"):
            try:
                manifest = read_manifest(env, f"{folder}/{name}")
            except Error:
                continue  # damaged too; another one may do
            found.append((manifest["version"], name, manifest))
    return max(found, key=lambda entry: entry[:2])[1:] if found else None
