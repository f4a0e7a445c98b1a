"""Recall against effort, as measured on a sample of queries: what one number of neighbors under filters of one share needs.

Effort is the beam of a walk, or whatever an index kind has in its place: a larger one finds more and takes longer, and above all of them
stands the exact scan. Efforts lie on a geometric grid, so that a step changes the cost by a quarter wherever it is.

A curve is measured around a target, not everywhere: from the first effort that comes near it upwards, until several efforts in a row are
proven to meet it. Testing further up would change nothing, because the fixed sequence from the safest to the cheapest
(`bound.fixed_sequence`) fails first at the most expensive effort that is too little, and that one lies among those measured unless
an effort a factor of two above it was missed as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from vicino.recall.bound import Counts, fixed_sequence, lower_bound, mean
from vicino.storage.shape import expect_shape

RATIO = 1.25
EFFORT_MIN = 8
PROVEN_IN_A_ROW = 3
"""Efforts that must pass one above the other before the one below them is believed."""
K_MAX = 1000
"""Most neighbors of which recall is measured."""
SCREENED = 100
"""Queries that decide whether an effort is worth the whole sample: it is when it comes within `SCREEN_MARGIN` of the target."""
SCREEN_MARGIN = 0.05

FLAT_UP_TO = 16
"""An effort that changes nothing when it grows by this factor changes nothing at all."""

Measure = Callable[[int, int], "Step"]
"""(effort, number of queries) -> what the first so many queries of the sample found with it."""


def efforts(k: int) -> Iterator[int]:
    """The grid for `k` neighbors, cheapest first, without end. It begins above `k`: a row held out is looked for beside `k` others."""
    effort = max(EFFORT_MIN, RATIO * k)
    while True:
        yield round(effort)
        effort = max(effort * RATIO, effort + 1.0)


@dataclass(frozen=True)
class Step:
    """One effort: the queries by recall (`bound.histogram`), and what a query cost, in distances of a walk."""

    effort: int
    counts: Counts
    cost: float

    @cached_property
    def recall(self) -> float:
        """Mean over the sample."""
        return mean(self.counts)

    @cached_property
    def low(self) -> float:
        """Lower 95 % confidence bound of the mean recall."""
        return lower_bound(self.counts)

    @property
    def n(self) -> int:
        """Queries."""
        return int(self.counts.sum())

    def to_json(self) -> dict[str, Any]:
        """Of the counts, only those that are not zero: how many neighbors were found, by how many queries."""
        used = np.flatnonzero(self.counts).tolist()
        return {"effort": self.effort, "scored": round(self.cost, 1), "found": used, "queries": self.counts[used].tolist()}

    @classmethod
    def from_json(cls, parts: Mapping[str, Any], k: int) -> Step:
        counts = np.zeros(k + 1, np.int64)
        counts[np.array(parts["found"], np.int64)] = parts["queries"]
        return cls(parts["effort"], counts, parts["scored"])


@dataclass(frozen=True)
class Curve:
    """Steps of ascending effort, next to each other on the grid. n: queries of the sample.

    flat: effort changes nothing, because no index is walked under such filters.
    """

    k: int
    share: float
    n: int
    steps: tuple[Step, ...] = ()
    flat: bool = False
    exact_above: bool = field(default=False)
    """The next effort would cost as much as scanning everything: from here on only the exact scan finds more."""

    def chosen(self, target: float) -> Step | None:
        """The cheapest step proven to meet a target; None when the curve has none, and an exact scan is what is left."""
        position = fixed_sequence([step.low for step in self.steps], target)
        return None if position is None else self.steps[position]

    def answers(self, target: float) -> bool:
        """Whether enough was measured to choose for this target: measuring more would change nothing."""
        if self.flat:
            return True
        lows = [step.low for step in self.steps]
        position = fixed_sequence(lows, target)
        if position is None or len(lows) - position < PROVEN_IN_A_ROW:
            return self.exact_above
        return position > 0 or self.steps[0].effort == next(efforts(self.k))

    def to_json(self) -> dict[str, Any]:
        return {
            "k": self.k,
            "share": self.share,
            "n": self.n,
            "flat": self.flat,
            "exact_above": self.exact_above,
            "steps": [step.to_json() for step in self.steps],
        }

    @classmethod
    def from_json(cls, parts: Mapping[str, Any], place: str) -> Curve:
        """Reads `to_json`'s form. Raises CorruptionError, ValueError or IndexError for anything else."""
        step = {"effort": int, "scored": float, "found": [int], "queries": [int]}
        shape = {"k": int, "share": float, "n": int, "flat": bool, "exact_above": bool, "steps": [step]}
        expect_shape(parts, shape, place)
        if parts["k"] > K_MAX:
            raise ValueError(f"a curve of {parts['k']} neighbors, at most {K_MAX} are calibrated")
        steps = tuple(Step.from_json(step, parts["k"]) for step in parts["steps"])
        return cls(parts["k"], parts["share"], parts["n"], steps, parts["flat"], parts["exact_above"])


def extended(curve: Curve, target: float, measure: Measure, *, cost_max: float) -> Curve:
    """The curve with the steps that a target needs. cost_max: of a query, above which an exact scan is preferred to more effort."""
    steps = list(curve.steps) or _first(curve, target, measure, cost_max)
    grid = _grid(curve.k, steps[-1].effort)
    is_flat = curve.flat or _is_flat(curve, steps, measure)
    if is_flat:
        return replace(curve, steps=tuple(steps[-1:]), flat=True)
    exact_above = curve.exact_above or steps[-1].cost >= cost_max
    while not exact_above and not all(step.low >= target for step in _last(steps)):
        effort = next(grid)
        exact_above = effort > cost_max  # a beam of so many candidates cannot compute fewer distances than that
        if exact_above:
            break
        if not _is_same(steps[-1].effort, effort, curve, measure):
            steps.append(measure(effort, curve.n))
            exact_above = steps[-1].cost >= cost_max
        else:
            # Either the filter asks for a wider beam than both of them, or walks have become so wide that codes are scanned from here on.
            exact_above = _is_same(effort, FLAT_UP_TO * effort, curve, measure)
    below = [effort for effort in _up_to(curve.k, steps[0].effort) if effort < steps[0].effort]
    while below and steps[0].low >= target:
        steps.insert(0, measure(below.pop(), curve.n))
    return replace(curve, steps=tuple(steps), exact_above=exact_above)


def _first(curve: Curve, target: float, measure: Measure, cost_max: float) -> list[Step]:
    """The cheapest step that comes near the target, found on a few queries, two grid steps at a time."""
    for number, effort in enumerate(efforts(curve.k)):
        if number % 2:
            continue
        seen = measure(effort, min(SCREENED, curve.n))
        if seen.recall >= target - SCREEN_MARGIN or seen.cost >= cost_max or effort > cost_max:
            return [measure(effort, curve.n)]
    raise AssertionError("the grid has no end")


def _is_flat(curve: Curve, steps: Sequence[Step], measure: Measure) -> bool:
    """Whether far more effort finds the very same: then everything is scanned whatever it is."""
    return not curve.steps and _is_same(steps[-1].effort, FLAT_UP_TO * steps[-1].effort, curve, measure)


def _is_same(effort: int, other: int, curve: Curve, measure: Measure) -> bool:
    """Whether two efforts compute the very same distances: a filter may ask for a wider beam than either."""
    one, two = (measure(tried, min(SCREENED, curve.n)) for tried in (effort, other))
    return one.cost == two.cost and one.recall == two.recall


def _last(steps: Sequence[Step]) -> list[Step | _Missing]:
    """The last steps, as many as must pass in a row."""
    missing = PROVEN_IN_A_ROW - len(steps)
    return [_Missing()] * missing + list(steps[-PROVEN_IN_A_ROW:])


class _Missing:
    """A step that was not measured and proves nothing."""

    low = -1.0


def _grid(k: int, after: int) -> Iterator[int]:
    return (effort for effort in efforts(k) if effort > after)


def _up_to(k: int, last: int) -> list[int]:
    found = []
    for effort in efforts(k):
        if effort > last:
            return found
        found.append(effort)
    raise AssertionError("the grid has no end")
