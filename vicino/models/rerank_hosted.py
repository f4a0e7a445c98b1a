"""Rerankers that a service on the network runs: Cohere, Voyage AI, Jina AI, and servers of one's own that speak like one of them.

Query and texts leave the machine; nothing else does. The key comes from an argument or the environment, goes into one header of requests to
one address (redirections are refused), and into no message. A text without a word is not sent, as some services refuse all of a request
for it; its score is 0, below what any of them gives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vicino.config import read_secret
from vicino.env import Env, RealEnv
from vicino.errors import InvalidArgument, ServiceError, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """How a service is asked. results: where in its answer the scores are; options: what every request says beside the question."""

    title: str
    url: str
    key_variable: str
    results: str
    max_texts: int
    max_length: int
    options: Mapping[str, Any] = field(default_factory=dict)


PROVIDERS: Mapping[str, Provider] = {
    "cohere": Provider(
        title="Cohere", url="https://api.cohere.com/v2/rerank", key_variable="COHERE_API_KEY", results="results",
        max_texts=1000, max_length=4096,
    ),
    "voyage": Provider(
        title="Voyage AI", url="https://api.voyageai.com/v1/rerank", key_variable="VOYAGE_API_KEY", results="data",
        max_texts=1000, max_length=8000, options={"truncation": True},
    ),
    "jina": Provider(
        title="Jina AI", url="https://api.jina.ai/v1/rerank", key_variable="JINA_API_KEY", results="results",
        max_texts=1000, max_length=1024, options={"return_documents": False},
    ),
}  # fmt: skip


class HostedReranker:
    """A model of a service; see `PROVIDERS`.

    key: of the account; default from the environment (COHERE_API_KEY, VOYAGE_API_KEY, JINA_API_KEY). url: of a server that speaks like
    the provider, such as one's own; it needs a key only if it asks for one. max_length: what the model reads, as its provider states it.
    timeout_s: of one request without a budget, waiting and retrying included.
    Raises InvalidArgument for an unknown provider and for a missing key.
    """

    def __init__(
        self,
        provider: str,
        model: str,
        *,
        key: str | None = None,
        url: str | None = None,
        max_length: int | None = None,
        timeout_s: float = 30.0,
        env: Env | None = None,
    ) -> None:
        if provider not in PROVIDERS:
            raise InvalidArgument(f"no provider of rerankers is called {provider!r}.{did_you_mean(str(provider), PROVIDERS)}")
        if not isinstance(model, str) or not model:
            raise InvalidArgument(f"the model of a reranker is named by a text such as rerank-v3.5, got {model!r}")
        if not timeout_s > 0:
            raise InvalidArgument(f"timeout_s must be greater than 0, got {timeout_s!r}")
        self._provider = PROVIDERS[provider]
        key = key or read_secret(self._provider.key_variable)
        if key is None and url is None:
            raise InvalidArgument(
                f"{self._provider.title} asks for a key and none is there; set {self._provider.key_variable}, or give key=. For a server "
                "of your own give url="
            )
        from vicino.models.rerank_http import Endpoint, check_url  # loads the standard library's HTTP, which most programs never need

        self.name, self._model = f"{provider}/{model}", model
        self.max_length = max_length or self._provider.max_length
        self._endpoint = Endpoint(check_url(url or self._provider.url, key), key, self._provider.title)
        self._timeout_s, self._env = timeout_s, env or RealEnv()

    def __repr__(self) -> str:
        return f"<reranker {self.name} at {self._endpoint.url}>"

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Raises ServiceError when the service refuses, fails or cannot be reached, TimeoutError after `timeout_s` for each request."""
        return self._scores(query, texts, None)

    def scores_within(self, query: str, texts: Sequence[str], timeout_s: float) -> list[float]:
        """As `scores`, all within `timeout_s` seconds."""
        return self._scores(query, texts, self._env.monotonic() + timeout_s)

    def _scores(self, query: str, texts: Sequence[str], deadline: float | None) -> list[float]:
        if isinstance(texts, str):
            raise InvalidArgument("scores takes a list of texts, got a single str; use scores(query, [text])")
        from vicino.models.rerank_http import post_json

        found = [0.0] * len(texts)
        sent = [row for row, text in enumerate(texts) if text.strip()]
        for start in range(0, len(sent), self._provider.max_texts):
            rows = sent[start : start + self._provider.max_texts]
            until = self._env.monotonic() + self._timeout_s
            request = {"model": self._model, "query": query, "documents": [texts[row] for row in rows], **self._provider.options}
            answer = post_json(self._endpoint, request, deadline=until if deadline is None else min(until, deadline), env=self._env)
            for row, score in zip(rows, self._read(answer, len(rows)), strict=True):
                found[row] = score
        return found

    def _read(self, answer: Any, n: int) -> list[float]:
        """The score of each text, in the order in which they were sent. Raises ServiceError for an answer that is none."""
        entries = answer.get(self._provider.results) if isinstance(answer, dict) else None
        found: dict[int, float] = {}
        for entry in entries if isinstance(entries, list) else []:
            match entry:
                case {"index": int() as index, "relevance_score": int() | float() as score} if 0 <= index < n and math.isfinite(score):
                    found[index] = float(score)
        if not isinstance(entries, list) or len(entries) != n or len(found) != n:
            raise ServiceError(
                f"{self._endpoint.title} at {self._endpoint.url} gave scores for {len(found)} of {n} texts; expected "
                f'"{self._provider.results}" with "index" and "relevance_score" for each of them'
            )
        return [found[index] for index in range(n)]
