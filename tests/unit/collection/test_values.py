"""Sparse and multi-vectors of a collection: what goes in comes back bit for bit, and searches score by what is there."""

from __future__ import annotations

import numpy as np
import pytest

import vicino
from tests.property.lexical import expect_values_agree
from vicino import MultiSpec, MultiVector, Sparse, SparseSpec, SparseVector
from vicino.collection.limits import Limits
from vicino.errors import ConflictError, CorruptionError, DimensionError, InvalidArgument

SMALL = Limits(head_rows_max=8, merge_fan_in=2, graph_rows_min=4, close_log_bytes_max=0)


@pytest.fixture
def docs():
    with vicino.open(limits=SMALL) as db:
        docs = db.create_collection("docs", vectors={"bag": SparseSpec(), "tokens": MultiSpec(2), "codes": MultiSpec(3, "dot", "int8")})
        docs.upsert(
            [
                {"id": 1, "bag": {5: 1.0, 9: 0.5}, "tokens": [[1, 0], [0, 1]], "codes": np.array([[1, 2, -3]], np.int8)},
                {"id": 2, "bag": {9: 2.0}, "tokens": [[1, 1]]},
                {"id": 3, "n": 3},
            ]
        )
        yield docs


def vectors_of(docs, record_id):
    (view,) = docs.get([record_id], vectors=True)
    return view.vectors


# ---- in and out


def test_sparse_vector_comes_back_as_it_was_given(docs):
    assert vectors_of(docs, 1)["bag"] == SparseVector([5, 9], [1.0, 0.5])


def test_multi_vector_comes_back_in_its_dtype(docs):
    found = vectors_of(docs, 1)
    assert found["tokens"].dtype == np.float32
    assert found["tokens"].tolist() == [[1, 0], [0, 1]]
    assert found["codes"].dtype == np.int8
    assert found["codes"].tolist() == [[1, 2, -3]]


def test_record_without_values_has_none(docs):
    assert vectors_of(docs, 3) == {}


@pytest.mark.parametrize("empty", [{}, None], ids=["no weights", "None"])
def test_sparse_vector_of_nothing_is_none(docs, empty):
    docs.upsert({"id": 4, "bag": empty})
    assert vectors_of(docs, 4) == {}


def test_values_survive_seals_merges_and_reopening(tmp_path):
    specs = {"bag": SparseSpec(idf=True), "tokens": MultiSpec(2, dtype="float16")}
    for round_number in range(3):
        with vicino.open(tmp_path / "data", limits=SMALL) as db:
            docs = db.create_collection("docs", vectors=specs, exist_ok=True)
            ids = range(20 * round_number, 20 * round_number + 20)
            docs.upsert([{"id": n, **({"bag": {n % 7: 1.5, 50: 0.25}} if n % 3 else {}), "tokens": [[n, 1]] * (n % 3)} for n in ids])
            docs.delete([ids[3]])
            expect_values_agree(docs)
            docs.optimize()
            expect_values_agree(docs)
            assert vectors_of(docs, ids[1]).keys() == ({"bag", "tokens"} if ids[1] % 3 else set())


def test_update_of_one_vector_keeps_the_others(docs):
    docs.update(1, vectors={"bag": {7: 3.0}})
    found = vectors_of(docs, 1)
    assert found["bag"] == SparseVector([7], [3.0])
    assert found["tokens"].tolist() == [[1, 0], [0, 1]]
    docs.update(1, vectors={"tokens": None})
    assert vectors_of(docs, 1).keys() == {"bag", "codes"}


def test_update_of_fields_keeps_values(docs):
    docs.update(1, set={"n": 1})
    assert vectors_of(docs, 1).keys() == {"bag", "tokens", "codes"}
    assert docs.search(Sparse({5: 1.0})).ids == [1]


def test_update_of_values_asks_for_the_version(docs):
    with pytest.raises(ConflictError):
        docs.update(1, vectors={"bag": {7: 3.0}}, if_version=99)
    assert vectors_of(docs, 1)["bag"] == SparseVector([5, 9], [1.0, 0.5])


def test_dropped_vector_is_gone_and_its_name_is_free(docs):
    docs.drop_vector("bag")
    assert "bag" not in vectors_of(docs, 1)
    docs.add_vector("bag", SparseSpec())
    assert "bag" not in vectors_of(docs, 1)
    docs.update(2, vectors={"bag": {1: 1.0}})
    assert docs.search(Sparse({1: 1.0, 9: 1.0})).ids == [2]


# ---- searches


def test_sparse_scores_are_dot_products(docs):
    hits = docs.search(Sparse({5: 2.0, 9: 1.0}))
    assert [(hit.id, hit.score) for hit in hits] == [(1, 2.5), (2, 2.0)]


def test_records_that_share_no_index_are_not_found(docs):
    assert docs.search(Sparse({5: 1.0})).ids == [1]
    assert docs.search(Sparse({1234: 1.0})).ids == []


def test_idf_weighs_rare_indices_more(docs):
    docs.upsert([{"id": 10 + n, "bag": {9: 1.0}} for n in range(10)])
    assert docs.search(Sparse({5: 1.0, 9: 1.0}), limit=1).ids == [2]
    assert docs.search(Sparse({5: 1.0, 9: 1.0}, idf=True), limit=1).ids == [1]


def test_max_sim_adds_the_best_of_every_query_token(docs):
    hits = docs.search(MultiVector([[1, 0], [0, 2]], "tokens"))
    assert {hit.id: hit.score for hit in hits} == pytest.approx({1: 2.0, 2: 2**0.5})


def test_condition_holds_for_values(docs):
    assert docs.search(Sparse({9: 1.0}), where={"n": 3}).ids == []


def test_past_version_has_its_own_values(tmp_path):
    with vicino.open(tmp_path / "data", limits=SMALL, retain=50) as db:
        docs = db.create_collection("docs", vectors={"bag": SparseSpec()})
        docs.upsert([{"id": n, "bag": {1: 1.0}} for n in range(10)])
        version = docs.version
        docs.upsert([{"id": n, "bag": {2: 1.0}} for n in range(10)])
        docs.optimize()
        assert len(docs.at(version).search(Sparse({1: 1.0}), limit=20)) == 10
        assert len(docs.search(Sparse({1: 1.0}), limit=20)) == 0


# ---- errors


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({-1: 1.0}, "indices must be between 0"),
        ({1: float("nan")}, "weights must be finite"),
        ({"indices": [1, 1], "values": [1.0, 2.0]}, "index 1 comes twice"),
        ({"a": 1.0}, "keys of a sparse vector are integers"),
    ],
    ids=["negative index", "NaN", "index twice", "names"],
)
def test_what_is_no_sparse_vector_is_refused_with_the_record(docs, value, message):
    with pytest.raises(InvalidArgument, match=message) as caught:
        docs.upsert([{"id": 7}, {"id": 8, "bag": value}])
    assert "8" in str(caught.value)
    assert docs.get([7]) == [None]


def test_multi_vector_of_another_length_is_refused(docs):
    with pytest.raises(DimensionError, match='"tokens"'):
        docs.upsert({"id": 8, "tokens": [[1, 2, 3]]})
    with pytest.raises(DimensionError, match="has 2 dimensions, the query has 3"):
        docs.search(MultiVector([[1, 2, 3]], "tokens"))


def test_name_of_another_kind_is_refused(docs):
    with pytest.raises(InvalidArgument, match='no sparse vector "tokens"'):
        docs.search(Sparse({1: 1.0}, "tokens"))


def test_stored_bytes_that_are_no_value_are_corruption():
    from vicino.collection.values import from_bytes

    with pytest.raises(CorruptionError, match="has 6 bytes, not a multiple of 4"):
        from_bytes(b"123456", MultiSpec(4, dtype="int8"))
    with pytest.raises(CorruptionError, match="index 1 comes twice"):
        from_bytes(np.array([1, 1], np.uint32).tobytes() + np.ones(2, np.float32).tobytes(), SparseSpec())
