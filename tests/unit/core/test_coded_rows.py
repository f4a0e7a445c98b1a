"""Rows in 8 bits a number: near to what they were made from, a fixed point of encoding, and scored as the rows they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vicino import _core
from vicino.errors import InvalidArgument

METRICS = ("cosine", "dot", "l2", "l1")
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
some_rows = hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 140)), elements=finite)


def drawn(n: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dim), dtype=np.float32)


def coded(rows: np.ndarray) -> np.ndarray:
    return _core.decode_rows(_core.encode_rows(rows), rows.shape[1])


@settings(deadline=None)
@given(some_rows)
def test_encoding_what_was_decoded_gives_the_same_bytes(rows):
    once = _core.encode_rows(rows)
    assert _core.encode_rows(_core.decode_rows(once, rows.shape[1])) == once


def test_numbers_of_any_size_are_a_fixed_point() -> None:
    rows = (10.0 ** np.random.default_rng(1).uniform(-45, 38, (50_000, 1))).astype(np.float32)
    once = coded(rows)
    assert np.array_equal(coded(once), once)


@settings(deadline=None)
@given(some_rows)
def test_a_number_is_off_by_at_most_half_a_step_of_its_run(rows):
    decoded = coded(rows).astype(np.float64)
    for start in range(0, rows.shape[1], 64):
        run = rows[:, start : start + 64].astype(np.float64)
        largest = np.abs(run).max(axis=1, keepdims=True)
        # The scale is rounded to 17 bits, and runs of numbers too small for one vanish.
        assert (np.abs(decoded[:, start : start + 64] - run) <= largest / 127 * 0.5001 + 1.5e-36).all()


@settings(deadline=None)
@given(some_rows)
def test_what_is_decoded_is_finite(rows):
    assert np.isfinite(coded(rows)).all()


def test_a_large_dimension_costs_only_its_own_run_precision():
    rows = drawn(20, 256)
    rows[:, 5] *= 100
    off = np.abs(coded(rows) - rows)
    assert off[:, 64:].max() < 0.02 < off[:, :64].max()


@pytest.mark.parametrize("kernel_set", _core.kernel_sets())
@pytest.mark.parametrize("metric", METRICS)
def test_distances_are_those_of_the_rows_that_codes_stand_for(kernel_set, metric):
    for dim in (*range(1, 71), 127, 128, 129, 384, 1000):
        rows, queries = drawn(7, dim, dim), drawn(3, dim, dim + 1)
        rows[0] = 0
        found = _core.coded_distances(queries, rows, metric, kernel_set)
        assert np.array_equal(found, _core.pairwise_distances(queries, coded(rows), metric, kernel_set)), dim


@pytest.mark.parametrize("kernel_set", _core.kernel_sets())
@pytest.mark.parametrize("metric", METRICS)
def test_extreme_rows_have_finite_distances(kernel_set, metric):
    rows = drawn(6, 100) * np.float32([[1e-44], [1e-38], [1], [1e18], [1e37], [5e37]])
    assert np.isfinite(_core.coded_distances(drawn(2, 100, 1), rows, metric, kernel_set)).all()


def test_half_precision_rows_are_coded_as_the_floats_they_are():
    halves = drawn(5, 90).astype(np.float16)
    assert _core.encode_rows(halves) == _core.encode_rows(halves.astype(np.float32))


def test_rows_of_integers_are_refused():
    with pytest.raises(InvalidArgument, match="only rows of floats are coded, got int8"):
        _core.encode_rows(np.zeros((1, 4), np.int8))


def test_bytes_that_are_no_rows_are_refused():
    with pytest.raises(InvalidArgument, match="13 bytes are no coded rows of 10 dimensions"):
        _core.decode_rows(b"\0" * 13, 10)
