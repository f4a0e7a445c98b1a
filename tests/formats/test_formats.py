"""Folders of every format that was ever released open, and answer as they did; a newer format is refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import vicino
from tests.formats.make_golden import describe
from vicino.errors import FormatError

HERE = Path(__file__).parent
FORMATS = sorted(path.name for path in HERE.glob("format-*") if path.is_dir())


@pytest.fixture(params=FORMATS)
def golden(request, tmp_path):
    """A copy of a golden folder, and what it must answer."""
    shutil.copytree(HERE / request.param, tmp_path / "data")
    return tmp_path / "data", json.loads((HERE / f"{request.param}.json").read_text())


@pytest.mark.parametrize("mode", ["r", "rw"])
def test_golden_folder_answers_as_ever(golden, mode):
    path, answers = golden
    with vicino.open(path, mode=mode) as database:
        assert json.loads(json.dumps(describe(database))) == answers


def test_golden_folder_is_sound(golden):
    with vicino.open(golden[0], mode="r") as database:
        report = database.check()
    assert report.is_sound, report


def test_golden_folder_can_be_written_and_merged(golden):
    path, answers = golden
    with vicino.open(path) as database:
        every = database["every"]
        n = every.count()
        every.upsert({"id": "one more", "n": 1})
        every.optimize()
        assert every.count() == n + 1 == len(answers["every"]["records"]) + 1
        assert database.check().is_sound


@pytest.mark.parametrize("pattern", ["catalog/CURRENT", "c-*/CURRENT"])
def test_newer_format_of_a_journal_is_refused(golden, pattern):
    path = _newer(golden[0], pattern, offset=8)
    with pytest.raises(FormatError, match="this version reads format"):
        _read_everything(path)


KINDS = {
    "format-1": ("vectors", "graph"),
    "format-1-values": ("values", "terms", "multi"),
    "format-1-codes": ("vectors", "graph"),
    "format-1-lists": ("vectors", "graph", "terms"),
    "format-1-disk": ("vectors", "graph"),
    "format-1-recall": ("vectors", "graph"),
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name, own in KINDS.items() for kind in ("*.ids", "*.fields", "*.manifest", "wal-*", *map("*.{}".format, own))],
)
def test_newer_format_of_a_file_is_refused(name, kind, tmp_path):
    shutil.copytree(HERE / name, tmp_path / "data")
    path = _newer(tmp_path / "data", f"c-*/{kind}", offset=8)
    with pytest.raises(FormatError):
        _read_everything(path)


def _read_everything(path):
    with vicino.open(path, mode="r") as database:
        for name in database.names():
            list(database[name].iter(vectors=True))


def _newer(path, pattern, offset):
    """Every file of a pattern with a format number that does not exist yet."""
    files = list(path.glob(pattern))
    assert files
    for file in files:
        content = bytearray(file.read_bytes())
        assert int.from_bytes(content[offset : offset + 4], "little") == 1, (file, bytes(content[:16]))
        content[offset : offset + 4] = (99).to_bytes(4, "little")
        file.write_bytes(content)
    return path
