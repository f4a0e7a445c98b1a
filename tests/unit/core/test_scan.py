"""Exact search under a bitmap."""

import numpy as np
import pytest

from vicino import _core
from vicino.errors import TimeoutError

METRICS = ["cosine", "dot", "l2", "l1", "hamming", "jaccard"]


def make(metric: str, n: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    if metric in ("hamming", "jaccard"):
        return rng.integers(0, 256, (n, 12), dtype=np.uint8), rng.integers(0, 256, (7, 12), dtype=np.uint8)
    return rng.standard_normal((n, 20), dtype=np.float32), rng.standard_normal((7, 20), dtype=np.float32)


def by_sorting(vectors: np.ndarray, queries: np.ndarray, k: int, metric: str, allowed: np.ndarray | None) -> np.ndarray:
    """Rows in order of (distance, row)."""
    distances = _core.pairwise_distances(queries, vectors, metric)
    if allowed is not None:
        distances[:, ~allowed] = np.inf
    return np.argsort(distances, axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("share", [None, 1.0, 0.5, 0.02])
def test_rows_are_those_of_a_full_sort(metric: str, share: float | None) -> None:
    vectors, queries = make(metric, 5003)
    allowed = None if share is None else np.random.default_rng(4).random(5003) < share
    rows, _ = _core.exact_search(vectors, queries, 10, metric, allowed=allowed)
    assert np.array_equal(rows, by_sorting(vectors, queries, 10, metric, allowed))


@pytest.mark.parametrize("metric", METRICS)
def test_distances_are_public_and_ascend(metric: str) -> None:
    vectors, queries = make(metric, 300)
    rows, distances = _core.exact_search(vectors, queries, 300, metric)
    assert np.all(np.diff(distances, axis=1) >= 0)
    expected = np.take_along_axis(_core.pairwise_distances(queries, vectors, metric), rows, axis=1)
    np.testing.assert_array_equal(distances, expected)


def test_one_query_and_a_batch_give_the_same() -> None:
    vectors, queries = make("l2", 4000)
    batch = _core.exact_search(vectors, queries, 5, "l2")
    for i in range(len(queries)):
        single = _core.exact_search(vectors, queries[i : i + 1], 5, "l2")
        assert np.array_equal(single[0][0], batch[0][i])
        assert np.array_equal(single[1][0], batch[1][i])


def test_equal_distances_come_in_row_order() -> None:
    vectors = np.ones((1000, 4), np.float32)
    rows, distances = _core.exact_search(vectors, vectors[:1], 6, "l2", allowed=np.arange(1000) % 3 == 2)
    assert rows.tolist() == [[2, 5, 8, 11, 14, 17]]
    assert np.all(distances == 0)


def test_k_beyond_the_rows_is_padded() -> None:
    vectors, queries = make("l2", 3)
    rows, distances = _core.exact_search(vectors, queries, 5, "l2")
    assert np.all(np.sort(rows[:, :3], axis=1) == [0, 1, 2])
    assert np.all(rows[:, 3:] == -1)
    assert np.all(np.isinf(distances[:, 3:]))


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65])
def test_nothing_allowed_finds_nothing(n: int) -> None:
    vectors, queries = make("l2", n)
    rows, _ = _core.exact_search(vectors, queries, 2, "l2", allowed=np.zeros(n, bool))
    assert np.all(rows == -1)


@pytest.mark.parametrize("dim", [1, 8192])
def test_smallest_and_largest_dimension(dim: int) -> None:
    vectors = np.random.default_rng(5).standard_normal((200, dim), dtype=np.float32)
    rows, _ = _core.exact_search(vectors, vectors, 1, "l2")
    assert np.array_equal(rows[:, 0], np.arange(200))


def test_a_distance_at_the_end_of_float_is_still_a_hit() -> None:
    far = np.full((2, 8), 3e38, np.float32)
    rows, distances = _core.exact_search(far, -far[:1], 2, "l2")
    assert rows.tolist() == [[0, 1]]
    assert np.all(np.isfinite(distances))


def test_a_deadline_stops_the_scan() -> None:
    vectors, queries = make("l2", 50_000)
    with pytest.raises(TimeoutError):
        _core.exact_search(vectors, np.repeat(queries, 200, axis=0), 10, "l2", timeout_s=0.001)


def test_k_of_zero_is_refused() -> None:
    vectors, queries = make("l2", 3)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        _core.exact_search(vectors, queries, 0, "l2")
