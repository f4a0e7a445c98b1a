import json

import numpy as np
import pytest

from vicino.errors import CorruptionError, RecallUnreachable
from vicino.recall.calibration import Calibration, Need, level_of, shares_around
from vicino.recall.curve import Curve, Step

WALKED = ((1, 1000, 1000),)


def step(effort, recall, k=10, n=1000):
    counts = np.zeros(k + 1, np.int64)
    counts[k] = round(n * recall)
    counts[0] = n - counts[k]
    return Step(effort, counts, 10.0 * effort)


def curve(share, *steps, k=10):
    return Curve(k, share, 1000, tuple(step(effort, recall, k) for effort, recall in steps), exact_above=True)


def calibration(*curves, **options):
    given = {"walked": WALKED, "source": "rows", "pool": 1000, "seed": 1, "version": 1, **options}
    return Calibration(curves={(one.k, one.share): one for one in curves}, **given)


PLAIN = curve(1.0, (12, 0.9), (24, 0.96), (48, 0.99))


@pytest.mark.parametrize(("k", "level"), [(1, 1), (2, 10), (10, 10), (11, 100), (1000, 1000), (1001, None)])
def test_a_number_of_neighbors_takes_the_next_larger_level(k, level):
    assert level_of(k) == level


@pytest.mark.parametrize(("share", "around"), [(1.0, (1.0,)), (0.7, (1.0, 0.5)), (0.5, (0.5,)), (0.03, (0.05, 0.02)), (0.004, ())], ids=str)
def test_a_filter_lies_between_two_shares(share, around):
    assert shares_around(share) == around


def test_the_cheapest_proven_effort_is_taken():
    choice = calibration(PLAIN).choose(10, 1.0, 0.93)
    assert (choice.effort, choice.exact, choice.source, choice.n_queries) == (24, False, "rows", 1000)
    assert choice.estimate == pytest.approx(0.96)
    assert 0.93 <= choice.low < 0.96


def test_between_two_shares_the_larger_effort_is_taken():
    both = calibration(PLAIN, curve(0.5, (24, 0.9), (48, 0.96)))
    assert both.choose(10, 0.7, 0.93).effort == 48


def test_what_no_effort_reaches_is_scanned():
    choice = calibration(curve(1.0, (12, 0.6))).choose(10, 1.0, 0.95)
    assert choice.exact
    assert choice.estimate == 1.0


def test_more_neighbors_than_were_calibrated_are_scanned():
    assert calibration(PLAIN).choose(2000, 1.0, 0.95).exact


def test_a_cap_below_what_is_needed_is_refused_with_what_can_be_had():
    with pytest.raises(RecallUnreachable, match="ef=30") as refused:
        calibration(PLAIN).choose(10, 1.0, 0.97, cap=30)
    assert refused.value.reachable == pytest.approx(0.95, abs=0.02)


def test_a_cap_that_is_enough_is_not_used_up():
    assert calibration(PLAIN).choose(10, 1.0, 0.93, cap=40).effort == 24


def test_widening_raises_the_effort():
    choice = calibration(PLAIN, widening=1.5).choose(10, 1.0, 0.93)
    assert (choice.effort, choice.widened) == (36, 1.5)


def test_what_was_not_measured_is_missing():
    assert calibration(PLAIN).missing(10, 0.7, 0.93) == [Need(10, 0.5, 0.93)]
    assert calibration(PLAIN).missing(10, 1.0, 0.93) == []


def test_a_high_target_needs_a_larger_sample():
    assert calibration(PLAIN, pool=5000).missing(10, 1.0, 0.99) == [Need(10, 1.0, 0.99)]


def test_a_calibration_is_of_its_segments_until_many_rows_are_gone():
    known = calibration(PLAIN)
    assert known.is_of(((1, 1000, 700),))
    assert not known.is_of(((2, 1000, 1000),))
    assert known.has_drifted(((1, 1000, 700),))
    assert not known.has_drifted(((1, 1000, 950),))


def test_a_calibration_survives_json():
    known = calibration(PLAIN, curve(0.5, (24, 0.9)), widening=2.25)
    again = Calibration.from_json(json.loads(json.dumps(known.to_json())), "here")
    assert again.to_json() == known.to_json()
    assert again.choose(10, 1.0, 0.93) == known.choose(10, 1.0, 0.93)


BEYOND_K = {**PLAIN.to_json(), "steps": [{"effort": 1, "scored": 2.0, "found": [99], "queries": [1]}]}


@pytest.mark.parametrize(
    "change",
    [{"walked": [[1, 2]]}, {"source": "guess"}, {"widening": 0.5}, {"curves": [{}]}, {"curves": [BEYOND_K]}],
    ids=["walked", "source", "widening", "no curve", "counts beyond k"],
)
def test_a_damaged_calibration_is_refused(change):
    with pytest.raises(CorruptionError, match="here"):
        Calibration.from_json({**calibration(PLAIN).to_json(), **change}, "here")


def test_a_search_takes_what_filters_that_follow_the_vectors_need():
    random, clustered = curve(0.5, (24, 0.96), (48, 0.99)), curve(0.5, (24, 0.8), (48, 0.97))
    known = calibration(random, clusters={(10, 0.5): clustered})
    assert known.choose(10, 0.5, 0.93).effort == 48


def test_where_no_effort_is_enough_for_them_everything_is_scanned():
    known = calibration(curve(0.5, (24, 0.96)), clusters={(10, 0.5): curve(0.5, (24, 0.6))})
    assert known.choose(10, 0.5, 0.93).exact


def test_a_filter_is_known_only_when_both_kinds_were_measured():
    random = curve(0.5, (24, 0.96))
    assert calibration(random).missing(10, 0.5, 0.93) == [Need(10, 0.5, 0.93)]
    assert calibration(random, clusters={(10, 0.5): random}).missing(10, 0.5, 0.93) == []


def test_clusters_and_costs_survive_json():
    known = calibration(PLAIN, clusters={(10, 0.5): curve(0.5, (24, 0.9))}, costs=((5.0, 30.0, 14.0),))
    again = Calibration.from_json(json.loads(json.dumps(known.to_json())), "here")
    assert (again.costs, again.to_json()) == (known.costs, known.to_json())


def test_a_calibration_written_before_there_were_clusters_is_read():
    parts = calibration(PLAIN).to_json()
    del parts["clusters"], parts["costs"]
    assert Calibration.from_json(parts, "here").choose(10, 1.0, 0.93).effort == 24


@pytest.mark.parametrize("change", [{"clusters": [{}]}, {"costs": [[1.0]]}, {"costs": ["fast"]}], ids=["cluster", "few costs", "words"])
def test_damaged_clusters_and_costs_are_refused(change):
    with pytest.raises(CorruptionError, match="here"):
        Calibration.from_json({**calibration(PLAIN).to_json(), **change}, "here")
