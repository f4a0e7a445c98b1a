"""The way of one search of vectors: what is kept between searches, what is read late, what threads share."""

from __future__ import annotations

import numpy as np
import pytest

import vicino
from vicino import F, _core
from vicino.collection.limits import Limits
from vicino.collection.reading import MATCHES_KEPT, KeptMatches
from vicino.errors import InvalidArgument, TimeoutError
from vicino.filter.compile import compile_filter
from vicino.filter.model import Equal

ROWS, DIM = 400, 8


def filled(database: vicino.Database) -> vicino.Collection:
    collection = database.create_collection("rows", dim=DIM)
    vectors = np.random.default_rng(0).normal(size=(ROWS, DIM)).astype(np.float32)
    collection.upsert(ids=range(ROWS), vectors=vectors, fields=[{"n": row, "half": row % 2} for row in range(ROWS)])
    return collection


@pytest.fixture
def collection() -> vicino.Collection:
    return filled(vicino.open())


QUERY = np.ones(DIM, np.float32)


def test_a_repeated_filter_sees_what_was_written_since(collection):
    assert len(collection.search(QUERY, where=F.n >= ROWS)) == 0
    collection.upsert({"id": "new", "vector": QUERY, "n": ROWS})
    assert collection.search(QUERY, where=F.n >= ROWS).ids == ["new"]


def test_a_repeated_filter_sees_what_was_deleted_since(collection):
    nearest = collection.search(QUERY, where=F.half == 1, limit=1).ids
    collection.delete(nearest)
    assert collection.search(QUERY, where=F.half == 1, limit=1).ids != nearest


def test_a_repeated_filter_is_answered_alike_after_sealing(collection):
    before = collection.search(QUERY, where=F.half == 1).ids
    collection.optimize()
    assert collection.search(QUERY, where=F.half == 1).ids == before


def test_true_and_one_are_different_filters(collection):
    collection.upsert({"id": "yes", "vector": QUERY, "half": True})
    assert "yes" not in collection.search(QUERY, where=F.half == 1, limit=ROWS).ids
    assert collection.search(QUERY, where=F.half == True).ids == ["yes"]  # noqa: E712  (a condition)


def matched(collection, condition):
    """What a search goes by."""
    searcher, settings = collection._searcher, collection.settings
    return searcher.reader.match(searcher.shard.snapshot(), condition, settings, _core.Cancel())


def test_the_answer_of_a_filter_is_kept_without_an_index_as_well(collection):
    condition = (F.half == 1).condition
    first = matched(collection, condition)
    assert not first.is_indexed
    assert matched(collection, condition) is first


def test_an_index_is_used_as_soon_as_it_is_there_though_an_answer_was_kept(collection):
    condition = (F.half == 1).condition
    before = matched(collection, condition)
    collection.create_index("half")
    collection.optimize()
    after = matched(collection, condition)
    assert (before.is_indexed, after.is_indexed, after.count) == (False, True, before.count)


def answer(collection, value):
    return collection._shard.snapshot().match(compile_filter(Equal("n", value)), {}, _core.Cancel())


def test_kept_answers_are_those_asked_for_lately(collection):
    kept, often = KeptMatches(), Equal("n", -1)
    kept.keep(often, answer(collection, -1))
    for value in range(4 * MATCHES_KEPT):
        kept.keep(Equal("n", value), answer(collection, value))
        assert kept.find(often) is not None
    assert kept.find(Equal("n", 0)) is None
    assert kept.find(Equal("n", 4 * MATCHES_KEPT - 1)) is not None


def test_hits_looked_at_twice_are_the_same_objects(collection):
    results = collection.search(QUERY)
    third = results[2]
    assert list(results)[2] is third
    assert list(results)[5] is results[5]


def test_hits_read_all_at_once_are_those_read_one_by_one(collection):
    at_once, one_by_one = list(collection.search(QUERY)), collection.search(QUERY)
    for position, hit in enumerate(at_once):
        other = one_by_one[position]
        assert (hit.id, hit.score, hit.distance, hit.version, hit.fields) == (
            other.id,
            other.score,
            other.distance,
            other.version,
            other.fields,
        )
        assert hit.scores == hit.matched == hit.highlights == {}
        with pytest.raises(InvalidArgument, match="were not read"):
            hit.vectors  # noqa: B018


def test_results_looked_at_late_show_the_records_as_they_were_found(collection):
    results = collection.search(QUERY, limit=3)
    collection.update(results.ids, set={"n": -1})
    assert all(hit.fields["n"] >= 0 for hit in results)


def test_offset_and_select_hold_for_hits_read_all_at_once(collection):
    everything, page = collection.search(QUERY, limit=6), collection.search(QUERY, limit=2, offset=4, select="n")
    assert page.ids == everything.ids[4:]
    assert [hit.fields for hit in page] == [{"n": hit.fields["n"]} for hit in everything[4:]]


def test_all_results_of_a_call_have_one_plan(collection):
    first, second = collection.search_many([QUERY, -QUERY], limit=3)
    assert first.plan is second.plan
    assert first.plan.rows_scored == 2 * ROWS


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("where", [None, "half == 1", "n < 30"])
def test_threads_change_no_answer(tmp_path, exact, where):
    queries = np.random.default_rng(1).normal(size=(201, DIM)).astype(np.float32)
    answers = []
    for threads in (1, 3):
        with vicino.open(tmp_path / str(threads), threads=threads, limits=Limits(graph_rows_min=100)) as database:
            collection = filled(database)
            collection.optimize()
            found = collection.search_many(queries, exact=exact, where=where, limit=7)
            answers.append(([results.ids for results in found], found[0].plan.rows_scored))
            assert answers[-1][0][200] == collection.search(queries[200], exact=exact, where=where, limit=7).ids
    assert answers[0] == answers[1]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 15, 16, 17, 63, 64, 65, 201])
def test_a_batch_of_any_size_has_an_answer_for_each_query(tmp_path, n):
    queries = np.random.default_rng(2).normal(size=(n, DIM)).astype(np.float32)
    with vicino.open(tmp_path, threads=3) as database:
        collection = filled(database)
        assert [found.ids for found in collection.search_many(queries)] == [collection.search(query).ids for query in queries]


def test_the_rows_of_one_array_are_asked_as_vectors_are(collection):
    with pytest.raises(InvalidArgument, match="is for a query of words"):
        collection.search_many(np.ones((2, DIM), np.float32), mode="text")


def test_a_batch_shared_by_threads_keeps_its_timeout(tmp_path):
    with vicino.open(tmp_path, threads=2) as database:
        collection = filled(database)
        with pytest.raises(TimeoutError):
            collection.search_many(np.ones((500, DIM), np.float32), timeout=0)


def test_snapshots_have_identities_of_their_own(collection):
    shard = collection._shard
    before = shard.snapshot().identity
    assert shard.snapshot().identity == before
    collection.delete(0)
    assert shard.snapshot().identity != before


@pytest.fixture(scope="module")
def graphed() -> vicino.Collection:
    return graphed_collection()


WIDE = 64  # walks over fewer dimensions go by the rows themselves


def graphed_collection() -> vicino.Collection:
    collection = vicino.open(limits=Limits(graph_rows_min=100)).create_collection("rows", dim=WIDE)
    vectors = np.random.default_rng(2).normal(size=(3000, WIDE)).astype(np.float32)
    vectors[1000:1010] = vectors[7]  # one node stands for all of them
    collection.upsert(ids=range(3000), vectors=vectors, fields=[{"n": row} for row in range(3000)])
    collection.create_index("n")
    collection.optimize()
    return collection


WAYS = {"graph": F.n >= 200, "scan of codes": F.n < 700, "scan": F.n < 30}


@pytest.mark.parametrize("strategy", WAYS)
def test_a_filter_asked_again_finds_the_same(graphed, strategy):
    queries = np.random.default_rng(3).normal(size=(5, WIDE)).astype(np.float32)
    for query in queries:
        first, second, third = (graphed.search(query, where=WAYS[strategy], ef=10, limit=5) for _ in range(3))
        assert first.plan.segments[0].strategy == strategy
        assert first.ids == second.ids == third.ids
        assert all(WAYS_HOLD[strategy](hit.fields["n"]) for hit in third)


WAYS_HOLD = {"graph": lambda n: n >= 200, "scan of codes": lambda n: n < 700, "scan": lambda n: n < 30}


@pytest.mark.parametrize("strategy", ["scan of codes", "scan"])
def test_scans_of_a_repeated_filter_are_exact(graphed, strategy):
    query = np.random.default_rng(4).normal(size=WIDE).astype(np.float32)
    graphed.search(query, where=WAYS[strategy])
    found = graphed.search(query, where=WAYS[strategy])
    exact = graphed.search(query, where=WAYS[strategy], exact=True)
    np.testing.assert_allclose([hit.distance for hit in found], [hit.distance for hit in exact], rtol=1e-5)


def test_rows_that_share_a_node_are_told_apart_by_a_repeated_filter(graphed):
    query = np.asarray(graphed.get(1000, vectors=True).vector)
    for where in (F.n >= 1005, F.n.between(1005, 1500)):
        for _ in range(3):
            assert sorted(graphed.search(query, where=where, limit=5).ids) == [1005, 1006, 1007, 1008, 1009]


def test_searches_without_a_filter_do_not_find_what_was_deleted_since():
    collection, query = graphed_collection(), np.ones(WIDE, np.float32)
    for _ in range(20):
        found = collection.search(query, limit=5).ids
        collection.delete(found[0])
        assert found[0] not in collection.search(query, limit=5).ids
        assert collection.search(query, limit=5).ids[:4] == found[1:]


@pytest.mark.parametrize("form", [bytes, bytearray, lambda row: memoryview(bytes(row))], ids=["bytes", "bytearray", "memoryview"])
def test_packed_bits_are_a_query_in_the_forms_in_which_they_are_records(form):
    packed = np.random.default_rng(0).integers(0, 256, (20, 3), np.uint8)
    with vicino.open() as db:
        docs = db.create_collection("docs", dim=24, metric="hamming", dtype="binary")
        docs.upsert(ids=range(20), vectors=[form(row) for row in packed])
        assert docs.search(form(packed[7])).ids == docs.search(packed[7]).ids
        assert [found.ids for found in docs.search_many([form(row) for row in packed], limit=1)] == [[number] for number in range(20)]
        assert docs.search(vicino.Dense(form(packed[7])), limit=1)[0].distance == 0
        assert docs.why(form(packed[7]), 7).is_hit
        assert docs.verify(queries=[form(row) for row in packed]).recall == 1.0
