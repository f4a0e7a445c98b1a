"""Seals, merges, graphs and indexes in a folder: answers never change, space returns."""

import datetime as dt

import numpy as np
import pytest

import vicino
from vicino import F
from vicino.errors import NotFoundError, ReadOnlyError

from .conftest import records


def filled(db, n=100):
    docs = db.create_collection("docs", dim=4, metric="l2")
    vectors = np.random.default_rng(7).standard_normal((n, 4)).astype(np.float32)
    for start in range(0, n, 5):
        docs.upsert(
            ids=list(range(start, start + 5)), vectors=vectors[start : start + 5], fields=[{"n": i} for i in range(start, start + 5)]
        )
    return docs, vectors


def nearest(vectors, query, k=5):
    return np.argsort(((vectors - query) ** 2).sum(axis=1))[:k].tolist()


def test_answers_are_the_same_from_head_and_segments(reopen):
    docs, vectors = filled(reopen())
    before = [docs.search(query, limit=5, exact=True).ids for query in vectors[:10]]
    docs.optimize()
    assert [docs.search(query, limit=5).ids for query in vectors[:10]] == before == [nearest(vectors, query) for query in vectors[:10]]


def test_optimizing_leaves_one_segment_with_a_graph(reopen):
    docs, _ = filled(reopen())
    docs.optimize()
    sealed = [segment for segment in docs.stats().segments if segment.sealed]
    assert [(segment.rows, segment.indexes) for segment in sealed] == [(100, 1)]


def test_everything_is_there_after_reopening(reopen):
    docs, vectors = filled(reopen())
    docs.delete([3, 4])
    docs.update(5, set={"n": "five"})
    docs = reopen()["docs"]
    assert docs.count() == 98
    assert docs[5]["n"] == "five"
    assert docs.get(7, vectors=True).vector.tolist() == vectors[7].tolist()


def test_updating_fields_rewrites_no_vector_and_no_graph(reopen):
    docs, _ = filled(reopen())
    docs.optimize()

    def files(*kinds):
        return {name for name in docs._shard.journal.manifest["files"] if name.endswith(kinds)}

    vectors, fields = files(".vectors", ".graph", ".ids"), files(".fields")
    docs.update(where={}, set={"n": 0})
    docs.optimize()
    assert files(".vectors", ".graph", ".ids") == vectors
    assert not files(".fields") & fields
    assert [segment.updated for segment in docs.stats().segments] == [0, 0]
    assert docs.count(where=F.n == 0) == 100


def test_space_of_deleted_records_returns_by_itself(reopen):
    docs, _ = filled(reopen(), 1000)
    docs.optimize()
    before = docs.stats().disk_bytes["vectors"]
    docs.delete(where=F.n < 800)
    docs.optimize()
    assert docs.stats().disk_bytes["vectors"] < before / 2


def test_deleted_text_is_in_no_file_after_a_merge(reopen, tmp_path):
    docs = reopen().create_collection("docs", dim=2)
    docs.upsert(records(*range(20), secret="xyzzy-plugh"))
    docs.optimize()
    docs.update(list(range(10)), unset="secret")
    docs.delete(list(range(10, 20)))
    docs.optimize()
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file() and b"xyzzy-plugh" in path.read_bytes()]


def test_space_of_a_deleted_collection_returns(reopen, tmp_path):
    db = reopen()
    filled(db)
    db.delete_collection("docs")
    assert [path.name for path in (tmp_path / "data").iterdir() if path.name.startswith("c-")] == []


def test_an_index_answers_like_a_scan(reopen):
    docs, _ = filled(reopen())
    expected = docs.count(where=F.n.between(10, 60))
    docs.create_index("n").wait(30)
    docs.optimize()
    plan = docs.explain([0, 0, 0, 0], where=F.n.between(10, 60))
    assert plan.filter.actual == expected == 51
    assert plan.filter.paths_indexed == ("n",)


def test_a_dropped_index_is_scanned_again(reopen):
    docs, _ = filled(reopen())
    docs.create_index("n")
    docs.optimize()
    docs.drop_index("n")
    assert docs.explain([0, 0, 0, 0], where=F.n < 5).filter.paths_indexed == ()


def test_a_vector_is_added_and_dropped_on_a_live_collection(reopen):
    docs, _ = filled(reopen())
    docs.add_vector("title", dim=2, metric="l2")
    docs.update(7, vectors={"title": [1, 1]})
    docs.optimize()
    assert docs.search([1, 1], vector="title").ids == [7]
    docs.drop_vector("title")
    docs = reopen()["docs"]
    assert set(docs.settings.vectors) == {"vector"}
    docs.optimize()
    assert docs.count() == 100


def test_a_name_that_comes_back_is_another_vector(reopen):
    docs, _ = filled(reopen())
    docs.add_vector("title", dim=2, metric="l2")
    docs.update(7, vectors={"title": [1, 1]})
    docs.drop_vector("title")
    docs.add_vector("title", dim=3, metric="l2")
    assert len(docs.search([1, 1, 1], vector="title")) == 0
    docs.optimize()
    assert docs.get(7, vectors=True).vectors.keys() == {"vector"}


def test_history_reads_past_versions(reopen):
    docs, _ = filled(reopen(retain=1000))
    at = docs.version
    docs.delete(where={})
    docs.optimize()
    past = docs.at(at)
    assert (past.count(), docs.count(), past.version) == (100, 0, at)
    with pytest.raises(ReadOnlyError, match=f"at version {at}"):
        past.upsert({"id": 1})


def test_history_by_instant(reopen):
    docs = reopen(retain=1000).create_collection("docs", dim=2)
    docs.upsert(records(1))
    instant = dt.datetime.now(dt.UTC)
    docs.upsert(records(2))
    assert docs.at(instant).count() == 1


def test_a_version_that_is_gone_names_the_oldest_there_is(reopen):
    docs, _ = filled(reopen())
    docs.optimize()
    with pytest.raises(NotFoundError, match=r"version 1 of collection .docs. is gone; the oldest that can be read is \d+"):
        docs.at(1)


def test_a_snapshot_is_a_database_of_its_own(reopen, tmp_path):
    db = reopen()
    docs, vectors = filled(db)
    db.alias("latest", "docs")
    made = db.snapshot(tmp_path / "copy")
    docs.delete(where={})
    with vicino.restore(tmp_path / "copy", tmp_path / "restored") as restored:
        assert (restored["latest"].count(), made.files > 0) == (100, True)
        assert restored["docs"].search(vectors[3], limit=1).ids == [3]
    assert docs.count() == 0


def test_check_reads_everything_and_finds_it_sound(reopen):
    db = reopen()
    docs, _ = filled(db)
    docs.delete([1])
    docs.optimize()
    docs.update(2, set={"x": 1})
    report = db.check()
    assert (report.is_sound, report.records) == (True, 99)


def test_versions_before_a_drop_still_have_the_vector(reopen):
    docs, vectors = filled(reopen(retain=1000), 20)
    docs.add_vector("title", dim=2, metric="l2")
    docs.optimize()
    at = docs.version
    docs.drop_vector("vector")
    docs.optimize()
    assert docs.get(3, vectors=True).vectors == {}
    assert docs.at(at).get(3, vectors=True).vectors["vector"].tolist() == vectors[3].tolist()


def test_a_dropped_vector_leaves_the_disk(reopen):
    docs, _ = filled(reopen())
    docs.optimize()
    docs.drop_vector("vector")
    docs.optimize()
    assert "vectors" not in docs.stats().disk_bytes
