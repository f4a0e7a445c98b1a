"""Is one setting better than another, or is the difference chance? Two paired tests over the queries that both answered.

The randomization test asks how often a difference of means at least as large comes out when, query by query, a coin decides which of the
two scores belongs to which setting. It assumes nothing about how scores are distributed, and is exact (all outcomes are counted) while
there are few queries; with more, outcomes are drawn from a seed. Student's t-test is there because papers report it.

Source: Smucker, Allan and Carterette, CIKM 2007.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vicino.errors import InvalidArgument

EXACT_MAX = 16
"""2^16 outcomes of the coins take a few milliseconds."""
_BLOCK = 1 << 22
_NEARLY = 1e-9
"""Of the sum of all differences: outcomes that are equal on paper differ by rounding, and count as equal."""

Scores = Sequence[float] | npt.NDArray[np.float64]


def randomization_test(a: Scores, b: Scores, *, samples: int = 20_000, seed: int = 0) -> float:
    """Two-sided p-value of the paired randomization test; a and b are aligned by query.

    Exact with up to 16 queries that differ. Else `samples` outcomes are drawn, and the smallest p-value is 1 / (samples + 1).
    """
    differences = _differences(a, b)
    if samples < 1:
        raise InvalidArgument(f"samples must be 1 or more, got {samples}")
    changed = differences[differences != 0]
    if len(changed) == 0:
        return 1.0
    least = abs(changed.sum()) - _NEARLY * np.abs(changed).sum()
    if len(changed) <= EXACT_MAX:
        patterns = np.arange(1 << len(changed))[:, None] >> np.arange(len(changed)) & 1
        return float((np.abs((2.0 * patterns - 1.0) @ changed) >= least).mean())
    random = np.random.default_rng(seed)
    extreme, left, block = 0, samples, max(1, _BLOCK // len(changed))
    while left:
        count = min(left, block)
        signs = 2.0 * random.integers(0, 2, (count, len(changed)), np.int8) - 1.0
        extreme += int((np.abs(signs @ changed) >= least).sum())
        left -= count
    return (extreme + 1) / (samples + 1)  # the outcome that was observed is one of those that may come out


def t_test(a: Scores, b: Scores) -> float | None:
    """Two-sided p-value of Student's paired t-test; None with fewer than two queries."""
    differences = _differences(a, b)
    n = len(differences)
    if n < 2:
        return None
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    # All differences equal: rounding leaves a deviation of some units in the last place of the mean.
    if deviation <= _NEARLY * abs(mean):
        return 1.0 if mean == 0 else 0.0
    t = mean / (deviation / math.sqrt(n))
    freedom = n - 1
    return _incomplete_beta(freedom / (freedom + t * t), freedom / 2, 0.5)


def _differences(a: Scores, b: Scores) -> npt.NDArray[np.float64]:
    if len(a) != len(b):
        raise InvalidArgument(f"a paired test needs the scores of the same queries, got {len(a)} and {len(b)}")
    return np.asarray(b, np.float64) - np.asarray(a, np.float64)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function I_x(a, b) (Abramowitz and Stegun 26.5.8, evaluated by Lentz's method)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly, the mirrored one does not
        return 1.0 - _incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    tiny = 1e-300
    numerator, denominator = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1), tiny)
    fraction = denominator
    for m in range(1, 1000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            denominator = 1.0 / _away_from_zero(1.0 + term * denominator, tiny)
            numerator = _away_from_zero(1.0 + term / numerator, tiny)
            fraction *= denominator * numerator
        if abs(denominator * numerator - 1.0) < 1e-15:
            break
    return min(1.0, front * fraction)


def _away_from_zero(value: float, least: float) -> float:
    return value if abs(value) >= least else least
