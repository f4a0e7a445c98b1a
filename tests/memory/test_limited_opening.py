"""Opening under `memory_limit=`: a log that does not fit is refused with the numbers, by writers, readers, rescue and views of the past."""

from __future__ import annotations

import numpy as np
import pytest

import vicino
from tests.memory.limited import MB, limited
from tests.processes.child import Child
from vicino.errors import MemoryLimitError

LOG = """
db = vicino.open(path)
docs = db.create_collection("docs", dim=8)
for start in range(0, 20_000, 500):
    docs.upsert(ids=list(range(start, start + 500)), vectors=np.zeros((500, 8), np.float32), fields=[{"text": "x" * 1000}] * 500)
say(docs.count())
hear()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A database that was killed with 20 MB in its log."""
    path = tmp_path_factory.mktemp("opening") / "data"
    with Child(path, LOG) as child:
        assert child.hear() == 20_000
        child.kill()
    return path


@pytest.mark.parametrize("mode", ["rw", "r", "rescue"])
def test_a_log_larger_than_the_limit_is_refused(folder, mode):
    with vicino.open(folder, mode=mode, memory_limit=16 << 20) as db, pytest.raises(MemoryLimitError) as refused:
        db["docs"].count()
    assert refused.value.needed > 20 * MB > 16 << 20 >= refused.value.available
    assert 'opening collection "docs" needs about' in str(refused.value)


def test_a_refused_opening_holds_nothing(folder):
    with vicino.open(folder, mode="r", memory_limit=16 << 20) as db:
        for _ in range(2):
            with pytest.raises(MemoryLimitError):
                db.collection("docs")
        assert db._budget.used() == 0


@pytest.mark.parametrize("mode", ["r", "rescue"])
def test_a_log_that_fits_is_read_in_pieces(folder, mode):
    with vicino.open(folder, mode=mode, memory_limit=64 * MB) as db:
        docs = db["docs"]
        assert docs.count() == 20_000
        assert docs[19_999]["text"] == "x" * 1000


def test_replay_is_refused_before_the_limit_is_passed(folder):
    source = """
found = None
with vicino.open(path, mode="r", memory_limit=LIMIT) as db:
    found = refusal(lambda: db["docs"].count())
finish(found=found)
"""
    assert limited(folder, source, limit=16 << 20)["found"]["needed"] > 20 * MB


def test_a_record_larger_than_a_piece_is_replayed(tmp_path):
    with vicino.open(tmp_path / "data") as db:
        docs = db.create_collection("docs", dim=2)
        docs.upsert([{"id": 1, "vector": [1, 2], "text": "x"}, {"id": 2, "vector": [1, 2], "text": "y" * 900_000}])
        docs.upsert([{"id": 3, "vector": [1, 2]}])
    with vicino.open(tmp_path / "data", memory_limit=16 << 20) as db:
        assert [db["docs"].get(number) is not None for number in (1, 2, 3)] == [True] * 3


def test_a_reader_refuses_what_a_writer_adds_and_recovers_when_it_is_sealed(tmp_path):
    source = """
db = vicino.open(path, mode="r", memory_limit=16 << 20)
docs = db["docs"]
from vicino.errors import MemoryLimitError
def count():
    try:
        return docs.count()
    except MemoryLimitError as error:
        return "refused" if error.needed > error.available else "no numbers"
say(count())
while hear():
    say(count())
"""
    with vicino.open(tmp_path / "data") as db:
        docs = db.create_collection("docs", dim=2)
        docs.upsert([{"id": 0, "vector": [1, 2]}])
        with Child(tmp_path / "data", source) as child:
            assert child.hear() == 1
            for start in range(1, 20_001, 1000):
                docs.upsert(ids=range(start, start + 1000), vectors=np.ones((1000, 2), np.float32), fields=[{"text": "x" * 1000}] * 1000)
            assert child.ask(True) == "refused"
            docs.optimize()
            assert child.ask(True) == 20_001
            child.say(False)


def test_a_view_of_the_past_is_counted_while_it_is_held(tmp_path):
    with vicino.open(tmp_path / "data", memory_limit=64 * MB) as db:
        docs = db.create_collection("docs", dim=2)
        docs.upsert(ids=range(1000), vectors=np.ones((1000, 2), np.float32), fields=[{"text": "x" * 1000}] * 1000)
        docs.upsert([{"id": 5000, "vector": [1, 2]}])
        before = db.stats().memory_bytes
        past = docs.at(docs.version - 1)
        assert db.stats().memory_bytes > before + MB
        assert past.count() == 1000
        del past
        assert db.stats().memory_bytes < before + MB
