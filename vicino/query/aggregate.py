"""Figures over many records: of the values of a field, and of the distances between records."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vicino.types import RecordId


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What the values of a field come to.

    count: values there are; a record's list counts each distinct element once. distinct: how many differ; 1 and 1.0 are one.
    sum, average: of the numbers among them, None if there are none; exact for integers. min, max: of the numbers, else of the datetimes,
    else of the texts.
    """

    field: str
    count: int
    distinct: int
    sum: int | float | None
    average: float | None
    min: Any
    max: Any

    @classmethod
    def of(cls, field: str, counts: Mapping[tuple[type, Any], int]) -> Aggregate:
        """From how many records have each (type, value)."""
        numbers = [(value, n) for (kind, value), n in counts.items() if kind in (int, float)]
        ordered = [value for value, _ in numbers]
        for kind in (dt.datetime, str):
            ordered = ordered or [value for (found, value), _ in counts.items() if found is kind]
        total = _total(numbers) if numbers else None
        return cls(
            field,
            count=sum(counts.values()),
            distinct=len({(kind in (int, float) or kind, value) for kind, value in counts}),
            sum=total,
            average=None if total is None else total / sum(n for _, n in numbers),
            min=min(ordered, default=None),
            max=max(ordered, default=None),
        )


def _total(numbers: Sequence[tuple[int | float, int]]) -> int | float:
    """The exact sum of integers; of others the correctly rounded sum of the products."""
    if all(isinstance(value, int) for value, _ in numbers):
        return sum(value * n for value, n in numbers)
    return math.fsum(value * n for value, n in numbers)


@dataclass(frozen=True, eq=False)
class DistanceMatrix:
    """The nearest of some records to each other. Row i is about `ids[i]`.

    neighbors: (n, limit) positions in `ids`, nearest first, -1 where there are fewer. distances: of the metric, +inf there.
    """

    ids: Sequence[RecordId]
    neighbors: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float32]

    @classmethod
    def of(cls, ids: Sequence[RecordId], locators: Any, rankings: Sequence[Any], limit: int) -> DistanceMatrix:
        """From the ranking of all records around each, itself among them."""
        neighbors = np.full((len(ids), limit), -1, np.int64)
        distances = np.full((len(ids), limit), np.inf, np.float32)
        for row, (found, around) in enumerate(rankings):
            others = found != locators[row]
            positions = np.searchsorted(locators, found[others])[:limit]
            neighbors[row, : len(positions)] = positions
            distances[row, : len(positions)] = around[others][:limit]
        return cls(list(ids), neighbors, distances)

    @property
    def pairs(self) -> list[tuple[RecordId, RecordId, float]]:
        """(record, neighbor, distance), record by record, nearest first."""
        return [
            (self.ids[row], self.ids[int(neighbor)], float(distance))
            for row in range(len(self.ids))
            for neighbor, distance in zip(self.neighbors[row], self.distances[row], strict=True)
            if neighbor >= 0
        ]

    @property
    def matrix(self) -> npt.NDArray[np.float32]:
        """(n, n) distances; NaN where a record is not among another's nearest, 0 on the diagonal."""
        full = np.full((len(self.ids), len(self.ids)), np.nan, np.float32)
        np.fill_diagonal(full, 0.0)
        for row in range(len(self.ids)):
            there = self.neighbors[row] >= 0
            full[row, self.neighbors[row][there]] = self.distances[row][there]
        return full
