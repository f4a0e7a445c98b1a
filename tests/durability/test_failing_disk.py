"""A disk that goes on failing: calls end with the disk's error instead of waiting for a better day."""

from __future__ import annotations

import errno
import random
from typing import cast

import pytest

import vicino
from vicino.collection.limits import Limits
from vicino.env import Env
from vicino.env.base import storage_error
from vicino.env.faulty import FaultyEnv
from vicino.env.recording import RecordingEnv
from vicino.errors import StorageError


class _FullDisk(FaultyEnv):
    """No room for new files of one kind, for as long as it is full."""

    full = False
    kind = ".ids"

    def meet(self, operation: str, path: str) -> bool:
        if self.full and operation == "create" and path.endswith(self.kind):
            raise storage_error(operation, path, errno.ENOSPC)
        return False


@pytest.fixture
def disk():
    return _FullDisk(RecordingEnv())


def open_with_small_heads(disk):
    return vicino.open("/db", _env=cast(Env, disk), limits=Limits(head_rows_max=8, backlog_max=2))


def fill(docs):
    """More heads than may wait to be sealed."""
    for first in range(0, 80, 8):
        docs.upsert(records(first, 8))


def killed(disk):
    """What the next process finds after this one was killed."""
    state = disk._inner.crash_state()
    state.advance_to(disk._inner.n_events)
    return RecordingEnv.after_kill(state, random.Random(0), boot=0)


def records(first, n):
    return [{"id": i, "vector": [i, 1]} for i in range(first, first + n)]


@pytest.mark.timeout(20)
def test_optimize_ends_with_the_error_of_sealing(disk):
    docs = open_with_small_heads(disk).create_collection("docs", dim=2)
    docs.upsert(records(0, 3))
    disk.full = True
    with pytest.raises(StorageError, match="No space left on device"):
        docs.optimize()


@pytest.mark.timeout(20)
def test_writes_say_that_sealing_fails_when_the_backlog_is_full(disk):
    docs = open_with_small_heads(disk).create_collection("docs", dim=2)
    disk.full = True
    with pytest.raises(StorageError, match=r"full heads wait to be sealed, and sealing fails.*nothing is lost"):
        fill(docs)
    assert docs.count() >= 24


@pytest.mark.timeout(20)
def test_writes_go_on_when_there_is_room_again(disk):
    docs = open_with_small_heads(disk).create_collection("docs", dim=2)
    disk.full = True
    with pytest.raises(StorageError):
        fill(docs)
    disk.full = False
    before = docs.count()
    docs.upsert(records(1000, 8))
    assert docs.count() == before + 8
    docs.optimize()
    assert docs.count() == before + 8


def test_manifest_that_could_not_be_written_is_made_up_for_by_the_next(disk):
    """The head is a segment by then and the log's floor has moved, in memory; what is written later must say both."""
    docs = open_with_small_heads(disk).create_collection("docs", dim=2)
    docs.upsert(records(0, 5))
    disk.full, disk.kind = True, ".manifest"
    docs.upsert(records(5, 5))  # freezes the head; sealing it fails
    disk.full = False
    docs.create_index("n").wait(5)
    docs.optimize()
    docs.upsert(records(10, 3))
    again = open_with_small_heads(_FullDisk(killed(disk)))
    assert again["docs"].count() == 13
    assert again.check().is_sound
