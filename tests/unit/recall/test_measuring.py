import numpy as np
import pytest

import vicino
from vicino import _core
from vicino.collection.core_columns import core_column
from vicino.collection.limits import Limits
from vicino.recall.calibration import Need, calibrated
from vicino.recall.measuring import SCANNED_COST, Bench, Work, distances_of, recalls
from vicino.recall.sampling import draw, masks, under_clusters

INF = np.inf


@pytest.mark.parametrize(
    ("found", "truth", "recall"),
    [
        ([1, 2, 3], [1, 2, 3], 1.0),
        ([1, 3, 9], [1, 2, 3], 2 / 3),
        ([1, 2, 2], [1, 2, 2], 1.0),
        ([1, INF, INF], [1, 2, INF], 0.5),
        ([INF, INF, INF], [INF, INF, INF], 1.0),
        ([-5, -4, INF], [-5, -4, -4], 2 / 3),
    ],
    ids=["all", "a farther hit", "ties", "fewer rows than k", "no rows", "distances below zero"],
)
def test_recall_is_counted_by_distance(found, truth, recall):
    given = recalls(np.array([found], np.float32), np.array([truth], np.float32))
    assert given[0] == pytest.approx(recall)


def test_codes_that_are_scanned_cost_a_part_of_what_a_walk_pays():
    assert Work(scored=100.0, scanned=80.0).cost == pytest.approx(20.0 + 80.0 * SCANNED_COST)


@pytest.fixture(scope="module")
def walked():
    """A snapshot whose rows are in one graph, and its column."""
    random = np.random.default_rng(5)
    with vicino.open(limits=Limits(graph_rows_min=256)) as db:
        collection = db.create_collection("rows", dim=16, metric="l2")
        collection.upsert(ids=list(range(4000)), vectors=random.normal(size=(4000, 16)).astype(np.float32))
        collection.optimize()
        yield collection._shard.snapshot(), core_column(collection.settings, "vector")


def test_rows_that_serve_as_queries_do_not_find_themselves(walked):
    snapshot, column = walked
    sample = draw(snapshot, column, np.zeros((0, 1), np.uint8), 50, 1)
    assert sample.source == "rows"
    exact, _ = distances_of(snapshot, column, sample, 5, exact=True, matches=None, cancel=_core.Cancel())
    found, _ = distances_of(snapshot, column, sample, 5, effort=64, matches=None, cancel=_core.Cancel())
    assert (exact[:, 0] > 0).all()
    assert (found[:, 0] > 0).all()


def test_held_out_rows_are_harder_to_serve_than_rows_that_meet_themselves(walked):
    snapshot, column = walked
    sample = draw(snapshot, column, np.zeros((0, 1), np.uint8), 500, 1)
    exact, _ = distances_of(snapshot, column, sample, 10, exact=True, matches=None, cancel=_core.Cancel())
    hidden, _ = distances_of(snapshot, column, sample, 10, effort=12, matches=None, cancel=_core.Cancel())
    seen = []
    for row, own in zip(sample.rows, sample.held_out, strict=True):
        ((locators, distances),), _ = snapshot.search_rows(column, row, 11, 12, False, None, _core.Cancel())
        seen.append(np.append(distances[locators != own], [np.inf] * 11)[:10])
    assert recalls(hidden, exact).mean() < recalls(np.array(seen, np.float32), exact).mean()


def test_real_queries_are_asked_where_there_are_enough(walked):
    snapshot, column = walked
    kept = np.zeros((500, 64), np.uint8)
    sample = draw(snapshot, column, kept, 100, 1)
    assert (sample.source, len(sample), sample.held_out) == ("queries", 100, None)


def test_the_same_seed_draws_the_same_sample(walked):
    snapshot, column = walked
    none = np.zeros((0, 1), np.uint8)
    first, second = draw(snapshot, column, none, 30, 9), draw(snapshot, column, none, 30, 9)
    assert first.held_out.tolist() == second.held_out.tolist()


def test_a_sample_has_no_more_queries_than_there_are_rows(walked):
    snapshot, column = walked
    assert len(draw(snapshot, column, np.zeros((0, 1), np.uint8), 9000, 1)) == 4000


def test_masks_keep_their_share(walked):
    snapshot, _ = walked
    assert [mask.count for mask in masks(snapshot, 0.05, 1)] == [200] * 4
    assert masks(snapshot, 1.0, 1) == [None]


def test_the_same_seed_calibrates_the_same(walked):
    snapshot, column = walked
    none, needs = np.zeros((0, 1), np.uint8), [Need(10, 1.0, 0.9), Need(10, 0.2, 0.9)]
    first, second = (calibrated(None, snapshot, column, needs, none, seed=4, cancel=_core.Cancel()) for _ in range(2))
    assert first.to_json() == second.to_json()
    assert not first.missing(10, 0.2, 0.9)


def test_a_cancelled_calibration_ends(walked):
    snapshot, column = walked
    cancel = _core.Cancel()
    cancel.cancel()
    with pytest.raises(KeyboardInterrupt):
        calibrated(None, snapshot, column, [Need(10, 1.0, 0.9)], np.zeros((0, 1), np.uint8), seed=4, cancel=cancel)


def test_a_calibration_keeps_what_it_knows_of_the_same_segments(walked):
    snapshot, column = walked
    none = np.zeros((0, 1), np.uint8)
    first = calibrated(None, snapshot, column, [Need(10, 1.0, 0.9)], none, seed=4, cancel=_core.Cancel())
    second = calibrated(first, snapshot, column, [Need(1, 1.0, 0.9)], none, seed=5, cancel=_core.Cancel())
    assert second.curves[10, 1.0] is not None
    assert second.curves[10, 1.0].to_json() == first.curves[10, 1.0].to_json()


def test_filters_that_follow_the_vectors_keep_a_share_near_half_of_the_queries(walked):
    snapshot, column = walked
    sample = draw(snapshot, column, np.zeros((0, 1), np.uint8), 200, 1)
    asked = under_clusters(snapshot, column, sample, 0.1, 3, _core.Cancel())
    assert sorted(np.concatenate([numbers for _, numbers in asked])) == list(range(200))
    assert {matches.count for matches, _ in asked} == {400}

    def nearest(number, matches):
        (_, distances), *_ = snapshot.search_rows(column, sample.rows[number], 1, 0, True, matches, _core.Cancel())[0]
        return distances[0]

    near, far = [], []
    for matches, numbers in asked:
        for number in numbers:
            (far if number % 2 else near).append(nearest(number, matches))
    assert np.mean(near) < 0.92 * np.mean(far)


@pytest.fixture(scope="module")
def coded():
    """The same in 64 dimensions, whose graph has codes."""
    random = np.random.default_rng(5)
    with vicino.open(limits=Limits(graph_rows_min=256)) as db:
        collection = db.create_collection("rows", dim=64)
        collection.upsert(ids=list(range(8000)), vectors=random.normal(size=(8000, 64)).astype(np.float32))
        collection.optimize()
        yield collection._shard.snapshot(), core_column(collection.settings, "vector")


def work_of(parts, *, effort, share):
    snapshot, column = parts
    sample = draw(snapshot, column, np.zeros((0, 1), np.uint8), 20, 1)
    (mask, *_) = masks(snapshot, share, 1)
    _, work = distances_of(snapshot, column, sample, 10, effort=effort, matches=mask, cancel=_core.Cancel())
    return work


def test_a_scan_of_codes_is_counted_as_one(coded):
    work = work_of(coded, effort=400, share=0.2)
    assert work.scanned == pytest.approx(1600, abs=1)
    assert work.scored > work.scanned  # some are scored by their vectors too


def test_a_walk_scans_no_codes(coded):
    work = work_of(coded, effort=12, share=1.0)
    assert (work.scanned, work.cost) == (0.0, work.scored)


def test_what_no_walk_reaches_is_promised_with_a_scan_of_codes(coded):
    """Random rows in so many dimensions have no neighborhoods: walks find little of them."""
    snapshot, column = coded
    known = calibrated(None, snapshot, column, [Need(10, 0.2, 0.99)], np.zeros((0, 1), np.uint8), seed=4, cancel=_core.Cancel())
    choice = known.choose(10, 0.2, 0.99)
    assert not choice.exact
    assert choice.low >= 0.99
    assert work_of(coded, effort=choice.effort, share=0.2).scanned > 0


def test_a_bench_under_clusters_knows_the_order_of_its_queries(walked):
    snapshot, column = walked
    sample = draw(snapshot, column, np.zeros((0, 1), np.uint8), 30, 1)
    options = {"share": 0.2, "k_max": 10, "seed": 3, "cancel": _core.Cancel(), "clustered": True}
    bench = Bench(snapshot, column, sample, **options)
    each, _ = bench.each(10, 4000, len(sample))
    assert (len(each), sorted(bench.numbers)) == (30, list(range(30)))
    assert each.mean() > 0.99
