"""One shard: a journal on disk, the core's state machine in memory, and the order in which a commit touches both.

A commit is decided, logged, applied, made durable, published and acknowledged, in this order. Threads that commit at the same time queue
up; the first of them takes the whole queue, so that one fdatasync serves all of them.
"""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from vicino import _core
from vicino.collection.committer import Committer
from vicino.collection.limits import Limits
from vicino.collection.manifest import Manifest
from vicino.collection.replaying import Replay
from vicino.collection.settings import Settings
from vicino.env import Env
from vicino.errors import ClosedError, Error, InternalError, MemoryLimitError, NotFoundError, StorageError, TimeoutError
from vicino.segment.files import SegmentFiles, open_segment
from vicino.segment.memory import MemoryBudget
from vicino.storage.journal import Journal

UPSERT, DELETE, FIELDS, CONTROL, UPSERT_VALUES = 1, 2, 3, 4, 5
PAYLOAD_COPIES = 3
"""A commit holds its payload about this often: encoded, in the log's buffer, in the head."""
_BACKLOG_POLL_S = 0.005


@dataclass(frozen=True, slots=True)
class Effect:
    """What a commit does, as a log record. `count` records are touched. settings: the new ones, with a CONTROL record."""

    type: int
    payload: bytes
    count: int
    settings: Settings | None = None


Decide = Callable[[_core.ShardState], Effect | None]
"""Looks at the latest state and returns the effect of a write, None when there is nothing to do, or raises when a condition fails."""


@dataclass(frozen=True, slots=True)
class Committed:
    """version: of the commit, or the current one when there was nothing to do. delayed_s: time spent waiting for the backlog."""

    version: int
    count: int
    delayed_s: float = 0.0


@dataclass(slots=True)
class Frozen:
    """A head that is closed and waits for sealing; `log` is the file that begins after its last record."""

    log: int
    version: int
    time_us: int
    settings: Settings
    snapshot: _core.Snapshot


@dataclass(slots=True)
class _Request:
    """One commit that waits. turn: set when it is done, or when its thread is to take the queue.

    is_given_up: its caller was interrupted and is gone.
    """

    decide: Decide
    reads: bool
    is_given_up: bool = False
    turn: threading.Event = field(default_factory=threading.Event)
    is_done: bool = False
    result: Committed | None = None
    error: BaseException | None = None

    def finish(self, error: BaseException | None = None) -> None:
        self.error, self.is_done = error, True
        self.turn.set()

    def give_up(self) -> None:
        self.is_given_up = True

    def expect_wanted(self) -> None:
        """Nobody waits for a request that was given up, so nobody sees this error."""
        if self.is_given_up:
            raise TimeoutError("the call was interrupted before anything was written")


class Shard:
    """A writable shard. Any thread may commit and read; background jobs go through `maintenance.Maintenance`."""

    def __init__(self, env: Env, journal: Journal, *, limits: Limits, budget: MemoryBudget, name: str,
                 committer: Committer) -> None:  # fmt: skip
        self.env, self.journal, self.limits, self.budget, self.name = env, journal, limits, budget, name
        self.committer = committer
        self.writer = threading.RLock()
        self.frozen: list[Frozen] = []
        self.on_frozen: Callable[[], None] = lambda: None
        self.seal_error: Exception | None = None
        self._queue: list[_Request] = []
        self._is_led = False
        self._queue_lock = threading.Lock()
        self._failure: BaseException | None = None
        self._closed = False
        self.is_deleted = False
        manifest = Manifest.from_json(journal.manifest)
        self.manifest = manifest
        self.segments: dict[int, SegmentFiles] = {}
        self.settings = manifest.settings
        self.last_time_us = manifest.time_us
        self.state = open_state(journal, manifest, budget)
        self.segments = {files.key: files for files in manifest.segments}
        budget.track(self, lambda: self.state.memory_bytes, self.state.give_up_codes)
        if budget.limit is None:  # under a limit graphs are read from their files, which the system may page out
            self.state.keep_graphs_in_memory()
        try:
            self._replay()
        except BaseException:
            budget.untrack(self)
            journal.close()
            raise

    @classmethod
    def create(cls, env: Env, path: str, settings: Settings) -> None:
        """Writes an empty shard; durable on return."""
        Journal.create(env, path, Manifest(settings=settings, time_us=_now_us(env)).to_json()).close()

    def _replay(self) -> None:
        logs = self.journal.log_blobs()
        replay = Replay(self.state, self.budget, self.name)
        for position, (number, blob) in enumerate(logs):
            replay.log(number, blob)
            self.last_time_us = replay.time_us or self.last_time_us
            self.settings = replay.settings or self.settings
            if position + 1 < len(logs):
                self._freeze_state(logs[position + 1][0])

    # ---- reading

    def snapshot(self) -> _core.Snapshot:
        """The latest published state. Raises ClosedError after close, and in a forked child."""
        if self._closed or self.env.forked():
            raise closed_error(self)
        return self.state.snapshot()

    @property
    def version(self) -> int:
        return self.snapshot().version

    def refresh(self) -> None:
        """The writer is always current."""

    # ---- writing

    def commit(self, decide: Decide, *, reads: bool = False) -> Committed:
        """Runs `decide` against the latest state and makes its effect durable and visible.

        reads: `decide` looks at the published snapshot, so commits queued before it are published first. It must not commit itself.
        Raises what `decide` raises; StorageError when the log cannot be written, after which the shard only reads.
        """
        if self._closed or self.env.forked():  # asked here too: after a fork the threads and locks below are the parent's
            raise closed_error(self)
        delayed = self._wait_for_backlog()
        request = _Request(decide, reads)
        self.committer.run(lambda: self._commit_queued(request), give_up=request.give_up)
        if request.error is not None:
            raise request.error
        if request.result is None:
            raise InternalError("a commit ended without a result; please report this")
        return Committed(request.result.version, request.result.count, delayed) if delayed else request.result

    def change_settings(self, change: Callable[[Settings], Settings]) -> Settings:
        """Logs new settings. Returns them; nothing is logged when they did not change."""

        def decide(_state: _core.ShardState) -> Effect | None:
            settings = change(self.settings)
            if settings == self.settings:
                return None
            return Effect(CONTROL, json.dumps(settings.to_json()).encode(), 0, settings)

        self.commit(decide)
        return self.settings

    def _commit_queued(self, request: _Request) -> None:
        """Waits until another thread has made this commit with its own, or makes it with all that wait.

        The lead is handed on to the first that waits: a thread whose commit is done must not queue for the lock behind the next group,
        or groups would stay small.
        """
        with self._queue_lock:
            self._queue.append(request)
            leads, self._is_led = not self._is_led, True
        if not leads:
            request.turn.wait()
        if not request.is_done:
            try:
                with self.writer:
                    self._drain()
            finally:
                with self._queue_lock:
                    self._is_led = bool(self._queue)
                    if self._queue:
                        self._queue[0].turn.set()
        if request.error is None:
            self._maybe_freeze()

    def _drain(self) -> None:
        with self._queue_lock:
            requests, self._queue = self._queue, []
        group: list[_Request] = []
        for request in requests:
            if request.reads and group:
                self._make_durable(group)
                group = []
            self._apply(request, group)
        self._make_durable(group)

    def _apply(self, request: _Request, group: list[_Request]) -> None:
        try:
            self._expect_writable()
            request.expect_wanted()
            effect = request.decide(self.state)
            request.expect_wanted()  # encoding 64 MiB takes a while
            if effect is None:
                request.result = Committed(self.state.version, 0)
                request.finish()
                return
            with self.budget.reserve(PAYLOAD_COPIES * len(effect.payload), "this write"):
                version = self.state.version + 1
                self._log_and_apply(effect, version)
            request.result = Committed(version, effect.count)
            group.append(request)
        except MemoryError as error:
            request.finish(self.budget.shortage(error, "this write"))
        except Exception as error:
            request.finish(error)

    def _log_and_apply(self, effect: Effect, version: int) -> None:
        time_us = max(_now_us(self.env), self.last_time_us)
        # When this raises, either nothing was written or the journal refuses to write from now on.
        self.journal.append(effect.type, version, effect.payload, time_us=time_us)
        try:
            self.state.apply(effect.type, effect.payload, version)
            self.last_time_us = time_us
            if effect.settings is not None:
                self.settings = effect.settings
        except BaseException as error:
            self._failure = error
            raise

    def _make_durable(self, group: list[_Request]) -> None:
        if not group:
            return
        error: BaseException | None = None
        try:
            self.journal.sync()
            self.state.publish()
        except Exception as failure:  # of any kind: nobody in the group may take its commit for durable
            self._failure = error = failure
        for request in group:
            request.finish(error)

    @property
    def is_writable(self) -> bool:
        """False once a write has failed in a way that leaves the log's end unknown, or after close."""
        return not self._closed and self._failure is None

    def _expect_writable(self) -> None:
        if self._closed or self.env.forked():
            raise closed_error(self)
        if self._failure is not None:
            raise StorageError(
                f'collection "{self.name}" only reads since a write failed ({self._failure}); close the database and open it again'
            ) from self._failure

    # ---- freezing

    def _wait_for_backlog(self) -> float:
        """Waits while too many frozen heads await sealing. Memory stays bounded; nothing is hidden."""
        if not self._must_wait():
            return 0.0
        start = self.env.monotonic()
        if self.seal_error is not None:  # of an earlier attempt; there may be room by now
            self.seal_error = None
            self.on_frozen()
        # No lock is held while waiting: Ctrl-C may strike anywhere here, and a lock that it leaves behind would stop every other thread.
        while self._must_wait() and self._failure is None and not self._closed:
            if (error := self.seal_error) is not None:
                reason = f"{len(self.frozen)} full heads wait to be sealed, and sealing fails: {error}; nothing is lost, retry"
                if isinstance(error, MemoryLimitError):
                    raise MemoryLimitError(reason, needed=error.needed, available=error.available) from error
                raise StorageError(reason) from error
            self.env.sleep(_BACKLOG_POLL_S)
        return self.env.monotonic() - start

    def _must_wait(self) -> bool:
        """Whether a write would make the backlog, or the memory that it holds, too large."""
        if not self.frozen:
            return False
        if len(self.frozen) > self.limits.backlog_max:
            return True
        available = self.budget.available()
        return available is not None and self.budget.limit is not None and available < self.budget.limit // 2

    def _maybe_freeze(self) -> None:
        settings = self.settings
        head_bytes_max = settings.head_bytes_max or self.limits.head_bytes_max
        if self.budget.limit is not None:
            head_bytes_max = min(head_bytes_max, self.budget.limit // 12)
        if (
            self.state.head_rows >= self.limits.head_rows_max
            or self.state.head_bytes >= head_bytes_max
            or self.journal.log_file_bytes >= 2 * head_bytes_max  # deletes and updates alone grow the log too
        ):
            try:
                self.freeze()
            except Error as error:
                self.seal_error = error  # the commit itself is safe; the next one tries again

    def freeze(self) -> bool:
        """Closes the head and begins a new log file. False when there is nothing since the last one."""
        with self.writer:
            self._expect_writable()
            if self.state.version == (self.frozen[-1].version if self.frozen else self.manifest.version):
                return False
            self._freeze_state(self.journal.rotate())
        self.on_frozen()
        return True

    def _freeze_state(self, log: int) -> None:
        snapshot = self.state.freeze()
        self.frozen.append(Frozen(log, snapshot.version, self.last_time_us, self.settings, snapshot))

    def sealed(self) -> None:
        """The oldest frozen head has become the base; called by maintenance under the writer lock."""
        del self.frozen[0]

    # ---- end

    def close(self) -> None:
        """Releases files. Everything acknowledged is in the log."""
        with self.writer:
            if self._closed:
                return
            self._closed = True
            self.budget.untrack(self)
            self.journal.close()


class Closable(Protocol):
    """What a handle's error speaks of."""

    @property
    def name(self) -> str: ...
    @property
    def env(self) -> Env: ...
    @property
    def is_deleted(self) -> bool: ...


def closed_error(shard: Closable) -> ClosedError | NotFoundError:
    """Why a collection's handle does not answer."""
    if shard.env.forked():
        return ClosedError(
            f'collection "{shard.name}" was opened by the parent of this forked process; open the database anew in the child'
        )
    if shard.is_deleted:
        return NotFoundError(f'collection "{shard.name}" was deleted')
    return ClosedError(f'collection "{shard.name}" is closed; open the database again')


def open_state(journal: Journal, manifest: Manifest, budget: MemoryBudget) -> _core.ShardState:
    """The core's state at the manifest's version. Reads headers of the segment files, no data."""
    state = _core.ShardState(manifest.version)
    if budget.limit is not None:
        # Weakly: who still has a snapshot has the segments that ask, and the budget measures what has the snapshot.
        has_plenty = weakref.WeakMethod(budget.has_plenty)
        state.ask_for_codes(lambda: (ask := has_plenty()) is not None and ask())
    for files in manifest.segments:
        segment, tombstones, patch = open_segment(journal, files)
        state.add_segment(segment, tombstones, patch)
    return state


def _now_us(env: Env) -> int:
    return int(env.now() * 1e6)
