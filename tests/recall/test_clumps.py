"""Rows beside clumps of near-duplicates: what lies apart is found, however many rows there are of almost the same kind."""

import numpy as np
import pytest

import vicino
from vicino import _core
from vicino.collection.limits import Limits


def clump_and_others(
    n_clump: int, n_others: int, noise: float, *, dim: int = 8, n_clumps: int = 1, seed: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((n_clumps, dim)) if n_clumps > 1 else np.ones((1, dim))
    clump = centers[np.arange(n_clump) % n_clumps] + noise * rng.standard_normal((n_clump, dim))
    return clump.astype(np.float32), rng.standard_normal((n_others, dim)).astype(np.float32)


def recall(rows: np.ndarray, graph: bytes, queries: np.ndarray, k: int, metric: str) -> float:
    """By distance; float32 tells distances apart to about 1e-6 of the numbers they are made of."""
    _, found, _ = _core.graph_search(graph, rows, queries, k, 64, metric)
    _, exact = _core.exact_search(rows, queries, k, metric)
    size = 1 if metric == "cosine" else float(np.square(rows).sum(axis=1).max())
    return float(np.mean(found <= exact[:, -1:] + 2e-6 * size))


def clumps(*, dim: int, noise: float, n_clump: int, n_others: int, n_clumps: int, metric: str) -> dict[str, float]:
    clump, others = clump_and_others(n_clump, n_others, noise, dim=dim, n_clumps=n_clumps)
    rng = np.random.default_rng(2)
    rows = np.concatenate([clump, others])[rng.permutation(n_clump + n_others)]
    graph = _core.build_graph(rows, metric, threads=2)
    anywhere = rng.standard_normal((100, dim)).astype(np.float32)
    return {
        "apart": recall(rows, graph, others[:200], 1, metric),
        "in a clump": recall(rows, graph, clump[:50], 10, metric),
        # Unstructured points of 384 dimensions have no neighborhoods a graph could follow, with or without a clump.
        "anywhere": recall(rows, graph, anywhere, 10, metric) if dim < 100 else 1.0,
    }


@pytest.mark.parametrize("metric", ["cosine", "l2", "dot"])
@pytest.mark.parametrize("noise", [0.0, 1e-6, 1e-3])
@pytest.mark.parametrize("n_clumps", [1, 5])
@pytest.mark.parametrize(("n_clump", "n_others"), [(500, 20), (3_000, 20), (3_000, 2_000)])
def test_rows_apart_from_clumps_are_found(metric: str, noise: float, n_clumps: int, n_clump: int, n_others: int) -> None:
    found = clumps(dim=8, noise=noise, n_clump=n_clump, n_others=n_others, n_clumps=n_clumps, metric=metric)
    assert found["apart"] >= 0.99
    assert min(found.values()) >= 0.95


@pytest.mark.parametrize("metric", ["cosine", "l2", "dot"])
@pytest.mark.parametrize(("noise", "n_clumps", "n_others"), [(1e-6, 1, 20), (1e-6, 5, 2_000)])
def test_a_clump_of_twenty_thousand(metric: str, noise: float, n_clumps: int, n_others: int) -> None:
    found = clumps(dim=8, noise=noise, n_clump=20_000, n_others=n_others, n_clumps=n_clumps, metric=metric)
    assert found["apart"] >= 0.99
    assert min(found.values()) >= 0.95


@pytest.mark.parametrize("metric", ["cosine", "l2", "dot"])
@pytest.mark.parametrize(("noise", "n_others"), [(1e-6, 20), (1e-3, 20), (1e-3, 2_000)])
def test_many_dimensions(metric: str, noise: float, n_others: int) -> None:
    found = clumps(dim=384, noise=noise, n_clump=3_000, n_others=n_others, n_clumps=1, metric=metric)
    assert found["apart"] >= 0.99
    assert found["in a clump"] >= 0.95


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_a_collection_finds_each_record_apart_from_a_clump(metric: str) -> None:
    clump, others = clump_and_others(3_000, 20, 1e-6)
    with vicino.open(limits=Limits(graph_rows_min=2, head_rows_max=10**6)) as db:
        docs = db.create_collection("docs", dim=8, metric=metric)
        docs.upsert(ids=list(range(3_020)), vectors=np.concatenate([clump, others]))
        docs.optimize()
        assert [docs.search(vector, limit=1).ids[0] for vector in others] == list(range(3_000, 3_020))
        assert all(id < 3_000 for id in docs.search(clump[7], limit=50).ids)
