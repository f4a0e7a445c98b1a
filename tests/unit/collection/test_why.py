"""`Collection.why`: each stage of a query that can lose a record says so, and is the one that did."""

import datetime as dt
import json

import numpy as np
import pytest

import vicino
from vicino import (
    Bool,
    Boost,
    Context,
    Dense,
    Discover,
    Diverse,
    F,
    Feedback,
    Formula,
    Fuse,
    Like,
    MultiSpec,
    MultiVector,
    OrderBy,
    Prefetch,
    Rerank,
    Rescore,
    Sample,
    Score,
    Sparse,
    SparseSpec,
    SparseVector,
    Text,
    TextSpec,
    VectorSpec,
)
from vicino.collection.limits import Limits
from vicino.errors import InvalidArgument


class Longest:
    """A reranker that likes long texts."""

    name = "longest"

    def scores(self, query, documents):
        return [float(len(document)) for document in documents]


class ByLength:
    """A reranker that likes short texts."""

    name = "by length"

    def scores(self, query, documents):
        return [-float(len(document)) for document in documents]


@pytest.fixture(scope="module")
def docs():
    """Twenty records on a line: record i lies at i, costs i, and is in group i % 4; records 18 and 19 lack what they can."""
    with vicino.open() as db:
        collection = db.create_collection(
            "docs",
            vectors={"vector": VectorSpec(2, "l2"), "sparse": SparseSpec(), "multi": MultiSpec(2)},
            text=TextSpec("title", language="en"),
        )
        words = ["cat", "dog", "bird", "fish"]
        for number in range(20):
            record = {"id": number, "group": number % 4, "nothing": None}
            if number < 18:
                record |= {"vector": [float(number), 0.0], "price": number, "title": f"{words[number % 4]} number {'x' * number}"}
                record |= {"sparse": SparseVector([number % 4], [1.0 + number]), "multi": [[1.0, number / 20.0]]}
            collection.upsert([record])
        yield collection


NEAR_ZERO = Dense([0.0, 0.0])


@pytest.mark.parametrize(
    ("query", "record_id", "options", "stage", "said"),
    [
        (NEAR_ZERO, 3, {}, None, "number 4 of the 10"),
        (NEAR_ZERO, 3, {"offset": 5}, "offset", "its rank is 4"),
        (NEAR_ZERO, 12, {}, "limit", "exact rank 13"),
        (NEAR_ZERO, 19, {}, "vector", "no vector"),
        (NEAR_ZERO, 5, {"min_score": -4.0}, "threshold", "min_score is -4"),
        (NEAR_ZERO, 77, {}, "unknown", "no trace"),
        ([0.0, 0.0], 3, {"vector": "vector"}, None, "number 4"),
        (Text("cat"), 5, {}, "terms", "the query means cat; the record has dog, number"),
        (Text("cat"), 19, {}, "terms", "the record has nothing"),
        (Text("cat"), 4, {}, None, "number"),
        (Text("cat number", operator="and"), 5, {}, "terms", "shares number, which is not all"),
        (Text("number"), 17, {"limit": 2}, "limit", "exact rank"),
        (Bool(must=["number"], must_not=["dog"]), 5, {}, "terms", "dog"),
        (Sparse(SparseVector([0], [1.0])), 5, {}, "terms", "none of the 1 of the query"),
        (Sparse(SparseVector([0], [1.0])), 19, {}, "terms", "no sparse vector"),
        (Sparse(SparseVector([0], [1.0])), 0, {"limit": 2}, "limit", "exact rank 5"),
        (MultiVector([[0.0, 1.0]]), 1, {"limit": 2}, "limit", "exact rank 17"),
        (MultiVector([[0.0, 1.0]]), 19, {}, "vector", "no vector"),
        (OrderBy("price"), 19, {}, "order", "missing"),
        (OrderBy("price", start_from=5), 2, {}, "order", "begins at 5"),
        (OrderBy("price"), 15, {}, "limit", "exact rank 16"),
        (Sample(seed=1), 19, {"limit": 1}, "sample", "chance"),
        (Like([3]), 3, {"vector": None}, "example", "example itself"),
        (Like([3], vector="vector"), 17, {}, "limit", "exact rank"),
        (Feedback([0.0, 0.0], [(1, 0.9), (17, 0.1)], vector="vector"), 17, {}, "example", "example itself"),
        (Like([3], strategy="best", vector="vector"), 19, {}, "vector", "no vector"),
        (Discover([0.0, 0.0], context=[(1, 17)], vector="vector"), 16, {"limit": 2}, "limit", "exact rank"),
        (Context([(1, 17)], vector="vector"), 17, {}, "example", "example itself"),
        (Fuse([NEAR_ZERO, Text("cat")], depth=3), 17, {}, "prefetch", "no part inside found it"),
        (Fuse([Prefetch(NEAR_ZERO, limit=2), Prefetch(Text("fish"), limit=2)]), 10, {}, "prefetch", "exact rank 11"),
        (Prefetch(NEAR_ZERO, where=F.price > 5), 2, {}, "filter", "F.price > 5 does not hold"),
        (Prefetch(NEAR_ZERO, min_score=-4.0), 5, {}, "threshold", "min_score=-4"),
        (Rescore(Text("cat"), by=NEAR_ZERO, depth=2), 16, {}, "prefetch", "exact rank"),
        (Rescore(NEAR_ZERO, by=Text("cat")), 5, {}, "terms", "cat"),
        (Boost(NEAR_ZERO, by=Score(0), depth=3), 9, {}, "prefetch", "exact rank 10"),
        (Formula([NEAR_ZERO], by=Score(0), depth=3), 9, {}, "prefetch", "exact rank 10"),
        (Diverse(NEAR_ZERO, depth=3), 19, {}, "vector", "no vector"),
        (Rerank(Text("cat"), ByLength(), depth=2, query="cat"), 16, {}, "prefetch", "exact rank"),
    ],
    ids=repr,
)  # fmt: skip
def test_the_stage_that_lost_a_record_is_named(docs, query, record_id, options, stage, said):
    options = {key: value for key, value in options.items() if value is not None or key != "vector"}
    found = docs.why(query, record_id, **options)
    assert (found.stage, said in repr(found)) == (stage, True), repr(found)
    hits = docs.search(query, **options)
    assert found.is_hit == (record_id in hits.ids)
    json.dumps(found.to_dict())


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (F.price > 5, "F.price > 5 does not hold, and price is 3"),
        ((F.price > 5) & (F.group == 3), "F.price > 5 does not hold, and price is 3"),
        ((F.price > 5) | (F.group == 9), "no side of"),
        (~(F.price == 3), "which must not, and price is 3"),
        (F.color == "red", "and color is missing"),
        (vicino.at_least(2, F.price == 3, F.group == 0, F.color == "red"), "fewer than 2 hold"),
        (vicino.has_id(4), "has_id([4]) does not hold"),
    ],
    ids=repr,
)
def test_the_condition_that_failed_is_named_with_the_value(docs, where, said):
    found = docs.why(NEAR_ZERO, 3, where=where)
    assert found.stage == "filter"
    assert said in found.reason


def test_a_condition_that_holds_is_reported(docs):
    assert "F.price < 5 holds" in repr(docs.why(NEAR_ZERO, 3, where=F.price < 5))


@pytest.fixture(scope="module")
def mirrored():
    """Three hundred records whose vectors lie in opposite orders."""
    with vicino.open() as db:
        collection = db.create_collection("docs", vectors={"a": VectorSpec(2, "l2"), "b": VectorSpec(2, "l2")})
        records = [{"id": number, "a": [number, 0], "b": [300 - number, 0], "title": "x" * number} for number in range(300)]
        collection.upsert(records)
        yield collection


A, B = Dense([0.0, 0.0], vector="a"), Dense([0.0, 0.0], vector="b")


def test_fusion_says_the_rank_of_each_side_and_the_fused_one(mirrored):
    found = mirrored.why(Fuse([A, B], method="rrf", weights=[1.0, 9.0], depth=20), 3)
    assert found.stage == "fusion"
    assert "its rank is 24 after fusion, and the page ends with 10 (ranks inside: dense 4, dense 2 297 (not taken))" in found.reason
    assert found.rank == 24


def test_a_reranker_that_moved_a_record_back_is_named(mirrored):
    found = mirrored.why(Rerank(A, Longest(), depth=30, query="x", fields="title"), 3)
    assert found.stage == "rerank"
    assert "its rank is 27 after rerank" in found.reason


def test_a_part_that_cut_a_ranking_short_says_so(mirrored):
    found = mirrored.why(Fuse([Prefetch(Fuse([A, B], method="rrf", weights=[1.0, 9.0], depth=20), limit=5), B], depth=20), 3)
    assert found.stage in ("fusion", "prefetch")
    assert "the first 5 are taken" in repr(found)


def test_diversity_that_moved_a_record_back_is_named(mirrored):
    found = mirrored.why(A, 9, diversity=1.0)
    assert found.is_hit or found.stage == "diversity"
    assert found.is_hit == (9 in mirrored.search(A, diversity=1.0).ids)


def test_a_walk_that_went_past_a_record_is_told_from_one_that_could_not_have_found_it():
    random = np.random.default_rng(3)
    with vicino.open(limits=Limits(graph_rows_min=256)) as db:
        collection = db.create_collection("rows", dim=32, metric="l2")
        vectors = random.normal(size=(6000, 32)).astype(np.float32)
        collection.upsert(ids=list(range(6000)), vectors=vectors)
        collection.optimize()
        for query in random.normal(size=(200, 32)).astype(np.float32):
            missed = set(collection.search(query, exact=True).ids) - set(collection.search(query, ef=10).ids)
            if missed:
                break
        found = collection.why(query, missed.pop(), ef=10)
        assert found.stage == "graph"
        assert "finds it" in found.reason


def test_a_record_of_a_list_that_was_not_probed_is_told_with_the_lists_that_find_it():
    rows = np.random.default_rng(0).normal(size=(2000, 16)).astype(np.float32)
    with vicino.open(limits=Limits(graph_rows_min=256)) as db:
        docs = db.create_collection("docs", dim=16, index=vicino.IndexSpec("ivf_flat", nlist=40))
        docs.upsert(ids=range(2000), vectors=rows)
        docs.optimize()
        exact, found = docs.search(rows[3], exact=True).ids, docs.search(rows[3], nprobe=1).ids
        missed = next(record_id for record_id in exact if record_id not in found)
        why = docs.why(rows[3], missed, nprobe=1)
        assert why.stage == "lists"
        assert "its list was not probed; nprobe=" in why.reason


def test_a_record_that_too_few_rescored_vectors_lost_is_told_with_the_rescoring_that_finds_it():
    random = np.random.default_rng(0)
    rows = (random.normal(size=(40, 32))[random.integers(0, 40, 3000)] + 0.5 * random.normal(size=(3000, 32))).astype(np.float32)
    with vicino.open(limits=Limits(graph_rows_min=256)) as db:
        docs = db.create_collection("docs", dim=32, index=vicino.IndexSpec("ivf_pq", nlist=8, bits=8))
        docs.upsert(ids=range(3000), vectors=rows)
        docs.optimize()
        lost = next(number for number in range(100) if number not in docs.search(rows[number], limit=2, rescore=1.0, nprobe=3).ids)
        why = docs.why(rows[lost], lost, limit=2, rescore=1.0, nprobe=3)
        assert why.stage == "code"
        assert 'rescore="bound" finds it' in why.reason


def test_a_deleted_record_is_told_from_one_that_never_was():
    with vicino.open() as db:
        collection = db.create_collection("docs", dim=2)
        collection.upsert([{"id": "a", "vector": [1.0, 0.0]}])
        collection.delete("a")
        assert collection.why([1.0, 0.0], "a").stage == "deleted"
        assert "after version 1" in collection.why([1.0, 0.0], "a").reason
        assert collection.why([1.0, 0.0], "b").stage == "unknown"


def test_a_record_of_a_later_version_is_not_visible_in_an_earlier_one(tmp_path):
    with vicino.open(tmp_path / "data", retain=10) as db:
        collection = db.create_collection("docs", dim=2)
        collection.upsert([{"id": "a", "vector": [1.0, 0.0]}])
        collection.upsert([{"id": "b", "vector": [1.0, 0.0]}])
        found = collection.at(1).why([1.0, 0.0], "b")
        assert found.stage == "not visible"
        assert "version 2 wrote it" in found.reason


def test_an_expired_record_is_told_with_its_time():
    with vicino.open() as db:
        collection = db.create_collection("docs", dim=2, ttl="until")
        collection.upsert([{"id": "a", "vector": [1.0, 0.0], "until": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}])
        found = collection.why([1.0, 0.0], "a")
        assert found.stage == "expired"
        assert "2020-01-01" in found.reason


@pytest.mark.parametrize(
    ("record_id", "options", "stage", "said"),
    [
        (0, {"limit": 2, "group_size": 1}, None, "group 1"),
        (8, {"limit": 4, "group_size": 1}, "group", "is full"),
        (3, {"limit": 2, "group_size": 1}, "group", "among the best 2"),
    ],
    ids=["in a group", "a full group", "no room for the group"],
)
def test_groups_say_what_became_of_a_record(docs, record_id, options, stage, said):
    found = docs.why(NEAR_ZERO, record_id, group_by="group", **options)
    assert (found.stage, said in repr(found)) == (stage, True), repr(found)


def test_a_record_without_the_field_is_in_no_group(docs):
    assert "in no group" in docs.why(NEAR_ZERO, 3, group_by="nothing").reason


def test_an_empty_collection_knows_no_record():
    with vicino.open() as db:
        assert db.create_collection("docs", dim=2).why([1.0, 0.0], 1).stage == "unknown"


def test_it_prints_the_query_and_every_check(docs):
    shown = repr(docs.why(Fuse([NEAR_ZERO, Text("cat")], depth=3), 17, where=F.price < 100))
    assert shown.splitlines()[0] == 'record 17 of collection "docs" at version 20 is no hit: lost at prefetch'
    assert "  filter: found; F.price < 100 holds" in shown
    assert "    dense: lost (limit); exact rank 18" in shown
    assert "    text: lost (terms); text index" in shown


def test_an_id_that_is_none_is_refused(docs):
    with pytest.raises(InvalidArgument, match="why"):
        docs.why(NEAR_ZERO, 1.5)
