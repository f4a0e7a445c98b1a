"""The core's shard without a disk: random commits, freezes, seals, merges and replacements beside a plain dict that says what is right.

Files are containers in memory. At most one seal and one other rewrite are under way at a time, as in `vicino.collection.maintenance`, and
commits go on between their beginning and their end. Every published snapshot is kept with a copy of the dict, so that it can be asked
again later; the base is turned into files and replayed, as an opening would.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vicino import _core
from vicino.filter import model
from vicino.filter.compile import compile_filter
from vicino.types import RecordId

UPSERT, DELETE, FIELDS, CONTROL = 1, 2, 3, 4
PLAIN = (0, 2, _core.Dtype.float32, _core.Metric.l2)
SPARSE = (3, 3, _core.Dtype.float32, _core.Metric.cosine)
COLUMNS = (PLAIN, SPARSE)
SLOTS = {"plain": PLAIN[0], "sparse": SPARSE[0]}
IDS: list[RecordId] = [*range(24), "0", "a", "", "a longer id than most", 2**70, -(2**70), uuid.UUID(int=1), uuid.UUID(int=2)]

Sections = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Stored:
    version: int
    fields: dict[str, Any]
    plain: bytes
    sparse: bytes | None


Oracle = dict[RecordId, Stored]


def container_bytes(kind: str, sections: Sections) -> bytes:
    """A whole container, as a file would hold it."""
    out = bytearray(_core.encode_container_header(kind))
    table = []
    for name, data in sections:
        out += bytes(-len(out) % _core.SECTION_ALIGNMENT)
        blocks = range(0, len(data), _core.CHECKSUM_BLOCK)
        table.append((name, len(out), len(data), [_core.crc32c(data[at : at + _core.CHECKSUM_BLOCK]) for at in blocks]))
        out += data
    return bytes(out + _core.encode_container_end(table, len(out)))


def container(kind: str, *sections: tuple[str, bytes]) -> _core.Container:
    return _core.Container.open(_core.Blob(container_bytes(kind, sections)), f"some.{kind}")


@dataclass(slots=True)
class Files:
    """The containers of one sealed segment."""

    ids: _core.Container
    fields: _core.Container
    vectors: dict[int, _core.Container] = field(default_factory=dict)

    def open(self, key: int) -> _core.Segment:
        return _core.open_segment(key, self.ids, self.fields, list(self.vectors.values()), [], [])


def fields_of(rewrite: _core.Rewrite) -> _core.Container:
    documents = b"".join(rewrite.documents(row, 1) for row in range(rewrite.n_rows))
    return container("fields", ("versions", rewrite.versions()), ("offsets", rewrite.document_offsets()), ("documents", documents))


def files_of(rewrite: _core.Rewrite) -> Files:
    meta, data, offsets, table, tags = rewrite.ids()
    sections = [("meta", meta), ("bytes", data), *([("offsets", offsets)] if offsets else []), ("table", table), ("tags", tags)]
    files = Files(container("ids", *sections), fields_of(rewrite))
    for column in COLUMNS:
        if rewrite.has_column(column):
            parts = [("meta", rewrite.column_meta(column)), ("rows", rewrite.vectors(column, 0, rewrite.n_rows))]
            if column[3] == _core.Metric.cosine:
                parts.append(("norms", rewrite.norms(column, 0, rewrite.n_rows)))
            if presence := rewrite.presence(column):
                parts.append(("presence", presence))
            files.vectors[column[0]] = container("vectors", *parts)
    return files


def encode_upsert(records: dict[RecordId, Stored]) -> bytes:
    documents, offsets = _core.encode_documents([record.fields for record in records.values()])
    plain = np.frombuffer(b"".join(record.plain for record in records.values()), np.uint8)
    sparse = np.frombuffer(b"".join(record.sparse or bytes(12) for record in records.values()), np.uint8)
    has = np.packbits(np.array([record.sparse is not None for record in records.values()], bool), bitorder="little")
    columns: list[Any] = [(*PLAIN, plain, None)]
    if has.any():
        columns.append((*SPARSE, sparse, None if all(record.sparse is not None for record in records.values()) else has))
    return _core.encode_upsert(list(records), documents, offsets, columns)


class ShardModel:
    """One random life of a shard. `step` does something and checks it; `check_all` asks every kept snapshot again."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.state = _core.ShardState(0)
        self.oracle: Oracle = {}
        self.version = 0
        self.log: list[tuple[int, bytes]] = []
        self.kept: list[tuple[_core.Snapshot, Oracle]] = [(self.state.snapshot(), {})]
        self.frozen: list[_core.Snapshot] = []
        self.oracles: dict[int, Oracle] = {0: {}}
        self.files: dict[int, Files] = {}
        self._finish_seal: Callable[[], None] | None = None
        self._finish_build: Callable[[], None] | None = None

    # ---- commits

    def step(self) -> None:
        act = self.chance.choices(
            [self._commit, self._freeze, self._seal, self._build, self._reopen, self._check_some], weights=[12, 2, 3, 4, 1, 2]
        )[0]
        act()

    def _commit(self) -> None:
        for _ in range(self.chance.randint(1, 3)):
            self.chance.choice([self._upsert, self._upsert, self._upsert, self._delete, self._update_fields, self._control])()
        snapshot = self.state.publish()
        assert snapshot.version == self.version == self.state.version
        self.kept.append((snapshot, dict(self.oracle)))

    def _apply(self, type: int, payload: bytes) -> None:
        self.version += 1
        self.log.append((type, payload))
        self.state.apply(type, payload, self.version)
        self.oracles[self.version] = dict(self.oracle)
        ids = self.chance.sample(IDS, 4)
        expected = [self.oracle[key].version if key in self.oracle else 0 for key in ids]
        assert self.state.live_versions(ids).tolist() == expected

    def _some_ids(self) -> list[RecordId]:
        # Now and then a batch that needs several chunks of the head.
        extra = [100 + i for i in range(self.chance.choice([0, 0, 0, 0, 90]))]
        return self.chance.sample(IDS, self.chance.randint(0, 6)) + extra

    def _fields(self) -> dict[str, Any]:
        return {"n": self.chance.randint(0, 3)} if self.chance.random() < 0.8 else {}

    def _upsert(self) -> None:
        records = {}
        for key in self._some_ids():
            plain = np.array([self.chance.randint(-3, 3), self.chance.randint(-3, 3)], np.float32).tobytes()
            sparse = np.array([self.chance.randint(0, 2) for _ in range(3)], np.float32).tobytes() if self.chance.random() < 0.4 else None
            records[key] = Stored(self.version + 1, self._fields(), plain, sparse)
        self.oracle.update(records)
        self._apply(UPSERT, encode_upsert(records))

    def _delete(self) -> None:
        ids = self._some_ids()
        for key in ids:
            self.oracle.pop(key, None)
        self._apply(DELETE, _core.encode_delete(ids))

    def _update_fields(self) -> None:
        ids = [key for key in self._some_ids() if key in self.oracle]
        documents = [self._fields() for _ in ids]
        for key, fields in zip(ids, documents, strict=True):
            before = self.oracle[key]
            self.oracle[key] = Stored(self.version + 1, fields, before.plain, before.sparse)
        self._apply(FIELDS, _core.encode_fields(ids, *_core.encode_documents(documents)))

    def _control(self) -> None:
        self._apply(CONTROL, b"{}")

    # ---- rewrites

    def _freeze(self) -> None:
        if self.version > (self.frozen[-1].version if self.frozen else self.state.base().version):
            self.frozen.append(self.state.freeze())
            self.kept.append((self.frozen[-1], dict(self.oracle)))

    def _seal(self) -> None:
        if self._finish_seal:
            self._finish_seal, finish = None, self._finish_seal
            finish()
        elif self.frozen:
            entries = self.frozen[0].entries
            rewrite, key = _core.Rewrite(self.frozen[0], [len(entries) - 1]), entries[-1]["key"]

            def finish() -> None:
                self._install(rewrite, key, advances_base=True)
                del self.frozen[0]

            self._finish_seal = finish

    def _install(self, rewrite: _core.Rewrite, key: int, *, advances_base: bool) -> None:
        output = None
        if rewrite.n_rows:
            self.files[key] = files_of(rewrite)
            output = self.files[key].open(key)
        self.state.install(rewrite, output, advances_base)
        self.kept.append((self.state.snapshot(), dict(self.oracle)))

    def _build(self) -> None:
        if self._finish_build:
            self._finish_build, finish = None, self._finish_build
            finish()
            self.kept.append((self.state.snapshot(), dict(self.oracle)))
            return
        base = self.state.base()
        sealed = [position for position, entry in enumerate(base.entries) if entry["sealed"]]
        if sealed:
            begin = self.chance.choice([self._merge, self._merge, self._rewrite_fields, self._build_vector_index, self._build_index])
            self._finish_build = begin(base, sealed)

    def _merge(self, base: _core.Snapshot, sealed: list[int]) -> Callable[[], None]:
        inputs = sorted(self.chance.sample(sealed, self.chance.randint(1, len(sealed))))
        rewrite, key = _core.Rewrite(base, inputs), self.state.next_key()
        return lambda: self._install(rewrite, key, advances_base=False)

    def _rewrite_fields(self, base: _core.Snapshot, sealed: list[int]) -> Callable[[], None]:
        position = self.chance.choice(sealed)
        key = base.entries[position]["key"]
        fields = fields_of(_core.Rewrite(base, [position], True))

        def finish() -> None:
            self.state.replace_fields(key, fields, base.version)
            self.files[key].fields = fields

        return finish

    def _build_vector_index(self, base: _core.Snapshot, sealed: list[int]) -> Callable[[], None]:
        entry = base.entries[self.chance.choice(sealed)]
        slot = self.chance.choice(list(entry["columns"]))
        kind = self.chance.choice(("graph", "ivf_flat"))
        pieces: list[bytes] = []
        base.write_vector_index(entry["key"], slot, 1, _core.Cancel(), pieces.append, kind)
        index = (_core.vector_index_section(kind), b"".join(pieces))
        opened = container("graph", ("meta", slot.to_bytes(4, "little")), index)
        return lambda: self.state.attach_vector_index(entry["key"], opened)

    def _build_index(self, base: _core.Snapshot, sealed: list[int]) -> Callable[[], None]:
        key = base.entries[self.chance.choice(sealed)]["key"]
        index = base.build_index(key, "n", "scalar", _core.Cancel())
        opened = container("index", ("path", b"n"), ("index", index))
        return lambda: self.state.attach_index(key, opened)

    # ---- what must hold

    def _reopen(self) -> None:
        """The base as files, and the log after it: what an opening would find."""
        base = self.state.base()
        check_snapshot(base, self.oracles[base.version], self.chance)
        state = _core.ShardState(base.version)
        for position, entry in enumerate(base.entries):
            if not entry["sealed"]:
                assert entry["rows"] == 0, entry
                continue
            tombstones = container("tombstones", ("words", base.tombstones(position))) if entry["live"] < entry["rows"] else None
            names = ("rows", "versions", "offsets", "documents")
            patch = container("patch", *zip(names, base.patch(position), strict=True)) if entry["updated"] else None
            state.add_segment(self.files[entry["key"]].open(entry["key"]), tombstones, patch)
        for version in range(base.version + 1, self.version + 1):
            state.apply(*self.log[version - 1], version)
        check_snapshot(state.publish(), self.oracle, self.chance)

    def _check_some(self) -> None:
        check_snapshot(*self.kept[-1], self.chance)
        check_snapshot(*self.chance.choice(self.kept), self.chance)

    def check_all(self) -> None:
        """Ends what is under way, then asks every snapshot again."""
        while self.frozen or self._finish_seal:
            self._seal()
        if self._finish_build:
            self._build()
        self._reopen()
        check_snapshot(self.state.snapshot(), self.oracle, self.chance)
        for snapshot, oracle in self.kept:
            check_snapshot(snapshot, oracle, self.chance, searches=False)


def check_snapshot(snapshot: _core.Snapshot, oracle: Oracle, chance: random.Random, *, searches: bool = True) -> None:
    """The snapshot holds exactly the oracle's records, however it is asked."""
    assert snapshot.n_records == len(oracle)
    locators = snapshot.locators(None, -1, 1 << 20)
    ids = snapshot.ids(locators)
    assert len(ids) == len(oracle)
    assert set(ids) == set(oracle)
    assert snapshot.find(ids).tolist() == locators.tolist()
    assert all(at >= 0 or key not in oracle for key, at in zip(IDS, snapshot.find(IDS), strict=True))
    assert snapshot.versions(locators).tolist() == [oracle[key].version for key in ids]
    assert [_core.decode_document(document) for document in snapshot.documents(locators)] == [oracle[key].fields for key in ids]
    rows, present = snapshot.vectors(PLAIN, locators)
    assert present.all()
    assert rows.tobytes() == b"".join(oracle[key].plain for key in ids)
    rows, present = snapshot.vectors(SPARSE, locators)
    assert present.tolist() == [oracle[key].sparse is not None for key in ids]
    assert rows.tobytes() == b"".join(oracle[key].sparse or bytes(12) for key in ids)
    if searches:
        wanted = chance.randint(0, 3)
        check_search(snapshot, oracle, None)
        having = {key: record for key, record in oracle.items() if record.fields.get("n") == wanted}
        check_search(snapshot, having, model.Equal("n", wanted))


def check_search(snapshot: _core.Snapshot, oracle: Oracle, condition: model.Condition | None) -> None:
    """Exact searches and searches for everything find the records that meet the condition, nearest first."""
    cancel = _core.Cancel()
    compiled = compile_filter(condition) if condition else None
    matches = snapshot.match(compiled, SLOTS, cancel)
    assert matches.count == len(oracle)
    if compiled:
        low, _, high = snapshot.estimate(compiled, SLOTS)
        assert low <= len(oracle) <= high
    query = np.array([0.5, 0.25], np.float32)
    distances = {key: float(np.linalg.norm(np.frombuffer(record.plain, np.float32) - query)) for key, record in oracle.items()}
    for k, exact in ((5, True), (len(oracle) + 3, False)):
        hits, _ = snapshot.search(PLAIN, query.view(np.uint8), k, 0, exact, matches, cancel)
        ids, found = hits.ids(0), hits.distances(0)
        assert len(set(ids)) == len(ids) == min(k, len(oracle))
        np.testing.assert_allclose(found, sorted(distances.values())[:k], rtol=1e-5)
        np.testing.assert_allclose(found, [distances[key] for key in ids], rtol=1e-5)
    query = np.array([1, 2, 3], np.float32)
    hits, _ = snapshot.search(SPARSE, query.view(np.uint8), 200, 0, False, matches, cancel)
    assert set(hits.ids(0)) == {key for key, record in oracle.items() if record.sparse is not None}
