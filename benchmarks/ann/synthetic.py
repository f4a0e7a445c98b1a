"""Rows as hard for a graph as real embeddings, drawn from a seed, for sizes and dimensions of which there are no real ones.

A row is the sum of a topic, a detail within the topic and noise. All three have coordinate deviations that fall off as a power of the
coordinate's number, each in a rotation: one for topics and details, four for the noise, so that every neighborhood has main directions
of its own. Sizes of details follow Zipf's law; the width of the noise differs from row to row, which makes outliers and dense spots.
Queries are further draws of the same law. A prefix of the rows is a smaller draw, so growth is measured on prefixes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float32]
BATCH = 20_000
N_TOPICS = 100
N_ROTATIONS = 4


@dataclass(frozen=True, slots=True)
class Law:
    """What the rows are drawn from. weights: of topic, detail, noise. width_spread: log-normal deviation of the noise's width."""

    dim: int
    metric: str
    falloff: float
    weights: tuple[float, float, float]
    n_details: int = 4000
    width_spread: float = 0.3
    seed: int = 1


class Generator:
    """Draws from one law; every batch has a seed of its own, so that any batch can be made without those before it."""

    def __init__(self, law: Law) -> None:
        self.law = law
        random = np.random.default_rng([law.seed, 0])
        scale = np.arange(1, law.dim + 1, dtype=np.float64) ** -law.falloff
        self._scale = (scale / np.sqrt((scale**2).sum())).astype(np.float32)
        shared = self._rotation(random)
        topics = self._draw(random, N_TOPICS) @ shared
        details = self._draw(random, law.n_details) @ shared
        topic_of = random.integers(0, N_TOPICS, law.n_details)
        self._centers = law.weights[0] * topics[topic_of] + law.weights[1] * details
        shares = np.arange(1, law.n_details + 1) ** -0.6
        self._shares = shares / shares.sum()
        self._rotations = [self._rotation(random) for _ in range(N_ROTATIONS)]
        self._rotation_of = random.integers(0, N_ROTATIONS, law.n_details)

    def rows(self, n: int) -> Iterator[Rows]:
        """n rows to store, a batch at a time."""
        return self._batches(n, stream=1)

    def queries(self, n: int) -> Iterator[Rows]:
        """n queries, of the same law and none of them a row."""
        return self._batches(n, stream=2)

    def _batches(self, n: int, stream: int) -> Iterator[Rows]:
        for number, first in enumerate(range(0, n, BATCH)):
            # Whole batches are drawn and then cut: the first rows are the same whatever n is.
            yield self._batch(np.random.default_rng([self.law.seed, stream, number]))[: n - first]

    def _batch(self, random: np.random.Generator) -> Rows:
        law = self.law
        detail = random.choice(law.n_details, BATCH, p=self._shares)
        rows = self._centers[detail].astype(np.float32)
        width = np.exp(law.width_spread * random.standard_normal((BATCH, 1), dtype=np.float32))
        noise = self._draw(random, BATCH) * (width * law.weights[2])
        for rotation, matrix in enumerate(self._rotations):
            chosen = self._rotation_of[detail] == rotation
            rows[chosen] += noise[chosen] @ matrix
        return rows / np.linalg.norm(rows, axis=1, keepdims=True) if law.metric == "cosine" else rows

    def _draw(self, random: np.random.Generator, n: int) -> Rows:
        return random.standard_normal((n, self.law.dim), dtype=np.float32) * self._scale

    def _rotation(self, random: np.random.Generator) -> Rows:
        return np.linalg.qr(random.standard_normal((self.law.dim, self.law.dim)))[0].astype(np.float32)
