"""The pieces of a hit's text that hold words of the query, found with the analyzer that indexed it; looked up when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vicino.collection.lexical import index_of
from vicino.query.part import Part
from vicino.query.parts import Text
from vicino.text.highlight import Fragment, highlight

Highlights = dict[str, list[Fragment]]
"""By field, the pieces of its text that hold words of the query; an element of a list is named like "tags[2]"."""


def highlighter(part: Part, settings: Any) -> Callable[[Any], Highlights] | None:
    """What finds the words of all texts in a query; None for a query without words or a collection without text indexes."""
    leaves, texts = _texts_inside(part), settings.texts
    if not leaves or not texts:
        return None
    return lambda hit: _highlights(hit.fields, leaves, texts)


def _texts_inside(part: Part) -> list[Text]:
    """The texts that a hit may be found by; what must not be there is none of them."""
    if isinstance(part, Text):
        return [part]
    avoided = getattr(part, "must_not", ())
    return [leaf for inner in part.parts_inside if inner not in avoided for leaf in _texts_inside(inner)]


def _highlights(fields: Mapping[str, Any], leaves: Sequence[Text], texts: Mapping[str, Any]) -> Highlights:
    leaves_of: dict[str, list[Text]] = {}
    for leaf in leaves:
        for name in [index_of(field, texts) for field, _ in leaf.weighted_fields] or list(texts):
            leaves_of.setdefault(name, []).append(leaf)
    found: Highlights = {}
    for name, asked in leaves_of.items():
        spec, languages = texts[name].spec, tuple(sorted(texts[name].languages))
        for field in spec.fields:
            for place, text in _texts_of(field, fields.get(field)):
                terms = {term for leaf in asked for term in _terms(text, leaf, spec.analyzer, languages)}
                if fragments := highlight(text, spec.analyzer, terms, languages=languages):
                    found[place] = fragments
    return found


def _terms(text: str, leaf: Text, analyzer: Any, languages: tuple[str, ...]) -> set[bytes]:
    """The terms that the words of a query stand for: their forms, and in this text what a prefix or a misspelt word may mean."""
    words = [{term for term, _ in forms} for forms in analyzer.query_terms(leaf.words, languages)]
    terms = set[bytes]().union(*words)
    if words and (leaf.prefix or leaf.fuzzy):
        there = {term for _, _, spelled in analyzer.spans(text, languages) for term in spelled}
        if leaf.prefix:
            terms |= {term for term in there if any(term.startswith(form) for form in words[-1])}
        if leaf.fuzzy:
            terms |= {term for term in there if any(_is_near(term.decode(), form.decode(), leaf.fuzzy) for form in set(terms))}
    return terms


def _texts_of(field: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(field, value)]
    if isinstance(value, list | tuple):
        return [(f"{field}[{index}]", text) for index, text in enumerate(value) if isinstance(text, str)]
    return []


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
