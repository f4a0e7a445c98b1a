"""A query vector as the core takes it: one contiguous row of bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from vicino.collection.vector_spec import VectorSpec
from vicino.collection.vectors import Context, to_rows
from vicino.errors import DimensionError, InvalidArgument

Row = npt.NDArray[np.uint8]
_FLOATS, _BYTES = np.dtype(np.float32), np.dtype(np.uint8)


def to_query(query: Any, spec: VectorSpec, vector: str, name_of: Callable[[], str]) -> Row:
    """The bytes of one query row: float32 for float vectors, else the vector's own type. Raises DimensionError, InvalidArgument.

    name_of: tells the collection's name, for errors; nearly no query needs it.
    A float32 array of the right length is taken as it is; everything else is converted as vectors are on their way in.
    """
    # The type by identity, in half of the time; another object of the same type goes the longer way.
    if type(query) is np.ndarray and query.dtype is _FLOATS and query.shape == (spec.dim,) and spec.dtype in ("float32", "float16"):
        return (query if query.flags.c_contiguous else np.ascontiguousarray(query)).view(_BYTES)
    collection = name_of()
    if isinstance(query, bytes | bytearray | memoryview):
        query = np.frombuffer(query, np.uint8)
    try:
        shape = np.shape(query)
    except ValueError:
        shape = (0, 0)
    if len(shape) != 1:
        hint = "; call search_many for several queries" if len(shape) == 2 else ""
        raise InvalidArgument(
            f'a query for vector "{vector}" of collection "{collection}" is one vector, got {_described(query, shape)}{hint}'
        )
    if spec.dtype in ("float32", "float16"):
        if shape[0] != spec.dim:
            raise DimensionError(
                f'vector "{vector}" of collection "{collection}" has {spec.dim} dimensions, the query has {shape[0]}; '
                "was it embedded by another model?"
            )
        given = np.asarray(query)
        if given.dtype.kind not in "fiu":
            raise InvalidArgument(
                f'a query for vector "{vector}" of collection "{collection}" is numbers, got {_described(query, shape)} of {given.dtype}'
            )
        try:
            with np.errstate(over="raise"):
                return np.ascontiguousarray(given, dtype=np.float32).view(np.uint8)
        except FloatingPointError:
            position = int(np.argmax(np.abs(np.nan_to_num(given))))
            raise InvalidArgument(
                f'a query for vector "{vector}" of collection "{collection}" has {given[position]} at position {position}, '
                "which does not fit float32"
            ) from None
    return to_rows([query], spec, Context(vector, lambda _index: "the query", collection)).reshape(-1).view(np.uint8)


def matrix_queries(queries: npt.NDArray[Any], spec: VectorSpec) -> Row | None:
    """The bytes of a float32 matrix of queries, all converted at once; None when its rows must be looked at one by one."""
    if queries.dtype != np.float32 or queries.shape[1] != spec.dim or spec.dtype not in ("float32", "float16"):
        return None
    return np.ascontiguousarray(queries).view(np.uint8).reshape(-1)


def _described(query: Any, shape: tuple[int, ...]) -> str:
    return f"{type(query).__name__} of shape {shape}" if shape else f"{type(query).__name__} {str(query)[:40]!r}"
