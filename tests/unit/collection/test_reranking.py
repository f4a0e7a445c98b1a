"""The stage that reranks: what the model is given, how long it may take, and what holds when it fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

import vicino
from vicino.env import MemoryEnv
from vicino.errors import InvalidArgument, ModelNotFound, TimeoutError
from vicino.models import register_reranker, rerank

NAMES = ["a", "b", "c", "d", "e", "f"]


class ManualClock(MemoryEnv):
    """Time passes when somebody says so."""

    passed = 0.0

    def monotonic(self) -> float:
        return self.passed


class Later:
    """Prefers what comes later in the alphabet; every text it reads takes a second."""

    name, max_length, batch_size = "later", 100, 2

    def __init__(self, env: ManualClock) -> None:
        self.env, self.batches = env, list[list[str]]()

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        self.batches.append(list(texts))
        self.env.passed += len(texts)
        return [float(ord(text[0])) for text in texts]


class Timed(Later):
    """As a service: told how long it may take."""

    within: float | None = None
    error: Exception | None = None

    def scores_within(self, query: str, texts: Sequence[str], timeout_s: float) -> list[float]:
        self.within = timeout_s
        if self.error:
            raise self.error
        return self.scores(query, texts)


@pytest.fixture
def env() -> ManualClock:
    return ManualClock()


@pytest.fixture
def docs(env: ManualClock) -> Iterator[Any]:
    with vicino.open(_env=env) as db:
        docs = db.create_collection("docs", text="title")
        docs.upsert([{"id": name, "title": name + " word" * (7 - row), "about": {"note": name * 3}} for row, name in enumerate(NAMES)])
        yield docs


def reranked(reranker: Any, **options: Any) -> vicino.Rerank:
    return vicino.Rerank(vicino.Text("word"), reranker, **options)


def first_order(docs: Any) -> list[Any]:
    return docs.search(vicino.Text("word")).ids


def test_first_records_come_in_the_order_of_the_model(docs: Any, env: ManualClock) -> None:
    hits = docs.search(reranked(Later(env)))
    assert hits.ids == NAMES[::-1]
    assert [hit.score for hit in hits] == [float(ord(name)) for name in NAMES[::-1]]


def test_hits_keep_the_score_they_were_found_with(docs: Any, env: ManualClock) -> None:
    hit = docs.search(reranked(Later(env)), limit=1)[0]
    assert hit.scores.keys() == {"text", "rerank"}


def test_only_the_first_records_are_read(docs: Any, env: ManualClock) -> None:
    reranker = Later(env)
    found = docs.search(reranked(reranker, depth=2)).ids
    assert sorted(found) == sorted(first_order(docs)[:2])
    assert sum(map(len, reranker.batches)) == 2


def test_text_of_indexed_fields_is_read_when_nothing_is_embedded(docs: Any, env: ManualClock) -> None:
    reranker = Later(env)
    docs.search(reranked(reranker, depth=1))
    assert reranker.batches == [[docs[first_order(docs)[0]]["title"]]]


def test_paths_lead_to_texts_inside(docs: Any, env: ManualClock) -> None:
    reranker = Later(env)
    docs.search(reranked(reranker, fields=["about.note", "title"], depth=1))
    assert reranker.batches[0][0].startswith(first_order(docs)[0] * 3 + " ")


def test_model_gets_all_texts_at_once_without_a_budget(docs: Any, env: ManualClock) -> None:
    reranker = Later(env)
    docs.search(reranked(reranker))
    assert [len(batch) for batch in reranker.batches] == [6]


def test_clock_is_looked_at_between_batches(docs: Any, env: ManualClock) -> None:
    reranker = Later(env)
    found = docs.search(reranked(reranker, budget_s=3))
    assert [len(batch) for batch in reranker.batches] == [2, 2]  # 4 s have passed before a third
    assert found.ids == first_order(docs)
    assert found.plan.notes == ("reranker later did not read 6 texts within budget_s=3; the order is that of the part inside",)


def test_budget_that_suffices_is_not_noticed(docs: Any, env: ManualClock) -> None:
    found = docs.search(reranked(Later(env), budget_s=6.5))
    assert (found.ids, found.plan.notes) == (NAMES[::-1], ())


def test_batches_hold_texts_of_like_length(docs: Any, env: ManualClock) -> None:
    reranker = Later(env)
    docs.search(reranked(reranker, budget_s=9))
    lengths = [len(text) for batch in reranker.batches for text in batch]
    assert lengths == sorted(lengths, reverse=True)


def test_budget_of_nothing_asks_nothing(docs: Any, env: ManualClock) -> None:
    reranker = Later(env)
    assert docs.search(reranked(reranker, budget_s=0)).ids == first_order(docs)
    assert reranker.batches == []


def test_service_is_told_how_long_it_may_take(docs: Any, env: ManualClock) -> None:
    reranker = Timed(env)
    assert docs.search(reranked(reranker, budget_s=60), timeout=100).ids == NAMES[::-1]
    assert (reranker.within, len(reranker.batches)) == (60, 1)


def test_timeout_of_the_search_is_the_end_of_a_larger_budget(docs: Any, env: ManualClock) -> None:
    reranker = Timed(env)
    docs.search(reranked(reranker, budget_s=600), timeout=100)
    assert reranker.within == 100


def test_service_that_runs_out_of_time_keeps_the_order(docs: Any, env: ManualClock) -> None:
    reranker = Timed(env)
    reranker.error = TimeoutError("Cohere did not answer in time")
    found = docs.search(reranked(reranker, budget_s=1))
    assert found.ids == first_order(docs)
    assert "ran out of time: Cohere did not answer in time" in found.plan.notes[0]


def test_timeout_of_the_search_ends_the_search(docs: Any, env: ManualClock) -> None:
    with pytest.raises(TimeoutError, match="passed its timeout while records were reranked"):
        docs.search(reranked(Later(env), budget_s=60), timeout=3)


class Odd:
    """Gives what it is told to, or raises it."""

    name, max_length = "odd", 100

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def scores(self, query: str, texts: Sequence[str]) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (KeyError("logits"), "KeyError: 'logits'"),
        ([1.0], r"scores of shape (1,) for 6 texts"),
        ([float("nan")] * 6, "it gave nan for text 0"),
        (["high"] * 6, "ValueError"),
        (None, "expected one number for each"),
    ],
    ids=["error", "too few", "nan", "words", "nothing"],
)
def test_order_is_kept_and_told_when_the_model_fails(docs: Any, answer: Any, told: str) -> None:
    found = docs.search(reranked(Odd(answer)))
    assert found.ids == first_order(docs)
    assert told in found.plan.notes[0]
    assert found.plan.stages[0].details == {"reranker": "odd", "order": "kept"}


def test_failing_model_and_working_one_give_as_many_hits(docs: Any, env: ManualClock) -> None:
    assert len(docs.search(reranked(Odd(None), depth=3))) == len(docs.search(reranked(Later(env), depth=3))) == 3


def test_plan_names_the_model(docs: Any, env: ManualClock) -> None:
    plan = docs.explain(reranked(Later(env)))
    assert "rerank, reranker later: 6 candidates, 6 found" in repr(plan)


def test_search_deeper_does_not_ask_again(docs: Any, env: ManualClock) -> None:
    docs.upsert([{"id": number, "title": f"{number} word"} for number in range(1200)])
    reranker = Later(env)
    part = vicino.Fuse([reranked(reranker), vicino.Text("word")])
    assert len([record for page in docs.search_pages(part, page=500) for record in page.ids]) == 1206
    assert len(reranker.batches) == 1


def test_option_of_the_search_reranks_what_it_finds(docs: Any, env: ManualClock) -> None:
    assert docs.search("word", rerank=Later(env)).ids == NAMES[::-1]


def test_as_many_hits_as_are_asked_for_are_reranked(docs: Any, env: ManualClock) -> None:
    docs.upsert([{"id": number, "title": f"{number} word"} for number in range(70)])
    assert len(docs.search("word", limit=60, rerank=Later(env))) == 60


def test_diversity_comes_after_the_reranker(env: ManualClock) -> None:
    with vicino.open(_env=env) as db:
        docs = db.create_collection("docs", dim=2, text="title")
        vectors = {"a": [0, 1], "b": [1, 0], "c": [1, 0.01]}
        docs.upsert([{"id": name, "vector": vector, "title": f"{name} word"} for name, vector in vectors.items()])
        assert docs.search("word", rerank=Later(env)).ids == ["c", "b", "a"]
        assert docs.search("word", rerank=Later(env), diversity=0.9).ids == ["c", "a", "b"]


def test_many_queries_are_reranked(docs: Any, env: ManualClock) -> None:
    found = docs.search_many(["word", "a"], rerank=Later(env))
    assert [results.ids for results in found] == [NAMES[::-1], ["a"]]


def test_reranker_is_found_by_name(docs: Any, env: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerank, "_registered", {})
    register_reranker("house", Later(env))
    part = vicino.Part.from_json({"rerank": {"part": {"text": {"words": "word"}}, "reranker": "house"}})
    assert docs.search(part).ids == NAMES[::-1]


def test_unknown_name_is_an_error_and_no_note(docs: Any) -> None:
    with pytest.raises(ModelNotFound, match='no reranker is called "nobody"'):
        docs.search(reranked("nobody"))


def test_query_without_words_needs_them_said(docs: Any, env: ManualClock) -> None:
    with pytest.raises(InvalidArgument, match="needs query="):
        docs.search(vicino.Rerank(vicino.Sample(), Later(env)))


def test_collection_without_texts_needs_fields(env: ManualClock) -> None:
    with vicino.open(_env=env) as db:
        plain = db.create_collection("plain", dim=2)
        plain.upsert([{"id": 1, "vector": [1, 0]}])
        with pytest.raises(InvalidArgument, match='collection "plain" embeds no field and has no text index'):
            plain.search(vicino.Rerank(vicino.Dense([1, 0]), Later(env), query="q"))
