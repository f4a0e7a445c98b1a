"""The reading end of a journal that another process may be writing: a consistent beginning, then what has been published since.

A reader never sees what is not durable: it reads up to the published position. Where none was published since the machine started there has
been no writer since, and what is on the disk is durable: it reads every valid record and drops a torn tail.

Everything may change between two reads. So a beginning counts only if CURRENT is still the same after its manifest was pinned, and a file
that is missing means looking at CURRENT again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from vicino import _core
from vicino.env import Env, is_missing
from vicino.errors import CorruptionError, Error, StorageError
from vicino.storage.log import log_name
from vicino.storage.manifest import Manifest, read_manifest
from vicino.storage.pins import ReaderPins
from vicino.storage.pointer import Current, Position, read_current, read_position
from vicino.storage.recovery import check_chain, find_end, is_unused, numbered_logs

_ATTEMPTS = 1000  # a writer would have to install a manifest during each of them


class LogSlice(NamedTuple):
    """New records of one log: those of `blob` from `offset` on; 0 is the first record. The blob begins with the file."""

    number: int
    blob: _core.Blob
    offset: int


@dataclass(frozen=True, slots=True)
class Poll:
    """What is new. If the manifest changed, `slices` are the whole log on top of the new base, else only the new records."""

    manifest_changed: bool = False
    slices: list[LogSlice] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.manifest_changed or bool(self.slices)


class Follower:
    def __init__(self, env: Env, path: str, pins: ReaderPins | None) -> None:
        self._env = env
        self._path = path
        self._folder = path.rpartition("/")[2]
        self._pins = pins
        self._current = Current("", 0)
        self._pinned: str | None = None
        self._log_sizes: dict[int, int] = {}
        self.manifest_name = ""
        self.manifest: Manifest = {}
        self.blobs: list[tuple[int, _core.Blob]] = []
        self.position = Position(0, 0)
        self._load()

    @property
    def version(self) -> int:
        return self.position.version

    def pin(self, manifest: str) -> None:
        if self._pins is not None:
            self._pins.pin(self._folder, manifest)

    def unpin(self, manifest: str) -> None:
        if self._pins is not None:
            self._pins.unpin(self._folder, manifest)

    def poll(self) -> Poll:
        position = read_position(self._env, self._path)
        if read_current(self._env, self._path) == self._current:
            try:
                return Poll(slices=self._advance(position))
            except StorageError as error:
                if not is_missing(error):
                    raise
        self._load()
        return Poll(manifest_changed=True, slices=[LogSlice(number, blob, 0) for number, blob in self.blobs])

    def close(self) -> None:
        if self._pinned is not None:
            self.unpin(self._pinned)
            self._pinned = None
        self.blobs = []

    def _load(self) -> None:
        for _ in range(_ATTEMPTS):
            current = read_current(self._env, self._path)
            self.pin(current.manifest)
            try:
                if self._begin(current):
                    if self._pinned is not None:
                        self.unpin(self._pinned)
                    self._pinned = current.manifest
                    return
            except BaseException:
                self.unpin(current.manifest)
                raise
            self.unpin(current.manifest)
        raise StorageError(f"{self._path}: CURRENT changed {_ATTEMPTS} times while it was being read; open it again")

    def _begin(self, current: Current) -> bool:
        """Take over the state of `current`; False when it is no longer the state."""
        if read_current(self._env, self._path) != current:
            return False
        try:
            manifest = read_manifest(self._env, f"{self._path}/{current.manifest}")
            position = read_position(self._env, self._path)
            blobs, position = self._read_logs(current.floor, position)
        except Error:
            if read_current(self._env, self._path) != current:
                return False
            raise
        self._current, self.manifest_name, self.manifest = current, current.manifest, manifest
        self.blobs, self.position = blobs, position
        return True

    def _read_logs(self, floor: int, position: Position | None) -> tuple[list[tuple[int, _core.Blob]], Position]:
        """All logs from `floor` on, each cut to what may be read. A position before the floor is that of a folder copied while in use."""
        if position is None or position.number < floor:
            return self._read_valid_logs(floor)
        blobs = [(number, self._map(number)) for number in range(floor, position.number + 1)]
        check_chain(blobs, self._path)
        blobs[-1] = (position.number, self._cut(position.number, blobs[-1][1], position.offset))
        return blobs, position

    def _read_valid_logs(self, floor: int) -> tuple[list[tuple[int, _core.Blob]], Position]:
        numbers = numbered_logs(self._env, self._path, floor)
        if len(numbers) > 1 and is_unused(self._env, self._path, numbers[-1]):
            numbers.pop()
        blobs = [(number, self._map(number)) for number in numbers[:-1]]
        # Copied, not mapped: a writer that starts now cuts off a torn tail, and touching a mapping beyond the end kills the process.
        last = _core.Blob(self._env.files.read(self._log_path(numbers[-1])))
        blobs.append((numbers[-1], last))
        check_chain(blobs, self._path)
        self._log_sizes = {number: blob.size for number, blob in blobs}
        end = find_end(last, self._path, numbers[-1])
        blobs[-1] = (end.number, last.part(0, end.end))
        return blobs, Position(end.number, end.end, end.version)

    def _advance(self, position: Position | None) -> list[LogSlice]:
        """The records between the position read last and this one."""
        seen = self.position
        if position is None:
            if not self._sizes_changed():
                return []
            blobs, position = self._read_valid_logs(self._current.floor)
        elif position <= seen:
            return []
        else:
            blobs = [(number, self._map(number)) for number in range(seen.number, position.number + 1)]
            blobs[-1] = (position.number, self._cut(position.number, blobs[-1][1], position.offset))
        known = dict(self.blobs)
        known.update(blobs)
        self.blobs = sorted(known.items(), key=lambda item: item[0])
        self.position = position
        offsets = {seen.number: seen.offset}
        return [
            LogSlice(number, blob, offsets.get(number, 0))
            for number, blob in blobs
            if number >= seen.number and blob.size > offsets.get(number, _core.LOG_FILE_HEADER_SIZE)
        ]

    def _sizes_changed(self) -> bool:
        last = max(self._log_sizes, default=0)
        if not last or self._env.files.exists(self._log_path(last + 1)):
            return True
        return self._env.files.size(self._log_path(last)) != self._log_sizes[last]

    def _map(self, number: int) -> _core.Blob:
        return self._env.files.map(self._log_path(number))

    def _cut(self, number: int, blob: _core.Blob, size: int) -> _core.Blob:
        if blob.size < size:
            raise CorruptionError(
                f"{self._log_path(number)}: has {blob.size} bytes, {size} were acknowledged since the machine started; "
                "restore the folder from a snapshot or a copy"
            )
        return blob.part(0, size)

    def _log_path(self, number: int) -> str:
        return f"{self._path}/{log_name(number)}"
