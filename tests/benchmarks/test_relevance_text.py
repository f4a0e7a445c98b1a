"""The benchmark of relevance on a judged set of three documents; its figures mean nothing here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import relevance_text
from benchmarks.datasets import Judged
from benchmarks.stored_vectors import StoredVectors
from vicino import Analyzer

DATA = Judged(
    "animals",
    ["d1", "d2", "d3"],
    ["Cats cats purr", "Dogs dogs bark", "Birds birds sing of cafés"],
    {"q1": "the cat", "q2": "barking dogs"},
    {"q1": {"d1": 1}, "q2": {"d2": 1}},
)


class Letters:
    """A model whose vector counts the letters a to h."""

    name, dim = "letters", 8

    def __init__(self) -> None:
        self.n_embedded = 0

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "revision": "1", "dim": self.dim}

    def embed_documents(self, texts: Sequence[str]) -> Any:
        return np.stack([self.embed_query(text) for text in texts])

    def embed_query(self, text: str) -> Any:
        self.n_embedded += 1
        return np.array([text.count(letter) + 0.1 for letter in "abcdefgh"], np.float32)


def stored(model: Letters, folder: Path) -> StoredVectors:
    return StoredVectors(model, DATA.name, DATA.texts, list(DATA.queries.values()), folder)


def test_vectors_are_made_once(tmp_path: Path) -> None:
    first = stored(Letters(), tmp_path)
    model = Letters()
    again = stored(model, tmp_path)
    assert model.n_embedded == 0
    assert np.array_equal(again.embed_documents(DATA.texts), first.embed_documents(DATA.texts))
    assert np.array_equal(again.embed_query("the cat"), Letters().embed_query("the cat"))


def test_vectors_of_other_texts_are_others(tmp_path: Path) -> None:
    stored(Letters(), tmp_path)
    model = Letters()
    StoredVectors(model, DATA.name, ["other"], ["query"], tmp_path)
    assert model.n_embedded == 2


def test_both_engines_are_measured_on_the_same_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relevance_text, "rank_by_bm25s", lambda *_: {"q1": [0], "q2": [0, 1]})
    found = relevance_text.by_words(DATA, Analyzer(language="en"), Path("python"))
    assert (found["vicino"], found["queries_that_differ"]) == (1.0, 1)
    assert found["bm25s"] == pytest.approx((1 + 1 / np.log2(3)) / 2)


def test_words_have_one_form_without_stop_words() -> None:
    assert relevance_text.single_forms(Analyzer(language="en", stem=False), "the Café's cats", ()) == ["cafÃ©", "cats"]


def test_hybrid_is_measured_beside_its_sides(tmp_path: Path) -> None:
    found = relevance_text.by_both(DATA, "en", stored(Letters(), tmp_path))
    assert found["text"] == 1.0
    assert found["gain"] == found["hybrid"] - found[found["better_side"]]


def test_accents_vanish_as_they_are_typed() -> None:
    assert relevance_text.without_accents("Đội nào đã thắng?") == "Doi nao da thang?"


def test_stated_figures_have_three_digits() -> None:
    assert [relevance_text.reaches(got, 0.49) for got in (0.4894, 0.4896, 0.5)] == [False, True, True]
    assert relevance_text.reaches(0.98951, 0.99) is True


def test_every_set_has_figures() -> None:
    column = {"vicino": 0.5, "bm25s": 0.5}
    both = {"vector": 0.5, "text": 0.5, "hybrid": 0.5, "gain": 0.0}
    for name in relevance_text.EXPECTED:
        assert relevance_text.figures_of_words(name, {"one form": column, "named": column})[0].met is True
        assert relevance_text.figures_of_both(name, both)[-1].met is True
