"""Analyzers on arbitrary Unicode: they never crash, break where Unicode says, and point at the source."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.text.text_values import values
from tests.unit.text.word_break_reference import word_break
from vicino import _core
from vicino.text.analyzer import Analyzer
from vicino.text.highlight import highlight

ANALYZERS = {
    "default": Analyzer(),
    "english": Analyzer(language="en"),
    "none": Analyzer(language=None),
    "folded": Analyzer(language=None, accents="yes"),
    "kept": Analyzer(language=None, accents="no", possessives=False),
    "code": Analyzer("code"),
    "keyword": Analyzer("keyword"),
    "ngram": Analyzer("ngram"),
    "edge": Analyzer("edge", grams=(1, 5)),
}

# Characters of which rules know something, and any others.
TELLING = (
    "aZß1٣_.,:;'’\"- \t\n\r\x85éëđй\u0301\u0323\u0308\u200d\u200c\u00ad\ufe0fאב״'カヷー々あ漢字한\u1112\u1161\u11abไทยำก็ລາວខ្ម\u1039မ"
    "हिन्दी्عَربيـ😀👩🏽🇩🇪①ﬁＡ㎏ﷺ𝐀\U00020000\U000e0001"
)
CHARACTERS = st.sampled_from(TELLING) | st.characters(exclude_categories=("Cs",))
TEXTS = st.text(CHARACTERS, max_size=40)


@given(TEXTS)
@settings(max_examples=600, deadline=None)
def test_words_break_where_the_rules_say(text: str) -> None:
    assert _core.word_break(text) == word_break(text)


@pytest.mark.parametrize("name", ANALYZERS)
@given(text=TEXTS)
@settings(max_examples=80, deadline=None)
def test_documents_and_their_words_as_queries_meet(name: str, text: str) -> None:
    analyzer = ANALYZERS[name]
    (value,) = values(analyzer, [text])
    assert value is not None
    _, _, _, languages = analyzer.analyze_many([text])
    known = set(value.terms)
    for position, forms in analyzer.query_positions(text, languages):
        assert any(term.decode() in known for term, _ in forms), (position, forms)
        assert all(0 < weight <= 1 for _, weight in forms)


@pytest.mark.parametrize("name", ANALYZERS)
@given(text=TEXTS)
@settings(max_examples=80, deadline=None)
def test_spans_point_at_the_source(name: str, text: str) -> None:
    analyzer = ANALYZERS[name]
    spans = analyzer.spans(text)
    (value,) = values(analyzer, [text])
    assert value is not None
    assert {term.decode() for _, _, terms in spans for term in terms} == set(value.terms)
    starts = [start for start, _, _ in spans]
    assert starts == sorted(starts)
    for start, end, terms in spans:
        assert 0 <= start < end <= len(text)
        assert terms


@given(TEXTS)
@settings(max_examples=100, deadline=None)
def test_what_a_span_cuts_out_has_its_terms(text: str) -> None:
    analyzer = ANALYZERS["none"]
    for start, end, terms in analyzer.spans(text):
        cut = {term for _, _, found in analyzer.spans(text[start:end]) for term in found}
        assert set(terms) <= cut


@given(TEXTS, TEXTS)
@settings(max_examples=100, deadline=None)
def test_fragments_are_pieces_of_the_text(text: str, query: str) -> None:
    analyzer = ANALYZERS["none"]
    terms = {term for forms in analyzer.query_terms(query) for term, _ in forms}
    for fragment in highlight(text, analyzer, terms, fragment_chars=10):
        assert text[fragment.start : fragment.end] == fragment.text
        assert fragment.spans
        assert all(fragment.start <= start < end <= fragment.end for start, end in fragment.spans)


@given(st.lists(st.none() | TEXTS | st.lists(TEXTS, max_size=3), max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_batch_is_its_documents_one_by_one(texts: list) -> None:
    analyzer = ANALYZERS["default"]
    assert values(analyzer, texts) == [values(analyzer, [text])[0] for text in texts]


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_folding_twice_is_folding_once(text: str) -> None:
    folded = _core.fold_text(text)
    assert _core.fold_text(folded) == folded
    plain = _core.without_accents(folded)
    assert _core.without_accents(plain) == plain


@given(
    st.builds(
        Analyzer,
        tokenizer=st.sampled_from(["words", "code", "keyword"]),
        language=st.sampled_from(["auto", "en", "de", "vi", None]),
        stem=st.sampled_from([False, "auto"]),
        stop_words=st.booleans() | st.lists(st.text(max_size=5), max_size=3).map(tuple),
        accents=st.sampled_from(["no", "yes", "both"]),
        possessives=st.booleans(),
    )
)
@settings(max_examples=100, deadline=None)
def test_json_brings_back_any_analyzer(analyzer: Analyzer) -> None:
    assert Analyzer.from_json(json.loads(json.dumps(analyzer.to_json()))) == analyzer
