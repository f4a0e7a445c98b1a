"""Runs: order by trec_eval's rules, reading and writing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicino.errors import InvalidArgument
from vicino.evaluate import Run


def test_documents_are_ordered_by_score() -> None:
    assert list(Run({"q": {"a": 0.1, "b": 3.0, "c": -2.0}})["q"]) == ["b", "a", "c"]


def test_equal_scores_are_ordered_by_id_larger_first() -> None:
    assert list(Run({"q": {"a": 1.0, "c": 1.0, "é": 1.0, "b": 2.0}})["q"]) == ["b", "é", "c", "a"]


def test_scores_are_compared_in_single_precision() -> None:
    assert list(Run({"q": {"a": 1.0 + 1e-10, "b": 1.0}})["q"]) == ["b", "a"]


def test_scores_beyond_single_precision_are_the_largest() -> None:
    assert list(Run({"q": {"a": 1.0, "b": 1e300}})["q"]) == ["b", "a"]


def test_ranking_without_scores_keeps_its_order() -> None:
    run = Run({"q": ["b", "c", "a"]})
    assert (list(run["q"]), list(run.scores("q"))) == (["b", "c", "a"], [3.0, 2.0, 1.0])


def test_document_that_is_there_twice_is_refused() -> None:
    with pytest.raises(InvalidArgument, match='document "7" is there twice for query "q"'):
        Run({"q": [7, "7"]})


def test_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidArgument, match='document "a" of query "q"'):
        Run({"q": {"a": float("nan")}})


def test_rank_in_a_file_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("q1 Q0 d1 1 0.5 mine\nq1 Q0 d2 2 0.75 mine\n")
    run = Run.read(tmp_path / "run")
    assert (run.name, list(run["q1"])) == ("mine", ["d2", "d1"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("q1 Q0 d1 1 0.5\n", "line 1: a run has six columns"),
        ("q1 Q0 d1 1 high x\n", "line 1: a score is a number, got 'high'"),
        ("q1 Q0 d1 1 2 x\nq1 Q0 d1 2 1 x\n", 'line 2: document "d1" is there twice'),
    ],
)
def test_wrong_line_is_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "run").write_text(text)
    with pytest.raises(InvalidArgument, match=said):
        Run.read(tmp_path / "run")


def test_id_with_a_blank_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="one word without blanks, got 'a b'"):
        Run({"q": ["a b"]}).write(tmp_path / "run")
    assert not list(tmp_path.iterdir())


words = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=4).filter(
    lambda word: word.split() == [word]
)
found = st.dictionaries(words, st.dictionaries(words, st.floats(allow_nan=False), min_size=1, max_size=4), min_size=1, max_size=3)


@given(found)
def test_run_reads_back_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, found: dict[str, dict[str, float]]) -> None:
    path = tmp_path_factory.mktemp("run") / "run"
    run = Run(found, name="mine")
    run.write(path)
    again = Run.read(path)
    assert again == run
    assert all(list(again.scores(query)) == list(run.scores(query)) for query in run)
