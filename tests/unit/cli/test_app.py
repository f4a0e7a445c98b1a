"""How the command line begins and ends: help, suggestions, exit codes, interrupts, pipes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

import vicino.errors
from vicino.cli import exit_codes
from vicino.cli.app import COMMANDS
from vicino.errors import Error, Kind


def test_every_kind_of_error_has_an_exit_code() -> None:
    assert exit_codes.CODE_OF_KIND.keys() == set(get_args(Kind))
    assert set(exit_codes.CODE_OF_KIND.values()) <= exit_codes.MEANING.keys()


@pytest.mark.parametrize("kind", get_args(Kind))
def test_an_error_becomes_its_exit_code_and_one_line(command: Any, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    found = type("Failing", (Error,), {"kind": kind, "code": "failing"})

    def fail(*_arguments: Any, **_options: Any) -> None:
        raise found("the disk is made of cheese; eat it")

    monkeypatch.setattr("vicino.cli.session.open_database", fail)
    ran = command("create", "data", "docs")
    assert (ran.code, ran.out, ran.err) == (exit_codes.CODE_OF_KIND[kind], "", "error: the disk is made of cheese; eat it\n")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_starts_with_examples(command: Any, name: str) -> None:
    words = [name] if name not in ("models", "config") else [name, "show" if name == "config" else "list"]
    ran = command(*words, "--help")
    assert ran.code == 0
    assert ran.out.startswith("Examples:\n  ")
    assert f"vicino {name}" in ran.out.splitlines()[1]
    assert "Usage: vicino" in ran.out


def test_root_help_lists_commands_and_exit_codes(command: Any) -> None:
    out = command("--help").out
    assert out.startswith("Examples:")
    for name in COMMANDS:
        assert f"\n  {name} " in out
    for code in exit_codes.MEANING:
        assert f"{code:>3}  " in out


def test_root_help_imports_no_command() -> None:
    code = "import sys\nfrom vicino.cli.app import run\nrun(['--help'])\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.splitlines()[-1].split()
    assert not {f"vicino.cli.{name}" for name in COMMANDS} & set(loaded)


def test_misspelt_command_is_answered(command: Any) -> None:
    ran = command("serach")
    assert ran.code == 2
    assert 'there is no command "serach". Did you mean "search"?' in ran.err


@pytest.mark.parametrize(("elsewhere", "ours"), [("info", "stats"), ("LS", "list"), ("drop", "delete"), ("pull", "models pull")])
def test_command_of_other_tools_is_answered_with_ours(command: Any, elsewhere: str, ours: str) -> None:
    ran = command(elsewhere)
    assert (ran.code, f'there is no command "{elsewhere}". Write "{ours}".' in ran.err) == (2, True)


def test_what_a_group_does_not_have_is_not_told_of_another(command: Any) -> None:
    assert 'there is no command "info". There are: list, pull' in command("models", "info").err


def test_misspelt_option_is_answered(command: Any) -> None:
    ran = command("search", "--wher", "x")
    assert ran.code == 2
    assert "--where" in ran.err


def test_misspelt_collection_is_answered(command: Any, data: str) -> None:
    ran = command("search", data, "dosc", "[1, 0]")
    assert (ran.code, 'Did you mean "docs"?' in ran.err) == (3, True)


def test_errors_are_json_when_json_was_asked_for(command: Any) -> None:
    error = json.loads(command("list", "nowhere", "--json").err)["error"]
    assert (error["kind"], error["code"]) == ("not_found", "not-found")


def test_interrupt_ends_with_130(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_arguments: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vicino.cli.session.open_database", interrupt)
    ran = command("create", "data", "docs")
    assert (ran.code, "Traceback" in ran.err) == (130, False)


def test_reader_that_stops_reading_is_no_error(place: Path) -> None:
    with vicino.open(place / "data") as db:
        db.create_collection("docs").upsert([{"id": number, "text": "x" * 1000} for number in range(500)])
    export = f"'{sys.executable}' -m vicino export data docs - | head -n 1"
    ran = subprocess.run(["bash", "-c", export], check=False, capture_output=True, text=True)
    assert json.loads(ran.stdout)["id"] == 0
    assert ran.stderr == ""


def test_completion_knows_commands(place: Path) -> None:
    environment = {"_VICINO_COMPLETE": "bash_complete", "COMP_WORDS": "vicino se", "COMP_CWORD": "1", "HOME": str(place), "PATH": ""}
    ran = subprocess.run([sys.executable, "-m", "vicino"], check=False, capture_output=True, text=True, env=environment)
    assert "search" in ran.stdout
    assert "create" not in ran.stdout


def test_locked_database_ends_with_4(command: Any, data: str) -> None:
    holder = f"import vicino, sys; db = vicino.open({data!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        ran = command("delete", data, "docs", "a", "--yes")
        beside = command("get", data, "docs", "a")
        process.communicate("")
    assert ran.code == 4
    assert f"process {process.pid}" in ran.err
    assert beside.code == 0, "reading goes on beside a writer"
