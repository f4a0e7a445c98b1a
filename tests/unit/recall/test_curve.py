from itertools import islice

import numpy as np
import pytest

from vicino.errors import CorruptionError
from vicino.recall.curve import Curve, Step, efforts, extended


def measured(recall_of, *, k=10, n=1000, cost=lambda effort: 10.0 * effort):
    """A measurement without chance: the recall of an effort, in n queries that find either all or nothing."""
    asked = []

    def measure(effort, size):
        asked.append((effort, size))
        counts = np.zeros(k + 1, np.int64)
        counts[k] = round(size * recall_of(effort))
        counts[0] = size - counts[k]
        return Step(effort, counts, cost(effort))

    return measure, asked


def halving(effort):
    """The share that is missed halves whenever the effort doubles: 0.75 with 10, 0.97 with 80."""
    return 1.0 - 2.5 / effort


def test_efforts_are_geometric_and_begin_above_k():
    assert list(islice(efforts(10), 4)) == [12, 16, 20, 24]
    assert next(efforts(1)) == 8
    assert next(efforts(100)) == 125


def test_the_cheapest_proven_effort_is_chosen():
    measure, _ = measured(halving)
    curve = extended(Curve(10, 1.0, 1000), 0.95, measure, cost_max=1e9)
    chosen = curve.chosen(0.95)
    assert chosen.low >= 0.95
    cheaper = curve.steps[curve.steps.index(chosen) - 1]
    assert cheaper.low < 0.95


def test_a_curve_answers_what_it_was_measured_for():
    measure, _ = measured(halving)
    curve = extended(Curve(10, 1.0, 1000), 0.95, measure, cost_max=1e9)
    assert curve.answers(0.95)
    assert not curve.answers(0.99)


def test_a_curve_is_extended_upwards_for_a_higher_target():
    measure, asked = measured(halving)
    curve = extended(Curve(10, 1.0, 1000), 0.9, measure, cost_max=1e9)
    asked.clear()
    higher = extended(curve, 0.95, measure, cost_max=1e9)
    assert higher.answers(0.95)
    assert min(effort for effort, size in asked if size == 1000) > curve.steps[-1].effort


def test_a_curve_is_extended_downwards_for_a_lower_target():
    measure, _ = measured(halving)
    curve = extended(extended(Curve(10, 1.0, 1000), 0.97, measure, cost_max=1e9), 0.8, measure, cost_max=1e9)
    assert curve.answers(0.8)
    assert curve.chosen(0.8).effort < curve.chosen(0.97).effort


def test_beyond_the_cost_of_a_scan_nothing_is_chosen():
    measure, _ = measured(lambda _effort: 0.7)
    curve = extended(Curve(10, 1.0, 1000), 0.95, measure, cost_max=2000.0)
    assert curve.exact_above
    assert curve.chosen(0.95) is None
    assert curve.answers(0.95)


def test_a_walk_that_has_seen_all_it_can_is_given_up():
    """Nodes that nothing leads to are not found by the widest beam."""
    measure, _ = measured(lambda effort: min(0.94, halving(effort)), cost=lambda effort: min(500.0, 10.0 * effort))
    curve = extended(Curve(10, 1.0, 1000), 0.95, measure, cost_max=1000.0)
    assert curve.exact_above
    assert curve.chosen(0.95) is None


def test_a_curve_that_effort_does_not_change_is_flat():
    measure, _ = measured(lambda _effort: 1.0, cost=lambda _effort: 500.0)
    curve = extended(Curve(10, 0.01, 1000), 0.95, measure, cost_max=1e9)
    assert curve.flat
    assert len(curve.steps) == 1


def test_efforts_that_change_nothing_are_not_measured_in_full():
    """Under a filter the engine takes a wider beam than asked for, up to some effort."""
    measure, asked = measured(lambda effort: halving(max(effort, 50)), cost=lambda effort: 10.0 * max(effort, 50))
    extended(Curve(10, 0.2, 1000), 0.96, measure, cost_max=1e9)
    assert len([effort for effort, size in asked if size == 1000 and effort < 50]) <= 1


def scanned_from(effort):
    """Walks up to an effort, scans of codes from there on: what these find and cost no longer depends on effort."""
    return measured(lambda asked: 1.0 if asked >= effort else min(0.97, halving(asked)), cost=lambda asked: 10.0 * min(asked, effort))


def test_where_walks_end_a_scan_of_codes_keeps_a_target():
    measure, _ = scanned_from(300)
    curve = extended(Curve(10, 0.2, 4000), 0.99, measure, cost_max=1e9)
    assert curve.chosen(0.99).effort == next(effort for effort in efforts(10) if effort >= 300)


def test_nothing_is_tried_beyond_a_scan_of_codes():
    measure, asked = scanned_from(300)
    curve = extended(Curve(10, 0.2, 4000), 0.99, measure, cost_max=1e9)
    assert curve.answers(0.99)
    assert len([effort for effort, size in asked if size == 4000 and effort >= 300]) == 1
    assert curve == extended(curve, 0.999, measure, cost_max=1e9)


def test_a_curve_survives_json():
    measure, _ = measured(halving)
    curve = extended(Curve(10, 0.5, 1000), 0.95, measure, cost_max=1e9)
    again = Curve.from_json(curve.to_json(), "here")
    assert again.to_json() == curve.to_json()
    assert again.chosen(0.95).effort == curve.chosen(0.95).effort


def test_a_damaged_curve_is_refused():
    with pytest.raises(CorruptionError, match="here"):
        Curve.from_json({"k": 10, "share": 1.0}, "here")
