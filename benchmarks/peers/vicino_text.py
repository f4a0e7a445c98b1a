"""vicino, used as anybody would: records in, optimize, search by words or by a sparse vector."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from typing import Any

import numpy as np

import vicino
import vicino.database  # the other engines load all of their code when they are imported
from vicino import SparseSpec, SparseVector, TextSpec

BATCH = 10_000
SPARSE_BATCH = 2000


class VicinoText:
    configuration = (
        'text={"body": TextSpec(language="en")} with positions, sync="off", upsert of 10,000 records each, optimize; documents are stored'
    )

    def version(self) -> str:
        return vicino.__version__

    def load(self, task: dict[str, Any]) -> int:
        with open(task["texts"], encoding="utf-8") as lines:
            texts = json.load(lines)
        share = np.random.default_rng(1).integers(0, 100, len(texts)).tolist()
        self._records = [{"id": i, "body": text, "n": n} for i, (text, n) in enumerate(zip(texts, share, strict=True))]
        return len(texts)

    def index(self, path: str) -> None:
        with vicino.open(path, sync="off", threads=1) as database:
            collection = database.create_collection("texts", text={"body": TextSpec(language="en")})
            for first in range(0, len(self._records), BATCH):
                collection.upsert(self._records[first : first + BATCH])
            collection.optimize()
            collection.create_index("n").wait()

    def index_bytes(self, path: str) -> int:
        return sum(
            os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names if name.endswith(".terms")
        )

    def open(self, path: str) -> None:
        self._database = vicino.open(path, threads=1)
        self._collection: Any = self._database[self._database.names()[0]]

    def prepare(self, queries: dict[str, Any]) -> list[Any]:
        return queries["texts"]

    def search(self, query: Any, k: int, where: Any = None) -> list[int]:
        return self._collection.search(query, limit=k, where=where).ids

    def search_all(self, queries: list[Any], k: int) -> Any:
        return None

    def close(self) -> None:
        self._database.close()


class VicinoSparse(VicinoText):
    configuration = 'vectors={"bag": SparseSpec()}, sync="off", upsert of 2,000 records each, optimize'

    def load(self, task: dict[str, Any]) -> int:
        with np.load(task["bags"]) as bags:
            starts, terms, weights = bags["starts"].tolist(), bags["terms"], bags["weights"]
        self._bags = [SparseVector(terms[begin:end], weights[begin:end]) for begin, end in pairwise(starts)]
        return len(self._bags)

    def index(self, path: str) -> None:
        with vicino.open(path, sync="off", threads=1) as database:
            collection = database.create_collection("bags", vectors={"bag": SparseSpec()})
            for first in range(0, len(self._bags), SPARSE_BATCH):
                part = self._bags[first : first + SPARSE_BATCH]
                collection.upsert(ids=range(first, first + len(part)), vectors={"bag": part})
            collection.optimize()

    def prepare(self, queries: dict[str, Any]) -> list[Any]:
        return [SparseVector(np.array(terms, np.uint32), np.array(weights, np.float32)) for terms, weights in queries["bags"]]

    def search(self, query: Any, k: int, where: Any = None) -> list[int]:
        return self._collection.search(query, vector="bag", limit=k, where=where).ids
