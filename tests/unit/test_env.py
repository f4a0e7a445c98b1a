"""The environments keep the same rules: what one refuses, the others refuse with the same errno."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vicino import _core
from vicino.env import Env, MemoryEnv, RealEnv, is_missing, recording
from vicino.env import real as real_module
from vicino.env.recording import RecordingEnv
from vicino.errors import Error, StorageError


@pytest.fixture(params=["real", "memory", "recording"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Env, str]:
    if request.param == "real":
        return RealEnv(), str(tmp_path)
    env = MemoryEnv() if request.param == "memory" else RecordingEnv()
    env.files.mkdir("/root")
    return env, "/root"


def write(env: Env, path: str, content: bytes) -> None:
    file = env.files.create(path)
    file.append(content)
    file.close()


def test_appended_buffers_follow_each_other(place: tuple[Env, str]) -> None:
    env, root = place
    file = env.files.create(f"{root}/a")
    assert file.append(b"one", b"", memoryview(b"two")) == 6
    assert file.append(b"!") == 7
    file.close()
    assert env.files.read(f"{root}/a") == b"onetwo!"


def test_writing_behind_the_end_fills_with_zeros(place: tuple[Env, str]) -> None:
    env, root = place
    file = env.files.create(f"{root}/a")
    file.write_at(3, b"x")
    assert (file.size, env.files.read(f"{root}/a")) == (4, b"\0\0\0x")
    file.close()


def test_truncated_file_is_continued_at_its_new_end(place: tuple[Env, str]) -> None:
    env, root = place
    file = env.files.create(f"{root}/a")
    file.append(b"abcdef")
    file.truncate(2)
    file.append(b"Z")
    file.sync()
    file.sync_data()
    file.close()
    assert env.files.read_range(f"{root}/a", 1, 10) == b"bZ"


def test_mapped_bytes_outlive_the_name(place: tuple[Env, str]) -> None:
    env, root = place
    write(env, f"{root}/a", b"abc")
    blob = env.files.map(f"{root}/a")
    env.files.unlink(f"{root}/a")
    assert bytes(blob) == b"abc"


def test_mapped_bytes_do_not_change_when_the_file_grows(place: tuple[Env, str]) -> None:
    env, root = place
    write(env, f"{root}/a", b"abc")
    blob = env.files.map(f"{root}/a")
    file = env.files.open(f"{root}/a")
    file.append(b"def")
    file.close()
    assert (bytes(blob), env.files.size(f"{root}/a")) == (b"abc", 6)


def test_empty_file_maps_to_an_empty_blob(place: tuple[Env, str]) -> None:
    env, root = place
    write(env, f"{root}/a", b"")
    assert bytes(env.files.map(f"{root}/a")) == b""


def test_rename_replaces_the_target(place: tuple[Env, str]) -> None:
    env, root = place
    write(env, f"{root}/old", b"1")
    write(env, f"{root}/new", b"2")
    env.files.rename(f"{root}/old", f"{root}/new")
    assert (env.files.list(root), env.files.read(f"{root}/new")) == (["new"], b"1")


def test_link_is_a_second_name(place: tuple[Env, str]) -> None:
    env, root = place
    write(env, f"{root}/a", b"1")
    env.files.link_or_copy(f"{root}/a", f"{root}/b")
    env.files.unlink(f"{root}/a")
    assert env.files.read(f"{root}/b") == b"1"


def test_folders_are_made_listed_and_removed(place: tuple[Env, str]) -> None:
    env, root = place
    env.files.mkdir(f"{root}/d")
    write(env, f"{root}/d/a", b"")
    env.files.sync_dir(f"{root}/d")
    assert env.files.is_dir(f"{root}/d")
    assert not env.files.is_dir(f"{root}/d/a")
    assert env.files.list(f"{root}/d") == ["a"]
    env.files.unlink(f"{root}/d/a")
    env.files.rmdir(f"{root}/d")
    assert not env.files.exists(f"{root}/d")


@pytest.mark.parametrize(
    ("call", "number"),
    [
        (lambda files, root: files.read(f"{root}/none"), errno.ENOENT),
        (lambda files, root: files.open(f"{root}/none"), errno.ENOENT),
        (lambda files, root: files.map(f"{root}/none"), errno.ENOENT),
        (lambda files, root: files.unlink(f"{root}/none"), errno.ENOENT),
        (lambda files, root: files.list(f"{root}/none"), errno.ENOENT),
        (lambda files, root: files.rename(f"{root}/none", f"{root}/x"), errno.ENOENT),
        (lambda files, root: files.create(f"{root}/there"), errno.EEXIST),
        (lambda files, root: files.mkdir(f"{root}/there"), errno.EEXIST),
        (lambda files, root: files.create(f"{root}/none/x"), errno.ENOENT),
        (lambda files, root: files.rmdir(f"{root}"), errno.ENOTEMPTY),
    ],
    ids=["read", "open", "map", "unlink", "list", "rename", "create", "mkdir", "create in none", "rmdir"],
)
def test_refusal_names_path_and_errno(place: tuple[Env, str], call, number: int) -> None:
    env, root = place
    write(env, f"{root}/there", b"")
    with pytest.raises(StorageError) as caught:
        call(env.files, root)
    assert caught.value.errno == number
    assert root in str(caught.value)
    assert errno.errorcode[number] in str(caught.value)
    assert isinstance(caught.value, Error)
    assert is_missing(caught.value) == (number == errno.ENOENT)


def test_a_file_that_another_process_removes_just_before_it_is_mapped_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a record")
    map_file = _core.map_file

    def map_too_late(name: str) -> object:
        path.unlink()
        return map_file(name)

    monkeypatch.setattr(_core, "map_file", map_too_late)
    with pytest.raises(StorageError) as caught:
        RealEnv().files.map(str(path))
    assert is_missing(caught.value)


def test_second_lock_is_refused_until_the_first_is_released(place: tuple[Env, str]) -> None:
    env, root = place
    lock = env.files.lock(f"{root}/L")
    assert lock is not None
    lock.write(b"longer content")
    lock.write(b"me")
    assert env.files.lock(f"{root}/L") is None
    assert env.files.read(f"{root}/L") == b"me"
    lock.release(unlink=True)
    assert not env.files.exists(f"{root}/L")
    assert env.files.lock(f"{root}/L") is not None


def test_random_names_differ(place: tuple[Env, str]) -> None:
    env, _ = place
    names = {env.random_name() for _ in range(100)}
    assert len(names) == 100
    assert all(len(name) == 16 for name in names)
    assert len(env.random_bytes(5)) == 5


def test_boot_id_is_the_same_for_every_environment_of_a_machine() -> None:
    assert RealEnv().boot_id() == RealEnv().boot_id()
    assert len(RealEnv().boot_id()) == 16


def test_free_bytes_is_positive(place: tuple[Env, str]) -> None:
    env, root = place
    assert env.files.free_bytes(root) > 0


def test_spawned_task_keeps_its_error(place: tuple[Env, str]) -> None:
    env, _ = place

    def fail() -> None:
        raise ValueError("no")

    task = env.spawn("failing", fail)
    assert task.join(10)
    assert isinstance(task.error, ValueError)


def test_periodic_task_runs_until_stopped() -> None:
    env = RecordingEnv()
    times: list[float] = []
    task = env.spawn_periodic("tick", 1.0, lambda: times.append(env.now()))
    env.sleep(3.5)
    task.stop()
    env.sleep(5)
    assert len(times) == 3


def test_task_spawned_by_a_recorded_task_runs_when_that_one_has_ended() -> None:
    env = RecordingEnv()
    seen: list[str] = []

    def first() -> None:
        env.spawn("second", lambda: seen.append("second"))
        seen.append("first")

    env.spawn("first", first)
    assert seen == ["first", "second"]


def test_recorded_task_that_sleeps_lets_those_it_spawned_run() -> None:
    env = RecordingEnv()
    seen: list[str] = []

    def first() -> None:
        env.spawn("second", lambda: seen.append("second"))
        env.sleep(0.1)
        seen.append("first")

    env.spawn("first", first)
    assert seen == ["second", "first"]


def test_recorded_task_that_is_joined_by_its_spawner_runs_then() -> None:
    env = RecordingEnv()
    joined: list[bool] = []
    env.spawn("first", lambda: joined.append(env.spawn("second", lambda: None).join()))
    assert joined == [True]


def test_waiting_for_what_never_happens_fails_under_virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_SLEEPS_MAX", 10)
    env = RecordingEnv()
    for _ in range(10):
        env.sleep(0.001)
    with pytest.raises(AssertionError, match="never happens"):
        env.sleep(0.001)


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.pwritev

    def at_most_three(fd: int, buffers: list[memoryview], offset: int) -> int:
        return original(fd, [next(view for view in buffers if view.nbytes)[:3]], offset)

    monkeypatch.setattr(real_module.os, "pwritev", at_most_three)
    file = RealEnv().files.create(str(tmp_path / "a"))
    file.append(b"hello", b"", b"world, this is long")
    file.close()
    assert (tmp_path / "a").read_bytes() == b"helloworld, this is long"


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    script = f"""
import os, signal
from vicino.env import RealEnv
lock = RealEnv().files.lock({str(tmp_path / "L")!r})
print("held", flush=True)
signal.pause()
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert RealEnv().files.lock(str(tmp_path / "L")) is None
        child.kill()
        child.wait()
    assert RealEnv().files.lock(str(tmp_path / "L")) is not None


def test_forked_child_does_not_hold_the_lock(tmp_path: Path) -> None:
    """The parent goes without unlocking, as a killed one does; the child lives on."""
    env = RealEnv()
    lock = env.files.lock(str(tmp_path / "L"))
    assert isinstance(lock, real_module.RealFileLock)
    child_reads, parent_writes = os.pipe()
    parent_reads, child_writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(parent_writes)
        os.write(child_writes, b"x")
        os.read(child_reads, 1)
        os._exit(0 if env.forked() else 1)
    os.read(parent_reads, 1)
    lock.abandon()
    again = RealEnv().files.lock(str(tmp_path / "L"))
    for fd in (parent_writes, parent_reads, child_reads, child_writes):
        os.close(fd)
    _, status = os.waitpid(child, 0)
    assert again is not None
    assert os.waitstatus_to_exitcode(status) == 0
    assert not env.forked()
