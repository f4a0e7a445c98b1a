"""What analyzers make of text, setting by setting."""

from __future__ import annotations

import pytest

from tests.unit.text.text_values import terms_of, values, words_of_query
from vicino.errors import InvalidArgument
from vicino.text.analyzer import Analyzer

PLAIN = Analyzer(language=None)
ENGLISH = Analyzer(language="en", stem=False)


def test_words_are_folded_and_placed() -> None:
    assert terms_of(PLAIN, "One TWO, one") == {"one": [0, 2], "two": [1]}


def test_without_positions_occurrences_are_counted() -> None:
    (value,) = values(PLAIN, ["a b a"], positions=False)
    assert value is not None
    assert value.terms == {"a": [0, 0], "b": [0]}


def test_a_list_is_one_document_with_a_gap_between_its_items() -> None:
    assert terms_of(PLAIN, ["a b", "c"]) == {"a": [0], "b": [1], "c": [102]}


def test_none_is_absent_and_an_empty_text_is_not() -> None:
    absent, empty = values(PLAIN, [None, ""])
    assert absent is None
    assert empty is not None
    assert (empty.length, empty.terms) == (0, {})


def test_marks_stay_inside_words() -> None:
    assert terms_of(PLAIN, "हिन्दी भाषा") == {"हिन्दी": [0], "भाषा": [1]}


def test_runs_without_spaces_are_pairs_and_characters() -> None:
    assert terms_of(PLAIN, "東京都") == {"東京": [0], "東": [0], "京都": [1], "京": [1], "都": [2]}


def test_pairs_of_a_query_weigh_more_than_their_characters() -> None:
    ((exact, one), (character, less)), _ = PLAIN.query_terms("東京都")
    assert (exact.decode(), one, character.decode()) == ("東京", 1.0, "東")
    assert less < 0.5


def test_one_character_alone_is_found() -> None:
    assert words_of_query(PLAIN, "水") == [["水"]]
    assert "水" in terms_of(PLAIN, "海水")


def test_thai_characters_carry_their_marks() -> None:
    assert set(terms_of(PLAIN, "ที่นี่")) == {"ที่นี่", "ที่", "นี่"}


def test_scripts_mix_in_one_text() -> None:
    assert terms_of(PLAIN, "iPhone在中国2024") == {"iphone": [0], "在中": [1], "在": [1], "中国": [2], "中": [2], "国": [3], "2024": [4]}


@pytest.mark.parametrize(("accents", "terms"), [("no", {"café"}), ("yes", {"cafe"}), ("both", {"café", "cafe"})])
def test_accents(accents: str, terms: set[str]) -> None:
    assert set(terms_of(Analyzer(language=None, accents=accents), "Café")) == terms  # type: ignore[arg-type]


def test_the_exact_form_weighs_more_than_the_folded_one() -> None:
    (((exact, one), (folded, less)),) = PLAIN.query_terms("café")
    assert (exact.decode(), folded.decode()) == ("café", "cafe")
    assert one == 1.0 > less > 0


def test_yoruba_is_folded_because_its_writers_do_as_they_please() -> None:
    assert set(terms_of(Analyzer(language="yo"), "ẹ̀kọ́")) == {"eko"}


def test_forms_of_a_word_count_once() -> None:
    (value,) = values(PLAIN, ["café bar"])
    assert value is not None
    assert value.length == 2


@pytest.mark.parametrize(
    ("text", "term"),
    [("dog's", "dog"), ("dog’s", "dog"), ("l'eau", "eau"), ("dell’arte", "arte"), ("don't", "don't"), ("o'neil", "o'neil")],
)
def test_possessives_and_articles(text: str, term: str) -> None:
    assert set(terms_of(PLAIN, text)) == {term}


def test_possessives_can_stay() -> None:
    assert set(terms_of(Analyzer(language=None, possessives=False), "dog's")) == {"dog's"}


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("example.com", {"example": [0], "example.com": [0], "com": [1]}),
        ("U.S.A.", {"usa": [0]}),
        ("3.14", {"3.14": [0]}),
        ("snake_case", {"snake": [0], "snake_case": [0], "case": [1]}),
        ("well-known", {"well": [0], "known": [1]}),
    ],
)
def test_words_that_joints_hold_together(text: str, terms: dict[str, list[int]]) -> None:
    assert terms_of(PLAIN, text) == terms


def test_queries_leave_stop_words_out_and_documents_keep_them() -> None:
    assert words_of_query(ENGLISH, "the history of rome") == [["history"], ["rome"]]
    assert terms_of(ENGLISH, "the rome") == {"the": [0], "rome": [1]}


def test_stop_words_do_not_count_for_the_length() -> None:
    (value,) = values(ENGLISH, ["the history of rome"])
    assert value is not None
    assert value.length == 2


def test_a_query_of_stop_words_keeps_them() -> None:
    assert words_of_query(ENGLISH, "to be or not to be") == [["to"], ["be"], ["or"], ["not"], ["to"], ["be"]]


def test_positions_of_a_query_count_the_stop_words() -> None:
    assert [position for position, _ in ENGLISH.query_positions("king of the hill")] == [0, 3]


def test_repeated_words_come_repeatedly() -> None:
    assert words_of_query(PLAIN, "very very good") == [["very"], ["very"], ["good"]]


@pytest.mark.parametrize(("stop_words", "left"), [(False, ["the", "cat"]), (("cat",), ["the"]), (True, ["cat"])])
def test_stop_words(stop_words: bool | tuple[str, ...], left: list[str]) -> None:
    assert words_of_query(Analyzer(language="en", stem=False, stop_words=stop_words), "the cat") == [[word] for word in left]


def test_english_is_stemmed() -> None:
    assert set(terms_of(Analyzer(language="en"), "running dogs")) == {"run", "dog"}


def test_stems_meet_across_accents() -> None:
    analyzer = Analyzer(language="de")
    typed = {form for forms in words_of_query(analyzer, "hauser") for form in forms}
    assert typed & set(terms_of(analyzer, "Häuser"))


def test_code_is_taken_apart_and_kept_whole() -> None:
    assert terms_of(Analyzer("code", language=None), "get_userName2") == {
        "get": [0], "get_username2": [0], "user": [1], "name": [2], "2": [3],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "parts"),
    [("HTTPServer", {"http", "server"}), ("parseXML", {"parse", "xml"}), ("utf8", {"utf", "8"}), ("os.path", {"os", "path"})],
)
def test_humps(name: str, parts: set[str]) -> None:
    assert parts <= set(terms_of(Analyzer("code", language=None), name))


def test_a_keyword_is_one_term() -> None:
    analyzer = Analyzer("keyword")
    assert terms_of(analyzer, "New  York, NY") == {"new  york, ny": [0]}
    assert words_of_query(analyzer, "NEW  york, ny") == [["new  york, ny"]]


def test_edge_grams_are_found_by_beginnings() -> None:
    analyzer = Analyzer("edge", grams=(2, 4))
    assert set(terms_of(analyzer, "Search")) == {"se", "sea", "sear", "search"}
    assert words_of_query(analyzer, "sea") == [["sea"]]
    assert words_of_query(analyzer, "searc") == [["searc", "sear"]]


def test_ngrams_are_found_by_any_piece() -> None:
    analyzer = Analyzer("ngram", grams=(2, 3))
    assert set(terms_of(analyzer, "abcd")) == {"ab", "bc", "cd", "abc", "bcd"}
    assert words_of_query(analyzer, "abcd") == [["abc"], ["bcd"]]
    assert words_of_query(analyzer, "cd") == [["cd"]]


def test_a_long_word_is_cut_and_still_itself() -> None:
    a, b = "x" * 5000 + "a", "x" * 5000 + "b"
    (term,) = terms_of(PLAIN, a)
    assert len(term.encode()) <= 255
    assert words_of_query(PLAIN, a) == [[term]]
    assert words_of_query(PLAIN, b) != [[term]]


def test_emoji_are_words() -> None:
    assert terms_of(PLAIN, "fine 👍🏽 !?") == {"fine": [0], "👍🏽": [1]}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The cat sat on the mat", "en"),
        ("Die Katze sitzt auf der Matte und schläft", "de"),
        ("Le chat est assis sur le tapis", "fr"),
        ("El gato está en la casa", "es"),
        ("Кошка сидит на ковре, и это хорошо", "ru"),
        ("Кішка сидить на килимі, але це не її місце", "uk"),
        ("القطة على السجادة في البيت", "ar"),
        ("बिल्ली चटाई पर है", "hi"),
        ("Con mèo đang nằm trên tấm thảm của tôi", "vi"),
        ("iPhone 15 Pro Max", "en"),
        ("東京", "und"),
        ("12345", "und"),
        ("", "und"),
        ("sum of x and e^x, y = a*b", "en"),
    ],
)
def test_languages_are_detected(text: str, language: str) -> None:
    assert Analyzer().language_of(text) == language


def test_a_query_runs_through_every_language_used() -> None:
    analyzer = Analyzer()
    _, _, _, used = analyzer.analyze_many(["The running dogs are in the garden", "Die Hunde laufen durch den Garten und die Häuser"])
    assert used == {"en", "de"}
    (forms,) = words_of_query(analyzer, "Hunde", *used)
    assert "hund" in forms
    assert "hund" in terms_of(analyzer, "Die Hunde laufen durch den Garten und die Häuser")


def test_a_named_language_is_the_one_used() -> None:
    _, _, _, used = Analyzer.for_language("de").analyze_many(["the cat"])
    assert used == {"de"}


def test_an_unknown_language_of_a_query_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="xx"):
        Analyzer().query_terms("cat", ["xx"])


def test_spans_point_at_the_source() -> None:
    text = "Tōkyō 東京タワー 👍 naïve"
    assert [(text[start:end], terms[0].decode()) for start, end, terms in PLAIN.spans(text)] == [
        ("Tōkyō", "tōkyō"), ("東", "東"), ("東京", "東京"), ("京", "京"), ("京タ", "京タ"), ("タ", "タ"), ("タワ", "タワ"), ("ワ", "ワ"),
        ("ワー", "ワー"), ("ー", "ー"), ("👍", "👍"), ("naïve", "naïve"),
    ]  # fmt: skip


@pytest.mark.parametrize("texts", [[1], [["a", None]], [b"a"]])
def test_texts_of_other_types_are_refused(texts: list) -> None:
    with pytest.raises(InvalidArgument, match="must be str"):
        PLAIN.analyze_many(texts)


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="lone surrogate"):
        PLAIN.analyze_many(["a\ud800"])


def test_large_batches_are_worked_off_in_slices() -> None:
    texts = [f"word{i} " * 50 for i in range(8000)]
    found = values(PLAIN, list(texts))
    assert [value.terms.keys() for value in found if value] == [{f"word{i}"} for i in range(8000)]
