"""Records in columns, as they came: the form that every input takes before it is checked, and that users can give themselves."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vicino.errors import InvalidArgument
from vicino.types import DEFAULT_VECTOR, RecordId


@dataclass(slots=True)
class Columns:
    """A run of records in columns, as it came: nothing is checked yet.

    vectors: by name an (n, dim) array, or a list with one vector or None per record.
    place: for an index within the run where that record stands in the input, as `position 17` or `line 18 of books.jsonl`.
    """

    ids: list[Any]
    vectors: dict[str, npt.NDArray[Any] | list[Any]]
    documents: list[dict[str, Any]]
    place: Callable[[int], str] = "position {}".format

    def describe(self, index: int) -> str:
        return f"record {show_id(self.ids[index])} at {self.place(index)}"


def show_id(record_id: Any) -> str:
    """An id as messages spell it: text in quotes, integers bare."""
    return f'"{record_id}"' if isinstance(record_id, str | uuid.UUID) else str(record_id)


def columns(
    ids: Sequence[RecordId] | npt.NDArray[Any],
    vectors: npt.NDArray[Any] | Sequence[Any] | Mapping[str, npt.NDArray[Any] | Sequence[Any]] | None = None,
    fields: Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]] | None = None,
) -> Columns:
    """Records spelled in columns: ids, one matrix (for the vector named "vector") or one per name, and fields.

    fields: one mapping per record, or by name one sequence of values. Raises InvalidArgument if the lengths differ.
    """
    id_list = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
    n = len(id_list)
    if vectors is None:
        named: Mapping[str, Any] = {}
    else:
        named = vectors if isinstance(vectors, Mapping) else {DEFAULT_VECTOR: vectors}
    matrices = {name: values if isinstance(values, np.ndarray) else list(values) for name, values in named.items()}
    for name, values in matrices.items():
        _check_length(f'vectors of "{name}"', len(values), n)
    if fields is None:
        documents: list[dict[str, Any]] = [{} for _ in range(n)]
    elif isinstance(fields, Mapping):
        values_by_name = {name: values.tolist() if isinstance(values, np.ndarray) else list(values) for name, values in fields.items()}
        for name, values in values_by_name.items():
            _check_length(f'values of field "{name}"', len(values), n)
        documents = [{name: values[index] for name, values in values_by_name.items()} for index in range(n)]
    else:
        documents = [dict(document) for document in fields]
        _check_length("mappings of fields", len(documents), n)
    return Columns(id_list, matrices, documents)


def _check_length(what: str, got: int, n: int) -> None:
    if got != n:
        raise InvalidArgument(f"there are {n} ids and {got} {what}; there must be one for each id")
