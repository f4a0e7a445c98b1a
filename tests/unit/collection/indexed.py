"""Collections to index in every way: rows in clusters, a collection of them, and what its searches find."""

from __future__ import annotations

from typing import Any

import numpy as np

N = 3000


def clusters(dim: int, n: int = N, seed: int = 0) -> np.ndarray:
    """Rows around forty centers, which are the same for every seed."""
    chance = np.random.default_rng(seed)
    centers = np.random.default_rng(9).standard_normal((40, dim), dtype=np.float32)
    return centers[chance.integers(0, 40, n)] + 0.5 * chance.standard_normal((n, dim), dtype=np.float32)


def filled(dim: int, db: Any, index: Any, **settings: Any) -> Any:
    """A collection of such rows, sealed and indexed; record n has n as its field."""
    docs = db.create_collection("docs", dim=dim, index=index, **settings)
    docs.upsert(ids=range(N), vectors=clusters(dim), fields=[{"n": i} for i in range(N)])
    docs.optimize()
    return docs


def recall(docs: Any, **options: Any) -> float:
    """Share of the exact hits that searches with these options find."""
    queries = clusters(docs.settings.spec("vector").dim, 60, 1)
    truth = docs.search_many(queries, exact=True, **{name: value for name, value in options.items() if name == "where"})
    found = docs.search_many(queries, **options)
    return float(np.mean([len({hit.id for hit in a} & {hit.id for hit in b}) / len(b) for a, b in zip(found, truth, strict=True)]))
