"""Reading processes beside a writing one: what they see, when they see it, and which files they keep."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

import numpy as np
import pytest

import vicino
from tests.processes.child import PRELUDE, Child
from vicino.collection.limits import Limits

SMALL = Limits(head_rows_max=100, merge_fan_in=2, graph_rows_min=80, close_log_bytes_max=0)

ROUNDS = """
# Every commit writes the same round into 40 records, so a state with two rounds in it is torn. The acknowledged round goes to a file.
db = vicino.open(path, limits=Limits(head_rows_max=100, merge_fan_in=2, graph_rows_min=80))
docs = db.create_collection("docs", dim=4, metric="l2")
docs.upsert([{"id": n, "vector": [0, n, 0, 0], "round": 0} for n in range(40)])
say("ready")
acknowledged = os.open(path + ".acknowledged", os.O_RDWR | os.O_CREAT)
end = time.monotonic() + args["seconds"]
round_ = 0
while time.monotonic() < end:
    round_ += 1
    if round_ % 3:
        docs.upsert([{"id": n, "vector": [round_, n, 0, 0], "round": round_} for n in range(40)])
    else:
        docs.update(list(range(40)), set={"round": round_}, vectors={"vector": [[round_, n, 0, 0] for n in range(40)]})
    os.pwrite(acknowledged, round_.to_bytes(8, "little"), 0)
db.close()
say(round_)
"""

WATCH = """
db = vicino.open(path, mode="r")
docs = db["docs"]
acknowledged = os.open(path + ".acknowledged", os.O_RDWR | os.O_CREAT)
say("ready")
end = time.monotonic() + args["seconds"]
newest, problems, reads = 0, [], 0
while time.monotonic() < end and not problems:
    before = int.from_bytes(os.pread(acknowledged, 8, 0), "little")
    views = list(docs.iter(vectors=True))
    rounds = {view.fields["round"] for view in views}
    if len(views) != 40 or len(rounds) != 1:
        problems.append(f"torn: {len(views)} records of rounds {sorted(rounds)}")
    round_ = min(rounds)
    if any(view.vectors["vector"][0] != round_ for view in views):
        problems.append(f"vectors of another round than {round_}")
    if round_ < newest:
        problems.append(f"went back from {newest} to {round_}")
    if round_ < before:
        problems.append(f"read {round_} though {before} was acknowledged before the read")
    hits = docs.search([round_, 7, 0, 0], limit=40)
    if len(hits) != 40 or len(set(hits.ids)) != 40:
        problems.append(f"a search found {len(hits)} records, {len(set(hits.ids))} different")
    newest, reads = max(newest, round_), reads + 1
say({"problems": problems, "reads": reads, "newest": newest})
"""


def test_readers_never_see_a_torn_state_and_always_what_was_acknowledged(tmp_path):
    path = tmp_path / "data"
    with Child(path, ROUNDS, seconds=4) as writer:
        assert writer.hear() == "ready"
        with Child(path, WATCH, seconds=2.5) as one, Child(path, WATCH, seconds=2.5) as two:
            for reader in (one, two):
                assert reader.hear() == "ready"
            for reader in (one, two):
                seen = reader.hear()
                assert seen["problems"] == []
                assert seen["reads"] > 5
                assert seen["newest"] > 1
        assert writer.hear() > 3


DELAYS = """
db = vicino.open(path, mode="r")
docs = db["docs"]
say("ready")
seen, delays = docs["clock"].fields["at"], []
while len(delays) < args["count"]:
    at = docs["clock"].fields["at"]
    if at != seen:
        delays.append(time.time() - at)
        seen = at
    else:
        time.sleep(0.001)
say(delays)
"""


def test_a_reader_follows_without_doing_anything_within_100_ms_in_the_median(tmp_path):
    with vicino.open(tmp_path / "data", limits=SMALL) as db:
        docs = db.create_collection("docs", dim=2)
        docs.upsert({"id": "clock", "vector": [1, 0], "at": 0.0})
        with Child(tmp_path / "data", DELAYS, count=40) as reader:
            assert reader.hear() == "ready"
            for _ in range(60):
                docs.upsert({"id": "clock", "vector": [1, 0], "at": time.time()})
                time.sleep(0.01)
            delays = reader.hear()
    assert statistics.median(delays) < 0.1


HOLD = """
db = vicino.open(path, mode="r")
docs = db["docs"]
say(docs.count())
while (asked := hear()) != "end":
    if asked == "refresh":
        docs.refresh()
    say([docs.count(), sorted(view.fields["round"] for view in docs.iter())[0]] if asked == "read" else None)
"""


def _rewrite(docs, number):
    docs.upsert([{"id": n, "vector": [n, number], "round": number} for n in range(150)])
    docs.optimize()


def _bytes_of_readers(docs):
    return docs.stats().held_bytes.get("readers", 0)


def test_files_stay_while_a_reader_pins_them_and_go_when_it_moves_on(tmp_path):
    with vicino.open(tmp_path / "data", limits=SMALL) as db:
        docs = db.create_collection("docs", dim=2)
        _rewrite(docs, 1)
        with Child(tmp_path / "data", HOLD) as reader:
            assert reader.hear() == 150
            _rewrite(docs, 2)
            assert _bytes_of_readers(docs) > 0
            assert reader.ask("read") == [150, 2]  # reading alone lets go of the old files and takes the new
            _rewrite(docs, 3)
            assert _bytes_of_readers(docs) > 0
            reader.ask("refresh")
            docs.upsert({"id": 0, "vector": [1, 1], "round": 3})
            docs.optimize()
            reader.ask("refresh")
            assert _bytes_of_readers(docs) == 0


def test_a_dead_reader_pins_nothing(tmp_path):
    with vicino.open(tmp_path / "data", limits=SMALL) as db:
        docs = db.create_collection("docs", dim=2)
        _rewrite(docs, 1)
        with Child(tmp_path / "data", HOLD) as reader:
            reader.hear()
            _rewrite(docs, 2)
            assert _bytes_of_readers(docs) > 0
            reader.kill()
        _rewrite(docs, 3)
        assert _bytes_of_readers(docs) == 0
        assert os.listdir(tmp_path / "data" / "readers") == []


def test_an_iteration_goes_on_over_its_snapshot_whatever_the_writer_does(tmp_path):
    source = """
    db = vicino.open(path, mode="r")
    rows = iter(db["docs"].iter(batch=10, vectors=True))
    first = [next(rows) for _ in range(10)]
    say("begun")
    hear()
    seen = first + list(rows)
    say([len(seen), sorted({view.fields["round"] for view in seen}), float(max(view.vectors["vector"][1] for view in seen))])
    say(db["docs"].count())
    """
    with vicino.open(tmp_path / "data", limits=SMALL) as db:
        docs = db.create_collection("docs", dim=2, metric="l2")
        _rewrite(docs, 1)
        with Child(tmp_path / "data", source) as reader:
            assert reader.hear() == "begun"
            _rewrite(docs, 2)
            docs.delete(list(range(100)))
            docs.optimize()
            assert reader.ask() == [150, [1], 1.0]
            assert reader.hear() == 50


CATALOG = """
from vicino.errors import NotFoundError
db = vicino.open(path, mode="r")
say("ready")
end = time.monotonic() + args["seconds"]
outcomes, problems = {"read": 0, "not found": 0}, []
while time.monotonic() < end and not problems:
    for name in ("one", "two", "other"):
        try:
            docs = db[name]
            found = [hit.id for hit in docs.search([1, 0], limit=3)]
            # A collection is made, then filled by one commit: nothing in between is a state.
            if found not in ([], [0, 1, 2]):
                problems.append(repr(found))
            outcomes["read"] += 1
        except NotFoundError:
            outcomes["not found"] += 1
        except Exception as error:
            problems.append(f"{type(error).__name__}: {error}")
    db.names(), db.aliases(), db.collections
say([outcomes, problems])
"""


def test_a_reader_meets_collections_that_come_and_go(tmp_path):
    with vicino.open(tmp_path / "data", limits=SMALL) as db:
        with Child(tmp_path / "data", CATALOG, seconds=2.5) as reader:
            assert reader.hear() == "ready"
            end = time.monotonic() + 2
            while time.monotonic() < end:
                docs = db.create_collection("one", dim=2, metric="l2")
                docs.upsert([{"id": n, "vector": [1, n]} for n in range(3)])
                db.alias("other", "one")
                docs.optimize()
                db.rename_collection("one", "two")
                db.delete_collection("two")
            outcomes, problems = reader.hear()
        assert problems == []
        assert outcomes["read"] > 0
        assert outcomes["not found"] > 0


def test_a_handle_of_a_collection_that_was_deleted_says_so(tmp_path):
    source = """
    from vicino.errors import NotFoundError, ClosedError
    db = vicino.open(path, mode="r")
    docs = db["docs"]
    say(docs.count())
    hear()
    try:
        say(docs.count())
    except vicino.Error as error:
        say([type(error).__name__, str(error)])
    say(db.names())
    """
    with vicino.open(tmp_path / "data") as db:
        db.create_collection("docs", dim=2).upsert({"id": 1, "vector": [1, 0]})
        with Child(tmp_path / "data", source) as reader:
            assert reader.hear() == 1
            db.delete_collection("docs")
            kind, message = reader.ask()
            assert kind == "NotFoundError"
            assert "deleted" in message
            assert reader.hear() == []


def test_many_readers_open_and_close_while_the_writer_merges(tmp_path):
    source = """
    for _ in range(25):
        with vicino.open(path, mode="r") as db:
            rounds = {view.fields["round"] for view in db["docs"].iter()}
            assert len(rounds) == 1 and db["docs"].count() == 150, rounds
    say("fine")
    """
    with vicino.open(tmp_path / "data", limits=SMALL) as db:
        docs = db.create_collection("docs", dim=2)
        _rewrite(docs, 1)
        with Child(tmp_path / "data", source) as one, Child(tmp_path / "data", source) as two:
            number = 1
            while one.process.poll() is None or two.process.poll() is None:
                number += 1
                _rewrite(docs, number)
            assert (one.hear(), two.hear()) == ("fine", "fine")


AS_NOBODY = (
    PRELUDE
    + """
with vicino.open(path, mode="r") as db:  # imports what is imported late, which the other user perhaps may not
    db["docs"].search([7, 1], limit=1), db.check().is_sound, db["docs"].count()
os.setgroups([]); os.setgid(65534); os.setuid(65534)
with vicino.open(path, mode="r") as db:
    docs = db["docs"]
    say([docs.count(), docs.search([7, 1], limit=1)[0].id, db.check().is_sound])
    hear()
    say([docs.count(), docs.search([9, 9], limit=1)[0].id])
try:
    vicino.open(path)
    say("it was opened for writing")
except vicino.Error as error:
    say(type(error).__name__)
"""
)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_reader_without_permission_to_write_reads_and_follows(tmp_path):
    path = tmp_path / "data"
    with vicino.open(path, limits=SMALL) as db:
        docs = db.create_collection("docs", dim=2, metric="l2")
        docs.upsert([{"id": n, "vector": [n, 1]} for n in range(150)])
        docs.optimize()
        for folder in (path, *list(path.parents)[:3]):  # pytest's own folders are closed to other users
            os.chmod(folder, 0o755)
        command, pipe = [sys.executable, "-c", AS_NOBODY, str(path), "{}"], subprocess.PIPE
        reader = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert reader.stdout is not None
        assert reader.stdin is not None
        try:
            first = reader.stdout.readline()
            if not first:
                assert reader.stderr is not None
                errors = reader.stderr.read()
                if "No module" in errors or "can't open" in errors:
                    pytest.skip("the other user cannot read this interpreter's packages")
                raise AssertionError(errors)
            assert first == "[150, 7, true]\n"
            docs.upsert([{"id": n, "vector": [n, n]} for n in range(200)])
            docs.optimize()
            reader.stdin.write("null\n")
            reader.stdin.flush()
            assert reader.stdout.readline() == "[200, 9]\n"
            assert reader.stdout.readline() == '"StorageError"\n'
        finally:
            reader.kill()
            reader.communicate()


def test_sync_off_readers_follow_what_was_acknowledged(tmp_path):
    with vicino.open(tmp_path / "data", sync="off") as db:
        docs = db.create_collection("docs", dim=2)
        docs.upsert({"id": 0, "vector": [1, 0], "round": 0})
        with Child(tmp_path / "data", HOLD) as reader:
            assert reader.hear() == 1
            docs.upsert({"id": 1, "vector": [np.float32(1), 0], "round": 0})
            assert reader.ask("read") == [2, 0]
