"""What live queries tell: some are kept as the sample of the next calibration, some are run again exactly to see whether promises hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from vicino.errors import InvalidArgument, shortened
from vicino.recall.sampling import Bytes

KEPT_MAX = 10_000
"""Most queries that `keep_queries=` may ask to keep."""
CHECKED_SHARE = 0.001
"""Share of the queries under a promise that are run again exactly."""
FORGETTING = 0.02
"""Weight of the newest check in the average: about the last hundred count."""
CHECKS_MIN = 50
"""Before so many checks the average says nothing."""
BAND = 1.645
"""Standard deviations of the average on either side: 95 % that it is not below by chance."""
WIDENING_STEP = 1.5


def checked_recall(value: Any, name: str = "recall") -> float | None:
    """A recall that can be promised, or None. Raises InvalidArgument."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating) or not 0.0 < value <= 1.0:
        raise InvalidArgument(f"{name} must be above 0 and at most 1, such as 0.95, got {shortened(value)}")
    return float(value)


class KeptQueries:
    """The latest queries of one vector, as many as it has room for, in a ring."""

    def __init__(self, room: int, width: int, rows: Bytes | None = None) -> None:
        self._rows = np.zeros((room, width), np.uint8)
        self._n = self._next = 0
        if rows is not None:
            self.add(rows)

    @property
    def room(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> Bytes:
        """A copy of the queries, the order is of no meaning."""
        return self._rows[: self._n].copy()

    def __len__(self) -> int:
        return self._n

    def add(self, rows: Bytes) -> None:
        """Takes the last queries given, in place of the oldest."""
        rows = rows.reshape(-1, self._rows.shape[1])[-self.room :]
        at = (self._next + np.arange(len(rows))) % self.room
        self._rows[at] = rows
        self._next = int((self._next + len(rows)) % self.room)
        self._n = min(self.room, self._n + len(rows))


@dataclass(slots=True)
class Watch:
    """The average of recall minus target over the checks of live queries, newer ones counting more, and how far it may be off.

    n: checks so far. excess, variance: exponentially weighted mean and variance. recall: the average recall itself.
    """

    n: int = 0
    excess: float = 0.0
    variance: float = 0.0
    recall: float = 1.0

    def add(self, recall: float, target: float) -> None:
        """Takes one check into account. The first ones count alike, so that the first of all does not weigh for ever."""
        self.n += 1
        weight = max(FORGETTING, 1.0 / self.n)
        step = recall - target - self.excess
        self.excess += weight * step
        self.variance = (1.0 - weight) * (self.variance + weight * step * step)
        self.recall += weight * (recall - self.recall)

    @property
    def band(self) -> float:
        """Half the width of the interval around the average."""
        weight = max(FORGETTING / (2.0 - FORGETTING), 1.0 / max(1, self.n))
        return BAND * math.sqrt(self.variance * weight)

    @property
    def is_below(self) -> bool:
        """Whether live queries find less than they were promised, beyond chance."""
        return self.n >= CHECKS_MIN and self.excess + self.band < 0.0
