"""Words of other databases are refused with the word that is meant."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

import vicino
from vicino import elsewhere
from vicino.cli.app import COMMANDS
from vicino.errors import DimensionError, Error, ExistsError, InvalidArgument, SchemaError

ROWS = np.random.default_rng(0).standard_normal((400, 16)).astype(np.float32)


@pytest.fixture
def db() -> Iterator[vicino.Database]:
    with vicino.open() as database:
        yield database


@pytest.fixture
def docs(db: vicino.Database) -> vicino.Collection[Any]:
    collection = db.create_collection("docs", dim=16)
    collection.upsert(ids=range(400), vectors=ROWS, fields=[{"n": n} for n in range(400)])
    return collection


def told(call: Callable[[], Any], kind: type[Exception]) -> str:
    """What an error of this kind says, with what is noted on it."""
    with pytest.raises(kind) as caught:
        call()
    return " ".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"k": 5}, "Write limit=."),
        ({"top_k": 5}, "Write limit=."),
        ({"n_results": 5}, "Write limit=."),
        ({"filter": {"n": 3}}, "Write where=."),
        ({"efSearch": 64}, "Write ef=."),
        ({"refine_factor": 3}, "Write rescore=."),
        ({"limits": 5}, 'Did you mean "limit"?'),
        ({"device": "cuda"}, "It goes with search_many(queries, exact=True, device=...)."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_argument_of_a_search_names_the_right_one(docs: Any, options: dict[str, Any], said: str) -> None:
    assert said in told(lambda: docs.search(ROWS[0], **options), TypeError)


def test_search_many_names_itself_and_the_right_argument(docs: Any) -> None:
    assert told(lambda: docs.search_many(ROWS[:2], k=5), TypeError) == "search_many() got an unexpected keyword argument 'k'. Write limit=."
    told_of_cursor = told(lambda: docs.search_many(ROWS[:2], cursor=""), TypeError)
    assert told_of_cursor == "search_many() has no cursor=, which goes with one query and one answer; call search(..., cursor=...)"


def test_limit_by_place_is_told_to_be_given_by_name(docs: Any) -> None:
    assert "What follows is given by name: where=, limit=, offset= and so on." in told(lambda: docs.search(ROWS[0], 5), TypeError)


def test_type_error_from_within_a_call_is_left_as_it_is(docs: Any) -> None:
    def broken() -> Iterator[Any]:
        raise TypeError("limit() takes 1 positional argument but 2 were given")
        yield

    assert told(lambda: docs.upsert(broken()), TypeError) == "limit() takes 1 positional argument but 2 were given"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda db: vicino.IndexSpec("hnsw", M=16), "Write m=."),
        (lambda db: vicino.IndexSpec("hnsw", efConstruction=200), "Write ef_construct=."),
        (lambda db: vicino.VectorSpec(4, distance="l2"), "Write metric=."),
        (lambda db: db.create_collection("x", dims=4), "Write dim=."),
        (lambda db: db.create_collection("x", dim=4, codes="4bit"), "It is said of the index: index=vicino.IndexSpec(kind, codes=...)."),
        (lambda db: db["docs"].set_index("hnsw", m=8), "It is said of the index: index=vicino.IndexSpec(kind, m=...)."),
    ],
    ids=["IndexSpec M", "IndexSpec efConstruction", "VectorSpec distance", "dims", "codes", "set_index m"],
)
def test_wrong_argument_of_a_declaration_names_the_right_one(db: Any, docs: Any, make: Any, said: str) -> None:
    assert said in told(lambda: make(db), TypeError)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"index": "HNSW"}, 'got \'HNSW\'. Did you mean "hnsw"?'),
        ({"index": "diskann"}, 'Write vicino.IndexSpec("graph", layout="disk").'),
        ({"index": "ivf_sq8"}, 'Write "ivf_flat" of a vector declared with keep_raw=False.'),
        ({"index": {"kind": "hnsw", "M": 16}}, "Write m=."),
        ({"index": {"kind": "graph", "codes": "1bit"}}, "got '1bit'. Those go with flat."),
        ({"index": {"kind": "graph", "codes": "int8"}}, 'Write "8bit".'),
        ({"metric": "ip"}, 'Write "dot".'),
        ({"metric": "euclidean"}, 'Write "l2".'),
        ({"dtype": np.float32}, 'Write "float32".'),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_wrong_value_of_a_declaration_names_the_right_one(db: Any, options: dict[str, Any], said: str) -> None:
    assert said in told(lambda: db.create_collection("x", dim=64, **options), InvalidArgument)


def test_choice_that_is_no_name_of_anything_lists_what_there_is_once(db: Any) -> None:
    said = told(lambda: db.create_collection("x", dim=4, metric="zzz"), InvalidArgument)
    assert said == "metric must be one of cosine, dot, l2, l1, hamming, jaccard, got 'zzz'."


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("query", "search(query, limit=10)"),
        ("insert", "upsert(records)"),
        ("scroll", "iter(where=...)"),
        ("set_metric", "add_vector(name, ...)"),
    ],
)
def test_verb_of_others_on_a_collection_names_ours(docs: Any, name: str, said: str) -> None:
    assert said in told(lambda: getattr(docs, name), AttributeError)


@pytest.mark.parametrize(
    ("name", "said"),
    [("get_or_create_collection", "exist_ok=True"), ("create_table", "create_collection(name"), ("list_collections", "names()")],
)
def test_verb_of_others_on_a_database_names_ours(db: Any, name: str, said: str) -> None:
    assert said in told(lambda: getattr(db, name), AttributeError)


def test_results_are_told_to_be_a_sequence(docs: Any) -> None:
    assert "take a hit first, as in results[0]['n']" in told(lambda: docs.search(ROWS[0])["n"], InvalidArgument)


def test_field_that_a_hit_does_not_have_is_named(docs: Any) -> None:
    with pytest.raises(KeyError) as caught:
        docs.search(ROWS[0])[0]["m"]
    assert str(caught.value) == "record 0 has no field 'm'. There are: id, n."
    assert docs.search(ROWS[0])[0].get("m") is None


def test_vector_under_the_name_of_others_is_refused(docs: Any) -> None:
    said = told(lambda: docs.upsert([{"id": 1, "embedding": ROWS[0].tolist()}]), SchemaError)
    assert 'is a list of 16 values, and there is no vector "vector" of that length; name it "vector", or give' in said


def test_list_of_another_length_is_a_field(docs: Any) -> None:
    docs.upsert([{"id": 1, "embedding": [1.0, 2.0]}])
    assert docs[1]["embedding"] == [1.0, 2.0]


def test_what_is_declared_for_good_says_so(docs: Any) -> None:
    said = told(lambda: docs.set_index("flat", keep_raw=False), TypeError)
    assert "It is decided when a vector is declared" in said


def test_awaited_collection_names_our_verbs_too() -> None:
    async def look() -> None:
        async with vicino.aio.open() as database:
            (await database.create_collection("docs", dim=4)).query  # noqa: B018

    assert "search(query, limit=10)" in told(lambda: asyncio.run(look()), AttributeError)


def test_attribute_that_nobody_has_is_refused_as_python_does(docs: Any) -> None:
    assert told(lambda: docs.nothing_of_that_name, AttributeError) == "'Collection' object has no attribute 'nothing_of_that_name'"
    assert not hasattr(docs, "_repr_png_")


@pytest.mark.parametrize("options", [{"metric": "l2"}, {"dtype": "int8"}, {"index": "flat"}, {"recall": 0.9}, {"keep_raw": False}], ids=str)
def test_options_of_the_one_vector_are_refused_beside_named_vectors(db: Any, options: dict[str, Any]) -> None:
    said = told(lambda: db.create_collection("x", vectors={"a": vicino.VectorSpec(4)}, **options), InvalidArgument)
    assert "give each VectorSpec in vectors= its own" in said


def test_existing_collection_with_another_index_is_told_how_to_change_it(db: Any, docs: Any) -> None:
    said = told(lambda: db.create_collection("docs", dim=16, index="hnsw", exist_ok=True), ExistsError)
    assert "where set_index() and set_recall() change these" in said


@pytest.mark.parametrize(
    ("query", "kind", "said"),
    [
        (ROWS[0].astype(complex), InvalidArgument, "is numbers, got ndarray of shape (16,) of complex128"),
        (["a"] * 16, InvalidArgument, "is numbers, got list of shape (16,) of <U1"),
        (ROWS[:2], InvalidArgument, "call search_many for several queries"),
        (ROWS[0, :5], DimensionError, "has 16 dimensions, the query has 5"),
    ],
    ids=["complex", "text", "two", "short"],
)
def test_query_that_is_no_vector_of_the_collection_is_refused(docs: Any, query: Any, kind: type[Error], said: str) -> None:
    assert said in told(lambda: docs.search(query), kind)


def test_search_many_of_one_vector_points_to_search(docs: Any) -> None:
    for form in (ROWS[0], ROWS[0].tolist(), tuple(ROWS[0])):
        assert "got one vector of 16 numbers; call search for one" in told(partial(docs.search_many, form), InvalidArgument)


@pytest.mark.parametrize("queries", [None, 5, iter([ROWS[0]]), {"a": ROWS[0]}], ids=["none", "number", "iterator", "mapping"])
def test_search_many_of_what_is_no_sequence_says_what_came(docs: Any, queries: Any) -> None:
    said = f"search_many takes a sequence of queries, got {type(queries).__name__}"
    assert said in told(lambda: docs.search_many(queries), InvalidArgument)


def test_search_many_says_which_query_holds_nan(docs: Any) -> None:
    queries = [ROWS[0], np.full(16, np.nan, np.float32)]
    assert told(lambda: docs.search_many(queries), InvalidArgument) == "query 1 of 2, from 0, holds NaN or an infinity at position 0"


def test_exact_takes_a_truth_value_only(docs: Any) -> None:
    assert told(lambda: docs.search(ROWS[0], exact="yes"), InvalidArgument) == "exact must be True or False, got 'yes'"


def test_nprobe_is_refused_where_there_are_no_lists(docs: Any) -> None:
    said = told(lambda: docs.search(ROWS[0], nprobe=4), InvalidArgument)
    assert 'the index of vector "vector", of kind "auto", has none: leave nprobe out, or say ef=' in said


def test_nprobe_beside_recall_is_refused(db: Any) -> None:
    lists = db.create_collection("lists", dim=16, index="ivf_flat")
    lists.upsert(ids=range(400), vectors=ROWS)
    assert "leave nprobe=2 or the recall out" in told(lambda: lists.search(ROWS[0], recall=0.9, nprobe=2), InvalidArgument)


def test_nprobe_alone_goes_before_a_declared_recall(db: Any) -> None:
    lists = db.create_collection("lists", dim=16, index="ivf_flat", recall=0.9)
    lists.upsert(ids=range(400), vectors=ROWS)
    assert lists.search(ROWS[0], nprobe=2).plan.promise is None


def test_more_subvectors_than_dimensions_are_refused(db: Any) -> None:
    said = told(lambda: db.create_collection("x", dim=16, index=vicino.IndexSpec("ivf_pq", subvectors=32)), InvalidArgument)
    assert "at most as many as it has dimensions; got 32 for dim=16" in said


def test_long_values_are_shown_in_part(docs: Any) -> None:
    assert len(told(lambda: docs.why(0, ROWS[0]), SchemaError)) < 200
    assert len(told(lambda: docs.verify(ROWS), InvalidArgument)) < 200


def test_verify_under_a_condition_that_nothing_meets_is_refused(docs: Any) -> None:
    said = told(lambda: docs.verify(where=vicino.F.n < 0), InvalidArgument)
    assert said == 'no record of collection "docs" meets F.n < 0, so there is no recall to measure'


def test_explain_names_the_field_that_no_record_has(docs: Any) -> None:
    assert docs.explain(ROWS[0], where=vicino.F.m == 3).notes == ('no record has a field "m"',)
    assert docs.explain(ROWS[0], where=vicino.F.n == -1).notes == ()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: vicino.F.n.in_([1, 2]), "F.n.in_ is a field and cannot be called. Write F.n.is_in(values)."),
        (lambda: vicino.F.a.b.gte(3), "F.a.b.gte is a field and cannot be called. Write F.a.b >= value."),
        (lambda: vicino.F.text.startwith("a"), 'F.text.startwith is a field and cannot be called. Did you mean "startswith"?'),
    ],
    ids=["method", "comparison", "misspelt"],
)
def test_condition_of_other_libraries_is_answered_with_ours(call: Callable[[], Any], said: str) -> None:
    assert told(call, InvalidArgument) == said


def test_what_is_told_is_there() -> None:
    conditions = {said.partition("(")[0] for said in elsewhere._CONDITIONS.values() if "(" in said}
    assert conditions <= set(vars(type(vicino.F.n)))
    assert {said.split()[0] for said in elsewhere._COMMANDS.values()} <= set(COMMANDS)
