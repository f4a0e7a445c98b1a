"""`SparseVector`: a vector of which only some of 2**32 numbers are not zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vicino.errors import InvalidArgument


class SparseVector:
    """Indices (0 to 2**32 - 1, ascending after construction) and their weights (finite, float32), as SPLADE, BGE-M3 or BM42 make them.

    >>> SparseVector([7, 3], [0.5, 2.0])
    SparseVector({3: 2.0, 7: 0.5})
    """

    __slots__ = ("indices", "values")

    indices: npt.NDArray[np.uint32]
    values: npt.NDArray[np.float32]

    def __init__(self, indices: Any, values: Any) -> None:
        """Raises InvalidArgument for indices that are no integers in range or come twice, and weights that are not finite numbers."""
        given, weights = np.asarray(indices), np.asarray(values)
        if given.ndim != 1 or given.shape != weights.shape:
            raise InvalidArgument(f"as many indices as weights are needed, got shapes {given.shape} and {weights.shape}")
        if given.size == 0:
            given, weights = np.zeros(0, np.uint32), np.zeros(0, np.float32)
        if given.dtype.kind not in "iu" or weights.dtype.kind not in "fiu":
            raise InvalidArgument(f"indices are integers and weights numbers, got {given.dtype} and {weights.dtype}")
        if given.size and (int(given.min()) < 0 or int(given.max()) >= 2**32):
            raise InvalidArgument(f"indices must be between 0 and 2**32 - 1, got {int(given.min())} to {int(given.max())}")
        with np.errstate(over="ignore"):
            narrow = weights.astype(np.float32)
        if not np.isfinite(narrow).all():
            position = int(np.argmin(np.isfinite(narrow)))
            raise InvalidArgument(f"weights must be finite, got {weights[position]} for index {given[position]}")
        order = np.argsort(given, kind="stable")
        sorted_indices = given[order].astype(np.uint32)
        if (repeated := sorted_indices[1:] == sorted_indices[:-1]).any():
            raise InvalidArgument(f"index {int(sorted_indices[1:][repeated][0])} comes twice; add its weights up")
        self.indices, self.values = sorted_indices, narrow[order]

    @classmethod
    def of(cls, value: Any) -> SparseVector:
        """From itself, a mapping of indices to weights, `{"indices": [...], "values": [...]}`, or a pair of sequences."""
        if isinstance(value, SparseVector):
            return value
        if isinstance(value, Mapping):
            if set(value) == {"indices", "values"}:
                return cls(value["indices"], value["values"])
            try:
                return cls([int(index) for index in value], list(value.values()))
            except (TypeError, ValueError) as error:
                raise InvalidArgument(f"the keys of a sparse vector are integers: {error}") from error
        if isinstance(value, tuple) and len(value) == 2:
            return cls(*value)
        raise InvalidArgument(f"expected a vicino.SparseVector or a mapping of indices to weights, got {type(value).__name__}")

    def to_dict(self) -> dict[int, float]:
        return dict(zip(self.indices.tolist(), self.values.tolist(), strict=True))

    def __len__(self) -> int:
        return len(self.indices)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SparseVector):
            return NotImplemented
        return np.array_equal(self.indices, other.indices) and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash((self.indices.tobytes(), self.values.tobytes()))

    def __repr__(self) -> str:
        shown = [f"{index}: {weight:.6g}" if weight % 1 else f"{index}: {weight:.1f}" for index, weight in list(self.to_dict().items())[:8]]
        return f"SparseVector({{{', '.join(shown)}{', …' if len(self) > 8 else ''}}})"
