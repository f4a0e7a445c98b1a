"""A journal: one folder with CURRENT, manifests, immutable files and a log. The catalog and every collection are journals.

    create, open ──► append* sync* ──► rotate ──► create_file* install ──► …          (the one writer)
    open ──► log_blobs, poll*                                                         (any number of readers)

The state of a journal is what its manifest describes, plus the records of the logs from the floor on. `install` replaces manifest and
floor together, in an order each step of which the crash tests need:

    1. the new files are written and synced (`ContainerWriter.finish`)      their bytes, before anything speaks of them
    2. the manifest is written and synced; so is the temporary CURRENT
    3. the folder is synced                                                 their names, before CURRENT can speak of them
    4. the temporary CURRENT is renamed to CURRENT                          the commit
    5. the folder is synced                                                 the commit stays
    6. only now: files and logs that nobody needs are unlinked
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from vicino import _core
from vicino.env import Buffer, Env
from vicino.errors import ClosedError, CorruptionError, Error, InvalidArgument, NotFoundError, ReadOnlyError, StorageError
from vicino.storage.container import ContainerWriter
from vicino.storage.files import remove_tree, replace_file, unlink_if_present
from vicino.storage.follow import Follower, Poll
from vicino.storage.garbage import Garbage
from vicino.storage.hold import HeldState, Hold
from vicino.storage.log import LogWriter, create_log, log_name
from vicino.storage.manifest import KIND, HistoryEntry, Manifest, complete_manifest, history_of, read_manifest, write_manifest
from vicino.storage.pins import ReaderPins
from vicino.storage.pointer import CURRENT, Current, Position, read_current, read_position
from vicino.storage.recovery import LogEnd, check_acknowledged, check_chain, find_end, is_unused, numbered_logs, records
from vicino.types import SyncLevel

_INTERVAL_S = 0.1


class Journal:
    """Made by `create` or `open`. Appending is for one thread at a time; `sync`, `install` and reading may come from any."""

    def __init__(self, env: Env, path: str, manifest_name: str, manifest: Manifest) -> None:
        self.env = env
        self.path = path
        self.manifest_name = manifest_name
        self.manifest = manifest
        self._log: LogWriter | None = None
        self._follower: Follower | None = None
        self._install_lock = threading.RLock()
        self._pending: set[str] = set()
        self._held: Counter[str] = Counter()
        self._closed_log_sizes: dict[int, int] = {}
        self._garbage = Garbage(env, path)
        self._closed = False

    @staticmethod
    def exists(env: Env, path: str) -> bool:
        return env.files.exists(f"{path}/{CURRENT}")

    @classmethod
    def create(
        cls, env: Env, path: str, manifest: Mapping[str, Any], *, sync: SyncLevel = "commit", interval_s: float = _INTERVAL_S
    ) -> Journal:
        """A new journal, durable on return. A folder left by a creation that never finished is taken over.

        Raises CorruptionError when the folder holds files that no unfinished creation leaves.
        """
        files = env.files
        if not files.is_dir(path):
            files.mkdir(path)
        else:
            _clear_unfinished(env, path)
        full = complete_manifest(manifest, floor=1, history=[])
        size, nonce = create_log(env, path, 1, previous_size=0, version=full["version"])
        name = f"{env.random_name()}.{KIND}"
        write_manifest(ContainerWriter(files.create(f"{path}/{name}"), KIND), full)
        replace_file(files, f"{path}/{CURRENT}", f"{path}/{env.random_name()}.current", Current(name, 1).encode())
        files.sync_dir(path.rpartition("/")[0] or "/")
        journal = cls(env, path, name, full)
        journal._log = LogWriter(
            env, path, 1, size, nonce=nonce, version=full["version"], marked=True, sync=sync, interval_s=interval_s
        )
        journal._log.publish()
        return journal

    @classmethod
    def open(
        cls,
        env: Env,
        path: str,
        *,
        writable: bool,
        sync: SyncLevel = "commit",
        interval_s: float = _INTERVAL_S,
        pins: ReaderPins | None = None,
    ) -> Journal:
        """Open what is there. To write, the caller holds the database's lock; what a crash left behind is cleared first.

        pins: this process's pins on the database, for a reader that shares it with a writer.
        Raises NotFoundError, CorruptionError, FormatError, StorageError.
        """
        if not writable:
            follower = Follower(env, path, pins)
            journal = cls(env, path, follower.manifest_name, follower.manifest)
            journal._follower = follower
            return journal
        current = read_current(env, path)
        manifest = _read_current_manifest(env, path, current)
        journal = cls(env, path, current.manifest, manifest)
        position = read_position(env, path)
        end = journal._recover(position)
        journal._log = LogWriter(
            env, path, end.number, end.end, nonce=end.nonce, version=end.version, marked=end.marked, sync=sync, interval_s=interval_s
        )
        journal._log.publish()
        return journal

    @staticmethod
    def remove(env: Env, path: str) -> None:
        """Remove a journal's folder. Nothing may refer to it any more: a crash may leave part of it."""
        remove_tree(env.files, path)

    # Reading: both kinds.

    @property
    def version(self) -> int:
        """Version of the last record that was appended (writer) or may be read (reader)."""
        return self._log.version if self._log else self._following().version

    @property
    def floor(self) -> int:
        return self.manifest["floor"]

    @property
    def log_bytes(self) -> int:
        """Bytes of the logs from the floor on."""
        if self._log is None:
            return sum(blob.size for _, blob in self._following().blobs)
        return self._log.size + sum(size for number, size in self._closed_log_sizes.items() if number >= self.floor)

    @property
    def log_file_bytes(self) -> int:
        """Bytes of the log file that is being written."""
        return self._writing().size

    @property
    def history(self) -> list[HistoryEntry]:
        """Older bases that are kept, oldest first."""
        return history_of(self.manifest)

    def log_blobs(self, floor: int | None = None) -> list[tuple[int, _core.Blob]]:
        """(number, bytes) of every log from the floor, or from an older base's floor, on.

        Each ends exactly where its last valid record ends: a record that does not hold in them is damage, not a torn tail.
        """
        first = self.floor if floor is None else floor
        if self._log is None and first >= self.floor:
            return [(number, blob) for number, blob in self._following().blobs if number >= first]
        if self._log is not None:
            last, last_size = self._log.number, self._log.size
        else:
            last, last_size = self._following().position.number, self._following().position.offset
        blobs = []
        for number in range(first, last + 1):
            blob = self.env.files.map(f"{self.path}/{log_name(number)}")
            blobs.append((number, blob.part(0, last_size) if number == last else blob))
        check_chain(blobs, self.path)
        return blobs

    def records(self, floor: int | None = None) -> Iterator[tuple[int, int, int, memoryview]]:
        """(type, version, time_us, payload) of every record of `log_blobs(floor)`, in order."""
        return records(self.log_blobs(floor), self.path)

    def read_manifest(self, name: str) -> Manifest:
        """A manifest that `history` names."""
        return read_manifest(self.env, f"{self.path}/{name}")

    def open_file(self, name: str) -> _core.Blob:
        """The bytes of an immutable file."""
        return self.env.files.map(f"{self.path}/{name}")

    def hold(self) -> Hold:
        """Keep the files of the present manifest until the hold is released."""
        if self._follower is not None:
            name = self._follower.manifest_name
            self._follower.pin(name)
            return Hold(name, self._follower.unpin)
        with self._install_lock:
            self._held[self.manifest_name] += 1
            return Hold(self.manifest_name, self._let_go)

    def hold_state(self) -> HeldState:
        """Everything a copy needs, from one moment; release the hold when it is done. Logs are mapped: they may be unlinked."""
        with self._install_lock:
            return HeldState(self.hold(), self.manifest, self.log_blobs())

    def file_bytes(self) -> dict[str, int]:
        """Bytes on disk by who needs them: base, history, pending (being written), held (by snapshots), readers, log, other."""
        return self._garbage.usage(self._needed())

    @property
    def garbage_error(self) -> Error | None:
        """Why the last collection of garbage left something that nobody needs."""
        return self._garbage.error

    # Reading behind a writer.

    def poll(self) -> Poll:
        """What other processes have made durable since the last look. Cheap when there is nothing new."""
        follower = self._following()
        if self._closed:
            raise ClosedError(f"{self.path}: is closed; open it again")
        poll = follower.poll()
        if poll.manifest_changed:
            self.manifest_name, self.manifest = follower.manifest_name, follower.manifest
        return poll

    # Writing.

    def append(self, type: int, version: int, payload: Buffer | Sequence[Buffer], *, time_us: int | None = None) -> None:
        """Write one record, whose payload may be given in parts. Not durable before `sync` returns.

        After an error nothing was written. type: 1 to 255. time_us: microseconds since 1970; now if not given.
        """
        if not 1 <= type <= 255:
            raise InvalidArgument(f"the type of a log record is 1 to 255, got {type}")
        self._writing().append(type, version, payload, time_us=time_us)

    def sync(self) -> None:
        """Make every record appended so far durable, as the sync level asks, and visible to other processes.

        After an error the outcome is unknown and the journal refuses to write: close it and open it again.
        """
        self._writing().sync()

    def rotate(self) -> int:
        """Make everything durable and begin a new log file; its number, which a later `install` may name as the floor."""
        log = self._writing()
        with self._install_lock:
            closed = log.number
            number = log.rotate()
            self._closed_log_sizes[closed] = self.env.files.size(f"{self.path}/{log_name(closed)}")
            return number

    def create_file(self, kind: str) -> ContainerWriter:
        """A new immutable file `<random>.<kind>`, kept until `install` names it in `files`, `discard` drops it or the journal closes."""
        self._writing().check()
        name = f"{self.env.random_name()}.{kind}"
        with self._install_lock:
            self._pending.add(name)
        try:
            return ContainerWriter(self.env.files.create(f"{self.path}/{name}"), kind)
        except BaseException:
            # Not removed: were the name taken, it would be another's file. What is left of this one goes with the next collection.
            with self._install_lock:
                self._pending.discard(name)
            raise

    def discard(self, file: ContainerWriter | str) -> None:
        """Remove a file that was created and will not be installed."""
        name = file if isinstance(file, str) else file.name
        if not isinstance(file, str):
            file.close()
        with self._install_lock:
            if name not in self._pending:
                raise InvalidArgument(f"{self.path}/{name}: only a file that was created and not yet installed can be discarded")
        self._forget(name)

    def install(self, manifest: Mapping[str, Any], *, floor: int, keep_history: Callable[[HistoryEntry], bool] | None = None) -> None:
        """Make `manifest` and `floor` the state, atomically and durably, and remove what nobody needs any more.

        manifest["files"]: every immutable file the new base needs, finished. manifest["version"]: the version it is at.
        floor: number of the first log that is not folded into the base.
        keep_history: which older bases to keep, the one being replaced among them; none if not given.
        After an error that leaves the outcome unknown the journal refuses to write: close it and open it again.
        """
        log = self._writing()
        with self._install_lock:
            log.check()
            self._check_install(manifest, floor, log)
            history = self._history_after(manifest.get("version", 0), keep_history)
            full = complete_manifest(manifest, floor=floor, history=history)
            name = self._write_manifest(full)
            temporary = f"{self.path}/{self.env.random_name()}.current"
            with log.poisoning():
                replace_file(self.env.files, f"{self.path}/{CURRENT}", temporary, Current(name, floor).encode())
            self.manifest_name, self.manifest = name, full
            self._pending -= {name, *full["files"]}
            for number in [number for number in self._closed_log_sizes if number < self._lowest_log()]:
                del self._closed_log_sizes[number]
            self.collect_garbage()

    def collect_garbage(self) -> int:
        """Unlink every file that neither manifest, history, holds nor readers need; how many went. What cannot be unlinked waits.

        Runs after every install; call it when snapshots or readers have let go.
        """
        self._writing().check()
        with self._install_lock:
            return self._garbage.collect(self._needed(), self._lowest_log())

    def close(self) -> None:
        """Make everything durable and let go. Files that were created and not installed are removed by the next opening."""
        if self._closed:
            return
        self._closed = True
        if self._log is not None:
            self._log.close()
        if self._follower is not None:
            self._follower.close()

    def _recover(self, position: Position | None) -> LogEnd:
        """Find the end of the log and make the folder as if nothing had crashed; everything that stays is durable on return."""
        env, path = self.env, self.path
        numbers = numbered_logs(env, path, self._lowest_log())
        clean = position is not None and position.clean
        if len(numbers) > 1 and numbers[-1] > self.floor and is_unused(env, path, numbers[-1]):
            unlink_if_present(env.files, f"{path}/{log_name(numbers.pop())}")
            clean = False
        blobs = [(number, env.files.map(f"{path}/{log_name(number)}")) for number in numbers]
        check_chain(blobs, path)
        end = find_end(blobs[-1][1], path, numbers[-1])
        check_acknowledged(end, position, path)
        self._closed_log_sizes = {number: blob.size for number, blob in blobs[:-1]}
        if clean and end.end == end.size:
            return end
        self._settle(end)
        self._garbage.collect(self._needed(), self._lowest_log())
        return end

    def _settle(self, end: LogEnd) -> None:
        """A killed process leaves bytes and names that are seen but not durable: they count from now on, so they are made so.

        What is not proven to have been synced is written again: after a sync that failed, the kernel takes bytes for written that are not.
        """
        path = f"{self.path}/{log_name(end.number)}"
        file = self.env.files.open(path)
        try:
            if end.end < end.size:
                file.truncate(end.end)
            # The first record proves that the header was synced; a log without one may be what a failed sync and then a kill have left.
            proven = end.proven if end.end > _core.LOG_FILE_HEADER_SIZE else 0
            if proven < end.end:
                file.write_at(proven, self.env.files.read_range(path, proven, end.end - proven))
            file.sync()
        finally:
            file.close()
        self.env.files.sync_dir(self.path)

    def _needed(self) -> dict[str, set[str]]:
        """Names of files by who needs them."""
        history = self.history
        held: set[str] = set()
        for name in [name for name, count in self._held.items() if count > 0 and name != self.manifest_name]:
            held |= {name, *self.read_manifest(name)["files"]}
        return {
            "base": {self.manifest_name, *self.manifest["files"]},
            "history": {name for entry in history for name in (entry.manifest, *entry.files)},
            "pending": set(self._pending),
            "held": held,
        }

    def _lowest_log(self) -> int:
        return min([self.floor, *(entry.floor for entry in self.history)])

    def _history_after(self, version: int, keep: Callable[[HistoryEntry], bool] | None) -> list[HistoryEntry]:
        if keep is None:
            return []
        replaced = HistoryEntry(
            manifest=self.manifest_name,
            floor=self.floor,
            version=self.manifest["version"],
            until=version,
            files=tuple(self.manifest["files"]),
        )
        return [entry for entry in [*self.history, replaced] if keep(entry)]

    def _check_install(self, manifest: Mapping[str, Any], floor: int, log: LogWriter) -> None:
        if not self.floor <= floor <= log.number:
            raise InvalidArgument(f"{self.path}: the floor must lie between {self.floor} and {log.number}, got {floor}")
        for name in manifest.get("files", ()):
            if name not in self._pending and name not in self.manifest["files"] and not self.env.files.exists(f"{self.path}/{name}"):
                raise NotFoundError(f"{self.path}/{name}: the manifest names this file, but it was never created")

    def _write_manifest(self, manifest: Manifest) -> str:
        writer = self.create_file(KIND)
        try:
            write_manifest(writer, manifest)
        except BaseException:
            writer.close()
            self._pending.discard(writer.name)  # the next collection removes it
            raise
        return writer.name

    def _forget(self, name: str) -> None:
        unlink_if_present(self.env.files, f"{self.path}/{name}")
        with self._install_lock:
            self._pending.discard(name)

    def _let_go(self, manifest: str) -> None:
        with self._install_lock:
            self._held[manifest] -= 1

    def _writing(self) -> LogWriter:
        if self._log is None:
            raise ReadOnlyError(f'{self.path}: opened for reading; open the database with mode="w" to write')
        return self._log

    def _following(self) -> Follower:
        if self._follower is None:
            raise InvalidArgument(f"{self.path}: opened for writing; there is nothing to follow")
        return self._follower


def _read_current_manifest(env: Env, path: str, current: Current) -> Manifest:
    manifest = read_manifest(env, f"{path}/{current.manifest}")
    if manifest["floor"] != current.floor:
        raise CorruptionError(
            f"{path}/{current.manifest}: has floor {manifest['floor']}, CURRENT says {current.floor}; "
            "restore the folder from a snapshot or a copy"
        )
    return manifest


def _clear_unfinished(env: Env, path: str) -> None:
    """Remove what a creation that crashed has left, and refuse to touch anything else."""
    names = env.files.list(path)
    if CURRENT in names:
        raise StorageError(f"{path}: already holds vicino data; open it instead of creating it")
    for name in names:
        unfinished = name == log_name(1) and env.files.size(f"{path}/{name}") <= _core.LOG_FILE_HEADER_SIZE
        if not unfinished and not name.endswith((f".{KIND}", ".current")):
            raise CorruptionError(
                f"{path}: has no {CURRENT} but holds {name}; restore the folder from a snapshot or a copy, or move it away"
            )
    for name in names:
        unlink_if_present(env.files, f"{path}/{name}")
