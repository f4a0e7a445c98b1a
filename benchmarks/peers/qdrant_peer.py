"""qdrant-edge-py: Qdrant's engine in the process."""

from __future__ import annotations

import os
from importlib.metadata import version

import qdrant_edge as edge
from peer import GRAPH_BEAM_BUILD, GRAPH_LINKS, Rows


class QdrantPeer:
    acknowledged = "write-ahead log (wal_enabled is on by default); flush() afterwards"

    def version(self) -> str:
        return version("qdrant-edge-py")

    def create(self, path: str, dim: int, threads: int) -> None:
        os.makedirs(path)
        graph = edge.HnswIndexConfig(m=GRAPH_LINKS, ef_construct=GRAPH_BEAM_BUILD, full_scan_threshold=1000, max_indexing_threads=threads)
        optimizers = edge.EdgeOptimizersConfig(default_segment_number=1, max_segment_size=50_000_000, indexing_threshold=1000)
        vectors = edge.EdgeVectorParams(dim, edge.Distance.Cosine)
        self._shard = edge.EdgeShard.create(path, edge.EdgeConfig(vectors=vectors, hnsw_config=graph, optimizers=optimizers))

    def write(self, first: int, rows: Rows) -> None:
        points = [edge.Point(first + offset, row, {}) for offset, row in enumerate(rows.tolist())]
        self._shard.update(edge.UpdateOperation.upsert_points(points))

    def flush(self) -> None:
        self._shard.flush()

    def index(self) -> None:
        self._shard.optimize()
        self._shard.flush()

    def open(self, path: str, threads: int) -> None:
        self._shard = edge.EdgeShard.load(path)

    def search(self, query: Rows, k: int) -> list[int]:
        return [hit.id for hit in self._shard.search(edge.SearchRequest(query=edge.Query.Nearest(query.tolist()), limit=k))]

    def close(self) -> None:
        self._shard.close()
