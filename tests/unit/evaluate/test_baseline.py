"""Baselines, and the pytest plugin that fails when a judged set gets worse than its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vicino.errors import InvalidArgument
from vicino.evaluate import Evaluation, Judgments, Run, compare_with_baseline, describe_loss, evaluate_run, store_baseline, worse_measures

JUDGMENTS = Judgments({"q1": {"a": 1}, "q2": {"b": 1}})


def evaluation(*first: str, measures: str = "mrr") -> Evaluation:
    return evaluate_run(Run({"q1": [*first, "a"], "q2": ["b"]}), JUDGMENTS, measures=measures)


def test_loss_within_the_tolerance_is_none(tmp_path: Path) -> None:
    store_baseline(evaluation(), tmp_path / "new" / "folder" / "set.json")
    comparison = compare_with_baseline(evaluation("x"), tmp_path / "new" / "folder" / "set.json")
    assert (worse_measures(comparison, 0.25), worse_measures(comparison, 0.2)) == ([], ["mrr"])


def test_gain_is_no_loss(tmp_path: Path) -> None:
    store_baseline(evaluation("x"), tmp_path / "set.json")
    assert worse_measures(compare_with_baseline(evaluation(), tmp_path / "set.json"), 0) == []


@pytest.mark.parametrize("tolerance", [-0.1, 1.5, float("nan")])
def test_tolerance_is_a_share(tolerance: float, tmp_path: Path) -> None:
    store_baseline(evaluation(), tmp_path / "set.json")
    with pytest.raises(InvalidArgument, match="tolerance must be between 0 and 1"):
        worse_measures(compare_with_baseline(evaluation(), tmp_path / "set.json"), tolerance)


def test_baseline_of_another_judged_set_is_refused(tmp_path: Path) -> None:
    store_baseline(evaluation(), tmp_path / "set.json")
    other = evaluate_run(Run({"q1": ["a"]}), Judgments({"q1": {"a": 1}}), measures="mrr")
    with pytest.raises(InvalidArgument, match="store the baseline anew"):
        compare_with_baseline(other, tmp_path / "set.json")


def test_baseline_of_other_measures_is_refused(tmp_path: Path) -> None:
    store_baseline(evaluation(), tmp_path / "set.json")
    with pytest.raises(InvalidArgument, match="holds mrr of 2 queries, the evaluation map of 2"):
        compare_with_baseline(evaluation(measures="map"), tmp_path / "set.json")


def test_loss_names_the_queries_that_lost(tmp_path: Path) -> None:
    store_baseline(evaluation(), tmp_path / "set.json")
    comparison = compare_with_baseline(evaluation(*map(str, range(10))), tmp_path / "set.json")
    assert "q1: 1.000 -> 0.091; relevant documents that left the first ten: a" in describe_loss(comparison, ["mrr"])


TEST = """
from vicino.evaluate import Judgments, Run, evaluate_run

def test_relevance(relevance_baseline):
    found = evaluate_run(Run({{"q": [{ranking}]}}), Judgments({{"q": {{"a": 1}}}}), measures="mrr")
    relevance_baseline("animals", found)
"""


def run_pytest(folder: Path, ranking: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_relevance.py").write_text(TEST.format(ranking=ranking))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "vicino_pytest", "-p", "no:cacheprovider", "--rootdir", ".", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_plugin_fails_without_a_baseline(tmp_path: Path) -> None:
    ran = run_pytest(tmp_path, '"a"')
    assert (ran.returncode, "pytest --vicino-update-baselines stores this one" in ran.stdout) == (1, True)


def test_plugin_stores_and_compares(tmp_path: Path) -> None:
    assert run_pytest(tmp_path, '"a"', "--vicino-update-baselines").returncode == 0
    assert (tmp_path / "baselines" / "animals.json").is_file()
    assert run_pytest(tmp_path, '"a", "b"').returncode == 0
    worse = run_pytest(tmp_path, '"b", "a"')
    assert worse.returncode == 1
    assert "mrr fell by 0.5000, more than 0.005" in worse.stdout


def test_plugin_by_itself_imports_nothing_of_vicino() -> None:
    code = "import sys, vicino_pytest; print(*[name for name in sys.modules if name.partition('.')[0] in ('vicino', 'numpy')])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split() == []


def test_name_of_a_baseline_is_no_path(relevance_baseline: object) -> None:
    with pytest.raises(ValueError, match="the name of a file"):
        relevance_baseline("../animals", evaluation())  # type: ignore[operator]
