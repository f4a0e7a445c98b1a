"""Parts of a query as values: checked when they are made, equal by content, the same after JSON."""

import json

import numpy as np
import pytest

import vicino
from vicino import F
from vicino.errors import FilterError, InvalidArgument
from vicino.query.part import Part
from vicino.query.parts import Text, is_plain, text_of
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


def test_repr_names_collections_and_rerankers() -> None:
    class Named:
        name = "house"

        def scores(self, query, texts): ...

    assert repr(vicino.Rerank(vicino.Text("x"), Named())) == "Rerank(Text('x'), 'house')"


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
        (lambda: vicino.MultiVector([[1, 0], [2, 1e300]]), "row 1 holds 1e+300 at position 1, which does not fit float32"),
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
        (lambda: vicino.OrderBy("n", start_from=[1]), "start_from of OrderBy is a number"),
        (lambda: vicino.Like(None), "takes ids of records and vectors, got None"),
        (lambda: vicino.Feedback(1, [3]), "takes examples as (example, score), got 3"),
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


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"fuse": {"parts": [{"text": {"words": "x"}}, {"text": {"words": "y", "fuzy": 1}}]}}, 'fuse.parts[1].text has no argument "fuzy"'),
        ({"fuse": {"parts": [{"text": {"words": "x"}}, {"text": {}}]}}, 'fuse.parts[1].text needs the argument "words"'),
        ({"fuse": {"parts": [{"dance": {}}]}}, "fuse.parts[0]: there is no part 'dance'"),
        ({"fuse": {"parts": {"text": {"words": "x"}}}}, "fuse.parts must be a list of parts"),
        ({"rescore": {"part": {"text": {"words": "x"}}, "by": "y"}}, "rescore.by must be a part"),
        ({"dense": {"x": [1, 0], "vector": 5}}, "dense.vector must be a string or null, got 5"),
        ({"dense": {"x": [1, 0], "exact": "yes"}}, "dense.exact must be true or false, got 'yes'"),
        ({"dense": {"x": [1, 0], "ef": 1.5}}, "dense: ef must be an integer"),
        ({"prefetch": {"part": {"text": {"words": "x"}}, "where": "year >"}}, "prefetch: "),
        ({"boost": {"part": {"text": {"words": "x"}}, "by": {"sum": {"of": [{"scare": {}}]}}}}, "boost.by: there is no expression 'scare'"),
        ({"order_by": {"field": "year", "start_from": {"$datetime": "soon"}}}, "order_by.start_from cannot be read: Invalid isoformat"),
        ({"like": {"like": [1], "lookup": {"name": "x"}}}, "like.lookup: a collection is named by a string"),
        ({"context": {"pairs": [[1, 2], 3]}}, "context: Context takes pairs"),
        ({"fuse": {"parts": [{"text": {"words": "x"}}], "weights": [10**400]}}, "fuse: weight 0 of Fuse must be a finite number"),
    ],
)
def test_refusal_of_json_names_the_place(given, told: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Part.from_json(given)
    assert str(caught.value).startswith(told)


def test_condition_in_json_that_no_parser_makes_is_refused() -> None:
    tree = {"$tree": ["In", {"path": "year", "values": {"$list": [1]}, "strict": "no"}]}
    with pytest.raises(FilterError, match="prefetch: strict of In must be true or false, got no"):
        Part.from_json({"prefetch": {"part": {"text": {"words": "x"}}, "where": tree}})


def test_fields_stand_for_themselves_in_json_expressions() -> None:
    part = Part.from_json({"boost": {"part": {"text": {"words": "x"}}, "by": {"sum": {"of": [1, "price"]}}}})
    assert part == vicino.Boost(vicino.Text("x"), by=1 + vicino.Value("price"))


def test_decay_in_json_reads_a_field_as_its_scale_asks() -> None:
    part = Part.from_json({"boost": {"part": {"text": {"words": "x"}}, "by": {"decay": {"of": "date", "half_life": "30d"}}}})
    assert part == vicino.Boost(vicino.Text("x"), by=vicino.Decay("date", half_life="30d"))


@pytest.mark.parametrize("target", [GeoPoint(1, 2), (1, 2), [1.0, 2.0], {"lat": 1, "lon": 2}])
def test_target_of_decay_may_be_a_place_in_any_spelling(target) -> None:
    assert vicino.Decay("p", target=target, scale=5) == vicino.Decay("p", target=GeoPoint(1, 2), scale=5)


def test_minus_before_a_field_orders_the_largest_first() -> None:
    assert vicino.OrderBy("-year") == vicino.OrderBy("year", descending=True)
    assert vicino.OrderBy(F.year) == vicino.OrderBy("year")


def test_json_of_parts_that_lie_too_deep_is_refused() -> None:
    part = {"text": {"words": "x"}}
    for _ in range(40):
        part = {"prefetch": {"part": part}}
    with pytest.raises(InvalidArgument, match="32 deep"):
        Part.from_json(part)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Text("a b"), True),
        (text_of("a b"), True),
        (Text("a", fields=["title"]), False),
        (Text("a", operator="and"), False),
        (Text("a", minimum=1), False),
        (Text("a", phrase=True), False),
        (Text("a", prefix=True), False),
        (Text("a", fuzzy=1), False),
        (Text("a", boost=2), False),
        (Text("a", statistics="matches"), False),
    ],
    ids=str,
)
def test_a_text_is_plain_when_it_asks_for_words_and_nothing_more(part: Text, expected: bool) -> None:
    assert is_plain(part) is expected


def test_a_text_of_words_is_the_text_with_these_words() -> None:
    assert text_of("a b") == Text("a b")
    assert repr(text_of("a b")) == repr(Text("a b"))
    assert Part.from_json(text_of("a b").to_json()) == Text("a b")
