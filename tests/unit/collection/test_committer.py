"""Work that Ctrl-C must not cut in two."""

from __future__ import annotations

import itertools
import signal
import threading
import time

import numpy as np
import pytest

import vicino
from tests.unit.struck import ending, struck_at
from vicino.collection.committer import Committer
from vicino.collection.jobs import Job, Scheduler
from vicino.env import RealEnv
from vicino.errors import TimeoutError


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
    with ending():
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


@pytest.mark.parametrize("give_up", [None, lambda: None], ids=["waits", "gives up"])
def test_an_interrupt_at_any_step_of_a_wait_leaves_a_committer_that_works(committer, give_up):
    committer.run(lambda: None)  # its thread has started
    for step in itertools.count(1):
        done, after = [], []
        if not struck_at(step, lambda done=done: committer.run(lambda: (time.sleep(0.001), done.append(1)), give_up=give_up)):
            break
        with ending():
            committer.run(lambda after=after: after.append(1))
        assert len(done) <= 1
        assert after
    assert step > 10
    assert done


def test_an_interrupt_at_any_step_of_waiting_for_a_job_lets_the_job_end():
    for step in itertools.count(1):
        job, scheduler = Job("work"), Scheduler(RealEnv())
        may_end = threading.Event()
        scheduler.submit("lane", job, lambda _job, may_end=may_end: may_end.wait())
        try:
            struck = struck_at(step, lambda job=job: job.wait(0.05))
        except TimeoutError:
            struck = False
        may_end.set()
        with ending():
            assert job.wait().state == "done"
            scheduler.close()
        if not struck:
            break
    assert step > 3


def test_an_interrupt_at_any_step_of_a_job_in_this_thread_reaches_the_caller():
    for step in itertools.count(1):
        job = Job("work")
        if not struck_at(step, lambda job=job: job.run(lambda _job: None)):
            break
    assert step > 3
    assert job.state == "done"


def test_an_interrupt_while_work_is_queued_leaves_a_database_that_works_and_closes():
    db = vicino.open()
    docs = db.create_collection("docs", dim=2, metric="l2")
    for step in itertools.count(1, 3):
        docs.upsert(ids=[step], vectors=np.ones((1, 2), np.float32))
        if not struck_at(step, docs.optimize):
            break
        with ending():
            assert docs.optimize().state == "done"
    assert step > 20
    with ending():
        db.close()
