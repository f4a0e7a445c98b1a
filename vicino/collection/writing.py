"""What writes do to a shard: each is a decision over the latest state that gives a log payload.

Only effects are logged. A conditional write looks at the state under the writer lock, so it is decided in log order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, Literal

import numpy as np

from vicino import _core
from vicino.collection.core_columns import core_column, values_of
from vicino.collection.reading import SnapshotReader, read_vectors
from vicino.collection.records import Batch, encode_documents, show_id
from vicino.collection.settings import Settings
from vicino.collection.shard import DELETE, FIELDS, UPSERT, UPSERT_VALUES, Committed, Effect, Shard
from vicino.errors import ConflictError, DuplicateIdError, NotFoundError
from vicino.filter.model import Condition
from vicino.types import RecordId, VectorColumn

IfExists = Literal["replace", "raise", "keep"]
IDS_PER_COMMIT = 100_000
"""A delete by filter is committed in slices of this many records, so that its log records stay small."""
LIMIT_PER_ID = 8192
"""Bytes of memory_limit for each id of such a slice: ids of some hundred bytes, a few times, and room for everything else."""


class TextsAddedError(Exception):
    """A text index was added between reading records and writing them: they are to be analyzed for it too. Never leaves the collection."""


def rewrites_whole(settings: Settings, touched: Set[str], *, replace: bool, vectors: bool) -> bool:
    """Whether an update of these fields, or of vectors, must write records whole: terms and values go with a record, not beside it."""
    return bool(settings.texts and (replace or touched & settings.text_fields)) or (vectors and bool(settings.values or settings.texts))


def without_repeats(batch: Batch) -> Batch:
    """Keeps the last record of every id."""
    last = dict(zip(batch.ids, range(len(batch.ids)), strict=True))
    return batch if len(last) == len(batch.ids) else take(batch, sorted(last.values()))


def repeated_ids(batch: Batch) -> list[RecordId]:
    seen: set[RecordId] = set()
    return [record_id for record_id in batch.ids if record_id in seen or seen.add(record_id)]


def take(batch: Batch, rows: Sequence[int]) -> Batch:
    """Some of the records of a batch, in the order given."""
    index = np.asarray(rows, dtype=np.int64)
    blobs = [batch.blobs[int(batch.offsets[row]) : int(batch.offsets[row + 1])] for row in rows]
    offsets = np.zeros(len(rows) + 1, np.uint64)
    np.cumsum([len(blob) for blob in blobs], out=offsets[1:])
    return Batch(
        ids=[batch.ids[row] for row in rows],
        vectors={
            name: VectorColumn(column.rows[index], None if column.present is None else column.present[index])
            for name, column in batch.vectors.items()
        },
        documents=[batch.documents[row] for row in rows],
        blobs=b"".join(blobs),
        offsets=offsets,
        size_bytes=batch.size_bytes * len(rows) // max(1, len(batch.ids)),
        values={slot: column.take(rows) for slot, column in batch.values.items()},
        languages=batch.languages,
    )


def upsert_effect(batch: Batch, settings: Settings) -> Effect:
    """The log record that writes these records whole."""
    columns = []
    for name, column in batch.vectors.items():
        if column.present is not None and not column.present.any():
            continue
        rows = np.ascontiguousarray(column.rows).view(np.uint8).reshape(-1)
        presence = None if column.present is None else np.packbits(column.present, bitorder="little")
        columns.append((*core_column(settings, name), rows, presence))
    # A text index goes with every record, even one without text: that is how it is known to cover them.
    values = [
        (*column, batch.values[column[0]].data, batch.values[column[0]].offsets)
        for column in values_of(settings)
        if column[0] in batch.values
    ]
    payload = _core.encode_upsert(batch.ids, batch.blobs, batch.offsets, columns, values)
    return Effect(UPSERT_VALUES if values else UPSERT, payload, len(batch.ids))


class Writes:
    """The writes of one collection. `shard` is where they are committed, `reader` understands conditions."""

    def __init__(self, shard: Shard, reader: SnapshotReader) -> None:
        self._shard, self._reader = shard, reader

    def put(
        self, batch: Batch, *, if_exists: IfExists, if_version: int | Sequence[int] | None = None, where: Condition | None = None
    ) -> Committed:
        """Writes the records whole.

        if_exists: "raise" DuplicateIdError when an id exists, "keep" the record that exists, or "replace" it. if_version: every id must
        exist at this version, else ConflictError. where: existing records are replaced only if they meet the condition.
        Raises TextsAddedError when the batch lacks the terms of a text index.
        """
        if if_exists == "raise":
            if repeated := repeated_ids(batch):
                raise DuplicateIdError(
                    f"add met {some_ids(repeated)} twice in one call; give each id once, or use upsert to keep the last", repeated
                )
        else:
            batch = without_repeats(batch)

        def decide(state: _core.ShardState) -> Effect | None:
            settings = self._shard.settings
            if any(entry.slot not in batch.values for entry in settings.texts.values()):
                raise TextsAddedError
            chosen = batch
            if if_exists != "replace" or if_version is not None or where is not None:
                chosen = self._chosen(state, batch, if_exists, if_version, where)
            return upsert_effect(chosen, settings) if chosen.ids else None

        return self._shard.commit(decide, reads=where is not None or self._shard.settings.ttl is not None)

    def _chosen(
        self, state: _core.ShardState, batch: Batch, if_exists: IfExists, if_version: int | Sequence[int] | None, where: Condition | None
    ) -> Batch:
        versions = state.live_versions(batch.ids)
        exists = versions > 0
        if self._shard.settings.ttl is not None:  # an expired record is not there, although its row still is
            exists &= self._reader.find(state.snapshot(), batch.ids, self._shard.settings) >= 0
        if if_version is not None:
            check_versions(batch.ids, np.where(exists, versions, 0), if_version)
        if if_exists == "raise" and exists.any():
            taken = [record_id for record_id, is_there in zip(batch.ids, exists, strict=True) if is_there]
            raise DuplicateIdError(
                f'collection "{self._shard.name}" already has {some_ids(taken)}; upsert replaces them, upsert(if_absent=True) keeps them',
                taken,
            )
        keep = ~exists if if_exists == "keep" else np.ones(len(batch.ids), bool)
        if where is not None:
            snapshot = state.snapshot()
            found = self._reader.match(snapshot, where, self._shard.settings, _core.Cancel())
            met = set(snapshot.locators(found, -1, snapshot.n_records).tolist())
            locators = snapshot.find(batch.ids)
            keep &= ~exists | np.array([locator in met for locator in locators.tolist()], bool)
        return batch if keep.all() else take(batch, np.flatnonzero(keep).tolist())

    def change_settings(self, change: Callable[[Settings], Settings]) -> None:
        """Logs new settings."""
        self._shard.change_settings(change)

    def delete(self, ids: Sequence[RecordId], *, if_version: int | None = None) -> Committed:
        """Deletes the records there are among `ids`."""

        def decide(state: _core.ShardState) -> Effect | None:
            versions = state.live_versions(list(ids))
            if if_version is not None:
                check_versions(ids, versions, if_version)
            there = [record_id for record_id, version in zip(ids, versions.tolist(), strict=True) if version]
            there = list(dict.fromkeys(there))
            return Effect(DELETE, _core.encode_delete(there), len(there)) if there else None

        return self._shard.commit(decide)

    def delete_where(self, condition: Condition, *, with_expired: bool = False) -> Committed:
        """Deletes every record that meets the condition, in slices; each slice is atomic."""
        total, last = 0, Committed(self._shard.version, 0)
        while True:

            def decide(state: _core.ShardState) -> Effect | None:
                ids = self._ids_where(state.snapshot(), condition, with_expired)
                return Effect(DELETE, _core.encode_delete(ids), len(ids)) if ids else None

            last = self._shard.commit(decide, reads=True)
            total += last.count
            if last.count < self._ids_per_commit():
                return Committed(last.version, total, last.delayed_s)

    def _ids_where(self, snapshot: _core.Snapshot, condition: Condition, with_expired: bool) -> list[RecordId]:
        if with_expired:
            matches = snapshot.match(self._reader.compiled(condition), {}, _core.Cancel())
        else:
            matches = self._reader.match(snapshot, condition, self._shard.settings, _core.Cancel())
        return snapshot.ids(snapshot.locators(matches, -1, self._ids_per_commit()))

    def _ids_per_commit(self) -> int:
        limit = self._shard.budget.limit
        return IDS_PER_COMMIT if limit is None else min(IDS_PER_COMMIT, limit // LIMIT_PER_ID)

    def update(
        self,
        ids: Sequence[RecordId],
        *,
        set_fields: Mapping[str, Any],
        unset: Sequence[str],
        replace: bool,
        vectors: Mapping[str, VectorColumn | None] | None = None,
        if_version: int | None = None,
        where: Condition | None = None,
    ) -> Committed:
        """Changes fields and named vectors (None: removes them) of existing records, in one commit; the rest of them stays.

        Without vectors, no vector is touched. where: the ids were found by this condition; it is asked again of the latest state, and
        without vectors decides alone which records change.
        """

        def decide(state: _core.ShardState) -> Effect | None:
            snapshot, settings = state.snapshot(), self._shard.settings
            if rewrites_whole(settings, {*set_fields, *unset}, replace=replace, vectors=vectors is not None):
                raise TextsAddedError
            rows, chosen = self._still_meant(snapshot, ids, where, everything=vectors is None)
            if not chosen:
                return None
            locators = self._existing(snapshot, chosen, settings)
            if if_version is not None:
                check_versions(chosen, snapshot.versions(locators), if_version)
            documents = [changed(_core.decode_document(document), set_fields, unset, replace) for document in snapshot.documents(locators)]
            settings.schema.check(documents, lambda index: f"record {show_id(chosen[index])}")
            blobs, offsets = encode_documents(documents, lambda index: f"record {show_id(chosen[index])}")
            if vectors is None:
                return Effect(FIELDS, _core.encode_fields(list(chosen), blobs, offsets), len(chosen))
            columns = read_vectors(snapshot, locators, settings)
            for name, column in vectors.items():
                gone = VectorColumn(np.zeros_like(columns[name].rows), np.zeros(len(chosen), bool))
                columns[name] = (
                    gone
                    if column is None
                    else VectorColumn(column.rows[rows], column.present if column.present is None else column.present[rows])
                )
            return upsert_effect(Batch(list(chosen), columns, documents, blobs, offsets, len(blobs)), settings)

        return self._shard.commit(decide, reads=True)

    def _still_meant(
        self, snapshot: _core.Snapshot, ids: Sequence[RecordId], where: Condition | None, *, everything: bool
    ) -> tuple[list[int], Sequence[RecordId]]:
        """The ids that an update by condition changes, and their places among `ids`; without a condition all of them."""
        if where is None:
            return list(range(len(ids))), ids
        matches = self._reader.match(snapshot, where, self._shard.settings, _core.Cancel())
        found = snapshot.ids(snapshot.locators(matches, -1, snapshot.n_records))
        if everything:
            return [], found
        met = {(type(record_id), record_id) for record_id in found}
        rows = [row for row, record_id in enumerate(ids) if (type(record_id), record_id) in met]
        return rows, [ids[row] for row in rows]

    def _existing(self, snapshot: _core.Snapshot, ids: Sequence[RecordId], settings: Settings) -> Any:
        locators = self._reader.find(snapshot, ids, settings)
        if (locators < 0).any():
            missing = [ids[index] for index in np.flatnonzero(locators < 0).tolist()]
            raise NotFoundError(f'collection "{self._shard.name}" has no {some_ids(missing)}; use upsert to write new records')
        return locators


def changed(document: dict[str, Any], set_fields: Mapping[str, Any], unset: Sequence[str], replace: bool) -> dict[str, Any]:
    """A document with top-level fields set and removed; with `replace` only the fields set are left."""
    result = dict(set_fields) if replace else {**document, **set_fields}
    for name in unset:
        result.pop(name, None)
    return result


def check_versions(ids: Sequence[RecordId], versions: Any, wanted: int | Sequence[int]) -> None:
    """Raises ConflictError for the first record that is not at its wanted version; a wanted 0 means that it must not exist."""
    each = [wanted] * len(ids) if isinstance(wanted, int) else wanted
    for record_id, version, asked in zip(ids, versions.tolist(), each, strict=True):
        if version != asked:
            state = f"is at version {version}" if version else "does not exist"
            raise ConflictError(f"record {show_id(record_id)} {state}, if_version asked for {asked}; read it again and retry")


def some_ids(ids: Sequence[RecordId]) -> str:
    shown = ", ".join(show_id(record_id) for record_id in ids[:5])
    more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
    return f"{'record' if len(ids) == 1 else 'records'} {shown}{more}"
