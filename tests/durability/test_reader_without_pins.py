"""A reader that may not write its pins, beside a writer that removes what nobody pinned."""

from __future__ import annotations

from typing import cast

import pytest

import vicino
from vicino.collection import read_shard
from vicino.collection.limits import Limits
from vicino.env import Env
from vicino.env.recording import RecordingEnv


@pytest.mark.parametrize("when", ["opening", "following"])
def test_reader_takes_the_newer_base_when_files_go_while_it_opens_them(when, monkeypatch):
    env = cast(Env, RecordingEnv())
    writer = vicino.open("/db", _env=env, limits=Limits(head_rows_max=8))
    docs = writer.create_collection("docs", dim=2)
    docs.upsert([{"id": n, "vector": [n, 1]} for n in range(20)])
    reader = vicino.open("/db", mode="r", _env=env)
    reader._pins._read_only = True
    if when == "following":
        assert reader["docs"].count() == 20
        docs.upsert({"id": 20, "vector": [1, 1]})
        docs.optimize()
    open_state = read_shard.open_state

    def open_late(journal, manifest, budget):
        monkeypatch.undo()
        docs.upsert([{"id": n, "vector": [n, 2]} for n in range(30)])
        docs.optimize()
        return open_state(journal, manifest, budget)

    monkeypatch.setattr(read_shard, "open_state", open_late)
    assert reader["docs"].count() == 30
