"""What a search finds that says nothing of effort: also where rows have no structure that a graph could follow."""

import numpy as np
import pytest

import vicino
from vicino import IndexSpec

N = 12_000


def recall(docs: vicino.Collection, queries: np.ndarray, limit: int = 10) -> float:
    found, truth = (docs.search_many(queries, limit=limit, exact=exact) for exact in (False, True))
    return float(np.mean([len(set(a.ids) & set(b.ids)) / limit for a, b in zip(found, truth, strict=True)]))


@pytest.mark.parametrize(
    ("index", "dim"),
    [
        (IndexSpec("graph"), 24),  # no codes
        (IndexSpec("graph"), 64),
        (IndexSpec("graph"), 96),
        (IndexSpec("hnsw"), 96),
        (IndexSpec("graph", codes="none"), 96),
        (IndexSpec("graph", layout="disk"), 96),
    ],
)
def test_random_vectors_are_found_by_default(index: IndexSpec, dim: int) -> None:
    random = np.random.default_rng(1)
    with vicino.open() as db:
        docs = db.create_collection("docs", dim=dim, index=index)
        docs.upsert(ids=range(N), vectors=random.standard_normal((N, dim), dtype=np.float32))
        docs.optimize()
        queries = random.standard_normal((100, dim), dtype=np.float32)
        assert recall(docs, queries) >= 0.93
        assert recall(docs, queries[:40], limit=100) >= 0.9


def test_it_is_a_scan_where_walks_find_no_way() -> None:
    random = np.random.default_rng(2)
    with vicino.open() as db:
        docs = db.create_collection("docs", dim=128)
        docs.upsert(ids=range(N), vectors=random.standard_normal((N, 128), dtype=np.float32))
        docs.optimize()
        query = random.standard_normal(128, dtype=np.float32)
        assert docs.search(query).plan.segments[0].strategy == "scan of codes"
        assert docs.search(query, ef=64).plan.segments[0].strategy == "graph"
        assert "scanned unless ef says otherwise" in repr(docs.stats())
