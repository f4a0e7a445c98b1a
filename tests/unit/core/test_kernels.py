"""Every kernel set the machine has, against a float64 reference."""

import ast
import os
import subprocess
import sys

import numpy as np
import pytest

from vicino import _core

SIZES = [*range(71), 384, 768]
NUMERIC = ["float32", "float16", "int8", "uint8"]
NUMERIC_METRICS = ["cosine", "dot", "l2", "l1"]
SETS = _core.kernel_sets()
TINY = float(np.finfo(np.float32).tiny)
LARGEST = float(np.finfo(np.float32).max)


def reference(queries: np.ndarray, vectors: np.ndarray, metric: str) -> np.ndarray:
    """Public distances in float64, written for clarity."""
    if metric in ("hamming", "jaccard"):
        q, v = np.unpackbits(queries, axis=1)[:, None].astype(bool), np.unpackbits(vectors, axis=1)[None].astype(bool)
        if metric == "hamming":
            return (q ^ v).sum(axis=2).astype(np.float64)
        both, either = (q & v).sum(axis=2), (q | v).sum(axis=2)
        return np.where(either == 0, 0.0, 1 - both / np.maximum(either, 1))
    q, v = queries.astype(np.float64)[:, None], vectors.astype(np.float64)[None]
    if metric == "dot":
        return -(q * v).sum(axis=2)
    if metric == "l2":
        return np.sqrt(((q - v) ** 2).sum(axis=2))
    if metric == "l1":
        return np.abs(q - v).sum(axis=2)
    norms = np.linalg.norm(q, axis=2) * np.linalg.norm(v, axis=2)
    return np.where(norms == 0, 1.0, 1 - (q * v).sum(axis=2) / np.where(norms == 0, 1, norms))


def make(rng: np.random.Generator, n: int, dim: int, dtype: str) -> np.ndarray:
    if dtype == "int8":
        return rng.integers(-128, 128, (n, dim), dtype=np.int8)
    if dtype == "uint8":
        return rng.integers(0, 256, (n, dim), dtype=np.uint8)
    return rng.standard_normal((n, dim)).astype(dtype)


def query_for(vectors: np.ndarray) -> np.ndarray:
    return vectors.astype(np.float32) if vectors.dtype == np.float16 else vectors


def tolerance(queries: np.ndarray, vectors: np.ndarray, metric: str) -> np.ndarray | float:
    """A few roundings of float32 per summand that could cancel; integers round once."""
    if metric == "cosine":
        return 2e-6
    q, v = queries.astype(np.float64)[:, None], vectors.astype(np.float64)[None]
    size = {"dot": lambda: np.abs(q * v).sum(axis=2), "l2": lambda: np.abs(q - v).max(axis=2, initial=0) * np.sqrt(q.shape[2])}
    return 2e-6 * size.get(metric, lambda: np.abs(q - v).sum(axis=2))() + 1e-30


@pytest.mark.parametrize("kernel_set", SETS)
@pytest.mark.parametrize("metric", NUMERIC_METRICS)
@pytest.mark.parametrize("dtype", NUMERIC)
def test_numeric_distances_equal_the_reference(kernel_set: str, metric: str, dtype: str) -> None:
    rng = np.random.default_rng(7)
    for dim in SIZES:
        vectors = make(rng, 5, dim, dtype)
        queries = query_for(make(rng, 2, dim, dtype))
        found = _core.pairwise_distances(queries, vectors, metric, kernel_set)
        assert np.all(np.abs(found - reference(queries, vectors, metric)) <= tolerance(queries, vectors, metric)), dim


@pytest.mark.parametrize("kernel_set", SETS)
@pytest.mark.parametrize("metric", ["hamming", "jaccard"])
def test_bit_distances_equal_the_reference(kernel_set: str, metric: str) -> None:
    rng = np.random.default_rng(8)
    for n_bytes in [*range(71), 96, 128, 200]:
        vectors = rng.integers(0, 256, (5, n_bytes), dtype=np.uint8)
        queries = rng.integers(0, 256, (2, n_bytes), dtype=np.uint8)
        found = _core.pairwise_distances(queries, vectors, metric, kernel_set)
        np.testing.assert_allclose(found, reference(queries, vectors, metric), rtol=1e-7, err_msg=str(n_bytes))


def at_offset(array: np.ndarray, offset: int) -> np.ndarray:
    """The same values at an address that is `offset` past a multiple of 64; offset is a multiple of the item size."""
    memory = np.zeros(array.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    moved = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


@pytest.mark.parametrize("kernel_set", SETS)
@pytest.mark.parametrize("dtype", NUMERIC)
def test_rows_may_lie_at_any_address(kernel_set: str, dtype: str) -> None:
    rng = np.random.default_rng(9)
    vectors = make(rng, 4, 67, dtype)
    queries = query_for(vectors[:1])
    expected = _core.pairwise_distances(queries, vectors, "l2", kernel_set)
    for offset in range(0, 64, np.dtype(dtype).itemsize):
        moved = at_offset(vectors, offset)
        assert np.array_equal(_core.pairwise_distances(at_offset(queries, offset // 4 * 4), moved, "l2", kernel_set), expected)


@pytest.mark.parametrize("kernel_set", SETS)
@pytest.mark.parametrize(
    ("dtype", "query", "vector", "dot", "l2_squared", "l1"),
    [
        ("int8", -128, -128, 128 * 128, 0, 0),
        ("int8", -128, 127, -128 * 127, 255 * 255, 255),
        ("uint8", 255, 255, 255 * 255, 0, 0),
        ("uint8", 0, 255, 0, 255 * 255, 255),
    ],
)
def test_integer_sums_are_exact_at_65536_dimensions(
    kernel_set: str, dtype: str, query: int, vector: int, dot: int, l2_squared: int, l1: int
) -> None:
    dim = 65_536
    queries, vectors = np.full((1, dim), query, dtype), np.full((1, dim), vector, dtype)
    queries[0, 0] = vectors[0, 0] = 1  # a sum that an accumulator of the wrong width would not show by luck
    for metric, expected in (("dot", -(dot * (dim - 1) + 1)), ("l2", np.sqrt(np.float32(l2_squared * (dim - 1)))), ("l1", l1 * (dim - 1))):
        assert _core.pairwise_distances(queries, vectors, metric, kernel_set)[0, 0] == np.float32(expected), metric


@pytest.mark.parametrize("metric", NUMERIC_METRICS)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_integer_kernels_agree_to_the_bit(metric: str, dtype: str) -> None:
    rng = np.random.default_rng(10)
    for dim in (1, 63, 64, 65, 1000):
        vectors, queries = make(rng, 6, dim, dtype), make(rng, 3, dim, dtype)
        results = [_core.pairwise_distances(queries, vectors, metric, kernel_set) for kernel_set in SETS]
        assert all(np.array_equal(results[0], result) for result in results)


@pytest.mark.parametrize("kernel_set", SETS)
@pytest.mark.parametrize("dtype", NUMERIC)
def test_cosine_with_a_zero_vector_is_exactly_one(kernel_set: str, dtype: str) -> None:
    vectors = make(np.random.default_rng(11), 3, 40, dtype)
    vectors[1] = 0
    zero = np.zeros((1, 40), query_for(vectors).dtype)
    assert np.all(_core.pairwise_distances(zero, vectors, "cosine", kernel_set) == 1)
    assert np.all(_core.pairwise_distances(query_for(vectors), vectors, "cosine", kernel_set)[:, 1] == 1)


@pytest.mark.parametrize("kernel_set", SETS)
def test_jaccard_of_two_empty_rows_is_zero(kernel_set: str) -> None:
    empty = np.zeros((1, 9), np.uint8)
    assert _core.pairwise_distances(empty, empty, "jaccard", kernel_set)[0, 0] == 0


@pytest.mark.parametrize("kernel_set", SETS)
@pytest.mark.parametrize("size", [1e-42, TINY, 1e-30, 1e-19, 1e19, 1e30, LARGEST])
def test_cosine_holds_at_extreme_norms(kernel_set: str, size: float) -> None:
    vectors = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [1, 1, 1, 1], [-1, 0, -1, 0]], np.float32) * np.float32(size)
    found = _core.pairwise_distances(vectors[:1], vectors, "cosine", kernel_set)[0]
    np.testing.assert_allclose(found, [0, 1, 1 - np.sqrt(0.5), 2], atol=1e-3 if size < TINY else 1e-6)


@pytest.mark.parametrize("kernel_set", SETS)
@pytest.mark.parametrize("metric", ["dot", "l2", "l1"])
def test_distances_beyond_float_saturate(kernel_set: str, metric: str) -> None:
    vectors = np.full((1, 40), -LARGEST, np.float32)
    found = _core.pairwise_distances(-vectors, vectors, metric, kernel_set)[0, 0]
    assert found == np.float32(np.sqrt(np.float32(LARGEST)) if metric == "l2" else LARGEST)


@pytest.mark.parametrize("kernel_set", SETS)
def test_dot_whose_terms_overflow_but_cancel_is_right(kernel_set: str) -> None:
    queries = np.array([[1e30, 1e30, 2]], np.float32)
    vectors = np.array([[1e30, -1e30, 3]], np.float32)
    assert _core.pairwise_distances(queries, vectors, "dot", kernel_set)[0, 0] == -6


@pytest.mark.parametrize("kernel_set", SETS)
def test_float16_extremes_are_read_exactly(kernel_set: str) -> None:
    vectors = np.array([[65504, 6e-8, -0.0, 6.1e-5, -65504, 5.96e-8, 1, -6e-5]], np.float16)
    found = _core.pairwise_distances(np.eye(8, dtype=np.float32), vectors, "dot", kernel_set)[:, 0]
    assert np.array_equal(-found, vectors[0].astype(np.float32))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_first_non_finite_names_row_and_position(dtype: str, bad: float) -> None:
    vectors = make(np.random.default_rng(12), 9, 37, dtype)
    assert _core.first_non_finite(vectors) is None
    vectors[5, 36] = bad
    vectors[7, 0] = bad
    assert _core.first_non_finite(vectors) == (5, 36)


def test_metric_and_type_must_go_together() -> None:
    bits, floats = np.zeros((1, 8), np.uint8), np.zeros((1, 8), np.float32)
    with pytest.raises(ValueError, match=r'metric "hamming" does not go with float32 vectors; use cosine, dot, l2 or l1'):
        _core.pairwise_distances(floats, floats, "hamming")
    with pytest.raises(ValueError, match="vectors have 64 dimensions, queries 32"):
        _core.pairwise_distances(bits[:, :4].copy(), bits, "jaccard")


def run_with_kernels(value: str) -> subprocess.CompletedProcess[str]:
    code = "from vicino import _core; print(sorted({kernel_set for _, kernel_set in _core.active_kernels()}))"
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"VICINO_KERNELS": value}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("kernel_set", SETS)
def test_environment_chooses_the_kernel_set(kernel_set: str) -> None:
    # A set with few kernels of its own, as amx, leaves the others to the one before it.
    chosen = set(ast.literal_eval(run_with_kernels(kernel_set).stdout))
    assert kernel_set in chosen
    assert chosen <= set(SETS[: SETS.index(kernel_set) + 1])
    assert chosen == {kernel_set} or kernel_set == "amx"


def test_unknown_kernel_set_fails_the_import_with_the_choices() -> None:
    result = run_with_kernels("sse9")
    assert result.returncode != 0
    assert 'VICINO_KERNELS must be one of scalar, avx2, avx512, amx, neon and auto, got "sse9"' in result.stderr


def test_unsupported_kernel_set_fails_the_import_by_name() -> None:
    other = "neon" if "neon" not in SETS else "avx2"
    result = run_with_kernels(other)
    assert result.returncode != 0
    assert f'this machine does not support "{other}"' in result.stderr
