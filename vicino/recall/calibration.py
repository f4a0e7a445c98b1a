"""What is known about the recall of one vector of a collection, and what effort a search takes by it.

A calibration belongs to a state: which segments have an index, and how many of their rows were live. It holds a curve for every number of
neighbors and every share of a filter that was asked for, and one more for filters of that share that follow the vectors: nobody can tell
beforehand which kind a filter is. A search takes the largest effort of these; under a filter between two shares, that of both shares;
for a number of neighbors between two levels, that of the larger one. And it holds what searches cost when they were measured, since that
decides where they walk and where they scan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vicino import _core
from vicino.errors import CorruptionError, RecallUnreachable
from vicino.recall.bound import fixed_sequence
from vicino.recall.curve import Curve, Step, extended
from vicino.recall.measuring import Bench
from vicino.recall.sampling import SHARES, Bytes, QuerySource, draw, sample_size
from vicino.storage.shape import expect_shape

LEVELS = (1, 10, 100, 1000)
"""Numbers of neighbors at which recall is measured. For more an exact scan answers."""
SCAN_SHARE = 0.5
"""A walk that computes this share of the distances of a scan costs as much: it reads rows in no order."""
LIVE_DRIFT = 0.1
"""A calibration is made anew when the live rows changed by more than this."""

Walked = tuple[tuple[int, int, int], ...]
"""Identity of the index, rows and live rows of every segment that has one."""


Costs = tuple[tuple[float, float, float], ...]
"""Of the same segments, as `_core.Snapshot.costs` has them."""


@dataclass(frozen=True, slots=True)
class Need:
    """A curve to be measured around a target."""

    k: int
    share: float
    target: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How a search keeps a promise: with this effort, or by an exact scan.

    estimate, low: the recall that was measured for it and its lower 95 % bound; 1.0 for an exact scan. n_queries, source: of what sample.
    pending: nothing is known yet, so that an exact scan answers until the calibration is there. widened: effort was raised by this factor
    because live queries found less than they should.
    """

    target: float
    k: int
    effort: int = 0
    exact: bool = False
    estimate: float = 1.0
    low: float = 1.0
    n_queries: int = 0
    source: QuerySource | None = None
    pending: bool = False
    widened: float = 1.0

    def __str__(self) -> str:
        if self.pending:
            return f"recall {self.target:g} asked for: exact scan until recall has been measured"
        if self.exact:
            return f"recall {self.target:g} asked for: exact scan"
        wider = "" if self.widened == 1.0 else f" (raised {self.widened:.2f} times after live queries found less)"
        return (
            f"recall {self.target:g} asked for: effort {self.effort}{wider}, estimated {self.estimate:.3f}, at least {self.low:.3f} "
            f"with 95 % confidence, from {self.n_queries:,} {'real queries' if self.source == 'queries' else 'held-out rows'}"
        )


def level_of(k: int) -> int | None:
    """The smallest calibrated number of neighbors that is at least `k`; None above all of them."""
    return next((level for level in LEVELS if level >= k), None)


def shares_around(share: float) -> tuple[float, ...]:
    """The calibrated shares next to the share of a filter: one or two, none below all of them."""
    if share < SHARES[-1]:
        return ()
    above = min(known for known in SHARES if known >= min(share, 1.0))
    below = max(known for known in SHARES if known <= share)
    return (above,) if above == below else (above, below)


@dataclass(frozen=True)
class Calibration:
    """Curves of one vector at one state. pool: queries there were to draw from. widening: what live queries made of the effort.

    curves: without a filter and under random ones. clusters: under filters that follow the vectors. costs: empty where none were known.
    """

    walked: Walked
    source: QuerySource
    pool: int
    seed: int
    version: int
    curves: Mapping[tuple[int, float], Curve] = field(default_factory=dict)
    widening: float = 1.0
    clusters: Mapping[tuple[int, float], Curve] = field(default_factory=dict)
    costs: Costs = ()

    def is_of(self, walked: Walked) -> bool:
        """Whether the calibrated segments are the present ones."""
        return [entry[:2] for entry in walked] == [entry[:2] for entry in self.walked]

    def has_drifted(self, walked: Walked) -> bool:
        """Whether so many rows were deleted since that it should be made anew."""
        then, now = (sum(entry[2] for entry in entries) for entries in (self.walked, walked))
        return abs(now - then) > LIVE_DRIFT * max(1, then)

    def missing(self, k: int, share: float, target: float) -> list[Need]:
        """What must be measured before a search can be promised this recall."""
        level = level_of(k)
        if level is None:
            return []
        return [Need(level, known, target) for known in shares_around(share) if not self._knows(level, known, target)]

    def _knows(self, level: int, share: float, target: float) -> bool:
        curves = self._of(level, share)
        n = min(sample_size(target), self.pool)
        return all(curve is not None and curve.n >= n and curve.answers(target) for curve in curves)

    def _of(self, level: int, share: float) -> list[Curve | None]:
        """The curves that a search of this share must obey."""
        curves = [self.curves.get((level, share))]
        return curves if share == 1.0 else [*curves, self.clusters.get((level, share))]

    def _known(self, level: int, share: float) -> list[Curve]:
        return [curve for curve in self._of(level, share) if curve is not None]

    def choose(self, k: int, share: float, target: float, *, cap: int | None = None) -> Choice:
        """How a search of this `k` and share of a filter reaches a target. Nothing may be `missing`.

        cap: the largest effort allowed. Raises RecallUnreachable when that is too little.
        """
        level, shares = level_of(k), shares_around(share)
        if level is None or not shares or self.widening >= WIDENING_MAX:
            return self._exact(k, target, cap, None)
        steps = []
        for curve in (curve for known in shares for curve in self._known(level, known)):
            step = curve.chosen(target)
            if step is None:
                return self._exact(k, target, cap, self._best(level, shares, cap))
            steps.append(step)
        widest = max(steps, key=lambda step: step.effort)
        effort = round(widest.effort * self.widening)
        if cap is not None and effort > cap:
            return self._exact(k, target, cap, self._best(level, shares, cap), effort)
        return Choice(
            target=target,
            k=level,
            effort=effort,
            estimate=min(step.recall for step in steps),
            low=min(step.low for step in steps),
            n_queries=widest.n,
            source=self.source,
            widened=self.widening,
        )

    def _exact(self, k: int, target: float, cap: int | None, best: Step | None, enough: int | None = None) -> Choice:
        if cap is None:
            return Choice(target=target, k=k, exact=True)
        found = "" if best is None else f"; with effort {best.effort} at least {best.low:.4f} is proven on {best.n:,} queries"
        instead = "leave ef out for an exact scan, as no effort is proven to find so much"
        if enough is not None:
            instead = f"raise ef to {enough}, or leave it out"
        raise RecallUnreachable(
            f"recall {target:g} of {k} neighbors cannot be promised with ef={cap}{found}; {instead}",
            target=target,
            reachable=None if best is None else best.low,
        )

    def _best(self, level: int, shares: Sequence[float], cap: int | None) -> Step | None:
        """The safest step within a cap, of the share for which it proves least."""
        best = []
        for curve in (curve for known in shares for curve in self._known(level, known)):
            steps = [step for step in curve.steps if cap is None or step.effort * self.widening <= cap]
            if not steps:
                return None
            best.append(max(steps, key=lambda step: step.low))
        return min(best, key=lambda step: step.low)

    def chosen_efforts(self, target: float) -> dict[tuple[int, float], int | None]:
        """For each curve the effort that meets a target; None for an exact scan."""
        found: dict[tuple[int, float], int | None] = {}
        for key, curve in self.curves.items():
            position = fixed_sequence([step.low for step in curve.steps], target)
            found[key] = None if position is None else curve.steps[position].effort
        return found

    # ---- JSON

    def to_json(self) -> dict[str, Any]:
        return {
            "walked": [list(entry) for entry in self.walked],
            "source": self.source,
            "pool": self.pool,
            "seed": self.seed,
            "version": self.version,
            "widening": self.widening,
            "curves": [curve.to_json() for curve in self.curves.values()],
            "clusters": [curve.to_json() for curve in self.clusters.values()],
            "costs": [list(costs) for costs in self.costs],
        }

    @classmethod
    def from_json(cls, parts: Any, place: str) -> Calibration:
        """Reads `to_json`'s form. Raises CorruptionError naming the place."""
        shape = {"walked": [[int]], "source": str, "pool": int, "seed": int, "version": int, "widening": float, "curves": [{}]}
        expect_shape(parts, shape, place)
        # Written since filters that follow the vectors are measured as well.
        newer = {"clusters": parts.get("clusters", []), "costs": parts.get("costs", [])}
        expect_shape(newer, {"clusters": [{}], "costs": [[float]]}, place)
        try:
            curves = [Curve.from_json(curve, place) for curve in parts["curves"]]
            clusters = [Curve.from_json(curve, place) for curve in newer["clusters"]]
            costs = tuple((scanned, walked_row, beam_rows) for scanned, walked_row, beam_rows in newer["costs"])
            walked = tuple((key, rows, live) for key, rows, live in parts["walked"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise CorruptionError(f"{place}: {error}; restore the folder from a snapshot or a copy") from error
        if parts["source"] not in ("queries", "rows") or not 1.0 <= parts["widening"] <= WIDENING_MAX:
            raise CorruptionError(
                f"{place}: source {parts['source']!r} and widening {parts['widening']} were never written; restore the folder"
            )
        return cls(
            walked=walked,
            source=parts["source"],
            pool=parts["pool"],
            seed=parts["seed"],
            version=parts["version"],
            curves={(curve.k, curve.share): curve for curve in curves},
            widening=parts["widening"],
            clusters={(curve.k, curve.share): curve for curve in clusters},
            costs=costs if len(costs) == len(walked) else (),
        )


COST_QUERIES = 16
"""Queries by which costs are measured, in some 20 ms of a free core for each segment (`core/shard/search_costs.h`)."""
WIDENING_MAX = 64.0
"""Beyond this an exact scan is what helps."""


def calibrated(
    base: Calibration | None,
    snapshot: _core.Snapshot,
    column: Any,
    needs: Iterable[Need],
    kept: Bytes,
    *,
    seed: int,
    cancel: _core.Cancel,
    done: Callable[[float], None] = lambda share: None,
    clock: Callable[[], float] | None = None,
) -> Calibration:
    """A calibration of this snapshot that has what is needed. base: one of the same segments, whose curves are kept.

    kept: real queries, see `sampling.draw`. done: is told the share of the work done. clock: tells the seconds by which costs are measured;
    None: they are assumed, unless they are known. Raises KeyboardInterrupt when cancelled.
    """
    walked = tuple(snapshot.walked(column[0]))
    wanted = list(needs)
    size = max((sample_size(need.target) for need in wanted), default=0)
    sample = draw(snapshot, column, kept, size, seed)
    if base is None or not base.is_of(walked) or base.has_drifted(walked) or base.source != sample.source or not base.curves:
        # Live queries that found less than rows do will go on to do so; real queries are measured as they are.
        widening = base.widening if base is not None and sample.source == "rows" else 1.0
        base = Calibration(walked=walked, source=sample.source, pool=0, seed=seed, version=snapshot.version, widening=widening)
        if clock is not None and len(sample):
            snapshot.measure_costs(column, sample.rows[:COST_QUERIES].reshape(-1), clock, cancel)
        base = replace(base, costs=tuple(snapshot.costs(column[0])))
    pool = max(base.pool, len(sample))
    curves, clusters = dict(base.curves), dict(base.clusters)
    work = [
        (share, of_share, kind)
        for share, of_share in _by_share(wanted).items()
        for kind in ((curves,) if share == 1.0 else (curves, clusters))
    ]
    for number, (share, of_share, kind) in enumerate(work):
        done(number / len(work))
        k_max = max(need.k for need in of_share)
        bench = Bench(snapshot, column, sample, share=share, k_max=k_max, seed=seed, cancel=cancel, clustered=kind is clusters)
        for need in sorted(of_share, key=lambda need: (need.k, -need.target)):
            n = min(sample_size(need.target), len(sample))
            curve = kind.get((need.k, share))
            if curve is None or curve.n < n:
                curve = Curve(need.k, share, n)
            if not n:
                curve = replace(curve, exact_above=True)  # nothing to ask, and next to nothing to scan
            else:
                curve = extended(curve, need.target, _measure(bench, need.k, cancel), cost_max=SCAN_SHARE * bench.candidates)
            kind[need.k, share] = curve
    return replace(base, curves=curves, clusters=clusters, pool=pool, version=snapshot.version)


def _measure(bench: Bench, k: int, cancel: _core.Cancel) -> Callable[[int, int], Step]:
    def measure(effort: int, n: int) -> Step:
        if cancel.cancelled:
            raise KeyboardInterrupt
        return bench.step(k, effort, n)

    return measure


def _by_share(needs: Iterable[Need]) -> dict[float, list[Need]]:
    found: dict[float, list[Need]] = {}
    for need in needs:
        found.setdefault(need.share, []).append(need)
    return found
