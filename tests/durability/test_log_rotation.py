"""Rotation of a log under the one crash that neither a power failure nor a kill alone can make."""

from __future__ import annotations

import random
from typing import cast

import pytest

from vicino.env import Env
from vicino.env.faulty import FaultyEnv
from vicino.env.recording import RecordingEnv
from vicino.errors import StorageError
from vicino.storage.journal import Journal


def test_header_that_met_a_failed_sync_is_written_again():
    """The process is killed between the failed sync of a new log's header and its removal: the header can be read, and is not durable."""
    env = RecordingEnv()
    faulty = FaultyEnv(env)
    env.files.mkdir("/db")
    env.files.sync_dir("/")
    journal = Journal.create(cast(Env, faulty), "/db/c-1", {})
    journal.append(1, 1, b"one")
    journal.sync()
    faulty.fail_at = _operations_until(faulty, journal, "sync", "wal-2")
    with pytest.raises(StorageError):
        journal.rotate()
    killed = _state_after(env, "fail_sync")
    for seed in range(30):
        again = RecordingEnv.after_kill(killed, random.Random(seed), boot=0)
        reopened = Journal.open(again, "/db/c-1", writable=True)
        reopened.append(1, 2, b"two")
        reopened.sync()
        state = again.crash_state()
        state.advance_to(again.n_events)
        after = RecordingEnv.after_power_loss(state, random.Random(seed), boot=1)
        assert Journal.open(after, "/db/c-1", writable=True).version == 2


def test_bytes_of_a_refused_append_do_not_come_back_behind_a_log_that_was_closed():
    """The append got half of its bytes out and cut them off again; the next log says that this one ends before them."""
    env = RecordingEnv()
    faulty = FaultyEnv(env, fault="short")
    env.files.mkdir("/db")
    env.files.sync_dir("/")
    journal = Journal.create(cast(Env, faulty), "/db/c-1", {})
    faulty.fail_at = faulty.n_operations + 1  # opening the log, then writing
    with pytest.raises(StorageError):
        journal.append(1, 1, b"one")
    assert env.files.events[-1].change == "truncate"
    journal.rotate()
    state = env.crash_state()
    state.advance_to(env.n_events)
    for seed in range(60):
        after = RecordingEnv.after_power_loss(state, random.Random(seed), boot=1)
        assert Journal.open(after, "/db/c-1", writable=True).version == 0


def _operations_until(faulty, journal, operation, name):
    """The number of the operation to come, found by rotating a twin of the journal."""
    twin = RecordingEnv()
    counted = FaultyEnv(twin)
    twin.files.mkdir("/db")
    other = Journal.create(cast(Env, counted), "/db/c-1", {})
    other.append(1, 1, b"one")
    other.sync()
    met = []
    meet = counted.meet

    def noting(what, path):
        met.append((what, path))
        return meet(what, path)

    counted.meet = noting
    other.rotate()
    index = next(i for i, (what, path) in enumerate(met) if what == operation and path.endswith(name))
    return faulty.n_operations + index


def _state_after(env, change):
    state = env.crash_state()
    state.advance_to(1 + max(i for i, event in enumerate(env.files.events) if event.change == change))
    return state
