"""`Database`: the collections of one folder, or of memory."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from vicino.collection.catalog import Catalog, check_name
from vicino.collection.check import CheckReport, check_collection, check_journal
from vicino.collection.collection import Collection
from vicino.collection.committer import Committer
from vicino.collection.jobs import Scheduler
from vicino.collection.limits import Limits
from vicino.collection.maintenance import Maintenance
from vicino.collection.read_shard import ReadShard
from vicino.collection.rescue import rescue_shard
from vicino.collection.settings import AnyVectorSpec, Settings
from vicino.collection.shard import Shard
from vicino.collection.value_specs import TextSpec
from vicino.collection.vector_spec import Index
from vicino.database.creation import load_embedder, reranker_named, settings_of, text_model_of
from vicino.database.stats import CollectionInfo, DatabaseStats
from vicino.elsewhere import TellsOurNames, hinted
from vicino.env import Env, MemoryEnv, RealEnv
from vicino.errors import (
    ClosedError,
    CorruptionError,
    Error,
    ExistsError,
    InvalidArgument,
    NotFoundError,
    ReadOnlyError,
    StorageError,
)
from vicino.segment.memory import MemoryBudget
from vicino.storage.backup import Snapshot, copy_database
from vicino.storage.files import absolute, remove_tree
from vicino.storage.journal import Journal
from vicino.storage.lock import DatabaseLock
from vicino.storage.pins import ReaderPins
from vicino.types import Dtype, Metric, SyncLevel

T = TypeVar("T")

Mode = Literal["rw", "r", "rescue"]
PREFIX = "c-"


@dataclass(frozen=True, slots=True)
class Options:
    """How a database was opened."""

    mode: Mode = "rw"
    memory_limit: int | None = None
    sync: SyncLevel = "commit"
    retain: int = 0
    threads: int | None = None
    limits: Limits = Limits()  # noqa: RUF009  frozen


class Database(TellsOurNames):
    """The collections of one folder. Thread-safe; a context manager. Made by `vicino.open`."""

    def __init__(self, env: Env, root: str, options: Options, lock: DatabaseLock | None, release: Callable[[Database], bool]) -> None:
        self._env, self.path, self._options, self._lock = env, root, options, lock
        self._guard = threading.RLock()
        self._open_collections: dict[str, Collection[Any]] = {}
        self._shards: dict[str, tuple[Shard | ReadShard, Maintenance | None]] = {}
        self._closed = False
        self._release = release
        self._budget = MemoryBudget(options.memory_limit)
        self._scheduler = Scheduler(env)
        self._committer = Committer(env)
        self._pins = None if self.is_writable else ReaderPins(env, root)
        # Always synced: folders are made before the catalog names them and removed after it forgets them, so it must not lag behind them.
        self._catalog = Catalog.open(env, root, writable=self.is_writable, sync="commit", pins=self._pins)
        if self.is_writable:
            self._remove_leftovers()

    @property
    def is_writable(self) -> bool:
        return self._options.mode == "rw"

    @property
    def is_closed(self) -> bool:
        """Whether every holder has closed it."""
        return self._closed

    @property
    def mode(self) -> Mode:
        """How it was opened: "rw", "r" or "rescue"."""
        return self._options.mode

    def _remove_leftovers(self) -> None:
        """Folders of collections whose creation never finished or whose deletion was interrupted."""
        known = {PREFIX + collection_id for collection_id in self._catalog.state.collections.values()}
        for name in self._env.files.list(self.path):
            if name.startswith(PREFIX) and name not in known:
                remove_tree(self._env.files, f"{self.path}/{name}")

    # ---- collections

    @hinted
    def create_collection(
        self,
        name: str,
        *,
        dim: int | None = None,
        metric: Metric = "cosine",
        dtype: Dtype = "float32",
        index: Index = "auto",
        vectors: Mapping[str, AnyVectorSpec] | None = None,
        model: Any = None,
        embed: str | Sequence[str] | None = None,
        text: str | Sequence[str] | Mapping[str, TextSpec | str] | TextSpec | bool | None = None,
        schema: type[T] | Any = None,
        ttl: str | None = None,
        auto_index: bool = True,
        recall: float | None = None,
        keep_queries: int = 0,
        keep_raw: bool = True,
        exist_ok: bool = False,
    ) -> Collection[T]:
        """Makes a collection; durable on return.

        dim, metric, dtype, index: one vector named "vector"; index is a kind or an `IndexSpec`.
        vectors: several by name, sparse (`SparseSpec`) and multi-vectors (`MultiSpec`) among them. model with embed: the vector "vector"
        is made from the text of the embed fields by a model ("minilm", a folder with an ONNX model, or an Embedder). schema: fields, see
        `Schema.read`; a class types the collection. text: fields to search by words; by default the embed fields together,
        False for none. Name a field, several (an index each), or map names to a `TextSpec` or a language.
        ttl: a datetime field at whose instant a record vanishes. auto_index: index fields that filters use.
        recall: share of the true nearest records that searches are promised to find, above 0, at most 1; None promises nothing and takes
        the usual effort. keep_queries: how many of the latest queries are kept to measure recall with, 0 to 10,000. keep_raw: with False
        vectors are kept in 8 bits a number once they are sealed, a quarter of float32, and given back as those stand for them.
        exist_ok: if the name is taken, the collection there is returned, provided its settings agree.
        Raises ExistsError, InvalidArgument, SchemaError, ModelNotFound, ReadOnlyError.
        """
        check_name(name)
        embedder = None if model is None else load_embedder(model)
        settings = settings_of(
            dim, metric, dtype, index, vectors, embedder, embed, text, schema, ttl, auto_index, recall, keep_queries, keep_raw
        )
        record_class = schema if isinstance(schema, type) else None
        with self._guard:
            self._expect_writable()
            if exist_ok and (name in self._catalog.state.collections or name in self._catalog.state.aliases):
                return self._existing(name, settings, record_class)
            self._catalog.state.check_free(name)
            collection_id = self._env.random_name()

            def create() -> None:
                Shard.create(self._env, self._folder(collection_id), settings)
                self._catalog.change(op="create", name=name, id=collection_id)

            self._committer.run(create)
            return self._collection(collection_id, record_class, embedder)

    def _existing(self, name: str, settings: Settings, record_class: type | None) -> Collection[Any]:
        collection = self._collection(self._catalog.state.resolve(name), record_class)
        if differences := collection.settings.disagreements(settings):
            may_change = all(difference.startswith(("index of", "recall of")) for difference in differences)
            raise ExistsError(
                f'collection "{name}" exists with other settings: {"; ".join(differences)}; open it with collection("{name}"), '
                f"{'where set_index() and set_recall() change these, ' if may_change else ''}or delete it first"
            )
        return collection

    def collection(self, name: str, *, schema: type[T] | None = None) -> Collection[T]:
        """The collection with this name or alias. schema: a class for `hit.record`. Raises NotFoundError with close matches."""
        with self._guard:
            self._expect_open()
            self._follow()
            return self._collection(self._catalog.state.resolve(name), schema)

    def __getitem__(self, name: str) -> Collection[Any]:
        return self.collection(name)

    def __contains__(self, name: object) -> bool:
        return name in self.names() or name in self.aliases()

    def __len__(self) -> int:
        return len(self.names())

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self) -> list[str]:
        """The names of all collections, sorted; opens none of them."""
        with self._guard:
            self._expect_open()
            self._follow()
            return sorted(self._catalog.state.collections)

    def collections(self) -> list[CollectionInfo]:
        """All collections with their sizes, sorted by name; opens each of them."""
        by_target: dict[str, list[str]] = {}
        for alias, target in self.aliases().items():
            by_target.setdefault(target, []).append(alias)
        found = []
        for name in self.names():
            collection = self.collection(name)
            found.append(
                CollectionInfo(
                    name, collection.count(), collection.version, collection.settings.specs, tuple(sorted(by_target.get(name, ())))
                )
            )
        return found

    def _folder(self, collection_id: str) -> str:
        return f"{self.path}/{PREFIX}{collection_id}"

    def _collection(self, collection_id: str, record_class: type | None = None, embedder: Any = None) -> Collection[Any]:
        found = self._open_collections.get(collection_id)
        if found is not None and record_class is None:
            return found
        if collection_id not in self._shards:
            self._shards[collection_id] = self._open_shard(collection_id)
        shard, maintenance = self._shards[collection_id]
        model = found._model if found is not None else text_model_of(shard.settings.model, embedder)
        collection: Collection[Any] = Collection(
            lambda: self._catalog.state.name_of(collection_id),
            shard,
            self._env,
            maintenance=maintenance,
            model=model,
            record_class=record_class,
            threads=self._options.threads or 1,
        )
        collection._searcher.collection_named = self.collection
        collection._searcher.reranker_named = reranker_named
        if record_class is None or found is None:
            self._open_collections[collection_id] = collection
        return collection

    def _open_shard(self, collection_id: str) -> tuple[Shard | ReadShard, Maintenance | None]:
        folder, name = self._folder(collection_id), self._catalog.state.name_of(collection_id)
        if self._options.mode == "rescue":
            return rescue_shard(self._env, folder, budget=self._budget, name=name), None
        if not self.is_writable:
            try:
                journal = Journal.open(self._env, folder, writable=False, pins=self._pins)
                was_deleted = functools.partial(self._was_deleted, collection_id)
                return ReadShard(self._env, journal, budget=self._budget, name=name, was_deleted=was_deleted), None
            except (StorageError, NotFoundError, CorruptionError):
                if self._was_deleted(collection_id):
                    raise NotFoundError(f'collection "{name}" was deleted') from None
                raise
        journal = Journal.open(self._env, folder, writable=True, sync=self._options.sync)
        shard = Shard(self._env, journal, limits=self._options.limits, budget=self._budget, name=name, committer=self._committer)
        maintenance = Maintenance(
            shard, self._scheduler, lane=collection_id, threads=self._options.threads or 1, retain=self._options.retain
        )
        maintenance.schedule()
        return shard, maintenance

    def delete_collection(self, name: str, *, missing_ok: bool = False) -> None:
        """Deletes a collection with its aliases; its space returns at once. Raises NotFoundError unless missing_ok."""
        with self._guard:
            self._expect_writable()
            if name not in self._catalog.state.collections:
                if missing_ok:
                    return
                if name in self._catalog.state.aliases:
                    raise InvalidArgument(
                        f'"{name}" is an alias; drop it with alias("{name}", None), or delete the collection by its own name'
                    )
            collection_id = self._catalog.state.resolve(name)

            def delete() -> None:
                self._catalog.change(op="delete", name=name)
                self._scheduler.drop(collection_id)
                self._forget(collection_id)
                remove_tree(self._env.files, self._folder(collection_id))

            self._committer.run(delete)

    def rename_collection(self, name: str, to: str) -> None:
        """Gives a collection another name, atomically; handles and aliases follow."""
        check_name(to)
        with self._guard:
            self._expect_writable()
            self._own_name(name)
            self._catalog.state.check_free(to)
            self._committer.run(lambda: self._catalog.change(op="rename", name=name, to=to))

    def alias(self, name: str, target: str | None) -> None:
        """Makes `name` a second name of the collection `target`, switching it atomically if it was another's; None drops it."""
        check_name(name)
        with self._guard:
            self._expect_writable()
            if name in self._catalog.state.collections:
                raise ExistsError(f'"{name}" is a collection; an alias needs a name of its own')
            if target is None:
                if name not in self._catalog.state.aliases:
                    raise NotFoundError(f'there is no alias "{name}"')
                self._committer.run(lambda: self._catalog.change(op="unalias", name=name))
                return
            self._own_name(target)
            self._committer.run(lambda: self._catalog.change(op="alias", name=name, target=target))

    def aliases(self) -> dict[str, str]:
        """alias -> name of its collection."""
        with self._guard:
            self._expect_open()
            self._follow()
            state = self._catalog.state
            return {alias: state.name_of(target) for alias, target in sorted(state.aliases.items())}

    def _own_name(self, name: str) -> None:
        if name in self._catalog.state.aliases:
            own = self._catalog.state.name_of(self._catalog.state.aliases[name])
            raise InvalidArgument(f'"{name}" is an alias of collection "{own}"; use the collection\'s own name here')
        self._catalog.state.resolve(name)

    # ---- the whole database

    def snapshot(self, to: str | os.PathLike[str]) -> Snapshot:
        """Copies the database as it is now to a new folder, consistent per collection, while writes go on. Opened by `vicino.restore`."""
        with self._guard:
            self._expect_open()
            if not self.is_writable:
                raise ReadOnlyError('a snapshot is taken by the writing process; open the database with mode="rw"')
            names = dict(self._catalog.state.collections)
            for collection_id in names.values():
                self._collection(collection_id)
            journals = {PREFIX + collection_id: self._shards[collection_id][0] for collection_id in names.values()}
        outside = RealEnv() if isinstance(self._env, MemoryEnv) else self._env
        return copy_database(
            self._env, outside, self._catalog.journal, {folder: shard.journal for folder, shard in journals.items()}, absolute(to)
        )

    def stats(self) -> DatabaseStats:
        """Sizes of all collections and of the memory."""
        return DatabaseStats(
            self.path, tuple(self.collection(name).stats() for name in self.names()), self._budget.used(), self._budget.limit
        )

    def check(self) -> CheckReport:
        """Verifies every checksum and invariant of every file; damage is listed, not raised. Reads everything once."""
        report = CheckReport()
        check_journal(self._catalog.journal, report)
        for name in self.names():
            try:
                check_collection(self.collection(name), report)
            except Error as error:
                report.problem(f'collection "{name}"', error)
        return report

    def refresh(self) -> None:
        """In a reading process: catches up with the writer, catalog and open collections."""
        with self._guard:
            self._expect_open()
            self._follow()
            for shard, _ in self._shards.values():
                shard.refresh()

    def _follow(self) -> None:
        if self.is_writable or self._options.mode == "rescue" or not self._catalog.refresh():
            return
        known = set(self._catalog.state.collections.values())
        for collection_id in [known_id for known_id in self._shards if known_id not in known]:
            self._forget(collection_id)

    def _forget(self, collection_id: str) -> None:
        """Closes what is open of a collection that was deleted; its handles say so from now on."""
        self._open_collections.pop(collection_id, None)
        if (opened := self._shards.pop(collection_id, None)) is not None:
            opened[0].is_deleted = True
            opened[0].close()

    def _was_deleted(self, collection_id: str) -> bool:
        with self._guard:
            self._follow()
            return collection_id not in self._catalog.state.collections.values()

    def close(self) -> None:
        """Stops background work and lets go of the folder. What was acknowledged is durable, closed or not."""
        if self._release(self):
            self._committer.run(self._shut_down)

    def _shut_down(self) -> None:
        """Closes for every holder of this database; called once, by the last `close`, or when the process ends."""
        if self._env.forked():
            self._closed = True  # files, locks and threads are the parent's; one of its threads may have been holding the guard
            return
        with self._guard:
            if self._closed:
                return
            self._closed = True
            self._scheduler.close()
            for shard, maintenance in self._shards.values():
                if maintenance is not None and isinstance(shard, Shard):
                    maintenance.close()
                shard.close()
            self._committer.close()
            self._catalog.close()
            if self._pins is not None:
                self._pins.close()
            if self._lock is not None:
                self._lock.release()

    def _expect_open(self) -> None:
        if self._env.forked():
            raise ClosedError(
                f"database {self.path} was opened by the parent of this forked process; open it anew in the child, or use spawn"
            )
        if self._closed:
            raise ClosedError(f"database {self.path} is closed; open it again")

    def _expect_writable(self) -> None:
        self._expect_open()
        if not self.is_writable:
            raise ReadOnlyError(f'database {self.path} was opened with mode="{self.mode}"; open it with mode="rw" to write')

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._closed:
            return f"<Database {self.path}: closed>"
        names = self.names()
        shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        return f"<Database {self.path}: {len(names)} collections{f' ({shown})' if names else ''}, mode {self.mode!r}>"

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f"<tr><td>{escape(info.name)}</td><td>{info.n_records:,}</td><td>{info.version}</td></tr>" for info in self.collections()
        )
        return f"<table><thead><tr><th>collection</th><th>records</th><th>version</th></tr></thead><tbody>{rows}</tbody></table>"
