from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicino.collection.vector_spec import VectorSpec
from vicino.collection.vectors import Context, to_column, to_rows
from vicino.errors import DimensionError, InvalidArgument

CONTEXT = Context("title", lambda row: f"record {row + 40} at position {row}", "books")
FLOAT = VectorSpec(3)
BITS = VectorSpec(12, "hamming", "binary")


def of_dtype(dtype: Any, metric: Any = "l2", dim: int = 3) -> VectorSpec:
    return VectorSpec(dim, metric, dtype)


@pytest.mark.parametrize(
    "values",
    [
        [[1, 2, 3], [4.5, 5, 6]],
        [(1, 2, 3), np.array([4.5, 5, 6])],
        np.array([[1, 2, 3], [4.5, 5, 6]]),
        np.array([[1, 2, 3], [4.5, 5, 6]], order="F"),
        np.array([[1, 2, 3], [4.5, 5, 6]], np.float16),
    ],
    ids=["lists", "mixed", "matrix", "fortran", "float16"],
)
def test_numbers_become_contiguous_rows_of_the_dtype(values: Any) -> None:
    rows = to_rows(values, FLOAT, CONTEXT)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    assert rows.tolist() == [[1, 2, 3], [4.5, 5, 6]]


def test_matrix_in_the_declared_dtype_is_not_copied() -> None:
    matrix = np.ones((4, 3), np.float32)
    assert to_rows(matrix, FLOAT, CONTEXT) is matrix


def test_wrong_length_names_vector_collection_and_record() -> None:
    with pytest.raises(DimensionError, match=r'vector "title" of collection "books" has 3 dimensions, got 2 \(record 41 at position 1\)'):
        to_rows([[1, 2, 3], [1, 2]], FLOAT, CONTEXT)


def test_matrix_of_wrong_width_is_refused() -> None:
    with pytest.raises(DimensionError, match="has 3 dimensions, got 5"):
        to_rows(np.ones((2, 5)), FLOAT, CONTEXT)


def test_missing_vectors_are_marked_and_zero() -> None:
    column = to_column([None, [1, 2, 3], None], FLOAT, CONTEXT)
    assert column.present is not None
    assert column.present.tolist() == [False, True, False]
    assert column.rows.tolist() == [[0, 0, 0], [1, 2, 3], [0, 0, 0]]
    assert column[0] is None


def test_error_after_a_gap_names_the_right_record() -> None:
    with pytest.raises(DimensionError, match="record 42 at position 2"):
        to_column([[1, 2, 3], None, [1]], FLOAT, CONTEXT)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_value_that_is_not_finite_is_refused_with_its_position(value: float) -> None:
    with pytest.raises(InvalidArgument, match=rf"has {value} at position 2, which is not a finite number \(record 41"):
        to_rows([[1, 2, 3], [1, 2, value]], FLOAT, CONTEXT)


@pytest.mark.parametrize(("dtype", "value"), [("float32", 1e300), ("float16", 70000.0), ("float16", 70000)])
def test_value_too_large_for_the_dtype_is_refused(dtype: str, value: float) -> None:
    with pytest.raises(InvalidArgument, match=f"at position 0, which does not fit {dtype}"):
        to_rows([[value, 0, 0]], of_dtype(dtype), CONTEXT)


def test_whole_floats_become_integers() -> None:
    assert to_rows([[1.0, -128.0, 127.0]], of_dtype("int8"), CONTEXT).tolist() == [[1, -128, 127]]


@pytest.mark.parametrize(
    ("dtype", "value"), [("int8", 0.5), ("int8", 128), ("uint8", -1), ("uint8", 256.0), ("int8", np.nan), ("uint8", 2**63)], ids=str
)
def test_number_outside_an_integer_dtype_is_refused(dtype: str, value: float) -> None:
    with pytest.raises(InvalidArgument, match=rf"at position 1, not a whole number from .* \({dtype}\)"):
        to_rows([[0, value, 0]], of_dtype(dtype), CONTEXT)


@pytest.mark.parametrize("value", ["abc", 5, ["a", "b", "c"], [True, False, True], [1j, 2, 3], {"a": 1}], ids=str)
def test_values_that_are_no_numbers_are_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument, match='vector "title"'):
        to_rows([value], FLOAT, CONTEXT)


def test_bools_among_numbers_are_refused_even_in_another_row() -> None:
    with pytest.raises(InvalidArgument, match=r"got bools \(record 41"):
        to_rows([[1.0, 2.0, 3.0], [True, False, True]], FLOAT, CONTEXT)


def test_nested_lists_are_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"must be one-dimensional, got an array of shape \(1, 3\)"):
        to_rows([[[1, 2, 3]]], FLOAT, CONTEXT)


def test_object_with_dlpack_only_is_read() -> None:
    class Tensor:
        def __init__(self) -> None:
            self.array = np.arange(3, dtype=np.float32)

        def __dlpack__(self, **options: Any) -> Any:
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self) -> Any:
            return self.array.__dlpack_device__()

    assert to_rows([Tensor()], FLOAT, CONTEXT).tolist() == [[0, 1, 2]]


def test_no_vectors_give_no_rows() -> None:
    assert to_rows([], BITS, CONTEXT).shape == (0, 2)


BIT_ROW = [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1]


@pytest.mark.parametrize(
    "value",
    [BIT_ROW, np.array(BIT_ROW, bool), [128, 0b1001_0000], np.array([128, 144], np.uint8), bytes([128, 144])],
    ids=["bits", "bools", "ints", "packed", "bytes"],
)
def test_bits_and_packed_bytes_mean_the_same(value: Any) -> None:
    assert to_rows([value], BITS, CONTEXT).tolist() == [[128, 144]]


def test_packed_bits_beyond_the_dimension_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="is packed with bits set beyond its 12"):
        to_rows([[128, 1]], BITS, CONTEXT)


def test_bit_that_is_not_zero_or_one_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="has 2 at position 3; each of its 12 bits is 0 or 1"):
        to_rows([[0, 0, 0, 2, *[0] * 8]], BITS, CONTEXT)


def test_wrong_number_of_bits_says_both_lengths() -> None:
    with pytest.raises(DimensionError, match=r"has 12 bits \(2 packed bytes\), got 5"):
        to_rows([[0] * 5], BITS, CONTEXT)


@given(st.integers(1, 70).flatmap(lambda dim: st.lists(st.lists(st.booleans(), min_size=dim, max_size=dim), min_size=1, max_size=4)))
def test_bits_come_back_from_packed_rows(bits: list[list[bool]]) -> None:
    dim = len(bits[0])
    spec = VectorSpec(dim, "jaccard", "binary")
    rows = to_rows(bits, spec, CONTEXT)
    assert np.unpackbits(rows, axis=1, count=dim).astype(bool).tolist() == bits
    if dim > 1:
        assert to_rows(rows, spec, CONTEXT).tolist() == rows.tolist()
