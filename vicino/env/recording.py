"""An environment that remembers every change to its files, so that all the disks a power failure could leave can be made from it.

What a file system promises without a sync is next to nothing, and the images use all of that freedom:

    * bytes written since the file's last sync are each there, missing, torn at any byte, in any subset of 512-byte sectors, or zeros
    * names created, renamed or removed since the folder's last sync are each there or not, in any combination, whatever became of the
      files' bytes; a sync of a file says nothing about its name
    * changes that met a failed sync may or may not be there for good: no later sync makes them durable

`CrashState` replays the record to any moment; `CrashState.image(random)` draws one disk. A killed process loses none of this: what it
left to the kernel is the state of `survivors()`.

Time is virtual, tasks run inline where they are spawned, random bytes come from the seed: the same script gives the same record.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from vicino.env.base import Task
from vicino.env.memory import Folder, MemoryFiles, Node

_SECTOR = 512


class Event(NamedTuple):
    change: str
    node: int
    details: tuple[object, ...]


class RecordingFiles(MemoryFiles):
    def __init__(self, root: Folder | None = None) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.boot_image = CrashState(self)
        if root is not None:
            self.root = root
            self._next_id = self.boot_image.adopt(root)

    def record(self, change: str, node: Node | Folder, *details: object) -> None:
        kept = tuple(bytes(detail) if isinstance(detail, memoryview) else detail for detail in details)
        self.events.append(Event(change, node.id, kept))


@dataclass(slots=True)
class _FileState:
    durable: bytes = b""
    pending: list[Event] = field(default_factory=list)
    doomed: list[Event] = field(default_factory=list)  # met a failed sync: never durable, never surely gone


class _Entry(NamedTuple):
    """One change of names in a folder; `gives` after it, `takes` before it (a rename does both, and does them together)."""

    gives: str | None
    node: Node | Folder | None
    takes: str | None


@dataclass(slots=True)
class _FolderState:
    durable: dict[str, Node | Folder] = field(default_factory=dict)
    pending: list[_Entry] = field(default_factory=list)
    doomed: list[_Entry] = field(default_factory=list)


class CrashState:
    """What is durable and what is pending after the first `index` events. Moves forward only."""

    def __init__(self, files: RecordingFiles) -> None:
        self._files = files
        self._file_states: dict[int, _FileState] = {}
        self._folder_states: dict[int, _FolderState] = {0: _FolderState()}
        self.index = 0

    def adopt(self, root: Folder) -> int:
        """Take a whole tree as durable, as a disk is when the machine starts; the highest id in it."""
        highest = root.id
        self._folder_states[root.id] = _FolderState(dict(root.entries))
        for child in root.entries.values():
            if isinstance(child, Folder):
                highest = max(highest, self.adopt(child))
            else:
                highest = max(highest, child.id)
                self._file_states[child.id] = _FileState(bytes(child.data))
        return highest

    def copy(self) -> CrashState:
        """An independent state at the same moment."""
        other = CrashState(self._files)
        other.index = self.index
        other._file_states = {
            key: _FileState(state.durable, list(state.pending), list(state.doomed)) for key, state in self._file_states.items()
        }
        other._folder_states = {
            key: _FolderState(dict(state.durable), list(state.pending), list(state.doomed)) for key, state in self._folder_states.items()
        }
        return other

    def advance_to(self, index: int) -> None:
        assert self.index <= index <= len(self._files.events), (self.index, index)
        for event in self._files.events[self.index : index]:
            getattr(self, f"_on_{event.change}")(event)
        self.index = index

    def image(self, chance: random.Random) -> Folder:
        """One disk that losing power now could leave, as a root folder for a new environment."""
        return _Image(self, chance).root

    def survivors(self) -> Folder:
        """The disk as every process sees it now: what is left when a process is killed and the machine lives."""
        return _Image(self, None).root

    def file_state(self, node_id: int) -> _FileState:
        return self._file_states.setdefault(node_id, _FileState())

    def folder_state(self, node_id: int) -> _FolderState:
        return self._folder_states.setdefault(node_id, _FolderState())

    def _on_write(self, event: Event) -> None:
        self.file_state(event.node).pending.append(event)

    _on_truncate = _on_write

    def _on_sync(self, event: Event) -> None:
        state = self.file_state(event.node)
        state.durable = bytes(_replay(bytearray(state.durable), state.pending))
        state.pending.clear()

    def _on_fail_sync(self, event: Event) -> None:
        state = self.file_state(event.node)
        state.doomed += state.pending
        state.pending.clear()

    def _on_link(self, event: Event) -> None:
        name, node = event.details
        self.folder_state(event.node).pending.append(_Entry(name, node, None))  # type: ignore[arg-type]

    def _on_unlink(self, event: Event) -> None:
        self.folder_state(event.node).pending.append(_Entry(None, None, event.details[0]))  # type: ignore[arg-type]

    def _on_rename(self, event: Event) -> None:
        old, target, new, node = event.details
        assert isinstance(target, Folder)
        if target.id == event.node:
            self.folder_state(target.id).pending.append(_Entry(new, node, old))  # type: ignore[arg-type]
            return
        self.folder_state(target.id).pending.append(_Entry(new, node, None))  # type: ignore[arg-type]
        self.folder_state(event.node).pending.append(_Entry(None, None, old))  # type: ignore[arg-type]

    def _on_sync_dir(self, event: Event) -> None:
        state = self.folder_state(event.node)
        for change in state.pending:
            _apply_entry(state.durable, change)
        state.pending.clear()

    def _on_fail_sync_dir(self, event: Event) -> None:
        state = self.folder_state(event.node)
        state.doomed += state.pending
        state.pending.clear()


def _apply_entry(entries: dict[str, Node | Folder], change: _Entry) -> None:
    if change.takes is not None and (change.node is None or entries.get(change.takes) is change.node):
        entries.pop(change.takes, None)
    if change.gives is not None and change.node is not None:
        entries[change.gives] = change.node


def _replay(data: bytearray, events: list[Event]) -> bytearray:
    for event in events:
        _apply_data(data, event)
    return data


def _apply_data(data: bytearray, event: Event) -> None:
    if event.change == "truncate":
        size = event.details[0]
        assert isinstance(size, int)
        if size > len(data):
            data.extend(bytes(size - len(data)))
        del data[size:]
        return
    offset, content = event.details
    assert isinstance(offset, int)
    assert isinstance(content, bytes)
    if offset > len(data):
        data.extend(bytes(offset - len(data)))
    data[offset : offset + len(content)] = content


class _Image:
    """Draws one tree. `chance` None applies everything."""

    def __init__(self, state: CrashState, chance: random.Random | None) -> None:
        self._state = state
        self._chance = chance
        self._made: dict[int, Node] = {}  # one node per file however many names it has
        self.root = self._folder(0)

    def _folder(self, node_id: int) -> Folder:
        state = self._state.folder_state(node_id)
        entries = dict(state.durable)
        for change in self._names_that_stay(state.doomed) + self._names_that_stay(state.pending):
            _apply_entry(entries, change)
        folder = Folder(node_id)
        for name, child in entries.items():
            folder.entries[name] = self._folder(child.id) if isinstance(child, Folder) else self._file(child.id)
        return folder

    def _names_that_stay(self, changes: list[_Entry]) -> list[_Entry]:
        if self._chance is None or not changes:
            return changes
        match self._chance.randrange(4):
            case 0:
                return []
            case 1:
                return changes
            case 2:  # a journaling file system: the first few, in order
                return changes[: self._chance.randrange(len(changes) + 1)]
            case _:
                return [change for change in changes if self._chance.random() < 0.5]

    def _file(self, node_id: int) -> Node:
        if node_id not in self._made:
            state = self._state.file_state(node_id)
            data: bytes | bytearray = state.durable
            if state.doomed or state.pending:
                data = bytearray(data)
                if self._chance is None:
                    _replay(_replay(data, state.doomed), state.pending)
                else:
                    self._draw(data, state.doomed, self._chance)
                    self._draw(data, state.pending, self._chance)
            self._made[node_id] = Node(node_id, bytes(data))
        return self._made[node_id]

    def _draw(self, data: bytearray, events: list[Event], chance: random.Random) -> None:
        if not events:
            return
        mode = chance.randrange(5)
        stays = chance.randrange(len(events) + 1)  # only for the mode in which the first few stay
        for position, event in enumerate(events):
            if mode == 0 or (mode == 2 and position > stays) or (mode == 3 and chance.random() < 0.5):
                continue
            if mode == 1 or event.change == "truncate" or (mode == 2 and position < stays):
                _apply_data(data, event)
            else:
                _apply_data(data, _torn(event, data, chance))


def _torn(event: Event, data: bytearray, chance: random.Random) -> Event:
    """The write as far as it got: a prefix, some sectors, zeros where the size grew first, or whole."""
    offset, content = event.details
    assert isinstance(offset, int)
    assert isinstance(content, bytes)
    match chance.randrange(4):
        case 0:
            content = content[: chance.randrange(len(content) + 1)]
        case 1:
            content = bytes(len(content))
        case 2:
            before = bytes(data[offset : offset + len(content)]).ljust(len(content), b"\0")
            mixed = bytearray(before)
            first = offset // _SECTOR * _SECTOR
            for sector in range(first, offset + len(content), _SECTOR):
                if chance.random() < 0.5:
                    start, end = max(sector, offset) - offset, min(sector + _SECTOR, offset + len(content)) - offset
                    mixed[start:end] = content[start:end]
            content = bytes(mixed)
        case _:
            pass
    return Event(event.change, event.node, (offset, content))


class InlineTask:
    """A task that ran where it was spawned, or a periodic one that runs when virtual time passes."""

    def __init__(self, name: str, target: Callable[[], object], interval_s: float | None = None, due: float = 0.0) -> None:
        self.name = name
        self.error: BaseException | None = None
        self.interval_s = interval_s
        self.due = due
        self._target = target
        self._stopped = False
        if interval_s is None:
            self.run()
            self._stopped = True

    def run(self) -> None:
        try:
            self._target()
        except Exception as error:  # as in a thread: kept for whoever joins
            self.error = error
            self._stopped = True

    @property
    def done(self) -> bool:
        return self._stopped

    def join(self, timeout: float | None = None) -> bool:
        return self.done

    def stop(self) -> None:
        self._stopped = True


class RecordingEnv:
    """Files in memory that remember; virtual time; tasks inline; everything from `seed`. `root` and `boot` come from a crash image."""

    def __init__(self, seed: int = 0, *, root: Folder | None = None, boot: int = 0) -> None:
        self.files = RecordingFiles(root)
        self._chance = random.Random(seed)
        self._boot = boot
        self._time = 1_700_000_000.0
        self._start = self._time
        self._periodic: list[InlineTask] = []

    @property
    def n_events(self) -> int:
        return len(self.files.events)

    def crash_state(self) -> CrashState:
        """A state at the beginning of the record, to be advanced."""
        return self.files.boot_image.copy()

    def now(self) -> float:
        self._time += 1e-6  # time never stands still, so that no two stamps are equal
        return self._time

    def monotonic(self) -> float:
        return self.now() - self._start

    def sleep(self, seconds: float) -> None:
        """Virtual time passes, and with it the periodic tasks that come due, in order."""
        end = self._time + seconds
        while ready := [task for task in self._periodic if not task.done and task.due <= end]:
            task = min(ready, key=lambda one: one.due)
            self._time = max(self._time, task.due)
            task.run()
            task.due += task.interval_s or 0.0
        self._time = max(self._time, end)

    def random_bytes(self, n: int) -> bytes:
        return self._chance.randbytes(n)

    def random_name(self) -> str:
        return self._chance.randbytes(8).hex()

    def spawn(self, name: str, target: Callable[[], object]) -> Task:
        return InlineTask(name, target)

    def spawn_periodic(self, name: str, interval_s: float, target: Callable[[], object]) -> Task:
        task = InlineTask(name, target, interval_s, self._time + interval_s)
        self._periodic.append(task)
        return task

    def boot_id(self) -> bytes:
        return self._boot.to_bytes(16, "little")

    def pid(self) -> int:
        return 4242

    def hostname(self) -> str:
        return "recording"

    def forked(self) -> bool:
        return False
