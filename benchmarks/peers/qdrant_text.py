"""qdrant-edge-py: sparse vectors, of texts the shares of BM25 that were worked out before, with Qdrant's own idf."""

from __future__ import annotations

import os
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np
import qdrant_edge as edge

BATCH = 1000


class QdrantText:
    configuration = (
        "sparse vectors of shares of BM25 made by the benchmark (its analysis is not in the time), modifier idf, one optimized segment"
    )
    modifier: edge.Modifier | None = edge.Modifier.Idf

    def version(self) -> str:
        return version("qdrant-edge-py")

    def load(self, task: dict[str, Any]) -> int:
        with np.load(task["bags"]) as bags:
            starts, terms, weights = bags["starts"].tolist(), bags["terms"], bags["weights"]
        self._bags = [(terms[begin:end], weights[begin:end]) for begin, end in pairwise(starts)]
        return len(self._bags)

    def index(self, path: str) -> None:
        os.makedirs(path)
        optimizers = edge.EdgeOptimizersConfig(default_segment_number=1, max_segment_size=50_000_000, indexing_threshold=1000)
        sparse = {"bag": edge.EdgeSparseVectorParams(modifier=self.modifier)}
        self._shard = edge.EdgeShard.create(path, edge.EdgeConfig(sparse_vectors=sparse, optimizers=optimizers, max_search_threads=1))
        for first in range(0, len(self._bags), BATCH):
            points = [
                edge.Point(first + i, {"bag": edge.SparseVector(terms.tolist(), weights.tolist())}, {})
                for i, (terms, weights) in enumerate(self._bags[first : first + BATCH])
            ]
            self._shard.update(edge.UpdateOperation.upsert_points(points))
        self._shard.optimize()
        self._shard.flush()

    def index_bytes(self, path: str) -> int:
        """All but the log: vectors and their index are not told apart by name."""
        return sum(
            os.lstat(os.path.join(folder, name)).st_blocks * 512
            for folder, _, names in os.walk(path)
            for name in names
            if "wal" not in os.path.relpath(folder, path)
        )

    def open(self, path: str) -> None:
        self._shard = edge.EdgeShard.load(path)

    def prepare(self, queries: dict[str, Any]) -> list[Any]:
        return [edge.Query.Nearest(edge.SparseVector(terms, weights), using="bag") for terms, weights in queries["bags"]]

    def search(self, query: Any, k: int) -> list[int]:
        return [hit.id for hit in self._shard.search(edge.SearchRequest(query=query, limit=k))]

    def search_all(self, queries: list[Any], k: int) -> Any:
        return None

    def close(self) -> None:
        self._shard.close()


class QdrantSparse(QdrantText):
    configuration = "sparse vectors, one optimized segment"
    modifier = None
