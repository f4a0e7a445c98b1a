"""What a search did and why: the plan that `Results.plan` and `Collection.explain` show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SegmentStep:
    """What happened in one segment or head.

    strategy: "graph" (walked), "scan" (every candidate scored), "graph, then scan" (the walk found too few under the filter), "none"
    (nothing to search). candidates: live rows that match the filter and have the vector. rows_scored: distances computed, summed over the
    queries.
    """

    rows: int
    candidates: int
    strategy: str
    rows_scored: int
    took_s: float


# Every search makes a plan, and a frozen dataclass takes three times as long to make as one that is not.
@dataclass(slots=True)
class FilterStep:
    """How the filter was answered. estimated: (low, likely, high) before, actual: after; rows_scanned: documents read."""

    condition: str
    estimated: tuple[int, int, int] | None
    actual: int
    rows_scanned: int
    paths_indexed: tuple[str, ...]
    paths_scanned: tuple[str, ...]
    took_s: float


@dataclass(slots=True)
class Plan:
    """One search of a collection. `notes` are advice in full sentences."""

    collection: str
    version: int
    vector: str
    metric: str
    limit: int
    exact: bool
    n_records: int
    took_s: float
    stats: Sequence[Mapping[str, Any]] = ()
    filter: FilterStep | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def segments(self) -> list[SegmentStep]:
        """One step per segment, the head last."""
        return [
            SegmentStep(entry["rows"], entry["candidates"], entry["strategy"], entry["rows_scored"], entry["seconds"])
            for entry in self.stats
        ]

    @property
    def rows_scored(self) -> int:
        """Distances computed in all segments."""
        return sum(entry["rows_scored"] for entry in self.stats)

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON values."""
        from dataclasses import asdict

        shown = asdict(self)
        del shown["stats"]
        shown["segments"] = [asdict(step) for step in self.segments]
        shown["rows_scored"] = self.rows_scored
        return shown

    def __repr__(self) -> str:
        share = f" ({self.rows_scored / self.n_records:.1%})" if self.n_records else ""
        lines = [
            f'search of collection "{self.collection}" at version {self.version}: vector "{self.vector}", {self.metric}, '
            f"limit {self.limit}{', exact' if self.exact else ''}",
            f"  {self.rows_scored:,} of {self.n_records:,} records scored{share} in {self.took_s * 1e3:.2f} ms",
        ]
        if self.filter is not None:
            step = self.filter
            estimate = f", estimated {step.estimated[1]:,}" if step.estimated else ""
            lines.append(
                f"  filter {step.condition}: {step.actual:,} match{estimate}; "
                f"{step.rows_scanned:,} documents read, {step.took_s * 1e3:.2f} ms"
            )
            lines += [f'    field "{path}": index' for path in step.paths_indexed]
            lines += [f'    field "{path}": scanned' for path in step.paths_scanned]
        for number, step in enumerate(self.segments, start=1):
            name = "head" if number == len(self.stats) else f"segment {number}"
            lines.append(
                f"  {name}: {step.rows:,} rows, {step.candidates:,} candidates, {step.strategy}, "
                f"{step.rows_scored:,} scored, {step.took_s * 1e3:.2f} ms"
            )
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])
