"""Searching one collection: from what the user asks to one call of the core, and from its arrays to `Results` with a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vicino import _core
from vicino.collection.core_columns import core_column
from vicino.collection.maintenance import Maintenance
from vicino.collection.page import check_page
from vicino.collection.promises import Promises
from vicino.collection.query_vector import Row, matrix_queries, to_query
from vicino.collection.reading import SnapshotReader, check_select, read_vectors, vector_bytes, vector_names
from vicino.collection.record import Record
from vicino.collection.room import HIT_BYTES, ORDERED_ROW_BYTES, VIEW_BYTES, ReadRoom
from vicino.collection.search_options import MODES, Mode, Query, SearchOptions
from vicino.collection.settings import Settings
from vicino.collection.target import Target
from vicino.collection.typed import record_factory
from vicino.env import Env
from vicino.errors import InvalidArgument
from vicino.query.hit import Shape, score_of
from vicino.query.plan import FilterStep, LatePlan, Plan
from vicino.query.rescoring import RescoreBy, oversampling
from vicino.query.results import Results, SearchCall, results_of
from vicino.recall.calibration import Choice
from vicino.types import DEFAULT_VECTOR

if TYPE_CHECKING:
    from vicino.gpu.device import Device

AUTO_INDEX_ROWS = 10_000
"""A filter over at least this many sealed rows makes the engine index the fields it had to scan."""
QUERIES_PER_CHECK = 1024
"""Queries converted before the time is looked at."""
SPREAD_SAMPLE = 128
"""Records compared all with all to learn how far similarities spread: good to a few percent, in about a millisecond."""
USUAL_SPREAD = 0.115
"""Of the cosines between texts of one collection; measured on seven judged sets with MiniLM: 0.10 to 0.15."""


class TextModel:
    """How a collection reaches the model it was created with; loaded when it is first needed."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._embedder: Any = None

    @property
    def embedder(self) -> Any:
        if self._embedder is None:
            self._embedder = self._load()
        return self._embedder


class Searcher:
    """The searches of one collection. `shard` has its snapshots, `reader` understands its conditions."""

    def __init__(
        self,
        name: Callable[[], str],
        shard: Any,
        env: Env,
        reader: SnapshotReader,
        room: ReadRoom,
        *,
        maintenance: Maintenance | None,
        model: TextModel | None,
        record_class: type | None,
        threads: int = 1,
    ) -> None:
        """threads: by which the queries of one call are shared."""
        self.name_of, self.shard, self.env, self.reader, self.room = name, shard, env, reader, room
        self.threads = threads
        self._maintenance, self._model, self._record_class = maintenance, model, record_class
        self.promises = Promises(shard) if maintenance is None else maintenance.promises
        self._shapes: dict[Any, Shape[Any]] = {}
        self._whole: tuple[Settings | None, Any] = (None, None)  # settings, and what whole records share under them
        self._targets: tuple[Settings, dict[str, Target]] | None = None
        self._composer: Any = None
        self._search_words: Any = None
        self._spread: tuple[tuple[int, str | None], float] | None = None  # of the snapshot last asked about
        self.collection_named: Callable[[str], Any] | None = None
        self.reranker_named: Callable[[str], Any] | None = None

    @property
    def name(self) -> str:
        """Of the collection, as it is now."""
        return self.name_of()

    def know_names_of(self, other: Searcher) -> None:
        """Finds collections and rerankers by the names that another searcher of the same database finds them by."""
        self.collection_named, self.reranker_named = other.collection_named, other.reranker_named

    # ---- what is asked

    def target(self, vector: str | None) -> Target:
        """The vector to search. Raises InvalidArgument when the name is unknown, or needed and not given."""
        settings = self.shard.settings
        if self._targets is None or self._targets[0] is not settings:
            found = {name: Target(name, entry.spec, core_column(settings, name)) for name, entry in settings.vectors.items()}
            self._targets = (settings, found)
        targets = self._targets[1]
        if vector is None:
            vector = DEFAULT_VECTOR if DEFAULT_VECTOR in targets or len(targets) != 1 else next(iter(targets))
            if vector not in targets and targets:
                raise InvalidArgument(f"the collection has several vectors; say with vector= which one to search: {', '.join(targets)}")
            if not targets:
                raise InvalidArgument(f'collection "{self.name}" has no vectors to search; create it with dim=, vectors= or model=')
        elif not isinstance(vector, str):
            raise InvalidArgument(f"vector= is the name of a vector, got {vector!r}")
        elif vector not in targets:
            settings.spec(vector)
        return targets[vector]

    def spread(self, snapshot: _core.Snapshot, vector: str | None) -> float:
        """How far similarities of this vector spread: their standard deviation between records that lie evenly over a snapshot.

        0 for fewer than two records. Under cosine the geometric mean of that and of what it usually is: half of what a collection differs
        by is that it is about few or many things, and not how its model spreads its vectors.
        """
        target, key = self.target(vector), (snapshot.version, vector)
        if self._spread is None or self._spread[0] != key:
            locators = snapshot.spaced_records(target.column[0], SPREAD_SAMPLE)
            rows = read_vectors(snapshot, locators, self.shard.settings, [target.name])[target.name].rows
            queries = rows.astype(np.float32) if target.spec.dtype == "float16" else rows
            distances = _core.pairwise_distances(queries, rows, target.spec.metric)
            pairs = distances[np.triu_indices(len(rows), 1)]
            spread = float(pairs.std()) if len(pairs) else 0.0
            self._spread = (key, (spread * USUAL_SPREAD) ** 0.5 if target.spec.metric == "cosine" else spread)
        return self._spread[1]

    def row(self, query: Query, target: Target) -> Row:
        """The query as the core takes it; a text is embedded by the collection's model."""
        if isinstance(query, str):
            if self._model is None or target.name != DEFAULT_VECTOR:
                raise InvalidArgument(
                    f'vector "{target.name}" of collection "{self.name}" has no model to embed a text query; '
                    'give a vector, or create the collection with model="minilm", embed="text"'
                )
            query = self._model.embedder.embed_query(query)
        return to_query(query, target.spec, target.name, self.name_of)

    def rows(self, queries: Sequence[Query] | np.ndarray[Any, Any], target: Target, cancel: _core.Cancel) -> Row:
        """Many queries, one after the other."""
        if isinstance(queries, np.ndarray) and queries.ndim == 2 and (given := matrix_queries(queries, target.spec)) is not None:
            return given
        rows = []
        for number, query in enumerate(queries):
            if number % QUERIES_PER_CHECK == 0:
                cancel.check()
            try:
                rows.append(self.row(query, target))
            except InvalidArgument as error:
                raise type(error)(f"query {number} of {len(queries)}, from 0: {error}") from error
        return np.concatenate(rows or [np.zeros(0, np.uint8)])

    def device(self, name: str, target: Target, options: SearchOptions) -> Device | None:
        """Where an exact search computes its distances; None for the core. Raises InvalidArgument, MissingExtraError."""
        if name == "cpu":
            return None
        from vicino.collection.on_device import expect_searchable
        from vicino.gpu.device import open_device

        expect_searchable(name, target.spec, target.name, exact=options.exact)
        return open_device(name)

    def shape(self, select: str | Sequence[str] | None) -> Shape[Any]:
        """What records read with this `select=` share."""
        settings = self.shard.settings
        if select is None and self._whole[0] is settings:
            return self._whole[1]
        key = (check_select(select), settings.embed, tuple(settings.vectors))
        shape = self._shapes.get(key)
        if shape is None:
            factory = Record if self._record_class is None else record_factory(self._record_class, tuple(settings.vectors))
            shape = self._shapes[key] = Shape(factory, settings.embed, key[0])
        if select is None:
            self._whole = (settings, shape)
        return shape

    # ---- queries of parts

    @property
    def composer(self) -> Any:
        """What runs queries of parts; loaded when it is first needed."""
        if self._composer is None:
            from vicino.collection.composing import Composer

            self._composer = Composer(self)
        return self._composer

    def part(
        self,
        query: Any,
        mode: Mode,
        vector: str | None,
        ef: int | None = None,
        recall: float | None = None,
        nprobe: int | None = None,
        rescore: RescoreBy | None = None,
    ) -> Any:
        """The part that a query stands for: itself, or by `mode` what the collection answers a text or a vector with."""
        from vicino.query.part import Part
        from vicino.query.parts import Dense, Fuse, Sparse, Text, text_of
        from vicino.query.sparse_vector import SparseVector

        if mode not in MODES:
            raise InvalidArgument(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
        if isinstance(query, Part):
            if mode != "auto" or vector is not None or any(given is not None for given in (ef, recall, nprobe, rescore)):
                raise InvalidArgument(
                    "mode=, vector=, ef=, nprobe=, recall= and rescore= go with a text or a vector; a part such as Dense has its own"
                )
            return query
        if isinstance(query, SparseVector):
            return Sparse(query, vector=vector)
        if not isinstance(query, str):
            if mode not in ("auto", "dense"):
                raise InvalidArgument(f'mode="{mode}" is for a query of words, got {type(query).__name__}')
            return Dense(query, vector=vector, ef=ef, nprobe=nprobe, recall=recall, rescore=rescore)
        if mode == "auto":
            mode = self._mode(vector)
        if mode == "text":
            return text_of(query)
        dense = Dense(query, vector=vector, ef=ef, nprobe=nprobe, recall=recall, rescore=rescore)
        return dense if mode == "dense" else Fuse([dense, Text(query)])

    def _mode(self, vector: str | None) -> Mode:
        """How a text is answered: by its words where there is a text index, by its meaning where there is a model, by both."""
        if vector is not None or not self.shard.settings.texts:
            return "dense"
        return "text" if self._model is None else "hybrid"

    def is_plain(self, query: Any, mode: Mode) -> bool:
        """Whether a query is one vector, or a text that only a model answers: then one call of the core answers it."""
        if type(query) is np.ndarray or isinstance(query, list | tuple):
            return mode == "auto" or mode == "dense"
        return isinstance(query, str) and (mode == "dense" or (mode == "auto" and not self.shard.settings.texts))

    def are_plain(self, queries: Sequence[Query] | np.ndarray[Any, Any], mode: Mode) -> bool:
        """The same of all of them; the rows of one array are alike."""
        if type(queries) is np.ndarray and queries.ndim == 2:
            return mode == "auto" or mode == "dense"
        return all(self.is_plain(query, mode) for query in queries)

    def is_words(self, query: Any, mode: Mode, vector: str | None, options: SearchOptions) -> bool:
        """Whether a query is a text that the only text index answers, and hits carry nothing but fields."""
        if type(query) is not str or vector is not None or options.vectors is not False or options.min_score is not None:
            return False
        by_words = mode == "text" or (mode == "auto" and self._model is None)
        return by_words and len(self.shard.settings.texts) == 1 and not self.room.is_limited

    @property
    def search_words(self) -> Callable[[Searcher, str, SearchOptions], Results[Any]]:
        """What answers those; loaded when it is first needed."""
        if self._search_words is None:
            from vicino.collection.words import search_words

            self._search_words = search_words
        return self._search_words

    def reranker(self, given: Any) -> Any:
        """The reranker itself, found if a name was given. Raises ModelNotFound, InvalidArgument."""
        if not isinstance(given, str):
            return given
        if self.reranker_named is None:
            raise InvalidArgument(f'reranker "{given}" is a name; give the object itself')
        return self.reranker_named(given)

    def collection_of(self, given: Any) -> Any:
        """The collection that `lookup=` means, by itself or by its name in the same database."""
        if not isinstance(given, str):
            if not callable(getattr(given, "get", None)) or isinstance(given, dict):
                raise InvalidArgument(f"lookup= takes a collection or its name, got {type(given).__name__}")
            return given
        if self.collection_named is None:
            raise InvalidArgument(f'lookup="{given}" is a name; give the collection itself')
        return self.collection_named(given)

    def ordered(self, run: Any, field: str, matches: Any, descending: bool) -> Any:
        """Locators of all matching rows by a field."""
        n_rows = run.snapshot.n_records if matches is None else matches.count
        with self.room.take(n_rows * ORDERED_ROW_BYTES, f"ordering {n_rows} records by {field}"):
            return run.snapshot.ordered(field, matches, descending, run.cancel)

    def highlighter(self, part: Any, settings: Settings) -> Callable[[Any], Any] | None:
        """What finds the query's words in a hit's text; None for a query without words."""
        from vicino.collection.highlighting import highlighter

        return highlighter(part, settings)

    # ---- the search

    def search(
        self,
        rows: Row,
        target: Target,
        options: SearchOptions,
        *,
        n_queries: int = 1,
        cancel: _core.Cancel | None = None,
        device: Device | None = None,
    ) -> list[Results[Any]]:
        """`Results` of each of the `n_queries` queries in `rows`, all of one snapshot.

        cancel: the timeout, when it began before. device: where distances are computed, None for the core; only of an exact search.
        """
        start = self.env.monotonic()
        limit, offset, room = options.limit, options.offset, self.room
        check_page(limit, offset)
        settings, snapshot = self.shard.settings, self.shard.snapshot()
        cancel = cancel or _core.Cancel(options.timeout, True)
        condition = None if options.where is None else self.reader.condition(options.where, settings)
        matches = None if condition is None and settings.ttl is None else self.reader.match(snapshot, condition, settings, cancel)
        filter_s = 0.0 if condition is None else self.env.monotonic() - start
        names = None if options.vectors is False else vector_names(options.vectors, settings)
        k = limit + offset
        choice = None
        if (options.recall is not None or target.spec.recall is not None) and not options.exact:
            choice = self.promise(snapshot, target, k, matches, options.recall, options.ef, options.nprobe)
        elif matches is not None:
            self.promises.price(snapshot, target.column)
        effort, nprobe, exact = target.effort(options.ef, options.nprobe, options.exact, choice)
        rescore = target.rescore(options.rescore, choice)
        hits_bytes = n_queries * min(k, snapshot.n_records) * HIT_BYTES if room.is_limited else 0
        with room.take(hits_bytes, "holding the hits of this search"):
            notes: tuple[str, ...] = ()
            if device is None or not n_queries:
                threads, sampled = self.threads if n_queries > 1 else 1, oversampling(rescore)
                found, counts = snapshot.search(target.column, rows, k, effort, exact, matches, cancel, nprobe, threads, sampled)
            else:
                from vicino.collection.on_device import search_on_device

                found, counts, notes = search_on_device(device, snapshot, target, rows.reshape(n_queries, -1), k, matches, cancel, room)
            took_s = self.env.monotonic() - start
            if choice is not None or settings.keep_queries:
                self.promises.saw(snapshot, target.column, rows, k, matches, choice, found)
            if condition is not None and matches is not None and not matches.is_indexed:
                notes = self.unindexed(matches, snapshot) + notes
            name = self.name_of()
            plan = LatePlan(
                lambda: Plan(
                    collection=name,
                    version=snapshot.version,
                    vector=target.name,
                    metric=target.spec.metric,
                    limit=limit,
                    exact=options.exact,
                    n_records=snapshot.n_records,
                    took_s=took_s,
                    stats=counts.entries(),
                    filter=None if condition is None or matches is None else self.reader.step(condition, matches, filter_s),
                    notes=notes,
                    promise=choice,
                    rescore=rescore,
                )
            )
            if offset:
                found.skip(offset)
            return self._results(snapshot, found, target, options, took_s, plan, names)

    def promise(
        self, snapshot: _core.Snapshot, target: Target, k: int, matches: Any, recall: float | None, ef: int | None, nprobe: int | None
    ) -> Choice | None:
        """How a search keeps the recall asked for, or declared; None when there is neither. Raises RecallUnreachable.

        ef: given with a recall it is the largest effort allowed; ef or nprobe alone say what to do, whatever was declared.
        """
        if recall is None and (ef is not None or nprobe is not None or target.spec.recall is None):
            return None
        if nprobe is not None:
            raise InvalidArgument(f"recall={recall!r} chooses how many lists are scanned; leave nprobe={nprobe!r} or the recall out")
        wanted = target.spec.recall if recall is None else recall
        assert wanted is not None
        return self.promises.choose(snapshot, target.column, k, matches, wanted, ef)

    def _results(
        self, snapshot: _core.Snapshot, found: _core.Found, target: Target, options: SearchOptions, took_s: float, plan: LatePlan,
        names: list[str] | None,
    ) -> list[Results[Any]]:  # fmt: skip
        room, settings = self.room, self.shard.settings
        call = SearchCall(self.shape(options.select), target.spec.metric, snapshot.version, took_s, plan, room.budget)
        if options.min_score is not None:
            for query in range(len(found)):
                found.truncate(query, sum(score_of(far, call.metric) >= options.min_score for far in found.distances(query)))
        if names is None and not room.is_limited:
            return results_of(found, call)
        n_bytes = 0
        if room.is_limited:
            n_bytes = found.document_bytes() + found.n_hits() * (VIEW_BYTES + vector_bytes(settings, names))
        with room.take(n_bytes, f"reading the records of {found.n_hits()} hits"):
            if names is not None:
                call.vectors = [read_vectors(snapshot, found.locators(query), settings, names) for query in range(len(found))]
            return results_of(found, call, read_now=room.is_limited)  # while what it takes is counted

    def unindexed(self, matched: _core.Matches | FilterStep, snapshot: _core.Snapshot) -> tuple[str, ...]:
        """Has fields indexed that a filter had to scan, once it pays; says so in the plan."""
        if snapshot.n_records < AUTO_INDEX_ROWS:  # of every search with a filter asked, so the rest has to wait
            return ()
        settings = self.shard.settings
        missing = [path for path in matched.paths_scanned if path not in settings.indexes]
        if not missing or sum(entry["rows"] for entry in snapshot.entries if entry["sealed"]) < AUTO_INDEX_ROWS:
            return ()
        if self._maintenance is not None and settings.auto_index:
            self._maintenance.index_soon(missing)
            return tuple(f'field "{path}" was scanned; it is being indexed now' for path in missing)
        return tuple(f'field "{path}" has no index; create_index("{path}") makes this filter faster' for path in missing)


class Versions(Sequence[int]):
    """Versions of some rows, looked up when a hit asks for its own."""

    __slots__ = ("_locators", "_snapshot")

    def __init__(self, snapshot: _core.Snapshot, locators: Any) -> None:
        self._snapshot, self._locators = snapshot, locators

    def __len__(self) -> int:
        return len(self._locators)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Versions(self._snapshot, self._locators[index])
        return int(self._snapshot.versions(self._locators[index : index + 1])[0])
