"""Every benchmark runs with small parameters and leaves a report whose results are right; its times mean nothing here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import all as everything
from benchmarks import (
    churn,
    declared_recall,
    default_search,
    graph_larger_than_ram,
    head_scan,
    import_time,
    ingest,
    ivf_larger_than_ram,
    maxsim,
    multi,
    open_time,
    overhead,
    report,
    text_speed,
)
from benchmarks.ann import data
from benchmarks.environments import PACKAGES, MissingPeer
from benchmarks.passages import DOCUMENTATION


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(report, "WORK", tmp_path / "work")
    monkeypatch.setattr(report, "fsyncs_per_second", lambda *_: 1.0)
    (tmp_path / "work").mkdir()
    return tmp_path


def written(places: Path, name: str) -> dict[str, Any]:
    return json.loads((places / "results" / f"{name}.json").read_text())


def test_overhead(places: Path) -> None:
    overhead.main(["--n", "100", "--rounds", "2", "--repeats", "20"])
    found = written(places, "overhead")["cases"]
    assert found.keys() == {"unfiltered", "filtered", "filtered by a string", "filtered, written out"}
    assert len({case["results_checksum"] for name, case in found.items() if name != "unfiltered"}) == 1


def test_maxsim(places: Path) -> None:
    maxsim.main(["--n", "100", "--tokens", "4", "--queries", "2"])
    found = written(places, "maxsim")["cases"]
    assert all(case["exact"]["recall"] == 1 for case in found.values())
    assert found["around topics"]["probed"]["recall"] > 0


def test_import_time(places: Path) -> None:
    import_time.main(["--runs", "2"])
    found = written(places, "import_time")["cases"]
    assert 0 < found["import"]["ms"]["median"] < found["import and first use"]["ms"]["median"]
    assert any(name.startswith("vicino") for name in found["import"]["modules_ms"])


def test_head_scan(places: Path) -> None:
    head_scan.main(["--sizes", "2000", "3000", "--rounds", "2", "--block", "5", "--queries", "20"])
    sizes = written(places, "head_scan")["sizes"]
    assert set(sizes) == {"2000", "3000"}
    assert sizes["3000"]["recall_at_10"] >= 0.99
    for found in (sizes, {n: case["sealed"] for n, case in sizes.items()}):
        assert found["3000"]["rows_read"] < 1000 < found["2000"]["rows_read"]


def test_default_search(places: Path) -> None:
    default_search.main(["--n", "12000", "--queries", "20", "--segments", "2", "--drawn", "3000"])
    found = written(places, "default_search")["cases"]
    assert len(found["segments"]) >= 3
    assert all(case["recall_at_10"] > 0.9 for name, case in found.items() if name != "segments")
    assert found["filter keeps 1 %"]["matching"] < 200


def test_churn(places: Path) -> None:
    churn.main(["--n", "12000", "--cycles", "2", "--queries", "20", "--seconds", "0.1"])
    found = written(places, "churn")
    assert found["segments"] == {"churned": [6000], "fresh": [6000]}
    assert all(beam["recall_at_10"] > 0.8 for side in found["quality"].values() for beam in side.values())


def test_declared_recall(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "CACHE", places / "ann")
    declared_recall.main(["--n", "5000", "--queries", "300", "--repeats", "3", "--sets", "l2sift128"])
    found = written(places, "declared_recall")["cases"]
    assert len(found) == (2 * len(declared_recall.SHARES) - 1) * len(declared_recall.TARGETS) * 2
    assert all(case["true_recall"]["min"] > case["target"] - 0.03 for case in found)


def test_open_time(places: Path) -> None:
    open_time.main(["--n", "2000", "--dim", "16", "--runs", "3", "--collections", "5", "--log-mib", "1"])
    found = written(places, "open_time")
    assert found["large"]["n"] == 2000
    assert found["many"]["descriptors"] < 20
    assert [replay["dim"] for replay in found["replays"]] == [16, 8]


def test_ivf_larger_than_ram(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit below the vectors' size, as little as there may be, is kept."""
    monkeypatch.setattr(data, "CACHE", places / "sets")
    ivf_larger_than_ram.main(["--n", "40000", "--queries", "20", "--share", "0.9"])
    found = written(places, "ivf_larger_than_ram")["cases"]["ivf_flat"]
    assert found["peak_bytes"]["anonymous"] <= found["limit_bytes"]
    assert found["recall"] > 0.9


def test_graph_larger_than_ram(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "CACHE", places / "sets")
    graph_larger_than_ram.main(["--set", "l2sift128", "--n", "9000", "--queries", "10", "--share", "4", "--kinds", "disk", "graph"])
    found = written(places, "graph_larger_than_ram")["cases"]
    assert found["disk"]["strategies"] == ["graph on disk"]
    assert found["disk"]["at_recall"]["0.95"]["pages"]["median"] < found["graph, random"]["at_recall"]["0.95"]["pages"]["median"]


def test_multi(places: Path) -> None:
    multi.main(["--writes", "5", "--pause", "0.001"])
    assert set(written(places, "multi")["cases"]) == {"polling every 1 ms", "polling every 0 ms"}


@pytest.mark.skipif(not DOCUMENTATION.is_dir(), reason="passages are made of Debian's documentation")
def test_text_speed_of_vicino_alone(places: Path) -> None:
    sizes = ["--passages", "400", "--sparse", "200", "--queries", "5", "--checked", "5"]
    text_speed.main([*sizes, "--rounds", "1", "--sparse-rounds", "1", "--peers"])
    found = written(places, "text_speed")
    exactness = found["texts"]["vicino"]["exactness"] | found["sparse"]["vicino"]["exactness"]
    assert {"short", "short, filtered: 1 %", "sparse"} <= exactness.keys()
    assert all(one["exact"] == one["queries"] for one in exactness.values())


def test_ingest_of_vicino_alone(places: Path) -> None:
    ingest.main(["--n", "5000", "--rounds", "1", "--queries", "10", "--threads", "1", "--peers"])
    found = written(places, "ingest")["peers"]["vicino"]
    assert found["recall_at_10"]["median"] > 0.9
    assert found["syncs_per_batch"] in (None, 1.0)


def test_ingest_names_a_peer_that_does_not_install(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interpreter(peer: str) -> Path:
        raise MissingPeer(f"{PACKAGES[peer]} does not install: no network")

    monkeypatch.setattr(ingest, "interpreter", interpreter)
    found = ingest.measure(ingest.load_dataset(20, 2), ["zvec"], rounds=2, threads=1, folder=places / "work" / "ingest")
    assert found == {"zvec": {"error": "zvec does not install: no network"}}


def test_ingest_names_a_peer_that_fails(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "DRIVER", places / "absent.py")
    with pytest.raises(ingest.PeerFailed, match=r"vicino, phase ingest: exit status 2"):
        ingest.run_phase({"peer": "vicino", "phase": "ingest"})


def test_all_reports_a_benchmark_that_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(everything, "PLAN", {"absent": []})
    with pytest.raises(SystemExit):
        everything.main([])
    assert "MISSED" in capsys.readouterr().out


def test_every_part_of_the_plan_is_a_benchmark() -> None:
    for name in everything.PLAN:
        module = "ingest" if name.startswith("ingest") else name
        assert (report.ROOT / "benchmarks" / f"{module}.py").is_file()
