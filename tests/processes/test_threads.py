"""Many threads of one process on one collection: each owns a range of ids and knows exactly what must be there."""

from __future__ import annotations

import random
import threading
import time

import numpy as np
import pytest

import vicino
from vicino.collection.limits import Limits
from vicino.env import RealEnv
from vicino.errors import Error

SMALL = Limits(head_rows_max=150, merge_fan_in=2, graph_rows_min=100, backlog_max=1, close_log_bytes_max=0)
IDS_EACH = 60
SECONDS = 2.5


class Writer:
    """Writes, updates and deletes its own ids at random; `there` is what an acknowledged call has left."""

    def __init__(self, docs, number):
        self.docs, self.number = docs, number
        self.ids = range(number * IDS_EACH, (number + 1) * IDS_EACH)
        self.chance = random.Random(number)
        self.there: dict[int, int] = {}

    def step(self, round_):
        chosen = self.chance.sample(self.ids, self.chance.randint(1, 8))
        match self.chance.random():
            case draw if draw < 0.5:
                self.docs.upsert([{"id": n, "vector": [n, round_], "round": round_, "writer": self.number} for n in chosen])
                self.there.update(dict.fromkeys(chosen, round_))
            case draw if draw < 0.7:
                existing = [n for n in chosen if n in self.there]
                if existing:
                    self.docs.update(existing, set={"round": round_})
                    self.there.update(dict.fromkeys(existing, round_))
            case draw if draw < 0.8:
                self.docs.update(where=(vicino.F.writer == self.number) & (vicino.F.round < round_ - 20), set={"round": round_})
                self.there.update({n: round_ for n, old in self.there.items() if old < round_ - 20})
            case _:
                assert self.docs.delete(chosen).count == sum(n in self.there for n in chosen)
                for n in chosen:
                    self.there.pop(n, None)
        if round_ % 10 == 0:
            self.check()

    def check(self):
        """Nobody else touches these ids, so what this thread reads is what it wrote, whatever is sealed or merged meanwhile."""
        found = {view.id: view.fields["round"] for view in self.docs.iter(where=vicino.F.writer == self.number)}
        assert found == self.there
        views = self.docs.get(list(self.ids), vectors=True)
        assert {view.id: view.fields["round"] for view in views if view is not None} == self.there
        assert all(view.vectors["vector"][0] == view.id for view in views if view is not None)


class Reader:
    """Looks at whole snapshots: each record once, hits in order and true to their vectors."""

    def __init__(self, docs):
        self.docs = docs

    def step(self, _round):
        ids = [view.id for view in self.docs.iter(batch=37)]
        assert len(ids) == len(set(ids))
        hits = self.docs.search([30.0, 0.0], limit=25, vectors=True)
        assert len(set(hits.ids)) == len(hits)
        distances = [hit.distance for hit in hits]
        assert distances == sorted(distances)
        for hit in hits:
            x, y = (float(value) for value in hit.vectors["vector"])
            assert hit.distance == pytest.approx(np.hypot(x - 30, y), rel=1e-4)


class Owner:
    """Changes settings and asks for maintenance."""

    def __init__(self, docs):
        self.docs = docs

    def step(self, round_):
        match round_ % 4:
            case 1:
                self.docs.create_index("round")
            case 2:
                self.docs.optimize()
            case 3:
                self.docs.drop_index("round")
            case _:
                assert self.docs.stats().n_records >= 0
        time.sleep(0.02)


def run(workers, seconds):
    """Steps every worker in a thread of its own until the time is over; raises the first error."""
    errors: list[BaseException] = []
    end = time.monotonic() + seconds

    def work(worker):
        round_ = 0
        try:
            while time.monotonic() < end and not errors:
                round_ += 1
                worker.step(round_)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def check_whole(docs, writers):
    expected = {n: round_ for writer in writers for n, round_ in writer.there.items()}
    assert {view.id: view.fields["round"] for view in docs.iter()} == expected
    assert docs.count() == len(expected)


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_threads_agree_with_what_each_of_them_did(tmp_path, kind):
    path = tmp_path / "data" if kind == "folder" else None
    with vicino.open(path, limits=SMALL, sync="off") as db:
        docs = db.create_collection("docs", dim=2, metric="l2")
        writers = [Writer(docs, number) for number in range(3)]
        run([*writers, Reader(docs), Owner(docs)], SECONDS)
        check_whole(docs, writers)
        assert db.check().is_sound, db.check()
    if path is not None:
        with vicino.open(path) as db:
            check_whole(db["docs"], writers)
            assert db.check().is_sound, db.check()


def test_threads_make_and_delete_collections_of_their_own(tmp_path):
    class Maker:
        def __init__(self, db, number):
            self.db, self.name = db, f"mine-{number}"

        def step(self, round_):
            docs = self.db.create_collection(self.name, dim=2)
            docs.upsert([{"id": n, "vector": [n, 1]} for n in range(20)])
            assert self.db[self.name].count() == 20
            self.db.rename_collection(self.name, f"{self.name}-{round_}")
            assert docs.name in self.db.names()
            self.db.delete_collection(docs.name)

    with vicino.open(tmp_path / "data", limits=Limits(head_rows_max=8, merge_fan_in=2), sync="off") as db:
        run([Maker(db, number) for number in range(3)], 1.5)
        assert db.names() == []
    assert not [name for name in (tmp_path / "data").iterdir() if name.name.startswith("c-")]


def test_closing_beside_threads_that_work_ends_them_with_closed_error(tmp_path):
    db = vicino.open(tmp_path / "data", limits=SMALL)
    docs = db.create_collection("docs", dim=2)
    ended: list[str] = []

    def work(number):
        try:
            for n in range(10**9):
                docs.upsert({"id": number * 10**9 + n, "vector": [n, 1]})
                docs.search([1, 1])
        except Error as error:
            ended.append(type(error).__name__)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    db.close()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert ended == ["ClosedError"] * 3
    with vicino.open(tmp_path / "data") as again:
        assert again.check().is_sound


class CountingEnv(RealEnv):
    """The machine, with a disk whose syncs of data take a while and are counted."""

    def __init__(self, seconds):
        super().__init__()
        self.syncs, real_create, real_open = 0, self.files.create, self.files.open

        def slow(file):
            real_sync = file.sync_data

            def sync_data():
                self.syncs += 1
                time.sleep(seconds)
                real_sync()

            file.sync_data = sync_data
            return file

        self.files.create = lambda path: slow(real_create(path))  # type: ignore[method-assign]
        self.files.open = lambda path: slow(real_open(path))  # type: ignore[method-assign]


def test_threads_that_commit_at_the_same_time_share_syncs(tmp_path):
    env = CountingEnv(0.01)
    with vicino.open(tmp_path / "data", _env=env) as db:
        docs = db.create_collection("docs", dim=2)
        before = env.syncs

        def work(number):
            for n in range(10):
                docs.upsert({"id": number * 10 + n, "vector": [n, 1]})

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert docs.count() == 160
        assert env.syncs - before < 160 / 4
