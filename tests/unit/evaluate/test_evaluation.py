"""Evaluations: which queries count, what a collection is asked, what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import vicino
from vicino.errors import InvalidArgument, NotFoundError
from vicino.evaluate import Evaluation, Judgments, Run, evaluate, evaluate_run

JUDGMENTS = Judgments({"q1": {"a": 1, "b": 0}, "q2": {"c": 2}, "q3": {"a": 0}})
RUN = Run({"q1": ["b", "a"], "q4": ["a"]}, name="mine")


@pytest.fixture
def animals() -> Any:
    with vicino.open() as db:
        collection = db.create_collection("animals", text="body", dim=2)
        collection.upsert(
            [
                {"id": 1, "body": "cats purr", "vector": [1, 0], "year": 2000},
                {"id": 2, "body": "dogs bark", "vector": [0, 1], "year": 2010},
                {"id": "3", "body": "cats and dogs", "vector": [1, 1], "year": 2020},
            ]
        )
        yield collection


def test_query_for_which_nothing_was_found_counts_as_zero() -> None:
    assert evaluate_run(RUN, JUDGMENTS, measures="mrr").of("mrr") == {"q1": 0.5, "q2": 0.0}


def test_queries_that_do_not_count_are_named() -> None:
    found = evaluate_run(RUN, JUDGMENTS)
    assert (found.without_relevant, found.not_judged, found.not_asked) == (("q3",), ("q4",), ())


def test_query_without_relevant_documents_may_count_as_zero() -> None:
    assert evaluate_run(RUN, JUDGMENTS, measures="mrr", without_relevant="zero")["mrr"] == 0.5 / 3


def test_mean_is_over_the_queries_that_count() -> None:
    assert evaluate_run(RUN, JUDGMENTS, measures=["mrr", "recall@1"]).means == {"mrr": 0.25, "recall@1": 0.0}


def test_first_documents_carry_their_grades() -> None:
    assert evaluate_run(RUN, JUDGMENTS).tops == {"q1": [("b", 0), ("a", 1)], "q2": []}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"measures": []}, "needs a measure"),
        ({"measures": "best"}, "got 'best'"),
        ({"without_relevant": "drop"}, "got 'drop'"),
        ({"asked": ["q3"]}, "none of the 3 queries asked"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        evaluate_run(RUN, JUDGMENTS, **options)


def test_measure_that_was_not_asked_for_is_refused() -> None:
    with pytest.raises(InvalidArgument, match='evaluation "mine" has no measure "map"'):
        evaluate_run(RUN, JUDGMENTS, measures="mrr")["map"]


def test_collection_is_asked_by_its_words(animals: Any) -> None:
    found = evaluate(animals, {"q": {1: 1}}, {"q": "purr"}, measures="mrr", mode="text")
    assert (found["mrr"], found.tops["q"][0], found.name) == (1.0, ("1", 1), "animals_mode=text")


def test_collection_is_asked_by_vectors(animals: Any) -> None:
    assert evaluate(animals, {"q": {"2": 1}}, {"q": [0, 1]}, measures="mrr")["mrr"] == 1.0


def test_options_are_those_of_search(animals: Any) -> None:
    found = evaluate(animals, {"q": {"1": 1}}, {"q": "cats"}, measures="mrr", where=vicino.F.year > 2000)
    assert [document for document, _ in found.tops["q"]] == ["3"]


def test_as_many_documents_are_asked_for_as_measures_look_at(animals: Any) -> None:
    found = evaluate(animals, {"q": {"1": 1}}, {"q": [1, 0]}, measures=["mrr@2", "recall@1"])
    assert found.run is not None
    assert len(found.run["q"]) == 2


def test_equal_scores_are_ordered_as_trec_eval_does(animals: Any) -> None:
    found = evaluate(animals, {"q": {"1": 1}}, {"q": vicino.Formula([vicino.Text("cats")], by=1 + 0 * vicino.Score())}, measures="mrr")
    assert found["mrr"] == 0.5


def test_order_of_a_search_by_something_else_stands(animals: Any) -> None:
    found = evaluate(animals, {"q": {"1": 1}}, {"q": vicino.OrderBy("year", descending=False)}, measures="mrr")
    assert [document for document, _ in found.tops["q"]] == ["1", "2", "3"]


def test_judged_queries_without_text_are_named(animals: Any) -> None:
    found = evaluate(animals, {"q": {"1": 1}, "r": {"2": 1}}, {"q": "cats"}, measures="mrr")
    assert (found.queries, found.not_asked) == (("q",), ("r",))


def test_time_of_a_search_is_kept(animals: Any) -> None:
    found = evaluate(animals, {"q": {"1": 1}}, {"q": "cats"})
    assert found.search_s is not None
    assert found.search_s > 0


@pytest.mark.parametrize("option", ["group_by", "cursor", "offset"])
def test_part_of_a_ranking_is_refused(animals: Any, option: str) -> None:
    with pytest.raises(InvalidArgument, match=f"leave out {option}="):
        evaluate(animals, {"q": {"1": 1}}, {"q": "cats"}, **{option: "year"})


def test_evaluation_reads_back_as_it_was_written(animals: Any, tmp_path: Path) -> None:
    found = evaluate(animals, {"q": {"1": 1}, "r": {"2": 0}}, {"q": "cats", "r": "x", "s": "y"})
    found.write(tmp_path / "kept.json")
    assert Evaluation.read(tmp_path / "kept.json") == found


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"evaluation": 2}', "\x00"])
def test_file_that_holds_no_evaluation_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text(content)
    with pytest.raises(InvalidArgument, match=r"kept.json is not a stored evaluation"):
        Evaluation.read(tmp_path / "kept.json")


def test_stored_measures_must_have_scores_of_the_same_queries(tmp_path: Path) -> None:
    evaluate_run(RUN, JUDGMENTS, measures=["mrr", "map"]).write(tmp_path / "kept.json")
    text = (tmp_path / "kept.json").read_text()
    (tmp_path / "kept.json").write_text(text.replace('"q2": 0.0', '"q9": 0.0', 1))
    with pytest.raises(InvalidArgument, match="a score of every query"):
        Evaluation.read(tmp_path / "kept.json")


def test_evaluation_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"there is no evaluation .*nowhere"):
        Evaluation.read(tmp_path / "nowhere")
