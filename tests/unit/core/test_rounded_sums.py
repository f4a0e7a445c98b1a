"""Words searched by sums that are rounded to 16 bits: what comes out is what a slow reference scores, also where the
rounding has least room: long texts, high frequencies, many equal scores, many words."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vicino
from tests.property.lexical import PLAIN, Field, Lexical, expect_best
from vicino import TextSpec, _core
from vicino.collection.limits import Limits

LIMITS = Limits(head_rows_max=10**6, head_bytes_max=1 << 30)
Texts = dict[int, list[str]]


def collection_of(database: vicino.Database, texts: Texts) -> Any:
    collection = database.create_collection("c", vectors={}, text={"text": TextSpec(analyzer=PLAIN, positions=False)})
    collection.upsert(ids=list(texts), fields=[{"text": " ".join(words)} for words in texts.values()])
    collection.optimize()
    return collection


def expect(collection: Any, texts: Texts, words: list[str], *, k: int = 10, allowed: list[int] | None = None) -> None:
    snapshot = collection._shard.snapshot()
    entry = collection.settings.texts["text"]
    matches = None if allowed is None else snapshot.matches_of(np.array(snapshot.find(allowed), np.int64))
    clause = ("words", [[(0, word.encode(), 1.0)] for word in words], 1)
    query = _core.TextQuery([(entry.slot, 1.0, entry.spec.k1, entry.spec.b)], clause)
    expected = Lexical([Field(texts)]).scores(clause)
    if allowed is not None:
        expected = {number: expected[number] for number in allowed if number in expected}
    locators, scores, _ = snapshot.search_text(query, k, matches, _core.Cancel())
    expect_best(snapshot, locators, scores, expected, k)


@pytest.fixture(scope="module")
def stored() -> Any:
    """Texts of one word and of hundreds, in which words occur once and many times; more rows than a window has."""
    chance = random.Random(1)
    names = [f"w{rank}" for rank in range(30)]
    rarity = [1 / (1 + rank) for rank in range(30)]
    texts = {
        number: chance.choices(names, rarity, k=chance.choice([1, 3, 9, 9, 9, 20, 40] if number % 200 else [252, 253, 254, 255, 600]))
        for number in range(18_000)
    }
    with vicino.open(limits=LIMITS) as database:
        yield collection_of(database, texts), texts


@pytest.mark.parametrize("k", [1, 10, 200])
@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_best_are_those_of_the_reference(stored: Any, n: int, k: int) -> None:
    chance = random.Random(f"{n} {k}")
    for _ in range(3):
        expect(*stored, chance.sample([f"w{rank}" for rank in range(30)], n), k=k)


@pytest.mark.parametrize("share", [0.2, 0.005])
def test_best_of_the_matches_are_those_of_the_reference(stored: Any, share: float) -> None:
    collection, texts = stored
    chance = random.Random(share)
    allowed = [number for number in texts if chance.random() < share]
    for n in (1, 2, 6):
        expect(collection, texts, chance.sample([f"w{rank}" for rank in range(30)], n), allowed=allowed)


def test_more_words_than_are_rounded_are_scored_exactly() -> None:
    chance = random.Random(3)
    names = [f"w{rank}" for rank in range(1500)]
    texts = {number: chance.choices(names, k=12) for number in range(600)}
    with vicino.open(limits=LIMITS) as database:
        expect(collection_of(database, texts), texts, names)


def test_many_equal_scores_are_ordered_by_row() -> None:
    texts = {number: ["common", "other"] for number in range(5000)}
    with vicino.open(limits=LIMITS) as database:
        collection = collection_of(database, texts)
        expect(collection, texts, ["common", "other"])
        expect(collection, texts, ["common"], k=100)


@settings(max_examples=40, deadline=None)
@given(
    patterns=st.lists(
        st.dictionaries(st.sampled_from("abcde"), st.integers(1, 7), min_size=1).map(
            lambda counts: [w for w, n in counts.items() for _ in range(n)]
        ),
        min_size=1,
        max_size=12,
    ),
    fillers=st.lists(st.integers(0, 300), min_size=1, max_size=5),
    words=st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6),
    k=st.integers(1, 700),
)
def test_any_texts_give_the_best_of_the_reference(patterns: list[list[str]], fillers: list[int], words: list[str], k: int) -> None:
    """Lists are long enough for blocks and tables when a few patterns repeat."""
    texts = {number: patterns[number % len(patterns)] + ["z"] * fillers[number % len(fillers)] for number in range(600)}
    with vicino.open(limits=LIMITS) as database:
        expect(collection_of(database, texts), texts, words, k=k)
