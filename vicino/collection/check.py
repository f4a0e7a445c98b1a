"""`Database.check`: every checksum and invariant of every file; what is damaged is named, what is sound stays usable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from vicino import _core
from vicino.env import is_missing
from vicino.errors import CorruptionError, Error, StorageError
from vicino.storage.journal import Journal
from vicino.storage.log import log_name, log_number

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
    """Every file of one moment of a journal: its manifest, the containers it names, the records of its logs; and what older bases need."""
    state = journal.hold_state()  # what background work replaces meanwhile stays until it has been read
    present = [state.hold.manifest, *state.manifest["files"]]
    try:
        for name in present:
            with _named(f"{journal.path}/{name}", report):
                _read_container(journal, name, report)
        for number, blob in state.logs:
            with _named(f"{journal.path}/{log_name(number)}", report):
                _read_log(blob, f"{journal.path}/{log_name(number)}", report)
    finally:
        state.hold.release()
    _check_history(journal, {*present, *(log_name(number) for number, _ in state.logs)}, report)


def _check_history(journal: Journal, read: set[str], report: CheckReport) -> None:
    """What only older bases need. Nothing holds them: a file that is gone is a loss only while its base is still kept."""
    for entry in journal.history:
        for name in chain([entry.manifest, *entry.files], map(log_name, range(entry.floor, journal.floor))):
            if name in read:
                continue
            read.add(name)
            path = f"{journal.path}/{name}"
            with _named(path, report):
                try:
                    if log_number(name) is None:
                        _read_container(journal, name, report)
                    else:
                        _read_log(journal.env.files.map(path), path, report)
                except StorageError as error:
                    if not is_missing(error) or entry in journal.history:
                        report.problem(path, error)
                    break  # logs that are missing may be as many as a damaged number says


@contextmanager
def _named(path: str, report: CheckReport) -> Iterator[None]:
    """What is wrong with the file goes into the report."""
    report.files += 1
    try:
        yield
    except Error as error:
        report.problem(path, error)


def _read_container(journal: Journal, name: str, report: CheckReport) -> None:
    path = f"{journal.path}/{name}"
    blob = journal.env.files.map(path)
    report.bytes += blob.size
    _core.Container.open(blob, path).verify()


def _read_log(blob: _core.Blob, path: str, report: CheckReport) -> None:
    report.bytes += blob.size
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
