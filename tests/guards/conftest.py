"""Each guard holds for records wherever they lie: in the head, in a sealed segment without a graph, in one with a graph."""

from __future__ import annotations

from typing import Any

import pytest

import vicino
from vicino.collection.limits import Limits

STATES = ("head", "sealed", "graph")


@pytest.fixture(params=STATES)
def state(request):
    return request.param


@pytest.fixture
def make(state):
    """Makes a collection, and `settle(collection)` brings its records where this run wants them."""
    opened = []

    def make_(**options: Any) -> vicino.Collection:
        limits = Limits(graph_rows_min=2 if state == "graph" else 1 << 30)
        db = vicino.open(limits=limits)
        opened.append(db)
        return db.create_collection("docs", auto_index=False, **options)

    yield make_
    for db in opened:
        db.close()


@pytest.fixture
def settle(state):
    def settle_(docs):
        if state != "head":
            docs.optimize()
            wants_graph = any(slot.spec.index != "flat" for slot in docs.settings.vectors.values())
            for segment in docs.stats().segments:
                assert segment.rows == 0 or segment.sealed, segment
                assert segment.indexes == 0 or state == "graph", segment
                assert segment.indexes > 0 or state == "sealed" or segment.rows < 2 or not wants_graph, segment
        return docs

    return settle_
