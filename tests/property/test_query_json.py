"""Queries as JSON: what is written is read back; what is spoiled is refused or searched, and never an error of another kind."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vicino
from tests.property.test_query_language import part_of, trees
from vicino import F
from vicino.errors import Error, InvalidArgument
from vicino.types import GeoPoint

_X = vicino.Text("wing")
WHOLE = [
    part.to_json()
    for part in (
        vicino.Dense([1.0, 0.5], vector="vector", exact=True, ef=9),
        vicino.Text("wing heat", fields=("title^2",), operator="and", prefix=True, boost=2.0),
        vicino.Text("wing heat", phrase=True, slop=1),
        vicino.Bool(must=[_X], should=["heat"], must_not=["plate"], minimum=1),
        vicino.Sparse({3: 1.5, 1: 2.0}, vector="bag", idf=True),
        vicino.MultiVector([[1, 0], [0, 1]], vector="tokens"),
        vicino.OrderBy("year", descending=True, start_from=2002),
        vicino.Sample(seed=3),
        vicino.Fuse([_X, vicino.Dense([1.0, 0.0])], method="rrf", weights=[1, 2], k=2, first_rank=0, depth=5),
        vicino.Rescore(vicino.Dense([1.0, 2.0]), by=vicino.Like([1, "a"]), depth=5),
        vicino.Prefetch(_X, where=(F.year > 2000) & F.tags.is_in(["a"]) & ~F.place.within_km(48, 11, 5), limit=3, min_score=0.1),
        vicino.Boost(_X, by=vicino.Decay(F.date, half_life="30d") + vicino.Decay("place", target=GeoPoint(48, 11), scale=100)),
        vicino.Formula(
            [_X, vicino.Sample()], by=vicino.Score(1, default=2) * vicino.Value("year", default=3).ln() - vicino.If(F.year == 2001)
        ),
        vicino.Diverse(vicino.Dense([1.0, 2.0]), relevance=0.3, depth=7),
        vicino.Rerank(_X, "nobody", depth=20, fields=["title"], budget_s=1.0),
        vicino.Like([1, 2], unlike=[[0.0, 1.0]], strategy="best"),
        vicino.Discover(1, [(1, 2), ([0.5, 1.0], "a")], vector="vector"),
        vicino.Context([(1, 2)], lookup="docs"),
        vicino.Feedback(1, [(2, 0.5), ([1.0, 2.0], 1)], a=0.5, b=2),
    )
]
plain = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5))
pieces = st.sampled_from(
    [{"text": {"words": "x"}}, {"score": {}}, {"$datetime": "x"}, {"$uuid": 1}, {"$geo": [1]}, {"$tree": ["And", {}]}, "year >"]
)
values = st.recursive(
    plain | pieces, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2), max_leaves=4
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


@st.composite
def spoiled(draw: st.DrawFn) -> Any:
    """A query with one or two places left out, renamed or replaced."""
    query = json.loads(json.dumps(draw(st.sampled_from(WHOLE))))
    for _ in range(draw(st.integers(1, 2))):
        *outer, last = draw(st.sampled_from(list(places(query)) or [()]))
        at = query
        for key in outer:
            at = at[key]
        how = draw(st.sampled_from(["replace", "replace", "replace", "drop", "rename"]))
        if how == "replace" or isinstance(at, list):
            at[last] = copy.deepcopy(draw(values))  # samples are shared, and a second change must not reach them
        else:
            held = at.pop(last)
            if how == "rename":
                at[draw(st.text(max_size=4))] = held
        if not any(places(query)):
            break
    return query


@pytest.fixture(scope="module")
def docs() -> Iterator[Any]:
    with vicino.open() as db:
        vectors = {"vector": vicino.VectorSpec(2), "bag": vicino.SparseSpec(), "tokens": vicino.MultiSpec(2)}
        docs = db.create_collection("docs", vectors=vectors, text="title")
        docs.upsert(
            [
                {
                    "id": number,
                    "vector": [1.0, number],
                    "bag": {number: 1.0},
                    "tokens": [[1, number]],
                    "title": "wing heat" if number % 2 else "wing plate",
                    "year": 2000 + number,
                    "tags": ["a"],
                    "place": GeoPoint(48 + number, 11),
                }
                for number in range(5)
            ]
        )
        docs.upsert({"id": "a", "vector": [1, 1]})
        yield docs


@given(tree=trees)
def test_part_is_the_same_after_json(tree: Any) -> None:
    part = part_of(tree)
    assert vicino.Part.from_json(json.loads(json.dumps(part.to_json()))) == part


@pytest.mark.parametrize("query", WHOLE, ids=lambda query: next(iter(query)))
def test_canonical_json_is_written_again(query: Any) -> None:
    assert vicino.Part.from_json(query).to_json() == query


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(query=spoiled())
def test_spoiled_query_is_refused_or_searched(docs: Any, query: Any) -> None:
    try:
        part = vicino.Part.from_json(query)
    except InvalidArgument:
        return
    assert vicino.Part.from_json(json.loads(json.dumps(part.to_json()))) == part
    try:
        found = docs.search(part, limit=3)
    except Error:
        return
    assert len(found) <= 3
    assert repr(found.plan)
