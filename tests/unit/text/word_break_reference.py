"""Unicode Standard Annex 29, rules WB1 to WB999, read off one by one: slow, and written in another way than the core's."""

from __future__ import annotations

import bisect
import re
from functools import cache
from pathlib import Path

CLASSES = [
    "Other", "CR", "LF", "Newline", "Extend", "ZWJ", "Format", "Katakana", "Hebrew", "ALetter", "MidLetter", "MidNum", "MidNumLet",
    "Numeric", "ExtendNumLet", "RI", "WSegSpace", "SQ", "DQ",
]  # fmt: skip
TABLES = Path(__file__).parents[3] / "core/text/text_tables.h"
PICTOGRAPH = 1 << 10


@cache
def _runs() -> tuple[list[int], list[int]]:
    rows = TABLES.read_text(encoding="utf-8").split("kProperties[] = {")[1].split("};")[0]
    pairs = [(int(first, 16), int(bits, 16)) for first, bits in re.findall(r"\{0x([0-9a-f]+),\s*0x([0-9a-f]+)\}", rows)]
    return [first for first, _ in pairs], [bits for _, bits in pairs]


def _bits(character: str) -> int:
    firsts, bits = _runs()
    return bits[bisect.bisect_right(firsts, ord(character)) - 1]


def _joins(text: str, at: int) -> bool:
    """Whether no boundary lies before text[at]."""
    kinds = [CLASSES[_bits(character) & 31] for character in text]
    newline, ignored = ("CR", "LF", "Newline"), ("Extend", "Format", "ZWJ")
    previous, this = kinds[at - 1], kinds[at]
    if previous == "CR" and this == "LF":
        return True
    if previous in newline or this in newline:
        return False
    if previous == "ZWJ" and _bits(text[at]) & PICTOGRAPH:
        return True
    if previous == this == "WSegSpace":
        return True
    if this in ignored:
        return True
    # WB4: what follows sees the text without marks and format characters, save those that begin it or a line.
    kept = [i for i in range(len(text)) if kinds[i] not in ignored or i == 0 or kinds[i - 1] in newline]
    before = [kinds[i] for i in kept if i < at]
    after = [kinds[i] for i in kept if i > at]
    left, left2 = before[-1], before[-2] if len(before) > 1 else ""
    right = after[0] if after else ""
    letter, mid_letter, mid_number = ("ALetter", "Hebrew"), ("MidLetter", "MidNumLet", "SQ"), ("MidNum", "MidNumLet", "SQ")
    wordy = (*letter, "Numeric", "Katakana", "ExtendNumLet")
    flags = 0
    for kind in reversed(before):
        if kind != "RI":
            break
        flags += 1
    return any(
        (
            left in letter and this in letter,
            left in letter and this in mid_letter and right in letter,
            left2 in letter and left in mid_letter and this in letter,
            left == "Hebrew" and this == "SQ",
            left == "Hebrew" and this == "DQ" and right == "Hebrew",
            left2 == "Hebrew" and left == "DQ" and this == "Hebrew",
            left in (*letter, "Numeric") and this in (*letter, "Numeric"),
            left2 == "Numeric" and left in mid_number and this == "Numeric",
            left == "Numeric" and this in mid_number and right == "Numeric",
            left == "Katakana" and this == "Katakana",
            left in wordy and this == "ExtendNumLet",
            left == "ExtendNumLet" and this in wordy,
            this == "RI" and flags % 2 == 1,
        )
    )


def word_break(text: str) -> list[int]:
    """The ends of the segments, in characters."""
    return [at for at in range(1, len(text)) if not _joins(text, at)] + ([len(text)] if text else [])
