"""Recall of the graph walk against exact search, by distance: a row as near as the k-th nearest counts, whichever of equals it is."""

import functools
from pathlib import Path

import numpy as np
import pytest

from vicino import _core

DEBIAN = Path(__file__).resolve().parents[3] / "shared" / "data" / "vectors-debian"


def clustered(n: int, dim: int, n_queries: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Rows around centers that are themselves spread over a low-dimensional surface, as embeddings are; queries are more of the same."""
    rng = np.random.default_rng(seed)
    surface = rng.standard_normal((16, dim))
    centers = rng.standard_normal((n // 50, 16)) @ surface
    rows = centers[rng.integers(0, len(centers), n + n_queries)]
    rows = rows + rng.standard_normal((n + n_queries, 16)) @ surface * 0.4 + rng.standard_normal((n + n_queries, dim)) * 0.2
    return rows[:n].astype(np.float32), rows[n:].astype(np.float32)


def recall(graph: bytes, vectors: np.ndarray, queries: np.ndarray, k: int, ef: int, metric: str, **options: object) -> tuple[float, float]:
    """Mean recall@k and the share of all rows that was scored per query."""
    _, found, scored = _core.graph_search(graph, vectors, queries, k, ef, metric, **options)
    _, exact = _core.exact_search(vectors, queries, k, metric, **options)
    farthest = exact[:, -1:]
    return float(np.mean(found <= farthest + 1e-6 * np.abs(farthest))), scored / len(queries) / len(vectors)


@functools.cache
def twenty_thousand() -> tuple[np.ndarray, np.ndarray]:
    return clustered(20_000, 48, 200)


@functools.cache
def graph_of(metric: str) -> bytes:
    return _core.build_graph(twenty_thousand()[0], metric, threads=2)


@pytest.mark.parametrize("metric", ["cosine", "l2", "l1", "dot"])
def test_clustered_rows(metric: str) -> None:
    vectors, queries = twenty_thousand()
    found, share = recall(graph_of(metric), vectors, queries, 10, 48, metric)
    assert found >= 0.95
    assert share <= 0.06  # 1,000 rows; of 100,000 the same work is 1 %


@pytest.mark.parametrize("k", [1, 100])
def test_other_k(k: int) -> None:
    vectors, queries = twenty_thousand()
    found, _ = recall(graph_of("l2"), vectors, queries, k, max(48, 2 * k), "l2")
    assert found >= 0.95


@pytest.mark.parametrize("metric", ["hamming", "jaccard"])
def test_binary_rows(metric: str) -> None:
    vectors, queries = clustered(20_000, 256, 200)
    vectors, queries = np.packbits(vectors > 0, axis=1), np.packbits(queries > 0, axis=1)
    graph = _core.build_graph(vectors, metric, threads=2)
    found, share = recall(graph, vectors, queries, 10, 64, metric)
    assert found >= 0.95
    assert share <= 0.10


@pytest.mark.parametrize("dtype", ["float16", "int8", "uint8"])
def test_other_types(dtype: str) -> None:
    vectors, queries = twenty_thousand()
    low, high = vectors.min(), vectors.max()
    if dtype != "float16":
        vectors, queries = ((part - low) / (high - low) * 250 - (128 if dtype == "int8" else 0) for part in (vectors, queries))
        vectors, queries = (np.clip(part, *((-128, 127) if dtype == "int8" else (0, 255))).astype(dtype) for part in (vectors, queries))
    else:
        vectors = vectors.astype(np.float16)
    found, _ = recall(_core.build_graph(vectors, "l2", threads=2), vectors, queries, 10, 48, "l2")
    assert found >= 0.95


def test_inner_product_with_norms_of_every_size() -> None:
    vectors, queries = clustered(20_000, 48, 200, seed=2)
    vectors *= np.random.default_rng(3).lognormal(0, 1, (len(vectors), 1)).astype(np.float32)
    found, share = recall(_core.build_graph(vectors, "dot", threads=2), vectors, queries, 10, 64, "dot")
    assert found >= 0.95
    assert share <= 0.10


def test_rows_far_from_the_origin() -> None:
    vectors, queries = twenty_thousand()
    vectors, queries = vectors + 1000, queries + 1000
    found, _ = recall(_core.build_graph(vectors, "l2", threads=2), vectors, queries, 10, 48, "l2")
    assert found >= 0.95


def test_clusters_without_contact() -> None:
    rng = np.random.default_rng(4)
    centers = rng.standard_normal((40, 48)) * 30
    vectors = (centers[rng.integers(0, 40, 20_000)] + rng.standard_normal((20_000, 48))).astype(np.float32)
    queries = (centers[rng.integers(0, 40, 200)] + rng.standard_normal((200, 48))).astype(np.float32)
    found, _ = recall(_core.build_graph(vectors, "l2", threads=2), vectors, queries, 10, 128, "l2")
    assert found >= 0.95


@pytest.mark.parametrize("share_allowed", [0.5, 0.1])
def test_under_a_random_filter(share_allowed: float) -> None:
    vectors, queries = twenty_thousand()
    allowed = np.random.default_rng(5).random(len(vectors)) < share_allowed
    found, _ = recall(graph_of("l2"), vectors, queries, 10, int(max(48, 12 / share_allowed)), "l2", allowed=allowed)
    assert found >= 0.95


@functools.cache
def with_blob() -> tuple[np.ndarray, np.ndarray, bytes]:
    """Ordinary rows, 2,000 near-duplicates of one of them and 1,000 exact copies of another."""
    vectors, queries = clustered(20_000, 384, 200, seed=6)
    rng = np.random.default_rng(7)
    noise = 0.02 * np.abs(vectors[5]).mean() * rng.standard_normal((2000, 384))
    vectors = np.vstack([vectors, (vectors[5] + noise).astype(np.float32), np.repeat(vectors[9:10], 1000, axis=0)])
    vectors = vectors[rng.permutation(len(vectors))]
    return vectors, queries, _core.build_graph(vectors, "cosine", threads=2)


def test_blob_and_copies_do_not_harm_ordinary_queries() -> None:
    vectors, queries, graph = with_blob()
    found, _ = recall(graph, vectors, queries, 10, 64, "cosine")
    assert found >= 0.95


def test_rows_inside_a_blob_are_found() -> None:
    vectors, _, graph = with_blob()
    center = clustered(20_000, 384, 200, seed=6)[0][5]
    inside = vectors[np.argsort(np.linalg.norm(vectors - center, axis=1))[:2001]][::20]
    found, _ = recall(graph, vectors, np.ascontiguousarray(inside), 10, 128, "cosine")
    assert found >= 0.95


def test_a_query_at_the_copies_finds_only_copies() -> None:
    vectors, _, graph = with_blob()
    copy = clustered(20_000, 384, 200, seed=6)[0][9:10]
    rows, _, _ = _core.graph_search(graph, vectors, copy, 1001, 1001, "cosine")
    assert np.all(vectors[rows[0]] == copy)


@pytest.mark.skipif(not DEBIAN.is_dir(), reason=f"no {DEBIAN.name} beside the repository")
def test_real_embeddings() -> None:
    vectors = np.load(DEBIAN / "base.f16.npy")[:50_000]
    queries = np.load(DEBIAN / "query.f16.npy")[:200].astype(np.float32)
    graph = _core.build_graph(vectors, "cosine", threads=2)
    found, share = recall(graph, vectors, queries, 10, 64, "cosine")
    assert found >= 0.97
    assert share <= 0.05
