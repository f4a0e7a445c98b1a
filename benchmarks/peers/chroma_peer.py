"""chromadb: a persistent client, whose graph grows with every write."""

from __future__ import annotations

from typing import Any

import chromadb
from peer import GRAPH_BEAM_BUILD, GRAPH_LINKS, Rows


class ChromaPeer:
    acknowledged = "committed to SQLite; the graph is saved to disk every sync_threshold (1000) writes"

    def version(self) -> str:
        return chromadb.__version__

    def _connect(self, path: str) -> None:
        self._client = chromadb.PersistentClient(path, settings=chromadb.Settings(anonymized_telemetry=False))

    def create(self, path: str, dim: int, threads: int) -> None:
        self._connect(path)
        graph = {"space": "cosine", "ef_construction": GRAPH_BEAM_BUILD, "max_neighbors": GRAPH_LINKS, "num_threads": threads}
        self._collection: Any = self._client.create_collection("rows", embedding_function=None, configuration={"hnsw": graph})

    def write(self, first: int, rows: Rows) -> None:
        self._collection.add(ids=[str(row) for row in range(first, first + len(rows))], embeddings=rows)

    def flush(self) -> None:
        pass

    def index(self) -> None:
        """Every write is in the graph when it returns."""

    def open(self, path: str, threads: int) -> None:
        self._connect(path)
        self._collection = self._client.get_collection("rows", embedding_function=None)

    def search(self, query: Rows, k: int) -> list[int]:
        return [int(found) for found in self._collection.query(query_embeddings=query[None], n_results=k, include=[])["ids"][0]]

    def close(self) -> None:
        pass
