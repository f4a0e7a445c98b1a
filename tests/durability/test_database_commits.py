"""One call that promises one commit makes one commit: what a crash may leave is all of it or nothing."""

from __future__ import annotations

import pytest

import vicino
from vicino import VectorSpec
from vicino.collection.limits import Limits
from vicino.errors import ConflictError


@pytest.fixture
def docs():
    with vicino.open() as database:
        collection = database.create_collection("docs", vectors={"a": VectorSpec(2), "b": VectorSpec(1, "l2")})
        collection.upsert([{"id": n, "a": [n, 1], "b": [n], "n": n} for n in range(4)])
        yield collection


def test_update_of_fields_and_vectors_is_one_commit(docs):
    before = docs.version
    docs.update([1, 2], set={"n": 10}, vectors={"a": [[5, 5], [6, 6]]})
    assert docs.version == before + 1
    assert [view.fields["n"] for view in docs.get([1, 2])] == [10, 10]
    assert docs.get(2, vectors=True).vectors["a"].tolist() == [6, 6]
    assert docs.get(2, vectors=True).vectors["b"].tolist() == [2]


def test_update_of_vectors_holds_to_if_version(docs):
    with pytest.raises(ConflictError, match="is at version 1, if_version asked for 7"):
        docs.update(1, vectors={"a": [9, 9]}, if_version=7)
    assert docs.get(1, vectors=True).vectors["a"].tolist() == [1, 1]


def test_update_by_condition_asks_it_again_when_it_commits(docs, monkeypatch):
    """Between finding the records and changing them another writer may have changed them."""

    def another_writer():
        docs.delete(3)
        docs.update(2, set={"n": 0})

    _after_finding(docs, monkeypatch, another_writer)
    result = docs.update(where={"n": {"$gte": 1}}, set={"seen": True})
    assert result.count == 1
    assert [view.fields for view in docs.get([1, 2])] == [{"n": 1, "seen": True}, {"n": 0}]


def test_update_of_vectors_by_condition_changes_only_what_still_meets_it(docs, monkeypatch):
    _after_finding(docs, monkeypatch, lambda: docs.update(2, set={"n": 0}))
    docs.update(where={"n": {"$gte": 1}}, vectors={"b": [[10], [20], [30]]})
    assert [view.vectors["b"].tolist() for view in docs.get([1, 2, 3], vectors=True)] == [[10], [2], [30]]


def _after_finding(docs, monkeypatch, act):
    """Runs `act` between the search for the records of an update and its commit."""
    find = docs._chosen_ids

    def find_then_act(ids, where):
        chosen = find(ids, where)
        monkeypatch.undo()
        act()
        return chosen

    monkeypatch.setattr(docs, "_chosen_ids", find_then_act)


def test_history_keeps_one_base_of_a_version():
    """Merges and builds replace a base by another of the same version; the older files would be held for nothing."""
    with vicino.open(retain=1000, limits=Limits(head_rows_max=8, merge_fan_in=2, graph_rows_min=4)) as database:
        collection = database.create_collection("docs", dim=2)
        for first in range(0, 40, 4):
            collection.upsert([{"id": n, "vector": [n, 1], "n": n} for n in range(first, first + 4)])
        collection.create_index("n").wait(10)
        collection.optimize()
        history = collection._shard.journal.history
        assert history
        assert all(entry.version < entry.until for entry in history)
        assert [len(list(collection.at(version).iter())) for version in range(11)] == list(range(0, 41, 4))
