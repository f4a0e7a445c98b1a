"""Searches of which a device computes the distances: the answers are those of the processor, and it is said where no device applies."""

from typing import Any

import numpy as np
import pytest

import vicino
from tests.unit.gpu.devices import DEVICES, device_of
from vicino import F
from vicino.collection import on_device
from vicino.errors import InvalidArgument, MemoryLimitError
from vicino.gpu import device as devices
from vicino.gpu import nearest

DIM = 24
N = 700


def rows(n: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32)


@pytest.fixture(params=DEVICES)
def on(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name to give as device=; it stands for one of the devices of the tests."""
    at = device_of(request.param)
    monkeypatch.setattr(devices, "open_device", lambda name: at)
    monkeypatch.setattr(nearest, "ROWS_PER_TILE_MAX", 150)
    return "cuda"


def filled(metric: str = "cosine", dtype: str = "float32") -> vicino.Collection[Any]:
    """A sealed segment, deleted records, a head, and some records without a vector."""
    docs = vicino.open(":memory:").create_collection("docs", vectors={"v": vicino.VectorSpec(dim=DIM, metric=metric, dtype=dtype)})
    vectors = rows(N)
    records = [{"id": n, "number": n % 10, **({} if n % 13 == 0 else {"v": vectors[n]})} for n in range(N)]
    docs.upsert(records[:500])
    docs.optimize()
    docs.upsert(records[500:])
    docs.delete(list(range(0, N, 17)))
    return docs


def same(found: Any, expected: Any) -> bool:
    return all(a.ids == b.ids and [h.distance for h in a] == [h.distance for h in b] for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_answers_are_those_of_the_processor(on: str, metric: str, dtype: str) -> None:
    docs, queries = filled(metric, dtype), rows(9, seed=2)
    assert same(docs.search_many(queries, exact=True, device=on), docs.search_many(queries, exact=True))


def test_a_filter_and_an_offset_are_kept(on: str) -> None:
    docs, queries = filled(), rows(5, seed=2)
    options: dict[str, Any] = {"exact": True, "where": F.number < 3, "limit": 20, "offset": 7, "select": ["number"]}
    found, expected = docs.search_many(queries, device=on, **options), docs.search_many(queries, **options)
    assert same(found, expected)
    assert [hit.fields for hit in found[0]] == [hit.fields for hit in expected[0]]


@pytest.mark.parametrize("limit", [1, 300, 2000])
def test_any_limit_is_honoured(on: str, limit: int) -> None:
    docs, queries = filled(), rows(3, seed=2)
    assert same(docs.search_many(queries, exact=True, limit=limit, device=on), docs.search_many(queries, exact=True, limit=limit))


def test_equal_rows_by_the_hundred_are_found_in_order(on: str) -> None:
    docs = vicino.open(":memory:").create_collection("docs", dim=DIM)
    docs.upsert(ids=range(600), vectors=np.repeat(rows(2), 300, axis=0))
    queries = rows(2, seed=2)
    found = docs.search_many(queries, exact=True, device=on)
    assert same(found, docs.search_many(queries, exact=True))
    assert any("of 2 of 2 queries the device could not tell" in note for note in found[0].plan.notes)


def test_nothing_to_search_gives_nothing(on: str) -> None:
    docs = vicino.open(":memory:").create_collection("docs", dim=DIM)
    assert docs.search_many([], exact=True, device=on) == []
    assert [found.ids for found in docs.search_many(rows(2), exact=True, device=on)] == [[], []]
    docs.upsert(ids=range(5), vectors=rows(5))
    assert docs.search_many([], exact=True, device=on) == []


def test_queries_are_answered_in_groups_that_fit(on: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_device, "GROUP_BYTES", 10_000)
    docs, queries = filled(), rows(11, seed=2)
    assert same(docs.search_many(queries, exact=True, device=on), docs.search_many(queries, exact=True))


def test_the_plan_says_where_distances_were_computed(on: str) -> None:
    plan = filled().search_many(rows(2), exact=True, device=on)[0].plan
    assert any(note.startswith("distances were computed on ") for note in plan.notes)
    assert plan.recall == 1.0


def test_the_memory_limit_counts_the_tiles(on: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "ROWS_PER_TILE_MAX", 1_000_000)
    docs = vicino.open(":memory:", memory_limit="24MB").create_collection("docs", dim=DIM)
    docs.upsert(ids=range(10), vectors=rows(10))
    with pytest.raises(MemoryLimitError, match="a tile of vectors for the device"):
        docs.search_many(rows(2), exact=True, device=on)


def test_the_processor_by_name_is_the_core() -> None:
    docs, queries = filled(), rows(3, seed=2)
    assert same(docs.search_many(queries, device="cpu"), docs.search_many(queries))


def test_without_exact_no_device_is_asked() -> None:
    with pytest.raises(InvalidArgument, match="say exact=True as well"):
        filled().search_many(rows(1), device="cuda")


@pytest.mark.parametrize(
    ("dtype", "metric", "message"),
    [
        ("binary", "hamming", 'vector "v" is binary'),
        ("binary", "jaccard", 'vector "v" is binary'),
        ("int8", "l2", 'vector "v" is int8'),
    ],
)
def test_other_types_are_refused(dtype: str, metric: str, message: str) -> None:
    docs = vicino.open(":memory:").create_collection("docs", vectors={"v": vicino.VectorSpec(dim=16, metric=metric, dtype=dtype)})
    with pytest.raises(InvalidArgument, match=message):
        docs.search_many([np.zeros(2 if dtype == "binary" else 16, np.uint8 if dtype == "binary" else np.int8)], exact=True, device="cuda")


@pytest.mark.parametrize("options", [{"diversity": 0.5}, {"mode": "text"}], ids=["diversity", "words"])
def test_queries_of_other_kinds_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="device= is for exact search of vectors alone"):
        filled().search_many(["words"] if "mode" in options else rows(1), exact=True, device="cuda", **options)
