"""Documents as bags of numbered terms, and what an exact search over them must find, by numpy alone: it shares no code with the engine.

A bag's weights are whatever a term counts for in a document: BM25's share without the idf for texts, a model's weight for sparse vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vicino import Analyzer

K1, B = 1.2, 0.75
VOCABULARY = 30_522
"""Terms of a SPLADE vector: the word pieces of BERT."""
SPARSE_TERMS, SPARSE_QUERY_TERMS = 120, 30

Numbers = npt.NDArray[np.uint32]
Weights = npt.NDArray[np.float32]
Query = tuple[Numbers, Weights]


class Bags(NamedTuple):
    """Bag i is terms[starts[i]:starts[i + 1]], ascending, and their weights."""

    starts: npt.NDArray[np.int64]
    terms: Numbers
    weights: Weights

    def __len__(self) -> int:
        return len(self.starts) - 1


class Lists(NamedTuple):
    """The same by term: list t is rows[starts[t]:starts[t + 1]] and their weights."""

    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int32]
    weights: Weights
    n_rows: int

    @classmethod
    def of(cls, bags: Bags, n_terms: int) -> Lists:
        order = np.argsort(bags.terms, kind="stable")
        starts = np.zeros(n_terms + 1, np.int64)
        np.cumsum(np.bincount(bags.terms, minlength=n_terms), out=starts[1:])
        rows = np.repeat(np.arange(len(bags), dtype=np.int32), np.diff(bags.starts))
        return cls(starts, rows[order], bags.weights[order], len(bags))

    def scores(self, query: Query, *, idf: bool) -> npt.NDArray[np.float64]:
        """Of every row; 0 for one that has no term of the query."""
        scores = np.zeros(self.n_rows)
        for term, weight in zip(*query, strict=True):
            part = slice(self.starts[term], self.starts[term + 1])
            df = int(part.stop - part.start)
            factor = float(weight) * (np.log(1 + (self.n_rows - df + 0.5) / (df + 0.5)) if idf else 1.0)
            scores[self.rows[part]] += factor * self.weights[part].astype(np.float64)
        return scores


def bags_of_texts(texts: Sequence[str], analyzer: Analyzer, *, batch: int = 10_000) -> tuple[Bags, dict[bytes, int]]:
    """Texts as the analyzer takes them apart, weighed as BM25 does, and the terms' numbers. docs/design/0005 has the form of its values."""
    numbers: dict[bytes, int] = {}
    starts, lengths, terms, counts = [0], [], [], []
    for first in range(0, len(texts), batch):
        data, ends, _, _ = analyzer.analyze_many(texts[first : first + batch], positions=False)
        for begin in ends[:-1].tolist():
            at, found = begin + 1, []
            length, at = _varint(data, at)
            n_terms, at = _varint(data, at)
            for _ in range(n_terms):
                size, at = _varint(data, at)
                number = numbers.setdefault(data[at : at + size], len(numbers))
                count, at = _varint(data, at + size)
                found.append((number, count))
            found.sort()
            terms += [number for number, _ in found]
            counts += [count for _, count in found]
            lengths.append(length)
            starts.append(len(terms))
    sizes = np.diff(np.array(starts, np.int64))
    length_of = np.repeat(np.array(lengths, np.float64), sizes)
    frequency = np.array(counts, np.float64)
    weights = frequency / (frequency + K1 * (1 - B + B * length_of / np.mean(lengths)))
    return Bags(np.array(starts, np.int64), np.array(terms, np.uint32), weights.astype(np.float32)), numbers


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def bag_of_query(text: str, analyzer: Analyzer, numbers: dict[bytes, int], languages: Sequence[str] = ()) -> Query:
    """A text query over such bags; words that come twice count twice."""
    weights: dict[int, float] = {}
    for forms in analyzer.query_terms(text, languages):
        for term, weight in forms:
            if term in numbers:
                weights[numbers[term]] = weights.get(numbers[term], 0.0) + weight
    terms = sorted(weights)
    return np.array(terms, np.uint32), np.array([weights[term] for term in terms], np.float32)


def sparse_bags(n: int, terms_each: int, *, seed: int) -> Bags:
    """Vectors that look to an index like SPLADE's: a term's rank decides how often it comes, and a few terms of a vector weigh most."""
    random = np.random.default_rng(seed)
    frequency = 1.0 / (np.arange(VOCABULARY) + 50.0)
    cumulative = np.cumsum(frequency / frequency.sum())
    terms = np.zeros((n, terms_each), np.uint32)
    for first in range(0, n, 20_000):
        part = terms[first : first + 20_000]
        # Twice as many as needed: hardly a fifteenth of them come again.
        drawn = np.sort(np.searchsorted(cumulative[:-1], random.random((len(part), 2 * terms_each))), axis=1)
        key = random.random(drawn.shape)
        key[:, 1:][drawn[:, 1:] == drawn[:, :-1]] = 2.0
        chosen = np.argsort(key, axis=1)[:, :terms_each]
        if (np.take_along_axis(key, chosen, 1) > 1).any():
            raise ValueError(f"{VOCABULARY} terms are too few for vectors of {terms_each}")
        part[:] = np.sort(np.take_along_axis(drawn, chosen, 1), axis=1)
    place = random.permuted(np.tile(np.arange(terms_each, dtype=np.float32), (n, 1)), axis=1)
    weights = (3.0 / np.sqrt(1.0 + place) * random.uniform(0.7, 1.3, place.shape)).astype(np.float32)
    return Bags(np.arange(n + 1, dtype=np.int64) * terms_each, terms.reshape(-1), weights.reshape(-1))


def best(scores: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.int64]:
    """The k rows of the largest scores above 0, best first, equal ones by row."""
    k = min(k, int((scores > 0).sum()))
    if k == 0:
        return np.zeros(0, np.int64)
    threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
    rows = np.flatnonzero(scores >= threshold)
    return rows[np.lexsort((rows, -scores[rows]))][:k]


def is_exact(found: Sequence[int], scores: npt.NDArray[np.float64], k: int, *, tolerance: float = 1e-5) -> bool:
    """Whether these are the k best: the scores of what was found are the largest there are. Rows of equal scores are each as good."""
    expected = scores[best(scores, k)]
    if len(found) != len(expected) or len(set(found)) != len(found):
        return False
    return bool(np.allclose(scores[np.asarray(found, np.int64)], expected, rtol=tolerance, atol=0))
