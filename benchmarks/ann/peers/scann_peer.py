"""ScaNN: a tree of leaves, 4-bit product codes scored by shuffles, and exact reordering, as its documentation builds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import scann

from benchmarks.ann.peer import Peer, steps
from benchmarks.ann.synthetic import Rows


class Scann(Peer):
    distribution = "scann"
    has_batch = True

    def build(self, rows: Rows) -> None:
        self._leaves = max(10, int(len(rows) ** 0.5 * 1.5))
        measure, threshold = ("squared_l2", float("nan")) if self.metric == "l2" else ("dot_product", 0.2)
        builder = scann.scann_ops_pybind.builder(rows, 10, measure)
        builder = builder.tree(self._leaves, 20, training_sample_size=min(len(rows), 100_000))
        builder = builder.score_ah(2, anisotropic_quantization_threshold=threshold).reorder(100)
        builder.set_n_training_threads(self.threads)
        self._index = builder.build()

    def settings(self) -> Sequence[Any]:
        return [(leaves, candidates) for leaves in steps(4, self._leaves, 1.3) for candidates in (40, 100, 300)]

    def use(self, setting: Any) -> None:
        self._chosen = setting

    def search(self, query: Rows, k: int) -> Any:
        leaves, candidates = self._chosen
        return self._index.search(query, k, leaves_to_search=leaves, pre_reorder_num_neighbors=candidates)[0]

    def search_batch(self, queries: Rows, k: int, threads: int) -> Any:
        leaves, candidates = self._chosen
        self._index.set_num_threads(threads)
        batch = self._index.search_batched_parallel if threads > 1 else self._index.search_batched
        return batch(queries, k, leaves_to_search=leaves, pre_reorder_num_neighbors=candidates)[0]
