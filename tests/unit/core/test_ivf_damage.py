"""Damaged and foreign buffers of inverted lists: refused, or searched without a stray read."""

import contextlib
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vicino import _core
from vicino.errors import CorruptionError, FormatError

VECTORS = np.random.default_rng(1).standard_normal((200, 16), dtype=np.float32)
WIDE = np.random.default_rng(2).standard_normal((200, 64), dtype=np.float32)
CASES: list[tuple[str, str, np.ndarray, dict[str, Any]]] = [
    ("flat", "l2", VECTORS, {"graph": True}),
    ("flat", "dot", VECTORS, {"graph": True, "copies": 1}),
    ("coded", "cosine", WIDE, {}),
    ("pq", "l2", VECTORS, {"bits": 4, "copies": 1}),
    ("pq", "dot", VECTORS, {"bits": 8}),
    ("opq", "cosine", VECTORS, {}),
]
BUILT = [_core.build_ivf(vectors, metric, kind, nlist=12, **options) for kind, metric, vectors, options in CASES]


def search(case: int, buffer: bytes) -> None:
    """Opens, searches every way and verifies; what is found are rows."""
    _, metric, vectors, _ = CASES[case]
    index = _core.IvfIndex(buffer, vectors, metric)
    ways: list[dict[str, Any]] = [{}, {"rescore": 20}, {"allowed": np.arange(200) % 3 == 0}]
    for options in ways:
        rows, distances, _ = index.search(vectors[:2], 10, 2, **options)
        assert rows.max() < 200
        assert not np.isnan(distances).any()
    index.verify()


@pytest.mark.parametrize("case", range(len(CASES)), ids=[f"{kind}-{metric}" for kind, metric, _, _ in CASES])
def test_a_flipped_byte_never_crashes(case: int) -> None:
    built = BUILT[case]
    for position in range(0, len(built), 1 + len(built) // 3000):
        for mask in (0x80, 0xFF):
            damaged = bytearray(built)
            damaged[position] ^= mask
            with contextlib.suppress(CorruptionError, FormatError):
                search(case, bytes(damaged))


@pytest.mark.parametrize("case", range(len(CASES)), ids=[f"{kind}-{metric}" for kind, metric, _, _ in CASES])
def test_every_truncation_is_refused(case: int) -> None:
    built = BUILT[case]
    for size in [*range(0, 300, 7), *range(300, len(built) - 1, 997), len(built) - 1]:
        with pytest.raises(CorruptionError):
            _core.IvfIndex(built[:size], CASES[case][2], CASES[case][1])


@settings(max_examples=300, deadline=None)
@given(
    case=st.integers(0, len(CASES) - 1),
    words=st.lists(
        st.tuples(st.integers(0, 1 << 20), st.sampled_from([0, 1, 0x7FC00000, 0x7F800000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])),
        min_size=1,
        max_size=8,
    ),
)
def test_overwritten_words_never_crash(case: int, words: list[tuple[int, int]]) -> None:
    damaged = bytearray(BUILT[case])
    for place, word in words:
        struct.pack_into("<I", damaged, place * 4 % (len(damaged) // 4 * 4), word)
    with contextlib.suppress(CorruptionError, FormatError):
        search(case, bytes(damaged))


def test_lists_over_another_number_of_rows_are_refused() -> None:
    with pytest.raises(CorruptionError, match="are over 200 rows, the segment has 199; rebuild"):
        _core.IvfIndex(BUILT[0], VECTORS[:199], "l2")


def test_lists_of_other_vectors_are_refused() -> None:
    index = _core.IvfIndex(BUILT[0], WIDE, "l2")
    with pytest.raises(CorruptionError, match="are of 16 dimensions, float32 and l2, the vectors are 64, float32 and l2; rebuild"):
        index.search(WIDE[:1], 1, 1)


@pytest.mark.parametrize("case", range(2, len(CASES)), ids=[f"{kind}-{metric}" for kind, metric, _, _ in CASES[2:]])
def test_codes_of_floats_over_rows_of_another_type_are_refused(case: int) -> None:
    vectors, metric = CASES[case][2], CASES[case][1]
    damaged = bytearray(BUILT[case])
    damaged[26] = 2  # the type of the rows
    with pytest.raises(CorruptionError, match=f"have codes of int8 vectors under {metric}; rebuild"):
        _core.IvfIndex(bytes(damaged), vectors.astype(np.int8), metric)


def test_a_newer_format_is_refused_as_such() -> None:
    newer = bytearray(BUILT[0])
    newer[8] = 2
    with pytest.raises(FormatError, match="format 2, this version reads up to 1; upgrade vicino"):
        _core.IvfIndex(bytes(newer), VECTORS, "l2")


def test_a_row_in_two_lists_is_found_by_verify() -> None:
    built = _core.build_ivf(VECTORS, "l2", nlist=4)
    rows = np.frombuffer(built, np.uint32)[-((200 * 4 + 63) // 64 * 16) :][:200]
    assert sorted(rows.tolist()) == list(range(200))
    damaged = bytearray(built)
    at = len(built) - (200 * 4 + 63) // 64 * 64
    damaged[at : at + 4] = damaged[at + 796 : at + 800]
    with pytest.raises(CorruptionError, match=r"do not ascend|is in 2 lists"):
        _core.IvfIndex(bytes(damaged), VECTORS, "l2").verify()
