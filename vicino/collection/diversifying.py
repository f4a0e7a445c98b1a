"""Maximal marginal relevance: the stage of a query that puts records near the query and far from each other first.

Relevance and likeness are weighed against each other, so they must be of one scale. The scores of a search by the same vector are: both
are similarities. Other scores (of words, of fusion) have scales of their own; they are brought to [0, 1], and likeness to at most 1.

Only the first `depth` records are put in another order, all of them, and the others follow as they were: so the order does not depend on
how many are asked for, and pages fit together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vicino import _core
from vicino.collection.reading import read_vectors
from vicino.query import parts as p
from vicino.query.examples import ByExample, Like
from vicino.query.fusion import Ranking, by_range
from vicino.query.part import Part
from vicino.query.plan import Stage

PAIRWISE_MAX = 2000
"""Up to this many candidates all similarities are measured in one call; beyond, those to each record that is taken."""

Floats = npt.NDArray[Any]


def diverse(run: Any, part: p.Diverse, k: int, matches: Any, stage: Stage) -> Ranking:
    target = run.searcher.target(part.vector or _vector_of(part.part))
    first = run.run(part.part, max(k, part.depth), matches)
    head = first.first(part.depth)
    stage.candidates, stage.details = len(head), {"vector": target.name}
    if not len(head):
        return first
    vectors = read_vectors(run.snapshot, head.locators, run.settings, [target.name])[target.name]
    there = np.ones(len(head), np.bool_) if vectors.present is None else vectors.present
    places = np.flatnonzero(there)
    order = np.arange(len(first))
    if len(places):
        is_similarity = _is_similarity(part.part)
        worth = head.scores if is_similarity else by_range(head)
        chosen = _marginal(np.ascontiguousarray(vectors.rows[places]), worth[places], target.spec, part.relevance, is_similarity)
        # Records without the vector cannot be compared, and follow those that can.
        order[: len(head)] = np.concatenate([places[chosen], np.flatnonzero(~there)])
    # Hits keep the scores they were found with; the order is that in which they were taken.
    return Ranking(first.locators[order], first.scores[order])


def _vector_of(part: Part) -> str | None:
    """The vector that the first part of dense vectors inside is about."""
    if isinstance(part, p.Dense | ByExample):
        return part.vector
    return next((name for inner in part.parts_inside if (name := _vector_of(inner)) is not None), None)


def _is_similarity(part: Part) -> bool:
    """Whether the scores of a part are similarities of a vector to one query."""
    match part:
        case p.Dense():
            return True
        case Like():
            return part.strategy == "average"
        case p.Prefetch():
            return _is_similarity(part.part)
        case p.Rescore():
            return _is_similarity(part.by)
    return False


def _marginal(rows: Floats, worth: Floats, spec: Any, relevance: float, is_similarity: bool) -> list[int]:
    """All rows in the order of maximal marginal relevance; equals by position, which is by score and locator."""
    queries = rows.astype(np.float32) if spec.dtype == "float16" else rows

    def likeness(which: slice) -> Floats:
        distances = _core.pairwise_distances(queries[which], rows, spec.metric)
        if spec.metric == "cosine":
            return 1.0 - distances
        return -distances if is_similarity or spec.metric == "dot" else 1.0 / (1.0 + distances)

    table = likeness(slice(None)) if len(rows) <= PAIRWISE_MAX else None
    nearest = np.full(len(rows), -np.inf)
    left, chosen = np.ones(len(rows), np.bool_), list[int]()
    for _ in range(len(rows)):
        redundancy = nearest if chosen else np.zeros(len(rows))
        gain = np.where(left, relevance * worth - (1.0 - relevance) * redundancy, -np.inf)
        best = int(np.argmax(gain))
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, table[best] if table is not None else likeness(slice(best, best + 1))[0])
    return chosen
