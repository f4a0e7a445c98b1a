"""Searches by words and by sparse vectors beside a writer: each sees whole commits, scored by the statistics of just those."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest

import vicino
from tests.property.lexical import PLAIN
from vicino import SparseSpec, TextSpec, _core
from vicino.collection.limits import Limits

N_COMMITS, PER_COMMIT = 150, 7


def test_searches_beside_a_writer_see_whole_commits_and_their_statistics() -> None:
    """Every record has the word "all" once in two words, so that the number of records gives the only score there may be."""
    with vicino.open(limits=Limits(head_rows_max=200, merge_fan_in=2)) as db:
        docs = db.create_collection("docs", vectors={"bag": SparseSpec(idf=True)}, text={"text": TextSpec(analyzer=PLAIN)})
        done, failures = threading.Event(), []

        def read() -> None:
            try:
                while not done.is_set():
                    look(docs)
            except BaseException as error:
                failures.append(error)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for commit in range(N_COMMITS):
            docs.upsert(
                [{"id": n, "text": f"all w{n}", "bag": {1: 1.0, 2 + n: 1.0}} for n in range(commit * PER_COMMIT, (commit + 1) * PER_COMMIT)]
            )
        done.set()
        for reader in readers:
            reader.join()
        assert not failures, failures[0]
        look(docs)


def look(docs: vicino.Collection) -> None:
    snapshot = docs._shard.snapshot()
    n = snapshot.n_records
    idf = math.log(1 + 0.5 / (n + 0.5))
    entry = docs.settings.texts["text"]
    query = _core.TextQuery([(entry.slot, 1.0, 1.2, 0.75)], ("words", [[(0, b"all", 1.0)]], 1))
    locators, scores, _ = snapshot.search_text(query, 10_000, None, _core.Cancel())
    assert len(locators) == n
    assert n % PER_COMMIT == 0
    assert scores.tolist() == pytest.approx([idf / 2.2] * n, rel=1e-5)
    slot = docs.settings.values["bag"].slot
    one = np.array([1], np.uint32), np.array([1.0], np.float32)
    locators, scores, _ = snapshot.search_sparse(slot, *one, True, 10_000, None, _core.Cancel())
    assert len(locators) == n
    assert scores.tolist() == pytest.approx([idf] * n, rel=1e-5)
