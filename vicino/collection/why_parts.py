"""What each part of a query did with one record, and where the record was lost.

The query runs as it always does, with a trace of what every part was asked for and gave back. A part that combines is then run again on
the very rankings its parts gave, without its limit. A leaf is asked about this record alone, which says whether it can find it at all, and
exactly and deep, which says at what rank.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vicino.collection.executing import RUN, Execution
from vicino.collection.leaves import LEAVES
from vicino.collection.lexical import index_of
from vicino.filter.model import HasId
from vicino.query import parts as p
from vicino.query.examples import ByExample, Like
from vicino.query.fusion import Ranking
from vicino.query.part import Part
from vicino.query.plan import Stage
from vicino.query.why import Finding, StageName

RANK_MAX = 100_000
"""How far back a record's rank is looked for."""
TERMS_SHOWN = 12


@dataclass(slots=True)
class Trace:
    """One part as it ran: out of `matches` it was asked for `k` records and gave `ranking`."""

    part: Part
    k: int
    matches: Any
    label: str = ""
    ranking: Ranking | None = None
    inside: list[Trace] = field(default_factory=list)


class Traced(Execution):
    """An execution that remembers what every part was asked for and gave back; `root` is the outermost part as it ran last."""

    root: Trace
    _inner: list[Trace] | None = None

    def run(self, part: Part, k: int, matches: Any) -> Ranking:
        trace = Trace(part, k, matches)
        outer = self._inner
        if outer is None:
            self.root = trace
        else:
            outer.append(trace)
        self._inner = trace.inside
        try:
            trace.ranking = super().run(part, k, matches)
        finally:
            self._inner = outer
        trace.label = next((label for label, ranking in self.rankings.items() if ranking is trace.ranking), part.tag)
        return trace.ranking


class _Replay:
    """An execution in which the parts inside have been run already: they give what they gave, in the same order."""

    def __init__(self, run: Traced, trace: Trace) -> None:
        self._run, self._left = run, list(trace.inside)

    def run(self, _part: Part, _k: int, _matches: Any) -> Ranking:
        ranking = self._left.pop(0).ranking
        assert ranking is not None
        return ranking

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)


def record_of(ranking: Ranking, locator: int) -> tuple[int, float] | None:
    """Rank, from 1, and score of a record in a ranking."""
    (places,) = np.nonzero(ranking.locators == locator)
    return (int(places[0]) + 1, float(ranking.scores[places[0]])) if len(places) else None


def diagnosed(run: Traced, trace: Trace, locator: int) -> Finding:
    """What a part did with the record."""
    assert trace.ranking is not None
    inside = [diagnosed(run, inner, locator) for inner in trace.inside]
    found = record_of(trace.ranking, locator)
    if found is not None:
        rank, score = found
        text = f"rank {rank} of {len(trace.ranking):,}, score {score:.6g}"
        return Finding(trace.label, text, rank=rank, score=score, inside=inside)
    if type(trace.part) in LEAVES:
        return _of_leaf(run, trace, locator)
    finding = _of_combining(run, trace, locator, inside)
    finding.inside = inside
    return finding


# ---- parts that combine


_CUT_BY: dict[type[Part], StageName] = {
    p.Fuse: "fusion",
    p.Formula: "formula",
    p.Boost: "formula",
    p.Rescore: "rescoring",
    p.Diverse: "diversity",
    p.Rerank: "rerank",
    p.Prefetch: "prefetch",
}


def moved_back(part: Part, finding: Finding, end: int) -> tuple[StageName, str] | None:
    """What put a record behind place `end` that a part inside had before it; None when no part had."""
    stage = _CUT_BY.get(type(part))
    ahead = [inner for inner in finding.inside if inner.rank is not None and inner.lost is None and inner.rank <= end]
    if stage is None or not ahead:
        return None
    return stage, f"its rank is {finding.rank} after {stage}, and the page ends with {end} (ranks inside: {_sides(finding.inside)})"


def _sides(inside: list[Finding]) -> str:
    """The ranks that the parts inside gave the record, or would have given it."""
    ranks = ["-" if inner.rank is None else f"{inner.rank}{'' if inner.lost is None else ' (not taken)'}" for inner in inside]
    return ", ".join(f"{inner.label} {rank}" for inner, rank in zip(inside, ranks, strict=True))


def _of_combining(run: Traced, trace: Trace, locator: int, inside: list[Finding]) -> Finding:
    part, label = trace.part, trace.label
    whole: Ranking = RUN[type(part)](_Replay(run, trace), part, trace.k, trace.matches, Stage(part.tag, label, trace.k))  # type: ignore[arg-type]
    found = record_of(whole, locator)
    if found is not None:
        rank, score = found
        text = (
            f"rank {rank} by {_CUT_BY[type(part)]}, score {score:.6g}, and the first {trace.k:,} are taken (ranks inside: {_sides(inside)})"
        )
        return Finding(label, text, lost=_CUT_BY[type(part)], rank=rank, score=score)
    if isinstance(part, p.Prefetch):
        return _of_prefetch(run, trace, locator, inside[0])
    lost = [inner for inner in inside if inner.lost is not None]
    if not lost:
        return Finding(label, "no part of it lost the record, and it is not in its ranking", lost=_CUT_BY[type(part)])
    # Where several parts could have found it, the one that came nearest says most.
    nearest = min(lost, key=lambda inner: (inner.rank is None, inner.rank or 0))
    stage: StageName = "prefetch" if nearest.lost == "limit" else nearest.lost or "prefetch"
    none = "no part inside found it" if len(lost) > 1 else f"{nearest.label} did not find it"
    return Finding(label, f"{none}: {nearest.text}", lost=stage)


def _of_prefetch(run: Traced, trace: Trace, locator: int, inner: Finding) -> Finding:
    part = trace.part
    assert isinstance(part, p.Prefetch)
    if part.where is not None and run.narrowed(part.where, run.snapshot.matches_of(np.array([locator], np.int64))).count == 0:
        from vicino.filter.render import render

        return Finding(trace.label, f"its own condition {render(part.where)} does not hold", lost="filter")
    if inner.lost is None:
        return Finding(trace.label, f"its score {inner.score:.6g} is below min_score={part.min_score:g}", lost="threshold", rank=inner.rank)
    stage: StageName = "prefetch" if inner.lost == "limit" else inner.lost
    return Finding(trace.label, inner.text, lost=stage, rank=inner.rank)


# ---- leaves


def _of_leaf(run: Traced, trace: Trace, locator: int) -> Finding:
    part, label = trace.part, trace.label
    if isinstance(part, p.Sample):
        return Finding(label, f"chance: {trace.k:,} records were drawn, and this was not one of them", lost="sample")
    (record_id,) = run.snapshot.ids(np.array([locator], np.int64))
    if trace.matches is not None and run.narrowed(HasId((record_id,)), trace.matches).count == 0:
        return Finding(label, "it was not among the records that this part was asked about", lost="prefetch")
    if isinstance(part, ByExample) and locator in _examples(run, part):
        return Finding(label, "it is an example itself, and those are left out", lost="example")
    alone = _asked(run, trace, 1, run.snapshot.matches_of(np.array([locator], np.int64)))
    if not len(alone):
        return _not_to_be_found(run, trace, locator)
    score = float(alone.scores[0])
    deep = _asked(run, trace, min(RANK_MAX, run.n_max), trace.matches)
    found = record_of(deep, locator)
    if found is None:
        return Finding(label, f"score {score:.6g}, farther back than rank {RANK_MAX:,}", lost="limit", score=score)
    rank, score = found
    if rank <= trace.k and isinstance(part, p.Dense | Like | p.MultiVector):
        return _missed(run, trace, locator, rank, score)
    text = f"exact rank {rank:,}, score {score:.6g}, and the first {trace.k:,} are taken"
    return Finding(label, text, lost="limit", rank=rank, score=score)


def _exactly(part: Part) -> Part:
    return replace(part, exact=True) if isinstance(part, p.Dense | p.MultiVector) else part


def _asked(run: Traced, trace: Trace, k: int, matches: Any) -> Ranking:
    """The leaf's ranking when it is asked exactly; nothing is added to the trace or the plan."""
    part, stage = _exactly(trace.part), Stage(trace.part.tag, trace.label, k)
    was_exact, run.exact = run.exact, True  # examples that are averaged walk as well
    try:
        return LEAVES[type(part)](run, part, k, matches, stage).first(k)
    finally:
        run.exact = was_exact


def _missed(run: Traced, trace: Trace, locator: int, rank: int, score: float) -> Finding:
    """The record is near enough, and was not found: because of the walk, or of the codes it goes by."""
    ranking = trace.ranking
    assert ranking is not None
    if len(ranking) and np.isclose(score, ranking.scores[-1], rtol=1e-6, atol=1e-7):
        return Finding(trace.label, f"score {score:.6g}, as far as the last record taken; such ties go by place", lost="limit", rank=rank)
    if isinstance(trace.part, p.Dense):
        return _missed_by_effort(run, trace, trace.part, locator, rank, score)
    text = f"exact rank {rank}, score {score:.6g}: the search did not come by; an exact one finds it"
    return Finding(trace.label, text, lost="graph", rank=rank, score=score)


def _missed_by_effort(run: Traced, trace: Trace, part: p.Dense, locator: int, rank: int, score: float) -> Finding:
    """Whether the vectors of more of what codes found, or more effort, find the record: a wider beam, or more lists."""
    spec, place = run.searcher.target(part.vector).spec.index_spec, f"exact rank {rank}, score {score:.6g}"

    def finds(wider: p.Dense) -> bool:
        ranking = LEAVES[p.Dense](run, wider, trace.k, trace.matches, Stage("", "", trace.k))
        return record_of(ranking, locator) is not None

    rescore = part.rescore if part.rescore is not None else spec.rescore if part.recall is None else "bound"
    if rescore != "bound" and finds(replace(part, rescore="bound")):
        text = f'{place}: by its code it is too far off, and rescore={rescore!r} reads too few vectors; rescore="bound" finds it'
        return Finding(trace.label, text, lost="code", rank=rank, score=score)
    by_lists = spec.has_lists
    name, missed = ("nprobe", "its list was not probed") if by_lists else ("ef", "the walk went past it")
    effort = 2 * (part.nprobe or spec.nprobe or 1) if by_lists else 2 * max(64, trace.k, part.ef or 0)
    while effort < 2 * run.n_max:
        if finds(replace(part, recall=None, **{"ef": None, "nprobe": None, name: effort})):
            text = f"{place}: {missed}; {name}={effort} finds it, as exact=True does"
            return Finding(trace.label, text, lost="lists" if by_lists else "graph", rank=rank, score=score)
        effort *= 2
    text = f"{place}: no {name} finds it, so its code places it too far off; exact=True finds it"
    return Finding(trace.label, text, lost="code", rank=rank, score=score)


def _not_to_be_found(run: Traced, trace: Trace, locator: int) -> Finding:
    """The leaf does not find the record even among no others."""
    part, label = trace.part, trace.label
    if isinstance(part, p.Text | p.Bool):
        return Finding(label, _terms(run, part, locator), lost="terms")
    if isinstance(part, p.Sparse):
        return Finding(label, _shared_indexes(run, part, locator), lost="terms")
    if isinstance(part, p.OrderBy):
        from vicino.collection.executing import values_at

        values = values_at(run.documents(np.array([locator], np.int64))[0], part.field)
        bound = "" if part.start_from is None else f", and the order begins at {part.start_from!r}"
        return Finding(label, f"its field {part.field!r} is {', '.join(map(repr, values)) or 'missing'}{bound}", lost="order")
    name = getattr(part, "vector", None)
    return Finding(label, f"it has no vector {name!r}" if name else "it has no vector of the one searched", lost="vector")


def _examples(run: Traced, part: ByExample) -> set[int]:
    """Locators of the examples that are records of this collection."""
    if part.lookup is not None:
        return set()
    ids = [example for example in part.all_examples if not isinstance(example, np.ndarray)]
    return set(run.reader.find(run.snapshot, ids, run.settings).tolist()) if ids else set()


def _terms(run: Traced, part: p.Text | p.Bool, locator: int) -> str:
    """What the analyzer made of the query and of the record, beside each other."""
    (document,) = run.documents(np.array([locator], np.int64))
    texts, said = run.settings.texts, []
    leaves = [part] if isinstance(part, p.Text) else _texts(part)
    for name in dict.fromkeys(name for leaf in leaves for name in _indexes(leaf, texts)):
        spec, languages = texts[name].spec, tuple(sorted(texts[name].languages))
        asked = {
            term
            for leaf in leaves
            if name in _indexes(leaf, texts)
            for word in spec.analyzer.query_terms(leaf.words, languages)
            for term, _ in word
        }
        own = [term for text in _own_texts(spec, document) for _, _, terms in spec.analyzer.spans(text, languages) for term in terms]
        there = asked & set(own)
        shared = f"shares {_listed(there)}, which is not all that is asked for" if there else "shares none of them"
        said.append(f'text index "{name}": the query means {_listed(asked)}; the record has {_listed(dict.fromkeys(own))} and {shared}')
    return "; ".join(said)


def _texts(part: Any) -> list[p.Text]:
    return [part] if isinstance(part, p.Text) else [leaf for inner in part.parts_inside for leaf in _texts(inner)]


def _indexes(leaf: p.Text, texts: Any) -> list[str]:
    return [index_of(name, texts) for name, _ in leaf.weighted_fields] or list(texts)


def _own_texts(spec: Any, document: dict[str, Any]) -> list[str]:
    from vicino.collection.executing import values_at

    return [value for name in spec.fields for value in values_at(document, name) if isinstance(value, str)]


def _listed(terms: Any) -> str:
    words = [term.decode("utf-8", "replace") for term in (sorted(terms) if isinstance(terms, set) else terms)]
    shown = ", ".join(words[:TERMS_SHOWN])
    return f"nothing ({len(words)} terms)" if not words else shown if len(words) <= TERMS_SHOWN else f"{shown}, … ({len(words)} in all)"


def _shared_indexes(run: Traced, part: p.Sparse, locator: int) -> str:
    from vicino.collection.lexical import _value
    from vicino.collection.values import from_bytes

    name, entry = _value(run, part.vector, "sparse")
    own = from_bytes(run.snapshot.value(entry.slot, np.array([locator], np.int64))[0], entry.spec)
    if own is None:
        return f'it has no sparse vector "{name}"'
    asked, there = part.x.indices.tolist(), own.indices.tolist()  # type: ignore[union-attr]
    return f'sparse vector "{name}" has {len(there):,} indexes, none of the {len(asked):,} of the query: {asked[:TERMS_SHOWN]}'
