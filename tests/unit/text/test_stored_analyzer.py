"""Analyzers as values: checks, JSON, what is fixed at creation, missing and other stemmers."""

from __future__ import annotations

import json
import pickle
import sys
from dataclasses import replace
from typing import Any

import pytest

from vicino import _core
from vicino.errors import FormatError, InvalidArgument, MissingExtraError
from vicino.text import analyzer as module
from vicino.text.analyzer import ANALYZER_VERSION, Analyzer

ANALYZERS = [
    Analyzer(),
    Analyzer(language=None),
    Analyzer("code", accents="no"),
    Analyzer("edge", grams=(2, 5)),
    Analyzer(language="de", stem=False, stop_words=("foo", "bar"), possessives=False),
    Analyzer.for_language("ru", accents="yes").resolve(),
]


@pytest.fixture
def no_stemmer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "Stemmer", None)


@pytest.mark.parametrize("analyzer", ANALYZERS)
def test_json_brings_the_same_analyzer_back(analyzer: Analyzer) -> None:
    assert Analyzer.from_json(json.loads(json.dumps(analyzer.to_json()))) == analyzer


@pytest.mark.parametrize("analyzer", ANALYZERS)
def test_a_used_analyzer_can_be_pickled(analyzer: Analyzer) -> None:
    analyzer.query_terms("x")
    assert pickle.loads(pickle.dumps(analyzer)) == analyzer


def test_resolving_stores_what_makes_the_terms() -> None:
    stored = Analyzer(language="en").resolve().to_json()
    assert stored["stem"] is True
    assert stored["version"] == ANALYZER_VERSION
    assert stored["unicode"] == _core.UNICODE_VERSION
    assert stored["stemmer"].startswith("PyStemmer ")


def test_resolving_again_changes_nothing() -> None:
    once = Analyzer().resolve()
    assert once.resolve() is once


@pytest.mark.usefixtures("no_stemmer")
def test_without_the_stemmer_the_default_is_unstemmed_and_says_so() -> None:
    analyzer = Analyzer(language="en").resolve()
    assert analyzer.stem is False
    assert analyzer.query_terms("running") == [[(b"running", 1.0)]]
    assert "not stemmed" in analyzer.describe()
    assert 'pip install "vicino[text]"' in Analyzer(language="en").describe()


@pytest.mark.usefixtures("no_stemmer")
def test_a_stemmed_analyzer_without_the_stemmer_refuses_texts_and_queries() -> None:
    analyzer = Analyzer(language="en", stem=True)
    for use in (lambda: analyzer.analyze_many(["a"]), lambda: analyzer.query_terms("a"), lambda: analyzer.spans("a"), analyzer.resolve):
        with pytest.raises(MissingExtraError, match=r'pip install "vicino\[text\]"'):
            use()


def test_an_unstemmed_analyzer_stays_unstemmed_when_the_stemmer_comes() -> None:
    stored = replace(Analyzer(language="en").resolve(), stem=False, stemmer=None)
    assert Analyzer.from_json(stored.to_json()).query_terms("running") == [[(b"running", 1.0)]]


def test_another_version_of_the_stemmer_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = Analyzer(language="en").resolve()
    monkeypatch.setattr(module, "stemmer_version", lambda: "PyStemmer 99.0")
    assert any("PyStemmer 99.0" in note and str(stored.stemmer) in note for note in stored.notes())


def test_nothing_is_noted_of_an_analyzer_at_home() -> None:
    assert Analyzer(language="en").resolve().notes() == []


def test_an_analyzer_of_a_newer_version_is_refused() -> None:
    with pytest.raises(FormatError, match="update vicino"):
        Analyzer.from_json({"tokenizer": "words", "version": ANALYZER_VERSION + 1, "new_setting": 1})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tokenizer": "word"}, 'Did you mean "words"'),
        ({"accents": "maybe"}, "accents"),
        ({"language": "klingon"}, "language"),
        ({"stem": "yes"}, "stem must be"),
        ({"stem": True, "language": "vi"}, "needs a language with a stemmer"),
        ({"stop_words": (1,)}, "stop_words"),
        ({"grams": (1, 2)}, "grams are for"),
        ({"tokenizer": "edge", "grams": (3, 2)}, "shortest"),
        ({"tokenizer": "edge", "grams": (0, 2)}, "shortest"),
        ({"possessives": "s"}, "possessives"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        Analyzer(**settings)


@pytest.mark.parametrize("stored", [{"tokeniser": "words"}, {"version": "one"}, {"version": 0}, [], None])
def test_stored_settings_that_are_none_of_ours_are_refused(stored: Any) -> None:
    with pytest.raises(InvalidArgument):
        Analyzer.from_json(stored)
