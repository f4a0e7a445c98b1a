"""Two evaluations beside each other: how far the means are apart, whether that is chance, and which queries changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from vicino.errors import InvalidArgument
from vicino.evaluate.evaluation import Evaluation
from vicino.evaluate.significance import randomization_test, t_test

_SAME = 1e-12
"""Scores that differ by less are equal up to rounding."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one measure: means over the common queries, and how many queries got better, got worse, stayed.

    p_value: of the paired randomization test; p_value_t: of Student's paired t-test, None with one query.
    """

    measure: str
    before: float
    after: float
    p_value: float
    p_value_t: float | None
    better: int
    worse: int
    equal: int

    @property
    def change(self) -> float:
        return self.after - self.before

    def __str__(self) -> str:
        means = f"{self.measure} {self.before:.4f} -> {self.after:.4f} ({self.change:+.4f}, p {self.p_value:.3g})"
        return f"{means}: {self.better} better, {self.worse} worse"


@dataclass(frozen=True, slots=True)
class ChangedQuery:
    """A query whose score changed, with the documents that came into its first ten and those that left; each with its grade."""

    query: str
    before: float
    after: float
    entered: Sequence[tuple[str, int | None]]
    left: Sequence[tuple[str, int | None]]

    @property
    def change(self) -> float:
        return self.after - self.before

    def to_json(self) -> dict[str, Any]:
        lists = {"entered": [list(found) for found in self.entered], "left": [list(found) for found in self.left]}
        return {"query": self.query, "before": self.before, "after": self.after, **lists}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` gives. common: the queries both scored; only_before, only_after: those left out because one of the two lacks them."""

    before: Evaluation
    after: Evaluation
    differences: dict[str, Difference]
    common: tuple[str, ...]
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()

    def __getitem__(self, measure: str) -> Difference:
        self.after.of(measure)
        return self.differences[measure]

    def changed(self, measure: str) -> list[ChangedQuery]:
        """The queries whose score changed, the largest loss first, the largest gain last."""
        old, new = self.before.of(measure), self.after.of(measure)
        moved = [query for query in self.common if abs(new[query] - old[query]) > _SAME]
        moved.sort(key=lambda query: new[query] - old[query])
        return [self._changed(query, old[query], new[query]) for query in moved]

    def _changed(self, query: str, before: float, after: float) -> ChangedQuery:
        old, new = self.before.tops.get(query, ()), self.after.tops.get(query, ())
        had, has = {found for found, _ in old}, {found for found, _ in new}
        entered = [(found, grade) for found, grade in new if found not in had]
        return ChangedQuery(query, before, after, entered, [(found, grade) for found, grade in old if found not in has])

    def __str__(self) -> str:
        head = f"{self.before.name} -> {self.after.name}, {len(self.common)} queries"
        return "\n".join([head, *(f"  {found}" for found in self.differences.values())])

    def to_json(self) -> dict[str, Any]:
        measures = {
            name: {
                "before": found.before,
                "after": found.after,
                "p_value": found.p_value,
                "p_value_t": found.p_value_t,
                "better": found.better,
                "worse": found.worse,
                "equal": found.equal,
            }
            for name, found in self.differences.items()
        }
        left_out = {"only_before": list(self.only_before), "only_after": list(self.only_after)}
        changed = {name: [query.to_json() for query in self.changed(name)] for name in self.differences}
        facts = {"before": self.before.name, "after": self.after.name, "queries": len(self.common), **left_out}
        return {**facts, "measures": measures, "changed": changed}


def compare(before: Evaluation, after: Evaluation, *, samples: int = 20_000, seed: int = 0) -> Comparison:
    """Sets two evaluations beside each other, over the measures and queries that both have. samples, seed: see `randomization_test`.

    Raises InvalidArgument if they have no measure or no query in common.
    """
    measures = [name for name in after.scores if name in before.scores]
    known = set(before.queries)
    common = tuple(query for query in after.queries if query in known)
    if not measures or not common:
        lacking = "measure" if not measures else "query"
        raise InvalidArgument(
            f'evaluations "{before.name}" ({", ".join(before.scores)}; {len(before.queries)} queries) and "{after.name}" '
            f"({', '.join(after.scores)}; {len(after.queries)} queries) have no {lacking} in common; evaluate both on the same judgments"
        )
    differences = {}
    for name in measures:
        old, new = ([found.of(name)[query] for query in common] for found in (before, after))
        better, worse = (sum(sign * (y - x) > _SAME for x, y in zip(old, new, strict=True)) for sign in (1, -1))
        p_value = randomization_test(old, new, samples=samples, seed=seed)
        rest = len(common) - better - worse
        differences[name] = Difference(name, fmean(old), fmean(new), p_value, t_test(old, new), better, worse, rest)
    both = set(common)
    only = [tuple(query for query in found.queries if query not in both) for found in (before, after)]
    return Comparison(before, after, differences, common, *only)
