"""Who may write: one process, known by name, and nobody a moment after it is gone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time

import pytest

import vicino
from tests.processes.child import Child
from vicino.errors import ClosedError, LockedError

WRITER = """
db = vicino.open(path)
docs = db.create_collection("docs", dim=2, exist_ok=True)
docs.upsert({"id": os.getpid(), "vector": [1, 0]})
say(os.getpid())
hear()
db.close()
say("closed")
"""


def test_a_second_writer_is_told_who_holds_the_lock(tmp_path):
    with Child(tmp_path / "data", WRITER) as writer:
        pid = writer.hear()
        with pytest.raises(LockedError, match=rf"process {pid} on .* writes to this database") as caught:
            vicino.open(tmp_path / "data")
        assert (caught.value.pid, caught.value.host) == (pid, socket.gethostname())


def test_lock_timeout_waits_for_the_other_writer(tmp_path):
    with Child(tmp_path / "data", WRITER) as writer:
        writer.hear()
        closing = threading.Timer(0.3, writer.say)
        closing.start()
        start = time.monotonic()
        with vicino.open(tmp_path / "data", lock_timeout=20) as db:
            assert db["docs"].count() == 1
        assert 0.25 <= time.monotonic() - start < 10
        closing.join()


def test_lock_timeout_ends_with_the_holder_and_the_wait(tmp_path):
    with Child(tmp_path / "data", WRITER) as writer:
        pid = writer.hear()
        start = time.monotonic()
        with pytest.raises(LockedError, match=rf"process {pid} .* did not let go within 0.2 s"):
            vicino.open(tmp_path / "data", lock_timeout=0.2)
        assert 0.2 <= time.monotonic() - start < 2


def test_the_lease_of_a_killed_writer_is_free_at_once(tmp_path):
    with Child(tmp_path / "data", WRITER) as writer:
        pid = writer.hear()
        writer.kill()
        start = time.monotonic()
        with vicino.open(tmp_path / "data") as db:
            assert pid in db["docs"]
        assert time.monotonic() - start < 2


def test_a_refused_second_writer_leaves_the_first_undisturbed(tmp_path):
    with Child(tmp_path / "data", WRITER) as writer:
        pid = writer.hear()
        for _ in range(3):
            with pytest.raises(LockedError):
                vicino.open(tmp_path / "data")
        assert writer.ask() == "closed"
        writer.end()
    with vicino.open(tmp_path / "data", mode="r") as db:
        assert pid in db["docs"]


def test_one_folder_by_two_spellings_is_one_database(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with vicino.open(tmp_path / "data") as db, vicino.open(tmp_path / "link") as same, vicino.open(f"{tmp_path}/./data/") as third:
        assert db is same is third


def test_a_reader_beside_a_writer_in_one_process_is_that_database(tmp_path):
    with vicino.open(tmp_path / "data") as db, vicino.open(tmp_path / "data", mode="r") as same:
        assert db is same


def in_forked_child(report) -> str:
    """What `report()` returns in a child made by os.fork; the child ends without Python's clean-up."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = report()
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = stream.read().decode()
    os.waitpid(pid, 0)
    return answer


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize(
    "use",
    [
        lambda db, docs: docs.count(),
        lambda db, docs: docs.search([1, 0]),
        lambda db, docs: docs.upsert({"id": 7, "vector": [1, 0]}),
        lambda db, docs: docs.delete(1),
        lambda db, docs: docs.optimize(),
        lambda db, docs: db.create_collection("more"),
        lambda db, docs: db.names(),
    ],
    ids=["count", "search", "upsert", "delete", "optimize", "create", "names"],
)
def test_a_handle_in_a_forked_child_says_so(tmp_path, use):
    with vicino.open(tmp_path / "data") as db:
        docs = db.create_collection("docs", dim=2)
        docs.upsert({"id": 1, "vector": [1, 0]})

        def in_child() -> str:
            use(db, docs)
            return "no error"

        answer = in_forked_child(in_child)
        assert answer.startswith("ClosedError"), answer
        assert "parent of this forked process" in answer
        assert docs.count() == 1


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_does_not_hold_the_lock(tmp_path):
    db = vicino.open(tmp_path / "data")
    db.create_collection("docs", dim=2)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:  # lives on after the parent has closed the database
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    try:
        db.close()
        with Child(tmp_path / "data", WRITER) as writer:
            assert writer.hear() == writer.pid
    finally:
        os.close(writing)
        os.waitpid(pid, 0)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_closing_in_a_forked_child_leaves_the_parent_open(tmp_path):
    with vicino.open(tmp_path / "data") as db:
        docs = db.create_collection("docs", dim=2)

        def in_child() -> str:
            db.close()
            return "closed"

        assert in_forked_child(in_child) == "closed"
        docs.upsert({"id": 1, "vector": [1, 0]})
        with Child(tmp_path / "data", "try: vicino.open(path)\nexcept vicino.Error as error: say(type(error).__name__)") as other:
            assert other.hear() == "LockedError"


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_opens_the_folder_anew_to_read(tmp_path):
    with vicino.open(tmp_path / "data") as db:
        db.create_collection("docs", dim=2).upsert({"id": 1, "vector": [1, 0]})

        def in_child() -> str:
            with vicino.open(tmp_path / "data", mode="r") as own:
                return str(own["docs"].count())

        assert in_forked_child(in_child) == "1"


EXITING_FORK = """
db = vicino.open(path)
docs = db.create_collection("docs", dim=2)
holding, release = threading.Event(), threading.Event()
def hold():  # a thread of the parent is inside the database while it forks
    with db._guard:
        holding.set()
        release.wait()
thread = threading.Thread(target=hold)
thread.start()
holding.wait()
pid = os.fork()
if pid == 0:
    sys.exit(0)  # Python's own clean-up runs, and must wait for nothing
deadline = time.monotonic() + 10
while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
    time.sleep(0.01)
if ended[0] == 0:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
release.set()
thread.join()
say(ended[0] == pid)
docs.upsert({"id": 1, "vector": [1, 0]})
db.close()
"""


def test_a_forked_child_ends_though_the_parent_was_inside_the_database(tmp_path):
    with Child(tmp_path / "data", EXITING_FORK) as parent:
        assert parent.hear() is True
        parent.end()


def _count_in_spawned(path: str, mode: str, answers) -> None:
    try:
        with vicino.open(path, mode=mode) as db:
            answers.put(db["docs"].count())
    except vicino.Error as error:
        answers.put(type(error).__name__)


def test_spawned_children_open_their_own(tmp_path):
    spawning = multiprocessing.get_context("spawn")
    answers = spawning.SimpleQueue()
    with vicino.open(tmp_path / "data") as db:
        db.create_collection("docs", dim=2).upsert([{"id": n, "vector": [n, 1]} for n in range(5)])
        for mode, expected in (("r", 5), ("rw", "LockedError")):
            child = spawning.Process(target=_count_in_spawned, args=(str(tmp_path / "data"), mode, answers))
            child.start()
            assert answers.get() == expected
            child.join()
            child.close()


def test_a_stopped_writer_keeps_the_lock(tmp_path):
    with Child(tmp_path / "data", WRITER) as writer:
        pid = writer.hear()
        writer.signal(signal.SIGSTOP)
        with pytest.raises(LockedError, match=str(pid)):
            vicino.open(tmp_path / "data")
        writer.signal(signal.SIGCONT)
        assert writer.ask() == "closed"


def test_a_closed_handle_says_so_after_another_process_took_over(tmp_path):
    db = vicino.open(tmp_path / "data")
    docs = db.create_collection("docs", dim=2)
    db.close()
    with Child(tmp_path / "data", WRITER) as writer:
        writer.hear()
        with pytest.raises(ClosedError, match="open the database again"):
            docs.upsert({"id": 1, "vector": [1, 0]})
