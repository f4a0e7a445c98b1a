"""An embedder whose model lies on this machine: tokens, batches, runner, pooling, unit length.

Texts are sorted by length before they are cut into batches, so that little is padded, and a batch holds few tokens: its intermediate
results then stay in the processor's caches (512 tokens were as fast as any larger number, see docs/design/0002-embedding-runner.md),
memory stays small, and Ctrl-C is answered between two of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from vicino.errors import InvalidArgument
from vicino.models.embedder import Matrix
from vicino.models.runner import Floats, Runner, TokenIds
from vicino.models.tokenizer import TextTokenizer

Pooling = Literal["mean", "cls", "max", "last"]

_TOKENS_PER_BATCH = 512
_TEXTS_PER_WINDOW = 2048  # tokenized together: enough to sort, and a bound on memory for a million texts


class LocalEmbedder:
    def __init__(
        self,
        *,
        name: str,
        tokenizer: TextTokenizer,
        runner: Runner,
        pooling: Pooling,
        normalize: bool,
        prompts: Mapping[str, str],
        identity: Mapping[str, Any],
    ) -> None:
        self.name = name
        self.dim = runner.dim
        self._tokenizer = tokenizer
        self._runner = runner
        self._pool = _POOLS[pooling]
        self._normalize = normalize
        self._prompts = dict(prompts)
        self._identity = dict(identity)

    def __repr__(self) -> str:
        facts = self._runner.facts()
        return f"<{self.name}: {self.dim} dimensions, {self._identity['max_tokens']} tokens, {facts['runner']} {facts['version']}>"

    def identity(self) -> dict[str, Any]:
        return {key: dict(value) if isinstance(value, dict) else value for key, value in self._identity.items()}

    def embed_documents(self, texts: Sequence[str]) -> Matrix:
        """The vectors of `texts`, in their order. An empty text has a vector too; a long one is cut at `max_tokens`."""
        if isinstance(texts, str):
            raise InvalidArgument("embed_documents takes a list of texts, got a single str; use embed_documents([text])")
        return self._embed(texts, self._prompts["document"])

    def embed_query(self, text: str) -> Matrix:
        return self._embed([text], self._prompts["query"])[0]

    def _embed(self, texts: Sequence[str], prompt: str) -> Matrix:
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        for start in range(0, len(texts), _TEXTS_PER_WINDOW):
            tokens = self._tokenizer.encode(texts[start : start + _TEXTS_PER_WINDOW], prompt=prompt, first=start)
            for rows in batches([len(ids) for ids in tokens]):
                vectors[[start + row for row in rows]] = self._embed_batch([tokens[row] for row in rows])
        return vectors

    def _embed_batch(self, tokens: list[TokenIds]) -> Floats:
        ids = np.zeros((len(tokens), max(1, max(map(len, tokens)))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, own in enumerate(tokens):
            ids[row, : len(own)] = own
            mask[row, : len(own)] = 1
        states = self._runner.run(ids, mask)
        vectors = states if states.ndim == 2 else self._pool(states, mask)
        return _to_unit_length(vectors) if self._normalize else vectors


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows of each batch, texts of like length together. Longest first: the peak of memory comes at once, not at the end."""
    rows: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if rows and (len(rows) + 1) * lengths[rows[0]] > _TOKENS_PER_BATCH:
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def _mean(states: Floats, mask: TokenIds) -> Floats:
    weights = mask.astype(np.float32)
    return np.einsum("nld,nl->nd", states, weights) / np.maximum(weights.sum(axis=1, keepdims=True), 1)


def _first(states: Floats, mask: TokenIds) -> Floats:
    return states[:, 0]


def _max(states: Floats, mask: TokenIds) -> Floats:
    return np.where(mask[:, :, None] == 1, states, np.float32(-np.inf)).max(axis=1)


def _last(states: Floats, mask: TokenIds) -> Floats:
    return states[np.arange(len(states)), np.maximum(mask.sum(axis=1) - 1, 0)]


_POOLS: dict[Pooling, Callable[[Floats, TokenIds], Floats]] = {"mean": _mean, "cls": _first, "max": _max, "last": _last}


def _to_unit_length(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
