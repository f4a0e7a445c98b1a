"""What reading takes from the memory limit.

An answer is counted while it is made: its size follows from the sizes of the documents and vectors in it, which are known before they
are copied. A small answer is not counted, so a search that finds ten short records costs what it costs without a limit. Whoever reads
everything gets it in slices of bytes, each counted until the next is asked for. Without a limit nothing is counted.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from vicino import _core
from vicino.elsewhere import add_hint, is_of_call
from vicino.segment.memory import MemoryBudget

P = ParamSpec("P")
R = TypeVar("R")

SMALL_ANSWER = 128 << 10
"""Answers up to this many bytes are not counted; a database at its limit must still answer."""
HIT_BYTES = 160
"""One hit in the core's and in Python's arrays: distance, locator, id."""
VIEW_BYTES = 320
"""One record as Python objects, its fields and vectors not counted."""
ORDERED_ROW_BYTES = 160
"""One row while rows are ordered by a field: its key in two growing arrays and in the sort's buffer."""
DECODED_COPIES = 8
"""An encoded document takes about this often its size when it is decoded and written in another format."""
FACET_BYTES_FIRST, FACET_GROWTH, FACET_COPIES = 64 << 10, 8, 5
"""How many distinct values there are shows only while they are counted: the first attempt may take this much, the next more. Each value
is in the core's table, in a list of its segment, and in the merged and sorted ones."""
_SLICES_PER_LIMIT = 64
_NOTHING: AbstractContextManager[None] = nullcontext()


class ReadRoom:
    """The reading side of a database's memory budget."""

    def __init__(self, budget: MemoryBudget) -> None:
        self.budget = budget
        self.is_limited = budget.limit is not None
        self.uncounted_max = SMALL_ANSWER if self.is_limited else sys.maxsize * 2 + 1

    def take(self, size: int, purpose: str) -> AbstractContextManager[None]:
        """Counts `size` bytes while the block runs. Raises MemoryLimitError with the shortfall."""
        return self.budget.reserve(size, purpose) if self.is_limited and size > SMALL_ANSWER else _NOTHING

    def records(
        self, snapshot: _core.Snapshot, locators: Any, vector_bytes: int, purpose: str, *, copies: int = 1
    ) -> AbstractContextManager[None]:
        """Counts these records, each with `vector_bytes` of vectors, while the block runs."""
        if not self.is_limited:
            return _NOTHING
        return self.take(int(self._sizes(snapshot, locators, vector_bytes, copies).sum()), purpose)

    def slices(self, snapshot: _core.Snapshot, locators: Any, vector_bytes: int) -> Iterator[Any]:
        """The locators in parts whose records take a small share of the limit, or are one record."""
        limit = self.budget.limit
        if limit is None:
            yield locators
            return
        ends = np.cumsum(self._sizes(snapshot, locators, vector_bytes, 1))
        start, slice_bytes = 0, limit // _SLICES_PER_LIMIT
        while start < len(locators):
            before = int(ends[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + slice_bytes, side="right")))
            yield locators[start:stop]
            start = stop

    def facet(self, snapshot: _core.Snapshot, field: str, matches: _core.Matches | None, cancel: _core.Cancel) -> dict[Any, int]:
        """(type, value) -> records that have it; counted again with more room while that of the limit lasts."""
        if not self.is_limited:
            return _merged(snapshot.facet(field, matches, cancel))
        bytes_max = FACET_BYTES_FIRST
        while True:
            with self.budget.reserve(FACET_COPIES * bytes_max, f'the distinct values of field "{field}" for facet()'):
                parts = snapshot.facet(field, matches, cancel, bytes_max)
                if parts is not None:
                    return _merged(parts)
            bytes_max *= FACET_GROWTH

    @staticmethod
    def _sizes(snapshot: _core.Snapshot, locators: Any, vector_bytes: int, copies: int) -> Any:
        return (snapshot.document_sizes(locators) + np.uint64(vector_bytes)) * np.uint64(copies) + np.uint64(VIEW_BYTES)


def _merged(parts: Sequence[Any]) -> dict[Any, int]:
    counts: dict[tuple[type, Any], int] = {}
    for part in parts:
        for value, count in part:
            counts[type(value), value] = counts.get((type(value), value), 0) + count
    return counts


def within_limit(purpose: str) -> Callable[[Callable[Concatenate[Any, P], R]], Callable[Concatenate[Any, P], R]]:
    """For verbs of a collection: when the system has no more memory, the error says so with the numbers of the memory limit.

    And a call with arguments that the verb does not have says which were probably meant.
    """

    def wrap(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
        @functools.wraps(method)
        def call(self: Any, /, *arguments: P.args, **options: P.kwargs) -> R:
            try:
                return method(self, *arguments, **options)
            except MemoryError as error:
                told = self._shard.budget.shortage(error, purpose)
                if told is error:
                    raise
                raise told from error
            except TypeError as error:
                if is_of_call(error):
                    add_hint(error, method)
                raise

        return call

    return wrap
