"""Lists of words that are kept unpacked in memory: the best are those that the packed lists give, whatever the texts. What is kept counts
as memory, is bounded, and is not there where memory is limited."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import vicino
from tests.property.lexical import PLAIN
from vicino import TextSpec, _core
from vicino.collection.limits import Limits

LIMITS = Limits(head_rows_max=10**6, head_bytes_max=1 << 30)
N = 20_000
"""Three windows of rows."""


def collection_of(database: vicino.Database, texts: list[str]) -> Any:
    collection = database.create_collection("c", vectors={}, text={"text": TextSpec(analyzer=PLAIN, positions=False)})
    collection.upsert(ids=range(len(texts)), fields=[{"text": text} for text in texts])
    collection.optimize()
    return collection


def best(collection: Any, words: list[str], *, k: int = 10, allowed: list[int] | None = None) -> tuple[list[int], list[float]]:
    snapshot = collection._shard.snapshot()
    entry = collection.settings.texts["text"]
    matches = None if allowed is None else snapshot.matches_of(np.array(snapshot.find(allowed), np.int64))
    query = _core.TextQuery([(entry.slot, 1.0, 1.2, 0.75)], ("words", [[(0, word.encode(), 1.0)] for word in words], 1))
    locators, scores, _ = snapshot.search_text(query, k, matches, _core.Cancel())
    return locators.tolist(), scores.tolist()


def kept_bytes(collection: Any) -> int:
    return collection._shard.snapshot().entries[0]["memory_bytes"]


def texts_of(seed: int) -> list[str]:
    """Words from common to rare; texts of all lengths, some longer than a byte says, some that repeat a word very often."""
    chance = random.Random(seed)
    names = [f"w{rank}" for rank in range(60)]
    rarity = [1 / (1 + rank) ** 1.3 for rank in range(60)]
    texts = []
    for number in range(N):
        words = chance.choices(names, rarity, k=chance.choice([1, 4, 10, 10, 30] if number % 100 else [200, 260, 700]))
        texts.append(" ".join(words + ["w40"] * (chance.randrange(5, 30) if number % 50 == 0 else 0)))
    return texts


@pytest.fixture(scope="module")
def stored() -> Any:
    """The same texts with lists kept unpacked and without."""
    texts = texts_of(1)
    with vicino.open(limits=LIMITS) as free, vicino.open(limits=LIMITS, memory_limit="1GB") as limited:
        yield collection_of(free, texts), collection_of(limited, texts)


@pytest.mark.parametrize("k", [1, 10, 300])
@pytest.mark.parametrize("n", [1, 2, 4, 12, 60])
def test_best_are_those_of_the_packed_lists(stored: Any, n: int, k: int) -> None:
    chance = random.Random(f"{n} {k}")
    for _ in range(4):
        words = chance.sample([f"w{rank}" for rank in range(60)], n)
        assert best(stored[0], words, k=k) == best(stored[1], words, k=k)


@pytest.mark.parametrize("share", [0.3, 0.004])
def test_best_of_the_matches_are_those_of_the_packed_lists(stored: Any, share: float) -> None:
    chance = random.Random(share)
    allowed = [number for number in range(N) if chance.random() < share]
    for words in (["w0"], ["w1", "w50"], ["w2", "w3", "w30", "w59"]):
        assert best(stored[0], words, allowed=allowed) == best(stored[1], words, allowed=allowed)


def test_a_rare_word_beside_common_ones_is_found(stored: Any) -> None:
    for rare in ("w55", "w57", "w59"):
        assert best(stored[0], ["w0", "w1", rare]) == best(stored[1], ["w0", "w1", rare])


def test_words_that_most_texts_repeat_are_searched_packed() -> None:
    texts = [" ".join(["again"] * (9 + number % 7) + ["once"] * (number % 3)) for number in range(3000)]
    with vicino.open(limits=LIMITS) as free, vicino.open(limits=LIMITS, memory_limit="1GB") as limited:
        kept, packed = collection_of(free, texts), collection_of(limited, texts)
        assert best(kept, ["again", "once"], k=50) == best(packed, ["again", "once"], k=50)


def test_lists_are_kept_when_they_are_first_searched() -> None:
    with vicino.open(limits=LIMITS) as database:
        collection = collection_of(database, ["common word"] * 3000)
        before = kept_bytes(collection)
        best(collection, ["common"])
        after = kept_bytes(collection)
        best(collection, ["common"])
        assert before + 4 * 3000 <= after < before + 8 * 3000
        assert kept_bytes(collection) == after


def test_nothing_is_kept_where_memory_is_limited() -> None:
    with vicino.open(limits=LIMITS, memory_limit="1GB") as database:
        collection = collection_of(database, ["common word"] * 3000)
        best(collection, ["nobody"])  # for what the dictionary keeps
        before = kept_bytes(collection)
        best(collection, ["common"])
        assert kept_bytes(collection) == before


def test_what_is_kept_is_bounded_and_answers_stay_the_same() -> None:
    names = [f"w{number}" for number in range(80)]
    text = " ".join(names)
    with vicino.open(limits=LIMITS) as database:
        collection = collection_of(database, [text] * 16_000)  # 80 lists of 64 KB
        first = [best(collection, [name, "w0"]) for name in names]
        full = kept_bytes(collection)
        for _ in range(120):  # the others were not asked for lately
            best(collection, names[:40])
        assert [best(collection, [name, "w0"]) for name in names] == first
        assert full < 5 << 20
        assert kept_bytes(collection) < 5 << 20


def test_threads_that_search_at_once_find_the_same(stored: Any) -> None:
    texts = texts_of(2)[:4000]
    queries = [[f"w{a}", f"w{b}"] for a in range(12) for b in range(12, 20)]
    with vicino.open(limits=LIMITS) as database:
        collection = collection_of(database, texts)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda words: best(collection, words), queries))
        assert found == [best(collection, words) for words in queries]
