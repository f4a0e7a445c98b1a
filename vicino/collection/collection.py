"""`Collection`: the verbs a user meets. Facts are in `readable`, searches in `searchable`, writes in `writable`; here is what shapes."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any, Literal, TypeVar

from vicino import _core
from vicino.collection.jobs import Job
from vicino.collection.settings import AnyVectorSpec, Settings
from vicino.collection.value_specs import TextSpec
from vicino.collection.vector_spec import Index, VectorSpec
from vicino.collection.writable import WritableCollection
from vicino.elsewhere import hinted
from vicino.errors import InvalidArgument

T = TypeVar("T")


class Collection(WritableCollection[T]):
    """A named set of records. Handles are cheap, thread-safe and the same for every caller of the process.

    Obtained from `Database.create_collection` or `Database.collection`. `len(c)`, `id in c` and `c[id]` do what they look like.
    """

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

    def add_text(self, name: str, spec: TextSpec | None = None, **options: Any) -> Job:
        """Makes a text index over a field, or over several under a name of its own. Options as in `TextSpec`.

        Records written from now on are searchable by words at once; those there are indexed by the job returned, which reads and analyzes
        each once. Until it has ended a search over this index raises NotReadyError.
        Raises InvalidArgument when there is a text index of this name, SchemaError when a field cannot hold text, MissingExtraError when
        the analyzer needs a stemmer that is not installed.
        """
        wanted = spec if spec is not None else TextSpec(**options)
        self._writable().change_settings(lambda settings: settings.with_text(name, wanted))
        return self._settings_changed()

    def drop_text(self, name: str) -> None:
        """Forgets a text index; its files go with the next checkpoint. Raises InvalidArgument when there is none of this name."""
        self._writable().change_settings(lambda settings: settings.without_text(name))
        self._settings_changed()

    def add_vector(self, name: str, spec: AnyVectorSpec | None = None, **options: Any) -> None:
        """Declares one more named vector, dense, sparse or multi; existing records lack it until they are updated. Costs one commit.

        spec: a VectorSpec, SparseSpec or MultiSpec; options are those of `VectorSpec`. Raises InvalidArgument for a name that is taken.
        """
        writes = self._writable()
        wanted = spec if spec is not None else VectorSpec(**options)
        writes.change_settings(lambda settings: settings.with_vector(name, wanted))
        self._settings_changed()

    def drop_vector(self, name: str) -> None:
        """Forgets a named vector of any kind; its files go with the next checkpoint, its rows in merged segments at once.

        Raises InvalidArgument when there is none of this name.
        """
        self._writable().change_settings(lambda settings: settings.without_vector(name))
        self._settings_changed()

    @hinted
    def set_recall(
        self, recall: float | None, *, vector: str | None = None, keep_queries: int | None = None, checks: float | None = None
    ) -> Job:
        """Declares which share of the true nearest records searches of a vector find from now on; None promises nothing.

        keep_queries: how many of the latest queries are kept to measure recall with. checks: share of the queries under a promise that are
        run again exactly in the background. The job returned measures; until it has ended, promised searches scan exactly.
        recall: above 0, at most 1, a mean over queries like those measured. keep_queries: 0 to 10,000. checks: 0 to 1. None leaves these
        two as they are. Raises InvalidArgument, ReadOnlyError.
        """
        writes, name = self._writable(), self._searcher.target(vector).name

        def declared(settings: Settings) -> Settings:
            kept = settings.keep_queries if keep_queries is None else keep_queries
            share = settings.recall_checks if checks is None else checks
            return replace(settings.with_recall(name, recall), keep_queries=kept, recall_checks=share)

        writes.change_settings(declared)
        return self._settings_changed()

    @hinted
    def set_index(self, index: Index, *, vector: str | None = None) -> Job:
        """Gives a vector another index: a kind such as "ivf_pq", or an `IndexSpec` with parameters.

        Segments are indexed anew in the background, which the job returned waits for; until then they are searched by what they have.
        Takes as long as building the index of all sealed rows, and with inverted lists as merging them. Scores stay the same. What is an
        error of the build itself, `Job.wait` raises.
        Raises InvalidArgument for an index that the vector cannot have, ReadOnlyError.
        """
        writes, name = self._writable(), self._searcher.target(vector).name
        writes.change_settings(lambda settings: settings.with_vector_index(name, index))
        return self._settings_changed()

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
        try:
            return job.wait() if wait else job
        except KeyboardInterrupt:
            job.cancel()
            raise

    # ---- the past

    def at(self, version: int | dt.datetime) -> Collection[T]:
        """A read-only view of the collection as it was at a version or instant that `retain=` still keeps.

        Raises NotFoundError naming the oldest version available.
        """
        from vicino.collection.history import open_version

        shard = open_version(self._shard, version)
        past: Collection[T] = Collection(
            self._name, shard, self._env, model=self._model, record_class=self._record_class, threads=self._searcher.threads
        )
        past._searcher.know_names_of(self._searcher)
        return past
