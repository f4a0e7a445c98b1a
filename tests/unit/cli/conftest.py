"""The command line in this process, in a folder of its own, without settings of whoever runs the tests."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import vicino
from vicino.cli.app import run


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("VICINO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs one command line given as words."""

    def call(*words: str, stdin: str = "") -> Ran:
        stream: Any = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", stream)
        code = run(list(words))
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return call


@pytest.fixture
def data(place: Path) -> str:
    """A database with one collection of three records."""
    with vicino.open(place / "data") as db:
        docs = db.create_collection("docs", dim=2)
        docs.upsert([{"id": "a", "vector": [1, 0], "year": 2024}, {"id": 7, "vector": [0, 1], "year": 1999}, {"id": "7", "vector": [1, 1]}])
    return "data"
