"""Highlights: the pieces of a text that say why it was found, with exact character spans."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from vicino.errors import InvalidArgument
from vicino.text.analyzer import Analyzer


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of a text. `start`, `end` and `spans` are characters of the whole text, so that `text[a:b]` is the word that matched."""

    text: str
    start: int
    end: int
    spans: tuple[tuple[int, int], ...]

    def marked(self, before: str = "<b>", after: str = "</b>") -> str:
        """The fragment with marks around what matched. Nothing is escaped."""
        parts, at = [], self.start
        for start, end in self.spans:
            parts += [self.text[at - self.start : start - self.start], before, self.text[start - self.start : end - self.start], after]
            at = end
        return "".join([*parts, self.text[at - self.start :]])


def highlight(
    text: str,
    analyzer: Analyzer,
    query_terms: Iterable[bytes],
    *,
    languages: Iterable[str] = (),
    fragment_chars: int = 160,
    max_fragments: int = 3,
) -> list[Fragment]:
    """The fragments of a text that hold the most different query terms, in the order of the text.

    query_terms: terms, as `Analyzer.query_terms` or an index gives them (all forms, also what a prefix or a fuzzy word stands for).
    fragment_chars: about how long a fragment is; it ends at words, and is longer only where one match is.
    Returns at most `max_fragments`, none where nothing matches.
    """
    if fragment_chars < 1 or max_fragments < 1:
        raise InvalidArgument(f"fragment_chars and max_fragments must be at least 1, got {fragment_chars} and {max_fragments}")
    wanted = _telling(frozenset(query_terms))
    words = analyzer.spans(text, languages)
    hits = [(start, end, wanted.intersection(terms)) for start, end, terms in words if not wanted.isdisjoint(terms)]
    starts = sorted({start for start, _, _ in words})
    ends = sorted({end for _, end, _ in words})
    chosen: list[tuple[int, int]] = []
    for first, last in _windows(hits, fragment_chars):
        start, end = _widened(hits[first][0], max(end for _, end, _ in hits[first : last + 1]), fragment_chars, starts, ends)
        if all(end <= other_start or start >= other_end for other_start, other_end in chosen):
            chosen.append((start, end))
        if len(chosen) == max_fragments:
            break
    return [Fragment(text[start:end], start, end, _merged(hits, start, end)) for start, end in sorted(chosen)]


def _telling(terms: frozenset[bytes]) -> frozenset[bytes]:
    """The terms without the single characters of pairs: where no spaces part words, each would be marked all over a text."""
    characters = {term for term in terms if term[0] >= 0xE0 and len(term.decode()) <= 2}
    return terms - {term for term in characters if any(term != other and other.startswith(term) for other in characters)}


Hits = list[tuple[int, int, frozenset[bytes]]]


def _windows(hits: Hits, size: int) -> list[tuple[int, int]]:
    """Runs of hits that fit into a fragment: those with the most different terms first, then with the most hits, then the earliest."""
    found = []
    for first in range(len(hits)):
        last = first
        terms = set(hits[first][2])
        while last + 1 < len(hits) and hits[last + 1][1] - hits[first][0] <= size:
            last += 1
            terms |= hits[last][2]
        found.append((-len(terms), first - last, first, last))
    return [(first, last) for _, _, first, last in sorted(found)]


def _widened(start: int, end: int, size: int, starts: list[int], ends: list[int]) -> tuple[int, int]:
    """The hits' range with words around it, a third of the room before and the rest behind."""
    room = max(0, size - (end - start))
    before = bisect_left(starts, start - room // 3)
    start = min(start, starts[before])
    after = bisect_right(ends, start + max(size, end - start)) - 1
    return start, max(end, ends[after])


def _merged(hits: Hits, start: int, end: int) -> tuple[tuple[int, int], ...]:
    """The hits within a fragment; overlapping ones (pairs of characters) become one."""
    spans: list[tuple[int, int]] = []
    for hit_start, hit_end, _ in hits:
        if hit_start < start or hit_end > end:
            continue
        if spans and hit_start < spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], hit_end)
        else:
            spans.append((hit_start, hit_end))
    return tuple(spans)
