"""`Database.check`: every checksum and invariant of every file; what is damaged is named, what is sound stays usable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vicino import _core
from vicino.env import Env
from vicino.errors import CorruptionError, Error
from vicino.storage.journal import Journal

if TYPE_CHECKING:
    from vicino.collection.collection import Collection

SLICE = 65_536


@dataclass(slots=True)
class CheckReport:
    """files, bytes: what was read. problems: (where, what) in words, empty if all is sound."""

    files: int = 0
    bytes: int = 0
    records: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        return not self.problems

    def problem(self, where: str, error: Error) -> None:
        self.problems.append((where, str(error)))

    def raise_first(self) -> None:
        """Raises CorruptionError for the first problem, if there is one."""
        if self.problems:
            where, what = self.problems[0]
            raise CorruptionError(f"{where}: {what}")

    def to_dict(self) -> dict[str, object]:
        return {
            "files": self.files,
            "bytes": self.bytes,
            "records": self.records,
            "sound": self.is_sound,
            "problems": [{"where": where, "what": what} for where, what in self.problems],
        }

    def __repr__(self) -> str:
        head = f"{self.files} files, {self.bytes:,} bytes, {self.records:,} records: "
        return head + ("sound" if self.is_sound else "\n".join(["damaged", *(f"  {where}: {what}" for where, what in self.problems)]))


def check_container_folder(env: Env, folder: str, report: CheckReport) -> None:
    """The catalog's folder, or any journal's: every container and every log record."""
    for name in env.files.list(folder):
        path = f"{folder}/{name}"
        if "." not in name and not name.startswith("wal-"):
            continue  # CURRENT and position have been read to open the journal
        report.files += 1
        report.bytes += env.files.size(path)
        if name.startswith("wal-") or name.endswith(".current"):
            continue  # logs are read by replay
        try:
            _core.Container.open(env.files.map(path), path).verify()
        except Error as error:
            report.problem(path, error)


def check_collection(collection: Collection[object], report: CheckReport) -> None:
    """Files, log and the records themselves: every live record is found under its id, once, and its document decodes."""
    shard = collection._shard
    name = collection.name
    for loss in getattr(shard, "losses", ()):
        report.problems.append((f'collection "{name}"', loss))
    check_container_folder(shard.journal.env, shard.journal.path, report)
    _check_log(shard.journal, name, report)
    snapshot = shard.snapshot()
    for entry in snapshot.entries:
        if entry["sealed"]:
            try:
                snapshot.verify(entry["key"])
            except Error as error:
                report.problem(f'collection "{name}", segment of {entry["rows"]} rows', error)
    try:
        report.records += _check_records(snapshot)
    except Error as error:
        report.problem(f'collection "{name}"', error)


def _check_log(journal: Journal, name: str, report: CheckReport) -> None:
    try:
        for _record in journal.records():
            pass
    except Error as error:
        report.problem(f'collection "{name}", log', error)


def _check_records(snapshot: _core.Snapshot) -> int:
    after, count = -1, 0
    while len(locators := snapshot.locators(None, after, SLICE)):
        ids = snapshot.ids(locators)
        found = snapshot.find(ids)
        if not np.array_equal(found, locators):
            wrong = int(np.flatnonzero(found != locators)[0])
            raise CorruptionError(f"record {ids[wrong]!r} lies in two rows or is not found under its id; restore from a snapshot")
        for document in snapshot.documents(locators):
            _core.decode_document(document)
        after, count = int(locators[-1]), count + len(locators)
    if count != snapshot.n_records:
        raise CorruptionError(f"{count} records are live, {snapshot.n_records} were counted; restore from a snapshot")
    return count
