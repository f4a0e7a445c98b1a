"""Searching one collection: from what the user asks to one call of the core, and from its arrays to `Results` with a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vicino import _core
from vicino.collection.core_columns import core_column
from vicino.collection.maintenance import Maintenance
from vicino.collection.query_vector import Row, to_query
from vicino.collection.reading import SnapshotReader, check_select, read_vectors, vector_bytes, vector_names
from vicino.collection.record import Record
from vicino.collection.room import HIT_BYTES, ReadRoom
from vicino.collection.schema import Settings, VectorSpec
from vicino.collection.typed import record_factory
from vicino.env import Env
from vicino.errors import InvalidArgument
from vicino.filter.model import Condition
from vicino.filter.parse import Where
from vicino.query.hit import Shape
from vicino.query.plan import Plan
from vicino.query.results import Results
from vicino.types import DEFAULT_VECTOR

Vector = Sequence[float] | np.ndarray[Any, Any]
Query = str | Vector
LIMIT_MAX = 10_000
AUTO_INDEX_ROWS = 10_000
"""A filter over at least this many sealed rows makes the engine index the fields it had to scan."""


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


@dataclass(frozen=True, slots=True)
class Target:
    """The vector that is searched: its name, its declaration, and the core's form of it."""

    name: str
    spec: VectorSpec
    column: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """What `Collection.search` takes beside the query."""

    where: Where | None = None
    limit: int = 10
    offset: int = 0
    select: str | Sequence[str] | None = None
    vectors: bool | str | Sequence[str] = False
    min_score: float | None = None
    exact: bool = False
    ef: int | None = None
    timeout: float | None = None


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
    ) -> None:
        self._name, self._shard, self._env, self._reader, self._room = name, shard, env, reader, room
        self._maintenance, self._model, self._record_class = maintenance, model, record_class
        self._shapes: dict[Any, Shape[Any]] = {}
        self._targets: tuple[Settings, dict[str, Target]] | None = None

    # ---- what is asked

    def target(self, vector: str | None) -> Target:
        """The vector to search. Raises InvalidArgument when the name is unknown, or needed and not given."""
        settings = self._shard.settings
        if self._targets is None or self._targets[0] is not settings:
            found = {name: Target(name, entry.spec, core_column(settings, name)) for name, entry in settings.vectors.items()}
            self._targets = (settings, found)
        targets = self._targets[1]
        if vector is None:
            vector = DEFAULT_VECTOR if DEFAULT_VECTOR in targets or len(targets) != 1 else next(iter(targets))
            if vector not in targets and targets:
                raise InvalidArgument(f"the collection has several vectors; say with vector= which one to search: {', '.join(targets)}")
            if not targets:
                raise InvalidArgument(f'collection "{self._name()}" has no vectors to search; create it with dim=, vectors= or model=')
        elif vector not in targets:
            settings.spec(vector)
        return targets[vector]

    def row(self, query: Query, target: Target) -> Row:
        """The query as the core takes it; a text is embedded by the collection's model."""
        if isinstance(query, str):
            if self._model is None or target.name != DEFAULT_VECTOR:
                raise InvalidArgument(
                    f'vector "{target.name}" of collection "{self._name()}" has no model to embed a text query; '
                    'give a vector, or create the collection with model="minilm", embed="text"'
                )
            query = self._model.embedder.embed_query(query)
        return to_query(query, target.spec, target.name, self._name())

    def shape(self, select: str | Sequence[str] | None) -> Shape[Any]:
        """What records read with this `select=` share."""
        settings = self._shard.settings
        key = (check_select(select), settings.embed, tuple(settings.vectors))
        shape = self._shapes.get(key)
        if shape is None:
            factory = Record if self._record_class is None else record_factory(self._record_class, tuple(settings.vectors))
            shape = self._shapes[key] = Shape(factory, settings.embed, key[0])
        return shape

    # ---- the search

    def search(self, rows: Row, target: Target, options: SearchOptions, *, n_queries: int = 1) -> list[Results[Any]]:
        """`Results` of each of the `n_queries` queries in `rows`, all of one snapshot."""
        start = self._env.monotonic()
        limit, offset = options.limit, options.offset
        if not 1 <= limit <= LIMIT_MAX:
            raise InvalidArgument(f"limit must be between 1 and {LIMIT_MAX}, got {limit}; use iter() to read everything")
        if offset < 0:
            raise InvalidArgument(f"offset must be at least 0, got {offset}")
        settings, snapshot = self._shard.settings, self._shard.snapshot()
        cancel = _core.Cancel(options.timeout, True)
        condition = None if options.where is None else self._reader.condition(options.where, settings)
        matches = None if condition is None and settings.ttl is None else self._reader.match(snapshot, condition, settings, cancel)
        filtered = self._env.monotonic()
        names = None if options.vectors is False else vector_names(options.vectors, settings)
        k, room = limit + offset, self._room
        hits_bytes = n_queries * min(k, snapshot.n_records) * HIT_BYTES if room.is_limited else 0
        with room.take(hits_bytes, "the hits of this search"):
            # Under a memory limit larger documents are read only when it is known how large they are.
            found, stats = snapshot.search(
                target.column, rows, k, options.ef or 0, options.exact, matches, True, cancel, room.uncounted_max
            )
            took = self._env.monotonic() - start
            plan = self._plan(snapshot, target, options, took, stats, condition, matches, filtered - start)
            if not room.is_limited or (names is None and all(hits[2] is not None for hits in found)):
                return self._results(snapshot, found, target, options, plan, names)
            locators = np.concatenate([hits[3][offset:] for hits in found] or [np.zeros(0, np.int64)])
            with room.records(snapshot, locators, vector_bytes(settings, names), f"reading the records of {len(locators)} hits"):
                return self._results(snapshot, found, target, options, plan, names)

    def _results(
        self, snapshot: _core.Snapshot, found: Any, target: Target, options: SearchOptions, plan: Plan, names: list[str] | None
    ) -> list[Results[Any]]:
        settings, offset, shape, budget = self._shard.settings, options.offset, self.shape(options.select), self._room.budget
        all_results = []
        for ids, distances, documents, locators in found:
            if offset:
                ids, distances, locators = ids[offset:], distances[offset:], locators[offset:]
                documents = None if documents is None else documents[offset:]
            if documents is None:
                documents = snapshot.documents(locators)
            results: Results[Any] = Results(
                ids,
                distances,
                documents,
                shape=shape,
                metric=target.spec.metric,
                version=snapshot.version,
                took_s=plan.took_s,
                plan=plan,
                versions=_Versions(snapshot, locators),
                vectors=None if names is None else read_vectors(snapshot, locators, settings, names),
                budget=budget,
            )
            if options.min_score is not None:
                results = results[: sum(hit.score >= options.min_score for hit in results)]
            all_results.append(results)
        return all_results

    def _plan(
        self,
        snapshot: _core.Snapshot,
        target: Target,
        options: SearchOptions,
        took_s: float,
        stats: Any,
        condition: Condition | None,
        matches: Any,
        filter_s: float,
    ) -> Plan:
        step, notes = None, ()
        if condition is not None:
            step = self._reader.step(condition, matches, filter_s)
            if step.paths_scanned:
                notes = self._unindexed(step.paths_scanned, stats)
        return Plan(
            collection=self._name(),
            version=snapshot.version,
            vector=target.name,
            metric=target.spec.metric,
            limit=options.limit,
            exact=options.exact,
            n_records=snapshot.n_records,
            took_s=took_s,
            stats=stats,
            filter=step,
            notes=notes,
        )

    def _unindexed(self, paths: Sequence[str], stats: Any) -> tuple[str, ...]:
        """Has fields indexed that a filter had to scan, once it pays; says so in the plan."""
        settings = self._shard.settings
        sealed_rows = sum(entry["rows"] for entry in stats[:-1])
        missing = [path for path in paths if path not in settings.indexes]
        if not missing or sealed_rows < AUTO_INDEX_ROWS:
            return ()
        if self._maintenance is not None and settings.auto_index:
            self._maintenance.index_soon(missing)
            return tuple(f'field "{path}" was scanned; it is being indexed now' for path in missing)
        return tuple(f'field "{path}" has no index; create_index("{path}") makes this filter faster' for path in missing)


class _Versions(Sequence[int]):
    """Versions of some rows, looked up when a hit asks for its own."""

    __slots__ = ("_locators", "_snapshot")

    def __init__(self, snapshot: _core.Snapshot, locators: Any) -> None:
        self._snapshot, self._locators = snapshot, locators

    def __len__(self) -> int:
        return len(self._locators)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Versions(self._snapshot, self._locators[index])
        return int(self._snapshot.versions(self._locators[index : index + 1])[0])
