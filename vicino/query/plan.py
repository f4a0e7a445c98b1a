"""What a search did and why: the plan that `Results.plan` and `Collection.explain` show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vicino.recall.calibration import Choice

_BY_CODES = {
    "": "by codes",
    "1bit": "by codes of 1 bit",
    "4bit": "by codes of 4 bits",
    "8bit": "by codes of 8 bits",
    "pq": "by product codes",
}
_COSTS = {"walk": "walk_ns", "scan": "scan_ns", "walk of matches": "two_hop_ns"}


@dataclass(frozen=True, slots=True)
class SegmentStep:
    """What happened in one segment or head.

    strategy: "graph" (walked), "graph on disk" (walked by the blocks of `layout="disk"`), "graph of matches" (walked over matching rows, as
    the filter is opposed to the query and a scan would take far longer), "graph, then scan" (walked until the filter turned out to be
    opposed to the query, or too few were found under it, or it took too long; then every candidate scored, by its code where there are
    codes), "lists" (the nearest inverted lists), "scan" (every candidate scored), "scan of codes" (every candidate, by its code), "none"
    (nothing to search).
    candidates: live rows that match the filter and have the vector.
    rows_scored: distances computed, summed over the queries; rows_read of them from the vectors themselves, the others from codes.
    visited: nodes of the graph whose neighbors were looked at. codes: the finest that were read, "1bit", "4bit", "8bit" or "pq"; empty
    where there are none. keeps_raw: whether vectors are kept as they were written, or in 8 bits a number, to which distances are then.
    expected_us: under a filter, of a graph with codes, the microseconds that a query was expected to take by "walk", by "scan" and by "walk
    of matches", beside what all have in common. costs_are_measured: whether that rests on measurements of this segment, or on the length
    of its codes.
    """

    rows: int
    candidates: int
    strategy: str
    rows_scored: int
    took_s: float
    rows_read: int = 0
    visited: int = 0
    codes: str = ""
    keeps_raw: bool = True
    expected_us: Mapping[str, float] | None = None
    costs_are_measured: bool = False

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> SegmentStep:
        """What the core counted in one entry."""
        return cls(
            entry["rows"],
            entry["candidates"],
            entry["strategy"],
            entry["rows_scored"],
            entry["seconds"],
            entry["rows_read"],
            entry["hops"],
            entry.get("codes", ""),
            not entry.get("rows_are_coded", False),
            None if "scan_ns" not in entry else {name: entry[key] / 1e3 for name, key in _COSTS.items()},
            entry.get("costs_are_measured", False),
        )

    def line(self, name: str) -> str:
        """As plans show it."""
        codes = self.rows_scored - self.rows_read
        levels = f" ({codes:,} {_BY_CODES[self.codes]}, {self.rows_read:,} by rows)" if codes else ""
        levels += "" if self.keeps_raw else ", rows kept in 8 bits a number"
        visited = f", {self.visited:,} visited" if self.visited else ""
        return (
            f"{name}: {self.rows:,} rows, {self.candidates:,} candidates, {self.strategy}, {self.rows_scored:,} scored{levels}{visited}, "
            f"{self.took_s * 1e3:.2f} ms{self._expected()}"
        )

    def _expected(self) -> str:
        """What the choice of strategy rested on."""
        if self.expected_us is None:
            return ""
        ways = ", ".join(f"{name} {us:,.0f} µs" for name, us in self.expected_us.items())
        return f" (expected: {ways}; {'measured' if self.costs_are_measured else 'assumed'} costs)"


# Every search makes a plan, and a frozen dataclass takes three times as long to make as one that is not.
@dataclass(slots=True)
class FilterStep:
    """How the filter was answered. estimated: (low, likely, high) before, actual: after; rows_scanned: documents read for the answer,
    now or by an earlier search: it is kept until something is written."""

    condition: str
    estimated: tuple[int, int, int] | None
    actual: int
    rows_scanned: int
    paths_indexed: tuple[str, ...]
    paths_scanned: tuple[str, ...]
    took_s: float


@dataclass(slots=True)
class Stage:
    """One part of a query while it ran: what it was called in `hit.scores`, how many candidates it was given or scored, how many records
    it found, their lowest and highest score, the recall where it is known (one that was promised, or 1.0 where every vector was
    scanned), what the core counted in each segment, and the parts inside it. took_s includes those.
    """

    tag: str
    label: str
    limit: int
    took_s: float = 0.0
    candidates: int = 0
    found: int = 0
    scores: tuple[float, float] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    recall: float | None = None
    stats: Sequence[Mapping[str, Any]] = ()
    inside: list[Stage] = field(default_factory=list)

    def _segment_lines(self) -> list[str]:
        """Segments in which something was looked for; the last is the head."""
        names = [*(f"segment {number}" for number in range(1, len(self.stats))), "head"]
        return [SegmentStep.of(entry).line(name) for name, entry in zip(names, self.stats, strict=False) if entry["strategy"] != "none"]

    def to_dict(self) -> dict[str, Any]:
        """The stage and those inside as JSON values."""
        from dataclasses import asdict, replace

        shown = asdict(replace(self, inside=[], stats=()))
        del shown["stats"]
        segments = [asdict(SegmentStep.of(entry)) for entry in self.stats]
        return {**shown, "segments": segments, "inside": [stage.to_dict() for stage in self.inside]}

    def recalls(self) -> list[float | None]:
        """What is known of the recall of this stage and those inside it, as far as they search a vector."""
        own = [self.recall] if self.stats else []
        return own + [recall for stage in self.inside for recall in stage.recalls()]

    def lines(self, depth: int = 1) -> list[str]:
        """As plans show it, one line a stage, those inside indented."""
        facts = "".join(f", {name} {value}" for name, value in self.details.items())
        scores = "" if self.scores is None else f", scores {self.scores[0]:.4g} to {self.scores[1]:.4g}"
        line = (
            f"{'  ' * depth}{self.label}{facts}: {self.candidates:,} candidates, {self.found:,} found of {self.limit:,} asked for"
            f"{scores}, {self.took_s * 1e3:.2f} ms"
        )
        segments = [f"{'  ' * (depth + 1)}{line}" for line in self._segment_lines()]
        return [line, *segments, *(inner for stage in self.inside for inner in stage.lines(depth + 1))]


@dataclass(slots=True)
class Plan:
    """One search of a collection. `notes` are advice in full sentences; `rescore` is how what codes found was scored.

    A query of several parts has `stages`, one a part, and `query`, which prints as it is written; a search of one vector has `vector`,
    `metric` and what happened in each segment.
    """

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
    query: object = ""
    stages: Sequence[Stage] = ()
    promise: Choice | None = None
    rescore: float | str = "bound"

    @property
    def segments(self) -> list[SegmentStep]:
        """One step per segment, the head last."""
        return [SegmentStep.of(entry) for entry in self.stats]

    @property
    def recall(self) -> float | None:
        """Estimated share of the true nearest records among those found; None where nothing is known.

        1.0 where every vector was scanned, and what calibration measured where a recall was promised. Of a query of parts, the lowest of
        the parts that search a vector, None where that of one is not known.
        """
        if self.promise is not None:
            return self.promise.estimate
        if self.stages:
            recalls = [recall for stage in self.stages for recall in stage.recalls()]
            known = [recall for recall in recalls if recall is not None]
            return min(known) if known and len(known) == len(recalls) else None
        return 1.0 if is_scanned(self.stats) else None

    @property
    def rows_scored(self) -> int:
        """Distances computed in all segments."""
        return sum(entry["rows_scored"] for entry in self.stats)

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON values."""
        from dataclasses import asdict, replace

        shown = asdict(replace(self, query=str(self.query), stages=()))
        shown["stages"] = [stage.to_dict() for stage in self.stages]
        del shown["stats"]
        shown["segments"] = [asdict(step) for step in self.segments]
        shown["rows_scored"] = self.rows_scored
        shown["recall"] = self.recall
        return shown

    def __repr__(self) -> str:
        if self.stages:
            return "\n".join([*self._head_of_parts(), *self._filter_lines(), *(f"  note: {note}" for note in self.notes)])
        lines = [
            f'search of collection "{self.collection}" at version {self.version}: vector "{self.vector}", {self.metric}, '
            f"limit {self.limit}{', exact' if self.exact else ''}",
            f"  {self.rows_scored:,} distances computed, of {self.n_records:,} records, in {self.took_s * 1e3:.2f} ms",
        ]
        if self.promise is not None:
            lines.append(f"  {self.promise}")
        if self.rescore != "bound" and not self.exact:
            lines.append(f"  {_rescored(self.rescore)}")
        lines += self._filter_lines()
        for number, step in enumerate(self.segments, start=1):
            name = "head" if number == len(self.stats) else f"segment {number}"
            lines.append(f"  {step.line(name)}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def _head_of_parts(self) -> list[str]:
        return [
            f'search of collection "{self.collection}" at version {self.version}: {self.query}, limit {self.limit}'
            f"{', exact' if self.exact else ''}",
            f"  {self.n_records:,} records in {self.took_s * 1e3:.2f} ms",
            *(line for stage in self.stages for line in stage.lines()),
        ]

    def _filter_lines(self) -> list[str]:
        if self.filter is None:
            return []
        step = self.filter
        estimate = f", estimated {step.estimated[1]:,}" if step.estimated else ""
        return [
            f"  filter {step.condition}: {step.actual:,} match{estimate}; {step.rows_scanned:,} documents read, {step.took_s * 1e3:.2f} ms",
            *(f'    field "{path}": index' for path in step.paths_indexed),
            *(f'    field "{path}": scanned' for path in step.paths_scanned),
        ]


def is_scanned(stats: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every vector was scanned, by what the core counted."""
    return bool(stats) and all(entry["strategy"] in ("scan", "none") for entry in stats)


def _rescored(rescore: float | str) -> str:
    if rescore == "off":
        return "scores in segments with codes are what these estimate: not rescored"
    return f"of what codes found, {rescore:g} times the limit scored by the vectors"


class LatePlan:
    """A plan that is put together when somebody looks at it, once for all results of a call."""

    __slots__ = ("_make", "_plan")

    def __init__(self, make: Callable[[], Plan]) -> None:
        self._make = make
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        if self._plan is None:
            self._plan = self._make()
        return self._plan
