"""An embedder that remembers: vectors of a judged set are made once by the product's own model and kept under build/.

Embedding ten thousand abstracts takes minutes on two cores, and a change of analyzers or of fusion changes none of the vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report

FOLDER = report.ROOT / "build" / "bench-vectors"
_BATCH = 256


class StoredVectors:
    """Embedder of the documents and queries it was made with."""

    def __init__(self, model: Any, name: str, documents: Sequence[str], queries: Sequence[str], folder: Path = FOLDER) -> None:
        self._model, self._folder = model, folder
        self.name, self.dim = model.name, model.dim
        self._documents = self._stored(f"{name}-documents", documents, model.embed_documents)
        self._queries = self._stored(f"{name}-queries", queries, lambda texts: np.stack([model.embed_query(text) for text in texts]))

    def identity(self) -> dict[str, Any]:
        return self._model.identity()

    def embed_documents(self, texts: Sequence[str]) -> Any:
        return np.stack([self._documents[text] for text in texts])

    def embed_query(self, text: str) -> Any:
        return self._queries[text]

    def _stored(self, name: str, texts: Sequence[str], embed: Any) -> dict[str, Any]:
        """Text -> vector, from the file whose name says model and texts, or made now."""
        path = self._folder / f"{name.replace('/', '-')}-{report.checksum(sorted(self.identity().items()), list(texts))}.npy"
        if path.exists():
            rows = np.load(path)
        else:
            self._folder.mkdir(parents=True, exist_ok=True)
            batches = [embed(list(texts[first : first + _BATCH])) for first in range(0, len(texts), _BATCH)]
            rows = np.concatenate(batches)
            unfinished = path.with_suffix(".part.npy")
            np.save(unfinished, rows)
            unfinished.rename(path)
        return dict(zip(texts, rows, strict=True))
