"""An environment that remembers every change to its files, so that all the disks a power failure could leave can be made from it.

What a file system promises without a sync is next to nothing, and the images use all of that freedom:

    * bytes written since the file's last sync are each there, missing, torn at any byte, in any subset of 512-byte sectors, or, where
      the file grew, zeros; a byte that was overwritten is the old one or the new one
    * names created, renamed or removed since the folder's last sync are each there or not, in any combination, whatever became of the
      files' bytes; a sync of a file says nothing about its name
    * bytes that met a failed sync are uncertain for good: the kernel took them for written, so no later sync makes them durable, only
      writing them again does. (Names are different: a file system keeps them in its journal, and if that fails goes read-only.)

`CrashState` replays the record to any moment; `CrashState.image(random)` draws one disk. A killed process loses none of this: what it
left to the kernel is the state of `survivors()`.

Time is virtual, tasks run one at a time in the thread that spawns them, random bytes come from the seed: the same script gives the same
record.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from vicino.env.base import Task
from vicino.env.memory import Folder, MemoryFiles, Node

_SECTOR = 512
_SLEEPS_MAX = 100_000  # nobody sleeps so often in one script: whoever does waits for what will never come


class Event(NamedTuple):
    change: str
    node: int
    details: tuple[object, ...]


class RecordingFiles(MemoryFiles):
    """`root` is the tree to begin with: all of it durable, or, after a killed process, with what is still pending in `before`."""

    def __init__(self, root: Folder | None = None, before: CrashState | None = None) -> None:
        super().__init__()
        self.events: list[Event] = []
        if root is not None:
            self.root = root
        self.beginning = CrashState.of(self) if before is None else before.continued(self)
        self._next_id = self.beginning.highest_id

    def record(self, change: str, node: Node | Folder, *details: object) -> None:
        if change == "write":
            offset, content = details
            assert isinstance(content, memoryview)
            details = (offset, bytes(content))
        self.events.append(Event(change, node.id, details))


class _Fate(Enum):
    PENDING = "becomes certain with the next sync"
    UNCERTAIN = "met a failed sync: may be there or not, whatever comes"
    CERTAIN = "durable, but behind an uncertain change"


class _Change(NamedTuple):
    event: Event
    fate: _Fate


@dataclass(slots=True)
class _FileState:
    """`durable`, then `changes` in order."""

    durable: bytes = b""
    changes: list[_Change] = field(default_factory=list)


class _Entry(NamedTuple):
    """One change of names in a folder; `gives` after it, `takes` before it (a rename does both, and does them together)."""

    gives: str | None
    node: Node | Folder | None
    takes: str | None


@dataclass(slots=True)
class _FolderState:
    durable: dict[str, Node | Folder] = field(default_factory=dict)
    pending: list[_Entry] = field(default_factory=list)


class CrashState:
    """What is durable and what is pending after the first `index` events. Moves forward only."""

    def __init__(self, events: list[Event]) -> None:
        self._events = events
        self._file_states: dict[int, _FileState] = {}
        self._folder_states: dict[int, _FolderState] = {}
        self.index = 0
        self.highest_id = 0

    @classmethod
    def of(cls, files: RecordingFiles) -> CrashState:
        """The whole tree durable, as a disk is when the machine starts."""
        state = cls(files.events)
        state._adopt(files.root)
        return state

    def continued(self, files: RecordingFiles) -> CrashState:
        """The same state at the beginning of another record: that of the next process on a machine that lives on."""
        state = self.copy()
        state._events, state.index = files.events, 0
        return state

    def _adopt(self, folder: Folder) -> None:
        self.highest_id = max(self.highest_id, folder.id)
        self._folder_states[folder.id] = _FolderState(dict(folder.entries))
        for child in folder.entries.values():
            if isinstance(child, Folder):
                self._adopt(child)
            else:
                self.highest_id = max(self.highest_id, child.id)
                self._file_states[child.id] = _FileState(bytes(child.data))

    def copy(self) -> CrashState:
        """An independent state at the same moment."""
        other = CrashState(self._events)
        other.index, other.highest_id = self.index, self.highest_id
        other._file_states = {key: _FileState(state.durable, list(state.changes)) for key, state in self._file_states.items()}
        other._folder_states = {key: _FolderState(dict(state.durable), list(state.pending)) for key, state in self._folder_states.items()}
        return other

    def advance_to(self, index: int) -> None:
        assert self.index <= index <= len(self._events), (self.index, index)
        for event in self._events[self.index : index]:
            _REPLAY[event.change](self, event)
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
        self.file_state(event.node).changes.append(_Change(event, _Fate.PENDING))

    def _on_sync(self, event: Event) -> None:
        state = self.file_state(event.node)
        settled = [change._replace(fate=_Fate.CERTAIN) if change.fate is _Fate.PENDING else change for change in state.changes]
        uncertain = next((i for i, change in enumerate(settled) if change.fate is _Fate.UNCERTAIN), len(settled))
        state.durable = bytes(_replay(bytearray(state.durable), settled[:uncertain]))
        state.changes = settled[uncertain:]

    def _on_fail_sync(self, event: Event) -> None:
        state = self.file_state(event.node)
        state.changes = [change._replace(fate=_Fate.UNCERTAIN) if change.fate is _Fate.PENDING else change for change in state.changes]

    def _on_link(self, event: Event) -> None:
        name, node = event.details
        assert isinstance(node, Node | Folder)
        self.highest_id = max(self.highest_id, node.id)  # every node begins with a link
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


_REPLAY: dict[str, Callable[[CrashState, Event], None]] = {
    "write": CrashState._on_write,
    "truncate": CrashState._on_write,
    "sync": CrashState._on_sync,
    "fail_sync": CrashState._on_fail_sync,
    "link": CrashState._on_link,
    "unlink": CrashState._on_unlink,
    "rename": CrashState._on_rename,
    "sync_dir": CrashState._on_sync_dir,
}
"""What a change does to what is durable and pending."""


def _apply_entry(entries: dict[str, Node | Folder], change: _Entry) -> None:
    if change.takes is not None:
        taken = entries.get(change.takes)
        if taken is not None and (change.node is None or taken.id == change.node.id):
            del entries[change.takes]
    if change.gives is not None and change.node is not None:
        entries[change.gives] = change.node


def _replay(data: bytearray, changes: list[_Change]) -> bytearray:
    for change in changes:
        _apply_data(data, change.event)
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
        for change in self._names_that_stay(state.pending):
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
            self._made[node_id] = Node(node_id, self._content(state) if state.changes else state.durable)
        return self._made[node_id]

    def _content(self, state: _FileState) -> bytes:
        data = bytearray(state.durable)
        if self._chance is None:
            _replay(data, state.changes)
        else:
            self._draw(data, state.changes, self._chance)
        return bytes(data)

    def _draw(self, data: bytearray, changes: list[_Change], chance: random.Random) -> None:
        mode = chance.randrange(5)
        stays = chance.randrange(len(changes) + 1)  # only for the mode in which the first few stay
        for position, (event, fate) in enumerate(changes):
            if fate is _Fate.CERTAIN or mode == 1 or (mode == 2 and position < stays):
                _apply_data(data, event)
            elif mode == 0 or (mode == 2 and position > stays) or (mode == 3 and chance.random() < 0.5):
                continue
            else:
                _apply_data(data, event if event.change == "truncate" else _torn(event, data, chance))


def _torn(event: Event, data: bytearray, chance: random.Random) -> Event:
    """The write as far as it got: a prefix, some sectors, zeros where the size grew first, or whole."""
    offset, content = event.details
    assert isinstance(offset, int)
    assert isinstance(content, bytes)
    match chance.randrange(4):
        case 0:
            content = content[: chance.randrange(len(content) + 1)]
        case 1:
            content = bytes(data[offset : offset + len(content)]).ljust(len(content), b"\0")
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
    """A task that runs in the thread that spawned it, or a periodic one that runs when virtual time passes."""

    def __init__(self, name: str, target: Callable[[], object], interval_s: float | None = None, due: float = 0.0) -> None:
        self.name = name
        self.error: BaseException | None = None
        self.interval_s = interval_s
        self.due = due
        self._target = target
        self._begun = False
        self._stopped = False

    def run(self) -> None:
        """Once, unless it is periodic."""
        if self._begun and self.interval_s is None:
            return
        self._begun = True
        try:
            self._target()
        except Exception as error:  # as in a thread: kept for whoever joins
            self.error = error
            self._stopped = True
        if self.interval_s is None:
            self._stopped = True

    @property
    def done(self) -> bool:
        return self._stopped

    def join(self, timeout: float | None = None) -> bool:
        if self.interval_s is None:
            self.run()
        return self.done

    def stop(self) -> None:
        self._stopped = True


class RecordingEnv:
    """Files in memory that remember; virtual time; everything from `seed`.

    A task runs where it is spawned, before `spawn` returns. One that is spawned by a running task waits until that one has ended or sleeps:
    beside each other they would run, and who spawned another as the last thing it does must not be in its way.
    """

    def __init__(self, seed: int = 0, *, files: RecordingFiles | None = None, boot: int = 0) -> None:
        self.files = files or RecordingFiles()
        self.boot = boot
        self._chance = random.Random(seed)
        self._time = self._start = 1_700_000_000.0
        self._periodic: list[InlineTask] = []
        self._waiting: deque[InlineTask] = deque()
        self._in_task = False
        self._n_sleeps = 0

    @classmethod
    def after_power_loss(cls, state: CrashState, chance: random.Random, *, boot: int) -> RecordingEnv:
        """The machine started again, as boot `boot`, with one of the disks that losing power could leave."""
        return cls(chance.getrandbits(32), files=RecordingFiles(state.image(chance)), boot=boot)

    @classmethod
    def after_kill(cls, state: CrashState, chance: random.Random, *, boot: int) -> RecordingEnv:
        """Another process on the same machine: it sees everything, and what was not durable is still not."""
        return cls(chance.getrandbits(32), files=RecordingFiles(state.survivors(), state), boot=boot)

    @property
    def n_events(self) -> int:
        return len(self.files.events)

    def crash_state(self) -> CrashState:
        """A state at the beginning of the record, to be advanced."""
        return self.files.beginning.copy()

    def now(self) -> float:
        self._time += 1e-6  # time never stands still, so that no two stamps are equal
        return self._time

    def monotonic(self) -> float:
        return self.now() - self._start

    def sleep(self, seconds: float) -> None:
        """Virtual time passes: what waits runs, and so do the periodic tasks that come due, in order."""
        self._n_sleeps += 1
        assert self._n_sleeps <= _SLEEPS_MAX, f"slept {_SLEEPS_MAX} times: what is waited for never happens"
        self._run_waiting()
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
        task = InlineTask(name, target)
        self._waiting.append(task)
        if not self._in_task:
            self._in_task = True
            try:
                self._run_waiting()
            finally:
                self._in_task = False
        return task

    def _run_waiting(self) -> None:
        while self._waiting:
            self._waiting.popleft().run()

    def spawn_periodic(self, name: str, interval_s: float, target: Callable[[], object]) -> Task:
        task = InlineTask(name, target, interval_s, self._time + interval_s)
        self._periodic.append(task)
        return task

    def boot_id(self) -> bytes:
        return self.boot.to_bytes(16, "little")

    def pid(self) -> int:
        return 4242

    def hostname(self) -> str:
        return "recording"

    def forked(self) -> bool:
        return False
