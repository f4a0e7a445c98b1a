"""Scans over nested codes: they find what an exact scan finds, whatever the level, and damage does not lead them astray."""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import sys
from hashlib import sha256

import numpy as np
import pytest

from vicino import _core
from vicino.errors import CorruptionError, FormatError, InvalidArgument

METRICS = ("cosine", "l2", "dot")
LEVELS = (1, 4, 8)


def drawn(n: int, dim: int, seed: int = 0) -> np.ndarray:
    chance = np.random.default_rng(seed)
    centers = np.random.default_rng(9).standard_normal((20, dim), dtype=np.float32)
    return centers[chance.integers(0, 20, n)] + 0.6 * chance.standard_normal((n, dim), dtype=np.float32)


def opened(vectors: np.ndarray, metric: str, bits: int, **options) -> _core.ScannableCodes:
    return _core.ScannableCodes(_core.build_flat_codes(vectors, metric, bits, **options), vectors, metric)


@pytest.mark.parametrize("bits", LEVELS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [1, 3, 64, 100, 384])
def test_rescored_by_the_bound_a_scan_finds_what_an_exact_one_does(metric, bits, dim):
    vectors, queries = drawn(1500, dim), drawn(40, dim, 1)
    rows, distances, _, _ = opened(vectors, metric, bits).search(queries, 10)
    _, exact = _core.exact_search(vectors, queries, 10, metric)
    assert np.mean(distances <= exact + 1e-5 * np.abs(exact).max()) > 0.995
    assert (rows >= 0).all()


@pytest.mark.parametrize("kernel_set", _core.kernel_sets())
def test_every_instruction_set_finds_the_same(kernel_set):
    code = (
        "import numpy as np, sys\nfrom vicino import _core\nfrom hashlib import sha256\n"
        "r = np.random.default_rng(3)\n"
        "v = r.standard_normal((700, 96), dtype=np.float32)\n"
        "q = r.standard_normal((9, 96), dtype=np.float32)\n"
        "for bits in (1, 4, 8):\n"
        "  b = _core.build_flat_codes(v, 'cosine', bits)\n"
        "  rows, _, scored, read = _core.ScannableCodes(b, v, 'cosine').search(q, 10)\n"
        "  print(sha256(b).hexdigest(), rows.tolist())\n"
    )
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    asked = [
        subprocess.run([sys.executable, "-c", code], env=environment | {"VICINO_KERNELS": name}, capture_output=True, text=True, check=True)
        for name in ("scalar", kernel_set)
    ]
    assert asked[0].stdout == asked[1].stdout


@pytest.mark.parametrize("bits", LEVELS)
@pytest.mark.parametrize("metric", METRICS)
def test_estimates_lie_within_three_bounds_of_the_truth(metric, bits):
    vectors, queries = drawn(2000, 128), drawn(20, 128, 1)
    codes = _core.CodeLadder.train(vectors, metric, blocks=True, low=True).encode(vectors)
    estimates, bounds = codes.estimates(queries, bits)
    truth = _core.pairwise_distances(queries, vectors, metric).astype(np.float64)
    off = np.abs(estimates - (truth**2 if metric == "l2" else truth))
    assert np.mean(off <= bounds) > 0.98
    assert np.mean(off <= 3 * bounds) > 0.9999


def test_finer_levels_bound_closer():
    vectors, queries = drawn(1000, 128), drawn(10, 128, 1)
    codes = _core.CodeLadder.train(vectors, "cosine", blocks=True, low=True).encode(vectors)
    one, four, eight = (float(codes.estimates(queries, bits)[1].mean()) for bits in LEVELS)
    assert one > 3 * four > 9 * eight


@pytest.mark.parametrize("bits", LEVELS)
def test_only_allowed_rows_are_found(bits):
    vectors, queries = drawn(1000, 64), drawn(5, 64, 1)
    index = opened(vectors, "l2", bits)
    for allowed in (np.arange(1000) % 7 == 0, np.arange(1000) >= 998, np.zeros(1000, np.bool_)):
        rows, _, _, _ = index.search(queries, 10, allowed=allowed)
        exact, _ = _core.exact_search(vectors, queries, 10, "l2", allowed=allowed)
        assert (np.sort(rows) == np.sort(exact)).mean() > 0.99
        assert allowed[rows[rows >= 0]].all()


@pytest.mark.parametrize("bits", LEVELS)
def test_fixed_oversampling_reads_so_many_rows(bits):
    vectors, queries = drawn(1000, 64), drawn(5, 64, 1)
    _, _, _, read = opened(vectors, "cosine", bits).search(queries, 10, oversampling=2.5)
    assert read == 5 * 25


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bits", LEVELS)
def test_without_rescoring_no_row_is_read_and_distances_are_possible(metric, bits):
    vectors = drawn(1000, 64)
    rows, distances, _, read = opened(vectors, metric, bits).search(vectors[:20], 10, oversampling=0)
    assert read == 0
    assert np.isfinite(distances).all()
    assert metric == "dot" or (distances >= 0).all()
    assert metric == "dot" or bits == 1 or (rows[:, 0] == np.arange(20)).mean() > 0.9


@pytest.mark.parametrize("bits", LEVELS)
def test_the_same_rows_give_the_same_bytes_for_any_number_of_threads(bits):
    vectors = drawn(3000, 96)
    assert len({sha256(_core.build_flat_codes(vectors, "l2", bits, threads=threads)).hexdigest() for threads in (1, 2, 5)}) == 1


def test_rows_without_a_vector_are_no_part_of_the_training():
    vectors = drawn(1000, 64)
    vectors[::2] = 0
    present = np.arange(1000) % 2 == 1
    rows, _, _, _ = opened(vectors, "cosine", 4, present=present).search(vectors[1:10:2], 1, allowed=present)
    assert rows[:, 0].tolist() == [1, 3, 5, 7, 9]


def test_an_empty_set_and_a_single_row_are_scanned():
    assert opened(np.zeros((0, 64), np.float32), "l2", 4).search(drawn(1, 64), 3)[0].tolist() == [[-1, -1, -1]]
    assert opened(drawn(1, 64), "l2", 8).search(drawn(1, 64), 3)[0].tolist() == [[0, -1, -1]]


def test_integers_and_metrics_without_codes_are_refused():
    with pytest.raises(InvalidArgument, match="codes need float32 or float16 vectors, got int8"):
        _core.build_flat_codes(np.zeros((10, 64), np.int8), "l2")
    with pytest.raises(InvalidArgument, match="no codes for the metric l1"):
        _core.build_flat_codes(drawn(10, 64), "l1")


BUILT = {bits: _core.build_flat_codes(drawn(200, 64), "cosine", bits) for bits in LEVELS}


def survives(bits: int, buffer: bytes) -> None:
    vectors = drawn(200, 64)
    codes = _core.ScannableCodes(buffer, vectors, "cosine")
    for oversampling in (-1.0, 0.0, 2.0):
        rows, distances, _, _ = codes.search(vectors[:2], 10, oversampling)
        assert rows.max() < 200
        assert not np.isnan(distances).any()
    codes.verify()


@pytest.mark.parametrize("bits", LEVELS)
def test_a_flipped_byte_never_crashes(bits):
    built = BUILT[bits]
    for position in range(0, len(built), 1 + len(built) // 2000):
        for mask in (0x80, 0xFF):
            damaged = bytearray(built)
            damaged[position] ^= mask
            with contextlib.suppress(CorruptionError, FormatError):
                survives(bits, bytes(damaged))


@pytest.mark.parametrize("bits", LEVELS)
def test_every_truncation_is_refused(bits):
    for size in [*range(0, 300, 7), *range(300, len(BUILT[bits]) - 1, 997), len(BUILT[bits]) - 1]:
        with pytest.raises(CorruptionError):
            survives(bits, BUILT[bits][:size])


def test_a_newer_format_is_refused_as_such():
    newer = bytearray(BUILT[4])
    struct.pack_into("<I", newer, 8, 2)
    with pytest.raises(FormatError, match="codes of rows are of format 2, this version reads up to 1"):
        survives(4, bytes(newer))


@pytest.mark.parametrize("bits", LEVELS)
def test_codes_of_floats_beside_rows_of_another_type_are_refused(bits):
    rows = np.random.default_rng(1).integers(-100, 100, (200, 64), dtype=np.int8)
    codes = _core.ScannableCodes(BUILT[bits], rows, "cosine")
    with pytest.raises(CorruptionError, match="in floats under cosine, the vectors are 200 of 64 in int8 under cosine; rebuild"):
        codes.search(rows[:1], 1)


def test_codes_of_another_segment_are_refused():
    with pytest.raises(CorruptionError, match="are of 200 rows, the segment has 100"):
        _core.ScannableCodes(BUILT[4], drawn(100, 64), "cosine")
