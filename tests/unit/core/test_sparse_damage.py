"""Damaged lists whose checksums are right: an error that names the file, and nothing left behind for the next search."""

from __future__ import annotations

from typing import Any, cast

import pytest

import vicino
from tests.property.lexical import PLAIN, Field, Lexical
from tests.property.shard_model import container_bytes
from vicino import Text, TextSpec, _core
from vicino.env import Env
from vicino.env.recording import RecordingEnv
from vicino.errors import CorruptionError

N = 512
"""Rows that have the word "common": four blocks of a long list, which is all that `postings` holds, as every other word is in one row."""


def texts_of(n: int) -> dict[int, str]:
    return {number: f"common word{number}" for number in range(n)}


def database_with_terms(change: Any) -> tuple[RecordingEnv, str]:
    """A database whose only `.terms` file has sections that `change` was applied to, and the file's name."""
    env = RecordingEnv(1)
    with vicino.open("/db", _env=cast(Env, env)) as database:
        spec = TextSpec(analyzer=PLAIN, positions=False)
        for name in ("damaged", "sound"):
            docs = database.create_collection(name, vectors={}, text={"text": spec})
            docs.upsert([{"id": number, "text": text} for number, text in texts_of(N).items()])
            docs.optimize()
            if name == "damaged":
                folder = next(f"/db/{entry}" for entry in env.files.list("/db") if entry.startswith("c-"))
                name_of_terms = next(entry for entry in env.files.list(folder) if entry.endswith(".terms"))
    data = bytes(env.files.read(f"{folder}/{name_of_terms}"))
    container = _core.Container.open(_core.Blob(data), "whole")
    sections = {name: bytearray(data[offset : offset + size]) for name, offset, size in container.sections}
    change(sections)
    made = container_bytes("terms", [(name, bytes(content)) for name, content in sections.items()])
    assert len(made) == len(data)
    env.files.open(f"{folder}/{name_of_terms}").write_at(0, made)
    return env, name_of_terms


def end_of_third_block(sections: dict[str, bytearray]) -> None:
    """Four last rows, then four ends: the first two blocks are added up before the third one is found to lie outside."""
    sections["postings"][24:28] = b"\xff" * 4


def test_search_of_a_damaged_list_names_the_file() -> None:
    env, name = database_with_terms(end_of_third_block)
    with vicino.open("/db", mode="r", _env=cast(Env, env)) as database, pytest.raises(CorruptionError, match=name):
        database["damaged"].search(Text("common"))


def test_search_after_one_of_a_damaged_list_is_right() -> None:
    env, _ = database_with_terms(end_of_third_block)
    expected = Lexical([Field({number: text.split() for number, text in texts_of(N).items()})]).scores(
        ("words", [[(0, b"common", 1.0)], [(0, b"word3", 1.0)]], 1)
    )
    with vicino.open("/db", mode="r", _env=cast(Env, env)) as database:
        with pytest.raises(CorruptionError):
            database["damaged"].search(Text("common"))
        hits = database["sound"].search(Text("common word3"), limit=N)
    assert {hit.id: hit.score for hit in hits} == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("section", "offset", "problem"),
    [("stats", 4, "values"), ("stats", 8, "words"), ("lengths", 0, "words"), ("stats", 24, "terms"), ("postings", 32, "bound")],
    ids=["rows with a value", "sum of lengths", "a length", "number of terms", "a bound that is too small"],
)
def test_check_finds_numbers_that_contradict_each_other(section: str, offset: int, problem: str) -> None:
    """Behind right checksums: a file that somebody else may have written."""

    def change(sections: dict[str, bytearray]) -> None:
        sections[section][offset] = sections[section][offset] ^ 1 if section != "postings" else 1

    env, name = database_with_terms(change)
    with vicino.open("/db", mode="rescue", _env=cast(Env, env)) as database:
        problems = [what for _, what in database.check().problems]
    assert any(name in what and problem in what for what in problems), problems
