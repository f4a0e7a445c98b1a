"""Parts of a query as values: checked when they are made, equal by content, the same after JSON."""

import json

import numpy as np
import pytest

import vicino
from vicino import F
from vicino.errors import FilterError, InvalidArgument
from vicino.query.part import Part
from vicino.types import GeoPoint

PARTS = {
    "vector": vicino.Dense([1, 0], vector="title"),
    "embedded text": vicino.Dense("cats", ef=100),
    "text": vicino.Text("a b", fields=("title^3", "body"), minimum="75%", fuzzy=1),
    "bool": vicino.Bool(must=[vicino.Text("x")], must_not="y"),
    "sparse": vicino.Sparse({3: 1.5, 1: 2.0}, idf=True),
    "multi-vector": vicino.MultiVector([[1, 0], [0, 1]]),
    "order": vicino.OrderBy("year", descending=True, start_from=2020),
    "sample": vicino.Sample(seed=3),
    "fuse": vicino.Fuse([vicino.Text("x"), np.ones(2, np.float32)], method="rrf", weights=[1, 2], k=2, first_rank=0),
    "rescore": vicino.Rescore(vicino.Dense([1.0, 2.0]), by=vicino.Like(["a", 2]), depth=50),
    "prefetch": vicino.Prefetch(vicino.Text("x"), where=(F.year > 2000) & F.tags.is_in(["a"]), limit=3, min_score=0.5),
    "boost": vicino.Boost(vicino.Text("x"), by=vicino.Decay(F.date, half_life="30d")),
    "formula": vicino.Formula([vicino.Text("x")], by=vicino.Score() * 2 + vicino.If(F.y == 1) - vicino.Value("p", default=3).ln()),
    "place": vicino.Boost(vicino.Text("x"), by=vicino.Decay("p", target=GeoPoint(1, 2), scale=1000, shape="gauss")),
    "diverse": vicino.Diverse(vicino.Dense([1.0, 2.0]), relevance=0.3),
    "rerank": vicino.Rerank(vicino.Text("x"), "small", depth=20),
    "like ids": vicino.Like([1, 2], unlike=["x"], strategy="best"),
    "like a vector": vicino.Like([1.0, 2.0]),
    "discover": vicino.Discover(1, [(1, 2), ([0.5, 1.0], "b")]),
    "context": vicino.Context([(1, 2)]),
    "feedback": vicino.Feedback(1, [(2, 0.5), ([1.0, 2.0], 1)], a=0.5, b=2),
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_part_is_the_same_after_json(part: Part) -> None:
    assert Part.from_json(json.loads(json.dumps(part.to_json()))) == part


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_equal_parts_have_equal_hashes(part: Part) -> None:
    assert hash(Part.from_json(part.to_json())) == hash(part)


def test_arrays_and_lists_of_the_same_numbers_are_equal() -> None:
    assert vicino.Dense(np.array([1.0, 2.0])) == vicino.Dense([1.0, 2.0])


def test_repr_leaves_defaults_out() -> None:
    assert repr(vicino.Fuse([vicino.Text("x")], method="rrf")) == "Fuse([Text('x')], method='rrf')"


def test_vector_of_a_part_cannot_be_changed() -> None:
    part = vicino.Dense(np.ones(2))
    with pytest.raises(ValueError, match="read-only"):
        part.x[0] = 5


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: vicino.Fuse([]), "at least one part"),
        (lambda: vicino.Fuse("words"), "a list of parts"),
        (lambda: vicino.Fuse([vicino.Text("x")], weights=[1, 2]), "1 parts and 2 weights"),
        (lambda: vicino.Fuse([vicino.Text("x")], weights=[float("nan")]), "weight 0 of Fuse must be a finite number"),
        (lambda: vicino.Fuse([vicino.Text("x")], weights=[-1]), "at least 0"),
        (lambda: vicino.Fuse([vicino.Text("x")], k=0), "k must be a finite number of at least 1, got 0"),
        (lambda: vicino.Fuse([vicino.Text("x")], method="rff"), 'Did you mean "rrf"'),
        (lambda: vicino.Fuse([{"x": 1}]), "takes a part of a query"),
        (lambda: vicino.Dense([1.0, float("nan")]), "infinity at position 1"),
        (lambda: vicino.Dense([[1.0], [2.0]]), "one vector of numbers"),
        (lambda: vicino.Text(5), "words as a string, got int"),
        (lambda: vicino.Text("x", slop=2), "say phrase=True"),
        (lambda: vicino.Text("x", fields="title^big"), "named like"),
        (lambda: vicino.Bool(must_not=["x"]), "must or should"),
        (lambda: vicino.Bool(must=[vicino.Dense([1, 2])]), "join other parts with Fuse"),
        (lambda: vicino.Rescore(vicino.Text("x"), by=vicino.Fuse([vicino.Text("y")])), "scores by a leaf"),
        (lambda: vicino.Formula([vicino.Text("x")], by=vicino.Score(1)), "score of part 1"),
        (lambda: vicino.Diverse(vicino.Text("x"), relevance=2), "at most 1"),
        (lambda: vicino.Like([]), "needs an example"),
        (lambda: vicino.Context([]), "at least one pair"),
        (lambda: vicino.Discover(1, ["ab"]), "takes pairs"),
        (lambda: vicino.Rerank(vicino.Text("x"), object()), "has a method scores"),
        (lambda: vicino.Decay("x"), "either scale= or half_life="),
        (lambda: vicino.Decay("x", half_life="30 days"), 'a time is written like "30d"'),
        (lambda: vicino.Boost(vicino.Text("x"), by="price"), "a formula takes numbers"),
        (lambda: Part.from_json({"fuze": {"parts": []}}), 'Did you mean "fuse"'),
        (lambda: Part.from_json({"fuse": {"party": []}}), 'Did you mean "parts"'),
        (lambda: Part.from_json({"fuse": {}}), 'needs the argument "parts"'),
        (lambda: Part.from_json([1, 2]), "an object with one key"),
        (lambda: Part.from_json({"boost": {"part": {"text": {"words": "x"}}, "by": {"sume": {}}}}), 'Did you mean "sum"'),
    ],
)
def test_bad_parts_are_refused(make, told: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        make()
    assert told in str(caught.value)


def test_bad_condition_of_a_prefetch_is_refused() -> None:
    with pytest.raises(FilterError):
        vicino.Prefetch(vicino.Text("x"), where="year >")


def test_json_of_parts_that_lie_too_deep_is_refused() -> None:
    part = {"text": {"words": "x"}}
    for _ in range(40):
        part = {"prefetch": {"part": part}}
    with pytest.raises(InvalidArgument, match="32 deep"):
        Part.from_json(part)
