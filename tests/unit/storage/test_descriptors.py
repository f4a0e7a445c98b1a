"""File descriptors: a database of many collections must not run out of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import vicino
from vicino.types import SyncLevel


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def needs_proc() -> None:
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("this system does not list descriptors")


def test_collections_whose_writes_are_durable_hold_none(tmp_path: Path) -> None:
    with vicino.open(tmp_path / "db") as database:
        before = open_descriptors()
        for number in range(20):
            database.create_collection(f"c{number}", dim=1).upsert([{"id": 1, "vector": [1]}])
        assert open_descriptors() == before


@pytest.mark.parametrize("sync", ["commit", "interval", "off"])
def test_opened_collections_hold_none(tmp_path: Path, sync: SyncLevel) -> None:
    with vicino.open(tmp_path / "db", sync=sync) as database:
        for number in range(20):
            database.create_collection(f"c{number}", dim=1).upsert([{"id": 1, "vector": [1]}])
    with vicino.open(tmp_path / "db", sync=sync) as database:
        before = open_descriptors()
        assert sum(database[name].count() for name in database) == 20
        assert open_descriptors() == before


def test_a_log_is_written_again_after_it_rested(tmp_path: Path) -> None:
    with vicino.open(tmp_path / "db") as database:
        collection = database.create_collection("c", dim=1)
        for record_id in range(3):
            collection.upsert([{"id": record_id, "vector": [1]}])
    with vicino.open(tmp_path / "db") as database:
        assert database["c"].count() == 3
