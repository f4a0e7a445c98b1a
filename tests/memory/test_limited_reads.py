"""Reading under `memory_limit=`: what is streamed takes a bounded slice, an answer that does not fit is refused with the shortfall.

One child does it all under RLIMIT_DATA while its anonymous memory is sampled; each test looks at one thing it reported.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.memory.limited import MB, limited

READS = """
n = 2000
text = "x" * 50_000
with vicino.open(path, memory_limit=LIMIT) as db:
    docs = db.create_collection("docs", dim=8)
    few = db.create_collection("few", dim=8)
    for start in range(0, n, 20):
        rows = vectors(20, 8, start)
        docs.upsert(ids=list(range(start, start + 20)), vectors=rows, fields=[{"n": -i, "text": text} for i in range(start, start + 20)])
    many = 120_000
    for start in range(0, many, 2000):
        few.upsert(ids=list(range(start, start + 2000)), vectors=vectors(2000, 8, start),
                   fields=[{"n": i % 7, "name": f"a name that nobody else has, {i}"} for i in range(start, start + 2000)])
    queries = vectors(100, 8)
    facts = {
        "searched": len(docs.search(queries[0], limit=10)),
        "searched_fields": docs.search(queries[0], limit=10)[9]["text"] == text,
        "search_many": refusal(lambda: docs.search_many(queries, limit=100)),
        "search_deep": refusal(lambda: docs.search(queries[0], limit=2000)),
        "get_some": [view["n"] for view in docs.get([3, 5])],
        "get_all": refusal(lambda: docs.get(list(range(n)))),
        "iterated": sum(len(view["text"]) for view in docs.iter()),
        "iterated_vectors": sum(view.vector is not None for view in docs.iter(vectors=True)),
        "exported": docs.export(path + ".jsonl"),
        "ordered": [view.id for view in docs.iter(order_by="n", batch=10)][:3],
        "ordered_many": refusal(lambda: list(few.iter(order_by="n", select=()))),
        "facet": few.facet("n"),
        "facet_many": refusal(lambda: few.facet("name")),
        "counted": few.count(where="n == 3"),
        "after": refusal(lambda: docs.search(queries[0], limit=10)),
    }
    db_used = db.stats().memory_bytes
finish(used=db_used, **facts)
"""


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    return limited(tmp_path_factory.mktemp("reads") / "data", READS, limit=16 << 20, slack=10 << 20)


def refused(refusal: dict[str, Any] | None) -> bool:
    return refusal is not None and refusal["needed"] > refusal["available"] and "short" in refusal["message"]


def test_a_small_search_answers(facts):
    assert facts["searched"] == 10
    assert facts["searched_fields"]


def test_many_large_hits_are_refused(facts):
    assert refused(facts["search_many"])
    assert facts["search_many"]["needed"] > 100 * 100 * 50_000


def test_one_deep_search_is_refused(facts):
    assert refused(facts["search_deep"])


def test_get_takes_what_fits_and_refuses_the_rest(facts):
    assert facts["get_some"] == [-3, -5]
    assert refused(facts["get_all"])


def test_iter_streams_more_than_the_limit(facts):
    assert facts["iterated"] == 2000 * 50_000 > 4 * (16 << 20)
    assert facts["iterated_vectors"] == 2000


def test_export_streams_more_than_the_limit(facts):
    assert facts["exported"] == 2000


def test_order_by_streams_the_records_it_ordered(facts):
    assert facts["ordered"] == [1999, 1998, 1997]


def test_an_order_that_does_not_fit_is_refused(facts):
    assert refused(facts["ordered_many"])


def test_a_facet_takes_as_much_as_it_has_values(facts):
    assert {int(value): count for value, count in facts["facet"].items()} == {i: len(range(i, 120_000, 7)) for i in range(7)}
    assert refused(facts["facet_many"])


def test_nothing_stays_reserved(facts):
    assert facts["after"] is None
    assert facts["used"] < 16 * MB


SHORT = """
with vicino.open(path, memory_limit=1 << 30) as db:
    docs = db.create_collection("docs", dim=8)
    for start in range(0, 600, 20):
        docs.upsert(ids=list(range(start, start + 20)), vectors=vectors(20, 8, start), fields=[{"text": "x" * 100_000}] * 20)
    docs.optimize()
    found = refusal(lambda: docs.search_many(vectors(20, 8), limit=400))
finish(found=found)
"""


def test_memory_that_the_system_refuses_is_a_memory_limit_error(tmp_path):
    found = limited(tmp_path / "data", SHORT, limit=120 * MB)["found"]
    assert "search_many() got no more memory from the system" in found["message"]
    assert found["available"] > 0
