"""qdrant-edge-py: Qdrant's engine in the process; one segment, both fields indexed before the graph is built, as its documentation asks."""

from __future__ import annotations

import os
from typing import Any

import qdrant_edge as edge

from benchmarks.ann.filters import Condition, Fields
from benchmarks.ann.peer import GRAPH_BEAM_BUILD, GRAPH_LINKS, Database, batches
from benchmarks.ann.synthetic import Rows


class Qdrant(Database):
    distribution = "qdrant-edge-py"
    is_graph = True

    def create(self, path: str) -> None:
        self._path = path
        os.makedirs(path)
        graph = edge.HnswIndexConfig(
            m=GRAPH_LINKS, ef_construct=GRAPH_BEAM_BUILD, full_scan_threshold=1000, max_indexing_threads=self.threads
        )  # fmt: skip
        vectors = edge.EdgeVectorParams(self.dim, edge.Distance.Euclid if self.metric == "l2" else edge.Distance.Dot)
        optimizers = edge.EdgeOptimizersConfig(default_segment_number=1, max_segment_size=50_000_000, indexing_threshold=1000)
        config = edge.EdgeConfig(vectors=vectors, hnsw_config=graph, max_search_threads=1, optimizers=optimizers)
        self._shard = edge.EdgeShard.create(path, config)
        for name in ("uniform", "cluster"):
            self._shard.update(edge.UpdateOperation.create_field_index(name, edge.PayloadSchemaType.Integer))

    def ingest(self, rows: Rows, fields: Fields) -> None:
        for part in batches(len(rows), 1000):
            values = [{"uniform": int(fields.uniform[row]), "cluster": int(fields.cluster[row])} for row in part]
            points = [edge.Point(row, rows[row].tolist(), own) for row, own in zip(part, values, strict=True)]
            self._shard.update(edge.UpdateOperation.upsert_points(points))
        self._shard.flush()

    def index(self) -> None:
        self._shard.optimize()
        self._shard.flush()

    def reopen(self) -> None:
        self._shard.close()
        self._shard = edge.EdgeShard.load(self._path)

    def use(self, setting: int) -> None:
        self._chosen = edge.SearchParams(hnsw_ef=setting)

    def search(self, query: Rows, k: int, condition: Any = None) -> Any:
        nearest = edge.Query.Nearest(query.tolist())
        asked = edge.SearchRequest(query=nearest, limit=k, filter=condition, params=self._chosen, with_payload=True)
        return [hit.id for hit in self._shard.search(asked)]

    def search_filtered(self, query: Rows, k: int, condition: Condition) -> Any:
        below, equal = {"range": edge.RangeFloat(lt=condition.value)}, {"match": edge.MatchValue(condition.value)}
        wanted = below if condition.field == "uniform" else equal
        return self.search(query, k, edge.Filter(must=[edge.FieldCondition(condition.field, **wanted)]))
