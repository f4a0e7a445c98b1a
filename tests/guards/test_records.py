"""Records at the edge of what is allowed: few and many, with some vectors or none, documents, ids of every kind."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest

import vicino
from vicino import VectorSpec
from vicino.errors import InvalidArgument, SchemaError


def test_an_empty_collection_finds_nothing(make, settle):
    docs = settle(make(dim=3))
    assert docs.search([1, 2, 3]).ids == []
    assert (docs.count(), list(docs.iter()), docs.peek(), docs.facet("x"), docs.get([1, 2])) == (0, [], [], {}, [None, None])


def test_a_collection_emptied_again_finds_nothing(make, settle):
    docs = make(dim=2)
    docs.upsert([{"id": n, "vector": [n, 1]} for n in range(50)])
    settle(docs)
    docs.delete(where={})
    assert docs.search([1, 1]).ids == []
    assert docs.count() == 0
    settle(docs)
    assert docs.search([1, 1]).ids == []


def test_one_record_is_found_whatever_is_asked(make, settle):
    docs = make(dim=2)
    docs.upsert({"id": "only", "vector": [1, 0]})
    settle(docs)
    for query in ([1, 0], [-1, 0], [0, 0]):
        assert docs.search(query, limit=10_000).ids == ["only"]


def test_a_limit_above_the_size_gives_everything_in_order(make, settle):
    docs = make(dim=1, metric="l2")
    docs.upsert([{"id": n, "vector": [n]} for n in range(40)])
    settle(docs)
    assert docs.search([0], limit=10_000).ids == list(range(40))
    assert docs.search([0], limit=10, offset=35).ids == list(range(35, 40))


def test_a_limit_above_what_is_left_gives_what_is_left(make, settle):
    docs = make(dim=1, metric="l2")
    docs.upsert([{"id": n, "vector": [n], "n": n} for n in range(40)])
    settle(docs)
    docs.delete(list(range(0, 40, 2)))
    assert docs.search([0], limit=100).ids == list(range(1, 40, 2))
    assert docs.search([0], limit=100, where=vicino.F.n > 30).ids == [31, 33, 35, 37, 39]


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_other_limits_are_refused(make, limit):
    with pytest.raises(InvalidArgument, match="limit must be between 1 and 10000"):
        make(dim=1).search([1], limit=limit)


def test_records_that_lack_a_vector_are_not_found_by_it_and_by_the_others_they_are(make, settle):
    docs = make(vectors={"title": VectorSpec(2, "l2"), "body": VectorSpec(3, "cosine"), "extra": VectorSpec(2, "l2", "int8")})
    docs.upsert(
        [
            {"id": n, "title": [n, 0]}
            if n % 3 == 0
            else {"id": n, "body": [1, n, 0]}
            if n % 3 == 1
            else {"id": n, "title": [n, 0], "body": [1, n, 0]}
            for n in range(60)
        ]
    )
    settle(docs)
    assert sorted(docs.search([0, 0], vector="title", limit=100).ids) == [n for n in range(60) if n % 3 != 1]
    assert sorted(docs.search([1, 0, 0], vector="body", limit=100).ids) == [n for n in range(60) if n % 3 != 0]
    assert docs.search([0, 0], vector="extra", limit=100).ids == []
    assert docs.count() == 60
    assert docs.search([0, 0], vector="title", limit=100, where=vicino.has_vector("body")).ids == [n for n in range(60) if n % 3 == 2]
    assert set(docs.get(1, vectors=True).vectors) == {"body"}
    docs.update([0], vectors={"extra": np.array([[1, 2]], np.int8)})
    settle(docs)
    assert docs.search([1, 2], vector="extra", limit=100).ids == [0]


def test_a_record_without_any_vector_is_a_record(make, settle):
    docs = make(dim=2)
    docs.upsert([{"id": 1, "text": "no vector"}, {"id": 2, "vector": [1, 0]}])
    settle(docs)
    assert docs.get(1).fields == {"text": "no vector"}
    assert docs.search([1, 0], limit=5).ids == [2]


def test_a_document_of_a_megabyte_comes_back(make, settle):
    docs = make(dim=2)
    text = "lorem ipsum " * 90_000
    docs.upsert([{"id": n, "vector": [n, 1], "text": text + str(n)} for n in range(3)])
    settle(docs)
    assert docs[2].fields["text"] == text + "2"
    assert docs.count(where=vicino.F.text.contains("dolor")) == 0
    assert docs.search([1, 1], limit=3, where=vicino.F.text.startswith("lorem")).ids != []


def test_ten_thousand_fields_come_back(make, settle):
    docs = make(dim=2)
    fields = {f"field {n}": n for n in range(10_000)}
    docs.upsert([{"id": 1, "vector": [1, 1], **fields}, {"id": 2, "vector": [2, 1]}])
    settle(docs)
    assert docs[1].fields == fields
    assert docs.search([1, 1], where={"field 9999": 9999}).ids == [1]


def nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = {"a": value}
    return value


def test_fields_nest_to_the_limit_and_no_deeper(make, settle):
    docs = make(dim=2)
    deepest = 1
    while deepest < 200:
        try:
            docs.upsert({"id": deepest, "vector": [1, 1], "x": nested(deepest)})
        except SchemaError:
            break
        deepest += 1
    assert 16 <= deepest < 200
    settle(docs)
    assert docs[deepest - 1].fields["x"] == nested(deepest - 1)
    assert deepest not in docs
    path = "x" + ".a" * (deepest - 1)
    assert docs.count(where={path: "deep"}) == 1


@pytest.mark.parametrize(
    "value", ["", "\0", "é" * 1000, "a.b", "$", 0, -(2**63), 2**63 - 1, 1e308, -0.0, True, None, [], {}, [[], {}, None]]
)
def test_values_at_the_edge_come_back(make, settle, value):
    docs = make(dim=1)
    docs.upsert({"id": 1, "vector": [1], "value": value})
    settle(docs)
    found = docs[1].fields["value"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("name", ["id ", "a.b", "$x", "", "  ", "né", "vector2", "x" * 1000, "_"])
def test_any_key_is_a_field(make, settle, name):
    docs = make(dim=1)
    docs.upsert(vicino.Record(1, vectors={"vector": [1]}, fields={name: 7, "id": 8, "vector": 9}))
    settle(docs)
    assert docs[1].fields == {name: 7, "id": 8, "vector": 9}


KINDS = [
    0, -1, 1, 2**63 - 1, -(2**63), 2**63, 2**200, -(2**200), "1", "", "0", "ä", "\U0001f600", "x" * 5000, "a\0b", " ", "a/b",
    uuid.UUID(int=1), uuid.UUID(int=2**128 - 1), str(uuid.UUID(int=1)),
]  # fmt: skip


def test_ids_of_all_kinds_are_different_and_come_back_as_given(make, settle):
    docs = make(dim=1, metric="l2")
    docs.upsert([{"id": record_id, "vector": [n], "n": n} for n, record_id in enumerate(KINDS)])
    settle(docs)
    assert docs.count() == len(KINDS)
    hits = docs.search([0], limit=100)
    assert [(type(found), found) for found in hits.ids] == [(type(given), given) for given in KINDS]
    assert [docs[record_id].fields["n"] for record_id in KINDS] == list(range(len(KINDS)))
    assert docs.delete(KINDS[::2]).count == len(KINDS[::2])
    assert [record_id in docs for record_id in KINDS] == [n % 2 == 1 for n in range(len(KINDS))]


@pytest.mark.parametrize("bad", [True, False, 1.0, None, b"x", (1,), "\ud800"])
def test_other_ids_are_refused_by_name(make, bad):
    docs = make(dim=1)
    with pytest.raises(SchemaError, match=r"id"):
        docs.upsert([{"id": 1, "vector": [1]}, {"id": bad, "vector": [1]}])
    assert docs.count() == 0
