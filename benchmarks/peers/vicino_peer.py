"""vicino, driven as a user would: columns in, optimize, default search."""

from __future__ import annotations

import time
from typing import Any

from peer import Rows

import vicino
import vicino.database  # the other peers load all of their code when they are imported


class VicinoPeer:
    acknowledged = 'sync="commit": the log is fdatasynced before a write returns'

    def version(self) -> str:
        return vicino.__version__

    def create(self, path: str, dim: int, threads: int) -> None:
        self._database = vicino.open(path, threads=threads)
        self._collection: Any = self._database.create_collection("rows", dim=dim)

    def write(self, first: int, rows: Rows) -> None:
        self._collection.upsert(ids=range(first, first + len(rows)), vectors=rows)

    def flush(self) -> None:
        pass

    def index(self) -> None:
        self._collection.optimize()

    def settle(self) -> None:
        """Returns when the background work that writes began has indexed all rows but those of the head, which is not full."""
        rows_min = self._collection._shard.limits.graph_rows_min
        while any(segment.rows >= rows_min and not segment.indexes for segment in self._collection.stats().segments[:-1]):
            time.sleep(0.01)

    def open(self, path: str, threads: int) -> None:
        self._database = vicino.open(path, threads=threads)
        self._collection = self._database["rows"]

    def search(self, query: Rows, k: int) -> list[int]:
        return self._collection.search(query, limit=k).ids

    def close(self) -> None:
        self._database.close()
