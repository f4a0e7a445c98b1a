"""rabitqlib: SymphonyQG, whose nodes carry the codes of their neighbors, and IVF over RaBitQ codes."""

from __future__ import annotations

import os
import tempfile
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import rabitqlib

from benchmarks.ann.peer import GRAPH_BEAM_BUILD, Peer, steps
from benchmarks.ann.synthetic import Rows


class _Rabitqlib(Peer):
    distribution = "rabitqlib"
    has_batch = can_keep = True
    _index: Any
    _beam: int
    _saved_bytes: int | None = None

    def use(self, setting: int) -> None:
        self._beam = setting

    def search(self, query: Rows, k: int) -> Any:
        return self._index.search(query[None], k, self._beam)[0][0]

    def size_bytes(self) -> dict[str, int]:
        """Bytes of the saved index: one block per row, all of it read in a search."""
        if self._saved_bytes is None:
            with tempfile.TemporaryDirectory() as folder:
                self.save(os.path.join(folder, "index"))
        assert self._saved_bytes is not None
        return {"hot": self._saved_bytes, "total": self._saved_bytes}

    def save(self, path: str) -> None:
        self._index.save(path)
        self._saved_bytes = os.path.getsize(path)

    @abstractmethod
    def _loaded(self, path: str) -> Any:
        """The index in a file."""

    def restore(self, path: str, rows: Rows) -> None:
        self._index = self._loaded(path)
        self._saved_bytes = os.path.getsize(path)


class SymphonyQg(_Rabitqlib):
    is_graph = True

    def __init__(self, metric: str, dim: int, threads: int, links: int = 32, bits: int = 0) -> None:
        super().__init__(metric, dim, threads)
        self._links, self._bits = links, bits

    def build(self, rows: Rows) -> None:
        self._index = rabitqlib.SymqgIndex(self.dim, self._links, "l2" if self.metric == "l2" else "ip", self._bits)
        self._index.build(rows, GRAPH_BEAM_BUILD, self.threads)

    def _loaded(self, path: str) -> Any:
        return rabitqlib.SymqgIndex.load(path)

    def search_batch(self, queries: Rows, k: int, threads: int) -> Any:
        return self._index.search_batch(queries, k, self._beam, num_threads=threads)[0]


class RabitqIvf(_Rabitqlib):
    def build(self, rows: Rows) -> None:
        self._lists = max(16, min(1024, len(rows) // 40))
        means = rabitqlib.QGKMeans(self.dim, self._lists)
        means.train(rows)
        self._index = rabitqlib.IvfIndex(self.dim, len(rows), self._lists, 7, "l2" if self.metric == "l2" else "ip")
        self._index.build(rows, means.centroids, means.assignments, self.threads)

    def _loaded(self, path: str) -> Any:
        return rabitqlib.IvfIndex.load(path)

    def restore(self, path: str, rows: Rows) -> None:
        super().restore(path, rows)
        self._lists = self._index.num_clusters

    def settings(self) -> Sequence[int]:
        return steps(2, self._lists, 1.2)

    def search_batch(self, queries: Rows, k: int, threads: int) -> Any:
        return self._index.search(queries, k, self._beam, num_threads=threads)[0]
