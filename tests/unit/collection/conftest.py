import pytest

import vicino
from vicino.collection.limits import Limits

SMALL = Limits(head_rows_max=8, merge_fan_in=2, graph_rows_min=4, close_log_bytes_max=0)
"""Heads of eight rows: seals, merges and graphs happen within a few writes."""


@pytest.fixture
def db():
    with vicino.open() as database:
        yield database


@pytest.fixture
def docs(db):
    return db.create_collection("docs", dim=2, metric="l2")


@pytest.fixture
def reopen(tmp_path):
    """Opens the same folder again and again, closing what was open."""
    opened = []

    def open_(**options):
        for database in opened:
            database.close()
        # What is tested is what is there, not when it is durable: tests/durability sees to that.
        opened[:] = [vicino.open(tmp_path / "data", limits=SMALL, **{"sync": "off", **options})]
        return opened[0]

    yield open_
    for database in opened:
        database.close()


def records(*ids, **fields):
    """Records with ids and vectors [id, 0]."""
    return [{"id": record_id, "vector": [float(record_id), 0.0], **fields} for record_id in ids]
