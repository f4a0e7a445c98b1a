"""Words of plain letters take a way of their own through the analyzer; what they become is what it would be without it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicino import _core
from vicino.text.analyzer import Analyzer

PLAIN = Analyzer(language=None)
ENGLISH = Analyzer(language="en")


def terms_of(analyzer: Analyzer, text: str) -> list[bytes]:
    return [term for _, _, terms in analyzer.spans(text) for term in terms]


def segments_with_words(text: str) -> list[tuple[int, int]]:
    ends = _core.word_break(text)
    return [(begin, end) for begin, end in zip([0, *ends], ends, strict=False) if any(c.isalnum() for c in text[begin:end])]


@given(st.text(alphabet="aZ09_.,:;'\" -\r\n\u00e9\u0301\u200d\u05d0\u2019", max_size=24))
def test_words_are_the_segments_that_hold_letters_or_numbers(text: str) -> None:
    assert [(begin, end) for begin, end, _ in PLAIN.spans(text)] == segments_with_words(text)


@pytest.mark.parametrize("size", [1, 7, 8, 9, 15, 16, 17, 40])
def test_capitals_make_no_other_term(size: int) -> None:
    word = "abcdefghij0123456789"[:size].ljust(size, "z")
    assert terms_of(PLAIN, f"{word} {word.upper()} {word.capitalize()}") == [word.encode()] * 3


@pytest.mark.parametrize("size", [8, 9, 16, 17])
def test_words_that_begin_alike_are_told_apart(size: int) -> None:
    word = "a" * (size - 1)
    assert terms_of(PLAIN, f"{word} {word}b {word}c") == [word.encode(), f"{word}b".encode(), f"{word}c".encode()]


def test_stems_do_not_depend_on_capitals() -> None:
    assert set(terms_of(ENGLISH, "Runners RUNNERS runners")) == {b"runner"}


def test_terms_of_a_document_ascend() -> None:
    data, _, _, _ = PLAIN.analyze_many(["zebra abcdefghi abcdefgh abc abcdefghj ab"], positions=False)
    sizes = [(b"ab", 2), (b"abc", 3), (b"abcdefgh", 8), (b"abcdefghi", 9), (b"abcdefghj", 9), (b"zebra", 5)]
    assert data == bytes([0, 6, 6]) + b"".join(bytes([size]) + term + b"\x01" for term, size in sizes)


def test_documents_analyzed_together_are_as_those_analyzed_alone() -> None:
    texts = ["one two", None, "two three two", "", "Three é one_two", "one"]
    data, offsets, present, _ = ENGLISH.analyze_many(texts)
    alone = [ENGLISH.analyze_many([text])[0] for text in texts]
    assert [data[int(begin) : int(end)] for begin, end in pairwise(offsets)] == alone
    assert present.tolist() == [text is not None for text in texts]
