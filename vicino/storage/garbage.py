"""Which files of a journal's folder nobody needs, and their removal. Only names that a journal makes are ever touched."""

from __future__ import annotations

from vicino.env import Env, is_missing
from vicino.errors import CorruptionError, StorageError
from vicino.storage.files import size_if_present, unlink_if_present
from vicino.storage.log import log_number
from vicino.storage.manifest import is_file_name, read_manifest
from vicino.storage.pins import read_pins


class Garbage:
    """Errors do not stop the journal: what could not be removed is tried again the next time, and `error` says why it stayed."""

    def __init__(self, env: Env, path: str) -> None:
        self._env = env
        self._path = path
        self._root, _, self._folder = path.rpartition("/")
        self.error: StorageError | CorruptionError | None = None

    def collect(self, needed: dict[str, set[str]], lowest_log: int) -> int:
        """Unlink what neither `needed` nor a pin of a reader names, and the logs before `lowest_log`; how many files went."""
        self.error = None
        try:
            pinned = self._pinned()
            if pinned is None:
                return 0
            keep = pinned.union(*needed.values())
            return sum(self._unlink(name) for name in self._env.files.list(self._path) if self._is_garbage(name, keep, lowest_log))
        except (StorageError, CorruptionError) as error:
            self.error = error
            return 0

    def usage(self, needed: dict[str, set[str]]) -> dict[str, int]:
        """Bytes on disk by who needs them; a file that several need counts for the first in the order of `needed`, then readers."""
        owners = {**needed, "readers": self._pinned() or set()}
        usage = dict.fromkeys([*owners, "log", "other"], 0)
        for name in self._env.files.list(self._path):
            owner = "log" if log_number(name) is not None else next((who for who, names in owners.items() if name in names), "other")
            usage[owner] += size_if_present(self._env.files, f"{self._path}/{name}")
        return usage

    def _is_garbage(self, name: str, keep: set[str], lowest_log: int) -> bool:
        if (number := log_number(name)) is not None:
            return number < lowest_log
        return name not in keep and is_file_name(name)

    def _pinned(self) -> set[str] | None:
        """Files that living readers of other processes need; None when that cannot be known just now."""
        pins = read_pins(self._env, self._root)
        if pins is None:
            return None
        files: set[str] = set()
        for manifest in {manifest for folder, manifest in pins if folder == self._folder}:
            try:
                files |= {manifest, *read_manifest(self._env, f"{self._path}/{manifest}")["files"]}
            except CorruptionError as error:
                # A reader that pinned a manifest after it went looks at CURRENT again and takes the next one.
                if not (isinstance(error.__cause__, StorageError) and is_missing(error.__cause__)):
                    raise
        return files

    def _unlink(self, name: str) -> bool:
        try:
            unlink_if_present(self._env.files, f"{self._path}/{name}")
        except StorageError as error:
            self.error = error
            return False
        return True
