"""Every dtype and dimension under every metric: distances and order are those of float64, vectors come back bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from vicino.errors import InvalidArgument


def reference(rows: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    """Public distances in float64."""
    a, q = rows.astype(np.float64), query.astype(np.float64)
    match metric:
        case "cosine":
            norms = np.linalg.norm(a, axis=1) * np.linalg.norm(q)
            return 1 - np.divide(a @ q, norms, out=np.zeros(len(a)), where=norms > 0)
        case "dot":
            return -(a @ q)
        case "l2":
            return np.linalg.norm(a - q, axis=1)
        case "l1":
            return np.abs(a - q).sum(axis=1)
        case "hamming":
            return np.abs(a - q).sum(axis=1)
        case _:
            both, either = np.minimum(a, q).sum(axis=1), np.maximum(a, q).sum(axis=1)
            return 1 - np.divide(both, either, out=np.ones(len(a)), where=either > 0)


@pytest.mark.parametrize("dim", [1, 8192])
@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1"])
def test_the_smallest_and_a_large_dimension(make, settle, dim, metric):
    docs = make(dim=dim, metric=metric)
    rows = np.random.default_rng(dim).standard_normal((30, dim)).astype(np.float32)
    docs.upsert(ids=list(range(30)), vectors=rows)
    settle(docs)
    for query in rows[:3]:
        expected = reference(rows, query, metric)
        hits = docs.search(query, limit=30)
        assert sorted(hits.ids) == list(range(30))
        assert [hit.distance for hit in hits] == pytest.approx(np.sort(expected), rel=1e-4, abs=1e-4)
    assert docs.get(7, vectors=True).vectors["vector"].tobytes() == rows[7].tobytes()


def test_the_largest_dimension(make, settle):
    docs = make(dim=65536, metric="l2")
    rows = np.eye(3, 65536, dtype=np.float32)
    docs.upsert(ids=[0, 1, 2], vectors=rows)
    settle(docs)
    assert docs.search(rows[1], limit=1).ids == [1]
    assert docs.get(1, vectors=True).vectors["vector"].tobytes() == rows[1].tobytes()


@pytest.mark.parametrize("dim", [0, -1, 65537])
def test_other_dimensions_are_refused(make, dim):
    with pytest.raises(InvalidArgument, match=r"dim"):
        make(dim=dim)


NUMBERS = [(dtype, metric) for dtype in ("float32", "float16", "int8", "uint8") for metric in ("cosine", "dot", "l2", "l1")]


@pytest.mark.parametrize(("dtype", "metric"), NUMBERS)
def test_numbers_are_ordered_as_numpy_orders_them(make, settle, dtype, metric):
    dim, chance = 24, np.random.default_rng(11)
    low, high = {"int8": (-128, 128), "uint8": (0, 256)}.get(dtype, (-3, 3))
    draw = chance.integers(low, high, (200, dim)) if dtype in ("int8", "uint8") else chance.uniform(low, high, (200, dim))
    rows = draw.astype(dtype)
    docs = make(dim=dim, dtype=dtype, metric=metric)
    docs.upsert(ids=list(range(200)), vectors=rows)
    settle(docs)
    for query in rows[:4]:
        expected = reference(rows, query, metric)
        hits = docs.search(query, limit=200, exact=True)
        found = np.array([hit.distance for hit in hits])
        scale = np.abs(expected).max()
        assert np.allclose(found, expected[hits.ids], rtol=1e-4, atol=1e-5 * scale)
        assert np.allclose(found, np.sort(expected), rtol=1e-4, atol=1e-5 * scale)
        nearest = docs.search(query, limit=10)
        assert np.allclose([hit.distance for hit in nearest], np.sort(expected)[:10], rtol=1e-4, atol=1e-5 * scale)
    assert docs.get(5, vectors=True).vectors["vector"].tobytes() == rows[5].tobytes()


@pytest.mark.parametrize("metric", ["hamming", "jaccard"])
@pytest.mark.parametrize("dim", [8, 64, 200])
def test_bits_are_ordered_as_numpy_orders_them(make, settle, metric, dim):
    bits = np.random.default_rng(4).integers(0, 2, (150, dim)).astype(np.uint8)
    packed = np.packbits(bits, axis=1)
    docs = make(dim=dim, dtype="binary", metric=metric)
    docs.upsert(ids=list(range(150)), vectors=packed)
    settle(docs)
    for row in range(3):
        expected = reference(bits, bits[row], metric)
        hits = docs.search(packed[row], limit=150, exact=True)
        found = [hit.distance for hit in hits]
        assert found == pytest.approx(np.sort(expected).tolist(), abs=1e-6)
        assert found == pytest.approx(expected[hits.ids].tolist(), abs=1e-6)
        assert docs.search(packed[row], limit=1).ids[0] in np.flatnonzero(expected == 0)
