"""Reading text values, as docs/design/0005 lays them out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from vicino.text.analyzer import Analyzer, Text


@dataclass(frozen=True)
class Value:
    length: int
    terms: dict[str, list[int]]  # positions; without them as many zeros as occurrences


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def read_value(data: bytes) -> Value:
    flags = data[0]
    assert flags in (0, 1)
    length, at = _varint(data, 1)
    n_terms, at = _varint(data, at)
    terms: dict[str, list[int]] = {}
    before = b""
    for _ in range(n_terms):
        size, at = _varint(data, at)
        term, at = data[at : at + size], at + size
        assert before < term, "terms ascend"
        before = term
        tf, at = _varint(data, at)
        positions, position = [], 0
        for _ in range(tf):
            if flags:
                gap, at = _varint(data, at)
                position += gap
            positions.append(position)
        terms[term.decode()] = positions
    assert at == len(data)
    return Value(length, terms)


def values(analyzer: Analyzer, texts: list[Text], *, positions: bool = True) -> list[Value | None]:
    data, offsets, present, _ = analyzer.analyze_many(texts, positions=positions)
    assert len(offsets) == len(texts) + 1
    assert offsets[-1] == len(data)
    parts = [data[int(start) : int(end)] for start, end in pairwise(offsets)]
    assert all(bool(part) == bool(there) for part, there in zip(parts, present, strict=True))
    return [read_value(part) if part else None for part in parts]


def terms_of(analyzer: Analyzer, text: Text) -> dict[str, list[int]]:
    (value,) = values(analyzer, [text])
    assert value is not None
    return value.terms


def words_of_query(analyzer: Analyzer, text: str, *languages: str) -> list[list[str]]:
    return [[term.decode() for term, _ in forms] for forms in analyzer.query_terms(text, languages)]
