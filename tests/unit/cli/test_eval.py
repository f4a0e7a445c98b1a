"""`vicino eval`, and a judged set in three commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vicino.evaluate import Evaluation, Run

CORPUS = [
    {"_id": "d1", "title": "Wings", "text": "how a wing stalls"},
    {"_id": "d2", "title": "Tides", "text": "how the moon makes tides"},
    {"_id": "d3", "title": "Birds", "text": "wings of birds"},
]


@pytest.fixture
def judged(place: Path) -> str:
    folder = place / "judged"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in CORPUS))
    (folder / "queries.jsonl").write_text(
        '{"_id": "q1", "text": "wing stalls"}\n{"_id": "q2", "text": "birds"}\n{"_id": "q3", "text": "sun"}\n'
    )
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td3\t1\nq2\td3\t1\nq3\td1\t0\n")
    return "judged"


@pytest.fixture
def papers(command: Any, judged: str) -> str:
    assert command("load", "./data", "papers", judged, "--text", "title+text").code == 0
    return "data"


def test_three_commands_load_search_and_evaluate(command: Any, judged: str) -> None:
    assert command("load", "./data", "papers", judged, "--text", "title+text").out.startswith("loaded 3 records")
    assert "d1" in command("search", "data", "papers", "why do wings stall").out
    ran = command("eval", "data", "papers", judged, "--measure", "ndcg@10", "--measure", "recall@1")
    assert (ran.code, ran.out) == (0, "measure     mean\nndcg@10   1.0000\nrecall@1  0.7500\n")


def test_queries_that_do_not_count_are_named(command: Any, papers: str, judged: str) -> None:
    ran = command("eval", papers, "papers", judged)
    assert "2 judged queries counted" in ran.err
    assert "1 have no relevant document: q3" in ran.err


def test_queries_without_relevant_documents_may_count(command: Any, papers: str, judged: str) -> None:
    ran = command("eval", papers, "papers", judged, "--measure", "mrr", "--count-empty", "--json")
    assert json.loads(ran.out)["measures"] == {"mrr": pytest.approx(2 / 3)}


def test_result_is_json(command: Any, papers: str, judged: str) -> None:
    document = json.loads(command("eval", papers, "papers", judged, "--json", "--mode", "text", "--measure", "mrr").out)
    assert (document["collection"], document["queries"], document["measures"]) == ("papers", 2, {"mrr": 1.0})
    assert document["scores"] == {"mrr": {"q1": 1.0, "q2": 1.0}}
    assert document["without_relevant"] == ["q3"]


def test_evaluation_and_run_are_kept(command: Any, papers: str, judged: str, place: Path) -> None:
    assert command("eval", papers, "papers", judged, "--save", "kept.json", "--run", "found.run").code == 0
    assert Evaluation.read(place / "kept.json").queries == ("q1", "q2")
    assert next(iter(Run.read(place / "found.run")["q1"])) == "d1"


def test_comparison_lists_changed_queries(command: Any, papers: str, judged: str) -> None:
    command("eval", papers, "papers", judged, "--save", "kept.json")
    ran = command("eval", papers, "papers", judged, "--against", "kept.json", "--where", "title != 'Birds'")
    assert (ran.code, "query, by ndcg@10" in ran.out) == (0, True)
    assert [line.split()[0] for line in ran.out.splitlines()[-2:]] == ["q2", "q1"]


def test_measure_that_was_not_kept_is_named(command: Any, papers: str, judged: str) -> None:
    command("eval", papers, "papers", judged, "--measure", "mrr", "--save", "kept.json")
    ran = command("eval", papers, "papers", judged, "--measure", "mrr", "--measure", "map", "--against", "kept.json")
    assert "map not compared: papers was kept without" in ran.err


def test_loss_beyond_the_tolerance_is_exit_code_6(command: Any, papers: str, judged: str) -> None:
    command("eval", papers, "papers", judged, "--save", "kept.json")
    worse = ["--against", "kept.json", "--where", "title != 'Birds'", "--tolerance"]
    assert command("eval", papers, "papers", judged, *worse, "0.9").code == 0
    ran = command("eval", papers, "papers", judged, *worse, "0.01")
    assert (ran.code, "fell by more than 0.01" in ran.err) == (6, True)


def test_comparison_is_in_the_document(command: Any, papers: str, judged: str) -> None:
    command("eval", papers, "papers", judged, "--save", "kept.json")
    document = json.loads(command("eval", papers, "papers", judged, "--against", "kept.json", "--json").out)
    assert document["comparison"]["measures"]["ndcg@10"]["equal"] == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--tolerance", "0.1"], 2, "give --against FILE too"),
        (["--measure", "ndgc@10"], 2, 'Did you mean "ndcg"'),
        (["--against", "nowhere.json"], 3, "there is no evaluation"),
        (["--split", "dev"], 3, 'no judgments of split "dev"'),
    ],
)
def test_wrong_usage_is_explained(command: Any, papers: str, judged: str, words: list[str], code: int, said: str) -> None:
    ran = command("eval", papers, "papers", judged, *words)
    assert (ran.code, said in ran.err) == (code, True)


def test_load_into_an_existing_collection_keeps_its_settings(command: Any, papers: str, judged: str) -> None:
    assert command("load", papers, "papers", judged, "--text", "title+text").code == 0
    ran = command("load", papers, "papers", judged, "--text", "title=de")
    assert (ran.code, "exists with other settings" in ran.err) == (4, True)


def test_load_of_a_folder_without_corpus_is_refused(command: Any, papers: str, place: Path) -> None:
    (place / "empty").mkdir()
    ran = command("load", papers, "papers", "empty")
    assert (ran.code, "without a corpus.jsonl" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("option", "name", "analyzer"),
    [
        ("body", "body", "words, language detected"),
        ("title+body=de", "title+body", "words, German"),
        ("source=code", "source", "code, English"),
        ("tags=keyword", "tags", "keyword"),
    ],
)
def test_create_makes_text_indexes(command: Any, option: str, name: str, analyzer: str) -> None:
    document = json.loads(command("create", "data", "docs", "--text", option, "--json").out)
    assert list(document["texts"]) == [name]
    assert document["texts"][name]["analyzer"].startswith(analyzer)
    assert document["texts"][name]["fields"] == name.split("+")


@pytest.mark.parametrize("option", ["", "+body", "body=", "=de"])
def test_text_option_without_field_or_analyzer_is_refused(command: Any, option: str) -> None:
    ran = command("create", "data", "docs", "--text", option)
    assert (ran.code, "--text takes FIELD[+FIELD][=ANALYZER]" in ran.err) == (2, True)


def test_unknown_analyzer_is_refused(command: Any) -> None:
    ran = command("create", "data", "docs", "--text", "body=klingon")
    assert (ran.code, "klingon" in ran.err) == (2, True)
