"""What the command prints is a contract: every scenario beside this file gives what is written in it."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from scenarios import SCENARIOS, played, quiet_place


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_command_prints_what_is_written(path: Path, tmp_path: Path) -> None:
    stored = path.read_text()
    with quiet_place(tmp_path):
        found = played(stored, tmp_path)
    changed = "\n".join(difflib.unified_diff(stored.splitlines(), found.splitlines(), path.name, "now", lineterm="", n=2))
    assert not changed, f"if the change is meant, run tests/golden/scenarios.py\n{changed}"


def test_every_command_has_a_json_document_on_record() -> None:
    from vicino.cli.app import COMMANDS

    text = Path(__file__).with_name("json.txt").read_text()
    shown = {line.split()[2] for line in text.splitlines() if line.startswith("$ ") and "--json" in line}
    assert shown >= COMMANDS.keys()
