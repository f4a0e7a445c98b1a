"""`Collection`: the verbs a user meets. Each checks what it was given, takes one snapshot, and hands the work on."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from vicino import _core
from vicino.collection.jobs import Job
from vicino.collection.maintenance import Maintenance
from vicino.collection.read_shard import AnyShard
from vicino.collection.reading import SnapshotReader, check_select, read_vectors, scalar_key, vector_names
from vicino.collection.records import SLICE_BYTES, Batch, Columns, batches, check_id
from vicino.collection.schema import Schema, Settings, VectorSpec
from vicino.collection.searching import Query, Searcher, SearchOptions, TextModel
from vicino.collection.shard import Committed, Shard
from vicino.collection.stats import CollectionStats, collection_stats
from vicino.collection.vectors import Context, to_column
from vicino.collection.writing import IfExists, Writes
from vicino.env import Env, MemoryEnv, RealEnv
from vicino.errors import DimensionError, Error, InvalidArgument, NotFoundError, ReadOnlyError
from vicino.filter.model import Condition
from vicino.filter.parse import Where
from vicino.query.hit import RecordView
from vicino.query.plan import Plan
from vicino.query.results import Results, WriteResult
from vicino.storage.files import absolute
from vicino.types import DEFAULT_VECTOR, RecordId, VectorColumn

T = TypeVar("T")

Progress = bool | Callable[[int, int | None], None] | None


class Collection(Generic[T]):
    """A named set of records. Handles are cheap, thread-safe and the same for every caller of the process.

    Obtained from `Database.create_collection` or `Database.collection`. `len(c)`, `id in c` and `c[id]` do what they look like.
    """

    def __init__(
        self,
        name: Callable[[], str],
        shard: AnyShard,
        env: Env,
        *,
        maintenance: Maintenance | None = None,
        model: TextModel | None = None,
        record_class: type | None = None,
    ) -> None:
        self._name, self._shard, self._env = name, shard, env
        self._maintenance, self._model = maintenance, model
        self._reader = SnapshotReader(env)
        self._writes = Writes(shard, self._reader) if isinstance(shard, Shard) else None
        self._record_class = record_class
        self._searcher = Searcher(name, shard, env, self._reader, maintenance=maintenance, model=model, record_class=record_class)
        self._purged_at = env.monotonic()
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

    # ---- writing

    def add(
        self,
        records: Any = None,
        *,
        ids: Sequence[RecordId] | None = None,
        vectors: Any = None,
        fields: Sequence[Mapping[str, Any]] | None = None,
        atomic: bool = False,
        batch: int | None = None,
        progress: Progress = None,
    ) -> WriteResult:
        """Writes new records. Raises DuplicateIdError, naming the ids, when one exists or comes twice; that commit then writes nothing.

        records: a mapping, an iterable of mappings, Records or objects, a DataFrame, anything with an Arrow stream; or in columns:
        ids, vectors (an (n, dim) array, or a mapping of names to arrays) and fields. Input up to 64 MiB is one commit; larger input is
        committed in slices, each atomic, and an error names what was committed; with atomic=True larger input is refused instead.
        """
        return self._put(records, ids, vectors, fields, if_exists="raise", atomic=atomic, batch=batch, progress=progress)

    def upsert(
        self,
        records: Any = None,
        *,
        ids: Sequence[RecordId] | None = None,
        vectors: Any = None,
        fields: Sequence[Mapping[str, Any]] | None = None,
        if_absent: bool = False,
        if_version: int | None = None,
        where: Where | None = None,
        atomic: bool = False,
        batch: int | None = None,
        progress: Progress = None,
    ) -> WriteResult:
        """Writes records whole, replacing those with the same ids; of an id given twice the last counts. Input as in `add`.

        if_absent: existing records are kept as they are. if_version: every record must be at this version (0: must not exist), else
        ConflictError. where: an existing record is replaced only if it meets the condition; new ones are written.
        """
        condition = self._condition(where)
        if_exists: IfExists = "keep" if if_absent else "replace"
        return self._put(
            records, ids, vectors, fields, if_exists=if_exists, if_version=if_version, where=condition, atomic=atomic, batch=batch,
            progress=progress,
        )  # fmt: skip

    def _put(
        self,
        records: Any,
        ids: Sequence[RecordId] | None,
        vectors: Any,
        fields: Sequence[Mapping[str, Any]] | None,
        *,
        atomic: bool,
        batch: int | None,
        progress: Progress,
        **conditions: Any,
    ) -> WriteResult:
        from vicino.collection.progress import progress_of

        writes = self._writable()
        start = self._env.monotonic()
        source = self._columns_of(records, ids, vectors, fields)
        slices = batches(
            source, self.settings, embed=self._embed_documents(), slice_bytes=self._slice_bytes(), slice_rows=batch, collection=self.name
        )
        if atomic:
            slices = _only_one(slices, self.name)
        count, commits, version, delayed_s = 0, 0, self.version, 0.0
        total = len(source.ids) if isinstance(source, Columns) else len(source) if hasattr(source, "__len__") else None
        with progress_of(progress, "writing", total) as advance:
            try:
                for part in slices:
                    done = writes.put(part, **conditions)
                    count, commits, version = count + done.count, commits + 1, done.version
                    delayed_s += done.delayed_s
                    advance(len(part.ids))
            except Error as error:
                if commits:
                    error.message += f" ({count} records in {commits} commits were written before, up to version {version})"
                raise
        self._purge_sometimes()
        return WriteResult(count, version, self._env.monotonic() - start, commits, delayed_s)

    def _columns_of(self, records: Any, ids: Any, vectors: Any, fields: Any) -> Any:
        if records is None and ids is None:
            raise InvalidArgument("nothing to write: give records, or ids= with vectors= or fields=")
        if records is not None:
            if ids is not None or vectors is not None or fields is not None:
                raise InvalidArgument("give either records or the columns ids=, vectors=, fields=, not both")
            return records
        from vicino.collection.columns import columns

        return columns(ids, vectors, fields)

    def update(
        self,
        ids: RecordId | Iterable[RecordId] | None = None,
        *,
        where: Where | None = None,
        set: Mapping[str, Any] | None = None,
        unset: str | Sequence[str] = (),
        replace: bool = False,
        vectors: Mapping[str, Any] | None = None,
        if_version: int | None = None,
    ) -> WriteResult:
        """Changes existing records, by ids or by condition, in one commit.

        set, unset: top-level fields to set and to remove; with replace=True only the fields in `set` are left. Fields change without
        touching vectors or graphs, unless the collection's model embeds a field that changed: then its vector is made anew.
        vectors: by name, one vector per id (an (n, dim) array, or one vector for one id), or None to remove it; other vectors stay.
        Raises NotFoundError when an id does not exist, ConflictError when if_version does not hold.
        """
        writes = self._writable()
        start = self._env.monotonic()
        chosen = self._chosen_ids(ids, where)
        names = [unset] if isinstance(unset, str) else list(unset)
        if set is None and not names and not replace and vectors is None:
            raise InvalidArgument("nothing to change: give set=, unset= or vectors=")
        changes = dict(set or {})
        columns = None if vectors is None else self._vector_columns(chosen, vectors)
        embeds = self.settings.model is not None and ({*changes, *names} & {*self.settings.embed} or replace)
        if not chosen:
            done = Committed(self.version, 0)
        elif embeds and DEFAULT_VECTOR not in (vectors or {}):
            done = self._update_embedded(chosen, changes, names, replace, if_version, columns)
        else:
            done = writes.update(
                chosen,
                set_fields=changes,
                unset=names,
                replace=replace,
                vectors=columns,
                if_version=if_version,
                where=self._condition(where),
            )
        return WriteResult(done.count, done.version, self._env.monotonic() - start)

    def _update_embedded(
        self, ids: list[RecordId], set_fields: dict[str, Any], unset: list[str], replace: bool, if_version: int | None,
        columns: Mapping[str, VectorColumn | None] | None,
    ) -> Committed:  # fmt: skip
        """An update of a field that the model embeds: the record is written whole, with the vector of its new text."""
        from vicino.collection.writing import changed

        records = []
        for position, record_id in enumerate(ids):
            view = self[record_id] if if_version is None else self._at_version(record_id, if_version)
            full = self.get(record_id, vectors=True)
            assert full is not None
            others: dict[str, Any] = {**full.vectors, **{name: column and column[position] for name, column in (columns or {}).items()}}
            others = {name: vector for name, vector in others.items() if name != DEFAULT_VECTOR and vector is not None}
            records.append({"id": record_id, **others, **changed(view.fields, set_fields, unset, replace)})
        done = self.upsert(records)
        return Committed(done.version, done.count)

    def _at_version(self, record_id: RecordId, version: int) -> RecordView[T]:
        from vicino.collection.writing import check_versions

        view = self[record_id]
        check_versions([record_id], np.array([view.version]), version)
        return view

    def _vector_columns(self, ids: list[RecordId], vectors: Mapping[str, Any]) -> dict[str, VectorColumn | None]:
        columns: dict[str, VectorColumn | None] = {}
        for name, given in vectors.items():
            spec = self.settings.spec(name)
            if given is None:
                columns[name] = None
                continue
            rows = [given] if len(ids) == 1 and np.ndim(given) == 1 else given
            if len(rows) != len(ids):
                raise DimensionError(f'vector "{name}": {len(ids)} ids need {len(ids)} vectors, got {len(rows)}')
            columns[name] = to_column(rows, spec, Context(name, lambda index: f"record {ids[index]!r}", self.name))
        return columns

    def delete(
        self, ids: RecordId | Iterable[RecordId] | None = None, *, where: Where | None = None, if_version: int | None = None
    ) -> WriteResult:
        """Deletes records by ids or by condition; ids that do not exist are passed over. The count says how many there were.

        Deleting everything is spelled `delete(where={})`: a bare delete() is refused.
        """
        writes = self._writable()
        start = self._env.monotonic()
        if (ids is None) == (where is None):
            raise InvalidArgument("delete needs either ids or where=; to delete every record write where={}")
        if where is not None:
            from vicino.filter.model import And

            done = writes.delete_where(self._condition(where) or And(()))
        else:
            assert ids is not None
            done = writes.delete(_id_list(ids), if_version=if_version)
        return WriteResult(done.count, done.version, self._env.monotonic() - start)

    def load(
        self, path: str | os.PathLike[str], *, mapping: Mapping[str, str] | None = None, if_exists: Literal["replace", "raise"] = "replace",
        batch: int | None = None, progress: Progress = None,
    ) -> WriteResult:  # fmt: skip
        """Writes the records of a Parquet, JSONL (.gz too), CSV or NPY file. mapping: column of the file -> "id", vector or field name."""
        from vicino.collection.transfer import read_records

        records = read_records(absolute(path), self.settings, files=self._outside.files, mapping=mapping)
        write = self.add if if_exists == "raise" else self.upsert
        return write(records, batch=batch, progress=progress)

    # ---- reading

    def get(self, ids: Any, *, select: str | Sequence[str] | None = None, vectors: bool | str | Sequence[str] = False) -> Any:
        """One record (None if there is none), or for several ids a list in their order with None for the missing."""
        one = not isinstance(ids, Iterable) or isinstance(ids, str)
        wanted = [check_id(record_id, "get()") for record_id in ([ids] if one else ids)]
        snapshot, settings = self._shard.snapshot(), self.settings
        locators = self._reader.find(snapshot, wanted, settings)
        there = locators >= 0
        views = iter(self._views(snapshot, locators[there], select, vectors))
        found = [next(views) if is_there else None for is_there in there.tolist()]
        return found[0] if one else found

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
        return self._iterate(self._shard.snapshot(), self._condition(where), check_select(select), order_by, batch, vectors)

    def _iterate(
        self, snapshot: Any, condition: Any, select: Any, order_by: str | None, batch: int, vectors: Any
    ) -> Iterator[RecordView[T]]:
        cancel = _core.Cancel(None, True)
        matches = self._reader.match(snapshot, condition, self.settings, cancel)
        for locators in self._reader.walk(snapshot, matches, order_by=order_by, batch=batch, cancel=cancel):
            yield from self._views(snapshot, locators, select, vectors)

    def peek(self, n: int = 5) -> list[RecordView[T]]:
        """The first few records, in storage order."""
        from itertools import islice

        return list(islice(self.iter(batch=max(1, n)), n))

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

    def facet(self, field: str, *, where: Where | None = None, limit: int = 20, timeout: float | None = None) -> dict[Any, int]:
        """Each value of a field with the number of records that have it, most frequent first; lists count every distinct element once."""
        snapshot, cancel = self._shard.snapshot(), _core.Cancel(timeout, True)
        matches = self._reader.match(snapshot, self._condition(where), self.settings, cancel)
        counts: dict[tuple[type, Any], int] = {}
        for part in snapshot.facet(field, matches, cancel):
            for value, count in part:
                counts[type(value), value] = counts.get((type(value), value), 0) + count
        ordered = sorted(counts.items(), key=lambda entry: (-entry[1], scalar_key(entry[0][1])))
        found: dict[Any, int] = {}
        for (_, value), count in ordered:
            found[value] = found.get(value, 0) + count  # 1 and 1.0 are one key of a Python dict
            if len(found) == limit:
                break
        return found

    # ---- searching

    def search(
        self,
        query: Query,
        *,
        where: Where | None = None,
        limit: int = 10,
        offset: int = 0,
        vector: str | None = None,
        select: str | Sequence[str] | None = None,
        vectors: bool | str | Sequence[str] = False,
        min_score: float | None = None,
        exact: bool = False,
        ef: int | None = None,
        timeout: float | None = None,
    ) -> Results[T]:
        """The records nearest to a query, nearest first: `limit` of them whenever so many match.

        query: a vector of the collection's dimension, or a text if the collection has a model. where: a condition in any spelling.
        vector: name of the vector searched, needed when there are several. select, vectors: which fields and vectors hits carry.
        min_score: hits below are left out. exact: every candidate is scored. ef: beam of the graph walk; larger finds more, takes longer.
        Raises DimensionError, FilterError, InvalidArgument; TimeoutError after `timeout` seconds.
        """
        target = self._searcher.target(vector)
        options = SearchOptions(
            where=where,
            limit=limit,
            offset=offset,
            select=select,
            vectors=vectors,
            min_score=min_score,
            exact=exact,
            ef=ef,
            timeout=timeout,
        )
        return self._searcher.search(self._searcher.row(query, target), target, options)[0]

    def search_many(
        self, queries: Sequence[Query] | np.ndarray[Any, Any], *, vector: str | None = None, **options: Any
    ) -> list[Results[T]]:
        """`search` for many queries in one call of the core, one `Results` each; they share snapshot, filter and all options."""
        if isinstance(queries, str):
            raise InvalidArgument("search_many takes a sequence of queries, got one text; call search for one")
        target = self._searcher.target(vector)
        rows = np.concatenate([self._searcher.row(query, target) for query in queries] or [np.zeros(0, np.uint8)])
        return self._searcher.search(rows, target, SearchOptions(**options))

    def search_pages(self, query: Query, *, page: int = 100, **options: Any) -> Iterator[Results[T]]:
        """Successive pages of `search`, until the matches end."""
        offset = 0
        while results := self.search(query, limit=page, offset=offset, **options):
            yield results
            offset += page

    def explain(self, query: Query, **options: Any) -> Plan:
        """Runs the search and says how it went: strategy, rows and time per segment, how the filter was estimated and answered."""
        plan = self.search(query, **options).plan
        if plan.filter is None:
            return plan
        return replace(plan, filter=replace(plan.filter, estimated=self.estimate(options["where"])))

    # ---- shape

    def create_index(self, field: str, *, kind: Literal["auto", "scalar", "text"] = "auto") -> Job:
        """Indexes a field for filters. Sealed segments are indexed in the background; until then it is scanned, with the same answers.

        kind: "scalar" for equality, ranges, prefixes, null and emptiness; "text" for words (`F.title.matches`).
        """
        if kind not in ("auto", "scalar", "text"):
            raise InvalidArgument(f'kind must be "auto", "scalar" or "text", got {kind!r}')
        path = _core.canonical_path(field)
        self._writable().change_settings(lambda settings: settings.with_index(path, "scalar" if kind == "auto" else kind))
        return self._settings_changed()

    def drop_index(self, field: str) -> None:
        """Forgets the index of a field; filters on it scan again."""
        self._writable().change_settings(lambda settings: settings.without_index(_core.canonical_path(field)))
        self._settings_changed()

    def add_vector(self, name: str, spec: VectorSpec | None = None, **options: Any) -> None:
        """Declares one more named vector; existing records lack it until they are updated. Options as in `VectorSpec`."""
        writes = self._writable()
        wanted = spec if spec is not None else VectorSpec(**options)
        writes.change_settings(lambda settings: settings.with_vector(name, wanted))
        self._settings_changed()

    def drop_vector(self, name: str) -> None:
        """Forgets a named vector; its files go with the next checkpoint, its rows in merged segments at once."""
        self._writable().change_settings(lambda settings: settings.without_vector(name))
        self._settings_changed()

    def _settings_changed(self) -> Job:
        assert self._maintenance is not None
        return self._maintenance.settings_changed()

    def optimize(self, *, wait: bool = True) -> Job:
        """Seals, merges and builds everything now. Never needed for right answers or freshness; it makes searches faster and files smaller.

        After it, the text of deleted and overwritten records is in no file of the collection, unless history or a snapshot keeps it.
        """
        self._writable()
        self.purge_expired()
        assert self._maintenance is not None
        job = self._maintenance.optimize()
        return job.wait() if wait else job

    def purge_expired(self) -> int:
        """Deletes the records whose `ttl` field has passed; they are invisible already, this returns their space."""
        if self.settings.ttl is None or self._writes is None:
            return 0
        self._purged_at = self._env.monotonic()
        return self._writes.delete_where(self._reader.expired(self.settings), with_expired=True).count

    def _purge_sometimes(self) -> None:
        if self.settings.ttl is not None and self._env.monotonic() - self._purged_at > 60:
            self.purge_expired()

    def stats(self) -> CollectionStats:
        """Records, bytes on disk and in memory by whom, segments, what background work is left."""
        return collection_stats(self.name, self._shard, self._maintenance)

    def at(self, version: int | dt.datetime) -> Collection[T]:
        """A read-only view of the collection as it was at a version or instant that `retain=` still keeps.

        Raises NotFoundError naming the oldest version available.
        """
        from vicino.collection.history import open_version

        return Collection(self._name, open_version(self._shard, version), self._env, model=self._model, record_class=self._record_class)

    def export(
        self, path: str | os.PathLike[str], *, format: Literal["parquet", "jsonl"] | None = None, where: Where | None = None,
        vectors: bool = True,
    ) -> int:  # fmt: skip
        """Writes all matching records of one snapshot to a file; returns how many. format: from the file's ending unless given."""
        from vicino.collection.transfer import write_records

        snapshot, condition = self._shard.snapshot(), self._condition(where)

        def batches_of_views() -> Iterator[list[RecordView[T]]]:
            cancel = _core.Cancel(None, True)
            matches = self._reader.match(snapshot, condition, self.settings, cancel)
            for locators in self._reader.walk(snapshot, matches, order_by=None, batch=1000, cancel=cancel):
                yield self._views(snapshot, locators, None, vectors)

        return write_records(batches_of_views(), absolute(path), self.settings, env=self._outside, format=format)

    # ---- inside

    def _writable(self) -> Writes:
        if isinstance(self._shard, Shard):
            assert self._writes is not None
            return self._writes
        raise ReadOnlyError(self._shard.read_only_reason)

    def _slice_bytes(self) -> int:
        limit = self._shard.budget.limit
        return SLICE_BYTES if limit is None else min(SLICE_BYTES, limit // 24)

    def _condition(self, where: Where | None) -> Condition | None:
        return None if where is None else self._reader.condition(where, self.settings)

    def _chosen_ids(self, ids: Any, where: Where | None) -> list[RecordId]:
        if (ids is None) == (where is None):
            raise InvalidArgument("update needs either ids or where=; to update every record write where={}")
        if ids is not None:
            return _id_list(ids)
        return [view.id for view in self.iter(where=where, select=())]

    def _embed_documents(self) -> Callable[[list[str]], Any] | None:
        model = self._model
        return None if model is None else lambda texts: model.embedder.embed_documents(texts)

    def __repr__(self) -> str:
        snapshot = self._shard.snapshot()
        vectors = ", ".join(
            f'"{name}" {entry.spec.dim} × {entry.spec.dtype} {entry.spec.metric}' for name, entry in self.settings.vectors.items()
        )
        return f'<Collection "{self.name}": {snapshot.n_records:,} records, {vectors or "no vectors"}, version {snapshot.version}>'

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(repr(self.stats()))}</pre>"


def _id_list(ids: Any) -> list[RecordId]:
    given = [ids] if isinstance(ids, str) or not isinstance(ids, Iterable) else ids
    return [check_id(record_id, f"position {position}") for position, record_id in enumerate(given)]


def _only_one(slices: Iterator[Batch], collection: str) -> Iterator[Batch]:
    """The one slice there is; more are refused before anything is written."""
    found = list(_first(slices, 2))
    if len(found) > 1:
        raise InvalidArgument(
            f'the input is larger than one commit of collection "{collection}" holds; write it in parts, or without atomic=True in slices'
        )
    return iter(found)


def _first(slices: Iterator[Batch], n: int) -> Iterator[Batch]:
    for _, part in zip(range(n), slices, strict=False):
        yield part
