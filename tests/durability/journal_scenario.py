"""A journal used the way a collection uses it: records in the log, folded into immutable files now and then.

The state is the number of versions there are. Version v has a payload that follows from v, so a wrong byte shows.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.durability.harness import State, Step
from vicino import _core
from vicino.env import Env
from vicino.storage.journal import Journal
from vicino.storage.manifest import HistoryEntry
from vicino.types import SyncLevel

_ROOT = "/db"
_PATH = f"{_ROOT}/c-1"


def payload(version: int) -> bytes:
    return random.Random(version).randbytes(version * 97 % 1400)


class JournalScenario:
    def __init__(self, sync: SyncLevel = "commit") -> None:
        self._sync: SyncLevel = sync
        self.durable_reads = sync == "commit"
        self._journal: Journal | None = None

    @property
    def journal(self) -> Journal:
        assert self._journal is not None
        return self._journal

    def create(self, env: Env) -> State:
        env.files.mkdir(_ROOT)
        env.files.sync_dir("/")
        self._journal = Journal.create(env, _PATH, {}, sync=self._sync)
        return 0

    def reopen(self, env: Env) -> State:
        self._journal = Journal.open(env, _PATH, writable=True, sync=self._sync)
        return observe(self._journal)

    def read(self, env: Env) -> State:
        journal = Journal.open(env, _PATH, writable=False)
        try:
            return observe(journal)
        finally:
            journal.close()

    def step(self, env: Env, state: State, chance: random.Random) -> Step:
        state = self.journal.version  # after an error more may have been appended than was acknowledged
        match chance.randrange(12):
            case 0:
                return Step("rotate", [state], self.journal.rotate)
            case 1 | 2 | 3:
                return Step("checkpoint", [state], lambda: self._checkpoint(chance))
            case 4:
                return Step("close and open", [state], lambda: self._close_and_open(env))
            case 5:
                return Step("discard a file", [state], self._discard, durable=False)
            case _:
                return self._write(state, chance)

    def _write(self, state: int, chance: random.Random) -> Step:
        last = state + chance.randint(1, 4)

        def act() -> None:
            for version in range(state + 1, last + 1):
                self.journal.append(1, version, payload(version))
            self.journal.sync()

        return Step(f"write {state + 1} to {last}", list(range(state + 1, last + 1)), act, durable=self._sync == "commit")

    def _checkpoint(self, chance: random.Random) -> None:
        """Fold everything but, sometimes, the newest log into one more file."""
        journal = self.journal
        floor = journal.rotate()
        old = [name for name in journal.manifest["files"] if chance.random() < 0.7]
        folded = read_folded(journal, [name for name in journal.manifest["files"] if name not in old])
        folded += [version for _, version, _, content in journal.records() if check(version, content)]
        file = journal.create_file("vectors")
        file.add("versions", b"".join(version.to_bytes(8, "little") for version in folded))
        for version in folded:
            file.add(str(version), payload(version))
        file.finish()
        keep: Callable[[HistoryEntry], bool] | None = None
        if chance.random() < 0.5:
            oldest = journal.version - 3
            keep = lambda entry: entry.until > oldest  # noqa: E731
        journal.install({"files": [*old, file.name], "version": journal.version}, floor=floor, keep_history=keep)

    def _close_and_open(self, env: Env) -> None:
        self.journal.close()
        self._journal = Journal.open(env, _PATH, writable=True, sync=self._sync)

    def _discard(self) -> None:
        file = self.journal.create_file("graph")
        file.add("links", b"unfinished")
        self.journal.discard(file)


def read_folded(journal: Journal, names: list[str]) -> list[int]:
    versions = []
    for name in names:
        container = _core.Container.open(journal.open_file(name), name)
        container.verify()
        data = bytes(container.section("versions"))
        for version in [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]:
            check(version, memoryview(container.section(str(version))))
            versions.append(version)
    return versions


def check(version: int, content: memoryview) -> bool:
    if bytes(content) != payload(version):
        raise AssertionError(f"version {version} has the wrong payload")
    return True


def observe(journal: Journal) -> State:
    """How many versions there are; each must be there once. Every retained history entry must be whole as long as it is there."""
    versions = read_folded(journal, journal.manifest["files"])
    versions += [version for _, version, _, content in journal.records() if check(version, content)]
    for entry in journal.history:
        older = read_folded(journal, journal.read_manifest(entry.manifest)["files"])
        older += [version for _, version, _, _ in journal.records(entry.floor) if version <= entry.until]
        assert sorted(older) == list(range(1, entry.until + 1)), (entry, older)
    assert sorted(versions) == list(range(1, len(versions) + 1)), versions
    return len(versions)
