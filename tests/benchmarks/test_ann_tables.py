"""Every table runs with vicino alone on a few rows, in this process, and writes what it should; its times mean nothing here."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.ann import __main__ as commands
from benchmarks.ann import child, data, duels, kinds, registry, start, tables
from benchmarks.ann.measure import Point
from benchmarks.ann.peer import Peer
from benchmarks.ann.synthetic import Law

LAW = Law(dim=16, metric="cosine", falloff=0.4, weights=(1.0, 1.0, 1.0), n_details=50)
SMALL = ["--set", "tiny", "--queries", "30", "--seconds", "0"]


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")
    monkeypatch.setitem(data.LAWS, "tiny", (LAW, 600))
    monkeypatch.setattr(data, "SETS", ("tiny",))
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(report, "WORK", tmp_path / "work")
    monkeypatch.setattr(report, "fsyncs_per_second", lambda *_: 1.0)
    monkeypatch.setattr(start, "run", lambda task, peers, options: json.loads(json.dumps(child.perform(task), default=child.plain)))
    monkeypatch.setenv("VICINO_BENCH_FOLDER", str(tmp_path))
    return tmp_path / "results"


def run(table: str, *more: str) -> dict[str, Any]:
    commands.main([table, *SMALL, *more])
    return json.loads((report.RESULTS / f"ann_{table}_tiny.json").read_text())


def test_curves(results: Path) -> None:
    found = run("curves", "--peers", "vicino", "vicino-flat")
    assert found["data"] == {"set": "tiny", "n": 600, "dim": 16, "dtype": "float32", "metric": "cosine", "queries": 30, "k": 10}
    assert found["peers"]["vicino-flat"]["rows"][0]["recall"] == 1
    assert found["peers"]["vicino"]["rows"][-1]["recall"] > 0.95
    assert found["peers"]["vicino"]["qps_at_recall"]["single"]["0.9"] > 0
    assert (results / "ann_curves_tiny_single.svg").read_text().startswith("<svg")


def test_duel() -> None:
    found = run("duel", "--peers", "vicino-flat", "--targets", "0.95", "--bands", "none", "10 %")
    fights = found["duels"]["vicino-flat"]["fights"]
    assert [fight["band"] for fight in fights] == ["none", "10 %"]
    assert all(fight["ratio_low"] <= fight["ratio"] <= fight["ratio_high"] for fight in fights)


def test_a_duel_that_is_lost_misses_its_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duels, "BARS", (duels.Bar("vicino-flat", 1e6, (0.95,)),))
    lines = run("duel", "--peers", "vicino-flat", "--targets", "0.95", "--bands", "none", "10 %")["figures"]
    assert [(line["target"], line["met"]) for line in lines] == [(">= 1e+06x", False), ("", None)]


@pytest.mark.parametrize(("rate", "bar"), [(6999.0, 3.0), (7001.0, 0.9)])
def test_a_filtered_duel_asks_for_more_of_a_slow_database(rate: float, bar: float) -> None:
    fight = {"band": "10 %", "recall": 0.95, "sides": {"qdrant": {"qps": rate}, "zvec": {"qps": rate}}}
    assert duels._asked(duels.DATABASE_BARS, "qdrant", fight) == bar
    assert duels._asked(duels.DATABASE_BARS, "zvec", fight) is None
    assert duels._asked(duels.DATABASE_BARS, "zvec", fight | {"band": "none"}) == 3.0


def test_a_recall_that_is_not_reached_misses_its_bar() -> None:
    line = duels.line_of("a / b", {"error": "a reaches a recall of 0.9 at most"}, 1.2)
    assert (line.met, line.got) == (False, "a reaches a recall of 0.9 at most")


def test_high_recall() -> None:
    fights = run("high_recall", "--peers", "vicino-flat")["duels"]["vicino-flat"]["fights"]
    assert [fight["recall"] for fight in fights] == [0.999]


def test_a_duel_of_a_million_rows_takes_a_million_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duels, "MILLION", 700)
    assert run("million", "--peers", "vicino-flat", "--targets", "0.95")["data"]["n"] == 700


def test_kinds() -> None:
    found = run("kinds", "--peers", "vicino", "vicino-hnsw", "vicino-ivf-flat", "--targets", "0.9")
    for contests in found["contests"].values():
        assert contests[0]["sides"].keys() == {"vicino", "vicino-hnsw", "vicino-ivf-flat"}
        assert [(pair["first"], pair["second"]) for pair in contests[0]["pairs"]] == [
            ("vicino", "vicino-hnsw"),
            ("vicino", "vicino-ivf-flat"),
        ]
    assert [figure["target"] for figure in found["figures"]] == [">= 0.9x", ">= 0.9x"]


def test_kinds_go_on_without_one_that_cannot_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.ann.vicino_side import HnswIndex

    def fails(*_: Any) -> None:
        raise RuntimeError("out of links")

    monkeypatch.setattr(HnswIndex, "build", fails)
    found = run("kinds", "--peers", "vicino", "vicino-hnsw", "vicino-ivf-flat", "--targets", "0.9")
    assert found["built"]["vicino-hnsw"] == {"error": "vicino-hnsw: RuntimeError: out of links"}
    assert found["contests"]["single"][0]["sides"].keys() == {"vicino", "vicino-ivf-flat"}


def test_a_classic_implementation_stands_beside_our_kind() -> None:
    pair = {"first": "vicino-hnsw", "second": "hnswlib", "ratio": 2.0, "ratio_low": 1.9, "ratio_high": 2.1, "processor_ratio": 2.0}
    sides = {"vicino-hnsw": {"qps": 20.0}, "hnswlib": {"qps": 10.0}}
    (line,) = kinds._lines("single at 0.9", {"pairs": [pair], "sides": sides, "short": {}})
    assert line.name == "vicino-hnsw / hnswlib, single at 0.9"
    assert line.got == "1.900 at least (2.000, at most 2.100), 2.000 in processor time; 20/s against 10/s"


def test_a_kept_index_is_loaded_by_the_next_run_and_states_no_build_time(tmp_path: Path) -> None:
    keep = ("--keep", str(tmp_path / "kept"))
    commands.main(["keep", *SMALL, *keep, "--peers", "vicino"])
    assert len(list((tmp_path / "kept").glob("vicino.tiny.600.*.index"))) == 1
    found = run("duel", *keep, "--peers", "vicino-flat", "--targets", "0.95")["duels"]["vicino-flat"]["built"]
    assert found["vicino"]["index"] == "loaded from a kept one"
    assert "build_s" not in found["vicino"]
    assert found["vicino-flat"]["build_s"] >= 0


def test_a_kept_index_answers_like_the_built_one(tmp_path: Path) -> None:
    dataset, made = data.load("tiny", None, 30), []
    for where in ("built in this run", "loaded from a kept one"):
        peer, facts = child.built("vicino", dataset, 1, made, str(tmp_path))
        assert facts["index"] == where
        peer.use(20)
    first, second = (peer.search_batch(dataset.queries, 10, 1).tolist() for peer in made)
    assert first == second


def test_an_index_over_other_rows_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child.built("vicino", data.load("tiny", None, 30), 1, [], str(tmp_path))
    other = data.load("tiny", None, 30)
    _, facts = child.built("vicino", other._replace(base=other.base[::-1].copy()), 1, [], str(tmp_path))
    assert facts["index"] == "built in this run"


def test_keeping_needs_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        commands.main(["keep", *SMALL, "--peers", "vicino"])
    assert "keep needs --keep FOLDER" in capsys.readouterr().err


def test_build() -> None:
    found = run("build", "--peers", "vicino", "--rounds", "2")["peers"]["vicino"]
    assert found["build_s"]["runs"] == 2
    assert found["recall_at_beam"]["128"] > 0.9


@pytest.mark.parametrize(
    ("ours", "target", "met", "said"),
    [
        ({"32": 0.96, "64": 0.99}, 9.0, True, "9.00 at least (9.50, at most 10.00); recall lower at beams: none"),
        ({"32": 0.96, "64": 0.99}, 9.5, False, "9.00 at least"),
        ({"32": 0.94, "64": 0.99}, 9.0, False, "recall lower at beams: 32 (0.9400 of 0.9500)"),
        ({"32": 0.96, "64": 0.99}, None, None, "9.00 at least"),
    ],
    ids=["met", "too slow", "worse", "no target"],
)
def test_build_bar_takes_the_slowest_round_and_no_lower_recall(
    ours: dict[str, float], target: float | None, met: bool | None, said: str
) -> None:
    fast = [{"build_s": 1.0, "recall_at_beam": ours}] * 2
    slow = [{"build_s": took, "recall_at_beam": {"32": 0.95, "64": 0.98}} for took in (9.0, 10.0)]
    figure = tables._build_ratio(fast, slow, target)
    assert (figure.met, said in figure.got) == (met, True)


def test_filtered() -> None:
    bands = run("filtered", "--peers", "vicino-flat")["peers"]["vicino-flat"]["bands"]
    assert all(band["rows"][-1]["recall"] == 1 for band in bands.values())
    assert bands["10 %"]["matching"] < 120


def test_databases() -> None:
    found = run("databases", "--peers", "vicino-db", "--bands", "none", "1 %")["peers"]["vicino-db"]
    assert found["bands"].keys() == {"none", "1 %"}
    assert all(band["rows"][-1]["recall"] > 0.95 for band in found["bands"].values())
    assert found["rows_per_s"] > 0


def test_growth(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "GROWTH", (200, 400))
    found = run("growth", "--peers", "vicino")
    assert found["sizes"] == [200, 400, 600]
    assert all(0 < got["rows_scored"] <= got["n"] for got in found["peers"]["vicino"])
    assert (results / "ann_growth_tiny.svg").exists()


def test_rows_scored_do_not_hang_on_times() -> None:
    class Counts(Peer):
        def build(self, rows: Any) -> None: ...

        def use(self, setting: int) -> None:
            self.setting = setting

        def search(self, query: Any, k: int) -> Any: ...

        def rows_scored(self, queries: Any, k: int) -> float:
            return 100.0 * self.setting

    # The lower setting was the slower one, as a busy machine may have it.
    points = [Point(0.94, 2e-3, 1), Point(0.96, 1e-3, 4)]
    found = child._rows_scored(Counts("cosine", 2), data.load("tiny", None, 5), points, 0.95)
    assert found["rows_scored"] == pytest.approx(200)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_batch() -> None:
    found = run("batch", "--peers", "vicino", "--targets", "0.9")["peers"]["vicino"]["targets"]["0.9"]
    assert found["batch_over_single"].keys() == found["2_threads_over_1"].keys() == {"median", "low", "high"}
    assert found["2_threads_over_1_of_the_machine"]["median"] > 0


def test_a_failed_peer_is_part_of_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "run", lambda task, peers, options: {"error": "hnswlib does not install: no network"})
    tables = ["curves", "duel", "build", "filtered", "growth"]
    if len(os.sched_getaffinity(0)) > 1:
        tables.append("batch")
    for table in tables:
        found = run(table, "--peers", "hnswlib")
        assert any("no network" in figure["got"] for figure in found["figures"])


def test_the_command_says_how_to_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks/ann/__main__.py", "build", "--set", "tiny"])
    assert run("build", "--peers", "vicino", "--rounds", "1")["command"] == "python -m benchmarks.ann build --set tiny"


def test_the_end_of_what_a_process_printed_is_in_its_error() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such index')"]
    with pytest.raises(start.PeerFailed, match="exit status 1: no such index"):
        start.answer_of(command, os.environ, 30)


def test_a_process_that_does_not_answer_is_given_up() -> None:
    with pytest.raises(start.PeerFailed, match=r"no answer within 0\.2 s"):
        start.answer_of([sys.executable, "-c", "import time; time.sleep(60)"], os.environ, 0.2)


def test_a_process_answers_in_json() -> None:
    assert start.answer_of([sys.executable, "-c", "print('{\"a\": 1}')"], os.environ, 30) == {"a": 1}


def test_every_peer_has_an_adapter_file() -> None:
    for entry in registry.PEERS.values():
        module, _, adapter = entry.adapter.partition(":")
        source = report.ROOT.joinpath(*module.split(".")).with_suffix(".py")
        assert f"class {adapter}(" in source.read_text()


def test_a_metric_that_a_peer_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.ann.vicino_side import FlatIndex

    monkeypatch.setattr(FlatIndex, "metrics", ("cosine",))
    with pytest.raises(ValueError, match="vicino searches by cosine, not by l2"):
        registry.make("vicino-flat", "l2", 8, 1)


def test_more_threads_than_cores_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        commands.main(["build", *SMALL, "--threads", "4096"])
    assert "--threads 4096: this process may use" in capsys.readouterr().err


def test_more_rows_than_a_real_set_has_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def load(*_: Any, **__: Any) -> None:
        raise data.TooSmall("the set debian has 100000 rows, 200000 were asked for")

    monkeypatch.setattr(data, "load", load)
    with pytest.raises(SystemExit):
        commands.main(["curves", *SMALL, "--rows", "200000"])
    assert "the set debian has 100000 rows, 200000 were asked for" in capsys.readouterr().err


def test_a_task_without_options_is_complete() -> None:
    options = Namespace(set="tiny", rows=None, queries=5, seconds=1.0, keep=None)
    assert start.task_of("curve", options, peer="vicino") == {
        "task": "curve", "set": "tiny", "n": None, "n_queries": 5, "seconds": 1.0, "peer": "vicino",
    }  # fmt: skip
