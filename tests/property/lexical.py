"""What words and sparse vectors should find, in plain Python, and whether an answer of the core is that.

The reference knows records by id and texts as lists of words (split by spaces; the analyzer under test must do no more), takes a query as
the clause that the core takes, and computes every score in double precision from the definitions in
docs/design/0005-text-and-queries.md. It shares no code with the engine.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import vicino
from vicino import _core
from vicino.collection.value_specs import MultiSpec, SparseSpec
from vicino.errors import NotReadyError
from vicino.text.analyzer import Analyzer

PLAIN = Analyzer(language=None, accents="no", possessives=False)
"""Words as they stand, in lower case."""

Scores = dict[Any, float]
Clause = tuple[Any, ...]


@dataclass
class Field:
    """One text index: the words of every record that has a text, and the constants of BM25."""

    texts: Mapping[Any, Sequence[str]]
    k1: float = 1.2
    b: float = 0.75
    boost: float = 1.0
    places: dict[str, dict[Any, list[int]]] = field(default_factory=lambda: defaultdict(dict))

    def __post_init__(self) -> None:
        for record_id, words in self.texts.items():
            for position, word in enumerate(words):
                self.places[word].setdefault(record_id, []).append(position)


class Lexical:
    """Scores by clause. counted: the records that statistics are of, all of them by default."""

    def __init__(self, fields: Sequence[Field], counted: Iterable[Any] | None = None) -> None:
        self.fields = fields
        self._counted = None if counted is None else set(counted)
        self._totals = [self._total(one) for one in fields]

    def _total(self, one: Field) -> tuple[int, float]:
        lengths = [len(words) for record_id, words in one.texts.items() if self._is_counted(record_id)]
        return len(lengths), sum(lengths) / len(lengths) if sum(lengths) else 1.0

    def _is_counted(self, record_id: Any) -> bool:
        return self._counted is None or record_id in self._counted

    def _df(self, number: int, word: str) -> int:
        found = self.fields[number].places.get(word, ())
        return len(found) if self._counted is None else sum(record_id in self._counted for record_id in found)

    def _share(self, number: int, record_id: Any, tf: float) -> float:
        """A frequency, normalized by the length of the text and weighted by the field."""
        one = self.fields[number]
        return one.boost * tf / (1 - one.b + one.b * len(one.texts[record_id]) / self._totals[number][1])

    def scores(self, clause: Clause) -> Scores:
        """Every record that meets the clause, with its score."""
        match clause:
            case ("words", words, minimum):
                return self._words([self._forms(word) for word in words], minimum)
            case ("phrase", words, gaps, slop):
                return self._phrase(words, gaps, slop)
            case ("prefix", words, cap):
                return self._expanded(words, lambda number, word: self.with_prefix(number, word, cap))
            case ("fuzzy", words, cap, edits, prefix_length):
                return self._expanded(words, lambda number, word: self.similar(number, word, cap, edits, prefix_length))
            case ("bool", must, should, must_not, minimum):
                return self._bool(must, should, must_not, minimum)
            case ("constant", inner, value):
                return {record_id: float(value) for record_id in self.scores(inner)}
            case ("boost", inner, factor):
                return {record_id: factor * score for record_id, score in self.scores(inner).items()}
        raise AssertionError(clause)

    # ---- words

    @staticmethod
    def _forms(word: Sequence[tuple[int, bytes, float]]) -> list[list[tuple[int, str, float]]]:
        """The groups of one word: a form in several fields is one of them."""
        groups: dict[tuple[bytes, float], list[tuple[int, str, float]]] = defaultdict(list)
        for number, term, weight in word:
            groups[term, weight].append((number, term.decode(), weight))
        return list(groups.values())

    def _group(self, members: Sequence[tuple[int, str, float]], weight: float) -> Scores:
        """BM25F of terms that count as one: (field, term, weight inside the group)."""
        x: Scores = defaultdict(float)
        n = df = 0
        for number, term, own in members:
            n, df = max(n, self._totals[number][0]), max(df, self._df(number, term))
            for record_id, positions in self.fields[number].places.get(term, {}).items():
                x[record_id] += own * self._share(number, record_id, len(positions))
        k1 = self.fields[members[0][0]].k1 if members else 1.0
        return {record_id: weight * idf(n, df) * share / (k1 + share) for record_id, share in x.items()}

    def _words(self, words: Sequence[Sequence[Sequence[tuple[int, str, float]]]], minimum: int) -> Scores:
        total: Scores = defaultdict(float)
        met: dict[Any, int] = defaultdict(int)
        for groups in words:
            having = set()
            for members in groups:
                for record_id, score in self._group([(n, t, 1.0) for n, t, _ in members], members[0][2]).items():
                    total[record_id] += score
                    having.add(record_id)
            for record_id in having:
                met[record_id] += 1
        return {record_id: total[record_id] for record_id, count in met.items() if count >= minimum}

    # ---- words that stand for several

    def with_prefix(self, number: int, prefix: str, cap: int) -> list[tuple[str, float]]:
        return self._best(number, {word: 1.0 for word in self.fields[number].places if word.startswith(prefix)}, cap)

    def similar(self, number: int, word: str, cap: int, edits: int, prefix_length: int) -> list[tuple[str, float]]:
        found = {}
        for other in self.fields[number].places:
            distance = edit_distance(word, other)
            weight = 1 - distance / max(1, min(len(word), len(other)))
            if other.startswith(word[:prefix_length]) and distance <= edits and weight > 0:
                found[other] = weight
        return self._best(number, found, cap)

    def _best(self, number: int, found: Mapping[str, float], cap: int) -> list[tuple[str, float]]:
        """The nearest first, then the most frequent, then by spelling."""
        known = {word: self._df(number, word) for word in found}
        order = sorted((word for word in found if known[word]), key=lambda word: (-found[word], -known[word], word.encode()))
        return [(word, found[word]) for word in order[:cap]]

    def _expanded(self, words: Sequence[Sequence[tuple[int, bytes, float]]], expand: Any) -> Scores:
        members = [
            (number, word, weight * own) for forms in words for number, term, weight in forms for word, own in expand(number, term.decode())
        ]
        return self._group(members, 1.0) if members else {}

    # ---- phrases

    def _phrase(self, words: Sequence[Sequence[tuple[int, bytes, float]]], gaps: Sequence[int], slop: int) -> Scores:
        weight = sum(max(own * idf(self._totals[n][0], self._df(n, term.decode())) for n, term, own in forms) for forms in words)
        x: Scores = defaultdict(float)
        for number, one in enumerate(self.fields):
            for record_id in one.texts:
                places = [
                    sorted({at for n, term, _ in forms if n == number for at in one.places.get(term.decode(), {}).get(record_id, ())})
                    for forms in words
                ]
                if frequency := _phrase_frequency(places, gaps, slop):
                    x[record_id] += self._share(number, record_id, frequency)
        k1 = next((one.k1 for number, one in enumerate(self.fields) if all(any(n == number for n, _, _ in forms) for forms in words)), 1.0)
        return {record_id: weight * share / (k1 + share) for record_id, share in x.items()}

    # ---- clauses of clauses

    def _bool(self, must: Sequence[Clause], should: Sequence[Clause], must_not: Sequence[Clause], minimum: int) -> Scores:
        sides = [[self.scores(inner) for inner in side] for side in (must, should, must_not)]
        minimum = max(minimum, 0 if must else 1)
        found: Scores = {}
        for record_id in {record_id for one in (*sides[0], *sides[1]) for record_id in one}:
            n_should = sum(record_id in one for one in sides[1])
            if all(record_id in one for one in sides[0]) and n_should >= minimum and not any(record_id in one for one in sides[2]):
                found[record_id] = math.fsum(one.get(record_id, 0.0) for one in (*sides[0], *sides[1]))
        return found


def _phrase_frequency(places: Sequence[Sequence[int]], gaps: Sequence[int], slop: int) -> float:
    """For every place of the first word 1 / (1 + d), d being how far the others' nearest places are from where they should be."""
    if not all(places):
        return 0.0
    distances = [
        sum(min(abs(at - start - gap) for at in own) for own, gap in zip(places[1:], gaps[1:], strict=True)) for start in places[0]
    ]
    return sum(1 / (1 + distance) for distance in distances if distance <= slop)


def idf(n: int, df: int) -> float:
    return math.log(1 + (n - min(n, df) + 0.5) / (df + 0.5))


def edit_distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            before, row[j] = row[j], min(before + (x != y), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def sparse_scores(query: Mapping[int, float], vectors: Mapping[Any, Mapping[int, float]], *, with_idf: bool = False) -> Scores:
    """The dot product with every vector that shares an index with the query."""
    weights = dict(query)
    if with_idf:
        weights = {index: weight * idf(len(vectors), sum(index in one for one in vectors.values())) for index, weight in query.items()}
    shared = {record_id: [index for index in query if index in one and weights[index]] for record_id, one in vectors.items()}
    return {
        record_id: math.fsum(weights[index] * vectors[record_id][index] for index in indices)
        for record_id, indices in shared.items()
        if indices
    }


# ---- comparing


def expect_best(snapshot: _core.Snapshot, locators: Any, scores: Any, expected: Scores, k: int, *, scale: Scores | None = None) -> None:
    """An answer holds the k best of `expected`, each with its score within 1e-5, equal ones by locator.

    scale: what 1e-5 is of, for scores that cancel out; the score itself by default.
    """
    ids = snapshot.ids(locators)
    assert len(set(ids)) == len(ids) == min(k, len(expected)), (len(ids), k, len(expected))
    exact = np.array([expected.get(record_id, math.nan) for record_id in ids])
    slack = 1e-5 * np.array([abs((scale or expected)[record_id]) for record_id in ids]) if len(ids) else np.zeros(0)
    assert (abs(exact - scores) <= slack).all(), [
        (i, s, e) for i, s, e, t in zip(ids, scores.tolist(), exact.tolist(), slack.tolist(), strict=True) if not abs(s - e) <= t
    ][:5]
    # What was left out is no better than what was found.
    best = np.sort(np.array(list(expected.values())))[::-1][: len(ids)]
    assert (abs(np.sort(exact)[::-1] - best) <= slack + 1e-12).all()
    for (here, place, score), (there, next_place, lower) in pairwise(zip(ids, locators.tolist(), scores.tolist(), strict=True)):
        assert score > lower or (score == lower and place < next_place), (here, there, score, lower)
        if expected[here] == expected[there]:
            assert score == lower, (here, there, score, lower)


def expect_values_agree(collection: vicino.Collection[Any]) -> None:
    """Searches by words and by sparse and multi-vectors score every record by what `iter` says it holds.

    Texts must be words that spaces part, of text indexes with the analyzer PLAIN. An index that is still being built is passed over, if it
    says so.
    """
    settings = collection.settings
    views = list(collection.iter(vectors=True)) if settings.values or settings.texts else []
    for name, entry in settings.texts.items():
        texts = {view.id: _words_of(entry.spec.text_of(view.fields)) for view in views if entry.spec.text_of(view.fields) is not None}
        words = sorted({word for own in texts.values() for word in own})
        try:
            found = _found(collection, vicino.Text(" ".join(words), fields=name), len(views))
        except NotReadyError:
            assert collection._shard.snapshot().n_uncovered(entry.slot)
            continue
        clause = ("words", [[(0, word.encode(), 1.0)] for word in words], 1)
        expected = Lexical([Field(texts, entry.spec.k1, entry.spec.b)]).scores(clause)
        assert found == pytest.approx(expected, rel=1e-5), f"text index {name}"
    for name, entry in settings.values.items():
        held = {view.id: view.vectors[name] for view in views if name in view.vectors}
        if held:
            query, expected = _values_expected(entry.spec, held)
            found = _found(collection, vicino.Sparse(query, name) if isinstance(entry.spec, SparseSpec) else query(name), len(views))
            assert found == pytest.approx(expected, rel=1e-5, abs=1e-5), f"vector {name}"


def _words_of(text: str | list[str] | None) -> list[str]:
    return (text if isinstance(text, str) else " ".join(text or ())).lower().split()


def _found(collection: vicino.Collection[Any], part: Any, n: int) -> dict[Any, float]:
    hits = collection.search(part, limit=n + 5, exact=True)
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True), scores
    assert len(set(hits.ids)) == len(hits), hits.ids
    return dict(zip(hits.ids, scores, strict=True))


def _values_expected(spec: SparseSpec | MultiSpec, held: Mapping[Any, Any]) -> tuple[Any, Scores]:
    """A query that meets every record, and the scores it must get."""
    if isinstance(spec, SparseSpec):
        vectors = {record_id: vector.to_dict() for record_id, vector in held.items()}
        query = {index: 1.0 + number / 7 for number, index in enumerate(sorted({index for one in vectors.values() for index in one}))}
        return query, sparse_scores(query, vectors, with_idf=spec.idf)
    tokens = np.stack([np.arange(1, spec.dim + 1), np.arange(spec.dim, 0, -1)]).astype(np.float64)
    scores = {}
    for record_id, matrix in held.items():
        rows, asked = np.asarray(matrix, np.float64), tokens
        if spec.metric == "cosine":
            rows, asked = (one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-30) for one in (rows, asked))
        scores[record_id] = float((asked @ rows.T).max(axis=1).sum())
    return lambda name: vicino.MultiVector(tokens, name), scores
