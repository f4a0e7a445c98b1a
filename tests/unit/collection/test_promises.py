"""Declared recall of a collection: what a search does for it before and after it was measured, and what becomes of it later."""

import numpy as np
import pytest

import vicino
from vicino.collection.limits import Limits
from vicino.errors import InvalidArgument, RecallUnreachable

LIMITS = Limits(graph_rows_min=256)
N, DIM = 6000, 16


def rows(n=N, seed=3):
    """Rows of low inner dimension, as embeddings are."""
    random = np.random.default_rng(seed)
    plane = np.random.default_rng(0).normal(size=(6, DIM))
    return (random.normal(size=(n, 6)) @ plane + 0.3 * random.normal(size=(n, DIM))).astype(np.float32)


def filled(db, n=N, **options):
    collection = db.create_collection("rows", dim=DIM, metric="l2", **options)
    collection.upsert(ids=list(range(n)), vectors=rows(n), fields=[{"group": number % 4} for number in range(n)])
    return collection


def recall_of(collection, **options):
    queries = rows(300, seed=4)
    exact = collection.search_many(queries, exact=True, **{key: value for key, value in options.items() if key != "recall"})
    found = collection.search_many(queries, **options)
    return np.mean([len(set(truth.ids) & set(hits.ids)) / len(truth) for truth, hits in zip(exact, found, strict=True)])


@pytest.fixture(scope="module")
def declared():
    with vicino.open(limits=LIMITS) as db:
        collection = filled(db, recall=0.9)
        collection.optimize()
        yield collection


def test_a_declared_recall_is_kept(declared):
    assert recall_of(declared) >= 0.9


@pytest.mark.parametrize("limit", [1, 7, 100], ids=str)
def test_a_declared_recall_is_kept_for_other_limits(declared, limit):
    assert recall_of(declared, limit=limit) >= 0.9


def test_a_declared_recall_is_kept_under_filters(declared):
    assert recall_of(declared, where="group == 1") >= 0.9


def test_hits_say_what_recall_to_expect(declared):
    results = declared.search(rows(1, seed=9)[0])
    assert 0.9 <= results.recall < 1.0
    assert results.plan.promise.low >= 0.9
    assert "asked for: effort" in repr(results.plan)
    assert results.plan.to_dict()["recall"] == results.recall


def test_a_plan_tells_codes_from_rows_and_what_was_visited():
    vectors = np.random.default_rng(1).normal(size=(1000, 64)).astype(np.float32)
    with vicino.open(limits=LIMITS) as db:
        collection = db.create_collection("coded", dim=64)
        collection.upsert(ids=list(range(1000)), vectors=vectors)
        collection.optimize()
        plan = collection.explain(vectors[0], ef=16)
        step = plan.segments[0]
        assert (step.strategy, step.rows_scored > step.rows_read > 0, step.visited > 0) == ("graph", True, True)
        assert "by codes" in repr(plan)
        assert plan.to_dict()["segments"][0]["visited"] == step.visited


def test_a_part_tells_the_same_of_its_segments(declared):
    plan = declared.explain(vicino.Dense(rows(1, seed=9)[0]))
    assert "    segment 1: 6,000 rows" in repr(plan)
    assert plan.to_dict()["stages"][0]["segments"][0]["rows"] == N


def test_an_exact_scan_reads_rows_alone(declared):
    step = declared.explain(rows(1, seed=9)[0], exact=True).segments[0]
    assert (step.rows_scored, step.rows_read, step.visited) == (N, N, 0)


def test_a_batch_keeps_the_promise_too(declared):
    assert all(results.plan.promise.effort for results in declared.search_many(rows(3, seed=9)))


def test_exact_search_has_recall_one(declared):
    assert declared.search(rows(1)[0], exact=True).recall == 1.0


def test_a_beam_given_alone_promises_nothing(declared):
    results = declared.search(rows(1)[0], ef=16)
    assert results.recall is None
    assert results.plan.promise is None


def test_until_recall_was_measured_everything_is_scanned(declared):
    first = declared.search(rows(1)[0], recall=0.97)
    assert first.plan.promise.pending
    assert first.recall == 1.0
    assert first.plan.rows_scored == N


def test_a_recall_asked_for_is_measured_in_the_background(declared):
    declared.search(rows(1)[0], recall=0.96)
    declared._maintenance.promises._in_background("recall", "waiting", declared._maintenance.promises.measure).wait(60)
    promise = declared.search(rows(1)[0], recall=0.96).plan.promise
    assert not promise.pending
    assert promise.low >= 0.96 or promise.exact


def test_a_beam_too_small_for_the_recall_is_refused(declared):
    with pytest.raises(RecallUnreachable, match="ef=4") as refused:
        declared.search(rows(1)[0], recall=0.9, ef=4)
    assert refused.value.target == 0.9
    enough = declared.search(rows(1)[0], recall=0.9).plan.promise.effort
    assert f"raise ef to {enough}, or leave it out" in str(refused.value)
    assert declared.search(rows(1)[0], recall=0.9, ef=enough).recall >= 0.9


def test_where_no_beam_is_proven_to_be_enough_none_is_asked_for(declared):
    with pytest.raises(RecallUnreachable, match="leave ef out for an exact scan"):
        declared.search(rows(1)[0], recall=1.0, ef=100_000)


def test_records_that_are_no_more_than_the_beam_are_scanned(declared):
    found = declared.search(rows(1)[0], recall=0.9, ef=40, where=vicino.has_id(range(30)))
    assert (len(found), found.recall) == (10, 1.0)
    assert len(declared.search(rows(1)[0], recall=0.9, ef=40, where="group == 9")) == 0


def test_a_part_may_ask_for_a_recall(declared):
    results = declared.search(vicino.Dense(rows(1)[0], recall=0.9))
    assert results.recall == results.plan.stages[0].recall >= 0.9  # 1.0 where a busy machine made a scan look cheaper than a walk
    assert "recall" in repr(results.plan)


def test_parts_that_combine_have_the_lowest_recall_of_their_leaves(declared):
    results = declared.search(vicino.Fuse([vicino.Dense(rows(1)[0]), vicino.Dense(rows(1, seed=8)[0], exact=True)], depth=10))
    assert results.recall == min(leaf.recall for leaf in results.plan.stages[0].inside) >= 0.9


def test_a_collection_without_a_graph_keeps_every_promise():
    with vicino.open() as db:
        collection = db.create_collection("few", dim=2, recall=0.99)
        collection.upsert([{"id": 1, "vector": [1.0, 0.0]}])
        results = collection.search([1.0, 0.0])
        assert (results.recall, results.plan.promise.exact, results.plan.promise.pending) == (1.0, True, False)


def test_without_a_declared_recall_nothing_is_promised():
    with vicino.open(limits=LIMITS) as db:
        collection = filled(db, 1000)
        collection.optimize()
        assert collection.search(rows(1)[0]).recall is None


def test_a_calibration_is_there_after_reopening(tmp_path):
    with vicino.open(tmp_path / "data", limits=LIMITS) as db:
        filled(db, recall=0.9).optimize()
    with vicino.open(tmp_path / "data", limits=LIMITS) as db:
        promise = db["rows"].search(rows(1)[0]).plan.promise
        assert (promise.pending, promise.exact) == (False, False)
        assert db["rows"].settings.vectors["vector"].spec.recall == 0.9


def test_a_damaged_calibration_is_measured_again(tmp_path):
    with vicino.open(tmp_path / "data", limits=LIMITS) as db:
        filled(db, 2000, recall=0.9).optimize()
    (damaged,) = (tmp_path / "data").glob("c-*/*.recall")
    content = bytearray(damaged.read_bytes())
    content[4100] ^= 1
    damaged.write_bytes(content)
    with vicino.open(tmp_path / "data", limits=LIMITS) as db:
        assert not db.check().is_sound
        db["rows"].optimize()
        assert not db["rows"].search(rows(1)[0]).plan.promise.pending
        assert db.check().is_sound


def test_a_reading_process_has_the_calibration_of_the_writer(tmp_path):
    with vicino.open(tmp_path / "data", limits=LIMITS) as db:
        filled(db, recall=0.9).optimize()
    with vicino.open(tmp_path / "data", mode="r", limits=LIMITS) as reader:
        assert reader["rows"].search(rows(1)[0]).plan.promise.effort > 0


def test_a_reading_process_measures_what_the_writer_has_not(tmp_path):
    with vicino.open(tmp_path / "data", limits=LIMITS) as db:
        filled(db, 2000).optimize()
    with vicino.open(tmp_path / "data", mode="r", limits=LIMITS) as reader:
        promise = reader["rows"].search(rows(1)[0], recall=0.9).plan.promise
        assert (promise.pending, promise.low >= 0.9) == (False, True)


def test_new_segments_are_measured_anew(tmp_path):
    with vicino.open(limits=LIMITS) as db:
        collection = filled(db, 2000, recall=0.9)
        collection.optimize()
        before = collection._maintenance.promises._calibrations[0]
        collection.upsert(ids=list(range(2000, 4000)), vectors=rows(2000, seed=5))
        collection.optimize()
        after = collection._maintenance.promises._calibrations[0]
        assert before.walked != after.walked
        assert not collection.search(rows(1)[0]).plan.promise.pending


def test_kept_queries_take_the_place_of_rows():
    with vicino.open(limits=LIMITS) as db:
        collection = filled(db, recall=0.9, keep_queries=600)
        collection.search_many(rows(600, seed=6))
        collection.optimize()
        promise = collection.search(rows(1)[0]).plan.promise
        assert promise.source == "queries"
        assert "real queries" in str(promise)


def test_kept_queries_are_there_after_reopening(tmp_path):
    with vicino.open(tmp_path / "data", limits=LIMITS) as db:
        collection = filled(db, 2000, recall=0.9, keep_queries=600)
        collection.search_many(rows(600, seed=6))
        collection.optimize()
    with vicino.open(tmp_path / "data", limits=LIMITS) as db:
        db["rows"].search(rows(1)[0])
        assert len(db["rows"]._maintenance.promises._kept[0]) == 600


def test_live_queries_are_checked():
    with vicino.open(limits=LIMITS) as db:
        collection = filled(db, recall=0.9)
        collection.set_recall(0.9, checks=1.0)
        collection.optimize()
        promises = collection._maintenance.promises
        for query in rows(20, seed=7):
            collection.search(query)
        promises._in_background("recheck", "waiting", promises._run_checks).wait(60)
        assert promises.watch(0).n == 20
        assert promises.watch(0).recall > 0.8


def test_promises_that_do_not_hold_raise_the_effort_at_once_and_for_ever(tmp_path):
    with vicino.open(tmp_path / "data", limits=LIMITS) as db:
        collection = filled(db, 2000, recall=0.9)
        collection.optimize()
        promises = collection._maintenance.promises
        before = collection.search(rows(1)[0]).plan.promise.effort
        for _ in range(60):
            promises.checked(0, 0.5, 0.9)
        promises._in_background("recall", "waiting", promises.measure).wait(60)
        promise = collection.search(rows(1)[0]).plan.promise
        assert promise.widened == 1.5
        assert promise.effort > before
        assert "raised 1.50 times" in str(promise)
    with vicino.open(tmp_path / "data", limits=LIMITS) as db:
        assert db["rows"].search(rows(1)[0]).plan.promise.widened == 1.5


def test_a_recall_can_be_declared_and_withdrawn_later():
    with vicino.open(limits=LIMITS) as db:
        collection = filled(db, 2000)
        collection.set_recall(0.9, keep_queries=100).wait(60)
        assert collection.settings.keep_queries == 100
        assert collection.search(rows(1)[0]).plan.promise is not None
        collection.set_recall(None).wait(60)
        assert collection.search(rows(1)[0]).plan.promise is None


@pytest.mark.parametrize("options", [{"recall": 1.5}, {"keep_queries": -1}, {"keep_queries": 20_000}], ids=repr)
def test_what_cannot_be_promised_is_refused(options):
    with vicino.open() as db, pytest.raises(InvalidArgument, match=next(iter(options))):
        db.create_collection("bad", dim=2, **options)
