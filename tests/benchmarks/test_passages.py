"""Passages, bags of terms and the exact reference that `benchmarks.text_speed` compares with, on data small enough to check by hand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bags import Bags, Lists, bag_of_query, bags_of_texts, best, is_exact, sparse_bags
from benchmarks.passages import MissingData, load_passages
from vicino import Analyzer

PLAIN = Analyzer(language=None, accents="no")


def sources(folder: Path) -> tuple[Path, Path]:
    """A set with one title and text, and a file of documentation of 120 words."""
    corpus = folder / "data" / "movies" / "corpus.jsonl.gz"
    corpus.parent.mkdir(parents=True)
    with gzip.open(corpus, "wt", encoding="utf-8") as file:
        file.write(json.dumps({"_id": "1", "title": "Caught by Surprise", "text": "word " * 40}))
    (folder / "doc").mkdir()
    (folder / "doc" / "README").write_text(" ".join(f"plain{chr(97 + i % 26)}" for i in range(120)))
    return folder / "data", folder / "doc"


def test_passages_are_fifty_words_and_as_many_as_asked_for(tmp_path: Path) -> None:
    data, documentation = sources(tmp_path)
    found = load_passages(20, 5, data=data, documentation=documentation)
    assert len(found.texts) == 20
    assert found.n_real == 4
    assert all(10 <= len(text.split()) <= 50 for text in found.texts)
    assert found.queries["titles"] == ["Caught by Surprise"]
    assert all(2 <= len(text.split()) <= 4 for text in found.queries["short"])


def test_passages_are_the_same_every_time(tmp_path: Path) -> None:
    data, documentation = sources(tmp_path)
    assert load_passages(9, 5, data=data, documentation=documentation) == load_passages(9, 5, data=data, documentation=documentation)


def test_passages_say_where_they_looked_for_text(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"no text in .*absent"):
        load_passages(9, 5, data=tmp_path / "absent", documentation=tmp_path / "neither")


def test_bags_weigh_terms_as_bm25_does() -> None:
    bags, numbers = bags_of_texts(["red red blue", "blue"], PLAIN)
    assert bags.starts.tolist() == [0, 2, 3]
    weights = dict(zip(bags.terms[:2].tolist(), bags.weights[:2].tolist(), strict=True))
    # Three words beside an average of two: norm = 1.2 * (1 - 0.75 + 0.75 * 3 / 2)
    assert weights[numbers[b"red"]] == pytest.approx(2 / (2 + 1.65))
    assert weights[numbers[b"blue"]] == pytest.approx(1 / (1 + 1.65))


def test_scores_of_the_reference() -> None:
    bags, numbers = bags_of_texts(["red red blue", "blue", "green"], PLAIN)
    scores = Lists.of(bags, len(numbers)).scores(bag_of_query("red green green absent", PLAIN, numbers), idf=True)
    idf = np.log(1 + 2.5 / 1.5)
    assert scores[1] == 0
    assert scores[0] == pytest.approx(idf * 2 / (2 + 1.2 * (0.25 + 0.75 * 3 / (5 / 3))))
    assert scores[2] == pytest.approx(2 * idf / (1 + 1.2 * (0.25 + 0.75 / (5 / 3))))


def test_best_are_ordered_by_score_and_row() -> None:
    assert best(np.array([1.0, 3.0, 0.0, 3.0, 2.0]), 3).tolist() == [1, 3, 4]
    assert best(np.array([0.0, 1.0]), 3).tolist() == [1]


@pytest.mark.parametrize(("found", "exact"), [([1, 0], True), ([0, 1], False), ([1, 2], False), ([1, 1], False), ([1], False)])
def test_answers_are_exact_when_their_scores_are_the_largest(found: list[int], exact: bool) -> None:
    assert is_exact(found, np.array([2.0, 3.0, 1.0]), 2) is exact


def test_rows_of_equal_scores_are_each_as_good() -> None:
    assert is_exact([1], np.array([2.0, 3.0, 3.0]), 1)
    assert is_exact([2], np.array([2.0, 3.0, 3.0]), 1)


def test_sparse_bags_have_distinct_ascending_terms() -> None:
    bags = sparse_bags(50, 30, seed=1)
    assert isinstance(bags, Bags)
    rows = bags.terms.reshape(50, 30).astype(np.int64)
    assert (np.diff(rows, axis=1) > 0).all()
    assert (bags.weights > 0).all()
    assert (sparse_bags(50, 30, seed=1).terms == bags.terms).all()
