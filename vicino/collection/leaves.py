"""The leaves of a query: each is one call of the core on one snapshot, restricted to the rows that match, and gives a ranking."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np

from vicino.collection.lexical import multi_ranking, sparse_ranking, text_ranking
from vicino.collection.query_vector import to_query
from vicino.collection.reading import check_fields, read_vectors
from vicino.errors import InvalidArgument, NotFoundError, did_you_mean
from vicino.filter.model import Range
from vicino.query import parts as p
from vicino.query.examples import ByExample, Context, Discover, Feedback, Like
from vicino.query.fusion import EMPTY, Ranking
from vicino.query.part import Part
from vicino.query.plan import Stage, is_scanned
from vicino.query.rescoring import RescoreBy, oversampling

Leaf = Callable[[Any, Any, int, Any, Stage], Ranking]


def _ranking(locators: Any, distances: Any, metric: str) -> Ranking:
    """A ranking of what the core found, which orders equal distances by locator already."""
    return Ranking(locators, (1.0 if metric == "cosine" else 0.0) - np.asarray(distances, np.float64))


def _dense(run: Any, part: p.Dense, k: int, matches: Any, stage: Stage) -> Ranking:
    target = run.searcher.target(part.vector)
    row = run.searcher.row(part.x, target)
    return _nearest(
        run, target, row, k, matches, stage, exact=part.exact, ef=part.ef, nprobe=part.nprobe, recall=part.recall, rescore=part.rescore
    )


def _nearest(
    run: Any,
    target: Any,
    row: Any,
    k: int,
    matches: Any,
    stage: Stage,
    *,
    exact: bool = False,
    ef: int | None = None,
    nprobe: int | None = None,
    recall: float | None = None,
    rescore: RescoreBy | None = None,
) -> Ranking:
    exact = exact or run.exact
    choice = None if exact else run.searcher.promise(run.snapshot, target, k, matches, recall, ef, nprobe)
    effort, nprobe, exact = target.effort(ef, nprobe, exact, choice)
    rescored = target.rescore(rescore, choice)
    ((locators, distances),), stats = run.snapshot.search_rows(
        target.column, row, k, effort, exact, matches, run.cancel, nprobe=nprobe, oversampling=oversampling(rescored)
    )
    stage.candidates = sum([entry["rows_scored"] for entry in stats])
    stage.details, stage.stats = {"vector": target.name, "metric": target.spec.metric}, stats
    if rescored != "bound" and not exact:
        stage.details["rescore"] = rescored if isinstance(rescored, str) else f"{rescored:g}"
    if choice is not None:
        stage.recall = choice.estimate
        stage.details["recall"] = f"{choice.estimate:.3f} (asked for {choice.target:g})"
    elif is_scanned(stats):
        stage.recall = 1.0
    if choice is not None or run.settings.keep_queries:
        run.searcher.promises.saw(run.snapshot, target.column, row, k, matches, choice, [lambda: distances])
    return _ranking(locators, distances, target.spec.metric)


def _order_by(run: Any, part: p.OrderBy, k: int, matches: Any, stage: Stage) -> Ranking:
    check_fields(run.settings, part.field)
    if part.start_from is not None:
        bound = {"lte" if part.descending else "gte": part.start_from}
        matches = run.narrowed(Range(part.field, **bound), matches)
    locators = run.searcher.ordered(run, part.field, matches, part.descending)[:k]
    stage.candidates = run.n_max if matches is None else matches.count
    return Ranking(locators, np.array([_order_value(document, part) for document in run.documents(locators)], np.float64))


def _order_value(document: dict[str, Any], part: p.OrderBy) -> float:
    """The number, or the seconds, by which a record was ordered; 0 for text."""
    from vicino.collection.executing import values_at

    found = []
    for value in values_at(document, part.field):
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append(float(value))
        elif isinstance(value, dt.datetime):
            found.append(value.timestamp())
    return (max(found) if part.descending else min(found)) if found else 0.0


def _sample(run: Any, part: p.Sample, k: int, matches: Any, stage: Stage) -> Ranking:
    n = run.n_max if matches is None else matches.count
    stage.candidates = n
    if n == 0:
        return EMPTY
    locators = run.snapshot.locators(matches, -1, n)
    seed = part.seed if part.seed is not None else int.from_bytes(run.env.random_bytes(8), "little") >> 1
    chosen = np.random.default_rng(seed).choice(n, size=min(k, n), replace=False)
    return Ranking(locators[chosen], np.zeros(len(chosen)))


# ---- by example


def _by_example(run: Any, part: ByExample, k: int, matches: Any, stage: Stage) -> Ranking:
    target = run.searcher.target(part.vector)
    vectors, own = _example_vectors(run, part, target)
    # Examples by id are left out of the answer: as many more are asked for.
    if isinstance(part, Like) and part.strategy == "average":
        ranking = _nearest(run, target, _average(part, vectors, target, run), k + len(own), matches, stage)
    else:
        rule, n_first, pairs, weight = _rule(part)
        rows = np.concatenate([to_query(vector, target.spec, target.name, run.searcher.name_of) for vector in vectors])
        (locators, distances), scored = run.snapshot.search_by_example(
            target.column, rows, rule, n_first, pairs, weight, k + len(own), matches, run.cancel
        )
        stage.candidates, stage.details = scored, {"vector": target.name, "rule": rule}
        ranking = Ranking(locators, 0.0 - np.asarray(distances, np.float64))
    if own:
        keep = ~np.isin(ranking.locators, np.array(own, np.int64))
        ranking = Ranking(ranking.locators[keep], ranking.scores[keep])
    return ranking


def _rule(part: ByExample) -> tuple[str, int, list[tuple[int, int, float]], float]:
    """The core's rule, the number of positive examples, the pairs by position, and the weight of the target."""
    match part:
        case Like():
            return part.strategy, len(part.like), [], 1.0
        case Discover():
            return "discover", 0, [(1 + 2 * pair, 2 + 2 * pair, 1.0) for pair in range(len(part.context))], 1.0
        case Context():
            return "context", 0, [(2 * pair, 2 * pair + 1, 1.0) for pair in range(len(part.pairs))], 1.0
        case Feedback():
            return "feedback", 0, list(part.pairs), part.a
    raise InvalidArgument(f"{type(part).__name__} is no query by example")


def _average(part: Like, vectors: list[Any], target: Any, run: Any) -> Any:
    """The mean of the positives, moved as far beyond it as it lies from the mean of the negatives. Qdrant's rule."""
    if target.spec.dtype == "binary":
        raise InvalidArgument(f'vector "{target.name}" is binary and has no average; use strategy="best" or "sum"')
    # Under cosine lengths mean nothing, so each example weighs the same.
    table = np.stack([_unit(np.asarray(vector, np.float64), target.spec.metric) for vector in vectors])
    positive, negative = table[: len(part.like)], table[len(part.like) :]
    mean = positive.mean(axis=0)
    if len(negative):
        mean = mean + mean - negative.mean(axis=0)
    if target.spec.dtype in ("int8", "uint8"):
        limits = np.iinfo(target.spec.dtype)
        if target.spec.metric == "cosine" and np.abs(mean).max() > 0:
            mean = mean * (limits.max / np.abs(mean).max())
        mean = np.clip(np.rint(mean), limits.min, limits.max).astype(target.spec.dtype)
        return to_query(mean, target.spec, target.name, run.searcher.name_of)
    return to_query(mean.astype(np.float32), target.spec, target.name, run.searcher.name_of)


def _unit(vector: Any, metric: str) -> Any:
    length = float(np.linalg.norm(vector)) if metric == "cosine" else 1.0
    return vector / length if length > 0 else vector


def _example_vectors(run: Any, part: ByExample, target: Any) -> tuple[list[Any], list[int]]:
    """The vector of every example, and the locators of those given by id, which are left out."""
    ids = [example for example in part.all_examples if not isinstance(example, np.ndarray)]
    by_id, own = _stored_vectors(run, part, ids, target)
    vectors = []
    for example in part.all_examples:
        if isinstance(example, np.ndarray):
            to_query(example, target.spec, target.name, run.searcher.name_of)  # for its check
            vectors.append(example)
        else:
            vectors.append(by_id[type(example), example])
    return vectors, own


def _stored_vectors(run: Any, part: ByExample, ids: list[Any], target: Any) -> tuple[dict[Any, Any], list[int]]:
    if not ids:
        return {}, []
    if part.lookup is not None:
        return _looked_up(run, part, ids, target), []
    locators = run.reader.find(run.snapshot, ids, run.settings)
    for record_id, locator in zip(ids, locators.tolist(), strict=True):
        if locator < 0:
            raise NotFoundError(f'collection "{run.searcher.name}" has no record {record_id!r} to serve as an example')
    column = read_vectors(run.snapshot, locators, run.settings, [target.name])[target.name]
    return _by_id(ids, column, f'vector "{target.name}"'), locators.tolist()


def _looked_up(run: Any, part: ByExample, ids: list[Any], target: Any) -> dict[Any, Any]:
    """Examples by id from another collection, which must have a vector of the same form."""
    lookup = run.searcher.collection_of(part.lookup)
    known = lookup.settings.vectors
    name = part.lookup_vector or part.vector or target.name
    if part.lookup_vector is None and name not in known and len(known) == 1:
        name = next(iter(known))
    if name not in known:
        raise InvalidArgument(
            f'collection "{lookup.name}" has no vector "{name}" to look up; name one with lookup_vector=.{did_you_mean(name, known)}'
        )
    spec = lookup.settings.spec(name)
    if (spec.dim, spec.dtype) != (target.spec.dim, target.spec.dtype):
        raise InvalidArgument(
            f'vector "{name}" of collection "{lookup.name}" is {spec.dim} × {spec.dtype}, the one searched, "{target.name}", is '
            f"{target.spec.dim} × {target.spec.dtype}; name another one with lookup_vector="
        )
    found = {}
    for record_id, view in zip(ids, lookup.get(ids, vectors=[name]), strict=True):
        if view is None:
            raise NotFoundError(f'collection "{lookup.name}" has no record {record_id!r} to serve as an example')
        if name not in view.vectors:
            raise InvalidArgument(f'record {record_id!r} of collection "{lookup.name}" has no vector "{name}" and is no example')
        found[type(record_id), record_id] = _as_given(view.vectors[name], spec)
    return found


def _by_id(ids: list[Any], column: Any, what: str) -> dict[Any, Any]:
    found = {}
    for row, record_id in enumerate(ids):
        vector = column[row]
        if vector is None:
            raise InvalidArgument(f"record {record_id!r} has no {what} and is no example")
        found[type(record_id), record_id] = vector.astype(np.float32) if vector.dtype == np.float16 else vector
    return found


def _as_given(vector: Any, spec: Any) -> Any:
    return vector.astype(np.float32) if spec.dtype == "float16" else vector


LEAVES: dict[type[Part], Leaf] = {
    p.Dense: _dense,
    p.Text: text_ranking,
    p.Bool: text_ranking,
    p.Sparse: sparse_ranking,
    p.MultiVector: multi_ranking,
    p.OrderBy: _order_by,
    p.Sample: _sample,
    Like: _by_example,
    Discover: _by_example,
    Context: _by_example,
    Feedback: _by_example,
}
