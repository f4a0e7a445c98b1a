"""The leaves over values: words by text indexes, sparse vectors, multi-vectors.

A `Text` part names fields; each is read by the text index over it, whose analyzer turns the words into terms. Fields whose analyzers see
the same words are scored together (BM25F); where they differ, each field is scored by itself and the scores are added.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vicino import _core
from vicino.errors import DimensionError, InvalidArgument, NotReadyError, did_you_mean
from vicino.query import parts as p
from vicino.query.fusion import EMPTY, Ranking
from vicino.query.plan import Stage

Clause = tuple[Any, ...]


def text_ranking(run: Any, part: p.Text | p.Bool, k: int, matches: Any, stage: Stage) -> Ranking:
    texts = run.settings.texts
    if not texts:
        raise InvalidArgument(
            f'collection "{run.searcher.name}" has no text index to search by words; make one with add_text("title") or create the '
            'collection with text="title"'
        )
    if len(texts) == 1 and isinstance(part, p.Text) and p.is_plain(part):
        query, names = _plain_query(run, part, texts)
    else:
        query, names = _query(run, part, texts)
    if query is None:  # words of which the analyzer leaves nothing
        return EMPTY
    locators, scores, stats = run.snapshot.search_text(query, k, matches, run.cancel)
    stage.candidates, stage.details = sum([entry["rows_scored"] for entry in stats]), {"fields": names}
    return Ranking(locators, np.asarray(scores, np.float64))


def _plain_query(run: Any, part: p.Text, texts: Mapping[str, Any]) -> tuple[Any, str]:
    """The core's query for any of some words in the only text index, and the index's name."""
    ((name, entry),) = texts.items()
    expect_ready(run.searcher, run.snapshot, [name], texts)
    spec = entry.spec
    return spec.analyzer._words_query(part.words, entry.languages, (entry.slot, 1.0, spec.k1, spec.b)), name


def _query(run: Any, part: p.Text | p.Bool, texts: Mapping[str, Any]) -> tuple[Any, str]:
    """The core's query, and the names of the text indexes it reads."""
    names = _names(part, texts)
    expect_ready(run.searcher, run.snapshot, names, texts)
    _expect_positions(run, part, texts)
    clause = _clause(part, texts, {name: place for place, name in enumerate(names)})
    if clause is None:
        return None, ""
    weights = _boosts(part, texts)
    fields = [(texts[name].slot, weights.get(name, 1.0), texts[name].spec.k1, texts[name].spec.b) for name in names]
    filtered = any(leaf.statistics == "matches" for leaf in _leaves(part))
    return _core.TextQuery(fields, clause, filtered), ", ".join(names)


def sparse_ranking(run: Any, part: p.Sparse, k: int, matches: Any, stage: Stage) -> Ranking:
    name, entry = _value(run, part.vector, "sparse")
    idf = entry.spec.idf if part.idf is None else part.idf
    found = run.snapshot.search_sparse(entry.slot, part.x.indices, part.x.values, idf, k, matches, run.cancel)
    locators, scores, stats = found
    stage.candidates, stage.details = sum(each["rows_scored"] for each in stats), {"vector": name}
    return Ranking(locators, np.asarray(scores, np.float64))


def multi_ranking(run: Any, part: p.MultiVector, k: int, matches: Any, stage: Stage) -> Ranking:
    from vicino.collection.core_columns import core_values

    name, entry = _value(run, part.vector, "multi")
    if part.x.shape[1] != entry.spec.dim:
        raise DimensionError(
            f'multi-vector "{name}" of collection "{run.searcher.name}" has {entry.spec.dim} dimensions, the query has {part.x.shape[1]}'
        )
    column = core_values(entry.slot, entry.spec)
    locators, scores, tokens, stats = run.snapshot.search_multi(column, part.x, k, part.exact or run.exact, matches, run.cancel)
    run.matched[stage.label] = (locators, tokens)
    stage.candidates, stage.details = sum(each["rows_scored"] for each in stats), {"vector": name}
    return Ranking(locators, np.asarray(scores, np.float64))


def _value(run: Any, name: str | None, kind: str) -> tuple[str, Any]:
    """The sparse or multi-vector that is searched. Raises InvalidArgument with the names there are."""
    known = {each: entry for each, entry in run.settings.values.items() if entry.spec.to_json()["kind"] == kind}
    what = "sparse vector" if kind == "sparse" else "multi-vector"
    if name is None:
        if len(known) == 1:
            return next(iter(known.items()))
        hint = f"say with vector= which one: {', '.join(known)}" if known else "declare one with add_vector"
        raise InvalidArgument(f'collection "{run.searcher.name}" has {len(known) or "no"} {what}{"s" if len(known) != 1 else ""}; {hint}')
    if name not in known:
        raise InvalidArgument(f'collection "{run.searcher.name}" has no {what} "{name}".{did_you_mean(name, known)}')
    return name, known[name]


# ---- words


def _names(part: p.Text | p.Bool, texts: Mapping[str, Any]) -> list[str]:
    """The text indexes that a query reads, each once."""
    if isinstance(part, p.Bool):
        return list(dict.fromkeys(name for inner in part.parts_inside for name in _names(inner, texts)))  # type: ignore[arg-type]
    return list(dict.fromkeys(index_of(field, texts) for field, _ in part.weighted_fields)) or list(texts)


def index_of(field: str, texts: Mapping[str, Any]) -> str:
    """The text index of this name, or the one over just this field."""
    if field in texts:
        return field
    for name, entry in texts.items():
        if tuple(entry.spec.fields) == (field,):
            return name
    raise InvalidArgument(f'there is no text index over field "{field}".{did_you_mean(field, texts)}')


def expect_ready(searcher: Any, snapshot: _core.Snapshot, names: list[str], texts: Mapping[str, Any]) -> None:
    """Raises NotReadyError while a text index lacks records."""
    for name in names:
        if left := snapshot.n_uncovered(texts[name].slot):
            raise NotReadyError(
                f'text index "{name}" of collection "{searcher.name}" is being built, {left:,} records are left; wait for its job'
            )


def _expect_positions(run: Any, part: p.Text | p.Bool, texts: Mapping[str, Any]) -> None:
    for leaf in _leaves(part):
        for name in _names(leaf, texts) if leaf.phrase else ():
            if not texts[name].spec.positions:
                raise InvalidArgument(
                    f'a phrase needs the positions of words, and text index "{name}" of collection "{run.searcher.name}" was made with '
                    "positions=False; leave phrase= out, name other fields, or make the index anew"
                )


def _boosts(part: p.Text | p.Bool, texts: Mapping[str, Any]) -> dict[str, float]:
    """The weight of each text index. One weight holds in a whole query, as its fields are scored together."""
    found: dict[str, float] = {}
    for leaf in _leaves(part):
        for field, weight in leaf.weighted_fields:
            name = index_of(field, texts)
            if found.setdefault(name, weight) != weight:
                raise InvalidArgument(f'field "{field}" weighs {found[name]:g} and {weight:g} in one query; give it one weight, or boost=')
    return found


def _leaves(part: p.Text | p.Bool) -> list[p.Text]:
    return [part] if isinstance(part, p.Text) else [leaf for inner in part.parts_inside for leaf in _leaves(inner)]  # type: ignore[arg-type]


def _clause(part: p.Text | p.Bool, texts: Mapping[str, Any], places: Mapping[str, int]) -> Clause | None:
    """A part as the core takes it; None when no words are left of it."""
    if isinstance(part, p.Text):
        return _text_clause(part, texts, places)
    sides = [[_clause(inner, texts, places) for inner in side] for side in (part.must, part.should, part.must_not)]  # type: ignore[arg-type]
    must, should, must_not = ([clause for clause in side if clause is not None] for side in sides)
    if not must and not should:
        return None
    minimum = (0 if part.must else 1) if part.minimum is None else part.minimum
    return ("bool", must, should, must_not, min(minimum, len(should)))


def _text_clause(part: p.Text, texts: Mapping[str, Any], places: Mapping[str, int]) -> Clause | None:
    names = _names(part, texts)
    groups: list[tuple[list[int], list[list[tuple[int, bytes, float]]]]] = []
    for name in names:
        entry = texts[name]
        read = entry.spec.analyzer.query_positions(part.words, tuple(sorted(entry.languages)))
        positions = [position for position, _ in read]
        words = [[(places[name], term, weight) for term, weight in forms] for _, forms in read]
        if groups and groups[-1][0] == positions:
            for together, forms in zip(groups[-1][1], words, strict=True):
                together += forms
        elif words:
            groups.append((positions, words))
    clauses = [_words_clause(part, positions, words) for positions, words in groups]
    if not clauses:
        return None
    clause = clauses[0] if len(clauses) == 1 else ("bool", [], clauses, [], 1)
    return clause if part.boost == 1.0 else ("boost", clause, part.boost)


def _words_clause(part: p.Text, positions: list[int], words: list[list[tuple[int, bytes, float]]]) -> Clause:
    if part.phrase:
        return ("phrase", words, [position - positions[0] for position in positions], part.slop)
    minimum = _minimum(part, len(words))
    if not part.prefix and not part.fuzzy:
        return ("words", words, minimum)
    single = [("fuzzy", [word], part.expansions, part.fuzzy, part.fuzzy_prefix) if part.fuzzy else ("words", [word], 1) for word in words]
    if part.prefix:
        single[-1] = ("prefix", [words[-1]], part.expansions)
    return ("bool", [], single, [], minimum)


def _minimum(part: p.Text, n_words: int) -> int:
    if part.operator == "and":
        return n_words
    if part.minimum is None:
        return 1
    if isinstance(part.minimum, str):
        return max(1, n_words * int(part.minimum[:-1]) // 100)
    return min(max(1, part.minimum), n_words)
