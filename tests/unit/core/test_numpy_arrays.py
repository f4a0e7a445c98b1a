"""Results of searches are ordinary numpy arrays of their own memory."""

from __future__ import annotations

import threading

import numpy as np

from vicino import _core

ROWS = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)


def test_results_are_writable_matrices_of_their_own():
    rows, distances = _core.exact_search(ROWS, ROWS[:3], 4, "l2")
    assert (rows.shape, rows.dtype, distances.shape, distances.dtype) == ((3, 4), np.int64, (3, 4), np.float32)
    for array in (rows, distances):
        assert type(array) is np.ndarray
        assert array.flags.owndata
        assert array.flags.writeable
        assert array.flags.c_contiguous
        assert array.flags.aligned


def test_places_that_no_row_fills_hold_minus_one_and_infinity():
    rows, distances = _core.exact_search(ROWS[:2], ROWS[:1], 4, "l2")
    assert rows[0, 2:].tolist() == [-1, -1]
    assert np.isinf(distances[0, 2:]).all()


def test_no_queries_give_empty_matrices():
    rows, distances = _core.exact_search(ROWS, ROWS[:0], 4, "l2")
    assert rows.shape == distances.shape == (0, 4)


def test_many_threads_get_arrays_of_their_own():
    found: list[object] = []

    def ask(first: int) -> None:
        found.extend(_core.exact_search(ROWS, ROWS[first : first + 1], 1, "l2")[0][0, 0] == first for _ in range(200))

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 800
    assert all(found)
