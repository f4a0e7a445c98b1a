"""Highlights: fragments of a text with the exact places that matched."""

from __future__ import annotations

from itertools import pairwise

import pytest

from vicino.errors import InvalidArgument
from vicino.text.analyzer import Analyzer
from vicino.text.highlight import Fragment, highlight

ENGLISH = Analyzer(language="en")


def found(text: str, query: str, analyzer: Analyzer = ENGLISH, **settings: int) -> list[Fragment]:
    terms = {term for forms in analyzer.query_terms(query) for term, _ in forms}
    return highlight(text, analyzer, terms, **settings)


def test_stemmed_words_are_marked_as_they_stand() -> None:
    (fragment,) = found("The Dogs were running home.", "dog runs")
    assert fragment.marked("[", "]") == "The [Dogs] were [running] home"


def test_spans_are_of_the_whole_text() -> None:
    text = "x " * 300 + "needle " + "y " * 300
    (fragment,) = found(text, "needle")
    assert [text[start:end] for start, end in fragment.spans] == ["needle"]
    assert text[fragment.start : fragment.end] == fragment.text


def test_a_fragment_is_about_as_long_as_asked() -> None:
    (fragment,) = found("word " * 100 + "needle" + " word" * 100, "needle", fragment_chars=60)
    assert len(fragment.text) <= 60


def test_the_fragment_with_most_terms_is_taken() -> None:
    text = "apple " + "filler " * 60 + "apple banana " + "filler " * 60 + "banana"
    (fragment,) = found(text, "apple banana", max_fragments=1, fragment_chars=60)
    assert "[apple] [banana]" in fragment.marked("[", "]")


def test_fragments_come_in_the_order_of_the_text_and_do_not_overlap() -> None:
    text = ("filler " * 40 + "apple ") * 5
    fragments = found(text, "apple", fragment_chars=50)
    assert len(fragments) == 3
    assert all(a.end <= b.start for a, b in pairwise(fragments))


def test_pairs_of_characters_are_marked_as_one() -> None:
    (fragment,) = found("私は東京タワーに行く", "東京タワー", Analyzer(language="ja"))
    assert fragment.marked("[", "]") == "私は[東京タワー]に行く"


def test_the_characters_of_pairs_are_not_marked_elsewhere() -> None:
    (fragment,) = found("東京と東北", "東京", Analyzer(language="ja"))
    assert fragment.marked("[", "]") == "[東京]と東北"


def test_a_single_character_is_marked_alone() -> None:
    (fragment,) = found("海水と水道", "水", Analyzer(language="ja"))
    assert fragment.marked("[", "]") == "海[水]と[水]道"


def test_words_typed_without_accents_are_marked() -> None:
    (fragment,) = found("Thành phố Hồ Chí Minh", "thanh pho", Analyzer(language="vi"))
    assert fragment.marked("[", "]").startswith("[Thành] [phố]")


@pytest.mark.parametrize("text", ["", "nothing here"])
def test_nothing_is_found_where_nothing_matches(text: str) -> None:
    assert found(text, "needle") == []


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="at least 1"):
        found("a", "a", fragment_chars=0)
