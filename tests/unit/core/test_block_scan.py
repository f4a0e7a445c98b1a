"""Unsealed rows by 1-bit codes: they find what an exact search finds, over metrics, types, filters, gaps, deletes, and during writes."""

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vicino
from benchmarks.datasets import synthetic_batches
from vicino import F

CODED = "scan of codes"


def rows_of(n: int, dim: int = 96, seed: int = 1) -> np.ndarray:
    return next(synthetic_batches(n, dim, batch=n, seed=seed))


@pytest.fixture
def database():
    with vicino.open() as database:
        yield database


def unsealed(database: Any, rows: np.ndarray, *, batch: int = 1000, **spec: Any) -> Any:
    """All rows in the head, with the fields `even` and `tenth`."""
    collection = database.create_collection("rows", dim=rows.shape[1] * (8 if spec.get("dtype") == "binary" else 1), **spec)
    keep_unsealed(collection)
    for first in range(0, len(rows), batch):
        part = range(first, min(first + batch, len(rows)))
        collection.upsert(ids=part, vectors=rows[first : first + batch], fields=[{"even": i % 2 == 0, "tenth": i % 10} for i in part])
    return collection


def keep_unsealed(collection: Any) -> None:
    collection._shard.limits = replace(collection._shard.limits, head_rows_max=1 << 30, head_bytes_max=1 << 40)


def strategies(found: Any) -> set[str]:
    return {step.strategy for step in found.plan.segments}


def recall(collection: Any, queries: np.ndarray, *, limit: int = 10, strategy: str = CODED, **search: Any) -> float:
    """Share of the nearest by distance that a search finds; ties may go either way."""
    shares = []
    for query in queries:
        truth = [hit.distance for hit in collection.search(query, limit=limit, exact=True, **search)]
        found = collection.search(query, limit=limit, **search)
        assert strategies(found) == {strategy}
        assert len(found) == len(truth)
        shares.append(np.mean([hit.distance <= truth[-1] for hit in found]))
    return float(np.mean(shares))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_codes_find_what_rows_find(database: Any, metric: str, dtype: str) -> None:
    rows = rows_of(6100)
    collection = unsealed(database, rows[:6000], metric=metric, dtype=dtype)
    assert recall(collection, rows[6000:]) >= 0.999


def test_few_rows_are_read(database: Any) -> None:
    rows = rows_of(6050, 384)
    collection = unsealed(database, rows[:6000])
    read = [step.rows_read for query in rows[6000:] for step in collection.search(query, limit=10).plan.segments]
    assert np.mean(read) < 600


def test_small_heads_are_scanned_exactly(database: Any) -> None:
    rows = rows_of(2050)
    collection = unsealed(database, rows[:2000])
    assert recall(collection, rows[2000:2005], strategy="scan") == 1.0


@pytest.mark.parametrize("dtype", ["int8", "uint8", "binary"])
def test_rows_that_are_codes_themselves_are_scanned_exactly(database: Any, dtype: str) -> None:
    rows = np.random.default_rng(2).integers(0, 100, (3000, 64)).astype("int8" if dtype == "int8" else "uint8")
    collection = unsealed(database, rows, dtype=dtype, metric="hamming" if dtype == "binary" else "l2")
    assert strategies(collection.search(rows[5], limit=10)) == {"scan"}


@pytest.mark.parametrize("index", ["flat", vicino.IndexSpec("flat")], ids=["by name", "by parameters"])
def test_without_an_index_every_row_is_read(database: Any, index: Any) -> None:
    rows = rows_of(3000)
    found = unsealed(database, rows, index=index).search(rows[5], limit=10)
    assert (strategies(found), found.recall) == ({"scan"}, 1.0)


def test_an_exact_search_reads_every_row(database: Any) -> None:
    rows = rows_of(3000)
    plan = unsealed(database, rows).search(rows[5], limit=10, exact=True).plan
    assert [(step.strategy, step.rows_read) for step in plan.segments] == [("scan", 3000)]


@pytest.mark.parametrize("where", [F.even == True, F.tenth == 3, (F.tenth == 3) & (F.even == False)], ids=["half", "tenth", "both"])  # noqa: E712
def test_only_matching_rows_are_found(database: Any, where: Any) -> None:
    rows = rows_of(6050)
    collection = unsealed(database, rows[:6000])
    assert recall(collection, rows[6000:], where=where) >= 0.999


def test_limits_are_honored_where_just_enough_rows_match(database: Any) -> None:
    rows = rows_of(3000)
    collection = unsealed(database, rows)
    assert len(collection.search(rows[0], limit=37, where=F.tenth == 3)) == 37
    assert len(collection.search(rows[0], limit=300, where=F.tenth == 3)) == 300


def test_deleted_and_replaced_rows_are_not_found(database: Any) -> None:
    rows = rows_of(4050)
    collection = unsealed(database, rows[:4000])
    collection.delete(range(0, 4000, 2))
    collection.upsert(ids=range(1, 200, 2), vectors=-rows[1:200:2])
    assert recall(collection, rows[4000:]) >= 0.999
    assert all(hit.id % 2 for query in rows[:20] for hit in collection.search(query, limit=10))
    assert 1 not in collection.search(rows[1], limit=10).ids


def test_records_without_the_vector_are_passed_over(database: Any) -> None:
    rows = rows_of(6050)
    collection = database.create_collection("rows", vectors={"a": vicino.VectorSpec(96), "b": vicino.VectorSpec(96)})
    keep_unsealed(collection)
    for first in range(0, 6000, 500):
        part = range(first, first + 500)
        collection.upsert([{"id": i, "a": rows[i]} | ({"b": rows[i]} if i % 3 else {}) for i in part])
    assert recall(collection, rows[6000:6030], vector="b") >= 0.999
    assert all(hit.id % 3 for query in rows[:9] for hit in collection.search(query, vector="b", limit=10))


def test_rows_written_topic_by_topic_are_found_by_codes_of_their_own(database: Any) -> None:
    random = np.random.default_rng(4)
    rows = random.standard_normal((24_050, 64)).astype(np.float32)
    rows[12_000:] += 3 * random.standard_normal(64).astype(np.float32)
    collection = unsealed(database, rows[:24_000], metric="l2", batch=4000)
    assert recall(collection, rows[24_000:]) >= 0.999
    read = [step.rows_read for query in rows[24_000:] for step in collection.search(query, limit=10).plan.segments]
    assert np.mean(read) < 8000  # codes around the mean of the first topic would leave nearly all 12,000


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_zero_vectors_and_copies_are_found(database: Any, metric: str) -> None:
    rows = rows_of(5000)
    rows[::7] = 0
    rows[1::7] = rows[1]
    collection = unsealed(database, rows, metric=metric)
    assert recall(collection, np.stack([rows[0], rows[1], rows[2], rows[3], -rows[4]])) >= 0.999
    assert recall(collection, np.zeros((1, 96), np.float32)) == 1.0


def test_rows_near_the_ends_of_float_are_found(database: Any) -> None:
    rows = rows_of(3000)
    rows[100:200] *= np.float32(1e37)
    rows[200:300] *= np.float32(1e-30)
    collection = unsealed(database, rows, metric="l2")
    assert recall(collection, rows[90:310:20]) >= 0.999


def test_batches_of_queries_find_the_same(database: Any) -> None:
    rows = rows_of(6050)
    collection = unsealed(database, rows[:6000])
    single = [collection.search(query, limit=10).ids for query in rows[6000:]]
    assert [found.ids for found in collection.search_many(rows[6000:], limit=10)] == single


def test_the_size_of_writes_does_not_change_answers(database: Any) -> None:
    rows = rows_of(6050)
    collection = unsealed(database, rows[:6000])
    with vicino.open() as other:
        again = unsealed(other, rows[:6000], batch=97)
        for query in rows[6000:]:
            assert again.search(query, limit=10).ids == collection.search(query, limit=10).ids


def test_codes_count_as_memory(database: Any) -> None:
    rows = rows_of(6000)
    collection = unsealed(database, rows)
    before = collection._shard.state.head_bytes
    with vicino.open() as other:
        exact = unsealed(other, rows, metric="l1")
        assert before - exact._shard.state.head_bytes >= 6000 * 96 // 8


def test_searches_find_what_was_written_before_them_while_more_is_written(database: Any) -> None:
    rows = rows_of(12_000, 64)
    collection = unsealed(database, rows[:2500])
    failures: list[str] = []
    is_done = threading.Event()

    def search() -> None:
        while not is_done.is_set():
            n = collection.count()
            row = n - 1
            if row not in collection.search(rows[row], limit=10).ids:
                failures.append(f"row {row} of {n} was not found")

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for first in range(2500, 12_000, 37):
        part = range(first, min(first + 37, 12_000))
        collection.upsert(ids=part, vectors=rows[first : part.stop])
    is_done.set()
    for thread in threads:
        thread.join()
    assert failures == []


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.sampled_from(["cosine", "dot", "l2"]), st.floats(0, 30))
@settings(max_examples=15, deadline=None)
def test_any_rows_are_found(seed: int, limit: int, metric: str, offset: float) -> None:
    random = np.random.default_rng(seed)
    rows = (random.standard_normal((2600, 64)) * random.uniform(0.01, 10, (2600, 1)) + offset).astype(np.float32)
    with vicino.open() as database:
        collection = unsealed(database, rows[:2590], batch=int(random.integers(50, 2600)), metric=metric)
        assert recall(collection, rows[2590:], limit=limit) >= 0.98
