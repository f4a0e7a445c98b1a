"""FAISS: HNSW, inverted lists of whole vectors, and inverted lists of 4-bit product codes scanned by shuffles and then refined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import faiss
import numpy as np

from benchmarks.ann.filters import Condition, Fields
from benchmarks.ann.peer import GRAPH_BEAM_BUILD, GRAPH_LINKS, Peer, steps
from benchmarks.ann.synthetic import Rows


def _lists_of(rows: Rows) -> int:
    return max(16, min(1024, len(rows) // 40))


class _Faiss(Peer):
    distribution = "faiss-cpu"
    has_batch = has_filter = can_keep = True

    def build(self, rows: Rows) -> None:
        faiss.omp_set_num_threads(self.threads)
        self._lists = _lists_of(rows)
        self._index = faiss.index_factory(self.dim, self._spec(), faiss.METRIC_L2 if self.metric == "l2" else faiss.METRIC_INNER_PRODUCT)
        if isinstance(self._index, faiss.IndexHNSWFlat):
            self._index.hnsw.efConstruction = GRAPH_BEAM_BUILD
        self._index.train(rows[np.random.default_rng(0).permutation(len(rows))[: self._lists * 60]])
        self._index.add(rows)

    def save(self, path: str) -> None:
        faiss.write_index(self._index, path)

    def restore(self, path: str, rows: Rows) -> None:
        faiss.omp_set_num_threads(self.threads)
        self._lists = _lists_of(rows)
        self._index = faiss.read_index(path)

    def _spec(self) -> str:
        raise NotImplementedError

    def _parameters(self, setting: Any, **chosen: Any) -> Any:
        raise NotImplementedError

    def use(self, setting: Any) -> None:
        self._chosen = self._parameters(setting)
        self._filtered = {condition: self._parameters(setting, sel=selector) for condition, (selector, _) in self._selectors.items()}

    _selectors: dict[Condition, tuple[Any, Any]] = {}  # noqa: RUF012  (replaced whole by prepare)

    def prepare(self, fields: Fields, conditions: Sequence[Condition]) -> None:
        packed = {condition: np.packbits(fields.mask(condition), bitorder="little") for condition in conditions}
        self._selectors = {condition: (faiss.IDSelectorBitmap(bits), bits) for condition, bits in packed.items()}

    def search(self, query: Rows, k: int) -> Any:
        return self._index.search(query[None], k, params=self._chosen)[1][0]

    def search_filtered(self, query: Rows, k: int, condition: Condition) -> Any:
        return self._index.search(query[None], k, params=self._filtered[condition])[1][0]

    def search_batch(self, queries: Rows, k: int, threads: int) -> Any:
        faiss.omp_set_num_threads(threads)
        found = self._index.search(queries, k, params=self._chosen)[1]
        faiss.omp_set_num_threads(1)  # it holds for the whole process, single queries too
        return found

    def size_bytes(self) -> dict[str, int]:
        size = int(faiss.serialize_index(self._index).size)
        return {"hot": size, "total": size}


class FaissHnsw(_Faiss):
    is_graph = True

    def _spec(self) -> str:
        return f"HNSW{GRAPH_LINKS},Flat"

    def _parameters(self, setting: Any, **chosen: Any) -> Any:
        return faiss.SearchParametersHNSW(efSearch=setting, **chosen)


class FaissIvfFlat(_Faiss):
    def _spec(self) -> str:
        return f"IVF{self._lists},Flat"

    def settings(self) -> Sequence[Any]:
        return steps(1, self._lists, 1.2)

    def _parameters(self, setting: Any, **chosen: Any) -> Any:
        return faiss.SearchParametersIVF(nprobe=setting, **chosen)


class FaissIvfHnsw(FaissIvfFlat):
    """A graph over the centroids."""

    def _spec(self) -> str:
        return f"IVF{self._lists}_HNSW{GRAPH_LINKS},Flat"

    def _parameters(self, setting: Any, **chosen: Any) -> Any:
        walk = faiss.SearchParametersHNSW(efSearch=2 * setting + 32)
        return faiss.SearchParametersIVF(nprobe=setting, quantizer_params=walk, **chosen)


class FaissIvfPq(_Faiss):
    has_filter = False

    def __init__(self, metric: str, dim: int, threads: int, refine: str = "Flat") -> None:
        super().__init__(metric, dim, threads)
        self._refine = refine

    def _spec(self) -> str:
        return f"IVF{self._lists},PQ{self.dim // (2 if self.dim <= 400 else 4)}x4fs,Refine({self._refine})"

    def settings(self) -> Sequence[Any]:
        return [(lists, factor) for lists in steps(2, self._lists, 1.3) for factor in (4, 10, 20)]

    def _parameters(self, setting: Any, **chosen: Any) -> Any:
        lists, factor = setting
        return faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=faiss.SearchParametersIVF(nprobe=lists), **chosen)

    def size_bytes(self) -> dict[str, int]:
        return super().size_bytes() | {"hot": int(faiss.serialize_index(self._index.base_index).size)}
