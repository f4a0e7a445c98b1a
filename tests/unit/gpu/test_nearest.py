"""Candidates gathered on a device: where it says that none is missing none is, and where rounding could hide one it does not say so."""

import numpy as np
import pytest

from tests.unit.gpu.devices import DEVICES, device_of
from vicino import _core
from vicino.gpu import nearest
from vicino.gpu.nearest import NearestRows, candidates_for, rows_per_tile

METRICS = ("cosine", "dot", "l2", "l1")
K = 7


def gathered(device: str, rows: np.ndarray, queries: np.ndarray, metric: str, tile: int, k: int = K) -> NearestRows:
    found = NearestRows(device_of(device), queries, metric, k)
    labels = np.arange(len(rows), dtype=np.int64) * 3 + 5
    for start in range(0, len(rows), tile):
        found.offer(rows[start : start + tile], labels[start : start + tile])
    return found


def drawn(n: int, dim: int = 24, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("tile", [1, 97, 1000])
def test_the_nearest_rows_are_among_the_candidates_of_any_tiling(device: str, metric: str, tile: int) -> None:
    rows, queries = drawn(700), drawn(9, seed=2)
    found = gathered(device, rows, queries, metric, tile)
    expected, distances = _core.exact_search(rows, queries, K, metric)
    for query, candidates in enumerate(found.candidates()):
        assert len(candidates) == candidates_for(K)
        assert set(expected[query] * 3 + 5) <= set(candidates.tolist())
        assert found.is_complete(query, distances[query, -1])


@pytest.mark.parametrize("device", DEVICES)
def test_more_queries_than_a_tile_holds_are_all_answered(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "QUERIES_PER_TILE", 4)
    rows, queries = drawn(300), drawn(11, seed=2)
    found = gathered(device, rows, queries, "l2", 64)
    expected, _ = _core.exact_search(rows, queries, K, "l2")
    for wanted, candidates in zip(expected, found.candidates(), strict=True):
        assert set(wanted * 3 + 5) <= set(candidates.tolist())


@pytest.mark.parametrize("device", DEVICES)
def test_fewer_rows_than_candidates_are_all_candidates(device: str) -> None:
    found = gathered(device, drawn(20), drawn(2, seed=2), "cosine", 8)
    assert [candidates.tolist() for candidates in found.candidates()] == [[row * 3 + 5 for row in range(20)]] * 2
    assert found.is_complete(0, 1.9)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("metric", METRICS)
def test_rows_at_one_distance_beyond_the_candidates_are_not_proven(device: str, metric: str) -> None:
    rows, queries = np.repeat(drawn(1), 500, axis=0), drawn(2, seed=2)
    found = gathered(device, rows, queries, metric, 200)
    _, distances = _core.exact_search(rows, queries, K, metric)
    assert not found.is_complete(0, distances[0, -1])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("metric", ["dot", "l2"])
def test_products_beyond_single_precision_are_not_proven(device: str, metric: str) -> None:
    rows, queries = drawn(300) * np.float32(1e30), drawn(2, seed=2) * np.float32(1e30)
    found = gathered(device, rows, queries, metric, 100)
    assert not found.is_complete(0, -1e30)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_cosine_does_not_mind_the_length_of_vectors(device: str, factor: float) -> None:
    rows, queries = drawn(300) * np.float32(factor), drawn(3, seed=2)
    rows[17] = 0
    found = gathered(device, rows, queries, "cosine", 100)
    expected, distances = _core.exact_search(rows, queries, K, "cosine")
    for query, candidates in enumerate(found.candidates()):
        assert set(expected[query] * 3 + 5) <= set(candidates.tolist())
        assert found.is_complete(query, distances[query, -1])


@pytest.mark.parametrize("device", DEVICES)
def test_far_from_the_origin_l2_is_not_proven_from_digits_it_has_lost(device: str) -> None:
    rows = (drawn(2000, dim=8) * 0.01 + 1000).astype(np.float32)
    queries = rows[:20]
    found = gathered(device, rows, queries, "l2", 500)
    expected, distances = _core.exact_search(rows, queries, K, "l2")
    for query, candidates in enumerate(found.candidates()):
        assert set(expected[query] * 3 + 5) <= set(candidates.tolist()) or not found.is_complete(query, distances[query, -1])


@pytest.mark.parametrize(("dim", "n_queries"), [(1, 1), (384, 1000), (8192, 100_000), (200_000_000, 1)])
def test_a_tile_stays_within_its_bytes(dim: int, n_queries: int) -> None:
    rows = rows_per_tile(dim, n_queries)
    assert rows >= 1
    assert rows == 1 or rows * 4 * (3 * dim + 4 * min(n_queries, nearest.QUERIES_PER_TILE)) <= nearest.TILE_BYTES
