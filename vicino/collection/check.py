"""`Database.check`: every checksum and invariant of every file; what is damaged is named, what is sound stays usable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vicino import _core
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


def check_journal(journal: Journal, report: CheckReport) -> None:
    """Every file of one moment of a journal: its manifest, the containers it names, the records of its logs."""
    state = journal.hold_state()  # what background work replaces meanwhile stays until it has been read
    try:
        for name in [state.hold.manifest, *state.manifest["files"]]:
            path = f"{journal.path}/{name}"
            report.files += 1
            try:
                report.bytes += journal.env.files.size(path)
                _core.Container.open(journal.env.files.map(path), path).verify()
            except Error as error:
                report.problem(path, error)
        for number, blob in state.logs:
            report.files += 1
            report.bytes += blob.size
            try:
                _read_log(blob, f"{journal.path}/wal-{number}")
            except Error as error:
                report.problem(f"{journal.path}/wal-{number}", error)
    finally:
        state.hold.release()


def _read_log(blob: _core.Blob, path: str) -> None:
    reader = _core.LogReader(blob, 0, path)
    reader.skip_to_end()
    if reader.torn:
        raise CorruptionError(f"the record at offset {reader.end} is damaged; restore the folder from a snapshot or a copy")


def check_collection(collection: Collection[object], report: CheckReport) -> None:
    """Files, log and the records themselves: every live record is found under its id, once, and its document decodes."""
    shard = collection._shard
    name = collection.name
    for loss in getattr(shard, "losses", ()):
        report.problems.append((f'collection "{name}"', loss))
    check_journal(shard.journal, report)
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
