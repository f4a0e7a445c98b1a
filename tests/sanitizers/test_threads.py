"""Threads that write, read, seal and merge at once. Run by themselves they find wrong answers; under a thread sanitizer, data races.

VICINO_STRESS_SECONDS says how long each test goes on (default: 2).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import vicino
from tests.property.shard_model import PLAIN, SLOTS, SPARSE, Stored, container, encode_upsert, fields_of, files_of
from vicino import _core
from vicino.collection.limits import Limits
from vicino.filter import model
from vicino.filter.compile import compile_filter

SECONDS = float(os.environ.get("VICINO_STRESS_SECONDS", "2"))
LIMITS = Limits(head_rows_max=64, merge_fan_in=2, graph_rows_min=32, close_log_bytes_max=0, updated_share_max=0.1)
N_IDS = 200


def run_together(*works: Callable[[], None]) -> None:
    """Calls each again and again in a thread of its own until time is up; raises the first error."""
    errors: list[BaseException] = []
    end = time.monotonic() + SECONDS

    def repeat(work: Callable[[], None]) -> None:
        try:
            while time.monotonic() < end and not errors:
                work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS + 120)
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]


class ShardUnderStress:
    """One writer, one builder, any number of readers. Every commit gives all its records one number, so a torn one shows."""

    def __init__(self) -> None:
        self.state = _core.ShardState(0)
        self.writer = threading.Lock()
        self.chance = np.random.default_rng(0)
        self.version = 0

    def write(self) -> None:
        with self.writer:
            self.version += 1
            fields = {"n": self.version}
            ids = self.chance.choice(N_IDS, 10, replace=False).tolist()
            if self.version % 3 == 2:
                ids = [key for key, version in zip(ids, self.state.live_versions(ids), strict=True) if version]
                self.state.apply(3, _core.encode_fields(ids, *_core.encode_documents([fields] * len(ids))), self.version)
            elif self.version % 7 == 6:
                self.state.apply(2, _core.encode_delete(ids), self.version)
            else:
                plain = np.full(2, self.version, np.float32).tobytes()
                sparse = np.ones(3, np.float32).tobytes() if self.version % 2 else None
                self.state.apply(1, encode_upsert({key: Stored(0, fields, plain, sparse) for key in ids}), self.version)
            self.state.publish()
        assert self.state.memory_bytes > 0

    def seal(self) -> None:
        with self.writer:
            if self.state.head_rows == 0:
                return
            frozen = self.state.freeze()
        entry = frozen.entries[-1]
        self._install(_core.Rewrite(frozen, [len(frozen.entries) - 1]), entry["key"], advances_base=True)

    def _install(self, rewrite: _core.Rewrite, key: int, *, advances_base: bool) -> None:
        output = files_of(rewrite).open(key) if rewrite.n_rows else None
        with self.writer:
            self.state.install(rewrite, output, advances_base)

    def build(self) -> None:
        """Seals, then one of: merge everything, new fields, a graph, an index."""
        self.seal()
        base = self.state.base()
        sealed = [position for position, entry in enumerate(base.entries) if entry["sealed"]]
        if not sealed:
            return
        entry = base.entries[sealed[0]]
        what = self.chance.integers(4)
        if what == 0 or len(sealed) > 6:
            self._install(_core.Rewrite(base, sealed), self.state.next_key(), advances_base=False)
        elif what == 1:
            fields = fields_of(_core.Rewrite(base, [sealed[0]], True))
            with self.writer:
                self.state.replace_fields(entry["key"], fields, base.version)
        elif what == 2:
            kind = self.chance.choice(["graph", "ivf"]).item()
            pieces: list[bytes] = []
            base.write_vector_index(entry["key"], PLAIN[0], 2, _core.Cancel(), pieces.append, kind)
            index = (_core.vector_index_section(kind), b"".join(pieces))
            with self.writer:
                self.state.attach_vector_index(entry["key"], container("graph", ("meta", bytes(4)), index))
        else:
            index = base.build_index(entry["key"], "n", "scalar", _core.Cancel())
            with self.writer:
                self.state.attach_index(entry["key"], container("index", ("path", b"n"), ("index", index)))

    def read(self) -> None:
        snapshot = self.state.snapshot()
        cancel = _core.Cancel()
        assert len(snapshot.entries) >= 1
        locators = snapshot.locators(None, -1, 1 << 20)
        assert len(locators) == snapshot.n_records
        ids = snapshot.ids(locators)
        assert snapshot.find(ids).tolist() == locators.tolist()
        documents = [_core.decode_document(document) for document in snapshot.documents(locators)]
        assert [document["n"] for document in documents] == snapshot.versions(locators).tolist()
        condition = compile_filter(model.Range("n", gte=snapshot.version - 20))
        matches = snapshot.match(condition, SLOTS, cancel)
        assert matches.count == sum(document["n"] >= snapshot.version - 20 for document in documents)
        snapshot.estimate(condition, SLOTS)
        snapshot.facet("n", matches, cancel)
        for column, query in ((PLAIN, np.zeros(2, np.float32)), (SPARSE, np.ones(3, np.float32))):
            for exact in (True, False):
                snapshot.search(column, query.view(np.uint8), 10, 0, exact, matches, cancel)
        snapshot.vectors(SPARSE, locators)


def test_a_shard_gives_whole_commits_while_it_is_written_sealed_and_merged() -> None:
    shard = ShardUnderStress()
    run_together(shard.write, shard.build, shard.read, shard.read)
    shard.read()


@pytest.mark.parametrize("path", [False, True])
def test_a_collection_gives_whole_commits_while_it_is_written_and_optimized(tmp_path: Any, path: bool) -> None:
    arguments = [tmp_path / "data"] if path else []
    with vicino.open(*arguments, limits=LIMITS, sync="off") as database:
        collection = database.create_collection("docs", dim=8, metric="cosine")
        collection.create_index("n")
        chance = np.random.default_rng(1)
        lock = threading.Lock()

        def write() -> None:
            with lock:
                ids, vectors = chance.choice(N_IDS, 20, replace=False).tolist(), chance.normal(size=(20, 8)).astype(np.float32)
            collection.upsert([{"id": key, "vector": vector, "n": key % 5} for key, vector in zip(ids, vectors, strict=True)])
            collection.update(where={"n": 3}, set={"seen": 1})
            collection.delete(ids[:3])

        def read() -> None:
            views = list(collection.iter(vectors=True))
            assert len({view.id for view in views}) == len(views)
            assert all(view.fields["n"] == view.id % 5 for view in views)
            hits = collection.search(np.ones(8, np.float32), limit=10, where={"n": {"$gte": 2}})
            assert all(hit.fields["n"] >= 2 for hit in hits)
            collection.count(where={"n": 3})
            collection.stats()

        def optimize() -> None:
            collection.optimize()
            time.sleep(0.05)

        run_together(write, write, read, read, optimize)
        report = database.check()
        assert report.is_sound, report
