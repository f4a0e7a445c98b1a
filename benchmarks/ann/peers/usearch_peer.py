"""usearch: HNSW over float32 or 8-bit vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from usearch.index import Index

from benchmarks.ann.peer import GRAPH_BEAM_BUILD, GRAPH_LINKS, Peer
from benchmarks.ann.synthetic import Rows


class Usearch(Peer):
    distribution = "usearch"
    is_graph = has_batch = True

    def __init__(self, metric: str, dim: int, threads: int, dtype: str = "f32") -> None:
        super().__init__(metric, dim, threads)
        self._dtype = dtype

    def build(self, rows: Rows) -> None:
        metric = "l2sq" if self.metric == "l2" else "ip" if self._dtype == "f32" else "cos"
        self._index = Index(
            ndim=self.dim, metric=metric, dtype=self._dtype, connectivity=GRAPH_LINKS, expansion_add=GRAPH_BEAM_BUILD
        )  # fmt: skip
        self._index.add(np.arange(len(rows)), rows, threads=self.threads)

    def use(self, setting: int) -> None:
        self._index.expansion_search = setting

    def search(self, query: Rows, k: int) -> Any:
        return self._index.search(query, k, threads=1).keys

    def search_batch(self, queries: Rows, k: int, threads: int) -> Any:
        return self._index.search(queries, k, threads=threads).keys

    def size_bytes(self) -> dict[str, int]:
        size = int(self._index.memory_usage)
        return {"hot": size, "total": size}
