"""One record as it is read: `RecordView`, and `Hit`, which adds how near it is. Fields are decoded when somebody looks.

Both are mappings with the flat spelling of a record: "id", then the vectors (if they were asked for), then the fields. A field that is
itself named "id" or like a vector is hidden there, and reachable in `.fields`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from vicino._core import decode_document
from vicino.errors import InvalidArgument, NotFoundError, did_you_mean
from vicino.types import DEFAULT_VECTOR, Metric, RecordId

T = TypeVar("T")

Vectors = Mapping[str, npt.NDArray[Any]]
Document = bytes | bytearray | memoryview | Mapping[str, Any]
"""The fields of one record: encoded by the core, or as a mapping."""


@dataclass(frozen=True, slots=True)
class Shape(Generic[T]):
    """What all records read from a collection share.

    record: makes the user's object from id, vectors and fields (`vicino.collection.typed.record_factory`, or `vicino.Record`).
    embed: fields whose text the collection's model embeds; they are `.text`.
    select: fields that the reader asked for, None for all.
    """

    record: Callable[[RecordId, Mapping[str, Any], Mapping[str, Any]], T]
    embed: tuple[str, ...] = ()
    select: tuple[str, ...] | None = None


def embedded_text(fields: Mapping[str, Any], embed: Sequence[str]) -> str | None:
    """The text that a model embeds for a record: its `embed` fields that hold strings, joined by a space; None if there are none."""
    texts = [text for name in embed if isinstance(text := fields.get(name), str)]
    return " ".join(texts) if texts else None


def score_of(distance: float, metric: Metric) -> float:
    """The score of a distance: larger is better. Cosine and dot give the similarity itself, the others minus the distance."""
    return 1.0 - distance if metric == "cosine" else 0.0 - distance


class RecordView(Mapping[str, Any], Generic[T]):
    """One stored record: `.id`, `.fields`, `.vectors`, `.version`; `view["year"]` is the field "year"."""

    __slots__ = ("_document", "_fields", "_shape", "_vectors", "id", "version")

    def __init__(self, id: RecordId, document: Document, *, shape: Shape[T], version: int = 0, vectors: Vectors | None = None) -> None:
        """vectors: by name, without those the record lacks; None if vectors were not asked for."""
        self.id = id
        self.version = version
        self._document = document
        self._shape = shape
        self._vectors = vectors
        self._fields: dict[str, Any] | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """All fields that were asked for, any name."""
        fields = self._fields
        if fields is None:
            document, select = self._document, self._shape.select
            fields = decode_document(document) if type(document) is bytes else _decode(document)
            if select is not None:
                fields = {name: fields[name] for name in select if name in fields}
            self._fields = fields
        return fields

    @property
    def vectors(self) -> dict[str, npt.NDArray[Any]]:
        """The record's vectors by name. Raises InvalidArgument if they were not asked for."""
        if self._vectors is None:
            raise InvalidArgument(f"the vectors of record {self.id!r} were not read; ask for them with vectors=True")
        return dict(self._vectors)

    @property
    def vector(self) -> npt.NDArray[Any] | None:
        """The vector named "vector", or the only one; None if the record has none."""
        vectors = self.vectors
        if len(vectors) == 1:
            return next(iter(vectors.values()))
        return vectors.get(DEFAULT_VECTOR)

    @property
    def has_vectors(self) -> bool:
        """Whether the vectors were read."""
        return self._vectors is not None

    @property
    def text(self) -> str | None:
        """The text that the collection's model embedded for this record; None without embed fields."""
        return embedded_text(self.fields, self._shape.embed)

    @property
    def record(self) -> T:
        """The record as an object of the collection's class, or as a `vicino.Record`."""
        return self._shape.record(self.id, dict(self._vectors or {}), self.fields)

    def __getitem__(self, key: str) -> Any:
        if key == "id":
            return self.id
        if self._vectors is not None and key in self._vectors:
            return self._vectors[key]
        try:
            return self.fields[key]
        except KeyError:
            raise NotFoundError(f"record {self.id!r} has no field {key!r}.{did_you_mean(str(key), self)}") from None

    def __iter__(self) -> Iterator[str]:
        yield "id"
        reserved = self._vectors or {}
        yield from reserved
        for name in self.fields:
            if name != "id" and name not in reserved:
                yield name

    def __len__(self) -> int:
        reserved = self._vectors or {}
        return 1 + len(reserved) + sum(name != "id" and name not in reserved for name in self.fields)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RecordView):
            return NotImplemented
        mine, theirs = self._vectors or {}, other._vectors or {}
        return (
            type(self.id) is type(other.id)
            and self.id == other.id
            and self.fields == other.fields
            and mine.keys() == theirs.keys()
            and all(np.array_equal(vector, theirs[name]) for name, vector in mine.items())
        )

    __hash__ = None  # type: ignore[assignment]  # fields are a dict

    def _facts(self) -> str:
        return f"id={self.id!r}"

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={_short(value)}" for name, value in self.fields.items())
        return f"{type(self).__name__}({self._facts()}{', ' if fields else ''}{fields})"


class Hit(RecordView[T]):
    """One record of a result, and how near it is: `.score` (larger is better) and `.distance` (the metric's own, smaller is nearer).

    A query of several parts gives `.scores` by part as well; a query by words gives `.highlights`, one by multi-vectors `.matched`.
    """

    __slots__ = ("_highlight", "_highlights", "_matched", "_scores", "distance", "score")

    def __init__(
        self,
        id: RecordId,
        document: Document,
        *,
        shape: Shape[T],
        distance: float,
        score: float,
        version: int = 0,
        vectors: Vectors | None = None,
        scores: Callable[[], Mapping[str, float]] | None = None,
        matched: Callable[[], Mapping[str, int]] | None = None,
        highlight: Callable[[Hit[T]], Mapping[str, Any]] | None = None,
    ) -> None:
        """scores, matched, highlight: asked when somebody looks; None where there is only one score, no multi-vector, no words."""
        super().__init__(id, document, shape=shape, version=version, vectors=vectors)
        self.distance = distance
        self.score = score
        self._scores, self._matched, self._highlight = scores, matched, highlight
        self._highlights: Mapping[str, Any] | None = None

    @property
    def scores(self) -> dict[str, float]:
        """The score in every part of the query that found this record, by the part's label: its tag, numbered from the second on."""
        return {} if self._scores is None else dict(self._scores())

    @property
    def matched(self) -> dict[str, int]:
        """Which token or chunk matched: for each `MultiVector` part that found this record, by the part's label as in `scores`, the row of
        the record's multi-vector that adds most to the score. Empty for other queries."""
        return {} if self._matched is None else dict(self._matched())

    @property
    def highlights(self) -> Mapping[str, Any]:
        """By field, where the words of the query stand in its text; empty for a query without words."""
        if self._highlights is None:
            self._highlights = {} if self._highlight is None else self._highlight(self)
        return self._highlights

    def _facts(self) -> str:
        matched = self.matched
        return f"id={self.id!r}, score={self.score:.4f}{f', matched={matched}' if matched else ''}"


def hits_of(
    ids: Sequence[RecordId],
    distances: Sequence[float],
    documents: Sequence[Document],
    versions: Sequence[int],
    *,
    shape: Shape[T],
    metric: Metric,
) -> list[Hit[T]]:
    """`Hit`s of one query that have nothing but documents. Written without a call for each: ten calls would take as long as the search."""
    top = 1.0 if metric == "cosine" else 0.0  # as score_of() has it
    make, hits = Hit.__new__, []
    for record_id, distance, document, version in zip(ids, distances, documents, versions, strict=True):
        hit: Hit[T] = make(Hit)
        hit.id = record_id
        hit.version = version
        hit.distance = distance
        hit.score = top - distance
        hit._document = document
        hit._shape = shape
        hit._fields = hit._vectors = hit._scores = hit._matched = hit._highlight = hit._highlights = None
        hits.append(hit)
    return hits


def _decode(document: Document) -> dict[str, Any]:
    return dict(document) if isinstance(document, Mapping) else decode_document(document)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"
