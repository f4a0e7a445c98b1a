"""zvec: an in-process database with its graph built by optimize()."""

from __future__ import annotations

from importlib.metadata import version

import zvec
from peer import GRAPH_BEAM_BUILD, GRAPH_LINKS, Rows


class ZvecPeer:
    acknowledged = "write-ahead log; flush() afterwards"

    def version(self) -> str:
        return version("zvec")

    def create(self, path: str, dim: int, threads: int) -> None:
        self._start(threads)
        graph = zvec.HnswIndexParam(metric_type=zvec.MetricType.COSINE, m=GRAPH_LINKS, ef_construction=GRAPH_BEAM_BUILD)
        vector = zvec.VectorSchema("vector", zvec.DataType.VECTOR_FP32, dim, index_param=graph)
        self._collection = zvec.create_and_open(path, zvec.CollectionSchema(name="rows", fields=[], vectors=[vector]))

    def _start(self, threads: int) -> None:
        self._threads = threads
        zvec.init(query_threads=threads, optimize_threads=threads, log_level=zvec.LogLevel.ERROR)

    def write(self, first: int, rows: Rows) -> None:
        self._collection.insert([zvec.Doc(id=str(first + offset), vectors={"vector": row}) for offset, row in enumerate(rows.tolist())])

    def flush(self) -> None:
        self._collection.flush()

    def index(self) -> None:
        self._collection.optimize(zvec.OptimizeOption(concurrency=self._threads))
        self._collection.flush()

    def open(self, path: str, threads: int) -> None:
        self._start(threads)
        self._collection = zvec.open(path)

    def search(self, query: Rows, k: int) -> list[int]:
        return [int(found.id) for found in self._collection.query(zvec.Query("vector", vector=query), topk=k, output_fields=[])]

    def close(self) -> None:
        self._collection.close()
