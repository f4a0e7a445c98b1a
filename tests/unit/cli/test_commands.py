"""Commands beyond what the scenarios in tests/golden show: places, ids, standard input, damage, settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import vicino
from vicino.cli import bench


def test_folder_may_be_left_out(command: Any, place: Path) -> None:
    assert command("create", "docs", "--dim", "2").code == 0
    assert (place / "vicino-data" / "catalog").is_dir()
    assert "docs" in command("list").out


def test_folder_comes_from_the_environment(command: Any, data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VICINO_DATA", data)
    assert command("get", "docs", "a", "--json").code == 0


def test_folder_comes_from_a_flag(command: Any, data: str) -> None:
    assert json.loads(command("get", "docs", "a", "--data", data, "--json").out)["records"][0]["id"] == "a"


def test_folder_comes_from_a_file(command: Any, data: str, place: Path) -> None:
    (place / "vicino.toml").write_text(f'data = "{data}"\n')
    assert json.loads(command("list", "--json").out)["collections"][0]["name"] == "docs"


def test_folder_that_does_not_exist_is_named(command: Any) -> None:
    ran = command("get", "./nowhere", "docs", "a")
    assert (ran.code, "nowhere" in ran.err) == (3, True)


def test_id_that_is_two_ids_is_asked_about(command: Any, data: str) -> None:
    ran = command("get", data, "docs", "7")
    assert (ran.code, "--id-type int or str" in ran.err) == (2, True)


@pytest.mark.parametrize(("id_type", "expected"), [("int", 7), ("str", "7")])
def test_id_type_decides(command: Any, data: str, id_type: str, expected: object) -> None:
    assert json.loads(command("get", data, "docs", "7", "--id-type", id_type, "--json").out)["records"][0]["id"] == expected


def test_id_that_cannot_be_of_its_type_is_refused(command: Any, data: str) -> None:
    ran = command("get", data, "docs", "a", "--id-type", "int")
    assert (ran.code, ran.err) == (2, "error: id 'a' cannot be read as int; choose another --id-type\n")


def test_condition_may_be_json(command: Any, data: str) -> None:
    found = json.loads(command("search", data, "docs", "[1, 0]", "--where", '{"year": {"$gte": 2000}}', "--json").out)
    assert [hit["id"] for hit in found["hits"]] == ["a"]


def test_query_comes_from_standard_input(command: Any, data: str) -> None:
    found = json.loads(command("search", data, "docs", "-", "-n", "1", "--json", stdin="[1, 0]\n").out)
    assert found["hits"][0]["id"] == "a"


def test_load_maps_columns(command: Any, data: str, place: Path) -> None:
    (place / "more.csv").write_text("number,year\n8,2001\n9,2002\n")
    assert json.loads(command("load", data, "docs", "more.csv", "--map", "number=id", "--json").out)["count"] == 2
    assert json.loads(command("get", data, "docs", "8", "--json").out)["records"][0]["fields"] == {"year": 2001}


def test_load_of_existing_ids_can_be_refused(command: Any, data: str) -> None:
    ran = command("load", data, "docs", "-", "--if-exists", "raise", stdin='{"id": "a"}\n')
    assert ran.code == 4


def test_value_that_is_no_json_is_a_text(command: Any, data: str) -> None:
    command("update", data, "docs", "a", "--set", "title=hello world")
    assert json.loads(command("get", data, "docs", "a", "--json").out)["records"][0]["fields"]["title"] == "hello world"


def test_dry_run_changes_nothing(command: Any, data: str) -> None:
    assert json.loads(command("update", data, "docs", "a", "--set", "x=1", "--dry-run", "--json").out)["dry_run"]
    assert "x" not in json.loads(command("get", data, "docs", "a", "--json").out)["records"][0]["fields"]


def test_export_reads_back(command: Any, data: str) -> None:
    lines = command("export", data, "docs", "-").out
    command("create", "copy", "docs", "--dim", "2")
    assert json.loads(command("load", "copy", "docs", "-", "--json", stdin=lines).out)["count"] == 3


def test_doctor_names_damage_and_ends_with_6(command: Any, data: str, place: Path) -> None:
    with vicino.open(data) as db:
        db["docs"].optimize()
    vectors = next((place / data).glob("c-*/*.vectors"))
    content = bytearray(vectors.read_bytes())
    content[4096] ^= 1
    vectors.write_bytes(content)
    ran = command("doctor", data)
    assert ran.code == 6
    assert "DAMAGED" in ran.out
    assert vectors.name in ran.out


def test_doctor_without_a_database_looks_at_the_machine(command: Any) -> None:
    ran = command("doctor")
    assert (ran.code, "kernels" in ran.out, "no database was checked" in ran.err) == (0, True, True)


@pytest.mark.parametrize(("recall", "code"), [(0.95, 0), (0.94, 6)])
def test_bench_ends_with_6_below_its_gate(command: Any, data: str, monkeypatch: pytest.MonkeyPatch, recall: float, code: int) -> None:
    monkeypatch.setattr(bench, "_measure", lambda *_arguments, **_options: [bench.Measured("default", 1.0, 0.0, recall)])
    assert command("bench", data, "docs", "--gate", "0.95").code == code


def test_bench_measures_a_collection_with_its_own_vectors(command: Any, data: str) -> None:
    found = json.loads(command("bench", data, "docs", "--queries", "2", "-n", "1", "--json").out)
    assert [row["search"] for row in found["searches"]] == ["default", "exact"]
    assert found["searches"][1]["recall"] == 1.0


def test_several_named_vectors_and_fields_are_declared(command: Any) -> None:
    ran = command("create", "data", "pages", "--vector", "title:4", "--vector", "body:8:dot:float16", "--field", "year:integer?", "--json")
    created = json.loads(ran.out)
    assert created["vectors"]["body"] == {"dim": 8, "metric": "dot", "dtype": "float16", "index": "auto"}
    assert created["schema"]["fields"].keys() == {"year"}


def test_quiet_says_nothing_but_errors(command: Any, data: str) -> None:
    assert command("search", data, "docs", "[1, 0]", "--where", "year > 3000", "-q").err == ""


def test_verbose_says_what_was_opened(command: Any, data: str) -> None:
    assert "opened" in command("list", data, "-v").err


def test_config_names_where_a_value_came_from(command: Any, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "vicino.toml").write_text('retain = 3\nsync = "off"\n')
    monkeypatch.setenv("VICINO_SYNC", "interval")
    shown = json.loads(command("config", "show", "--threads", "2", "--json").out)["settings"]
    origins = {entry["name"]: (entry["value"], entry["origin"]) for entry in shown}
    assert origins["retain"] == (3, f"file {place / 'vicino.toml'}")
    assert origins["sync"] == ("interval", "environment VICINO_SYNC")
    assert origins["threads"] == (2, "flag --threads")
    assert origins["offline"] == (False, "default")


def test_config_shows_variables_that_are_slips(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VICINO_OFLINE", "1")
    assert 'VICINO_OFLINE, which is no setting. Did you mean "VICINO_OFFLINE"?' in command("config", "show").err


def test_schema_of_the_settings_file_is_json(command: Any) -> None:
    schema = json.loads(command("config", "schema").out)
    assert schema["properties"]["models"]["properties"]["threads"]["type"] == "integer"


def test_models_are_listed_with_license_and_size(command: Any) -> None:
    out = command("models", "list").out
    assert "Apache-2.0" in out
    assert "91.3 MB" in out


def test_pull_offline_says_so(command: Any) -> None:
    ran = command("models", "pull", "minilm", "--offline")
    assert (ran.code, "VICINO_OFFLINE" in ran.err) == (3, True)


def test_index_is_created_with_its_parameters(command: Any, place: Path) -> None:
    options = ("--index", "ivf_pq", "--index-option", "nlist=64", "--index-option", "bits=8", "--index-option", "copies=true")
    ran = command("create", "far", "--dim", "32", *options, "--json")
    assert json.loads(ran.out)["vectors"]["vector"]["index"] == {"kind": "ivf_pq", "nlist": 64, "bits": 8, "copies": True}


def test_named_vector_is_created_with_an_index(command: Any, place: Path) -> None:
    ran = command("create", "pages", "--vector", "title:4:l2:float32:hnsw", "--json")
    assert json.loads(ran.out)["vectors"]["title"]["index"] == "hnsw"


def test_index_is_changed_and_searched_with_lists(command: Any, data: str) -> None:
    ran = command("index", data, "docs", "ivf_flat", "--index-option", "nlist=1", "--json")
    assert json.loads(ran.out)["index"] == {"kind": "ivf_flat", "nlist": 1}
    assert command("search", data, "docs", "[1, 0]", "--nprobe", "1").code == 0


def test_index_option_without_a_value_is_refused(command: Any, data: str) -> None:
    ran = command("index", data, "docs", "hnsw", "--index-option", "m")
    assert (ran.code, ran.err) == (2, "error: --index-option takes NAME=VALUE, such as nlist=1024, got 'm'\n")


@pytest.mark.parametrize(("given", "shown"), [("2", "2 times the limit"), ("off", "not rescored")])
def test_rescoring_is_chosen(command: Any, place: Path, given: str, shown: str) -> None:
    with vicino.open(str(place / "vicino-data")) as db:
        db.create_collection("codes", dim=64, index={"codes": "4bit"}).upsert([{"id": 1, "vector": [1.0] * 64}])
    ran = command("explain", "codes", json.dumps([1.0] * 64), "--rescore", given)
    assert (ran.code, shown in ran.out) == (0, True)
