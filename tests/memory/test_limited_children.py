"""`memory_limit=` in a process whose data the system limits too: writing far more than the limit goes well below it."""

from __future__ import annotations

from tests.memory.limited import MB, limited

MANY = """
with vicino.open(path, memory_limit=LIMIT) as db:
    docs = db.create_collection("docs", dim=384)
    n = args["n"]
    for start in range(0, n, 1000):
        ids = list(range(start, start + 1000))
        docs.upsert(ids=ids, vectors=vectors(1000, 384, start), fields=[{"n": i, "text": "some words to keep"} for i in ids])
    found = [docs.search(vectors(1000, 384, start)[7], limit=1)[0].id for start in range(0, n, 5000)]
    count, used = docs.count(), db.stats().memory_bytes
with vicino.open(path, memory_limit=LIMIT) as db:
    again = db["docs"].count()
finish(count=count, again=again, found=found, used=used)
"""


def test_32_mb_take_200_mb_of_vectors(tmp_path):
    n = 130_000
    facts = limited(tmp_path / "data", MANY, limit=32 * MB, n=n)
    assert (facts["count"], facts["again"]) == (n, n)
    assert facts["used"] < 32 * MB
    assert facts["found"] == [start + 7 for start in range(0, n, 5000)]
