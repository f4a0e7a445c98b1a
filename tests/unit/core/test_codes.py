"""The nested code: estimates against exact distances, bounds, quality on real vectors, bytes."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vicino import _core
from vicino.errors import CorruptionError, FormatError, InvalidArgument

METRICS = ["cosine", "dot", "l2"]
BITS = [1, 4, 8]
MINILM = Path(__file__).resolve().parents[4] / "shared" / "data" / "vectors-minilm"


def exact(queries: np.ndarray, vectors: np.ndarray, metric: str) -> np.ndarray:
    """Ordering distances in float64: l2 is squared."""
    q, v = queries.astype(np.float64), vectors.astype(np.float64)
    if metric == "l2":
        return np.maximum((q**2).sum(1)[:, None] + (v**2).sum(1)[None] - 2 * q @ v.T, 0)
    dots = q @ v.T
    if metric == "dot":
        return -dots
    norms = np.linalg.norm(q, axis=1)[:, None] * np.linalg.norm(v, axis=1)[None]
    return np.where(norms == 0, 1.0, 1 - dots / np.where(norms == 0, 1, norms))


def train(vectors: np.ndarray, metric: str, **options: int) -> _core.CodeLadder:
    """All dimensions coded unless said."""
    return _core.CodeLadder.train(vectors, metric, blocks=True, low=True, nav_dims=options.pop("nav_dims", vectors.shape[1]), **options)


def normal(n: int, dim: int, seed: int = 3, offset: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((n, dim)) + offset).astype(np.float32)


def recall(estimates: np.ndarray, distances: np.ndarray, kept: int) -> float:
    """Share of the true ten nearest among the best `kept` estimates."""
    truth, found = np.argsort(distances, axis=1)[:, :10], np.argsort(estimates, axis=1)[:, :kept]
    return float(np.mean([len(set(t) & set(f)) / 10 for t, f in zip(truth, found, strict=True)]))


@pytest.fixture(scope="module")
def minilm() -> tuple[np.ndarray, np.ndarray]:
    if not MINILM.exists():
        pytest.skip("shared/data/vectors-minilm is not there")
    documents = [np.load(path) for path in sorted(MINILM.glob("*.docs.f16.npy"))]
    queries = [np.load(path).astype(np.float32) for path in sorted(MINILM.glob("*.queries.f16.npy"))]
    return np.concatenate(documents), np.concatenate(queries)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bits", BITS)
def test_bounds_hold_for_99_percent_of_estimates(metric: str, bits: int) -> None:
    vectors, queries = normal(1500, 200), normal(60, 200, seed=4)
    distances, errors = train(vectors[:700], metric).encode(vectors).estimates(queries, bits)
    assert np.mean(np.abs(distances - exact(queries, vectors, metric)) <= errors) >= 0.985


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("bits", "largest"), [(1, 0.08), (4, 0.013), (8, 0.003)])
def test_more_bits_are_closer_to_the_exact_distance(metric: str, bits: int, largest: float) -> None:
    vectors, queries = normal(800, 256), normal(20, 256, seed=4)
    found, _ = train(vectors, metric).encode(vectors).estimates(queries, bits)
    wanted = exact(queries, vectors, metric)
    size = {"cosine": 1.0, "dot": 256.0, "l2": 512.0}[metric]
    assert np.sqrt(np.mean((found - wanted) ** 2)) < largest * size


@pytest.mark.parametrize("metric", METRICS)
def test_the_best_20_of_4_bits_hold_the_10_nearest_of_real_vectors(metric: str, minilm: tuple[np.ndarray, np.ndarray]) -> None:
    vectors, queries = minilm
    rows = train(vectors[::5], metric).encode(vectors)
    distances, errors = rows.estimates(queries, 4)
    wanted = exact(queries, vectors, metric)
    assert recall(distances, wanted, 20) >= 0.995
    assert np.mean(np.abs(distances - wanted) <= errors) >= 0.99
    assert rows.factor_format == "float16"


def test_leading_dimensions_are_chosen_by_energy(minilm: tuple[np.ndarray, np.ndarray]) -> None:
    vectors, queries = minilm
    ladder = train(vectors[::5], "cosine", nav_dims=0)
    assert (ladder.code_dims, ladder.stride) == (256, 128)
    assert ladder.energy >= 0.95
    distances, errors = ladder.encode(vectors).estimates(queries, 4)
    wanted = exact(queries, vectors, "cosine")
    assert recall(distances, wanted, 20) >= 0.995
    assert np.mean(np.abs(distances - wanted) <= errors) >= 0.985


def test_flat_spectra_keep_all_dimensions() -> None:
    assert train(normal(2000, 192), "l2", nav_dims=0).code_dims == 192


@pytest.mark.parametrize("metric", METRICS)
def test_a_wanted_number_of_leading_dimensions_is_taken(metric: str) -> None:
    vectors = (normal(3000, 192) * np.geomspace(1, 0.01, 192)).astype(np.float32)
    ladder = train(vectors, metric, nav_dims=100)
    assert ladder.code_dims == 128
    queries = vectors[:20]
    assert recall(ladder.encode(vectors).estimates(queries, 8)[0], exact(queries, vectors, metric), 20) > 0.95


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("offset", [0.0, 10.0, 1000.0])
def test_a_shift_of_all_rows_costs_no_recall(metric: str, offset: float) -> None:
    vectors, queries = normal(1000, 128, offset=offset), normal(40, 128, seed=4, offset=offset)
    wanted = exact(queries, vectors, metric)
    assert recall(train(vectors, metric).encode(vectors).estimates(queries, 4)[0], wanted, 40) > 0.95


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("rows", ["zeros", "one constant", "one"])
def test_rows_at_the_mean_have_exact_distances(metric: str, bits: int, rows: str) -> None:
    vectors = {"zeros": np.zeros((40, 70)), "one constant": np.full((33, 70), 0.25), "one": normal(1, 70)}[rows].astype(np.float32)
    queries = normal(5, 70, seed=9)
    distances, errors = train(vectors, metric).encode(vectors).estimates(queries, bits)
    assert np.all(np.abs(distances - exact(queries, vectors, metric)) <= errors + 2e-3)
    assert np.all(errors < 2e-2)


@pytest.mark.parametrize("bits", BITS)
def test_zero_vectors_have_cosine_distance_one(bits: int) -> None:
    vectors = np.concatenate([np.zeros((3, 50), np.float32), normal(200, 50, offset=2.0)])
    queries = np.concatenate([normal(4, 50), np.zeros((1, 50), np.float32)])
    distances, _ = train(vectors, "cosine").encode(vectors).estimates(queries, bits)
    assert np.allclose(distances[:, :3], 1, atol=2e-3)
    assert np.allclose(distances[4], 1, atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@given(dim=st.integers(1, 300), n=st.integers(1, 70), seed=st.integers(0, 2**32), size=st.sampled_from([1e-30, 1e-3, 1.0, 1e6, 1e18, 3e38]))
@settings(max_examples=25, deadline=None)
def test_estimates_are_finite_for_any_size_of_numbers(metric: str, dim: int, n: int, seed: int, size: float) -> None:
    vectors = (np.clip(normal(n, dim, seed), -1, 1) * np.float32(size)).astype(np.float32)
    for bits in BITS:
        distances, _ = train(vectors, metric).encode(vectors).estimates(vectors[:2], bits)
        assert not np.isnan(distances).any()


@pytest.mark.parametrize("dim", [1, 2, 63, 64, 65, 128, 320, 1000, 8192])
def test_any_dimension_is_padded_to_whole_groups(dim: int) -> None:
    vectors = normal(70, dim)
    ladder = train(vectors, "l2")
    rows = ladder.encode(vectors)
    padded = -(-dim // 64) * 64
    assert (ladder.code_dims, ladder.block_bytes) == (padded, padded * 4 + 256)
    assert (ladder.stride % 64 == 0 and ladder.stride <= padded // 2 * 1.1) or ladder.stride == padded // 2
    assert len(rows.plane("high")) == len(rows.plane("low")) == 70 * ladder.stride
    assert len(rows.plane("blocks")) == 3 * ladder.block_bytes
    distances, _ = rows.estimates(vectors[:5], 8)
    assert np.array_equal(distances.argmin(axis=1), np.arange(5)) or dim < 3


def test_the_codes_are_nested() -> None:
    vectors = normal(40, 128)
    rows = train(vectors, "cosine").encode(vectors)
    high = np.frombuffer(rows.plane("high"), np.uint8).reshape(40, 64)
    nibbles = np.concatenate([high & 15, high >> 4], axis=1)
    blocks = np.frombuffer(rows.plane("blocks"), np.uint8).reshape(2, -1)[:, : 128 * 4].reshape(2, 32, 16)
    for row in range(40):
        place = row % 32
        byte = blocks[row // 32, :, place % 8 * 2 + place // 8 % 2]
        bits = ((byte >> (0 if place < 16 else 4)) & 15).astype(np.uint8)
        assert np.array_equal(np.unpackbits(bits[:, None], axis=1, bitorder="little")[:, :4].ravel(), nibbles[row] >> 3)


@pytest.mark.parametrize("metric", METRICS)
def test_any_number_of_threads_gives_the_same_bytes(metric: str) -> None:
    vectors = (normal(2500, 192) * np.geomspace(1, 0.01, 192)).astype(np.float32)
    ladders = [train(vectors, metric, nav_dims=0, threads=threads) for threads in (1, 3)]
    assert ladders[0].to_bytes() == ladders[1].to_bytes()
    planes = [
        [ladder.encode(vectors, threads=threads).plane(name) for name in ("high", "low", "factors", "fine", "blocks")]
        for ladder, threads in zip(ladders, (1, 2), strict=True)
    ]
    assert planes[0] == planes[1]


def test_every_kernel_set_gives_the_same_codes() -> None:
    code = """
import hashlib, numpy as np
from vicino import _core
x = np.random.default_rng(1).standard_normal((300, 100)).astype(np.float32)
ladder = _core.CodeLadder.train(x, "cosine", blocks=True, low=True, nav_dims=100)
rows = ladder.encode(x)
found = [rows.plane(name) for name in ("high", "low", "factors", "fine", "blocks")]
found += [rows.estimates(x[:9], bits)[0].tobytes() for bits in (1, 4, 8)]
print(hashlib.sha256(b"".join(found)).hexdigest())
"""
    command = [sys.executable, "-c", code]
    digests = {
        subprocess.run(command, env=os.environ | {"VICINO_KERNELS": name}, capture_output=True, text=True, check=True).stdout
        for name in _core.kernel_sets()
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == hashlib.sha256().digest_size * 2


def test_factors_stay_float32_where_half_precision_would_show() -> None:
    # Each row with its opposite, so that the mean is zero and small rows stay small.
    vectors = (normal(400, 64) * np.geomspace(1e-4, 1e4, 400)[:, None]).astype(np.float32)
    vectors = np.concatenate([vectors, -vectors])
    rows = train(vectors, "l2").encode(vectors)
    assert rows.factor_format == "float32"
    wanted = exact(vectors[:200], vectors, "l2")
    distances, errors = rows.estimates(vectors[:200], 4)
    assert np.mean(np.abs(distances - wanted) <= errors + 1e-5 * wanted) > 0.97


def test_float16_rows_are_coded_as_the_float32_rows_they_stand_for() -> None:
    halves = normal(100, 96).astype(np.float16)
    ladder = train(halves, "dot")
    assert ladder.encode(halves).plane("high") == ladder.encode(halves.astype(np.float32)).plane("high")


@pytest.mark.parametrize("nav_dims", [0, 192])
def test_a_ladder_survives_its_bytes(nav_dims: int) -> None:
    vectors = (normal(2500, 192) * np.geomspace(1, 0.01, 192)).astype(np.float32)
    ladder = train(vectors, "cosine", nav_dims=nav_dims)
    again = _core.CodeLadder.from_bytes(ladder.to_bytes())
    assert again.to_bytes() == ladder.to_bytes()
    assert again.code_dims == (192 if nav_dims else 64)
    assert again.encode(vectors[:50]).plane("high") == ladder.encode(vectors[:50]).plane("high")
    found, wanted = (one.encode(vectors).estimates(vectors[:3], 4) for one in (again, ladder))
    assert np.array_equal(found[0], wanted[0])
    assert np.array_equal(found[1], wanted[1])


def test_bytes_that_are_no_ladder_are_refused() -> None:
    good = train(normal(100, 70), "l2").to_bytes()
    rng = np.random.default_rng(5)
    for size in range(len(good)):
        with pytest.raises((CorruptionError, FormatError)):
            _core.CodeLadder.from_bytes(good[:size])
    with pytest.raises(CorruptionError, match="has 1 bytes too many"):
        _core.CodeLadder.from_bytes(good + b"\0")
    for _ in range(2000):
        bad = bytearray(good)
        bad[rng.integers(min(96, len(bad)))] = rng.integers(256)
        try:
            _core.CodeLadder.from_bytes(bytes(bad))
        except (CorruptionError, FormatError):
            continue


def test_l1_and_integer_rows_have_no_codes() -> None:
    with pytest.raises(InvalidArgument, match="there are no codes for the metric l1; use cosine, dot or l2"):
        train(normal(10, 8), "l1")
    with pytest.raises(InvalidArgument, match="codes need float32 or float16 vectors, got int8"):
        _core.CodeLadder.train(np.ones((4, 8), np.int8), "dot")


def test_rows_of_another_dimension_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="codes of 8-dimensional float vectors cannot be made from float32 vectors of 9 dimensions"):
        train(normal(10, 8), "dot").encode(normal(10, 9))


def test_no_rows_at_all_are_fine() -> None:
    empty = np.empty((0, 40), np.float32)
    ladder = train(empty, "cosine")
    assert ladder.encode(empty).plane("high") == b""
    vectors = normal(200, 40)
    distances, errors = ladder.encode(vectors).estimates(vectors[:10], 4)
    assert np.mean(np.abs(distances - exact(vectors[:10], vectors, "cosine")) <= errors) > 0.97
