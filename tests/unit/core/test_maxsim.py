"""MaxSim over codes, bounds and lists against float64."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicino import _core
from vicino.errors import CorruptionError, FormatError, InvalidArgument
from vicino.errors import TimeoutError as VicinoTimeout

SETS = _core.kernel_sets()
DTYPES = ["float32", "float16", "int8"]
METRICS = ["cosine", "dot"]


def make(rng: np.random.Generator, counts: list[int], dim: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of rows with so many each, and where rows start."""
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    n = int(starts[-1])
    if dtype == "int8":
        return rng.integers(-128, 128, (n, dim), dtype=np.int8), starts
    return rng.standard_normal((n, dim)).astype(dtype), starts


def units(matrix: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / np.where(norms == 0, 1, norms)


def similarities(tokens: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    tokens, query = tokens.astype(np.float64), query.astype(np.float64)
    return units(tokens) @ units(query).T if metric == "cosine" else tokens @ query.T


def reference(tokens: np.ndarray, starts: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    """Score of every row, -inf for rows without tokens."""
    found = similarities(tokens, query, metric)
    return np.array([found[begin:end].max(axis=0).sum() if end > begin else -np.inf for begin, end in pairwise(starts)])


def check(source: tuple, query: np.ndarray, k: int, metric: str, kernel_set: str = "", exact: bool = True) -> dict:
    """The answer is the k best of the allowed rows, within float rounding."""
    tokens, starts, _, allowed = source
    want = reference(tokens, starts, query, metric)
    if allowed is not None:
        want = np.where(allowed, want, -np.inf)
    rows, scores, best, stats = _core.search_multi([source], query, k, metric, exact=exact, kernel_set=kernel_set)
    sizes = np.linalg.norm(query.astype(np.float64), axis=1).sum() * np.linalg.norm(tokens.astype(np.float64), axis=1).max(initial=0)
    tolerance = 2e-5 * (len(query) if metric == "cosine" else sizes) + 1e-30
    best_scores = np.sort(want[np.isfinite(want)])[::-1][:k]
    assert len(rows) == len(best_scores)
    assert len(set(rows[:, 1])) == len(rows)
    np.testing.assert_allclose(scores[0], best_scores, rtol=0, atol=tolerance)
    np.testing.assert_allclose(scores[0], want[rows[:, 1]], rtol=0, atol=tolerance)
    assert (np.diff(scores[0]) <= 0).all()
    all_similarities = similarities(tokens, query, metric)
    for (_, row), found in zip(rows, best[:, 1:], strict=True):
        mine = all_similarities[starts[row] : starts[row + 1]]
        np.testing.assert_allclose(mine[found, np.arange(len(query))], mine.max(axis=0), rtol=0, atol=tolerance)
    return stats


@pytest.mark.parametrize("kernel_set", SETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [1, 2, 3, 4, 5, 31, 64, 127, 128, 130, 384, 1024])
def test_codes_and_bounds_give_the_exact_answer(kernel_set: str, dtype: str, metric: str, dim: int) -> None:
    rng = np.random.default_rng(dim)
    tokens, starts = make(rng, list(rng.integers(0, 20, 60)), dim, dtype)
    query = rng.standard_normal((int(rng.integers(1, 40)), dim)).astype(np.float32)
    index = _core.build_multi_index(tokens, starts, metric)
    check((tokens, starts, index, None), query, 10, metric, kernel_set)


@pytest.mark.parametrize("kernel_set", SETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("metric", METRICS)
def test_a_source_without_an_index_is_scored_in_full(kernel_set: str, dtype: str, metric: str) -> None:
    rng = np.random.default_rng(3)
    tokens, starts = make(rng, list(rng.integers(0, 9, 50)), 48, dtype)
    stats = check((tokens, starts, None, None), rng.standard_normal((7, 48)).astype(np.float32), 5, metric, kernel_set)
    assert stats["rows_rescored"] == 0


@pytest.mark.parametrize("n_query_tokens", [1, 15, 16, 17, 32, 33, 70])
def test_any_number_of_query_tokens(n_query_tokens: int) -> None:
    rng = np.random.default_rng(n_query_tokens)
    tokens, starts = make(rng, [5] * 40, 32, "float32")
    index = _core.build_multi_index(tokens, starts, "dot")
    check((tokens, starts, index, None), rng.standard_normal((n_query_tokens, 32)).astype(np.float32), 8, "dot")


@given(
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=30),
    dim=st.integers(1, 70),
    n_query_tokens=st.integers(1, 20),
    k=st.integers(1, 12),
    dtype=st.sampled_from(DTYPES),
    metric=st.sampled_from(METRICS),
    filtered=st.booleans(),
    lists=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape_agrees_with_the_reference(
    counts: list[int], dim: int, n_query_tokens: int, k: int, dtype: str, metric: str, filtered: bool, lists: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    tokens, starts = make(rng, counts, dim, dtype)
    allowed = rng.random(len(counts)) < 0.5 if filtered else None
    index = _core.build_multi_index(tokens, starts, metric, 1 if lists else 10**9)
    _core.verify_multi_index(index, len(counts), dim, dtype, metric)
    check((tokens, starts, index, allowed), rng.standard_normal((n_query_tokens, dim)).astype(np.float32), k, metric)


@pytest.mark.parametrize("kernel_set", SETS)
@pytest.mark.parametrize("dim", [64, 1024, 65536])
def test_products_of_extreme_codes_do_not_overflow(kernel_set: str, dim: int) -> None:
    signs = np.where(np.arange(3)[:, None] == 1, -1, 1)
    tokens = (np.full((3, dim), 127) * signs).astype(np.int8)
    tokens[2, ::2] = -128
    query = np.vstack([np.ones(dim), -np.ones(dim)]).astype(np.float32)
    starts = np.arange(4, dtype=np.int64)
    check((tokens, starts, _core.build_multi_index(tokens, starts, "dot"), None), query, 3, "dot", kernel_set)


def test_equal_scores_are_ordered_by_source_and_row() -> None:
    token = np.ones((4, 8), np.float32)
    starts = np.arange(5, dtype=np.int64)
    index = _core.build_multi_index(token, starts, "dot")
    rows, scores, _, _ = _core.search_multi([(token, starts, None, None), (token, starts, index, None)], token[:1], 6, "dot")
    assert rows.tolist() == [[0, 0], [0, 1], [0, 2], [0, 3], [1, 0], [1, 1]]
    assert scores[0].tolist() == [8.0] * 6


def test_sources_are_merged_like_one() -> None:
    rng = np.random.default_rng(5)
    tokens, starts = make(rng, [4] * 90, 24, "float32")
    query = rng.standard_normal((6, 24)).astype(np.float32)
    parts = []
    for first in range(0, 90, 30):
        mine, where = tokens[first * 4 : (first + 30) * 4], starts[:31]
        parts.append((mine, where, _core.build_multi_index(mine, where, "dot") if first else None, None))
    rows, _, _, _ = _core.search_multi(parts, query, 12, "dot")
    want = np.argsort(-reference(tokens, starts, query, "dot"))[:12]
    assert [source * 30 + row for source, row in rows.tolist()] == want.tolist()


def test_a_zero_token_scores_zero_under_cosine() -> None:
    tokens = np.array([[0, 0], [-1, 0]], np.float32)
    starts = np.arange(3, dtype=np.int64)
    index = _core.build_multi_index(tokens, starts, "cosine")
    rows, scores, _, _ = _core.search_multi([(tokens, starts, index, None)], np.array([[1, 0]], np.float32), 2, "cosine")
    assert rows[:, 1].tolist() == [0, 1]
    assert scores[0].tolist() == [0.0, -1.0]


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize("size", [1e-44, 1e-30, 1e30, 3e38])
def test_extreme_magnitudes_keep_their_direction(size: float, indexed: bool) -> None:
    tokens = (np.array([[1, 0], [0, 1], [-1, 0]]) * size).astype(np.float32)
    starts = np.arange(4, dtype=np.int64)
    index = _core.build_multi_index(tokens, starts, "cosine") if indexed else None
    query = (np.array([[1, 0]]) * size).astype(np.float32)
    rows, scores, _, _ = _core.search_multi([(tokens, starts, index, None)], query, 3, "cosine")
    assert rows[:, 1].tolist() == [0, 1, 2]
    np.testing.assert_allclose(scores[0], [1, 0, -1], atol=1e-6)


@pytest.mark.parametrize("kernel_set", SETS)
def test_dot_products_beyond_floats_saturate(kernel_set: str) -> None:
    tokens = np.array([[3e38, 3e38], [1, 1], [3e38, -3e38]], np.float32)
    starts = np.arange(4, dtype=np.int64)
    index = _core.build_multi_index(tokens, starts, "dot")
    query = np.array([[3e38, 3e38]], np.float32)
    rows, scores, _, _ = _core.search_multi([(tokens, starts, index, None)], query, 3, "dot", kernel_set=kernel_set)
    assert rows[:, 1].tolist() == [0, 1, 2]
    np.testing.assert_allclose(scores[0], np.finfo(np.float32).max * np.array([1.0, 1.0, 0.0]))


def test_the_token_named_is_that_of_the_query_token_which_adds_most() -> None:
    tokens = np.array([[0, 2], [5, 0], [1, 1]], np.float32)
    starts = np.array([0, 3], np.int64)
    _, scores, best, _ = _core.search_multi([(tokens, starts, None, None)], np.array([[0, 1], [1, 0]], np.float32), 1, "dot")
    assert scores[0, 0] == 7
    assert best[0].tolist() == [1, 0, 1]


def clustered(rng: np.random.Generator, n_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows whose tokens come from a few topics each, as those of passages do, and a query near one row."""
    topics = units(rng.standard_normal((300, 32)))
    of_rows = rng.integers(0, 300, (n_rows, 4))
    tokens = units(topics[np.repeat(of_rows, 3, axis=1).ravel()] + 0.15 * rng.standard_normal((n_rows * 12, 32))).astype(np.float32)
    query = units(tokens[36:48:2] + 0.1 * rng.standard_normal((6, 32))).astype(np.float32)
    return tokens, np.arange(n_rows + 1, dtype=np.int64) * 12, query


@pytest.mark.parametrize("dtype", DTYPES)
def test_probing_finds_the_best_rows_of_clustered_tokens(dtype: str) -> None:
    rng = np.random.default_rng(8)
    tokens, starts, query = clustered(rng, 4000)
    tokens = (tokens * 127).round().astype(np.int8) if dtype == "int8" else tokens.astype(dtype)
    index = _core.build_multi_index(tokens, starts, "cosine", 1)
    exact, _, _, _ = _core.search_multi([(tokens, starts, index, None)], query, 10, "cosine", exact=True)
    found, _, _, stats = _core.search_multi([(tokens, starts, index, None)], query, 10, "cosine", probes=16, shortlist=400)
    assert stats["rows_scored"] <= 400 < 4000
    assert len(set(exact[:, 1].tolist()) & set(found[:, 1].tolist())) >= 9


def test_probing_keeps_to_the_filter() -> None:
    rng = np.random.default_rng(9)
    tokens, starts, query = clustered(rng, 4000)
    index = _core.build_multi_index(tokens, starts, "cosine", 1)
    allowed = np.arange(4000) % 2 == 1
    rows, _, _, stats = _core.search_multi([(tokens, starts, index, allowed)], query, 10, "cosine", probes=16, shortlist=100)
    assert stats["lists_probed"] > 0
    assert (rows[:, 1] % 2 == 1).all()


def test_few_allowed_rows_are_all_scored() -> None:
    rng = np.random.default_rng(10)
    tokens, starts, query = clustered(rng, 4000)
    index = _core.build_multi_index(tokens, starts, "cosine", 1)
    allowed = np.arange(4000) % 100 == 1
    stats = check((tokens, starts, index, allowed), query, 10, "cosine", exact=False)
    assert (stats["rows_scored"], stats["lists_probed"]) == (40, 0)


def test_an_index_has_the_same_bytes_for_any_number_of_threads() -> None:
    tokens, starts, _ = clustered(np.random.default_rng(11), 1500)
    one, two = (_core.build_multi_index(tokens, starts, "cosine", 1, 7, threads) for threads in (1, 2))
    assert one == two


def test_bounds_leave_most_rows_unread() -> None:
    tokens, starts, query = clustered(np.random.default_rng(12), 4000)
    index = _core.build_multi_index(tokens, starts, "cosine")
    assert check((tokens, starts, index, None), query, 10, "cosine")["rows_rescored"] < 400


@given(st.data())
def test_a_damaged_index_is_refused_or_harmless(data: st.DataObject) -> None:
    tokens, starts = make(np.random.default_rng(1), [3, 0, 2, 4], 6, "float32")
    image = bytearray(_core.build_multi_index(tokens, starts, "cosine", 1))
    for _ in range(data.draw(st.integers(1, 4))):
        image[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(image[: data.draw(st.integers(0, len(image)))]) if data.draw(st.booleans()) else bytes(image)
    with contextlib.suppress(CorruptionError, FormatError):
        _core.search_multi([(tokens, starts, cut, None)], tokens[:2], 3, "cosine", exact=data.draw(st.booleans()))


def test_an_index_of_other_rows_is_refused() -> None:
    tokens, starts = make(np.random.default_rng(1), [3, 2], 6, "float32")
    index = _core.build_multi_index(tokens, starts, "cosine")
    with pytest.raises(CorruptionError, match="over 2 rows, the segment has 1"):
        _core.search_multi([(tokens, np.array([0, 5], np.int64), index, None)], tokens[:1], 1, "cosine")


def test_an_index_whose_rows_have_other_tokens_is_refused() -> None:
    tokens, starts = make(np.random.default_rng(1), [3, 2], 6, "float32")
    index = _core.build_multi_index(tokens, starts, "cosine")
    with pytest.raises(CorruptionError, match="tokens"):
        _core.search_multi([(tokens, np.array([0, 2, 5], np.int64), index, None)], tokens[:1], 1, "cosine")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_build_refuses_numbers_that_are_not_finite(value: float) -> None:
    tokens = np.array([[1, value]], np.float32)
    with pytest.raises(CorruptionError, match="token 0 of row 0"):
        _core.build_multi_index(tokens, np.array([0, 1], np.int64), "dot")


def test_a_query_without_tokens_is_refused() -> None:
    tokens, starts = make(np.random.default_rng(1), [3], 6, "float32")
    with pytest.raises(InvalidArgument, match="one or more tokens of 6 numbers"):
        _core.search_multi([(tokens, starts, None, None)], np.empty((0, 6), np.float32), 1, "cosine")


@pytest.mark.parametrize(("dtype", "metric", "message"), [("uint8", "dot", "got uint8"), ("float32", "l2", "got l2")])
def test_other_types_and_metrics_are_refused(dtype: str, metric: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        _core.build_multi_index(np.zeros((1, 4), dtype), np.array([0, 1], np.int64), metric)


def test_a_search_stops_at_its_deadline() -> None:
    tokens, starts = make(np.random.default_rng(1), [20] * 3000, 32, "float32")
    with pytest.raises(VicinoTimeout):
        _core.search_multi([(tokens, starts, None, None)], tokens[:32], 1, "cosine", timeout_s=0.0)
