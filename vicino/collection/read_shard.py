"""Shards that only read: one that follows another process's writes, and one that stands still at a past version."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable

from vicino import _core
from vicino.collection.manifest import Manifest
from vicino.collection.replaying import Replay
from vicino.collection.settings import Settings
from vicino.collection.shard import Shard, closed_error, open_state
from vicino.env import Env, is_missing
from vicino.errors import CorruptionError, NotFoundError, StorageError
from vicino.segment.memory import MemoryBudget
from vicino.storage.journal import Journal


class ReadShard:
    """A shard another process writes, or read-only media: follows the published position, never writes."""

    def __init__(
        self, env: Env, journal: Journal, *, budget: MemoryBudget, name: str, was_deleted: Callable[[], bool] = lambda: False
    ) -> None:
        """was_deleted: asks the catalog, when the files turn out to be gone."""
        self.env, self.journal, self.budget, self.name = env, journal, budget, name
        self.is_deleted = False
        self._was_deleted = was_deleted
        self._lock = threading.Lock()
        self._closed = False
        self._is_behind = False
        self._loading: _core.ShardState | None = None
        self.state = _core.ShardState(0)  # empty until the base is there
        budget.track(self, self._memory_bytes, lambda: self.state.give_up_codes())
        try:
            self._load()
        except BaseException:
            budget.untrack(self)
            journal.close()
            raise

    def _memory_bytes(self) -> int:
        """Of the present state, and of the one that is about to replace it."""
        return sum(state.memory_bytes for state in (self.state, self._loading) if state is not None)

    def _load(self) -> None:
        """Takes over the journal's present base.

        Where this process may not write it pins nothing, and the writer may remove a file before it is opened: then there is a newer base.
        """
        while True:
            manifest = Manifest.from_json(self.journal.manifest)
            try:
                state = open_state(self.journal, manifest, self.budget)
                break
            except StorageError as error:
                if not is_missing(error) or not self.journal.poll().manifest_changed:
                    raise
        self._loading = state
        try:
            settings = self._replay(state, ((number, blob, 0) for number, blob in self.journal.log_blobs()))
            state.take_codes(self.state)
            self.manifest, self.settings, self.state = manifest, settings or manifest.settings, state
        finally:
            self._loading = None

    def _replay(self, state: _core.ShardState, slices: Iterable[tuple[int, _core.Blob, int]]) -> Settings | None:
        """Returns the settings that the records hold last, None when they hold none."""
        replay = Replay(state, self.budget, self.name)
        for number, blob, offset in slices:
            replay.log(number, blob, offset)
        return replay.settings

    def refresh(self) -> None:
        """Catches up with what the writer has published; costs one small read when there is nothing new."""
        try:
            with self._lock:
                if not self._closed:
                    self._catch_up()
        except (StorageError, NotFoundError, CorruptionError):
            if self._was_deleted():
                raise closed_error(self) from None
            raise

    def _catch_up(self) -> None:
        news = self.journal.poll()
        # What the journal has told is told once: until the state has taken it over, the next look begins with the whole base.
        is_behind, self._is_behind = self._is_behind, bool(news) or self._is_behind
        if news.manifest_changed or is_behind:
            self._load()
        elif news.slices:
            self.settings = self._replay(self.state, news.slices) or self.settings
        self._is_behind = False

    def snapshot(self) -> _core.Snapshot:
        if self._closed or self.env.forked():
            raise closed_error(self)
        self.refresh()
        return self.state.snapshot()

    @property
    def version(self) -> int:
        return self.snapshot().version

    @property
    def read_only_reason(self) -> str:
        return f'collection "{self.name}" was opened for reading; open the database with mode="rw" to write'

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self.budget.untrack(self)
                self.journal.close()


class FrozenShard:
    """A shard at one past version: reads like the others, never changes."""

    def __init__(self, shard: AnyShard, state: _core.ShardState, settings: Settings) -> None:
        self.env: Env = shard.env
        self.journal: Journal = shard.journal
        self.budget: MemoryBudget = shard.budget
        self.name = shard.name
        self.state, self.settings = state, settings
        key = object()
        self.budget.track(key, lambda: state.memory_bytes, state.give_up_codes)
        weakref.finalize(self, self.budget.untrack, key)  # nobody closes a view of the past

    def snapshot(self) -> _core.Snapshot:
        return self.state.snapshot()

    @property
    def version(self) -> int:
        return self.state.version

    def refresh(self) -> None:
        """The past does not change."""

    @property
    def read_only_reason(self) -> str:
        return f'this is collection "{self.name}" as it was at version {self.version}; write to the collection itself'


AnyShard = Shard | ReadShard | FrozenShard
