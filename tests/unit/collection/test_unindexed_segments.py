"""Sealed segments without an index are scanned by codes: those of their heads, carried over the seal, or such as searches make."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicino
from benchmarks.datasets import synthetic_batches
from vicino import F
from vicino.collection.limits import Limits
from vicino.segment.memory import LIMIT_MIN

CODED, SCANNED = "scan of codes", "scan"
UNINDEXED = Limits(head_rows_max=1 << 30, head_bytes_max=1 << 40, graph_rows_min=1 << 30, close_log_bytes_max=1 << 40)
"""Nothing is sealed unless it is asked for, and no graph is built."""
ENOUGH = 300
"""Searches after which the rows of these tests have codes, even where codes were given up before: those are not made anew at once."""
WAIT_S = 30


def rows_of(n: int, dim: int = 96, seed: int = 1) -> np.ndarray:
    return next(synthetic_batches(n, dim, batch=n, seed=seed))


ROWS, QUERIES = np.split(rows_of(6030), [6000])


@pytest.fixture
def database() -> Iterator[vicino.Database]:
    with vicino.open(limits=UNINDEXED) as database:
        yield database


def filled(database: Any, rows: np.ndarray = ROWS, **spec: Any) -> Any:
    """All rows in the head, with the fields `even` and `tenth`."""
    collection = database.create_collection("rows", dim=rows.shape[1], **spec)
    for first in range(0, len(rows), 1000):
        part = range(first, min(first + 1000, len(rows)))
        collection.upsert(ids=part, vectors=rows[first : part.stop], fields=[{"even": i % 2 == 0, "tenth": i % 10} for i in part])
    return collection


def seal(collection: Any) -> Any:
    """Makes the head a segment, and waits until all is done that comes with it."""
    shard, maintenance = collection._shard, collection._maintenance
    shard.on_frozen = lambda: None  # so that the job that is waited for is the one that seals
    shard.freeze()
    maintenance.schedule().wait(WAIT_S)
    shard.on_frozen = maintenance.schedule
    assert not shard.frozen
    return collection


def answers(collection: Any, **search: Any) -> list[tuple[list[Any], list[float]]]:
    found = [collection.search(query, limit=10, **search) for query in QUERIES]
    return [(each.ids, [hit.distance for hit in each]) for each in found]


def steps(collection: Any, **search: Any) -> list[tuple[str, str]]:
    """How each segment and the head are searched."""
    plan = collection.search(QUERIES[0], limit=10, **search).plan
    return [(step.strategy, step.codes) for step in plan.segments if step.strategy != "none"]


def code(collection: Any) -> None:
    """Searches until it is fast."""
    for _ in range(ENOUGH):
        collection.search(QUERIES[0], limit=10)


def segment_bytes(collection: Any) -> int:
    return sum(entry["memory_bytes"] for entry in collection._shard.state.snapshot().entries if entry["sealed"])


# ---- carried over a seal


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_a_seal_changes_neither_what_is_found_nor_how(database: Any, metric: str, dtype: str) -> None:
    collection = filled(database, metric=metric, dtype=dtype)
    before = answers(collection)
    assert (steps(collection), steps(seal(collection))) == ([(CODED, "1bit")], [(CODED, "1bit")])
    assert answers(collection) == before == answers(collection, exact=True)


def test_few_rows_are_read_after_a_seal(database: Any) -> None:
    collection = seal(filled(database))
    plan = collection.search(QUERIES[0], limit=10).plan
    assert sum(step.rows_read for step in plan.segments) < 1000


def test_a_plan_tells_how_a_segment_was_scanned(database: Any) -> None:
    plan = str(seal(filled(database)).explain(QUERIES[0], limit=10))
    assert "segment 1: 6,000 rows, 6,000 candidates, scan of codes" in plan
    assert "by codes of 1 bit" in plan


def test_an_exact_search_reads_every_row_of_a_segment(database: Any) -> None:
    assert steps(seal(filled(database)), exact=True) == [(SCANNED, "")]


@pytest.mark.parametrize("first", [0, 70, 4200], ids=["from the first row on", "from an early chunk on", "from a late chunk on"])
def test_rows_that_a_seal_moves_are_coded_anew(database: Any, first: int) -> None:
    collection = filled(database)
    collection.delete(range(first, 6000, 9))
    collection.upsert(ids=range(first + 1, 6000, 90), vectors=-ROWS[first + 1 :: 90])
    before = answers(collection)
    seal(collection)
    assert steps(collection) == [(CODED, "1bit")]
    assert answers(collection) == before == answers(collection, exact=True)


@pytest.mark.parametrize("left", [5999, 5984, 5983, 4097, 4096, 4095, 3000])
def test_the_newest_rows_that_a_head_lost_leave_no_codes(database: Any, left: int) -> None:
    collection = filled(database)
    collection.delete(range(left, 6000))
    before = answers(collection)
    seal(collection)
    assert steps(collection) == [(CODED, "1bit")]
    assert answers(collection) == before == answers(collection, exact=True)
    assert collection.search(ROWS[left], limit=1).ids[0] < left


def test_deleted_and_changed_rows_of_a_segment_are_not_found(database: Any) -> None:
    collection = seal(filled(database))
    collection.delete(range(0, 6000, 2))
    collection.upsert(ids=range(1, 200, 2), vectors=-ROWS[1:200:2])
    assert steps(collection) == [(CODED, "1bit"), (SCANNED, "")]
    assert answers(collection) == answers(collection, exact=True)
    assert not any(record_id % 2 == 0 for ids, _ in answers(collection) for record_id in ids)


def test_expired_records_of_a_segment_are_not_found(database: Any) -> None:
    collection = database.create_collection("rows", dim=96, ttl="until")
    until = ["2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z"]
    collection.upsert(ids=range(6000), vectors=ROWS, fields=[{"until": until[i % 2]} for i in range(6000)])
    seal(collection)
    assert steps(collection) == [(CODED, "1bit")]
    assert answers(collection) == answers(collection, exact=True)
    assert all(record_id % 2 for ids, _ in answers(collection) for record_id in ids)


@pytest.mark.parametrize("where", [F.even == True, F.tenth == 3], ids=["half", "tenth"])  # noqa: E712
def test_only_matching_rows_of_a_segment_are_found(database: Any, where: Any) -> None:
    collection = seal(filled(database))
    assert steps(collection, where=where) == [(CODED, "1bit")]
    assert answers(collection, where=where) == answers(collection, where=where, exact=True)


def test_records_without_the_vector_are_passed_over_in_a_segment(database: Any) -> None:
    collection = database.create_collection("rows", vectors={"a": vicino.VectorSpec(96), "b": vicino.VectorSpec(96)})
    for first in range(0, 6000, 500):
        part = range(first, first + 500)
        collection.upsert([{"id": i, "a": ROWS[i]} | ({"b": ROWS[i]} if i % 3 and i > 1500 else {}) for i in part])
    before = answers(collection, vector="b")
    seal(collection)
    assert steps(collection, vector="b") == [(CODED, "1bit")]
    assert answers(collection, vector="b") == before == answers(collection, vector="b", exact=True)


def test_vectors_that_are_kept_in_eight_bits_are_found_by_the_codes_of_their_head(database: Any) -> None:
    collection = seal(filled(database, keep_raw=False))
    assert steps(collection) == [(CODED, "1bit")]
    assert answers(collection) == answers(collection, exact=True)


def test_heads_that_were_sealed_one_by_one_are_found_together(database: Any) -> None:
    collection = seal(filled(database, ROWS[:3000]))
    collection.upsert(ids=range(3000, 6000), vectors=ROWS[3000:])
    seal(collection)
    assert steps(collection) == [(CODED, "1bit")] * 2
    assert answers(collection) == answers(collection, exact=True)


def test_small_segments_are_scanned_exactly(database: Any) -> None:
    collection = seal(filled(database, ROWS[:2000]))
    code(collection)
    assert (steps(collection), segment_bytes(collection) < 2000) == ([(SCANNED, "")], True)


@pytest.mark.parametrize("spec", [{"index": "flat"}, {"metric": "l1"}, {"dtype": "int8", "metric": "l2"}], ids=["flat", "l1", "int8"])
def test_where_every_row_is_read_there_are_no_codes(database: Any, spec: Any) -> None:
    rows = ROWS if "dtype" not in spec else (ROWS * 400).clip(-128, 127).astype(np.int8)
    collection = seal(filled(database, rows, **spec))
    for _ in range(50):
        assert [step.strategy for step in collection.search(rows[3], limit=10).plan.segments][:1] == [SCANNED]
    assert segment_bytes(collection) < 2000


# ---- made by searches


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose one segment has no index."""
    path = tmp_path_factory.mktemp("unindexed") / "database"
    with vicino.open(path, limits=UNINDEXED) as database:
        seal(filled(database))
    return path


@pytest.mark.parametrize("mode", ["rw", "r"])
def test_searches_of_an_opened_segment_make_codes(folder: Path, mode: Any) -> None:
    with vicino.open(folder, mode=mode, limits=UNINDEXED) as database:
        collection = database["rows"]
        assert steps(collection) == [(SCANNED, "")]
        before = answers(collection)
        code(collection)
        assert steps(collection) == [(CODED, "1bit")]
        assert answers(collection) == before == answers(collection, exact=True)


def test_codes_are_made_a_part_at_a_time(folder: Path) -> None:
    with vicino.open(folder, limits=UNINDEXED) as database:
        collection = database["rows"]
        read = [sum(step.rows_read for step in collection.search(QUERIES[0], limit=10).plan.segments) for _ in range(60)]
        assert read[:8] == [6000] * 8
        assert read[8:] == sorted(read[8:], reverse=True)
        assert 3000 > read[20] > read[59]


def test_exact_searches_make_no_codes(folder: Path) -> None:
    with vicino.open(folder, limits=UNINDEXED) as database:
        for _ in range(60):
            database["rows"].search(QUERIES[0], limit=10, exact=True)
        assert segment_bytes(database["rows"]) < 2000


def test_batches_make_codes(folder: Path) -> None:
    with vicino.open(folder, limits=UNINDEXED) as database:
        collection = database["rows"]
        single = [ids for ids, _ in answers(collection, exact=True)]
        for _ in range(4):
            assert [found.ids for found in collection.search_many(QUERIES, limit=10)] == single
        assert steps(collection) == [(CODED, "1bit")]


def test_searches_make_codes_of_what_a_merge_wrote(database: Any) -> None:
    collection = seal(filled(database, ROWS[:3000]))
    collection.upsert(ids=range(3000, 6000), vectors=ROWS[3000:])
    collection.optimize()
    assert steps(collection) == [(SCANNED, "")]
    code(collection)
    assert steps(collection) == [(CODED, "1bit")]
    assert answers(collection) == answers(collection, exact=True)


def test_codes_outlive_changes_of_everything_but_the_vectors(database: Any) -> None:
    collection = seal(filled(database))
    collection.create_index("tenth").wait(WAIT_S)
    collection.update(range(0, 6000, 5), set={"tenth": 77})
    assert steps(collection) == [(CODED, "1bit")]


def test_threads_that_search_find_the_same_while_codes_come_and_go(folder: Path) -> None:
    with vicino.open(folder, limits=UNINDEXED) as database:
        collection = database["rows"]
        truth = [ids for ids, _ in answers(collection, exact=True)]
        wrong: list[str] = []
        is_done = threading.Event()

        def search() -> None:
            while not is_done.is_set():
                for query, ids in zip(QUERIES, truth, strict=True):
                    if collection.search(query, limit=10).ids != ids:
                        wrong.append(f"another answer than {ids}")

        threads = [threading.Thread(target=search) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(6):
            code(collection)
            collection._shard.state.give_up_codes()
        is_done.set()
        for thread in threads:
            thread.join()
        assert wrong == []


def test_a_reader_keeps_codes_of_segments_that_stay_when_there_is_a_new_manifest(folder: Path) -> None:
    with vicino.open(folder, mode="r") as database:
        collection: Any = database["rows"]
        code(collection)
        held = segment_bytes(collection)
        collection._shard._load()
        assert (steps(collection), segment_bytes(collection)) == ([(CODED, "1bit")], held)
        assert answers(collection) == answers(collection, exact=True)


# ---- memory


def test_codes_of_a_segment_count_as_memory_until_there_is_an_index() -> None:
    with vicino.open(limits=Limits(head_rows_max=1 << 30, head_bytes_max=1 << 40, graph_rows_min=7000)) as database:
        collection = seal(filled(database))
        codes = segment_bytes(collection)
        assert 6000 * 96 // 8 <= codes <= 2 * 8192 * (128 // 8 + 8)
        assert collection.stats().memory_bytes >= codes
        collection.upsert(ids=range(6000, 8000), vectors=ROWS[:2000])
        collection.optimize()
        assert collection.stats().segments[0].indexes == 1
        assert segment_bytes(collection) < codes / 10


def test_a_write_that_would_be_refused_takes_the_room_of_codes() -> None:
    with vicino.open(limits=UNINDEXED, memory_limit=LIMIT_MIN) as database:
        collection = seal(filled(database, ROWS[:2400]))
        held = segment_bytes(collection)
        budget = collection._shard.budget
        assert held > 2400 * 96 // 8
        with budget.reserve(budget.available() + held // 2, "a write"):
            assert (segment_bytes(collection) < 2000, steps(collection)) == (True, [(SCANNED, "")])


def test_no_codes_are_made_where_less_than_half_of_the_memory_is_free(folder: Path) -> None:
    with vicino.open(folder, limits=UNINDEXED, memory_limit=LIMIT_MIN) as database:
        collection = database["rows"]
        with collection._shard.budget.reserve(LIMIT_MIN // 2, "a write"):
            code(collection)
            assert (segment_bytes(collection) < 2000, steps(collection)) == (True, [(SCANNED, "")])
        code(collection)
        assert steps(collection) == [(CODED, "1bit")]


def test_a_vector_that_becomes_flat_gives_up_its_codes(database: Any) -> None:
    collection = seal(filled(database))
    assert segment_bytes(collection) > 6000 * 96 // 8
    collection.set_index("flat").wait(WAIT_S)
    assert segment_bytes(collection) < 2000
