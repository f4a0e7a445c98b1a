"""A graph is copied into memory by the first search that walks it, and counted; under a memory limit it stays in its file."""

from pathlib import Path

import numpy as np
import pytest

import vicino


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose one graph takes some five megabytes."""
    path = tmp_path_factory.mktemp("graphs") / "database"
    with vicino.open(path) as database:
        rows = database.create_collection("rows", dim=64, metric="cosine")
        vectors = np.random.default_rng(1).standard_normal((24_000, 64), dtype=np.float32)
        for start in range(0, len(vectors), 6000):
            rows.upsert(ids=range(start, start + 6000), vectors=vectors[start : start + 6000])
        rows.optimize()
    return path


def memory_of_a_search(database: vicino.Database) -> int:
    before = database.stats().memory_bytes
    found = database["rows"].search(np.ones(64, np.float32), limit=5)
    assert len(found) == 5
    return database.stats().memory_bytes - before


def test_the_first_search_copies_the_graph(folder: Path) -> None:
    with vicino.open(folder) as database:
        assert memory_of_a_search(database) > 5_000_000
        assert memory_of_a_search(database) == 0


def test_under_a_memory_limit_the_file_is_read(folder: Path) -> None:
    with vicino.open(folder, memory_limit="200MB") as database:
        assert memory_of_a_search(database) == 0


def test_a_reader_reads_the_file(folder: Path) -> None:
    with vicino.open(folder, mode="r") as database:
        assert memory_of_a_search(database) == 0
