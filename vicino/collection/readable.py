"""`ReadableCollection`: facts and records of a collection. Each verb takes one snapshot, checks its arguments, and hands the work on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, Literal, TypeVar

from vicino import _core
from vicino.collection.maintenance import Maintenance
from vicino.collection.read_shard import AnyShard
from vicino.collection.reading import SnapshotReader, check_fields, check_select, read_vectors, scalar_key, vector_bytes, vector_names
from vicino.collection.records import check_id, check_id_list, is_one_id
from vicino.collection.room import DECODED_COPIES, ReadRoom, within_limit
from vicino.collection.schema import Schema
from vicino.collection.searching import Searcher, TextModel
from vicino.collection.settings import Settings
from vicino.collection.stats import CollectionStats, collection_stats
from vicino.elsewhere import TellsOurNames
from vicino.env import Env, MemoryEnv, RealEnv
from vicino.errors import Error, InvalidArgument, NotFoundError
from vicino.filter.model import Condition
from vicino.filter.parse import Where
from vicino.query.aggregate import Aggregate
from vicino.query.hit import RecordView
from vicino.storage.files import absolute
from vicino.types import RecordId

T = TypeVar("T")


class ReadableCollection(TellsOurNames, Generic[T]):
    """Facts and records of a collection. `len(c)`, `id in c` and `c[id]` do what they look like."""

    def __init__(
        self,
        name: Callable[[], str],
        shard: AnyShard,
        env: Env,
        *,
        maintenance: Maintenance | None = None,
        model: TextModel | None = None,
        record_class: type | None = None,
        threads: int = 1,
    ) -> None:
        self._name, self._shard, self._env = name, shard, env
        self._maintenance, self._model = maintenance, model
        self._room = ReadRoom(shard.budget)
        self._reader = SnapshotReader(env, self._room)
        self._record_class = record_class
        self._searcher = Searcher(
            name, shard, env, self._reader, self._room, maintenance=maintenance, model=model, record_class=record_class, threads=threads
        )
        self._outside: Env = RealEnv() if isinstance(env, MemoryEnv) else env

    # ---- facts

    @property
    def name(self) -> str:
        """The name now; it follows a rename."""
        return self._name()

    @property
    def settings(self) -> Settings:
        """Vectors, schema, indexes, model: everything the collection was created with, as it is now."""
        return self._shard.settings

    @property
    def schema(self) -> Schema:
        return self._shard.settings.schema

    @property
    def version(self) -> int:
        """Number of commits so far."""
        return self._shard.version

    def __len__(self) -> int:
        return self.count()

    def __contains__(self, record_id: object) -> bool:
        try:
            plain = check_id(record_id, "`in`")
        except Error:
            return False
        return bool(self._reader.find(self._shard.snapshot(), [plain], self.settings)[0] >= 0)

    def __getitem__(self, record_id: RecordId) -> RecordView[T]:
        """The record with this id. Raises NotFoundError."""
        found = self.get(record_id)
        if found is None:
            raise NotFoundError(f'collection "{self.name}" has no record {record_id!r}')
        return found

    def refresh(self) -> None:
        """In a reading process: catches up with the writer now. Every read does so by itself; this is for handing over snapshots."""
        self._shard.refresh()

    # ---- reading

    @within_limit("get()")
    def get(self, ids: Any, *, select: str | Sequence[str] | None = None, vectors: bool | str | Sequence[str] = False) -> Any:
        """One record (None if there is none), or for several ids a list in their order with None for the missing."""
        wanted = check_id_list(ids, "get()")
        snapshot, settings = self._shard.snapshot(), self.settings
        locators = self._reader.find(snapshot, wanted, settings)
        there = locators >= 0
        row_bytes = vector_bytes(settings, vector_names(vectors, settings))
        with self._room.records(snapshot, locators[there], row_bytes, f"get() of {len(wanted)} ids"):
            views = iter(self._views(snapshot, locators[there], select, vectors))
        found = [next(views) if is_there else None for is_there in there.tolist()]
        return found[0] if is_one_id(ids) else found

    def _views(self, snapshot: _core.Snapshot, locators: Any, select: Any, vectors: Any) -> list[RecordView[T]]:
        settings, shape = self.settings, self._searcher.shape(select)
        names = vector_names(vectors, settings)
        columns = None if names is None else read_vectors(snapshot, locators, settings, names)
        return [
            RecordView(
                record_id,
                document,
                shape=shape,
                version=version,
                vectors=None
                if columns is None
                else {name: rows for name, column in columns.items() if (rows := column[index]) is not None},
            )
            for index, (record_id, document, version) in enumerate(
                zip(snapshot.ids(locators), snapshot.documents(locators), snapshot.versions(locators).tolist(), strict=True)
            )
        ]

    def iter(
        self,
        *,
        where: Where | None = None,
        select: str | Sequence[str] | None = None,
        order_by: str | None = None,
        batch: int = 1000,
        vectors: bool | str | Sequence[str] = False,
    ) -> Iterator[RecordView[T]]:
        """All matching records of one snapshot: writes made meanwhile do not show.

        order_by: a field of numbers, datetimes or strings, with a leading "-" the largest first; records without it are left out.
        """
        if batch < 1:
            raise InvalidArgument(f"batch must be at least 1, got {batch}")
        if order_by is not None:
            check_fields(self.settings, order_by.removeprefix("-"))
        return self._iterate(self._shard.snapshot(), self._condition(where), check_select(select), order_by, batch, vectors)

    def _iterate(
        self, snapshot: Any, condition: Any, select: Any, order_by: str | None, batch: int, vectors: Any
    ) -> Iterator[RecordView[T]]:
        for views in self._batches(snapshot, condition, select, order_by, batch, vectors, "iter()"):
            views.reverse()
            while views:  # what the caller has taken is no longer held here
                yield views.pop()

    def _batches(
        self, snapshot: Any, condition: Any, select: Any, order_by: str | None, batch: int, vectors: Any, purpose: str, *, copies: int = 1
    ) -> Iterator[list[RecordView[T]]]:
        """Matching records, `batch` at a time and fewer when they are large; what a batch takes is counted until the next is asked for.

        copies: how often the caller holds the records of a batch.
        """
        cancel, row_bytes = _core.Cancel(None, True), vector_bytes(self.settings, vector_names(vectors, self.settings))
        try:
            matches = self._reader.match(snapshot, condition, self.settings, cancel)
            for locators in self._reader.walk(snapshot, matches, order_by=order_by, batch=batch, cancel=cancel):
                for part in self._room.slices(snapshot, locators, row_bytes):
                    with self._room.records(snapshot, part, row_bytes, f"a batch of {purpose}", copies=copies):
                        yield self._views(snapshot, part, select, vectors)
        except MemoryError as error:
            told = self._room.budget.shortage(error, purpose)
            if told is error:
                raise
            raise told from error

    def peek(self, n: int = 5) -> list[RecordView[T]]:
        """The first few records, in storage order."""
        return list(islice(self.iter(batch=max(1, n)), n))

    @within_limit("count()")
    def count(self, *, where: Where | None = None, exact: bool = True, timeout: float | None = None) -> int:
        """Number of matching records; with exact=False an estimate from indexes alone, which reads no record."""
        if not exact and where is not None:
            return self.estimate(where)[1]
        snapshot = self._shard.snapshot()
        matches = self._reader.match(snapshot, self._condition(where), self.settings, _core.Cancel(timeout, True))
        return snapshot.n_records if matches is None else matches.count

    def estimate(self, where: Where) -> tuple[int, int, int]:
        """(low, likely, high) number of matching records, from indexes alone: no record is read."""
        condition = self._condition(where)
        snapshot = self._shard.snapshot()
        if condition is None:
            return snapshot.n_records, snapshot.n_records, snapshot.n_records
        low, likely, high = snapshot.estimate(self._reader.compiled(condition), {})
        return low, likely, high

    @within_limit("facet()")
    def facet(self, field: str, *, where: Where | None = None, limit: int = 20, timeout: float | None = None) -> dict[Any, int]:
        """Each value of a field with the number of records that have it, most frequent first; lists count every distinct element once."""
        check_fields(self.settings, field)
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise InvalidArgument(f"limit of facet() must be an integer of at least 1, got {limit!r}")
        snapshot, cancel = self._shard.snapshot(), _core.Cancel(timeout, True)
        matches = self._reader.match(snapshot, self._condition(where), self.settings, cancel)
        counts = self._room.facet(snapshot, field, matches, cancel)
        ordered = sorted(counts.items(), key=lambda entry: (-entry[1], scalar_key(entry[0][1])))
        found: dict[Any, int] = {}
        for (_, value), count in ordered:
            found[value] = found.get(value, 0) + count  # 1 and 1.0 are one key of a Python dict
            if len(found) == limit:
                break
        return found

    @within_limit("aggregate()")
    def aggregate(self, field: str, *, where: Where | None = None, timeout: float | None = None) -> Aggregate:
        """Count, sum, average, smallest, largest and number of distinct values of a field; lists count every distinct element once."""
        check_fields(self.settings, field)
        snapshot, cancel = self._shard.snapshot(), _core.Cancel(timeout, True)
        matches = self._reader.match(snapshot, self._condition(where), self.settings, cancel)
        return Aggregate.of(field, self._room.facet(snapshot, field, matches, cancel))

    def stats(self) -> CollectionStats:
        """Records, bytes on disk and in memory by whom, segments, what background work is left."""
        return collection_stats(self.name, self._shard, self._maintenance)

    @within_limit("export()")
    def export(
        self, path: str | os.PathLike[str], *, format: Literal["parquet", "jsonl"] | None = None, where: Where | None = None,
        vectors: bool = True,
    ) -> int:  # fmt: skip
        """Writes all matching records of one snapshot to a file; returns how many. format: from the file's ending unless given."""
        from vicino.collection.transfer import write_records

        snapshot, condition = self._shard.snapshot(), self._condition(where)
        batches = self._batches(snapshot, condition, None, None, 1000, vectors, "export()", copies=1 + DECODED_COPIES)
        return write_records(batches, absolute(path), self.settings, env=self._outside, format=format)

    # ---- inside

    def _condition(self, where: Where | None) -> Condition | None:
        return None if where is None else self._reader.condition(where, self.settings)

    def __repr__(self) -> str:
        snapshot = self._shard.snapshot()
        vectors = ", ".join(
            f'"{name}" {entry.spec.dim} × {entry.spec.dtype} {entry.spec.metric}' for name, entry in self.settings.vectors.items()
        )
        return f'<Collection "{self.name}": {snapshot.n_records:,} records, {vectors or "no vectors"}, version {snapshot.version}>'

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(repr(self.stats()))}</pre>"
