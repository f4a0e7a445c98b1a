"""chromadb: a persistent client; the graph grows with every write. Its beam is fixed when the collection is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import chromadb
from chromadb.api.client import SharedSystemClient

from benchmarks.ann.filters import Condition, Fields
from benchmarks.ann.peer import GRAPH_BEAM_BUILD, GRAPH_LINKS, Database, batches
from benchmarks.ann.synthetic import Rows


class Chroma(Database):
    distribution = "chromadb"

    def _connect(self) -> None:
        self._client = chromadb.PersistentClient(self._path, settings=chromadb.Settings(anonymized_telemetry=False))

    def create(self, path: str) -> None:
        self._path = path
        self._connect()
        graph = {"space": "l2" if self.metric == "l2" else "ip", "ef_construction": GRAPH_BEAM_BUILD, "max_neighbors": GRAPH_LINKS}
        configuration: Any = {"hnsw": graph | {"num_threads": self.threads, "ef_search": 100}}
        self._rows = self._client.create_collection("rows", embedding_function=None, configuration=configuration)

    def ingest(self, rows: Rows, fields: Fields) -> None:
        for part in batches(len(rows), 2000):
            values: Any = [{"uniform": int(fields.uniform[row]), "cluster": int(fields.cluster[row])} for row in part]
            self._rows.add(ids=[str(row) for row in part], embeddings=rows[part.start : part.stop], metadatas=values)

    def index(self) -> None:
        """Every write is in the graph when it returns."""

    def reopen(self) -> None:
        del self._rows, self._client
        SharedSystemClient.clear_system_cache()
        self._connect()
        self._rows = self._client.get_collection("rows", embedding_function=None)

    def settings(self) -> Sequence[int]:
        return [16, 32, 64, 128, 256, 512]

    def use(self, setting: int) -> None:
        self._rows.modify(configuration={"hnsw": {"ef_search": setting}})
        self.reopen()  # a loaded graph keeps the beam it was loaded with

    def search(self, query: Rows, k: int, condition: Any = None) -> Any:
        found = self._rows.query(query_embeddings=query[None], n_results=k, where=condition, include=["metadatas"])
        return [int(row) for row in found["ids"][0]]

    def search_filtered(self, query: Rows, k: int, condition: Condition) -> Any:
        return self.search(query, k, {condition.field: {"$lt" if condition.field == "uniform" else "$eq": condition.value}})
