"""Where the words of a query stand in the text of a hit, found with the analyzer that indexed it; looked up when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vicino.collection.lexical import index_of, texts_of
from vicino.query.part import Part
from vicino.query.parts import Text

Spans = dict[str, list[tuple[int, int]]]
"""By field, (start, end) in characters of its text; an element of a list is named like "tags[2]"."""


def highlighter(part: Part, settings: Any) -> Callable[[Any], Spans] | None:
    """What finds the words of all texts in a query; None for a query without words or a collection without text indexes."""
    leaves, texts = _texts_inside(part), texts_of(settings)
    if not leaves or not texts:
        return None
    return lambda hit: _spans(hit.fields, leaves, texts)


def _texts_inside(part: Part) -> list[Text]:
    """The texts that a hit may be found by; what must not be there is none of them."""
    if isinstance(part, Text):
        return [part]
    avoided = getattr(part, "must_not", ())
    return [leaf for inner in part.parts_inside if inner not in avoided for leaf in _texts_inside(inner)]


def _spans(fields: Mapping[str, Any], leaves: Sequence[Text], texts: Mapping[str, Any]) -> Spans:
    found: Spans = {}
    for leaf in leaves:
        names = [index_of(field, texts) for field, _ in leaf.weighted_fields] or list(texts)
        for name in names:
            entry = texts[name]
            languages = tuple(sorted(entry.languages))
            words = entry.spec.analyzer.query_terms(leaf.words, languages)
            wanted = [{term for term, _ in forms} for forms in words]
            for field in entry.spec.fields:
                for place, text in _texts_of(field, fields.get(field)):
                    spans = [
                        (start, end)
                        for start, end, terms in entry.spec.analyzer.spans(text, languages)
                        if any(_is_met(terms, forms, leaf, is_last=number == len(wanted) - 1) for number, forms in enumerate(wanted))
                    ]
                    if spans:
                        found[place] = sorted({*found.get(place, []), *spans})
    return found


def _texts_of(field: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(field, value)]
    if isinstance(value, list | tuple):
        return [(f"{field}[{index}]", text) for index, text in enumerate(value) if isinstance(text, str)]
    return []


def _is_met(terms: Sequence[bytes], forms: set[bytes], leaf: Text, *, is_last: bool) -> bool:
    if not forms.isdisjoint(terms):
        return True
    if leaf.prefix and is_last and any(term.startswith(form) for term in terms for form in forms):
        return True
    return bool(leaf.fuzzy) and any(_is_near(term.decode(), form.decode(), leaf.fuzzy) for term in terms for form in forms)


def _is_near(a: str, b: str, edits: int) -> bool:
    """Whether some few letters put in, left out or changed make one of the other."""
    if abs(len(a) - len(b)) > edits:
        return False
    previous = list(range(len(b) + 1))
    for row, letter in enumerate(a, start=1):
        current = [row]
        for column, other in enumerate(b, start=1):
            current.append(min(previous[column] + 1, current[-1] + 1, previous[column - 1] + (letter != other)))
        previous = current
    return previous[-1] <= edits
