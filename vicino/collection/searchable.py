"""`SearchableCollection`: what can be asked of a collection, and how well it is answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np

from vicino import _core
from vicino.collection.page import check_page
from vicino.collection.records import check_id
from vicino.collection.room import within_limit
from vicino.collection.search_options import Mode, Query, SearchOptions, shaped
from vicino.errors import InvalidArgument
from vicino.filter.parse import Where
from vicino.query.aggregate import DistanceMatrix
from vicino.query.groups import Groups
from vicino.query.plan import Plan
from vicino.query.rescoring import RescoreBy
from vicino.query.results import Results
from vicino.recall.live import checked_recall
from vicino.types import RecordId

if TYPE_CHECKING:
    from vicino.collection.verifying import Verification
    from vicino.query.why import Why

from vicino.collection.readable import ReadableCollection

T = TypeVar("T")


class SearchableCollection(ReadableCollection[T]):
    """Searches of a collection."""

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

        query: a vector, a text, or a part such as `vicino.Fuse`. A vector is (dim,) finite numbers: converted to float32 for float vectors,
        whole numbers within range for int8 and uint8, dim bools or (ceil(dim / 8),) uint8 for binary; for cosine any length will do.
        mode: how a text is answered: "dense" by the model, "text" by words, "hybrid" by both; "auto" takes what the collection has. where:
        a condition in any spelling. limit: 1 to 10,000, after `offset` others.
        vector: name of the vector searched, needed when there are several. select, vectors: which fields and vectors hits carry.
        min_score: hits below are left out. diversity: 0 to 1, how much hits should differ (see `Diverse`). rerank: a reranker.
        group_by: a field; `limit` groups of `group_size` hits are given back as `Groups`, with the record of `lookup` (a collection) that
        has the group's value as id. cursor: "" for the first page, then `Results.next_cursor`: all pages are of one version.
        exact: every candidate is scored by its vector, whatever ef, nprobe and recall say. ef: beam of the graph walk; nprobe: inverted
        lists scanned of a segment; 1 to 1,000,000, and wider under a filter. Larger finds more, and takes longer about in proportion.
        recall: share of the true nearest records to be found, above 0, at most 1, as measured; scanned exactly where that is not known yet.
        With both, ef is the largest beam allowed. rescore: how what codes have found is scored, instead of as the index says: "bound", so
        many times the limit by the vectors (a number from 1 to 1,000), or "off": scores are then estimates. timeout: seconds.
        Records at one distance come in the order in which they lie. Safe to call from many threads.
        Raises DimensionError, FilterError, InvalidArgument; RecallUnreachable where ef is too little for recall; NotFoundError for a
        cursor whose version is gone; MemoryLimitError; TimeoutError after `timeout`.
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
        """`search` for many queries, one `Results` each in their order; they share snapshot, filter and all options.

        queries: (n, dim) numbers, or a sequence of what `search` takes. options: those of `search`, but for groups and cursors. Vectors are
        one call of the core, shared by as many threads as `vicino.open(threads=)` says; a float32 matrix is the fastest to hand over.
        device: with exact=True, where distances are computed: "cpu" (as without it), "cuda" or "cuda:1", through torch; the answers are
        the same. Raises what `search` raises; InvalidArgument where a device does not apply or is not there, MemoryLimitError where it has
        too little memory left, MissingExtraError without torch, TypeError for an option that there is not.
        """
        if isinstance(queries, str):
            raise InvalidArgument("search_many takes a sequence of queries, got one text; call search for one")
        if isinstance(queries, Mapping) or not hasattr(queries, "__len__"):
            raise InvalidArgument(f"search_many takes a sequence of queries, got {type(queries).__name__}; make a list of it")
        is_vector = isinstance(queries, list | tuple) and len(queries) > 0 and isinstance(queries[0], int | float | np.number)
        if is_vector or (isinstance(queries, np.ndarray) and queries.ndim == 1 and queries.dtype != object):
            raise InvalidArgument(f"search_many takes a sequence of queries, got one vector of {len(queries)} numbers; call search for one")
        searcher = self._searcher
        diversity, rerank = options.pop("diversity", None), options.pop("rerank", None)
        if diversity is None and rerank is None and searcher.are_plain(queries, mode):
            target, asked = searcher.target(vector), SearchOptions.read("search_many()", options)
            cancel = _core.Cancel(asked.timeout, True)
            at = None if device is None else searcher.device(device, target, asked)
            rows = searcher.rows(queries, target, cancel)
            return searcher.search(rows, target, asked, n_queries=len(queries), cancel=cancel, device=at)
        if device is not None:
            raise InvalidArgument("device= is for exact search of vectors alone, without diversity= and rerank=; leave it out")
        asked = SearchOptions.read("search_many()", options)
        parts = [searcher.part(query, mode, vector, asked.ef, asked.recall, asked.nprobe, asked.rescore) for query in queries]
        n = check_page(asked.limit, asked.offset)
        return searcher.composer.search([shaped(part, diversity, rerank, n) for part in parts], asked)

    def search_pages(self, query: Query, *, page: int = 100, **options: Any) -> Iterator[Results[T]]:
        """Successive pages of `search`, until the matches end; all are of the version that the first one finds.

        page: hits of each, 1 to 10,000. options: those of `search`, but for `limit`, groups and cursors. Raises what `search` raises.
        """
        mode, vector = options.pop("mode", "auto"), options.pop("vector", None)
        recall = checked_recall(options.pop("recall", None))
        part = self._searcher.part(
            query, mode, vector, options.pop("ef", None), recall, options.pop("nprobe", None), options.pop("rescore", None)
        )
        part = shaped(part, options.pop("diversity", None), options.pop("rerank", None), check_page(page, 0))
        return self._searcher.composer.pages(part, SearchOptions.read("search_pages()", {**options, "limit": page}))

    def explain(self, query: Query, **options: Any) -> Plan:
        """Runs the search and says how it went: strategy, rows and time per segment or part, how the filter was answered.

        options: as in `search`, which it costs, and raises what that raises. A condition that nothing meets has the fields that no record
        has named in `Plan.notes`.
        """
        plan = self.search(query, **options).plan
        if plan.filter is None:
            return plan
        step = replace(plan.filter, estimated=self.estimate(options["where"]))
        return replace(plan, filter=step, notes=(*plan.notes, *(() if step.actual else self._reader.absent(self._shard.snapshot(), step))))

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
        nprobe: int | None = None,
        recall: float | None = None,
        rescore: RescoreBy | None = None,
        timeout: float | None = None,
    ) -> Why:
        """Why a search with these arguments returns this record, or which stage lost it, found by checking each. Costs several searches.

        query and options as in `search`. Raises what the search would raise, SchemaError for an id that can be none.
        """
        from vicino.collection.why import explained

        options = SearchOptions(
            where=where, limit=limit, offset=offset, min_score=min_score, exact=exact, ef=ef, nprobe=nprobe, recall=recall,
            rescore=rescore, timeout=timeout,
        )  # fmt: skip
        searcher, plain = self._searcher, check_id(record_id, "why()")
        part = shaped(searcher.part(query, mode, vector, ef, options.recall, nprobe, rescore), diversity, rerank, check_page(limit, offset))
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
        where there is a model) to measure with; without them `n` (1 to 100,000) of the kept queries where there are 500, else rows that are
        held out. k: 1 to 10,000; beside it 1, 10 and, up to k, 100 neighbors are measured. where: measure under this condition. seed: the
        same seed draws the same queries. Takes as long as so many exact searches; a promise that was not measured yet is measured first.
        The interval holds whatever the distribution of recall (`vicino/recall/bound.py`, after Waudby-Smith and Ramdas 2024).
        Raises InvalidArgument where there is nothing to measure with, or rescoring is off; DimensionError for queries of another length.
        """
        from vicino.collection.verifying import verification

        options = SearchOptions(where=where, recall=recall, limit=k)
        return verification(self._searcher, queries, options, n=n, k=k, vector=vector, seed=seed)

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
