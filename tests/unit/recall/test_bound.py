import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicino.recall.bound import fixed_sequence, histogram, interval, lower_bound, mean, passes

counts = st.lists(st.integers(0, 500), min_size=2, max_size=12).filter(any).map(np.array)


def test_histogram_counts_parts_and_rounds_down():
    assert histogram([0.0, 0.34, 2 / 3, 1.0], 3).tolist() == [1, 1, 1, 1]


def test_mean_of_a_histogram():
    assert mean(np.array([1, 0, 3])) == pytest.approx(0.75)


def test_a_bound_from_perfect_queries_is_the_rule_of_three():
    # Were the mean recall 1 - 3 / n, a sample would be without a miss in five of a hundred cases.
    assert lower_bound(np.array([0, 1000])) == pytest.approx(1 - 3 / 1000, abs=0.003)


def test_nothing_is_proven_by_no_queries():
    assert lower_bound(np.array([0, 0])) == 0.0


@given(counts)
def test_the_interval_holds_the_mean(found):
    low, high = interval(found)
    assert 0.0 <= low <= mean(found) + 1e-9
    assert mean(found) - 1e-9 <= high <= 1.0


@given(counts)
def test_ten_times_the_queries_prove_more(found):
    assert lower_bound(10 * found) >= lower_bound(found) - 1e-9


@pytest.mark.parametrize("miss", [0.01, 0.05, 0.2], ids=str)
def test_the_bound_holds_for_skewed_recalls(miss):
    """A few queries find nothing and the others everything: where a t interval promises too much most often."""
    random = np.random.default_rng(1)
    n, too_high = 300, 0
    for _ in range(400):
        lost = random.binomial(n, miss)
        too_high += lower_bound(np.array([lost, n - lost])) > 1 - miss
    assert too_high <= 0.05 * 400


def test_the_bound_is_not_far_below_the_mean():
    found = np.random.default_rng(2).binomial(10, 0.96, size=1000)
    assert lower_bound(np.bincount(found, minlength=11)) > found.mean() / 10 - 0.015


def test_passes_needs_proof_and_not_only_a_mean():
    assert not passes(np.array([1, 19]), 0.94)
    assert passes(np.array([100, 1900]), 0.93)


@pytest.mark.parametrize(
    ("bounds", "chosen"),
    [([0.8, 0.9, 0.95, 0.97], 2), ([0.96, 0.9, 0.96], 2), ([0.1, 0.2], None), ([0.95], 0), ([], None)],
    ids=["first to pass", "never past a failure", "none", "all", "nothing measured"],
)
def test_the_fixed_sequence_goes_from_the_safest_down(bounds, chosen):
    assert fixed_sequence(bounds, 0.95) == chosen
