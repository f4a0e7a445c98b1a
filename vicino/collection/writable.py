"""`WritableCollection`: what changes the records of a collection."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice
from typing import Any, Literal, TypeVar

import numpy as np

from vicino.collection.record import Record
from vicino.collection.records import SLICE_BYTES, Batch, Columns, batches, check_id_list, with_new_texts
from vicino.collection.room import within_limit
from vicino.collection.searchable import SearchableCollection
from vicino.collection.shard import Committed, Shard
from vicino.collection.values import to_values
from vicino.collection.vectors import Context, to_column
from vicino.collection.writing import IfExists, TextsAddedError, Writes, changed, check_versions, rewrites_whole, some_ids
from vicino.errors import ConflictError, DimensionError, Error, InvalidArgument, NotFoundError, ReadOnlyError
from vicino.filter.model import And
from vicino.filter.parse import Where
from vicino.query.hit import RecordView
from vicino.query.results import WriteResult
from vicino.storage.files import absolute
from vicino.types import DEFAULT_VECTOR, RecordId

T = TypeVar("T")

Progress = bool | Callable[[int, int | None], None] | None


class WritableCollection(SearchableCollection[T]):
    """Writes of a collection: `add`, `upsert`, `update`, `delete` and `load`."""

    _purged_at: float | None = None

    @cached_property
    def _writes(self) -> Writes | None:
        """What writes; None where the collection is only read."""
        return Writes(self._shard, self._reader) if isinstance(self._shard, Shard) else None

    @within_limit("add()")
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

    @within_limit("upsert()")
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
                    done = self._put_part(writes, part, **conditions)
                    count, commits, version = count + done.count, commits + 1, done.version
                    delayed_s += done.delayed_s
                    advance(len(part.ids))
            except Error as error:
                if commits:
                    error.message += f" ({count} records in {commits} commits were written before, up to version {version})"
                raise
        self._purge_sometimes()
        return WriteResult(count, version, self._env.monotonic() - start, commits, delayed_s)

    def _put_part(self, writes: Writes, part: Batch, **conditions: Any) -> Committed:
        while True:
            part = with_new_texts(part, self.settings)
            self._note_languages(part)
            try:
                return writes.put(part, **conditions)
            except TextsAddedError:  # by another thread, or by whatever the records come from
                continue

    def _columns_of(self, records: Any, ids: Any, vectors: Any, fields: Any) -> Any:
        if records is None and ids is None:
            raise InvalidArgument("nothing to write: give records, or ids= with vectors= or fields=")
        if records is not None:
            if ids is not None or vectors is not None or fields is not None:
                raise InvalidArgument("give either records or the columns ids=, vectors=, fields=, not both")
            return records
        from vicino.collection.columns import columns

        return columns(ids, vectors, fields)

    @within_limit("update()")
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
        touched = {*changes, *names}
        embeds = self.settings.model is not None and DEFAULT_VECTOR not in (vectors or {}) and (touched & {*self.settings.embed} or replace)
        done = Committed(self.version, 0) if not chosen else None
        while done is None:
            if embeds or rewrites_whole(self.settings, touched, replace=replace, vectors=vectors is not None):
                done = self._update_whole(chosen, changes, names, replace, if_version, columns, where=where, keep_vector=not embeds)
                break
            with suppress(TextsAddedError):
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

    def _note_languages(self, batch: Batch) -> None:
        """Languages that an analyzer has met for the first time are stored before the records are: a query is read in all of them."""
        known = {name: entry.languages for name, entry in self.settings.texts.items()}
        if any(not found <= known.get(name, found) for name, found in batch.languages.items()):
            self._writable().change_settings(lambda settings: settings.with_languages(batch.languages))

    def _update_whole(
        self,
        ids: list[RecordId],
        set_fields: dict[str, Any],
        unset: list[str],
        replace: bool,
        if_version: int | None,
        columns: Mapping[str, Any] | None,
        *,
        where: Where | None,
        keep_vector: bool,
    ) -> Committed:
        """An update of a field that is embedded or indexed by words, or of vectors beside others: the records are written whole,
        with what their new text gives. where: only those that still meet it. keep_vector: the vector named "vector" is not made of the
        text anew.

        Embedding takes long, so it happens before the commit; the commit asks that no record has changed meanwhile, else it begins again.
        """
        writes, places = self._writable(), {(type(record_id), record_id): place for place, record_id in enumerate(ids)}
        while True:
            views = self._still_there([record_id for _, record_id in places], where)
            if not views:
                return Committed(self.version, 0)
            versions = [view.version for view in views]
            if if_version is not None:
                check_versions([view.id for view in views], np.array(versions), if_version)
            records = []
            for view in views:
                place = places[type(view.id), view.id]
                given = {name: column and column[place] for name, column in (columns or {}).items()}
                others = {
                    name: vector
                    for name, vector in {**view.vectors, **given}.items()
                    if vector is not None and (keep_vector or name != DEFAULT_VECTOR)
                }
                records.append(Record(view.id, vectors=others, fields=changed(view.fields, set_fields, unset, replace)))
            embed = None if keep_vector else self._embed_documents()
            part = next(_only_one(batches(records, self.settings, embed=embed, collection=self.name), self.name))
            self._note_languages(part)
            try:
                return writes.put(part, if_exists="replace", if_version=versions)
            except TextsAddedError:
                continue
            except ConflictError:
                if if_version is not None:
                    raise

    def _still_there(self, ids: list[RecordId], where: Where | None) -> list[RecordView[T]]:
        """The records of these ids, or (where) those of them that meet a condition now. Raises NotFoundError for an id that is gone."""
        if where is not None:
            wanted = {(type(record_id), record_id) for record_id in ids}
            return [view for view in self.iter(where=where, vectors=True) if (type(view.id), view.id) in wanted]
        views = self.get(ids, vectors=True)
        if missing := [record_id for record_id, view in zip(ids, views, strict=True) if view is None]:
            raise NotFoundError(f'collection "{self.name}" has no {some_ids(missing)}; use upsert to write new records')
        return [view for view in views if view is not None]

    def _vector_columns(self, ids: list[RecordId], vectors: Mapping[str, Any]) -> dict[str, Any]:
        columns: dict[str, Any] = {}
        for name, given in vectors.items():
            if name in self.settings.values:
                columns[name] = self._value_list(ids, name, given)
                continue
            spec = self.settings.spec(name)
            if given is None:
                columns[name] = None
                continue
            rows = [given] if len(ids) == 1 and np.ndim(given) == 1 else given
            if len(rows) != len(ids):
                raise DimensionError(f'vector "{name}": {len(ids)} ids need {len(ids)} vectors, got {len(rows)}')
            columns[name] = to_column(rows, spec, Context(name, lambda index: f"record {ids[index]!r}", self.name))
        return columns

    def _value_list(self, ids: list[RecordId], name: str, given: Any) -> list[Any]:
        """One sparse or multi-vector an id, checked."""
        values = [None] * len(ids) if given is None else [given] if len(ids) == 1 and not isinstance(given, list) else list(given)
        if len(values) != len(ids):
            raise DimensionError(f'vector "{name}": {len(ids)} ids need {len(ids)} vectors, got {len(values)}')
        to_values(values, self.settings.values[name].spec, Context(name, lambda index: f"record {ids[index]!r}", self.name))
        return values

    @within_limit("delete()")
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
            done = writes.delete_where(self._condition(where) or And(()))
        else:
            assert ids is not None
            done = writes.delete(check_id_list(ids, "delete()"), if_version=if_version)
        return WriteResult(done.count, done.version, self._env.monotonic() - start)

    @within_limit("load()")
    def load(
        self, path: str | os.PathLike[str], *, mapping: Mapping[str, str] | None = None, if_exists: Literal["replace", "raise"] = "replace",
        batch: int | None = None, progress: Progress = None,
    ) -> WriteResult:  # fmt: skip
        """Writes the records of a Parquet, JSONL (.gz too), CSV or NPY file. mapping: column of the file -> "id", vector or field name."""
        from vicino.collection.transfer import read_records

        records = read_records(absolute(path), self.settings, files=self._outside.files, mapping=mapping)
        write = self.add if if_exists == "raise" else self.upsert
        return write(records, batch=batch, progress=progress)

    def purge_expired(self) -> int:
        """Deletes the records whose `ttl` field has passed; they are invisible already, this returns their space."""
        if self.settings.ttl is None or self._writes is None:
            return 0
        self._purged_at = self._env.monotonic()
        return self._writes.delete_where(self._reader.expired(self.settings), with_expired=True).count

    def _purge_sometimes(self) -> None:
        if self.settings.ttl is None:
            return
        if self._purged_at is None:  # nothing that expired before the first write is in anybody's way
            self._purged_at = self._env.monotonic()
        elif self._env.monotonic() - self._purged_at > 60:
            self.purge_expired()

    # ---- inside

    def _writable(self) -> Writes:
        if isinstance(self._shard, Shard):
            assert self._writes is not None
            return self._writes
        raise ReadOnlyError(self._shard.read_only_reason)

    def _slice_bytes(self) -> int:
        limit = self._shard.budget.limit
        return SLICE_BYTES if limit is None else min(SLICE_BYTES, limit // 24)

    def _chosen_ids(self, ids: Any, where: Where | None) -> list[RecordId]:
        if (ids is None) == (where is None):
            raise InvalidArgument("update needs either ids or where=; to update every record write where={}")
        if ids is not None:
            return check_id_list(ids, "update()")
        return [view.id for view in self.iter(where=where, select=())]

    def _embed_documents(self) -> Callable[[list[str]], Any] | None:
        model = self._model
        return None if model is None else lambda texts: model.embedder.embed_documents(texts)


def _only_one(slices: Iterator[Batch], collection: str) -> Iterator[Batch]:
    """The one slice there is; more are refused before anything is written."""
    found = list(islice(slices, 2))
    if len(found) > 1:
        raise InvalidArgument(
            f'the input is larger than one commit of collection "{collection}" holds; write it in parts, or without atomic=True in slices'
        )
    return iter(found)
