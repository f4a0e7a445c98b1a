"""Write core/text/text_tables.h: what the analyzers know about characters, from a copy of the Unicode character database.

`python scripts/make_text_tables.py FOLDER > core/text/text_tables.h`, where FOLDER holds UnicodeData.txt and its companions (Debian's
package unicode-data puts them into /usr/share/unicode). All tables are runs, so that the file stays small; core/text/characters.cpp
spreads them into an array once. A change of the Unicode version changes terms: raise ANALYZER_VERSION in vicino/text/analyzer.py with it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

WORD_BREAK = [
    "Other", "CR", "LF", "Newline", "Extend", "ZWJ", "Format", "Katakana", "Hebrew_Letter", "ALetter", "MidLetter", "MidNum", "MidNumLet",
    "Numeric", "ExtendNumLet", "Regional_Indicator", "WSegSpace", "Single_Quote", "Double_Quote",
]  # fmt: skip
SCRIPTS = [
    "Other", "Latin", "Greek", "Cyrillic", "Arabic", "Hebrew", "Devanagari", "Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer",
    "Myanmar", "Hangul",
]  # fmt: skip
IS_WORD, IS_PICTOGRAPH, IS_MARK = 1 << 9, 1 << 10, 1 << 11
LAST = 0x110000


def rows(path: Path) -> Iterator[tuple[int, int, list[str]]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.split("#")[0].strip()
        if line and not line.startswith("@"):
            codes, *values = [part.strip() for part in line.split(";")]
            first, _, last = codes.partition("..")
            yield int(first, 16), int(last or first, 16), values


def unicode_data(folder: Path) -> Iterator[tuple[int, int, list[str]]]:
    first = 0
    for line in (folder / "UnicodeData.txt").read_text(encoding="utf-8").splitlines():
        code, *values = line.split(";")
        if values[0].endswith("First>"):
            first = int(code, 16)
            continue
        yield (first if values[0].endswith("Last>") else int(code, 16)), int(code, 16), values


def properties(folder: Path) -> list[tuple[int, int]]:
    """Runs (first, bits): word break class in bits 0-4, script in bits 5-8, then the flags above."""
    bits = [0] * LAST
    for first, last, values in rows(folder / "auxiliary/WordBreakProperty.txt"):
        for code in range(first, last + 1):
            bits[code] |= WORD_BREAK.index(values[0])
    for first, last, values in rows(folder / "Scripts.txt"):
        if values[0] in SCRIPTS:
            for code in range(first, last + 1):
                bits[code] |= SCRIPTS.index(values[0]) << 5
    for first, last, values in unicode_data(folder):
        category = values[1]
        flags = IS_WORD * (category[0] in "LMN") | IS_MARK * (category[0] == "M")
        for code in range(first, last + 1):
            bits[code] |= flags
    for first, last, values in rows(folder / "emoji/emoji-data.txt"):
        if values[0] == "Extended_Pictographic":
            for code in range(first, last + 1):
                bits[code] |= IS_PICTOGRAPH
    return [(code, bits[code]) for code in range(LAST) if code == 0 or bits[code] != bits[code - 1]]


def runs(pairs: list[tuple[int, int]]) -> list[tuple[int, int, int, int]]:
    """Runs (first, last, stride, delta) of a mapping of one character to one."""
    found: list[list[int]] = []
    for code, mapped in pairs:
        if found and mapped - code == found[-1][3]:
            run = found[-1]
            if run[0] == run[1] and code - run[0] <= 2:
                run[1], run[2] = code, code - run[0]
                continue
            if run[0] != run[1] and code - run[1] == run[2]:
                run[1] = code
                continue
        found.append([code, code, 1, mapped - code])
    return [tuple(run) for run in found]  # type: ignore[misc]


def combining(folder: Path) -> list[tuple[int, int, int]]:
    found: list[list[int]] = []
    for first, last, values in unicode_data(folder):
        order = int(values[2])
        if order and found and found[-1][2] == order and found[-1][1] + 1 == first:
            found[-1][1] = last
        elif order:
            found.append([first, last, order])
    return [tuple(run) for run in found]  # type: ignore[misc]


def foldings(folder: Path) -> tuple[list[tuple[int, int]], list[tuple[int, list[int]]], list[tuple[int, int]]]:
    """NFKC_Casefold: to one character, to several, and the ranges that vanish."""
    single: list[tuple[int, int]] = []
    several: list[tuple[int, list[int]]] = []
    gone: list[tuple[int, int]] = []
    for first, last, values in rows(folder / "DerivedNormalizationProps.txt"):
        if values[0] != "NFKC_CF":
            continue
        mapped = [int(code, 16) for code in values[1].split()]
        if not mapped:
            if gone and gone[-1][1] + 1 == first:
                gone[-1] = gone[-1][0], last
            else:
                gone.append((first, last))
            continue
        for code in range(first, last + 1):
            if len(mapped) == 1:
                single.append((code, mapped[0]))
            else:
                several.append((code, mapped))
    return sorted(single), sorted(several), sorted(gone)


def canonical(folder: Path) -> tuple[list[tuple[int, int, int, int]], list[tuple[int, int]]]:
    """Canonical decompositions (character, first, second or 0, 1 where the pair composes again)."""
    excluded = {
        code
        for first, last, values in rows(folder / "DerivedNormalizationProps.txt")
        if values[0] == "Full_Composition_Exclusion"
        for code in range(first, last + 1)
    }
    pairs, singles = [], []
    for first, _, values in unicode_data(folder):
        if values[4] and not values[4].startswith("<"):
            mapped = [int(code, 16) for code in values[4].split()]
            if len(mapped) == 2:
                pairs.append((first, *mapped, int(first not in excluded)))
            else:
                singles.append((first, mapped[0]))
    return pairs, singles


def hexadecimal(rows: list[tuple[int, ...]], decimal: int = 0) -> str:
    """Rows as C++; the last `decimal` numbers of each in decimal."""
    cells = []
    for row in rows:
        split = len(row) - decimal
        cells.append("{" + ",".join([f"0x{value:x}" for value in row[:split]] + [str(value) for value in row[split:]]) + "},")
    lines, line = [], ""
    for cell in cells:
        if len(line) + len(cell) > 150:
            lines.append(line)
            line = ""
        line += cell
    return "\n".join([*lines, line])


def main() -> None:
    folder = Path(sys.argv[1])
    heading = (folder / "auxiliary/WordBreakProperty.txt").read_text(encoding="utf-8").splitlines()[0]
    version = re.search(r"-([\d.]+)\.txt", heading)
    assert version, heading
    single, several, gone = foldings(folder)
    pairs, singles = canonical(folder)
    flat: list[int] = []
    index: list[tuple[int, ...]] = []
    for code, mapped in several:
        index.append((code, len(flat), len(mapped)))
        flat += mapped
    numbers = hexadecimal([(value,) for value in flat]).replace("{", "").replace("}", "")
    print(f"""\
// Generated by scripts/make_text_tables.py from Unicode {version[1]}. Do not edit.
#pragma once
#include <cstdint>

namespace vicino::text {{

inline constexpr char kUnicodeVersion[] = "{version[1]}";

enum class WordBreak : std::uint8_t {{
  {", ".join(name.lower() for name in WORD_BREAK)}
}};

enum class Script : std::uint8_t {{
  {", ".join(name.lower() for name in SCRIPTS)}
}};

namespace tables {{

/// From `first` to the next row: word break class in bits 0-4, script in bits 5-8, then is word (category L, M or N), pictograph, mark.
struct PropertyRun {{ std::uint32_t first; std::uint16_t bits; }};
/// The characters first, first + stride, ... last map to themselves plus delta.
struct MapRun {{ std::uint32_t first, last; std::uint8_t stride; std::int32_t delta; }};
struct LongMap {{ std::uint32_t character; std::uint16_t at; std::uint8_t size; }};
struct Range {{ std::uint32_t first, last; }};
struct ClassRange {{ std::uint32_t first, last; std::uint8_t order; }};
struct Pair {{ std::uint32_t character, first, second; std::uint8_t composes; }};
struct Single {{ std::uint32_t character, mapped; }};

inline constexpr PropertyRun kProperties[] = {{
{hexadecimal(properties(folder))}
}};

/// NFKC_Casefold of one character to one.
inline constexpr MapRun kFoldSingle[] = {{
{hexadecimal(runs(single), 2)}
}};

/// NFKC_Casefold of one character to several: `size` characters of kFoldText from `at`.
inline constexpr LongMap kFoldSeveral[] = {{
{hexadecimal(index, 2)}
}};

inline constexpr std::uint32_t kFoldText[] = {{
{numbers}
}};

/// NFKC_Casefold takes these away.
inline constexpr Range kFoldGone[] = {{
{hexadecimal(gone)}
}};

/// Canonical combining classes.
inline constexpr ClassRange kCombining[] = {{
{hexadecimal(combining(folder), 1)}
}};

/// Canonical decompositions into two characters.
inline constexpr Pair kPairs[] = {{
{hexadecimal(pairs, 1)}
}};

/// Canonical decompositions into one character.
inline constexpr Single kSingles[] = {{
{hexadecimal(singles)}
}};

}}  // namespace tables
}}  // namespace vicino::text""")


if __name__ == "__main__":
    main()
