"""Saying a query on a command line, and what is printed for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import vicino
from vicino.models import register_reranker, rerank


@pytest.fixture
def books(place: Path) -> str:
    with vicino.open(place / "data") as db:
        books = db.create_collection("books", dim=2, text="title")
        books.upsert(
            [
                {"id": "wings", "vector": [1, 0], "title": "how wings stall", "year": 1958, "shelf": "air"},
                {"id": "tides", "vector": [0, 1], "title": "tides and wings", "year": 2011, "shelf": "sea"},
                {"id": 7, "vector": [1, 1], "title": "ships", "year": 2020, "shelf": "sea"},
            ]
        )
        db.create_collection("shelves", dim=2).upsert([{"id": "sea", "room": 4}])
    return "data"


def found(command: Any, *words: str, **options: Any) -> list[Any]:
    ran = command("search", "data", "books", *words, "--json", **options)
    assert ran.code == 0, ran.err
    return [hit["id"] for hit in json.loads(ran.out)["hits"]]


def test_query_of_parts_comes_from_a_file(command: Any, books: str, place: Path) -> None:
    (place / "query.json").write_text('{"rescore": {"part": {"text": {"words": "wings"}}, "by": {"dense": {"x": [0, 1]}}}}\n')
    assert found(command, "--query", "query.json") == ["tides", "wings"]


def test_query_of_parts_comes_from_standard_input(command: Any, books: str) -> None:
    assert found(command, "--query", "-", stdin='{"order_by": {"field": "year"}}') == ["wings", "tides", 7]


def test_vector_comes_from_a_file(command: Any, books: str, place: Path) -> None:
    (place / "vector.json").write_text("[0, 1]")
    assert found(command, "--query", "vector.json", "-n", "1") == ["tides"]


def test_records_like_others_are_found(command: Any, books: str) -> None:
    assert found(command, "--like", "wings", "-n", "1") == [7]
    assert found(command, "--like", "7", "--unlike", "wings") == ["tides"]


def test_records_come_by_a_field(command: Any, books: str) -> None:
    assert found(command, "--order-by", "-year", "--where", "shelf == 'sea'") == [7, "tides"]


def test_why_names_the_stage_that_lost_a_record(command: Any, books: str) -> None:
    why = json.loads(command("why", "data", "books", "wings", "--id", "7", "--json").out)
    assert (why["stage"], why["is_hit"]) == ("terms", False)
    why = json.loads(command("why", "data", "books", "--like", "wings", "--id", "tides", "-n", "1", "--json").out)
    assert (why["stage"], why["rank"]) == ("limit", 2)


def test_why_prints_for_people(command: Any, books: str) -> None:
    assert "is no hit: lost at filter" in command("why", "data", "books", "wings", "--id", "wings", "--where", "year > 2000").out


def test_why_has_no_cursor(command: Any, books: str) -> None:
    assert command("why", "data", "books", "wings", "--id", "7", "--cursor", "").code == 2


def test_verify_measures_recall(command: Any, books: str, place: Path) -> None:
    measured = json.loads(command("verify", "data", "books", "-k", "1", "--json").out)
    assert (measured["recall"], measured["n"], measured["source"]) == (1.0, 3, "rows")
    (place / "queries.jsonl").write_text("[0, 1]\n\n[1, 0]\n")
    measured = json.loads(command("verify", "data", "books", "--queries", "queries.jsonl", "--recall", "0.5", "--json").out)
    assert (measured["source"], measured["n"], measured["target"]) == ("given", 2, 0.5)


def test_verify_refuses_what_is_no_vector(command: Any, books: str) -> None:
    assert "line 1" in command("verify", "data", "books", "--queries", "-", stdin="cats").err


def test_search_takes_a_recall(command: Any, books: str) -> None:
    assert found(command, "[1, 0]", "--recall", "0.9", "-n", "1") == ["wings"]


def test_explain_takes_the_same_queries(command: Any, books: str) -> None:
    plan = json.loads(command("explain", "data", "books", "--order-by", "year", "--json").out)
    assert plan["query"] == "OrderBy('year')"


def test_two_ways_to_say_a_query_are_refused(command: Any, books: str) -> None:
    ran = command("search", "data", "books", "--like", "wings", "--order-by", "year")
    assert (ran.code, "--like and --order-by both say the query" in ran.err) == (2, True)


def test_query_beside_a_flag_that_says_one_is_refused(command: Any, books: str) -> None:
    ran = command("search", "data", "books", "words", "--order-by", "year")
    assert (ran.code, "unexpected 'words'" in ran.err) == (2, True)


def test_missing_query_file_is_named(command: Any, books: str) -> None:
    ran = command("search", "data", "books", "--query", "nowhere.json")
    assert (ran.code, "there is no file" in ran.err, "nowhere.json" in ran.err) == (3, True, True)


def test_query_that_is_none_names_the_place(command: Any, books: str) -> None:
    ran = command("search", "data", "books", '{"fuse": {"parts": [{"text": {"wrods": "x"}}]}}')
    assert (ran.code, ran.err) == (2, 'error: fuse.parts[0].text has no argument "wrods". Did you mean "words"?\n')


def test_pages_go_on_from_a_cursor(command: Any, books: str) -> None:
    first = json.loads(command("search", "data", "books", "--order-by", "year", "-n", "2", "--cursor", "", "--json").out)
    second = command("search", "data", "books", "--order-by", "year", "-n", "2", "--cursor", first["next_cursor"], "--json")
    assert [hit["id"] for hit in json.loads(second.out)["hits"]] == [7]
    assert json.loads(second.out)["next_cursor"] is None


def test_next_page_is_told(command: Any, books: str) -> None:
    assert "the next page: --cursor " in command("search", "data", "books", "--order-by", "year", "-n", "2", "--cursor", "").err


def test_groups_show_what_was_looked_up(command: Any, books: str) -> None:
    ran = command("search", "data", "books", "[0, 1]", "--group-by", "shelf", "--group-size", "1", "--lookup", "shelves", "--json")
    groups = json.loads(ran.out)["groups"]
    assert [(group["key"], group.get("lookup")) for group in groups] == [("sea", {"id": "sea", "fields": {"room": 4}}), ("air", None)]


def test_highlights_are_characters_of_the_text(command: Any, books: str) -> None:
    ran = command("search", "data", "books", "stall", "--mode", "text", "--highlights", "--json")
    (hit,) = json.loads(ran.out)["hits"]
    assert hit["highlights"] == {"title": [{"text": "how wings stall", "start": 0, "end": 15, "spans": [[10, 15]]}]}


class Shortest:
    name, max_length = "shortest", 100

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        if query == "tides":
            raise RuntimeError("no answer")
        return [-len(text) for text in texts]


@pytest.fixture
def _shortest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerank, "_registered", {})
    register_reranker("shortest", Shortest())


@pytest.mark.usefixtures("_shortest")
def test_reranker_is_named(command: Any, books: str) -> None:
    assert found(command, "wings", "--mode", "text", "--rerank", "shortest") == ["wings", "tides"]


@pytest.mark.usefixtures("_shortest")
def test_reranker_that_fails_is_told(command: Any, books: str) -> None:
    ran = command("search", "data", "books", "tides", "--mode", "text", "--rerank", "shortest")
    assert (ran.code, "reranker shortest failed: RuntimeError: no answer" in ran.err) == (0, True)


def test_unknown_reranker_is_told(command: Any, books: str) -> None:
    ran = command("search", "data", "books", "wings", "--rerank", "nobody")
    assert (ran.code, "there is no reranker 'nobody'" in ran.err) == (3, True)


def test_unknown_reranker_inside_a_query_is_told(command: Any, books: str) -> None:
    ran = command("search", "data", "books", '{"rerank": {"part": {"text": {"words": "x"}}, "reranker": "nobody"}}')
    assert (ran.code, "there is no reranker 'nobody'" in ran.err) == (3, True)


def test_facet_counts_values(command: Any, books: str) -> None:
    assert command("facet", "data", "books", "shelf").out.splitlines() == [
        "shelf  records", "sea          2", "air          1", 'count 3, distinct 2, min air, max sea',
    ]  # fmt: skip


def test_facet_sums_numbers_up(command: Any, books: str) -> None:
    told = json.loads(command("facet", "data", "books", "year", "--where", "year > 2000", "-n", "1", "--json").out)
    assert told["values"] == [{"value": 2011, "records": 1}]
    assert (told["count"], told["sum"], told["average"], told["min"], told["max"]) == (2, 4031, 2015.5, 2011, 2020)


def test_facet_of_a_field_that_nobody_has_says_so(command: Any, books: str) -> None:
    ran = command("facet", "data", "books", "color")
    assert (ran.code, ran.out, "no record has a value at color" in ran.err) == (0, "", True)


def test_facet_of_no_values_is_refused(command: Any, books: str) -> None:
    assert command("facet", "data", "books", "shelf", "-n", "0").code == 2
