"""Background work: a `Job` the caller can watch, wait for and cancel, and the scheduler that runs one job a lane.

Jobs are never needed for right answers. They resume by themselves: what a killed process left unfinished is found and done again by the
next one, because the manifest only ever names finished files.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Literal

from vicino import _core
from vicino.env import Env, Latch
from vicino.errors import Error, StorageError, TimeoutError

JobState = Literal["queued", "running", "done", "cancelled", "failed"]


class Job:
    """One piece of background work.

    state: "queued", "running", "done", "cancelled" or "failed". progress: share of the steps done, 0.0 to 1.0. error: why it failed.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.state: JobState = "queued"
        self.progress = 0.0
        self.error: BaseException | None = None
        self._cancel = _core.Cancel()
        self._step: _core.Cancel | None = None
        self._ended = Latch()

    @property
    def is_done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._ended.is_open

    @property
    def cancel_token(self) -> _core.Cancel:
        """For the core calls of this job."""
        return self._cancel

    def wait(self, timeout: float | None = None) -> Job:
        """Returns when the job has ended. Raises its error if it failed, TimeoutError after `timeout` seconds."""
        if not self._ended.wait(timeout):
            raise TimeoutError(f"{self.title} has not ended after {timeout} s (progress {self.progress:.0%}); wait longer or cancel it")
        if self.error is not None and self.state == "failed":
            raise self.error
        return self

    def cancel(self) -> None:
        """Asks the job to stop; what it has not finished is discarded, and right answers do not need it."""
        self._cancel.cancel()
        self.give_up_step()

    def give_up_step(self) -> None:
        """Asks the step that runs, if any, to stop; the job goes on with what it does next."""
        if (step := self._step) is not None:
            step.cancel()

    def run_step(self, work: Callable[[_core.Cancel], None]) -> bool:
        """Runs a part of the job that can be stopped by itself. False when it was; KeyboardInterrupt when the whole job was."""
        step = self._step = _core.Cancel()
        if self._cancel.cancelled:  # before there was a step to stop
            step.cancel()
        try:
            work(step)
        except KeyboardInterrupt:
            if self._cancel.cancelled or not step.cancelled:
                raise
            return False
        finally:
            self._step = None
        return True

    def run(self, work: Callable[[Job], None]) -> None:
        """Runs `work` in this thread and records how it ended. Raises what is no Error, and Ctrl-C unless the job was cancelled."""
        self.state = "running"
        try:
            if not self._cancel.cancelled:
                work(self)
            self.state = "cancelled" if self._cancel.cancelled else "done"
            self.progress = 1.0 if self.state == "done" else self.progress
        except KeyboardInterrupt:
            self.state = "cancelled"
            if not self._cancel.cancelled:
                raise
        except Error as error:
            self.state, self.error = "failed", error
        except Exception as error:
            self.state, self.error = "failed", error
            raise
        finally:
            self._ended.open()

    def _fail(self, error: BaseException) -> None:
        """Ends a job that never ran."""
        self.state, self.error = "failed", error
        self._ended.open()

    def __repr__(self) -> str:
        return f"<Job {self.title}: {self.state}, {self.progress:.0%}>"


class Scheduler:
    """Runs jobs in lanes: the jobs of one lane one after another, lanes beside each other. A lane's thread lives while it has work."""

    def __init__(self, env: Env) -> None:
        self._env = env
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._lanes: dict[str, deque[tuple[Job, Callable[[Job], None]]]] = {}
        self._running: dict[str, Job] = {}
        self._closed = False

    def submit(self, lane: str, job: Job, work: Callable[[Job], None]) -> Job:
        """Queues a job. After close it is cancelled at once."""
        with self._lock:
            if self._closed:
                job.cancel()
            else:
                queue = self._lanes.setdefault(lane, deque())
                queue.append((job, work))
                if lane in self._running:
                    return job
                self._running[lane] = job
        if self._closed:
            job.run(work)
        else:
            self._start(lane)
        return job

    def _start(self, lane: str) -> None:
        try:
            self._env.spawn(f"vicino-{lane}", lambda: self._work(lane))
        except StorageError as error:  # no thread: what waits in this lane never runs, whoever submits next starts it anew
            with self._lock:
                queued, self._lanes[lane] = self._lanes[lane], deque()
                del self._running[lane]
                self._idle.notify_all()
            for job, _ in queued:
                job._fail(error)
            raise

    def _work(self, lane: str) -> None:
        while True:
            with self._lock:
                queue = self._lanes[lane]
                if not queue:
                    del self._running[lane]
                    self._idle.notify_all()
                    return
                job, work = queue.popleft()
                self._running[lane] = job
            try:
                job.run(work)
            except BaseException:
                with self._lock:
                    del self._running[lane]
                    self._idle.notify_all()
                raise

    def drop(self, lane: str) -> None:
        """Cancels the jobs of all lanes whose name begins with `lane` and waits until none of them runs."""
        with self._lock:
            lanes = [name for name in self._lanes if name.startswith(lane)]
            for name in lanes:
                for job, _ in self._lanes[name]:
                    job.cancel()
                if name in self._running:
                    self._running[name].cancel()
            while any(name in self._running for name in lanes):
                self._idle.wait(0.05)

    def close(self) -> None:
        """Cancels what is queued and running and waits until every lane is idle."""
        with self._lock:
            self._closed = True
            for queue in self._lanes.values():
                for job, _ in queue:
                    job.cancel()
            for job in self._running.values():
                job.cancel()
            while self._running:
                self._idle.wait(0.05)
