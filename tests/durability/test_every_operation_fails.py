"""No single failure of a disk loses what was acknowledged, whichever operation it hits."""

from __future__ import annotations

import pytest

from tests.durability.failing_operations import fail_every_operation


def check(outcome, at_least):
    assert outcome.n_operations >= at_least
    assert not outcome.failures, f"{len(outcome.failures)} of {outcome.n_faults}:\n" + "\n".join(outcome.failures[:5])


def test_every_operation_of_a_short_script_fails_cleanly():
    check(fail_every_operation(2, range(26)), at_least=500)


@pytest.mark.long
def test_every_operation_of_five_hundred_calls_fails_cleanly():
    check(fail_every_operation(3, range(500)), at_least=10_000)
