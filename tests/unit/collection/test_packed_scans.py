"""Codes under a filter that is asked again and again are packed: the same answers, memory that is counted, none under a limit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicino
from vicino import F

ROWS, DIM, ENOUGH = 6000, 64, 40
VECTORS = np.random.default_rng(3).standard_normal((ROWS, DIM), dtype=np.float32)
QUERIES = np.random.default_rng(4).standard_normal((12, DIM), dtype=np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "database"
    with vicino.open(path) as database:
        rows = database.create_collection("rows", dim=DIM, metric="l2")
        rows.create_index("band")
        rows.upsert(ids=range(ROWS), vectors=VECTORS, fields=[{"band": row % 10} for row in range(ROWS)])
        rows.optimize()
    return path


def answers(rows: Any, band: int) -> list[list[tuple[int, float]]]:
    return [[(hit.id, hit.score) for hit in rows.search(query, where=F.band == band)] for query in QUERIES]


def ask_often(rows: Any, band: int) -> None:
    for _ in range(ENOUGH):
        rows.search(QUERIES[0], where=F.band == band)


def sealed_bytes(rows: Any) -> int:
    """Memory of the one sealed segment."""
    return rows.stats().segments[0].memory_bytes


def test_a_packed_scan_finds_the_same_at_the_same_distances(folder: Path) -> None:
    with vicino.open(folder) as database:
        rows = database["rows"]
        assert rows.search(QUERIES[0], where=F.band == 7).plan.segments[0].strategy == "scan of codes"
        first = answers(rows, 7)[:2]
        ask_often(rows, 7)
        assert answers(rows, 7)[:2] == first


def test_a_packed_scan_finds_the_nearest_that_match(folder: Path) -> None:
    with vicino.open(folder) as database:
        ask_often(database["rows"], 3)
        distances = ((QUERIES[:, None, :].astype(np.float64) - VECTORS[None, 3::10]) ** 2).sum(2)
        expected = (3 + 10 * np.argsort(distances, axis=1)[:, :10]).tolist()
        assert [[record_id for record_id, _ in answer] for answer in answers(database["rows"], 3)] == expected


def test_packed_codes_of_each_filter_count_as_memory_of_the_segment(folder: Path) -> None:
    with vicino.open(folder) as database:
        rows = database["rows"]
        ask_often(rows, 1)
        one = sealed_bytes(rows)
        ask_often(rows, 2)
        assert sealed_bytes(rows) - one >= ROWS // 10 * DIM // 2


def test_a_filter_is_packed_once(folder: Path) -> None:
    with vicino.open(folder) as database:
        rows = database["rows"]
        ask_often(rows, 1)
        packed = sealed_bytes(rows)
        ask_often(rows, 1)
        assert sealed_bytes(rows) == packed


def test_packed_codes_go_with_the_snapshot_they_are_of(folder: Path) -> None:
    with vicino.open(folder) as database:
        rows = database["rows"]
        rows.search(QUERIES[0], where=F.band == 1)
        before = sealed_bytes(rows)
        ask_often(rows, 1)
        assert sealed_bytes(rows) > before
        rows.upsert({"id": "new", "vector": VECTORS[0], "band": 1})
        rows.search(QUERIES[0], where=F.band == 1)
        assert sealed_bytes(rows) == before
        rows.delete(["new"])


def test_under_a_memory_limit_nothing_is_packed(folder: Path) -> None:
    with vicino.open(folder, memory_limit="200MB") as database:
        rows = database["rows"]
        rows.search(QUERIES[0], where=F.band == 4)
        before = sealed_bytes(rows)
        ask_often(rows, 4)
        assert sealed_bytes(rows) == before


def test_a_batch_under_a_kept_filter_finds_what_single_searches_find(folder: Path) -> None:
    queries = np.random.default_rng(5).standard_normal((200, DIM), dtype=np.float32)
    with vicino.open(folder, threads=3) as database:
        rows = database["rows"]
        together = [found.ids for found in rows.search_many(queries, where=F.band == 8)]
        assert together == [rows.search(query, where=F.band == 8).ids for query in queries]


WALKS_BEFORE_PACKING = (10.0, 16.0, 8.0)
"""Costs by which a walk under a fifth of the rows is cheaper than a scan of their codes, and dearer than one of packed codes."""


def where_a_walk_comes_first(rows: Any) -> Any:
    rows._shard.snapshot().set_costs(rows.settings.vectors["vector"].slot, [WALKS_BEFORE_PACKING])
    return F.band < 2


def test_walks_that_packed_scans_would_beat_turn_to_these(folder: Path) -> None:
    with vicino.open(folder) as database:
        rows = database["rows"]
        where = where_a_walk_comes_first(rows)
        strategies = [rows.search(QUERIES[0], where=where, ef=64).plan.segments[0].strategy for _ in range(ENOUGH)]
        walks = strategies.count("graph")
        assert 0 < walks < ENOUGH
        assert strategies == ["graph"] * walks + ["scan of codes"] * (ENOUGH - walks)
        matching = np.flatnonzero(np.arange(ROWS) % 10 < 2)
        distances = ((QUERIES[0].astype(np.float64) - VECTORS[matching]) ** 2).sum(1)
        assert rows.search(QUERIES[0], where=where, ef=64).ids == matching[np.argsort(distances)[:10]].tolist()


def test_all_queries_of_a_batch_go_one_way(folder: Path) -> None:
    queries = np.random.default_rng(5).standard_normal((200, DIM), dtype=np.float32)
    found = []
    for threads in (1, 3):
        with vicino.open(folder, threads=threads) as database:
            rows = database["rows"]
            where = where_a_walk_comes_first(rows)
            calls = [rows.search_many(queries, where=where, ef=64) for _ in range(2)]
            assert [call[0].plan.segments[0].strategy for call in calls] == ["graph", "scan of codes"]
            found.append([[result.ids for result in call] for call in calls])
    assert found[0] == found[1]


def test_under_a_memory_limit_walks_stay(folder: Path) -> None:
    with vicino.open(folder, memory_limit="200MB") as database:
        rows = database["rows"]
        where = where_a_walk_comes_first(rows)
        assert {rows.search(QUERIES[0], where=where, ef=64).plan.segments[0].strategy for _ in range(ENOUGH)} == {"graph"}
