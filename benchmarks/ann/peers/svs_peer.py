"""Intel SVS: a Vamana graph built over float32 and searched over it or over locally-adaptive codes (LVQ, on Intel's processors alone)."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import svs

from benchmarks.ann.peer import Peer
from benchmarks.ann.synthetic import Rows

LINKS = 32
BEAM_BUILD = 100


class Svs(Peer):
    distribution = "scalable-vs"
    is_graph = has_batch = True

    def __init__(self, metric: str, dim: int, threads: int, primary: int | None = None, residual: int = 0) -> None:
        super().__init__(metric, dim, threads)
        self._bits = (primary, residual)

    def build(self, rows: Rows) -> None:
        distance = svs.DistanceType.L2 if self.metric == "l2" else svs.DistanceType.MIP
        wanted = svs.VamanaBuildParameters(alpha=1.2 if self.metric == "l2" else 0.95, graph_max_degree=LINKS, window_size=BEAM_BUILD)
        graph = svs.Vamana.build(wanted, rows, distance, num_threads=self.threads)
        self._index = graph if self._bits[0] is None else self._coded(graph, distance)
        self._n = len(rows)

    def _coded(self, graph: Any, distance: Any) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            config, links, vectors = (os.path.join(folder, part) for part in ("config", "graph", "data"))
            graph.save(config, links, vectors)
            primary, residual = self._bits
            # The turbo layout exists for 4 bits with anything and for 8 bits alone.
            turbo = {"strategy": svs.LVQStrategy.Turbo} if primary == 4 or residual == 0 else {}
            plain = svs.VectorDataLoader(vectors, svs.DataType.float32, dims=self.dim)
            codes = svs.LVQLoader(plain, primary=primary, residual=residual, padding=32, **turbo)
            return svs.Vamana(config, svs.GraphLoader(links), codes, distance, num_threads=self.threads)

    def use(self, setting: int) -> None:
        parameters = self._index.search_parameters
        # Without a residual nothing is rescored, so the buffer need hold no more than the window.
        parameters.buffer_config = svs.SearchBufferConfig(setting, setting if self._bits[1] == 0 else setting * 3 // 2)
        self._index.search_parameters = parameters
        self._index.num_threads = 1

    def search(self, query: Rows, k: int) -> Any:
        return self._index.search(query[None], k)[0][0]

    def search_batch(self, queries: Rows, k: int, threads: int) -> Any:
        self._index.num_threads = threads
        found = self._index.search(queries, k)[0]
        self._index.num_threads = 1
        return found

    def size_bytes(self) -> dict[str, int]:
        """Vectors, or codes with two constants per row; links with their count."""
        primary, residual = self._bits
        hot = (4 * self.dim if primary is None else self.dim * primary // 8 + 8) + 4 * LINKS + 4
        return {"hot": self._n * hot, "total": self._n * (hot + self.dim * residual // 8)}
