"""Every command, option, setting, limit and error class is documented, and generated pages are what the code says."""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from vicino import errors
from vicino.cli.app import COMMANDS
from vicino.cli.exit_codes import CODE_OF_KIND, MEANING
from vicino.collection.limits import Limits
from vicino.collection.settings import Settings
from vicino.config import SETTINGS
from vicino.errors import Error

ROOT = Path(__file__).resolve().parent.parent.parent
REFERENCE = ROOT / "docs" / "reference"
sys.path.insert(0, str(ROOT / "scripts"))
RESULT = {
    "command": "python -m benchmarks.ann curves --set tiny", "date": "2026-01-01T00:00:00", "commit": "0123456789ab",
    "machine": {"cpu": "a processor", "cores": 1, "file_system": "ext4", "fsyncs_per_s": 1},
    "figures": [{"name": "a", "got": "b", "target": "", "met": None}],
}  # fmt: skip


def error_classes() -> list[type[Error]]:
    return [found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, Error)]


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.__name__)
def test_every_error_has_its_anchor(error: type[Error]) -> None:
    text = (REFERENCE / "errors.md").read_text()
    assert f'<a id="{error.code}"></a>' in text, f"{error.__name__} says it is documented at errors.md#{error.code}"
    assert f"**`{error.__name__}" in text
    assert f"`{error.kind}`" in text


def test_every_error_class_has_a_code_of_its_own() -> None:
    codes = [error.code for error in error_classes()]
    assert len(codes) == len(set(codes))


def test_generated_pages_are_what_the_code_says() -> None:
    from make_reference import pages

    for path, text in pages().items():
        assert path.read_text() == text, f"{path.name} is out of date; run `make docs`"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_documented(command: str) -> None:
    assert f"vicino {command}" in (REFERENCE / "cli.md").read_text()


def test_every_exit_code_is_documented() -> None:
    text = (REFERENCE / "cli.md").read_text()
    for code in MEANING:
        assert f"| {code} |" in text
    assert set(CODE_OF_KIND.values()) <= MEANING.keys()


def test_every_setting_and_limit_is_documented() -> None:
    text = (REFERENCE / "settings.md").read_text()
    for name in [*SETTINGS, *(field.name for field in fields(Limits)), *(field.name for field in fields(Settings))]:
        assert f"`{name}`" in text, f"{name} is missing in docs/reference/settings.md"


def test_charts_stand_below_the_figures_they_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import make_reference

    from benchmarks.ann.plot import chart, log_axis

    axis = log_axis("rows", [1, 10])
    (tmp_path / "ann_curves_tiny_single.svg").write_text(chart("tiny, one query at a time", axis, axis, {"a": [(1, 1), (10, 10)]}))
    (tmp_path / "ann_curves_tiny.json").write_text(json.dumps(RESULT))
    monkeypatch.setattr(make_reference, "RESULTS", tmp_path)
    shown = "![ann_curves_tiny: tiny, one query at a time](../../benchmarks/results/ann_curves_tiny_single.svg)"
    assert make_reference.measurements_page().rstrip().endswith(shown)
