"""Indexes over segments that are about to be merged: not begun while a writer fills their tier, given up when the merge falls due."""

import threading

import pytest

from vicino.collection.jobs import Job
from vicino.collection.maintenance import Maintenance
from vicino.collection.policy import BuildVectorIndex
from vicino.collection.steps import Steps

from .conftest import records

WAIT_S = 30


class Building:
    """Builds of vector indexes as they begin and end; the first goes on until it is told to stop."""

    def __init__(self, monkeypatch):
        self.begun, self.rows, self.given_up = threading.Event(), [], 0
        really_build = Steps.build_vector_index

        def build(steps, action, cancel):
            if not self.begun.is_set():
                self.begun.set()
                while not cancel.cancelled:
                    steps.shard.env.sleep(0.001)
                self.given_up += 1
                cancel.check()
            self.rows.append(steps.shard.segments[action.key].rows)
            really_build(steps, action, cancel)

        monkeypatch.setattr(Steps, "build_vector_index", build)


@pytest.fixture
def building(monkeypatch):
    return Building(monkeypatch)


@pytest.fixture
def docs(reopen):
    return reopen().create_collection("docs", dim=2, metric="l2")


def graphs(docs):
    return [(segment.rows, segment.indexes) for segment in docs.stats().segments if segment.sealed]


def wait_for(docs, expected):
    env = docs._shard.env
    end = env.monotonic() + WAIT_S
    while graphs(docs) != expected:
        assert env.monotonic() < end, graphs(docs)
        env.sleep(0.002)


def test_optimize_gives_up_a_build_of_what_it_merges(docs, building):
    docs.upsert(records(*range(8)))
    assert building.begun.wait(WAIT_S)
    docs.upsert(records(8, 9))
    docs.optimize(wait=False).wait(WAIT_S)
    assert (building.given_up, building.rows, graphs(docs)) == (1, [10], [(10, 1)])


def test_optimize_lets_a_build_end_where_there_is_nothing_to_merge_with(docs, building):
    docs.upsert(records(*range(8)))
    assert building.begun.wait(WAIT_S)
    maintenance = docs._maintenance
    assert not maintenance._is_merged_by_optimize(maintenance._building[1])
    maintenance._building[0].give_up_step()


class Watching:
    """The moment in which the writer is watched; it ends when it is told to, and then says that nothing was written."""

    def __init__(self, monkeypatch):
        self.begun, self.ended, self.rows = threading.Event(), threading.Event(), []
        really_build = Steps.build_vector_index

        def rate(maintenance):
            self.begun.set()
            assert self.ended.wait(WAIT_S)
            return 0.0

        def build(steps, action, cancel):
            self.rows.append(steps.shard.segments[action.key].rows)
            really_build(steps, action, cancel)

        monkeypatch.setattr(Maintenance, "_writing_rate", rate)
        monkeypatch.setattr(Steps, "build_vector_index", build)


@pytest.fixture
def watching(monkeypatch):
    return Watching(monkeypatch)


def test_optimize_while_the_writer_is_watched_leaves_nothing_to_begin(docs, watching):
    docs.upsert(records(*range(8)))
    assert watching.begun.wait(WAIT_S)
    docs.upsert(records(8, 9))
    optimizing = docs.optimize(wait=False)
    watching.ended.set()
    optimizing.wait(WAIT_S)
    assert (watching.rows, graphs(docs)) == ([10], [(10, 1)])


def test_a_merge_that_falls_due_while_the_writer_is_watched_goes_first(docs, watching):
    docs.upsert(records(*range(8)))
    assert watching.begun.wait(WAIT_S)
    docs.upsert(records(*range(8, 16)))
    wait_for(docs, [(8, 0), (8, 0)])
    watching.ended.set()
    wait_for(docs, [(16, 1)])
    assert watching.rows == [16]


def test_optimize_in_the_moment_in_which_a_build_begins_still_stops_it(docs, watching, monkeypatch):
    """The build is named, its step cannot be stopped yet: whoever asks to optimize finds nothing to give up."""
    really_run, optimizing = Job.run_step, []

    def run_step(job, work):
        if not optimizing:
            docs.upsert(records(8, 9))
            optimizing.append(docs.optimize(wait=False))
        return really_run(job, work)

    monkeypatch.setattr(Job, "run_step", run_step)
    watching.ended.set()
    docs.upsert(records(*range(8)))
    wait_for(docs, [(10, 1)])
    assert optimizing[0].wait(WAIT_S).state == "done"
    assert watching.rows == [10]


def test_whoever_waits_for_a_job_that_optimize_takes_over_finds_its_work_done(docs, building):
    docs.upsert(records(*range(8)))
    assert building.begun.wait(WAIT_S)
    background, _ = docs._maintenance._building
    docs.upsert(records(8, 9))
    optimizing = docs.optimize(wait=False)
    assert background.wait(WAIT_S).state == "done"
    assert graphs(docs) == [(10, 1)]
    assert optimizing.wait(WAIT_S).state == "done"


def test_a_merge_that_falls_due_ends_the_build_of_an_input(docs, building):
    docs.upsert(records(*range(8)))
    assert building.begun.wait(WAIT_S)
    docs.upsert(records(*range(8, 16)))  # two segments are a full tier here
    wait_for(docs, [(16, 1)])
    assert (building.given_up, building.rows) == (1, [16])


def test_an_index_is_put_off_while_the_writer_fills_the_tier(docs, monkeypatch):
    looked = threading.Event()

    def rate(maintenance):
        looked.set()
        maintenance.shard.env.sleep(0.001)
        return 1e9

    monkeypatch.setattr(Maintenance, "_writing_rate", rate)
    docs.upsert(records(*range(8)))
    assert looked.wait(WAIT_S)
    assert graphs(docs) == [(8, 0)]
    docs.upsert(records(*range(8, 16)))
    wait_for(docs, [(16, 1)])


def test_an_index_is_built_once_the_writer_rests(docs):
    docs.upsert(records(*range(8)))
    wait_for(docs, [(8, 1)])


def test_a_writer_is_not_watched_twice_for_the_same_version(docs):
    docs.upsert(records(*range(4)))
    maintenance, env = docs._maintenance, docs._shard.env
    maintenance._writing_rate()
    before = env.monotonic()
    assert maintenance._writing_rate() == 0
    assert env.monotonic() - before < 0.04


def test_a_step_that_the_memory_limit_refuses_is_still_put_aside(docs, monkeypatch):
    from vicino.errors import MemoryLimitError

    def refuse(steps, action, cancel):
        raise MemoryLimitError("no room", needed=2, available=1)

    monkeypatch.setattr(Steps, "build_vector_index", refuse)
    docs.upsert(records(*range(8)))
    docs.optimize()
    assert [type(action) for action in docs._maintenance._failed] == [BuildVectorIndex]
