"""Several real processes on one folder: one writes, the others read; whoever dies leaves nothing behind that hinders the others."""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import time

import pytest

import vicino
from tests.processes.children import child, small_limits, whole_batches
from vicino.errors import ClosedError, ReadOnlyError


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "data")


def test_closing_one_of_two_handles_leaves_the_other_open(path):
    one, two = vicino.open(path), vicino.open(path)
    one.close()
    two.create_collection("docs", dim=2)
    two.close()
    with pytest.raises(ClosedError):
        two.names()


# ---- readers


def test_readers_see_whole_commits_only(path):
    with child("write_for_ever", path=path) as writer:
        while writer.line() != {"updated": 3}:
            pass
        with child("read_batches", path=path, seconds=3) as one, child("read_batches", path=path, seconds=3) as two:
            for reader in (one, two):
                drain(writer, 3.5)
                seen = reader.line()
                assert seen["wrong"] == []
                assert seen["reads"] > 3
                assert seen["newest"] >= 3


def drain(writer, seconds):
    """Reads what the writer says, so that it does not block."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        writer.line()


def test_reader_follows_within_a_tenth_of_a_second_in_the_median(path):
    with child("stamp", path=path, count=60, pause_s=0.03) as writer:
        assert writer.line() == "ready"
        with child("follow", path=path, seconds=2.5) as reader:
            delays = reader.line()
        assert len(delays) > 10
        assert statistics.median(delays) < 0.1


def test_reader_keeps_the_files_it_reads_and_lets_them_go(path):
    with vicino.open(path, limits=small_limits()) as database:
        docs = database.create_collection("docs", dim=2)
        docs.upsert([{"id": n, "vector": [n, 1]} for n in range(150)])
        docs.optimize()
        with child("hold", path=path, mode="r") as reader:
            reader.line()
            assert pins(path)
            reader.kill()
        docs.upsert([{"id": n, "vector": [n, 2]} for n in range(150)])
        docs.optimize()
        docs.upsert({"id": 1, "vector": [1, 3]})
        docs.optimize()
        assert database["docs"].stats().held_bytes.get("readers", 0) == 0
        assert not pins(path)


def pins(path):
    folder = f"{path}/readers"
    return os.listdir(folder) if os.path.isdir(folder) else []


def test_reader_refuses_to_write(path):
    with vicino.open(path) as database:
        database.create_collection("docs", dim=2)
    with vicino.open(path, mode="r") as database:
        with pytest.raises(ReadOnlyError):
            database["docs"].upsert({"id": 1, "vector": [1, 2]})
        with pytest.raises(ReadOnlyError):
            database.create_collection("more")


READ_ONLY = """
import sys, vicino
with vicino.open(sys.argv[1], mode="r") as db:
    assert db["docs"].count() == 50 and db.check().is_sound
    assert [hit.id for hit in db["docs"].search([7, 1], limit=1)] == [7]
try:
    vicino.open(sys.argv[1])
except vicino.Error as error:
    print(type(error).__name__)
"""
MOUNT = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && exec "$2" -c "$3" "$1"'


def test_read_only_media_open_for_reading(tmp_path):
    path = str(tmp_path / "data")
    with vicino.open(path) as database:
        database.create_collection("docs", dim=2, metric="l2").upsert([{"id": n, "vector": [n, 1]} for n in range(50)])
        database["docs"].optimize()
    command = ["unshare", "--mount", "sh", "-c", MOUNT, "sh", path, sys.executable, READ_ONLY]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=os.getcwd())
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"this process may not mount: {done.stderr.strip()}")
    assert done.stdout == "StorageError\n", done.stderr


# ---- kill -9


def rounds_of_kills(path, rounds, seed):
    """Kills a writing process again and again, at any moment; after each, all it said is there and the state is whole."""
    chance = random.Random(seed)
    for number in range(rounds):
        with child("write_for_ever", path=path, seed=number) as writer:
            writer.line()
            time.sleep(chance.random() * 0.4)
            os.kill(writer.pid, signal.SIGKILL)
            said = writer.lines()
        with vicino.open(path, limits=small_limits()) as database:
            records = {view.id: view.fields for view in database["docs"].iter()}
            problem, _ = whole_batches(list(records.items()))
            assert not problem, f"round {number}: {problem}"
            check_acknowledged(said, records, number)
            assert database.check().is_sound, f"round {number}: {database.check()!r}"


def check_acknowledged(said, records, number):
    for entry in said:
        (what, batch), place = next(iter(entry.items())), f"round {number}"
        if what == "written":
            assert records.get(batch * 10 + 9, {}).get("batch") == batch, f"{place}: batch {batch} was acknowledged and is gone"
        elif what == "updated":
            assert records[batch * 10 + 9]["updated"], f"{place}: the update of batch {batch} was acknowledged and is gone"
        elif what == "deleted":
            assert batch * 10 not in records, f"{place}: the delete in batch {batch} was acknowledged and is undone"


@pytest.mark.timeout(300)
def test_kill_9_loses_nothing_that_was_acknowledged(path):
    rounds_of_kills(path, 20, seed=1)


# ---- Ctrl-C


def test_ctrl_c_stops_a_search_and_an_upsert_and_leaves_the_database_usable(path):
    with child("search_for_long", path=path) as working:
        for what in ("search", "upsert"):
            assert working.line() == what
            time.sleep(0.3)
            sent = time.time()
            working.process.send_signal(signal.SIGINT)
            stopped = working.line()
            assert isinstance(stopped, float), stopped
            assert stopped - sent < 0.5, f"{what} went on for {stopped - sent:.3f} s"  # 0.1 s of work; other processes share the machine
        assert working.line() == {"sound": True, "found": 3}
        assert working.line() == "closed"
