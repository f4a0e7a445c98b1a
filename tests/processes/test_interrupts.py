"""Ctrl-C and `timeout=`: a long call stops within 100 ms of work, and the database goes on as if nothing had been."""

from __future__ import annotations

import signal
import time

import numpy as np
import pytest

import vicino
from tests.processes.child import Child
from vicino.errors import TimeoutError

PATIENCE_S = 0.6
"""100 ms of work take longer on a machine that runs other tests as well."""

INTERRUPTED = """
LIMITS = Limits(**args.get("limits", {}))
db = vicino.open(path, limits=LIMITS)
docs = db.create_collection("docs", dim=args["dim"], metric="l2", index=args.get("index", "flat"))
chance = np.random.default_rng(1)
n, dim = args["n"], args["dim"]
docs.upsert(ids=list(range(n)), vectors=chance.random((n, dim), np.float32), fields=[{"n": i, "text": f"word{i} " * 8} for i in range(n)])
work = {
    "upserts": lambda: [docs.upsert({"id": i, "vector": [0.5] * dim, "n": i}) for i in range(n, 10**9)],
    "large upsert": lambda: docs.upsert({"id": i, "vector": [0.5] * dim, "n": i} for i in range(n, 10**9)),
    "updates": lambda: [docs.update(where=vicino.F.n < 1000, set={"round": i}) for i in range(10**9)],
    "search": lambda: [docs.search_many(chance.random((20_000, dim), np.float32), exact=True)],
    "filter": lambda: [docs.count(where=vicino.F.text.contains("word77") | vicino.F.text.contains(f"nothing{i}")) for i in range(10**9)],
    "facet": lambda: [docs.facet("text") for _ in range(10**9)],
    "ordered": lambda: [sum(1 for _ in docs.iter(order_by="-n")) for _ in range(10**9)],
    "optimize": lambda: docs.optimize(),
    "catalog": lambda: [
        (
            db.create_collection(f"c{i}", dim=2),
            db.rename_collection(f"c{i}", "moved"),
            db.alias("a", "moved"),
            db.delete_collection("moved"),
        )
        for i in range(10**9)
    ],
}[args["what"]]
say("ready")
try:
    work()
    say("it ended before it was interrupted")
except KeyboardInterrupt:
    say("interrupted")
signal.signal(signal.SIGINT, signal.SIG_IGN)
version = docs.version
docs.upsert({"id": -1, "vector": [0.0] * dim, "n": -1})
nearest = docs.search([0.0] * dim, limit=1, exact=True)[0].id
names = db.names()
db.create_collection("after", dim=2).upsert({"id": 1, "vector": [1, 2]})
count, sound = docs.count(), db.check().is_sound
db.close()
with vicino.open(path, limits=LIMITS) as again:
    same = again["docs"].count() == count and sorted(again.names()) == sorted([*names, "after"]) and again.check().is_sound
say({"nearest": nearest, "more": docs is not None and version > 0, "sound": sound, "same": same})
"""

SMALL_HEADS = {"head_rows_max": 500, "merge_fan_in": 2, "graph_rows_min": 200}


@pytest.mark.parametrize(
    ("what", "args"),
    [
        ("upserts", {"n": 100, "dim": 16, "limits": SMALL_HEADS}),
        ("large upsert", {"n": 100, "dim": 16, "limits": SMALL_HEADS}),
        ("updates", {"n": 2000, "dim": 4, "limits": SMALL_HEADS}),
        ("search", {"n": 20_000, "dim": 64}),
        ("filter", {"n": 20_000, "dim": 2}),
        ("facet", {"n": 20_000, "dim": 2}),
        ("ordered", {"n": 20_000, "dim": 2}),
        ("optimize", {"n": 20_000, "dim": 96, "index": "auto"}),
        ("catalog", {"n": 10, "dim": 2}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_ctrl_c_stops_a_long_call_and_nothing_else(tmp_path, what, args):
    with Child(tmp_path / "data", INTERRUPTED, what=what, **args) as child:
        assert child.hear() == "ready"
        time.sleep(0.3)
        start = time.monotonic()
        child.signal(signal.SIGINT)
        assert child.hear() == "interrupted"
        assert time.monotonic() - start < PATIENCE_S
        assert child.hear() == {"nearest": -1, "more": True, "sound": True, "same": True}
        child.end()


STORM = """
db = vicino.open(path, limits=Limits(head_rows_max=40, merge_fan_in=2, graph_rows_min=60, backlog_max=1))
docs = db.create_collection("docs", dim=4, metric="l2")
acknowledged, interrupted, number = {}, 0, 0
unsure = set()  # what an interrupted call did is not known: all of it or nothing
say("ready")
while interrupted < args["times"]:
    try:
        while True:
            key = number % 200
            unsure.add(key)
            docs.upsert({"id": key, "vector": [number, 0, 0, 0], "number": number})
            acknowledged[key] = number
            unsure.discard(key)
            number += 1
            if number % 50 == 0:
                db.create_collection("side", dim=2, exist_ok=True)
                db.delete_collection("side", missing_ok=True)
    except KeyboardInterrupt:
        interrupted += 1
        number += 1
        say(interrupted)
signal.signal(signal.SIGINT, signal.SIG_IGN)
def wrong():
    return [key for key, value in acknowledged.items() if key not in unsure and docs[key].fields["number"] != value]
first = wrong()
report = db.check()
db.close()
db = vicino.open(path)
docs = db["docs"]
say({"wrong": first, "wrong after reopening": wrong(), "sound": report.is_sound and db.check().is_sound})
"""


def test_many_interrupts_lose_and_invent_nothing(tmp_path):
    chance = np.random.default_rng(5)
    with Child(tmp_path / "data", STORM, times=40) as child:
        assert child.hear() == "ready"
        for number in range(1, 41):
            time.sleep(0.005 + float(chance.random()) * 0.05)
            child.signal(signal.SIGINT)
            assert child.hear() == number
        assert child.hear() == {"wrong": [], "wrong after reopening": [], "sound": True}


CLOSING = """
db = vicino.open(path, limits=Limits(close_log_bytes_max=0))
docs = db.create_collection("docs", dim=64)
docs.upsert(ids=list(range(20_000)), vectors=np.random.default_rng(0).random((20_000, 64), np.float32))
say("ready")
try:
    db.close()
except KeyboardInterrupt:
    pass
signal.signal(signal.SIGINT, signal.SIG_IGN)
say(db.is_closed)
with vicino.open(path) as again:
    say([again["docs"].count(), again.check().is_sound])
"""


def test_a_close_that_is_interrupted_still_closes(tmp_path):
    with Child(tmp_path / "data", CLOSING) as child:
        assert child.hear() == "ready"
        time.sleep(0.01)
        child.signal(signal.SIGINT)
        assert child.hear() is True
        assert child.hear() == [20_000, True]
        child.end()


@pytest.fixture(scope="module")
def long_scan():
    """A collection over which an exact search of many queries takes seconds."""
    with vicino.open() as db:
        docs = db.create_collection("docs", dim=64, metric="l2", index="flat", auto_index=False)
        rows = np.random.default_rng(3).random((20_000, 64), np.float32)
        docs.upsert(ids=list(range(20_000)), vectors=rows, fields=[{"n": n, "text": f"word{n} " * 20} for n in range(20_000)])
        yield docs


@pytest.mark.parametrize(
    "call",
    [
        lambda docs: docs.search_many(np.ones((20_000, 64), np.float32), exact=True, timeout=0.05),
        lambda docs: docs.search(np.ones(64), exact=True, timeout=1e-6),
        lambda docs: docs.count(where=vicino.F.text.contains("nothing"), timeout=1e-4),
        lambda docs: docs.facet("text", timeout=1e-4),
        lambda docs: docs.search(np.ones(64), where=vicino.F.text.contains("nothing"), timeout=1e-4),
    ],
    ids=["batch", "one", "count", "facet", "filtered"],
)
def test_a_timeout_stops_a_long_call_in_time(long_scan, call):
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        call(long_scan)
    assert time.monotonic() - start < 0.05 + PATIENCE_S
    assert long_scan.search(np.ones(64), limit=3, timeout=30).ids == long_scan.search(np.ones(64), limit=3).ids
