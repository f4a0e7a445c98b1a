import numpy as np
import pytest

import vicino
from vicino.collection.limits import Limits
from vicino.errors import InvalidArgument

DIM = 16


def rows(n, seed):
    random = np.random.default_rng(seed)
    plane = np.random.default_rng(0).normal(size=(6, DIM))
    return (random.normal(size=(n, 6)) @ plane + 0.3 * random.normal(size=(n, DIM))).astype(np.float32)


@pytest.fixture(scope="module")
def collection():
    with vicino.open(limits=Limits(graph_rows_min=256)) as db:
        collection = db.create_collection("rows", dim=DIM, metric="l2", recall=0.9)
        collection.upsert(ids=list(range(4000)), vectors=rows(4000, 3), fields=[{"group": number % 4} for number in range(4000)])
        collection.optimize()
        yield collection


def test_a_kept_promise_is_proven(collection):
    found = collection.verify(n=1000, seed=1)
    assert (found.target, found.n, found.source, found.is_kept) == (0.9, 1000, "rows", True)
    assert found.low <= found.recall <= found.high
    assert "kept" in repr(found)


def test_few_queries_leave_a_promise_open(collection):
    found = collection.verify(n=5, seed=1)
    assert found.is_kept is None
    assert "neither proven nor refuted" in repr(found)


def test_queries_can_be_given(collection):
    found = collection.verify(queries=rows(40, 9))
    assert (found.source, found.n) == ("given", 40)


def test_queries_of_another_kind_refute_what_rows_prove(collection):
    far = np.random.default_rng(4).normal(size=(400, DIM)).astype(np.float32) * 40
    found = collection.verify(queries=far, recall=0.9)
    assert found.source == "given"
    assert found.recall < collection.verify(n=400, seed=1).recall


def test_the_same_recall_as_searches_have(collection):
    queries = rows(100, 9)
    exact, found = collection.search_many(queries, exact=True), collection.search_many(queries)
    share = np.mean([len(set(a.ids) & set(b.ids)) / 10 for a, b in zip(exact, found, strict=True)])
    assert collection.verify(queries=queries).recall == pytest.approx(share)


@pytest.mark.parametrize(("nprobe", "least", "most"), [(1, 0.0, 0.7), (30, 0.99, 1.0)])
def test_without_a_promise_searches_are_measured_with_the_lists_of_the_index(nprobe, least, most):
    with vicino.open(limits=Limits(graph_rows_min=256)) as db:
        spec = vicino.IndexSpec("ivf_flat", nlist=30, nprobe=nprobe)
        lists = db.create_collection("lists", dim=DIM, index=spec)
        lists.upsert(ids=range(2000), vectors=rows(2000, 3))
        lists.optimize()
        assert least <= lists.verify(n=100, seed=1).recall <= most


def test_several_numbers_of_neighbors_are_measured(collection):
    found = collection.verify(n=50, k=20, seed=1)
    assert list(found.by_k) == [1, 10, 20]
    assert found.recall == found.by_k[20].recall


def test_a_condition_is_measured_under(collection):
    assert collection.verify(n=300, where="group == 1", seed=1).recall >= 0.88


def test_the_same_seed_measures_the_same(collection):
    first, second = (collection.verify(n=50, seed=7).to_dict() for _ in range(2))
    assert {**first, "took_s": 0} == {**second, "took_s": 0}


def test_without_a_promise_the_usual_effort_is_measured():
    with vicino.open() as db:
        collection = db.create_collection("few", dim=2)
        collection.upsert([{"id": 1, "vector": [1.0, 0.0]}, {"id": 2, "vector": [0.0, 1.0]}])
        found = collection.verify()
        assert (found.recall, found.target, found.is_kept, found.n) == (1.0, None, None, 2)
        assert "nothing is promised" in repr(found)


@pytest.mark.parametrize("queries", ["cats", [], 7], ids=repr)
def test_what_are_no_queries_is_refused(collection, queries):
    with pytest.raises(InvalidArgument, match="sequence of queries"):
        collection.verify(queries=queries)


def test_an_empty_collection_has_nothing_to_measure_with():
    with vicino.open() as db, pytest.raises(InvalidArgument, match="no record"):
        db.create_collection("none", dim=2).verify()


def test_an_empty_sequence_of_queries_is_refused_with_what_there_is_instead(collection):
    with pytest.raises(InvalidArgument, match="got an empty one; leave queries= out"):
        collection.verify(queries=[])
