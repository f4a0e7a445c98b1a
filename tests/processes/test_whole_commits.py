"""Many threads on one database: commits stay whole, readers see one state each, nothing is lost between them."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import vicino
from tests.property.invariants import check_sound
from vicino.collection.limits import Limits

WRITERS, ROUNDS, PER_COMMIT = 4, 40, 7


@pytest.mark.timeout(120)
def test_writers_and_readers_at_once(tmp_path):
    """Writer w puts commits of seven records with the round in each, updates and deletes its own; readers want all seven or none."""
    failures: list[str] = []
    ended = threading.Event()
    with vicino.open(tmp_path / "data", limits=Limits(head_rows_max=64, merge_fan_in=2, graph_rows_min=32)) as database:
        docs = database.create_collection("docs", dim=4)

        def write(writer: int) -> None:
            chance = np.random.default_rng(writer)
            for number in range(ROUNDS):
                ids = [f"{writer}-{number % 10}-{row}" for row in range(PER_COMMIT)]
                docs.upsert(
                    ids=ids, vectors=chance.random((PER_COMMIT, 4), np.float32), fields=[{"round": number, "by": writer}] * PER_COMMIT
                )
                if number % 3 == 0:
                    docs.update(ids, set={"seen": number})
                if number % 7 == 0:
                    docs.delete(ids)

        def read() -> None:
            while not ended.is_set():
                groups: dict[tuple[int, int], list[object]] = {}
                for view in docs.iter():
                    groups.setdefault((view.fields["by"], view.fields["round"] % 10), []).append(
                        (view.fields["round"], view.fields.get("seen"))
                    )
                for key, rows in groups.items():
                    if len(rows) != PER_COMMIT or len(set(rows)) > 1:
                        failures.append(f"{key}: {rows}")
                hits = docs.search([1, 1, 1, 1], limit=20)
                if len({hit.id for hit in hits}) != len(hits):
                    failures.append(f"hits twice: {hits.ids}")

        def guarded(work, *arguments):
            try:
                work(*arguments)
            except Exception as error:
                failures.append(repr(error))

        writers = [threading.Thread(target=guarded, args=(write, writer)) for writer in range(WRITERS)]
        readers = [threading.Thread(target=guarded, args=(read,)) for _ in range(3)]
        for thread in [*writers, *readers]:
            thread.start()
        for thread in writers:
            thread.join()
        ended.set()
        for thread in readers:
            thread.join()
        assert not failures, failures[:3]
        expected = {f"{writer}-{slot}-{row}" for writer in range(WRITERS) for slot in range(10) for row in range(PER_COMMIT)}
        gone = {f"{writer}-{number % 10}-{row}" for writer in range(WRITERS) for number in (35,) for row in range(PER_COMMIT)}
        assert {view.id for view in docs.iter()} == expected - gone
        check_sound(database)


@pytest.mark.timeout(60)
def test_counters_raised_by_many_threads_lose_nothing(tmp_path):
    """Read, then write if the version is still the same: every increment counts."""
    with vicino.open(tmp_path / "data", sync="off") as database:
        docs = database.create_collection("docs")
        docs.upsert({"id": 1, "n": 0})

        def raise_it() -> None:
            done = 0
            while done < 25:
                view = docs[1]
                try:
                    docs.update(1, set={"n": view.fields["n"] + 1}, if_version=view.version)
                except vicino.errors.ConflictError:
                    continue
                done += 1

        threads = [threading.Thread(target=raise_it) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert docs[1].fields["n"] == 100
