"""What a search gives back: `Results`, a sequence of hits built from the core's arrays; a hit is made when it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import numpy.typing as npt

from vicino.errors import InvalidArgument
from vicino.query.hit import Document, Hit, Shape, hits_of, score_of
from vicino.query.plan import LatePlan
from vicino.segment.memory import MemoryBudget
from vicino.types import Metric, RecordId, VectorColumn

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from vicino import _core

T = TypeVar("T")

_TABLE_COPIES, _TABLE_ROW_BYTES = 10, 1000
"""Making a table holds every document decoded, as a row and as a part of its columns; an encoded one takes about a tenth of that."""


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write did. `count` records were written, changed or deleted; `version` is the collection's after the last commit.

    took_s: seconds from the call to durability. commits: 1, or more if the input was larger than one commit holds.
    delayed_s: the part of took_s spent waiting because sealing lagged behind the writes.
    """

    count: int
    version: int
    took_s: float
    commits: int = 1
    delayed_s: float = 0.0


@dataclass(slots=True)  # not frozen: every search makes one, and takes twice as long then
class SearchCall(Generic[T]):
    """What the results of all queries of one call share. plan: a `Plan`, or a `LatePlan` that makes it.

    vectors: for each query the columns by name; None if they were not asked for. next_cursor: see `Results`.
    """

    shape: Shape[T]
    metric: Metric
    version: int = 0
    took_s: float = 0.0
    plan: Any = None
    budget: MemoryBudget | None = None
    vectors: Sequence[Mapping[str, VectorColumn]] | None = None
    next_cursor: str | None = None


class Results(Sequence[Hit[T]], Generic[T]):
    """Hits, best first: of a search of a vector the nearest. `.took_s` seconds, at `.version` of the collection, found by `.plan`."""

    __slots__ = (
        "_call",
        "_distances",
        "_documents",
        "_found",
        "_highlight",
        "_hits",
        "_ids",
        "_matched",
        "_query",
        "_scores",
        "_versions",
    )

    def __init__(
        self,
        ids: Sequence[RecordId],
        distances: npt.NDArray[Any] | Sequence[float],
        documents: Sequence[Document] | None,
        *,
        shape: Shape[T],
        metric: Metric,
        version: int = 0,
        took_s: float = 0.0,
        plan: Any = None,
        versions: npt.NDArray[Any] | Sequence[int] | None = None,
        vectors: Mapping[str, VectorColumn] | None = None,
        budget: MemoryBudget | None = None,
        scores: Sequence[Callable[[], Mapping[str, float]]] | None = None,
        matched: Sequence[Callable[[], Mapping[str, int]]] | None = None,
        highlight: Callable[[Hit[T]], Mapping[str, Any]] | None = None,
        next_cursor: str | None = None,
    ) -> None:
        """Sequences are aligned. documents, vectors (one column per name): None if they were not asked for.

        budget: counts what making a table takes, if there is a memory limit. scores, matched, highlight: for `hit.scores`, `hit.matched`
        and `hit.highlights`.
        """
        self._ids = ids
        self._distances = distances
        self._documents = documents
        self._call = SearchCall(shape, metric, version, took_s, plan, budget, None if vectors is None else (vectors,), next_cursor)
        self._versions = versions
        self._found: _core.Found | None = None  # what is to be read of it, as the `_query`-th of its queries
        self._query = 0
        self._hits: dict[int, Hit[T]] = {}
        self._scores, self._matched, self._highlight = scores, matched, highlight

    @property
    def _vectors(self) -> Mapping[str, VectorColumn] | None:
        vectors = self._call.vectors
        return None if vectors is None else vectors[self._query]

    @property
    def next_cursor(self) -> str | None:
        """What `search(cursor=)` takes to go on after these hits; None at the end, or without `cursor=`."""
        return self._call.next_cursor

    @property
    def plan(self) -> Any:
        """How the search went (`Plan`)."""
        plan = self._call.plan
        return plan.plan if isinstance(plan, LatePlan) else plan

    def _read(self) -> None:
        """Reads ids, distances and documents from the core, where that was not done yet."""
        if self._found is not None:
            self._read_found(self._found)

    def _read_found(self, found: _core.Found) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
        """Ids, distances, documents and versions."""
        query = self._query
        self._ids, self._distances, self._documents, self._versions = read = (
            found.ids(query), found.distances(query), found.documents(query), found.versions(query),
        )  # fmt: skip
        self._scores = self._matched = self._highlight = None
        self._hits = {}
        self._found = None
        return read

    @property
    def version(self) -> int:
        """The collection's, at which all of this was found."""
        return self._call.version

    @property
    def took_s(self) -> float:
        """Seconds the search took."""
        return self._call.took_s

    @property
    def took(self) -> float:
        """The same as `took_s`."""
        return self._call.took_s

    @property
    def recall(self) -> float | None:
        """Estimated share of the true nearest records that was found; None where nothing is known, see `Plan.recall`."""
        return None if self.plan is None else self.plan.recall

    @property
    def ids(self) -> list[RecordId]:
        """The ids of all hits; no hit is made for it."""
        return list(self._ids) if self._found is None else self._found.ids(self._query)

    def __len__(self) -> int:
        return len(self._ids) if self._found is None else self._found.count(self._query)

    @overload
    def __getitem__(self, index: int) -> Hit[T]: ...
    @overload
    def __getitem__(self, index: slice) -> Results[T]: ...
    def __getitem__(self, index: int | slice) -> Hit[T] | Results[T]:
        if isinstance(index, slice):
            return self._slice(index)
        if isinstance(index, str):
            raise InvalidArgument(f"results are a sequence of hits, got the name {index!r}; take a hit first, as in results[0][{index!r}]")
        self._read()
        row = index + len(self._ids) if index < 0 else index
        hit = self._hits.get(row)
        if hit is None:
            if not 0 <= row < len(self._ids):
                raise IndexError(f"there are {len(self._ids)} hits, got index {index}")
            hit = self._hits[row] = self._make(row)
        return hit

    def __iter__(self) -> Iterator[Hit[T]]:
        found = self._found
        if found is None or self._vectors is not None:
            return map(self.__getitem__, range(len(self)))
        # Nobody has looked at a hit yet: all are made at once.
        made = hits_of(*self._read_found(found), shape=self._call.shape, metric=self._call.metric)
        self._hits = dict(enumerate(made))
        return iter(made)

    def _make(self, row: int) -> Hit[T]:
        distance = float(self._distances[row])
        vectors = self._vectors
        return Hit(
            self._ids[row],
            {} if self._documents is None else self._documents[row],
            shape=self._call.shape,
            distance=distance,
            score=score_of(distance, self._call.metric),
            version=int(self._versions[row]) if self._versions is not None else 0,
            vectors=None if vectors is None else {name: rows for name, column in vectors.items() if (rows := column[row]) is not None},
            scores=None if self._scores is None else self._scores[row],
            matched=None if self._matched is None else self._matched[row],
            highlight=self._highlight,
        )

    def _slice(self, index: slice) -> Results[T]:
        self._read()
        call = self._call
        return Results(
            self._ids[index],
            self._distances[index],
            None if self._documents is None else self._documents[index],
            shape=call.shape,
            metric=call.metric,
            version=call.version,
            took_s=call.took_s,
            plan=call.plan,
            budget=call.budget,
            scores=None if self._scores is None else self._scores[index],
            matched=None if self._matched is None else self._matched[index],
            highlight=self._highlight,
            versions=None if self._versions is None else self._versions[index],
            vectors=None if self._vectors is None else {name: _slice_column(column, index) for name, column in self._vectors.items()},
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Results):
            return NotImplemented
        return len(self) == len(other) and all(
            mine == theirs and mine.distance == theirs.distance for mine, theirs in zip(self, other, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]  # hits hold dicts

    def to_dicts(self) -> list[dict[str, Any]]:
        """One flat dict per hit: "id", "score", the vectors if they were asked for, the fields.

        A field whose name is taken by those appears as "fields.<name>".
        """
        from vicino.query.table import flat_dict

        return [flat_dict(hit, {"score": hit.score}) for hit in self]

    def to_arrow(self) -> pyarrow.Table:
        """An Arrow table, one row per hit, columns as in `to_dicts`; needs pyarrow, raises MissingExtraError without."""
        from vicino.query.table import to_arrow

        with self._room("to_arrow()"):
            return to_arrow(self.to_dicts(), self._leading_columns())

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas DataFrame, columns as in `to_dicts`, values as Python objects where numpy has no type for them."""
        from vicino.query.table import to_pandas

        with self._room("to_pandas()"):
            return to_pandas(self.to_dicts(), self._leading_columns())

    def to_polars(self) -> polars.DataFrame:
        """A polars DataFrame, columns as in `to_dicts`; UUIDs become text."""
        from vicino.query.table import to_polars

        with self._room("to_polars()"):
            return to_polars(self.to_dicts(), self._leading_columns())

    @contextmanager
    def _room(self, purpose: str) -> Iterator[None]:
        """Counts the decoded hits and their table while it is made."""
        budget = self._call.budget
        if budget is None or budget.limit is None:
            yield
            return
        self._read()
        documents = sum(len(document) for document in self._documents or ())
        vectors = sum(column.rows.nbytes for column in (self._vectors or {}).values())
        try:
            with budget.reserve(_TABLE_COPIES * (documents + vectors) + _TABLE_ROW_BYTES * len(self), f"{purpose} of {len(self)} hits"):
                yield
        except MemoryError as error:
            told = budget.shortage(error, purpose)
            if told is error:
                raise
            raise told from error

    def _leading_columns(self) -> list[str]:
        return ["id", "score", *(self._vectors or ())]

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        from vicino.query.table import text_table

        n = len(self)
        head = f"{n} {'hit' if n == 1 else 'hits'} in {self.took_s * 1e3:.2f} ms, version {self.version}"
        return f"{head}\n{text_table(self.to_dicts(), self._leading_columns()[:2])}" if n else head

    def _repr_html_(self) -> str:
        from vicino.query.table import html_table

        return html_table(self.to_dicts(), self._leading_columns()[:2])


def results_of(found: _core.Found, call: SearchCall[T], *, read_now: bool = False) -> list[Results[T]]:
    """What every query of a call found, as the core holds it: nothing is read before somebody looks, unless read_now says so."""
    # The constructor would take four times as long: what only hits need is set when they are read.
    made: list[Results[T]] = []
    new = Results.__new__
    for query in range(len(found)):
        results = new(Results)
        results._found = found
        results._query = query
        results._call = call
        made.append(results)
    if read_now:
        for results in made:
            results._read()
    return made


def _slice_column(column: Any, index: slice) -> Any:
    if isinstance(column, list):  # sparse or multi-vectors
        return column[index]
    return VectorColumn(column.rows[index], None if column.present is None else column.present[index])
