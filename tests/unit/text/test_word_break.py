"""Word breaks by Unicode's rules, and the normal forms of words."""

from __future__ import annotations

import unicodedata

import pytest

from tests.unit.text.word_break_reference import word_break
from vicino import _core


def segments(text: str) -> list[str]:
    ends = _core.word_break(text)
    return [text[start:end] for start, end in zip([0, *ends], ends)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("can't stop", ["can't", " ", "stop"]),
        ("3.14, 1,000", ["3.14", ",", " ", "1,000"]),
        ("e.g. x", ["e.g", ".", " ", "x"]),
        ("a\r\nb", ["a", "\r\n", "b"]),
        ("snake_case x__", ["snake_case", " ", "x__"]),
        ("हिन्दी भाषा", ["हिन्दी", " ", "भाषा"]),
        ("e\u0301tude", ["e\u0301tude"]),
        ("カタカナ漢字", ["カタカナ", "漢", "字"]),
        ("👩‍👩‍👧!", ["👩‍👩‍👧", "!"]),
        ("🇩🇪🇫🇷🇮", ["🇩🇪", "🇫🇷", "🇮"]),
        ('צה"ל', ['צה"ל']),
        ("a  b", ["a", "  ", "b"]),
    ],
)
def test_segments(text: str, expected: list[str]) -> None:
    assert segments(text) == expected


@pytest.mark.parametrize(
    "text", ["a.\u0308b", "1\u200d,\u03012", "\u0308a", "\n\u0308a", "א\u0301'", "a:'b", "1.a", "🇩\u0308🇪🇫", "\u200d🙂", "_'a"]
)
def test_the_core_agrees_with_the_rules_read_one_by_one(text: str) -> None:
    assert _core.word_break(text) == word_break(text)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Straße", "strasse"),
        ("ＡＢＣ１", "abc1"),
        ("ﬁne", "fine"),
        ("İ", "i̇"),
        ("so\u00adft", "soft"),
        ("e\u0301", "é"),
        ("ΣΊΣΥΦΟΣ", "σίσυφοσ"),
        ("ｶﾞ", "ガ"),
        ("\u1112\u1161\u11ab", "한"),
        ("a\u0323\u0302", "ậ"),
        ("a\u0302\u0323", "ậ"),
        ("\u212b", "å"),
    ],
)
def test_folding_makes_one_spelling_of_many(text: str, folded: str) -> None:
    assert _core.fold_text(text) == folded


def test_folded_text_is_composed_and_stays_as_it_is() -> None:
    for code in [*range(0x80, 0x3000, 7), *range(0xAC00, 0xD7A4, 97), *range(0xF900, 0xFB00)]:
        if unicodedata.category(chr(code)) in ("Cn", "Co", "Cs"):
            continue
        once = _core.fold_text(chr(code))
        assert _core.fold_text(once) == once == unicodedata.normalize("NFC", once), hex(code)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("tiếng việt", "tieng viet"),
        ("đường", "duong"),
        ("ẹ̀kọ́", "eko"),
        ("søren łódź", "soren lodz"),
        ("άνθρωπος", "ανθρωποσ"),
        ("ёлка й", "елка й"),
        ("مُحَمَّد", "محمد"),
        ("مدرسة", "مدرسه"),
        ("हिन्दी", "हिन्दी"),
        ("ที่นี่", "ที่นี่"),
        ("が", "が"),
    ],
)
def test_accents_go_where_people_leave_them_out(text: str, plain: str) -> None:
    assert _core.without_accents(_core.fold_text(text)) == plain
