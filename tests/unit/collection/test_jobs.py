import threading

import pytest

from vicino.collection.jobs import Job, Scheduler
from vicino.env import MemoryEnv, RealEnv
from vicino.errors import InvalidArgument, StorageError, TimeoutError


def test_a_job_ends_done():
    job = Scheduler(RealEnv()).submit("lane", Job("work"), lambda job: None).wait(5)
    assert (job.state, job.progress, job.error) == ("done", 1.0, None)


def test_waiting_raises_what_the_job_raised():
    def fail(_job):
        raise InvalidArgument("broken")

    job = Scheduler(RealEnv()).submit("lane", Job("work"), fail)
    with pytest.raises(InvalidArgument, match="broken"):
        job.wait(5)
    assert job.state == "failed"


def test_a_failed_job_does_not_stop_its_lane():
    scheduler = Scheduler(RealEnv())

    def fail(_job):
        raise InvalidArgument("broken")

    scheduler.submit("lane", Job("first"), fail)
    assert scheduler.submit("lane", Job("second"), lambda job: None).wait(5).state == "done"


def test_jobs_of_a_lane_run_one_after_another():
    scheduler, order = Scheduler(RealEnv()), []
    jobs = [scheduler.submit("lane", Job(str(n)), lambda job, n=n: order.append(n)) for n in range(20)]
    for job in jobs:
        job.wait(5)
    assert order == list(range(20))


def test_waiting_can_time_out():
    release = threading.Event()
    scheduler = Scheduler(RealEnv())
    job = scheduler.submit("lane", Job("slow work"), lambda job: release.wait(5))
    with pytest.raises(TimeoutError, match="slow work has not ended"):
        job.wait(0.01)
    release.set()
    scheduler.close()


def test_a_cancelled_job_says_so():
    started = threading.Event()

    def work(job):
        started.set()
        while not job.cancel_token.cancelled:
            pass

    job = Scheduler(RealEnv()).submit("lane", Job("work"), work)
    started.wait(5)
    job.cancel()
    assert job.wait(5).state == "cancelled"


def test_closing_cancels_what_is_queued():
    scheduler, begun, release = Scheduler(RealEnv()), threading.Event(), threading.Event()

    def first(job):
        begun.set()
        while not job.cancel_token.cancelled:
            pass

    running = scheduler.submit("lane", Job("running"), first)
    begun.wait(5)
    queued = scheduler.submit("lane", Job("queued"), lambda job: release.set())
    scheduler.close()
    assert (running.state, queued.state, release.is_set()) == ("cancelled", "cancelled", False)


def test_after_closing_jobs_are_cancelled_at_once():
    scheduler = Scheduler(RealEnv())
    scheduler.close()
    assert scheduler.submit("lane", Job("late"), lambda job: None).state == "cancelled"


class NoThreads(MemoryEnv):
    """A machine at its limit of threads."""

    def spawn(self, name, target):
        raise StorageError("no thread could be started")


def test_a_job_that_gets_no_thread_fails_and_leaves_its_lane_free():
    env = NoThreads()
    scheduler = Scheduler(env)
    job = Job("sealing")
    with pytest.raises(StorageError, match="no thread could be started"):
        scheduler.submit("lane", job, lambda _job: None)
    assert job.state == "failed"
    env.spawn = MemoryEnv().spawn
    assert scheduler.submit("lane", Job("sealing"), lambda _job: None).wait(5).state == "done"
    scheduler.close()


def test_a_step_can_be_given_up_without_the_job():
    steps = []

    def work(job):
        def step(cancel):
            job.give_up_step()
            cancel.check()

        steps.append(job.run_step(step))
        steps.append(job.run_step(lambda cancel: cancel.check()))

    job = Job("work")
    job.run(work)
    assert (job.state, steps) == ("done", [False, True])


def test_cancelling_a_job_stops_its_step():
    def work(job):
        def step(cancel):
            job.cancel()
            cancel.check()

        job.run_step(step)

    job = Job("work")
    job.run(work)
    assert job.state == "cancelled"


def test_a_job_that_was_cancelled_begins_no_step():
    job = Job("work")
    job.cancel()
    with pytest.raises(KeyboardInterrupt):
        job.run_step(lambda cancel: cancel.check())


def test_ctrl_c_in_a_step_is_not_taken_for_giving_up():
    def interrupt(_cancel):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Job("work").run_step(interrupt)
