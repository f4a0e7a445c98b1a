"""zvec: an embedded database; graph built by optimize(), ordinary query path with ids and fields."""

from __future__ import annotations

from typing import Any

import zvec

from benchmarks.ann.filters import Condition, Fields
from benchmarks.ann.peer import GRAPH_BEAM_BUILD, GRAPH_LINKS, Database, batches
from benchmarks.ann.synthetic import Rows


class Zvec(Database):
    distribution = "zvec"
    is_graph = True

    def __init__(self, metric: str, dim: int, threads: int, kind: str = "hnsw", codes: str | None = None) -> None:
        super().__init__(metric, dim, threads)
        self._kind, self._codes = kind, codes
        zvec.init(query_threads=1, optimize_threads=threads, log_level=zvec.LogLevel.ERROR)

    def create(self, path: str) -> None:
        self._path = path
        # Uniform codes know L2 alone, which ranks unit rows as the inner product does.
        metric = zvec.MetricType.L2 if self.metric == "l2" or self._codes else zvec.MetricType.IP
        chosen: dict[str, Any] = {"metric_type": metric, "use_contiguous_memory": True}
        if self._codes:
            chosen["quantize_type"] = getattr(zvec.QuantizeType, self._codes)
        if self._kind == "hnsw":
            index = zvec.HnswIndexParam(m=GRAPH_LINKS, ef_construction=GRAPH_BEAM_BUILD, **chosen)
        else:
            index = zvec.VamanaIndexParam(max_degree=32, search_list_size=GRAPH_BEAM_BUILD, alpha=1.2, **chosen)
        ranges = zvec.InvertIndexParam(enable_range_optimization=True)
        fields = [zvec.FieldSchema(name, zvec.DataType.INT32, nullable=False, index_param=ranges) for name in ("uniform", "cluster")]
        vector = zvec.VectorSchema("vector", zvec.DataType.VECTOR_FP32, self.dim, index_param=index)
        self._rows = zvec.create_and_open(path, zvec.CollectionSchema(name="rows", fields=fields, vectors=[vector]))

    def ingest(self, rows: Rows, fields: Fields) -> None:
        for part in batches(len(rows), 1000):
            values = [{"uniform": int(fields.uniform[row]), "cluster": int(fields.cluster[row])} for row in part]
            vectors = [{"vector": rows[row].tolist()} for row in part]
            pairs = zip(part, vectors, values, strict=True)
            self._rows.insert([zvec.Doc(id=str(row), vectors=vector, fields=own) for row, vector, own in pairs])
        self._rows.flush()

    def index(self) -> None:
        self._rows.optimize(zvec.OptimizeOption(concurrency=self.threads))
        self._rows.flush()

    def reopen(self) -> None:
        self._rows.close()
        self._rows = zvec.open(self._path)

    def use(self, setting: int) -> None:
        self._chosen = (zvec.HnswQueryParam if self._kind == "hnsw" else zvec.VamanaQueryParam)(setting)

    def search(self, query: Rows, k: int, condition: str | None = None) -> Any:
        asked = zvec.Query("vector", vector=query, param=self._chosen)
        return [int(hit.id) for hit in self._rows.query(asked, topk=k, filter=condition, output_fields=["uniform", "cluster"])]

    def search_filtered(self, query: Rows, k: int, condition: Condition) -> Any:
        return self.search(query, k, f"{condition.field} {'<' if condition.field == 'uniform' else '='} {condition.value}")
