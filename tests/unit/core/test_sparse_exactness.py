"""Scores of words and sparse vectors beside a slow reference, wherever records lie: heads, segments, merges, with deletes and filters."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import pytest

import vicino
from tests.property.lexical import PLAIN, Clause, Field, Lexical, expect_best, sparse_scores
from vicino import _core
from vicino.collection.limits import Limits
from vicino.collection.value_specs import SparseSpec, TextSpec
from vicino.env import Env
from vicino.env.recording import RecordingEnv

LIMITS = Limits(head_rows_max=150, merge_fan_in=3)
WORDS = [
    f"{stem}{ending}" for stem in ("ab", "abc", "bca", "caü", "übb", "xyz") for ending in ("", "a", "s", "ed", "ing", "er", "ün", "aa")
]
SHARES = {"all": 100, "half": 50, "tenth": 10, "hundredth": 1}
K = 10


class Corpus:
    """A collection of two texts and a sparse vector a record, and the same in plain Python."""

    def __init__(self, database: vicino.Database, seed: int, **options: Any) -> None:
        self.chance = random.Random(seed)
        self.specs = {"title": TextSpec(analyzer=PLAIN, k1=0.9, b=0.4), "body": TextSpec(analyzer=PLAIN)} | options
        self.collection = database.create_collection("c", vectors={"bag": SparseSpec()}, text=self.specs)
        self.records: dict[int, dict[str, Any]] = {}

    def text(self, longest: int) -> str | None:
        """Some common words, some rare ones; sometimes none, sometimes no text."""
        if self.chance.random() < 0.1:
            return None
        weights = [1 / (1 + rank) for rank in range(len(WORDS))]
        return " ".join(self.chance.choices(WORDS, weights, k=self.chance.randint(0, longest)))

    def record(self, number: int) -> dict[str, Any]:
        bag = {self.chance.randrange(40): self.chance.choice([0.5, 1.0, self.chance.random()]) for _ in range(self.chance.randint(0, 6))}
        record = {"id": number, "title": self.text(6), "body": self.text(40), "bag": bag or None, "n": self.chance.randrange(100)}
        return {name: value for name, value in record.items() if value is not None}

    def upsert(self, n: int, of: int = 1200) -> None:
        records = [self.record(number) for number in self.chance.sample(range(of), n)]
        self.collection.upsert(records)
        self.records.update({record["id"]: record for record in records})

    def delete(self, n: int) -> None:
        gone = self.chance.sample(sorted(self.records), n)
        self.collection.delete(gone)
        for number in gone:
            del self.records[number]

    def update(self, n: int) -> None:
        """Some texts, some numbers only."""
        for number in self.chance.sample(sorted(self.records), n):
            change = {"body": self.text(40) or ""} if self.chance.random() < 0.5 else {"n": self.chance.randrange(100)}
            self.collection.update(number, set=change)
            self.records[number] |= change

    # ---- what there is

    @property
    def snapshot(self) -> _core.Snapshot:
        return self.collection._shard.snapshot()

    def fields(self, boosts: Mapping[str, float]) -> list[Field]:
        return [
            Field(
                {number: record[name].lower().split() for number, record in self.records.items() if isinstance(record.get(name), str)},
                self.specs[name].k1,
                self.specs[name].b,
                boost,
            )
            for name, boost in boosts.items()
        ]

    def slots(self, boosts: Mapping[str, float]) -> list[tuple[int, float, float, float]]:
        texts = self.collection.settings.texts
        return [(texts[name].slot, boost, texts[name].spec.k1, texts[name].spec.b) for name, boost in boosts.items()]

    def allowed(self, share: int, snapshot: _core.Snapshot) -> tuple[set[int], _core.Matches | None]:
        if share == 100:
            return set(self.records), None
        chosen = {number for number, record in self.records.items() if record["n"] < share}
        return chosen, snapshot.matches_of(np.array(snapshot.find(sorted(chosen)), np.int64))

    # ---- comparing

    def expect(self, boosts: Mapping[str, float], clause: Clause, share: int = 100, *, filtered: bool = False, k: int = K) -> None:
        """A text query gives the best of the reference."""
        snapshot = self.snapshot  # one: segments are merged meanwhile
        allowed, matches = self.allowed(share, snapshot)
        reference = Lexical(self.fields(boosts), allowed if filtered else None)
        expected = {number: score for number, score in reference.scores(clause).items() if number in allowed}
        query = _core.TextQuery(self.slots(boosts), clause, filtered)
        locators, scores, _ = snapshot.search_text(query, k, matches, _core.Cancel())
        expect_best(snapshot, locators, scores, expected, k)

    def expect_sparse(self, query: Mapping[int, float], share: int = 100, *, idf: bool = False) -> None:
        snapshot = self.snapshot  # one: segments are merged meanwhile
        allowed, matches = self.allowed(share, snapshot)
        vectors = {number: record["bag"] for number, record in self.records.items() if "bag" in record}
        expected = {number: score for number, score in sparse_scores(query, vectors, with_idf=idf).items() if number in allowed}
        sizes = {index: abs(weight) for index, weight in query.items()}
        scale = sparse_scores(sizes, {number: {i: abs(w) for i, w in one.items()} for number, one in vectors.items()}, with_idf=idf)
        indices, weights = np.array(sorted(query), np.uint32), np.array([query[index] for index in sorted(query)], np.float32)
        slot = self.collection.settings.values["bag"].slot
        locators, scores, _ = snapshot.search_sparse(slot, indices, weights, idf, K, matches, _core.Cancel())
        expect_best(snapshot, locators, scores, expected, K, scale=scale)


def in_one_head(corpus: Corpus) -> None:
    corpus.upsert(120)


def in_segments_and_a_head(corpus: Corpus) -> None:
    for _ in range(5):
        corpus.upsert(130)


def in_segments_with_deletes_and_updates(corpus: Corpus) -> None:
    for _ in range(4):
        corpus.upsert(160)
        corpus.delete(40)
        corpus.update(25)


def merged(corpus: Corpus) -> None:
    in_segments_with_deletes_and_updates(corpus)
    corpus.collection.optimize()


def merged_and_written_again(corpus: Corpus) -> None:
    merged(corpus)
    corpus.upsert(100)
    corpus.delete(60)
    corpus.update(15)


STATES = [in_one_head, in_segments_and_a_head, in_segments_with_deletes_and_updates, merged, merged_and_written_again]


@pytest.fixture(scope="module", params=STATES, ids=lambda state: state.__name__)
def corpus(request: pytest.FixtureRequest) -> Any:
    with vicino.open(limits=LIMITS) as database:
        made = Corpus(database, seed=7)
        request.param(made)
        yield made


def word(name: str, *numbers: int, weight: float = 1.0) -> list[tuple[int, bytes, float]]:
    return [(number, name.encode(), weight) for number in numbers or (0,)]


def some_words(chance: random.Random, n: int, *numbers: int) -> list[list[tuple[int, bytes, float]]]:
    weights = [1 / (1 + rank) for rank in range(len(WORDS))]
    return [word(name, *numbers) for name in chance.choices([*WORDS, "absent"], [*weights, 0.1], k=n)]


BODY, BOTH = {"body": 1.0}, {"title": 2.5, "body": 1.0}

CLAUSES: dict[str, Callable[[random.Random, Mapping[str, float]], Clause]] = {
    "one word": lambda chance, fields: ("words", some_words(chance, 1, *range(len(fields))), 1),
    "several words": lambda chance, fields: ("words", some_words(chance, 5, *range(len(fields))), 1),
    "all words": lambda chance, fields: ("words", some_words(chance, 2, *range(len(fields))), 2),
    "two words of four": lambda chance, fields: ("words", some_words(chance, 4, *range(len(fields))), 2),
    "a word that comes twice": lambda chance, fields: ("words", some_words(chance, 1, *range(len(fields))) * 2, 1),
    "forms of a word": lambda chance, fields: (
        "words",
        [
            [form for n in range(len(fields)) for form in (*word(chance.choice(WORDS[:9]), n), *word("abced", n, weight=0.05))]
            for _ in range(2)
        ],
        1,
    ),
    "a phrase": lambda chance, fields: ("phrase", some_words(chance, 2, *range(len(fields))), [0, 1], 0),
    "a phrase with a gap": lambda chance, fields: ("phrase", some_words(chance, 2, *range(len(fields))), [0, 2], 0),
    "near words": lambda chance, fields: ("phrase", some_words(chance, 3, *range(len(fields))), [0, 1, 2], 5),
    "a phrase of forms": lambda chance, fields: (
        "phrase",
        [[form for n in range(len(fields)) for form in (*word("ab", n), *word("aba", n, weight=0.5))], word("abs", *range(len(fields)))],
        [0, 1],
        1,
    ),
    "a prefix": lambda chance, fields: ("prefix", [word(chance.choice(["a", "abc", "ü", "caü"]), *range(len(fields)))], 50),
    "a prefix of few words": lambda chance, fields: ("prefix", [word("ab", *range(len(fields)))], 3),
    "a misspelt word": lambda chance, fields: ("fuzzy", [word("abcen", *range(len(fields)))], 50, chance.choice([1, 2]), 0),
    "a misspelt word that begins right": lambda chance, fields: ("fuzzy", [word("cbün", *range(len(fields)))], 50, 2, 1),
    "a misspelt word of few meanings": lambda chance, fields: ("fuzzy", [word("übbb", *range(len(fields)))], 2, 2, 0),
    "must and should": lambda chance, fields: (
        "bool",
        [("words", some_words(chance, 1, 0), 1)],
        [("words", some_words(chance, 2, len(fields) - 1), 1)],
        [],
        0,
    ),
    "must not": lambda chance, fields: (
        "bool",
        [("words", some_words(chance, 3, 0), 1)],
        [],
        [("words", [word(WORDS[1])], 1), ("prefix", [word("xyz")], 50)],
        0,
    ),
    "two of three": lambda chance, fields: ("bool", [], [("words", some_words(chance, 1, n % len(fields)), 1) for n in range(3)], [], 2),
    "constant": lambda chance, fields: ("constant", ("words", some_words(chance, 2, 0), 1), 3.5),
    "boost inside": lambda chance, fields: (
        "bool",
        [],
        [("boost", ("words", some_words(chance, 2, 0), 1), 0.25), ("phrase", some_words(chance, 2, 0), [0, 1], 2)],
        [],
        1,
    ),
}


@pytest.mark.parametrize("fields", [BODY, BOTH], ids=["one field", "two fields"])
@pytest.mark.parametrize("clause", CLAUSES)
def test_scores_are_those_of_the_reference(corpus: Corpus, clause: str, fields: Mapping[str, float]) -> None:
    chance = random.Random(f"{clause} {len(fields)}")
    for share in SHARES.values():
        corpus.expect(fields, CLAUSES[clause](chance, fields), share)


@pytest.mark.parametrize("fields", [BODY, BOTH], ids=["one field", "two fields"])
@pytest.mark.parametrize("clause", ["several words", "two words of four", "a phrase", "a prefix", "a misspelt word"])
def test_statistics_may_be_those_of_the_matching_records(corpus: Corpus, clause: str, fields: Mapping[str, float]) -> None:
    chance = random.Random(clause)
    for share in SHARES.values():
        corpus.expect(fields, CLAUSES[clause](chance, fields), share, filtered=True)


@pytest.mark.parametrize("k", [1, 3, 2000])
def test_any_number_of_hits(corpus: Corpus, k: int) -> None:
    chance = random.Random(k)
    for _ in range(5):
        corpus.expect(BODY, ("words", some_words(chance, 4), 1), k=k)


@pytest.mark.parametrize("k1", [0.0, 0.3, 5.0])
@pytest.mark.parametrize("b", [0.0, 0.75, 1.0])
def test_any_constants_of_bm25(k1: float, b: float) -> None:
    """Bounds of blocks are made for other constants than these, and must still hold."""
    with vicino.open(limits=Limits(head_rows_max=600, merge_fan_in=8)) as database:
        corpus = Corpus(database, seed=3, body=TextSpec(analyzer=PLAIN, k1=k1, b=b))
        for _ in range(4):
            corpus.upsert(599, of=2400)
        corpus.collection.optimize()
        chance = random.Random(k1 + b)
        for _ in range(6):
            corpus.expect(BODY, ("words", some_words(chance, 3), 1))


# ---- sparse vectors


@pytest.mark.parametrize("idf", [False, True])
@pytest.mark.parametrize("signs", [False, True], ids=["positive", "of both signs"])
def test_sparse_scores_are_those_of_the_reference(corpus: Corpus, idf: bool, signs: bool) -> None:
    chance = random.Random(f"{idf} {signs}")
    for share in SHARES.values():
        for _ in range(4):
            indices = chance.sample(range(45), chance.randint(1, 8))
            corpus.expect_sparse({i: float(np.float32(chance.random() - signs * 0.5)) for i in indices}, share, idf=idf)


# ---- scores that are small beside what a query could give


def search_words(collection: Any, words: str, k: int) -> tuple[list[int], Any, Any]:
    snapshot = collection._shard.snapshot()
    entry = collection.settings.texts["text"]
    query = _core.TextQuery([(entry.slot, 1.0, entry.spec.k1, entry.spec.b)], ("words", [word(name) for name in words.split()], 1))
    locators, scores, _ = snapshot.search_text(query, k, None, _core.Cancel())
    return snapshot.ids(locators), locators, scores


def test_words_that_nearly_all_records_have_are_scored_exactly_beside_a_rare_one() -> None:
    """The common word's share is a hundred-thousandth of the rare one's: sums in units of the largest would round it away."""
    texts = {number: "the " * (1 + number % 3) + "filler " * (number % 7) for number in range(3000)} | {77: "rare"}
    with vicino.open(limits=Limits(head_rows_max=1000, merge_fan_in=9)) as database:
        collection = database.create_collection("c", vectors={}, text={"text": TextSpec(analyzer=PLAIN)})
        for first in (0, 1000, 2000):
            collection.upsert([{"id": number, "text": texts[number]} for number in range(first, first + 1000)])
        expected = Lexical([Field({number: text.split() for number, text in texts.items()})]).scores(
            ("words", [word("the"), word("rare")], 1)
        )
        _, locators, scores = search_words(collection, "the rare", 3000)
        expect_best(collection._shard.snapshot(), locators, scores, expected, 3000)


def test_sparse_weights_of_very_different_sizes_are_summed_exactly() -> None:
    vectors = {number: {1: 1e-6 * (1 + number % 5), **({2: 1000.0} if number % 50 == 0 else {})} for number in range(400)}
    vectors = {number: {index: float(np.float32(weight)) for index, weight in one.items()} for number, one in vectors.items()}
    with vicino.open() as database:
        collection = database.create_collection("c", vectors={"bag": SparseSpec()})
        collection.upsert([{"id": number, "bag": bag} for number, bag in vectors.items()])
        slot = collection.settings.values["bag"].slot
        snapshot = collection._shard.snapshot()
        query = np.array([1, 2], np.uint32), np.array([1, 1], np.float32)
        locators, scores, _ = snapshot.search_sparse(slot, *query, False, 50, None, _core.Cancel())
        expect_best(snapshot, locators, scores, sparse_scores({1: 1.0, 2: 1.0}, vectors), 50)


# ---- long lists


def test_best_of_long_lists_are_found_past_a_window_of_rows() -> None:
    """More than 64 Ki rows in one segment: terms are added and looked up window by window, blocks are passed over."""
    chance = random.Random(11)
    n = 70_000
    names = [f"w{rank}" for rank in range(400)]
    choices = iter(chance.choices(names, [1 / (1 + rank) for rank in range(400)], k=6 * n))
    texts = {number: [next(choices) for _ in range(2 + number % 5)] for number in range(n)}
    with vicino.open(limits=Limits(head_rows_max=10**6, head_bytes_max=1 << 30)) as database:
        collection = database.create_collection("c", vectors={}, text={"text": TextSpec(analyzer=PLAIN, positions=False)})
        ids = list(texts)
        collection.upsert(ids=ids, fields=[{"text": " ".join(texts[number])} for number in ids])
        collection.delete(list(range(0, n, 97)))
        collection.optimize()
        snapshot = collection._shard.snapshot()
        reference = Lexical([Field({number: words for number, words in texts.items() if number % 97})])
        assert max(entry["rows"] for entry in snapshot.entries) > 1 << 16
        for _ in range(6):
            asked = [*chance.choices(names, k=2), "w0", "w3"]
            _, locators, scores = search_words(collection, " ".join(asked), 10)
            expect_best(snapshot, locators, scores, reference.scores(("words", [word(name) for name in asked], 1)), 10)


@pytest.mark.parametrize(
    "lengths",
    [[*[7] * 130, 253, 254, 300], [0, 1, 253, 254, 255], [0, 200, 256, 65533], [3, 65534, 65535, 70_000]],
    ids=["few above a byte", "at a byte", "two bytes", "above two bytes"],
)
def test_any_length_of_a_text_counts_exactly(lengths: list[int]) -> None:
    """Lengths are kept in one or two bytes, longer ones apart."""
    texts = {number: ["word", *["filler"] * (length - 1)][:length] for number, length in enumerate(lengths * 5)}
    with vicino.open() as database:
        collection = database.create_collection("c", vectors={}, text={"text": TextSpec(analyzer=PLAIN, positions=False)})
        collection.upsert([{"id": number, "text": " ".join(words)} for number, words in texts.items()])
        collection.upsert({"id": -1, "other": "no text"})
        collection.optimize()
        reference = Lexical([Field(texts)])
        for words in ("word", "filler", "filler word"):
            _, locators, scores = search_words(collection, words, 1000)
            clause = ("words", [word(name) for name in words.split()], 1)
            expect_best(collection._shard.snapshot(), locators, scores, reference.scores(clause), 1000)


# ---- merges


def test_a_merge_changes_no_score() -> None:
    """Not even its last bit: shares are added as integers, and statistics are of live records."""
    with vicino.open(limits=LIMITS) as database:
        corpus = Corpus(database, seed=23)
        in_segments_with_deletes_and_updates(corpus)
        chance = random.Random(1)
        clauses = [make(chance, BOTH) for make in CLAUSES.values()] + [make(chance, BODY) for make in CLAUSES.values()]

        def answers() -> list[dict[int, float]]:
            snapshot, found = corpus.snapshot, []
            for number, clause in enumerate(clauses):
                query = _core.TextQuery(corpus.slots(BOTH if number < len(CLAUSES) else BODY), clause)
                locators, scores, _ = snapshot.search_text(query, 5000, None, _core.Cancel())
                found.append(dict(zip(snapshot.ids(locators), scores.tolist(), strict=True)))
            return found

        before = answers()
        corpus.collection.optimize()
        assert len(corpus.snapshot.entries) == 2  # one segment and an empty head
        assert answers() == before


def test_a_merge_writes_the_bytes_that_one_seal_would() -> None:
    """Invariant 9: files depend on the rows and their order, not on the way they came."""
    chance = random.Random(5)
    records = []
    for number in range(400):
        text = " ".join(chance.choices(WORDS, [1 / (1 + rank) for rank in range(len(WORDS))], k=chance.randint(0, 30)))
        records.append({"id": number, "text": text, "bag": {chance.randrange(9): 0.5, 10 + number % 40: chance.random()}})

    def files(parts: int) -> list[bytes]:
        env = RecordingEnv(1)
        with vicino.open("/db", _env=cast(Env, env)) as database:
            vectors, text = {"bag": SparseSpec()}, {"text": TextSpec(analyzer=PLAIN)}
            collection = database.create_collection("c", vectors=vectors, text=text)
            for first in range(0, 400, 400 // parts):
                collection.upsert(records[first : first + 400 // parts])
                collection._shard.freeze()
            collection.optimize()
            assert len(collection._shard.snapshot().entries) == 2  # one segment and an empty head
            folder = next(f"/db/{name}" for name in env.files.list("/db") if name.startswith("c-"))
            return sorted(bytes(env.files.read(f"{folder}/{name}")) for name in env.files.list(folder) if name.endswith(".terms"))

    assert files(1) == files(4)
