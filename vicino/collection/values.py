"""Sparse vectors, multi-vectors and analyzed text on their way in and out: what users give, as the bytes the core reads, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vicino.collection.value_specs import MultiSpec, SparseSpec, TextSlot, ValueSpec
from vicino.collection.vector_spec import VectorSpec
from vicino.collection.vectors import Context, to_rows
from vicino.errors import CorruptionError, InvalidArgument
from vicino.query.sparse_vector import SparseVector

Offsets = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class ValueColumn:
    """Byte strings, one a record, no bytes for a record that has none: record i is data[offsets[i]:offsets[i + 1]]."""

    data: bytes
    offsets: Offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> bytes:
        return self.data[int(self.offsets[row]) : int(self.offsets[row + 1])]

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        return np.diff(self.offsets).astype(np.int64)

    def rows(self, start: int, stop: int) -> ValueColumn:
        first, last = int(self.offsets[start]), int(self.offsets[stop])
        return ValueColumn(self.data[first:last], self.offsets[start : stop + 1] - self.offsets[start])

    def take(self, rows: Iterable[int]) -> ValueColumn:
        return column_of([self[row] for row in rows])


def column_of(values: Sequence[bytes]) -> ValueColumn:
    offsets = np.zeros(len(values) + 1, np.uint64)
    np.cumsum([len(value) for value in values], out=offsets[1:])
    return ValueColumn(b"".join(values), offsets)


def join(parts: Sequence[ValueColumn]) -> ValueColumn:
    """Columns of the same values, one after the other."""
    starts = np.cumsum([0] + [len(part.data) for part in parts]).astype(np.uint64)
    offsets = [part.offsets[:-1] + start for part, start in zip(parts, starts)]
    return ValueColumn(b"".join(part.data for part in parts), np.concatenate([*offsets, starts[-1:]]))


def to_values(values: Sequence[Any] | npt.NDArray[Any], spec: ValueSpec, context: Context) -> ValueColumn:
    """What users gave for one name, None where a record has none. Raises InvalidArgument or DimensionError naming the record."""
    if isinstance(spec, SparseSpec):
        return column_of([b"" if value is None else _sparse_bytes(value, row, context) for row, value in enumerate(values)])
    return column_of([b"" if value is None else _multi_bytes(value, spec, row, context) for row, value in enumerate(values)])


def _sparse_bytes(value: Any, row: int, context: Context) -> bytes:
    try:
        vector = SparseVector.of(value)
    except InvalidArgument as error:
        raise context.refuse(row, f"is not a sparse vector: {error.message}") from error
    return vector.indices.tobytes() + vector.values.tobytes()


def _multi_bytes(value: Any, spec: MultiSpec, row: int, context: Context) -> bytes:
    try:
        matrix = np.asarray(value)
    except ValueError as error:
        raise context.refuse(row, f"must be a matrix with one row a token, got {type(value).__name__}: {error}") from error
    if matrix.size == 0:
        return b""
    if matrix.ndim != 2:
        raise context.refuse(row, f"must be a matrix of shape (tokens, {spec.dim}), got an array of shape {matrix.shape}")
    return to_rows(matrix, row_spec(spec), context.of_rows([row] * len(matrix))).tobytes()


def row_spec(spec: MultiSpec) -> VectorSpec:
    """One row of a multi-vector as a vector of its own."""
    return VectorSpec(spec.dim, spec.metric, spec.dtype)


def to_text(documents: Sequence[Mapping[str, Any]], entry: TextSlot) -> tuple[ValueColumn, frozenset[str]]:
    """The terms of one text index for some records, and the languages that were detected. Raises MissingExtraError without its stemmer."""
    texts = [entry.spec.text_of(document) for document in documents]
    data, offsets, _, languages = entry.spec.analyzer.analyze_many(texts, positions=entry.spec.positions)
    return ValueColumn(data, offsets), languages if entry.spec.analyzer.detects else frozenset()


def from_bytes(value: bytes, spec: ValueSpec) -> SparseVector | npt.NDArray[Any] | None:
    """A stored value as users read it; None for a record that has none. Raises CorruptionError for bytes that are no such value."""
    if not value:
        return None
    kind, width = ("sparse vector", 8) if isinstance(spec, SparseSpec) else ("multi-vector", row_spec(spec).row_bytes)
    if len(value) % width:
        raise CorruptionError(f"a stored {kind} has {len(value)} bytes, not a multiple of {width}; check() names the file, then restore it")
    if not isinstance(spec, SparseSpec):
        return np.frombuffer(value, row_spec(spec).numpy_dtype).reshape(-1, spec.dim)
    n = len(value) // 8
    try:
        return SparseVector(np.frombuffer(value, np.uint32, n), np.frombuffer(value, np.float32, n, 4 * n))
    except InvalidArgument as error:
        raise CorruptionError(f"a stored sparse vector is none: {error.message}; check() names the file, then restore it") from error
