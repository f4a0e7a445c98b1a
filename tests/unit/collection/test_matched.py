"""Which token or chunk of a record a query by multi-vectors matched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import vicino
from vicino import MultiSpec, MultiVector, VectorSpec

EAST, NORTH, WEST = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]


@pytest.fixture
def docs() -> Iterator[Any]:
    with vicino.open() as db:
        docs = db.create_collection("docs", vectors={"vector": VectorSpec(2), "tokens": MultiSpec(2)})
        docs.upsert(
            [
                {"id": "a", "vector": EAST, "tokens": [NORTH, WEST, EAST]},
                {"id": "b", "vector": NORTH, "tokens": [EAST, [0.6, 0.8]]},
                {"id": "c", "vector": WEST},
            ]
        )
        yield docs


def matched(hits: Any) -> dict[Any, dict[str, int]]:
    return {hit.id: hit.matched for hit in hits}


def test_hit_tells_the_token_that_matched(docs: Any) -> None:
    assert matched(docs.search(MultiVector([EAST]))) == {"a": {"multi_vector": 2}, "b": {"multi_vector": 0}}


def test_token_told_is_the_one_that_adds_most(docs: Any) -> None:
    (hit,) = docs.search(MultiVector([[0.6, 0.8], [-0.8, 0.6]]), where=vicino.has_id("b"))
    assert hit.matched == {"multi_vector": 1}


def test_each_part_tells_its_own(docs: Any) -> None:
    hits = docs.search(vicino.Fuse([MultiVector([EAST]), MultiVector([NORTH])], method="rrf"))
    assert matched(hits)["a"] == {"multi_vector": 2, "multi_vector 2": 0}


def test_second_stage_tells_the_token_too(docs: Any) -> None:
    assert matched(docs.search(vicino.Rescore(vicino.Dense(EAST, vector="vector"), by=MultiVector([WEST]))))["a"] == {"multi_vector": 1}


def test_record_that_the_part_did_not_find_has_none(docs: Any) -> None:
    hits = docs.search(vicino.Fuse([vicino.Dense(WEST, vector="vector"), MultiVector([EAST])], method="rrf"))
    assert matched(hits)["c"] == {}


def test_other_queries_match_no_token(docs: Any) -> None:
    assert docs.search(EAST, vector="vector")[0].matched == {}


@pytest.mark.parametrize("sealed", [False, True])
def test_token_is_the_best_by_the_vectors_themselves(sealed: bool) -> None:
    rng = np.random.default_rng(4)
    tokens = {number: rng.normal(size=(rng.integers(1, 9), 6)).astype(np.float32) for number in range(40)}
    query = rng.normal(size=(1, 6)).astype(np.float32)
    with vicino.open() as db:
        docs = db.create_collection("docs", vectors={"tokens": MultiSpec(6, metric="dot")})
        docs.upsert([{"id": number, "tokens": rows} for number, rows in tokens.items()])
        if sealed:
            docs.optimize()
        found = matched(docs.search(MultiVector(query), limit=40))
    assert found == {number: {"multi_vector": int(np.argmax(rows @ query[0]))} for number, rows in tokens.items()}


def test_slices_and_pages_keep_what_matched(docs: Any) -> None:
    assert matched(docs.search(MultiVector([EAST]))[1:]) == {"b": {"multi_vector": 0}}
    assert matched(docs.search(MultiVector([EAST]), limit=1, cursor="")) == {"a": {"multi_vector": 2}}


def test_repr_shows_what_matched(docs: Any) -> None:
    assert repr(docs.search(MultiVector([EAST]), limit=1)[0]) == "Hit(id='a', score=1.0000, matched={'multi_vector': 2})"
