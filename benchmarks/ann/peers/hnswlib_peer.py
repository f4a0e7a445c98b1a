"""hnswlib: the graph that others are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hnswlib

from benchmarks.ann.filters import Condition, Fields
from benchmarks.ann.peer import GRAPH_BEAM_BUILD, GRAPH_LINKS, Peer
from benchmarks.ann.synthetic import Rows


class Hnswlib(Peer):
    distribution = "hnswlib"
    is_graph = has_batch = has_filter = can_keep = True

    def __init__(self, metric: str, dim: int, threads: int, links: int = GRAPH_LINKS, beam_build: int = GRAPH_BEAM_BUILD) -> None:
        super().__init__(metric, dim, threads)
        self._links, self._beam_build = links, beam_build

    def build(self, rows: Rows) -> None:
        self._index = self._empty()
        self._index.init_index(len(rows), M=self._links, ef_construction=self._beam_build)
        self._index.set_num_threads(self.threads)
        self._index.add_items(rows, num_threads=self.threads)
        self._n = len(rows)

    def _empty(self) -> Any:
        return hnswlib.Index("l2" if self.metric == "l2" else "ip", self.dim)

    def save(self, path: str) -> None:
        self._index.save_index(path)

    def restore(self, path: str, rows: Rows) -> None:
        self._index = self._empty()
        self._index.load_index(path, max_elements=len(rows))
        self._index.set_num_threads(self.threads)
        self._n = len(rows)

    def use(self, setting: int) -> None:
        self._index.set_ef(setting)

    def search(self, query: Rows, k: int) -> Any:
        return self._index.knn_query(query, k, num_threads=1)[0][0]

    def search_batch(self, queries: Rows, k: int, threads: int) -> Any:
        return self._index.knn_query(queries, k, num_threads=threads)[0]

    def prepare(self, fields: Fields, conditions: Sequence[Condition]) -> None:
        self._filters = {condition: fields.mask(condition).tolist().__getitem__ for condition in conditions}

    def search_filtered(self, query: Rows, k: int, condition: Condition) -> Any:
        try:
            return self._index.knn_query(query, k, num_threads=1, filter=self._filters[condition])[0][0]
        except RuntimeError:  # hnswlib's way to say that it found fewer than k
            return []

    def size_bytes(self) -> dict[str, int]:
        """Per row: vector, links of the base layer with their count, label; higher layers are left out."""
        row = 4 * self.dim + 8 * self._links + 4 + 8
        return {"hot": self._n * row, "total": self._n * row}
