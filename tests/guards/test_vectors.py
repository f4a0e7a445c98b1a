"""Vectors at the edge of what is allowed: the answer is right or the error says exactly what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from vicino.errors import DimensionError, InvalidArgument


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_is_refused_with_id_and_position(make, settle, bad):
    docs = make(dim=4)
    docs.upsert([{"id": n, "vector": [1, n, 2, 3]} for n in range(5)])
    settle(docs)
    with pytest.raises(InvalidArgument, match=r"(?s)seven.*position 2|position 2.*seven"):
        docs.upsert([{"id": "six", "vector": [1, 2, 3, 4]}, {"id": "seven", "vector": [1, 2, bad, 4]}])
    assert docs.count() == 5
    assert "six" not in docs


def test_a_matrix_that_is_not_finite_names_its_record(make):
    docs = make(dim=3)
    rows = np.ones((10, 3), np.float32)
    rows[6, 1] = np.nan
    with pytest.raises(InvalidArgument, match=r"(?s)106.*position 1|position 1.*106"):
        docs.upsert(ids=list(range(100, 110)), vectors=rows)
    assert docs.count() == 0


def test_a_float_too_large_for_float16_is_refused(make):
    docs = make(dim=2, dtype="float16")
    with pytest.raises(InvalidArgument, match="position 1"):
        docs.upsert({"id": 1, "vector": [1.0, 1e6]})


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_query_that_is_not_finite_is_refused(make, settle, bad):
    docs = make(dim=3)
    docs.upsert([{"id": n, "vector": [1, n, 2]} for n in range(3)])
    settle(docs)
    with pytest.raises(InvalidArgument, match="position 1"):
        docs.search([1, bad, 2])


def test_vectors_and_queries_of_another_length_are_refused(make):
    docs = make(dim=3)
    with pytest.raises(DimensionError, match=r"(?s)3.*2|2.*3"):
        docs.upsert({"id": 1, "vector": [1, 2]})
    with pytest.raises(DimensionError):
        docs.search([1, 2, 3, 4])


def test_a_zero_vector_under_cosine_scores_0_at_distance_1(make, settle):
    docs = make(dim=3, metric="cosine")
    docs.upsert([{"id": "zero", "vector": [0, 0, 0]}, {"id": "with", "vector": [1, 0, 0]}, {"id": "against", "vector": [-1, 0, 0]}])
    settle(docs)
    hits = docs.search([2, 0, 0], limit=3)
    assert hits.ids == ["with", "zero", "against"]
    assert [hit.score for hit in hits] == pytest.approx([1, 0, -1], abs=1e-6)
    assert [hit.distance for hit in hits] == pytest.approx([0, 1, 2], abs=1e-6)


def test_a_zero_query_under_cosine_finds_everything_at_distance_1(make, settle):
    docs = make(dim=2, metric="cosine")
    docs.upsert([{"id": n, "vector": [n, 1]} for n in range(4)])
    settle(docs)
    hits = docs.search([0, 0], limit=4)
    assert sorted(hits.ids) == [0, 1, 2, 3]
    assert [(hit.score, hit.distance) for hit in hits] == [(0, 1)] * 4


@pytest.mark.parametrize("index", ["flat", "graph", "auto"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_a_zero_vector_scores_0_in_every_index_and_dtype(make, settle, index, dtype):
    docs = make(dim=4, index=index, dtype=dtype)
    rows = np.random.default_rng(0).integers(-20, 20, (100, 4)).astype(dtype)
    rows[17] = 0
    docs.upsert(ids=list(range(100)), vectors=rows)
    settle(docs)
    hits = {hit.id: hit for hit in docs.search(np.ones(4, dtype), limit=200)}
    assert len(hits) == 100
    assert (hits[17].distance, hits[17].score) == (1.0, 0.0)


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_every_one_of_thousands_of_duplicates_is_found(make, settle, metric):
    docs = make(dim=8, metric=metric)
    same = np.linspace(1, 2, 8, dtype=np.float32)
    far = -np.random.default_rng(1).random((500, 8), dtype=np.float32)
    docs.upsert(ids=list(range(3500)), vectors=np.concatenate([np.tile(same, (3000, 1)), far]))
    settle(docs)
    hits = docs.search(same, limit=3000)
    assert sorted(hits.ids) == list(range(3000))
    assert all(n < 3000 for n in docs.search(same, limit=10).ids)


def test_every_one_of_thousands_of_near_duplicates_is_found(make, settle):
    docs = make(dim=8, metric="l2")
    chance = np.random.default_rng(2)
    near = np.ones((3000, 8), np.float32) + chance.normal(0, 1e-6, (3000, 8)).astype(np.float32)
    docs.upsert(ids=list(range(3000)), vectors=near)
    settle(docs)
    assert len(set(docs.search(np.ones(8), limit=3000).ids)) == 3000


def test_another_record_is_found_among_thousands_of_duplicates(make, settle):
    docs = make(dim=8, metric="l2")
    rows = np.ones((3000, 8), np.float32)
    rows[1234] = 5
    docs.upsert(ids=list(range(3000)), vectors=rows)
    settle(docs)
    assert docs.search([5.0] * 8, limit=1).ids == [1234]
