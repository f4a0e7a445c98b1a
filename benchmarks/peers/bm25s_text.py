"""bm25s: scores made when indexing, summed by numba."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from typing import Any

import bm25s
import Stemmer


class Bm25sText:
    configuration = 'method lucene, k1 1.2, b 0.75, its own tokenizer with stop words "en" and PyStemmer, backend numba, one thread'

    def __init__(self) -> None:
        self._stemmer = Stemmer.Stemmer("english")

    def version(self) -> str:
        return version("bm25s")

    def _tokenize(self, texts: list[str]) -> Any:
        return bm25s.tokenize(texts, stopwords="en", stemmer=self._stemmer, show_progress=False)

    def load(self, task: dict[str, Any]) -> int:
        with open(task["texts"], encoding="utf-8") as lines:
            self._texts = json.load(lines)
        return len(self._texts)

    def index(self, path: str) -> None:
        engine = bm25s.BM25(method="lucene", k1=1.2, b=0.75, backend="numba")
        engine.index(self._tokenize(self._texts), show_progress=False)
        engine.save(path)

    def index_bytes(self, path: str) -> int:
        return sum(os.path.getsize(os.path.join(path, name)) for name in os.listdir(path))

    def open(self, path: str) -> None:
        self._engine = bm25s.BM25.load(path)
        self._engine.backend = "numba"
        self._engine.activate_numba_scorer()
        self.search("warm the compiler", 10)

    def prepare(self, queries: dict[str, Any]) -> list[Any]:
        return queries["texts"]

    def search(self, query: Any, k: int) -> list[int]:
        found = self._engine.retrieve(self._tokenize([query]), k=k, show_progress=False, n_threads=1, return_as="documents")
        return found[0].tolist()

    def search_all(self, queries: list[Any], k: int) -> Any:
        return self._engine.retrieve(self._tokenize(queries), k=k, show_progress=False, n_threads=1, return_as="documents")

    def close(self) -> None:
        pass
