"""Why a record is, or is not, among the hits of a query: what `Collection.why` gives back.

Every finding was made by looking, not by guessing: a part that did not find the record was asked again about this record alone, exactly,
deeper, or with more effort, until it was clear where it went.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from vicino.types import RecordId

StageName = Literal[
    "unknown", "not visible", "deleted", "expired", "filter", "vector", "graph", "lists", "code", "terms", "order", "sample", "example",
    "prefetch", "fusion", "formula", "rescoring", "diversity", "rerank", "threshold", "group", "offset", "limit",
]  # fmt: skip
"""Where a record can get lost: it is not there (the first four); the condition; it has no such vector; the walk over the graph, the lists
that were probed, or the codes both go by, missed it; it has none of the words; it has no such field; chance; it is an example itself; a
part inside took too few records; it lies too far back after fusion, a formula, rescoring, for diversity, or after a reranker; its score is
too low; its group; the page."""


@dataclass(slots=True)
class Finding:
    """What one part of the query did with the record. lost: the stage that lost it, None where the part found it.

    rank counts from 1, None where it has none; score is the part's. inside: the parts this one is made of.
    """

    label: str
    text: str
    lost: StageName | None = None
    rank: int | None = None
    score: float | None = None
    inside: list[Finding] = field(default_factory=list)

    def lines(self, depth: int) -> list[str]:
        mark = "found" if self.lost is None else f"lost ({self.lost})"
        return [f"{'  ' * depth}{self.label}: {mark}; {self.text}", *(line for inner in self.inside for line in inner.lines(depth + 1))]

    def to_dict(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "lost": self.lost,
            "text": self.text,
            "rank": self.rank,
            "score": self.score,
            "inside": [inner.to_dict() for inner in self.inside],
        }


@dataclass(slots=True)
class Why:
    """Why a record is a hit (`stage` is None, `rank` its place) or none: the stage that lost it, and the reason in words.

    findings: what was checked, in the order in which the record passes.
    """

    collection: str
    version: int
    id: RecordId
    query: str
    stage: StageName | None
    reason: str
    rank: int | None = None
    findings: Sequence[Finding] = ()

    @property
    def is_hit(self) -> bool:
        """Whether the search returns the record."""
        return self.stage is None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; ids that JSON has no form for, and the query, as text."""
        return {
            "collection": self.collection,
            "version": self.version,
            "id": self.id if isinstance(self.id, int | str) else str(self.id),
            "query": self.query,
            "is_hit": self.is_hit,
            "stage": self.stage,
            "reason": self.reason,
            "rank": self.rank,
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def __repr__(self) -> str:
        verdict = f"is hit {self.rank}" if self.stage is None else f"is no hit: lost at {self.stage}"
        return "\n".join(
            [
                f'record {self.id!r} of collection "{self.collection}" at version {self.version} {verdict}',
                f"  query {self.query}",
                f"  {self.reason}",
                *(line for finding in self.findings for line in finding.lines(1)),
            ]
        )
