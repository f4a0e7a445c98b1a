"""Statistics, facts and the file a benchmark leaves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import report
from benchmarks.report import Figure, checksum, file_system, folder_bytes, fsyncs_per_second, median_us, spread, table


def test_spread_gives_median_quartiles_and_extremes() -> None:
    assert spread([5, 1, 3, 2, 4]) == {"median": 3, "min": 1, "p25": 2, "p75": 4, "max": 5, "runs": 5}


def test_spread_refuses_no_samples() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        spread([])


def test_median_of_calls_is_in_microseconds() -> None:
    assert 0 < median_us(lambda: None, 100) < 1000


def test_checksum_tells_results_apart() -> None:
    assert checksum([[1, 2]]) == checksum([[1, 2]]) != checksum([[2, 1]])


def test_checksum_reads_arrays_by_their_bytes() -> None:
    assert checksum(np.arange(3)) == checksum(np.arange(3)) != checksum(np.arange(4))


@pytest.mark.parametrize(("value", "met"), [(49.0, True), (50.0, True), (50.1, False)])
def test_figure_at_most(value: float, met: bool) -> None:
    assert Figure.at_most("open", value, 50, "ms").met is met


def test_figure_at_least_states_target_and_value() -> None:
    assert Figure.at_least("replay", 1.234, 1, "GiB/s") == Figure("replay", ">= 1 GiB/s", "1.23 GiB/s", True)


def test_table_marks_what_was_missed() -> None:
    shown = table([Figure("a", "<= 1 ms", "2 ms", False), Figure("b", "", "3")])
    assert [line.split()[-1] for line in shown.splitlines()] == ["got", "MISSED", "3"]


def test_fsync_rate_leaves_no_file(tmp_path: Path) -> None:
    assert fsyncs_per_second(tmp_path, seconds=0.01) > 0
    assert not list(tmp_path.iterdir())


def test_file_system_of_a_folder_is_named(tmp_path: Path) -> None:
    assert file_system(tmp_path) != "unknown"


def test_folder_bytes_counts_below_subfolders(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"x" * 5000)
    assert 5000 <= folder_bytes(tmp_path) <= 16384


def test_report_states_where_and_how_it_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(report, "WORK", tmp_path / "work")
    path = report.write("trial", [Figure.at_most("open", 3.0, 50, "ms")], data={"n": 1})
    written = json.loads(path.read_text())
    assert written["benchmark"] == "trial"
    assert written["figures"] == [{"name": "open", "target": "<= 50 ms", "got": "3 ms", "met": True}]
    assert written.keys() >= {"date", "commit", "command", "data"}
    assert written["machine"].keys() >= {"cpu", "cores", "kernel", "kernels", "file_system", "fsyncs_per_s"}
    assert str(tmp_path) not in path.read_text()
