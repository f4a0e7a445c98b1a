"""One writer at a time, and whoever waits is told for whom."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vicino.env import RealEnv
from vicino.env.recording import RecordingEnv
from vicino.errors import LockedError
from vicino.storage.lock import DatabaseLock


def test_second_writer_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    lock = DatabaseLock.acquire(RealEnv(), str(tmp_path))
    with pytest.raises(LockedError, match=f"process {os.getpid()} on .* writes to this database") as caught:
        DatabaseLock.acquire(RealEnv(), str(tmp_path))
    assert caught.value.pid == os.getpid()
    assert caught.value.host == RealEnv().hostname()
    lock.release()
    DatabaseLock.acquire(RealEnv(), str(tmp_path)).release()


def test_waiting_ends_after_the_timeout() -> None:
    env = RecordingEnv()
    env.files.mkdir("/db")
    DatabaseLock.acquire(env, "/db")
    before = env.monotonic()
    with pytest.raises(LockedError, match=r"did not let go within 1\.5 s"):
        DatabaseLock.acquire(env, "/db", timeout=1.5)
    assert 1.5 <= env.monotonic() - before < 2


def test_waiting_ends_when_the_lock_is_released() -> None:
    env = RecordingEnv()
    env.files.mkdir("/db")
    lock = DatabaseLock.acquire(env, "/db")
    env.spawn_periodic("releasing", 0.5, lock.release)
    DatabaseLock.acquire(env, "/db", timeout=5)


def test_lock_of_a_killed_writer_is_free_at_once(tmp_path: Path) -> None:
    script = f"""
import signal
from vicino.env import RealEnv
from vicino.storage.lock import DatabaseLock
lock = DatabaseLock.acquire(RealEnv(), {str(tmp_path)!r})
print("held", flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(LockedError) as caught:
            DatabaseLock.acquire(RealEnv(), str(tmp_path))
        assert caught.value.pid == child.pid
        child.kill()
        child.wait()
        DatabaseLock.acquire(RealEnv(), str(tmp_path)).release()
