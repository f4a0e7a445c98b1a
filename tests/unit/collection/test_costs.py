"""What searches under filters cost: assumed, measured, kept with promises; and that the planner goes by it."""

import itertools

import numpy as np
import pytest

import vicino
from vicino import _core
from vicino.collection.core_columns import core_column
from vicino.collection.limits import Limits
from vicino.errors import InvalidArgument

N, DIM = 6000, 64
CHEAP_SCAN, CHEAP_WALK = (1.0, 19.0, 20.0), (20.0, 31.0, 5.0)


def rows(n=N, seed=3):
    random = np.random.default_rng(seed)
    plane = np.random.default_rng(0).normal(size=(8, DIM))
    return (random.normal(size=(n, 8)) @ plane + 0.3 * random.normal(size=(n, DIM))).astype(np.float32)


def filled(db, **options):
    collection = db.create_collection("rows", dim=DIM, **options)
    collection.upsert(ids=list(range(N)), vectors=rows(), fields=[{"group": number % 4} for number in range(N)])
    collection.create_index("group")
    collection.optimize()
    return collection


@pytest.fixture
def collection():
    with vicino.open(limits=Limits(graph_rows_min=256)) as db:
        yield filled(db)


def parts(collection):
    return collection._shard.snapshot(), core_column(collection.settings, "vector")


def measure(collection, clock):
    snapshot, column = parts(collection)
    snapshot.measure_costs(column, rows(16, seed=8).view(np.uint8).reshape(-1), clock, _core.Cancel())
    return snapshot.costs(column[0])


def step_of(collection):
    return collection.explain(rows(1, seed=9)[0], where="group == 1", ef=16).segments[0]


def strategy_under(collection, costs):
    snapshot, column = parts(collection)
    snapshot.set_costs(column[0], [costs])
    return step_of(collection).strategy


def test_a_cheap_scan_is_preferred(collection):
    assert strategy_under(collection, CHEAP_SCAN) == "scan of codes"


def test_a_cheap_walk_is_preferred(collection):
    assert strategy_under(collection, CHEAP_WALK) == "graph"


def test_plans_show_what_was_expected(collection):
    snapshot, column = parts(collection)
    snapshot.set_costs(column[0], [CHEAP_SCAN])
    step = step_of(collection)
    assert step.expected_us["scan"] == pytest.approx(1.5)
    assert step.costs_are_measured
    assert "measured costs" in step.line("segment 1")


def test_costs_are_not_measured_by_a_clock_that_stands_still(collection):
    assert measure(collection, lambda: 7.0) == [(0.0, 0.0, 0.0)]


def test_an_accident_of_measuring_is_not_believed(collection):
    times = itertools.count()
    assert measure(collection, lambda: float(next(times))) == [(0.0, 0.0, 0.0)]


def test_known_costs_are_not_measured_again(collection):
    snapshot, column = parts(collection)
    snapshot.set_costs(column[0], [CHEAP_SCAN])
    assert measure(collection, lambda: pytest.fail("the clock was asked")) == [CHEAP_SCAN]


def test_costs_that_cannot_be_are_not_set(collection):
    snapshot, column = parts(collection)
    snapshot.set_costs(column[0], [(5.0, 1.0, 14.0)])
    assert snapshot.costs(column[0]) == [(0.0, 0.0, 0.0)]


def test_costs_of_another_number_of_segments_are_refused(collection):
    snapshot, column = parts(collection)
    with pytest.raises(InvalidArgument, match="1 indexes"):
        snapshot.set_costs(column[0], [])


def test_a_promise_brings_the_costs_it_was_measured_with(tmp_path):
    limits = Limits(graph_rows_min=256)
    with vicino.open(tmp_path, limits=limits) as db:
        promises = filled(db, recall=0.9)._shard
        snapshot, column = promises.snapshot(), core_column(promises.settings, "vector")
        before = snapshot.costs(column[0])
    with vicino.open(tmp_path, limits=limits, mode="r") as db:
        collection = db["rows"]
        collection.search(rows(1, seed=9)[0], where="group == 1")
        again, column = parts(collection)
        assert again.costs(column[0]) == pytest.approx(np.array(before), rel=1e-6)
