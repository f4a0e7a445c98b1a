"""Work that Ctrl-C must not cut in two."""

from __future__ import annotations

import signal
import threading

import numpy as np
import pytest

import vicino
from vicino.collection.committer import Committer
from vicino.env import RealEnv


@pytest.fixture(autouse=True)
def _listening():
    """What a shell starts in the background ignores the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def committer():
    made = Committer(RealEnv())
    yield made
    made.close()


def interrupt_main() -> None:
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def test_an_interrupted_call_does_not_wait_for_work_that_may_end_later(committer):
    may_end, ended = threading.Event(), threading.Event()

    def action():
        interrupt_main()
        may_end.wait()
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        committer.run(action, give_up=lambda: None)
    assert not ended.is_set()
    may_end.set()
    committer.run(lambda: None)  # behind it
    assert ended.is_set()


def test_an_interrupted_call_waits_for_work_that_must_end(committer):
    ended = []

    def action():
        interrupt_main()
        ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        committer.run(action)
    assert ended


def test_a_commit_that_is_given_up_before_it_is_written_leaves_no_trace(tmp_path, monkeypatch):
    with vicino.open(tmp_path) as db:
        docs = db.create_collection("docs", dim=2, metric="l2")
        encode = vicino._core.encode_upsert
        monkeypatch.setattr(vicino._core, "encode_upsert", lambda *arguments: (interrupt_main(), given_up.wait(), encode(*arguments))[-1])
        given_up, give_up = threading.Event(), vicino.collection.shard._Request.give_up
        monkeypatch.setattr(vicino.collection.shard._Request, "give_up", lambda request: (give_up(request), given_up.set()))
        version = docs.version
        with pytest.raises(KeyboardInterrupt):
            docs.upsert(ids=[1], vectors=np.ones((1, 2), np.float32))
        monkeypatch.undo()
        docs.upsert(ids=[2], vectors=np.ones((1, 2), np.float32))
        assert (docs.count(), docs.version) == (1, version + 1)
