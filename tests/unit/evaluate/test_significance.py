"""Paired tests: exact values by hand, t-test values from scipy 1.17."""

from __future__ import annotations

import numpy as np
import pytest

from vicino.errors import InvalidArgument
from vicino.evaluate import randomization_test, t_test


@pytest.mark.parametrize(
    ("differences", "p_value"),
    [
        ([0.1], 1.0),
        ([0.1, 0.1], 0.5),
        ([0.1, 0.1, 0.1], 0.25),
        ([0.1, 0.2, 0.3, -0.1], 0.375),
        ([0.5] * 10, 2 / 1024),
        ([0.3, -0.3], 1.0),
    ],
)
def test_few_queries_are_counted_out(differences: list[float], p_value: float) -> None:
    assert randomization_test([0.0] * len(differences), differences) == p_value


def test_queries_that_stay_do_not_matter() -> None:
    assert randomization_test([0.4] * 50 + [0.0] * 3, [0.4] * 50 + [0.1] * 3) == 0.25


def test_equal_scores_are_no_difference() -> None:
    assert randomization_test([0.1, 0.2], [0.1, 0.2]) == 1.0


def test_many_queries_are_drawn_from_the_seed() -> None:
    random = np.random.default_rng(1)
    before = random.random(100)
    after = before + random.normal(0.02, 0.1, 100)
    assert randomization_test(before, after, seed=3) == randomization_test(before, after, seed=3)
    assert abs(randomization_test(before, after, seed=4) - randomization_test(before, after, seed=3)) < 0.02


def test_drawn_outcomes_agree_with_the_t_test_where_its_assumptions_hold() -> None:
    random = np.random.default_rng(1)
    before = random.random(100)
    after = before + random.normal(0.02, 0.1, 100)
    assert randomization_test(before, after) == pytest.approx(t_test(before, after), abs=0.01)


def test_smallest_value_of_drawn_outcomes_counts_the_observed_one() -> None:
    assert randomization_test(np.zeros(40), np.ones(40), samples=999) == 1 / 1000


@pytest.mark.parametrize(
    ("before", "after", "p_value"),
    [
        ([0.1, 0.4, 0.3, 0.8], [0.2, 0.6, 0.3, 0.7], 0.4950253460597114),
        ([0.1, 0.4], [0.2, 0.6], 0.20483276469913342),
        ([0.2, 0.2, 0.2], [0.2, 0.2, 0.2], 1.0),
        ([0.0, 0.0, 0.0], [0.1, 0.1, 0.1], 0.0),
    ],
)
def test_t_test(before: list[float], after: list[float], p_value: float) -> None:
    assert t_test(before, after) == pytest.approx(p_value, rel=1e-9)


def test_t_test_of_one_query_says_nothing() -> None:
    assert t_test([0.1], [0.2]) is None


def test_tests_are_of_the_same_queries() -> None:
    with pytest.raises(InvalidArgument, match="got 1 and 2"):
        randomization_test([0.1], [0.2, 0.3])


def test_at_least_one_outcome_is_drawn() -> None:
    with pytest.raises(InvalidArgument, match="samples must be 1 or more, got 0"):
        randomization_test([0.1], [0.2], samples=0)
