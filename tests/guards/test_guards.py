"""Input at the edges, through the public API, in every kind of index: right answers or an error that names record and position."""

from __future__ import annotations

import numpy as np
import pytest

import vicino
from tests.property.invariants import distance
from vicino import VectorSpec
from vicino.collection.limits import Limits
from vicino.errors import InvalidArgument

LIMITS = Limits(head_rows_max=64, merge_fan_in=2, graph_rows_min=8)
NUMBERS = [(metric, dtype) for metric in ("cosine", "dot", "l2", "l1") for dtype in ("float32", "float16", "int8", "uint8")]
BITS = [("hamming", "binary"), ("jaccard", "binary")]


@pytest.fixture
def db():
    with vicino.open(limits=LIMITS) as database:
        yield database


def rows_of(spec, n, seed=0):
    chance = np.random.default_rng(seed)
    if spec.dtype == "binary":
        return np.packbits(chance.random((n, spec.dim)) < 0.5, axis=1)
    low = 0 if spec.dtype == "uint8" else -20
    return chance.integers(low, 20, (n, spec.dim)).astype(spec.numpy_dtype)


@pytest.mark.parametrize("sealed", [False, True], ids=["head", "sealed"])
@pytest.mark.parametrize(("metric", "dtype"), NUMBERS + BITS)
def test_vectors_come_back_bit_for_bit_and_are_ranked_by_the_metric(db, metric, dtype, sealed):
    spec = VectorSpec(24, metric, dtype)
    docs = db.create_collection("docs", vectors={"v": spec})
    rows = rows_of(spec, 150)
    docs.upsert(ids=list(range(150)), vectors={"v": rows})
    if sealed:
        docs.optimize()
    read = docs.get(list(range(150)), vectors=True)
    assert all(
        view.vectors["v"].dtype == rows.dtype and view.vectors["v"].tobytes() == row.tobytes() for view, row in zip(read, rows, strict=True)
    )
    query = rows_of(spec, 1, seed=1)[0]
    wanted = sorted(distance(spec, query, row) for row in rows)[:20]
    np.testing.assert_allclose([hit.distance for hit in docs.search(query, limit=20, exact=True)], wanted, rtol=1e-4, atol=1e-4)
    assert len(docs.search(query, limit=500)) == 150


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_non_finite_input_is_refused_with_record_and_position(db, bad, dtype):
    docs = db.create_collection("docs", dim=3, dtype=dtype)
    with pytest.raises(InvalidArgument, match=r"position 1.*record 7|record 7.*position 1"):
        docs.upsert([{"id": 6, "vector": [1, 2, 3]}, {"id": 7, "vector": [1, bad, 3]}])
    assert docs.count() == 0
    with pytest.raises(InvalidArgument):
        docs.search([1, bad, 3])


@pytest.mark.parametrize("index", ["flat", "graph", "auto"])
@pytest.mark.parametrize("sealed", [False, True], ids=["head", "sealed"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_zero_vector_under_cosine_scores_zero(db, index, sealed, dtype):
    docs = db.create_collection("docs", dim=4, index=index, dtype=dtype)
    rows = rows_of(VectorSpec(4, "cosine", dtype), 100)
    rows[17] = 0
    docs.upsert(ids=list(range(100)), vectors=rows)
    if sealed:
        docs.optimize()
    hits = {hit.id: hit for hit in docs.search(np.ones(4, rows.dtype), limit=200)}
    assert len(hits) == 100
    assert (hits[17].distance, hits[17].score) == (1.0, 0.0)
    assert {hit.distance for hit in docs.search(np.zeros(4, rows.dtype), limit=200)} == {1.0}


@pytest.mark.parametrize("sealed", [False, True], ids=["head", "sealed"])
def test_duplicates_by_the_thousand_do_not_hide_the_others(db, sealed):
    docs = db.create_collection("docs", dim=4, metric="l2")
    docs.upsert(ids=list(range(2000)), vectors=np.ones((2000, 4), np.float32))
    docs.upsert([{"id": "near", "vector": [0, 0, 0, 0.1]}, {"id": "far", "vector": [9, 9, 9, 9]}])
    if sealed:
        docs.optimize()
    assert docs.search([0, 0, 0, 0], limit=1).ids == ["near"]
    assert docs.search([9, 9, 9, 9], limit=1).ids == ["far"]
    assert len(docs.search([1, 1, 1, 1], limit=1500)) == 1500


@pytest.mark.parametrize("dim", [1, 8192])
@pytest.mark.parametrize("sealed", [False, True], ids=["head", "sealed"])
def test_smallest_and_large_dimension(db, dim, sealed):
    docs = db.create_collection("docs", dim=dim, metric="l2")
    rows = np.random.default_rng(0).random((40, dim), np.float32)
    docs.upsert(ids=list(range(40)), vectors=rows)
    if sealed:
        docs.optimize()
    assert docs.search(rows[11], limit=1).ids == [11]
    assert docs.get(11, vectors=True).vector.tobytes() == rows[11].tobytes()


@pytest.mark.parametrize("sealed", [False, True], ids=["head", "sealed"])
def test_empty_and_one_row_collections(db, sealed):
    docs = db.create_collection("docs", dim=2)
    docs.optimize()
    assert (len(docs), docs.search([1, 2]).ids, docs.count(where={"n": 1}), docs.facet("n"), docs.peek()) == (0, [], 0, {}, [])
    docs.upsert({"id": "only", "vector": [3, 4], "n": 1})
    if sealed:
        docs.optimize()
    assert docs.search([1, 2], limit=10_000).ids == ["only"]
    docs.delete("only")
    if sealed:
        docs.optimize()
    assert (docs.search([1, 2]).ids, len(docs), db.check().is_sound) == ([], 0, True)
