"""Vectors as users hand them in, turned into one matrix in the declared dtype, or refused by record.

The rules of conversion: floats of any width become float32 or float16 by rounding, unless they are not finite or too large for it; integers
become floats; floats become int8 or uint8 only if they are whole and in range. Numbers never become bits or bits numbers by accident: a
bool is accepted for binary vectors only.

A binary vector of `dim` bits is given as `dim` values of 0 and 1 (or bools), or packed as ceil(dim / 8) bytes (uint8 array, list of ints
or `bytes`), the first bit highest in its byte as `numpy.packbits` does it, and the bits beyond `dim` zero. With dim 1 the value is the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vicino.collection.vector_spec import VectorSpec
from vicino.errors import DimensionError, InvalidArgument
from vicino.types import VectorColumn

Matrix = npt.NDArray[Any]


class Context:
    """Says in messages which vector of which record is meant. `describe` gives for a row `record "a" at position 17`."""

    __slots__ = ("collection", "describe", "name")

    def __init__(self, name: str, describe: Callable[[int], str] | None = None, collection: str = "") -> None:
        self.name, self.describe, self.collection = name, describe, collection

    @property
    def vector(self) -> str:
        return f'vector "{self.name}"' + (f' of collection "{self.collection}"' if self.collection else "")

    def where(self, row: int) -> str:
        return f" ({self.describe(row)})" if self.describe else ""

    def refuse(self, row: int, problem: str) -> InvalidArgument:
        return InvalidArgument(f"{self.vector} {problem}{self.where(row)}")

    def of_rows(self, rows: Sequence[int]) -> Context:
        """The same for an excerpt: its row i is row `rows[i]` here."""
        describe = self.describe
        return self if describe is None else Context(self.name, lambda row: describe(rows[row]), self.collection)


def to_column(values: Sequence[Any] | Matrix, spec: VectorSpec, context: Context) -> VectorColumn:
    """One vector per record, None where a record has none, as rows in the declared dtype.

    values: (n, dim) array, taken without conversion of single rows, or a sequence of n vectors.
    Raises DimensionError for a wrong length, InvalidArgument for values that do not fit the dtype; both name the record.
    """
    if isinstance(values, np.ndarray) and values.dtype != object:
        return VectorColumn(to_rows(values, spec, context))
    missing = [position for position, value in enumerate(values) if value is None]
    if not missing:
        return VectorColumn(to_rows(values, spec, context))
    present = np.ones(len(values), dtype=np.bool_)
    present[missing] = False
    rows = np.zeros((len(values), spec.width), dtype=spec.numpy_dtype)
    if given := np.flatnonzero(present).tolist():
        rows[given] = to_rows([values[position] for position in given], spec, context.of_rows(given))
    return VectorColumn(rows, present)


def to_rows(values: Sequence[Any] | Matrix, spec: VectorSpec, context: Context) -> Matrix:
    """Vectors of one name, all present, as (n, width) rows in the declared dtype, C-contiguous; copied only where needed."""
    if len(values) == 0:
        return np.zeros((0, spec.width), dtype=spec.numpy_dtype)
    matrix = values if isinstance(values, np.ndarray) and values.dtype != object else _stack(list(values), spec, context)
    if matrix.ndim != 2:
        raise context.refuse(0, f"must be one-dimensional for each record, got an array of shape {matrix.shape[1:]}")
    if spec.dtype == "binary":
        return _to_bits(matrix, spec, context)
    if matrix.shape[1] != spec.dim:
        raise _wrong_dimension(spec, matrix.shape[1], 0, context)
    if spec.dtype in ("float32", "float16"):
        return _to_floats(matrix, spec, context)
    return _to_integers(matrix, spec, context)


def _stack(values: Sequence[Any], spec: VectorSpec, context: Context) -> Matrix:
    """The vectors of a sequence as one matrix of whatever dtype they have together."""
    kinds = set(map(type, values))
    if kinds != {np.ndarray}:
        values = [value if type(value) is np.ndarray else _to_array(value, row, context) for row, value in enumerate(values)]
    shapes = {value.shape for value in values}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        _refuse_shapes(values, spec, context)
    if len({value.dtype for value in values}) != 1:
        # Together, bits would become numbers and text would swallow all: each must pass on its own before they are joined.
        values = [to_rows(value[np.newaxis], spec, context.of_rows([row]))[0] for row, value in enumerate(values)]
    return np.concatenate(values).reshape(len(values), -1)


def _to_array(value: Any, row: int, context: Context) -> Matrix:
    if isinstance(value, bytes | bytearray | memoryview):
        return np.frombuffer(value, dtype=np.uint8)
    if isinstance(value, str) or not (hasattr(value, "__len__") or hasattr(value, "__array__") or hasattr(value, "__dlpack__")):
        raise context.refuse(row, f"must be a sequence of numbers or an array, got {type(value).__name__} {str(value)[:40]!r}")
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        return np.asarray(value)
    except (ValueError, TypeError, BufferError, RuntimeError) as error:
        raise context.refuse(row, f"cannot be read as an array: {error}") from error


def _refuse_shapes(values: Sequence[Matrix], spec: VectorSpec, context: Context) -> None:
    for row, value in enumerate(values):
        if value.ndim != 1:
            raise context.refuse(row, f"must be one-dimensional, got an array of shape {value.shape}")
        if value.shape[0] != spec.dim and not (spec.dtype == "binary" and value.shape[0] == spec.width):
            raise _wrong_dimension(spec, value.shape[0], row, context)
    raise context.refuse(0, "is given in bits for some records and packed for others; use one of both in a call")


def _wrong_dimension(spec: VectorSpec, got: int, row: int, context: Context) -> DimensionError:
    unit = f"{spec.dim} bits ({spec.width} packed bytes)" if spec.dtype == "binary" else f"{spec.dim} dimensions"
    return DimensionError(f"{context.vector} has {unit}, got {got}{context.where(row)}")


def _to_floats(matrix: Matrix, spec: VectorSpec, context: Context) -> Matrix:
    if matrix.dtype.kind not in "fiu":
        raise context.refuse(0, f"must hold numbers for dtype {spec.dtype}, got {_dtype_words(matrix.dtype)}")
    if matrix.dtype == spec.numpy_dtype:
        rows = np.ascontiguousarray(matrix)
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            rows = np.ascontiguousarray(matrix, dtype=spec.numpy_dtype)
    finite = np.isfinite(rows)
    if not finite.all():
        row, position = (int(found) for found in np.unravel_index(int(np.argmin(finite)), rows.shape))
        value = matrix[row, position]
        problem = f"which does not fit {spec.dtype}" if np.isfinite(value) else "which is not a finite number"
        raise context.refuse(row, f"has {value} at position {position}, {problem}")
    return rows


def _to_integers(matrix: Matrix, spec: VectorSpec, context: Context) -> Matrix:
    if matrix.dtype.kind not in "fiu":
        raise context.refuse(0, f"must hold whole numbers for dtype {spec.dtype}, got {_dtype_words(matrix.dtype)}")
    if matrix.dtype == spec.numpy_dtype:
        return np.ascontiguousarray(matrix)
    limits = np.iinfo(spec.numpy_dtype)
    fits = (matrix >= limits.min) & (matrix <= limits.max)
    if matrix.dtype.kind == "f":
        fits &= np.rint(matrix) == matrix
    if not fits.all():
        row, position = (int(found) for found in np.unravel_index(int(np.argmin(fits)), matrix.shape))
        raise context.refuse(
            row, f"has {matrix[row, position]} at position {position}, not a whole number from {limits.min} to {limits.max} ({spec.dtype})"
        )
    return np.ascontiguousarray(matrix, dtype=spec.numpy_dtype)


def _to_bits(matrix: Matrix, spec: VectorSpec, context: Context) -> Matrix:
    if matrix.dtype.kind not in "biuf":
        raise context.refuse(0, f"must hold bits or packed bytes for dtype binary, got {_dtype_words(matrix.dtype)}")
    if matrix.shape[1] == spec.dim:
        wrong = (matrix != 0) & (matrix != 1)
        if wrong.any():
            row, position = (int(found) for found in np.unravel_index(int(np.argmax(wrong)), matrix.shape))
            raise context.refuse(row, f"has {matrix[row, position]} at position {position}; each of its {spec.dim} bits is 0 or 1")
        return np.packbits(matrix.astype(np.bool_), axis=1)
    if matrix.shape[1] != spec.width or matrix.dtype.kind == "b":
        raise _wrong_dimension(spec, matrix.shape[1], 0, context)
    packed = _to_integers(matrix, VectorSpec(spec.width, "l1", "uint8"), context)
    if spec.dim % 8:
        padding = packed[:, -1] & (0xFF >> spec.dim % 8)
        if padding.any():
            row = int(np.argmax(padding != 0))
            raise context.refuse(row, f"is packed with bits set beyond its {spec.dim}; the first bit is the highest of its byte")
    return packed


def _dtype_words(dtype: np.dtype[Any]) -> str:
    words = {"b": "bools", "U": "text", "S": "bytes", "O": "mixed values", "c": "complex numbers", "M": "datetimes"}
    return words.get(dtype.kind, f"values of dtype {dtype}")
