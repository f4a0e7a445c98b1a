"""`ReadableCollection`: all of a collection that reads. Each verb takes one snapshot, checks what it was given, and hands the work on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

import numpy as np

from vicino import _core
from vicino.collection.maintenance import Maintenance
from vicino.collection.page import check_page
from vicino.collection.read_shard import AnyShard
from vicino.collection.reading import SnapshotReader, check_fields, check_select, read_vectors, scalar_key, vector_bytes, vector_names
from vicino.collection.records import check_id
from vicino.collection.room import DECODED_COPIES, ReadRoom, within_limit
from vicino.collection.schema import Schema, Settings
from vicino.collection.searching import Mode, Query, Searcher, SearchOptions, TextModel, shaped
from vicino.collection.stats import CollectionStats, collection_stats
from vicino.env import Env, MemoryEnv, RealEnv
from vicino.errors import Error, InvalidArgument, NotFoundError
from vicino.filter.model import Condition
from vicino.filter.parse import Where
from vicino.query.aggregate import Aggregate, DistanceMatrix
from vicino.query.groups import Groups
from vicino.query.hit import RecordView
from vicino.query.plan import Plan
from vicino.query.rescoring import RescoreBy
from vicino.query.results import Results
from vicino.recall.live import checked_recall
from vicino.storage.files import absolute
from vicino.types import RecordId

if TYPE_CHECKING:
    from vicino.collection.verifying import Verification
    from vicino.query.why import Why

T = TypeVar("T")


class ReadableCollection(Generic[T]):
    """Facts, records and searches of a collection. `len(c)`, `id in c` and `c[id]` do what they look like."""

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
        one = not isinstance(ids, Iterable) or isinstance(ids, str)
        wanted = [check_id(record_id, "get()") for record_id in ([ids] if one else ids)]
        snapshot, settings = self._shard.snapshot(), self.settings
        locators = self._reader.find(snapshot, wanted, settings)
        there = locators >= 0
        row_bytes = vector_bytes(settings, vector_names(vectors, settings))
        with self._room.records(snapshot, locators[there], row_bytes, f"get() of {len(wanted)} ids"):
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

    # ---- searching

    @overload
    def search(
        self, query: Query, *, group_by: None = None, where: Where | None = None, limit: int = 10, offset: int = 0, mode: Mode = "auto",
        vector: str | None = None, select: str | Sequence[str] | None = None, vectors: bool | str | Sequence[str] = False,
        min_score: float | None = None, diversity: float | None = None, rerank: Any = None, cursor: str | None = None, exact: bool = False,
        ef: int | None = None, nprobe: int | None = None, recall: float | None = None, rescore: RescoreBy | None = None,
        timeout: float | None = None,
    ) -> Results[T]: ...  # fmt: skip
    @overload
    def search(
        self, query: Query, *, group_by: str, group_size: int = 3, lookup: Any = None, where: Where | None = None, limit: int = 10,
        offset: int = 0, mode: Mode = "auto", vector: str | None = None, select: str | Sequence[str] | None = None,
        vectors: bool | str | Sequence[str] = False, min_score: float | None = None, diversity: float | None = None, rerank: Any = None,
        exact: bool = False, ef: int | None = None, nprobe: int | None = None, recall: float | None = None,
        rescore: RescoreBy | None = None, timeout: float | None = None,
    ) -> Groups[T]: ...  # fmt: skip
    @within_limit("this search")
    def search(
        self,
        query: Query,
        *,
        where: Where | None = None,
        limit: int = 10,
        offset: int = 0,
        mode: Mode = "auto",
        vector: str | None = None,
        select: str | Sequence[str] | None = None,
        vectors: bool | str | Sequence[str] = False,
        min_score: float | None = None,
        diversity: float | None = None,
        rerank: Any = None,
        group_by: str | None = None,
        group_size: int = 3,
        lookup: Any = None,
        cursor: str | None = None,
        exact: bool = False,
        ef: int | None = None,
        nprobe: int | None = None,
        recall: float | None = None,
        rescore: RescoreBy | None = None,
        timeout: float | None = None,
    ) -> Results[T] | Groups[T]:
        """The records that answer a query, best first: `limit` of them whenever so many match.

        query: a vector of the collection's dimension, a text, or a part such as `vicino.Fuse`. mode: how a text is answered: "dense" by the
        model, "text" by words, "hybrid" by both; "auto" takes what the collection has. where: a condition in any spelling.
        vector: name of the vector searched, needed when there are several. select, vectors: which fields and vectors hits carry.
        min_score: hits below are left out. diversity: 0 to 1, how much hits should differ (see `Diverse`). rerank: a reranker.
        group_by: a field; `limit` groups of `group_size` hits are given back as `Groups`, with the record of `lookup` (a collection) that
        has the group's value as id. cursor: "" for the first page, then `Results.next_cursor`: all pages are of one version.
        exact: every candidate is scored. ef: beam of the graph walk; nprobe: inverted lists scanned; larger finds more, takes longer.
        recall: share of the true nearest records to be found, as measured; scanned exactly where that is not known yet. With both, ef is
        the largest beam allowed. rescore: how what codes have found is scored, instead of as the index says: "bound", so many times the
        limit by the vectors (a number), or "off": scores are then estimates.
        Raises DimensionError, FilterError, InvalidArgument; RecallUnreachable where ef is too little for recall; NotFoundError for a
        cursor whose version is gone; TimeoutError after `timeout`.
        """
        options = SearchOptions(
            where=where,
            limit=limit,
            offset=offset,
            select=select,
            vectors=vectors,
            min_score=min_score,
            exact=exact,
            ef=ef,
            nprobe=nprobe,
            recall=recall,
            rescore=rescore,
            timeout=timeout,
        )
        searcher = self._searcher
        is_alone = group_by is None and cursor is None and diversity is None and rerank is None
        if is_alone and searcher.is_plain(query, mode):
            if lookup is not None:
                raise InvalidArgument("lookup= joins records to groups; say group_by= as well")
            target = searcher.target(vector)
            return searcher.search(searcher.row(query, target), target, options)[0]
        if is_alone and lookup is None and searcher.is_words(query, mode, vector, options):
            return searcher.search_words(searcher, query, options)
        part = searcher.part(query, mode, vector, ef, options.recall, nprobe, rescore)
        part = shaped(part, diversity, rerank, check_page(limit, offset))
        if group_by is not None:
            if cursor is not None:
                raise InvalidArgument("groups have no pages; leave cursor= out")
            return searcher.composer.search_groups(part, options, group_by, group_size, lookup)
        if lookup is not None:
            raise InvalidArgument("lookup= joins records to groups; say group_by= as well")
        if cursor is not None:
            return searcher.composer.search_cursor(part, options, cursor)
        return searcher.composer.search([part], options)[0]

    @within_limit("search_many()")
    def search_many(
        self,
        queries: Sequence[Query] | np.ndarray[Any, Any],
        *,
        vector: str | None = None,
        mode: Mode = "auto",
        device: str | None = None,
        **options: Any,
    ) -> list[Results[T]]:
        """`search` for many queries, one `Results` each; they share snapshot, filter and all options. Vectors are one call of the core.

        device: with exact=True, where distances are computed: "cpu" (as without it), "cuda" or "cuda:1", through torch; the answers are
        the same. Raises InvalidArgument where it does not apply or is not there, MissingExtraError without torch.
        """
        if isinstance(queries, str):
            raise InvalidArgument("search_many takes a sequence of queries, got one text; call search for one")
        searcher = self._searcher
        diversity, rerank = options.pop("diversity", None), options.pop("rerank", None)
        if diversity is None and rerank is None and all(searcher.is_plain(query, mode) for query in queries):
            target, asked = searcher.target(vector), SearchOptions(**options)
            cancel = _core.Cancel(asked.timeout, True)
            at = None if device is None else searcher.device(device, target, asked)
            rows = searcher.rows(queries, target, cancel)
            return searcher.search(rows, target, asked, n_queries=len(queries), cancel=cancel, device=at)
        if device is not None:
            raise InvalidArgument("device= is for exact search of vectors alone, without diversity= and rerank=; leave it out")
        asked = SearchOptions(**options)
        parts = [searcher.part(query, mode, vector, asked.ef, asked.recall, asked.nprobe, asked.rescore) for query in queries]
        n = check_page(asked.limit, asked.offset)
        return searcher.composer.search([shaped(part, diversity, rerank, n) for part in parts], asked)

    def search_pages(self, query: Query, *, page: int = 100, **options: Any) -> Iterator[Results[T]]:
        """Successive pages of `search`, until the matches end; all are of the version that the first one finds."""
        mode, vector = options.pop("mode", "auto"), options.pop("vector", None)
        recall = checked_recall(options.pop("recall", None))
        part = self._searcher.part(
            query, mode, vector, options.pop("ef", None), recall, options.pop("nprobe", None), options.pop("rescore", None)
        )
        part = shaped(part, options.pop("diversity", None), options.pop("rerank", None), check_page(page, 0))
        return self._searcher.composer.pages(part, SearchOptions(limit=page, **options))

    def explain(self, query: Query, **options: Any) -> Plan:
        """Runs the search and says how it went: strategy, rows and time per segment or part, how the filter was answered."""
        plan = self.search(query, **options).plan
        if plan.filter is None:
            return plan
        return replace(plan, filter=replace(plan.filter, estimated=self.estimate(options["where"])))

    @within_limit("why()")
    def why(
        self,
        query: Query,
        record_id: RecordId,
        *,
        where: Where | None = None,
        limit: int = 10,
        offset: int = 0,
        mode: Mode = "auto",
        vector: str | None = None,
        min_score: float | None = None,
        diversity: float | None = None,
        rerank: Any = None,
        group_by: str | None = None,
        group_size: int = 3,
        exact: bool = False,
        ef: int | None = None,
        recall: float | None = None,
        timeout: float | None = None,
    ) -> Why:
        """Why a search with these arguments returns this record, or which stage lost it, found by checking each. Costs several searches."""
        from vicino.collection.why import explained

        options = SearchOptions(
            where=where, limit=limit, offset=offset, min_score=min_score, exact=exact, ef=ef, recall=recall, timeout=timeout
        )
        searcher, plain = self._searcher, check_id(record_id, "why()")
        part = shaped(searcher.part(query, mode, vector, ef, options.recall), diversity, rerank, check_page(limit, offset))
        return explained(searcher, part, options, plain, group_by=group_by, group_size=group_size)

    @within_limit("verify()")
    def verify(
        self,
        recall: float | None = None,
        queries: Any = None,
        *,
        n: int = 200,
        k: int = 10,
        vector: str | None = None,
        where: Where | None = None,
        seed: int | None = None,
    ) -> Verification:
        """Measures what searches of a vector find of the true `k` nearest records, beside an exact scan of the same snapshot.

        recall: verify this promise instead of the declared one; without either, the usual effort is measured. queries: vectors (or texts,
        where there is a model) to measure with; without them `n` of the kept queries where there are enough, else rows that are held out.
        where: measure under this condition. seed: the same seed draws the same queries. Takes as long as `n` exact searches.
        """
        from vicino.collection.verifying import verification

        options = SearchOptions(where=where, recall=recall, limit=k)
        return verification(self._searcher, queries, options, n=n, k=k, vector=vector, seed=seed)

    @within_limit("aggregate()")
    def aggregate(self, field: str, *, where: Where | None = None, timeout: float | None = None) -> Aggregate:
        """Count, sum, average, smallest, largest and number of distinct values of a field; lists count every distinct element once."""
        check_fields(self.settings, field)
        snapshot, cancel = self._shard.snapshot(), _core.Cancel(timeout, True)
        matches = self._reader.match(snapshot, self._condition(where), self.settings, cancel)
        return Aggregate.of(field, self._room.facet(snapshot, field, matches, cancel))

    @within_limit("distance_matrix()")
    def distance_matrix(
        self,
        *,
        sample: int = 100,
        limit: int = 3,
        vector: str | None = None,
        where: Where | None = None,
        seed: int | None = None,
        timeout: float | None = None,
    ) -> DistanceMatrix:
        """For `sample` records at random, the `limit` nearest others among them. seed: the same seed samples the same records."""
        return self._searcher.composer.distance_matrix(
            self._searcher.target(vector), SearchOptions(where=where, timeout=timeout), sample=sample, limit=limit, seed=seed
        )

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
