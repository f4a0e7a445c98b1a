"""What a sample of queries proves about the mean recall of all of them.

Recall per query lies in [0, 1] and is skewed: most queries find everything, a few find nothing, and a sample may hold none of those few. A
t interval, and the bootstrap, then promise too much: they learn the spread from the very queries that are missing. The bound here holds for
every distribution on [0, 1] and every sample size. It bets: somebody who doubts that the mean is above `m` is offered the game
`1 + bet * (x / m - 1)` on every query's recall `x`, which is fair or worse to the player when the mean is `m` or less. A player whose money
grows to `1 / miss` times the stake has therefore won something with a chance of at most `miss` (Markov), and every `m` against which that
happens is too small. The stake is split over a few sizes of bets, since the best one depends on the unknown spread.

Only counts of recalls matter, not their order, so a histogram is all that needs to be kept.

Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 2024, at a fixed sample size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
_BETS = np.array([0.96, 0.6, 0.3, 0.12, 0.04])
_STEPS = 40  # of halving: 1e-12

Counts = npt.NDArray[np.int64]
"""How many queries had a recall of 0/k, 1/k, … k/k."""


def histogram(recalls: npt.ArrayLike, k: int) -> Counts:
    """Queries by the k-th part they found, rounded down: a query with fewer than `k` true neighbors is not credited with more."""
    parts = np.floor(np.asarray(recalls, np.float64) * k + 1e-9).astype(np.int64)
    return np.bincount(np.clip(parts, 0, k), minlength=k + 1)


def mean(counts: Counts) -> float:
    """Mean recall of a histogram; 0.0 of an empty one."""
    n, k = int(counts.sum()), len(counts) - 1
    return float(counts @ np.arange(k + 1)) / (k * n) if n else 0.0


def lower_bound(counts: Counts, confidence: float = CONFIDENCE) -> float:
    """The mean recall of all queries is at least this, with this confidence."""
    used = np.flatnonzero(counts)
    if not len(used):
        return 0.0
    values, weights = used / (len(counts) - 1), counts[used].astype(np.float64)
    wanted = math.log(len(_BETS)) - math.log1p(-confidence)

    def is_refuted(m: float) -> bool:
        """Whether the bets against a mean of `m` or less have won enough."""
        money = weights @ np.log(1.0 + np.outer(values / m - 1.0, _BETS))
        top = money.max()
        return bool(top + math.log(np.exp(money - top).sum()) >= wanted)

    low, high = 0.0, mean(counts)
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        if middle <= 0.0:
            break
        low, high = (middle, high) if is_refuted(middle) else (low, middle)
    return low


def interval(counts: Counts, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Between these the mean recall of all queries lies, with this confidence: both bounds at half the risk."""
    one_sided = (1.0 + confidence) / 2.0
    return lower_bound(counts, one_sided), 1.0 - lower_bound(np.ascontiguousarray(counts[::-1]), one_sided)


def passes(counts: Counts, target: float, confidence: float = CONFIDENCE) -> bool:
    """Whether the sample proves that the mean recall is at least `target`."""
    return mean(counts) >= target and lower_bound(counts, confidence) >= target


def fixed_sequence(bounds: Sequence[float], target: float) -> int | None:
    """The position of the cheapest setting that is proven to meet the target; None when not even the safest is.

    bounds: lower bounds of the settings, cheapest first. Settings are tested from the safest to the cheapest, and the first one that fails
    ends the tests. A setting below the target can then only be chosen if the safest of those was passed, which happens with the chance of
    one test, however many settings there are.
    """
    chosen = None
    for position in range(len(bounds) - 1, -1, -1):
        if bounds[position] < target:
            break
        chosen = position
    return chosen
