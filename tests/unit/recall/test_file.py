import json

import numpy as np
import pytest

from vicino import _core
from vicino.env import MemoryEnv
from vicino.errors import CorruptionError
from vicino.recall.calibration import Calibration
from vicino.recall.curve import Curve, Step
from vicino.recall.file import KIND, Recorded, read, write
from vicino.storage.container import ContainerWriter

CURVE = Curve(10, 1.0, 100, (Step(24, np.array([0] * 10 + [100]), 250.0),), exact_above=True)
KNOWN = Calibration(walked=((3, 500, 490),), source="queries", pool=100, seed=5, version=9, curves={(10, 1.0): CURVE})


@pytest.fixture
def env():
    made = MemoryEnv()
    made.files.mkdir("/data")
    return made


def written(env, write_sections):
    writer = ContainerWriter(env.files.create("/data/one.recall"), KIND)
    write_sections(writer)
    writer.finish()
    return _core.Container.open(env.files.map("/data/one.recall"), "one.recall")


def test_calibrations_and_kept_queries_come_back(env):
    kept = {12: np.arange(40, dtype=np.uint8).reshape(5, 8), 2: np.full((3, 4), 7, np.uint8)}
    again = read(written(env, lambda writer: write(writer, Recorded({2: KNOWN}, kept))))
    assert again.calibrations[2].to_json() == KNOWN.to_json()
    assert {slot: rows.tolist() for slot, rows in again.kept.items()} == {slot: rows.tolist() for slot, rows in kept.items()}


def test_nothing_comes_back_as_nothing(env):
    again = read(written(env, lambda writer: write(writer, Recorded())))
    assert (again.calibrations, again.kept) == ({}, {})


@pytest.mark.parametrize(
    ("facts", "queries"),
    [
        ({"calibrations": {}}, b""),
        ({"calibrations": {}, "kept": {"0": [2, 8]}}, b"too short"),
        ({"calibrations": {}, "kept": {"0": [2]}}, b"12"),
        ({"calibrations": {}, "kept": {"0": [100_000, 1]}}, bytes(100_000)),
        ({"calibrations": {}, "kept": {"x": [1, 1]}}, b"1"),
        ({"calibrations": {"0": {}}, "kept": {}}, b""),
        ([], b""),
    ],
    ids=["no kept", "fewer bytes", "no shape", "too many", "no slot", "no calibration", "no object"],
)
def test_what_was_never_written_is_refused(env, facts, queries):
    def sections(writer):
        writer.add("json", json.dumps(facts).encode())
        writer.add("queries", queries)

    with pytest.raises(CorruptionError, match=r"one\.recall"):
        read(written(env, sections))


def test_what_is_no_json_is_refused(env):
    def sections(writer):
        writer.add("json", b"\xff{")
        writer.add("queries", b"")

    with pytest.raises(CorruptionError, match="no JSON"):
        read(written(env, sections))
