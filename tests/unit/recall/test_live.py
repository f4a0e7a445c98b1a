import numpy as np
import pytest

from vicino.errors import InvalidArgument
from vicino.recall.live import KeptQueries, Watch, checked_recall


def row(value):
    return np.full(4, value, np.uint8)


def test_the_latest_queries_are_kept():
    kept = KeptQueries(3, 4)
    for value in range(5):
        kept.add(row(value))
    assert sorted(kept.rows[:, 0].tolist()) == [2, 3, 4]


def test_a_batch_larger_than_the_room_leaves_its_end():
    kept = KeptQueries(2, 4)
    kept.add(np.concatenate([row(value) for value in range(5)]))
    assert sorted(kept.rows[:, 0].tolist()) == [3, 4]


def test_before_enough_checks_nothing_is_said():
    watch = Watch()
    for _ in range(49):
        watch.add(0.0, 0.95)
    assert not watch.is_below


def test_queries_that_find_too_little_are_noticed():
    watch = Watch()
    for _ in range(60):
        watch.add(0.8, 0.95)
    assert watch.is_below
    assert watch.recall == pytest.approx(0.8)


def test_queries_that_find_enough_on_average_are_not():
    watch = Watch()
    for number in range(500):
        watch.add(0.8 if number % 5 == 0 else 1.0, 0.95)
    assert not watch.is_below


def test_a_decline_is_noticed_after_long_good_times():
    watch = Watch()
    for number in range(2000):
        watch.add(1.0 if number < 1500 else 0.85, 0.95)
    assert watch.is_below


@pytest.mark.parametrize("value", [0.0, 1.01, -1, True, "0.9", float("nan")], ids=repr)
def test_what_is_no_recall_is_refused(value):
    with pytest.raises(InvalidArgument, match="recall"):
        checked_recall(value)


def test_a_recall_is_a_float_and_may_be_absent():
    assert checked_recall(1) == 1.0
    assert checked_recall(None) is None
