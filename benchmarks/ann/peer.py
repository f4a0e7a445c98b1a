"""What one system must do to be measured. Adapters are imported inside the peers' environment only."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np

from benchmarks.ann.filters import Condition, Fields
from benchmarks.ann.synthetic import Rows

GRAPH_LINKS = 16
GRAPH_BEAM_BUILD = 200
"""What hnswlib's documentation starts from, and what every HNSW here is built with."""


def steps(first: int, last: int, growth: float = 1.12) -> list[int]:
    """Whole numbers from first to last, each about `growth` times the one before: fine enough to read a curve between two of them."""
    found = [first]
    while found[-1] < last:
        found.append(min(last, max(found[-1] + 1, round(found[-1] * growth))))
    return found


BEAMS = steps(10, 1200)
"""Beam widths of graph searches, rising."""


class Peer(ABC):
    """One index over the rows 0 to n - 1 of a set. Everything is single-threaded unless `threads` says more."""

    distribution: ClassVar[str] = "vicino"
    """The package whose version stands in the result."""
    is_graph: ClassVar[bool] = False
    """Settings are beam widths, so that builds can be compared at equal ones."""
    has_batch: ClassVar[bool] = False
    has_filter: ClassVar[bool] = False

    can_keep: ClassVar[bool] = False
    """It has `save` and `restore`."""

    metrics: ClassVar[tuple[str, ...]] = ("cosine", "l2")

    def __init__(self, metric: str, dim: int, threads: int = 1) -> None:
        if metric not in self.metrics:
            raise ValueError(f"{self.distribution} searches by {' and '.join(self.metrics)}, not by {metric}")
        self.metric, self.dim, self.threads = metric, dim, threads

    def version(self) -> str:
        return version(self.distribution)

    def builder(self) -> str:
        """Tells apart what builds different indexes over the same rows: a kept index is loaded by the same builder only."""
        return self.version()

    @abstractmethod
    def build(self, rows: Rows) -> None:
        """Everything from the bare rows to the first search."""

    def save(self, path: str) -> None:
        """Writes the built index into a file, by the system's own call."""
        raise NotImplementedError(f"{type(self).__name__} is not kept")

    def restore(self, path: str, rows: Rows) -> None:
        """What `save` wrote, instead of `build` over the same rows."""
        raise NotImplementedError(f"{type(self).__name__} is not kept")

    def settings(self) -> Sequence[Any]:
        """What `use` takes, in about rising order of recall."""
        return BEAMS

    @abstractmethod
    def use(self, setting: Any) -> None:
        """Searches from now on are made with this setting."""

    @abstractmethod
    def search(self, query: Rows, k: int) -> Any:
        """Row numbers of the nearest, any sequence; may be shorter than k."""

    def search_batch(self, queries: Rows, k: int, threads: int) -> Any:
        """One sequence of row numbers per query, by the system's own batch call."""
        raise NotImplementedError(f"{type(self).__name__} has no batch call")

    def prepare(self, fields: Fields, conditions: Sequence[Condition]) -> None:  # noqa: B027  (most have nothing to prepare)
        """Called once before filtered searches, outside of the clock: libraries make their masks here."""

    def search_filtered(self, query: Rows, k: int, condition: Condition) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no filter")

    def rows_scored(self, queries: Rows, k: int) -> float | None:
        """Rows whose distance a query computes, in the mean; None where the system does not say."""
        return None

    def close(self) -> None:  # noqa: B027  (an index goes with its process)
        """Frees whatever outlives the object."""

    def size_bytes(self) -> dict[str, int]:
        """By the system's own account or its documented layout. hot: all that a search without rescoring reads; total: with the rest."""
        return {}


class Database(Peer):
    """A peer that keeps its rows on disk, with two fields each, and returns them with the hits."""

    has_filter = True

    def build(self, rows: Rows) -> None:
        self.create(self.folder())
        zeros = np.zeros(len(rows), np.int32)
        self.ingest(rows, Fields(zeros, zeros, zeros, zeros))
        self.index()

    def folder(self) -> str:
        self._holder = tempfile.TemporaryDirectory(prefix="ann-", dir=os.environ.get("VICINO_BENCH_FOLDER"), ignore_cleanup_errors=True)
        return os.path.join(self._holder.name, "database")

    def close(self) -> None:
        """Removes the folder; a database that must end before that does so in its own close."""
        self._holder.cleanup()

    @abstractmethod
    def create(self, path: str) -> None: ...

    @abstractmethod
    def ingest(self, rows: Rows, fields: Fields) -> None:
        """Returns when all rows are acknowledged and the database's own flush, if it has one, has returned."""

    @abstractmethod
    def index(self) -> None:
        """Returns when every row is in the indexes that searches and filters use."""

    @abstractmethod
    def reopen(self) -> None:
        """Closes the database and opens it as it lies on disk."""


def batches(n: int, size: int) -> list[range]:
    return [range(first, min(first + size, n)) for first in range(0, n, size)]
