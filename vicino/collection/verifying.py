"""`Collection.verify`: what searches find of the true nearest records, measured now, on the present snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vicino import _core
from vicino.collection.jobs import Job
from vicino.collection.page import LIMIT_MAX
from vicino.errors import InvalidArgument, shortened
from vicino.filter.render import render
from vicino.query.part import whole
from vicino.query.rescoring import oversampling
from vicino.recall.bound import histogram, interval, mean
from vicino.recall.measuring import distances_of, recalls
from vicino.recall.sampling import QuerySource, Sample

QUERIES_MAX = 100_000
_SOURCES = {"queries": "kept real queries", "rows": "rows held out of the index", "given": "the queries given"}


@dataclass(frozen=True, slots=True)
class Measured:
    """Mean recall of the `k` nearest over the queries, and the 95 % interval it lies in.

    effort: the beam; 0 is what the index takes by itself, or an exact scan.
    """

    recall: float
    low: float
    high: float
    effort: int
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What searches found of the true `k` nearest records: on average `recall`, with 95 % confidence between `low` and `high`.

    target: the recall promised, None where none is. n, source: how many queries, and which: "queries" (kept ones), "rows" (held out of the
    index) or "given". by_k: the same for other numbers of neighbors. worst: the lowest recall of one query.
    """

    collection: str
    vector: str
    version: int
    k: int
    n: int
    source: QuerySource
    target: float | None
    recall: float
    low: float
    high: float
    worst: float
    by_k: Mapping[int, Measured]
    took_s: float

    @property
    def is_kept(self) -> bool | None:
        """True where the promise is proven, False where it is refuted, None where these queries leave it open or nothing is promised."""
        if self.target is None or self.low < self.target <= self.high:
            return None
        return self.low >= self.target

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "by_k": {str(k): asdict(measured) for k, measured in self.by_k.items()}, "is_kept": self.is_kept}

    def __repr__(self) -> str:
        verdict = {True: "kept", False: "NOT KEPT", None: "neither proven nor refuted by so few queries"}[self.is_kept]
        promised = "nothing is promised" if self.target is None else f"promised {self.target:g}: {verdict}"
        lines = [
            f'recall of vector "{self.vector}" of collection "{self.collection}" at version {self.version}: '
            f"{self.recall:.4f} of the {self.k} nearest (95 %: {self.low:.4f} to {self.high:.4f}), {promised}",
            f"  {self.n:,} {'query' if self.n == 1 else 'queries'}, {_SOURCES[self.source]}; the worst of them found {self.worst:.2f}; "
            f"measured in {self.took_s:.2f} s",
        ]
        for k, measured in self.by_k.items():
            how = "exact scan" if measured.exact else f"effort {measured.effort}" if measured.effort else "usual effort"
            lines.append(f"  k = {k}: {measured.recall:.4f} (95 %: {measured.low:.4f} to {measured.high:.4f}), {how}")
        return "\n".join(lines)


def verification(searcher: Any, queries: Any, options: Any, *, n: int, k: int, vector: str | None, seed: int | None) -> Verification:
    """Measures searches of one vector. options: the condition, and the recall to be verified."""
    start = searcher.env.monotonic()
    n, k = whole(n, "n", 1, QUERIES_MAX), whole(k, "k", 1, LIMIT_MAX)
    target = searcher.target(vector)
    snapshot, settings = searcher.shard.snapshot(), searcher.shard.settings
    job = Job("verifying recall")
    condition = None if options.where is None else searcher.reader.condition(options.where, settings)
    matches = searcher.reader.match(snapshot, condition, settings, job.cancel_token)
    if condition is not None and matches is not None and matches.count == 0:
        raise InvalidArgument(f'no record of collection "{searcher.name}" meets {render(condition)}, so there is no recall to measure')
    promised = options.recall if options.recall is not None else target.spec.recall
    if promised is None and target.rescore(None, None) == "off":
        raise InvalidArgument(
            f'verify() compares distances, and searches of vector "{target.name}" compute none with rescore="off"; '
            'set_index() with rescore="bound", or a number, gives them some'
        )
    sample = _sample(searcher, snapshot, target, queries, n, seed)
    by_k: dict[int, Measured] = {}
    own: Any = np.zeros(0)
    levels = sorted({1, k, *(level for level in (10, 100) if level <= max(k, 10))})
    truth, _ = distances_of(snapshot, target.column, sample, levels[-1], exact=True, matches=matches, cancel=job.cancel_token)
    for level in levels:
        choice = None if promised is None else searcher.promises.ready(snapshot, target.column, level, matches, promised, job)
        effort, nprobe, exact = target.effort(None, None, False, choice)
        sampled = oversampling(target.rescore(None, choice))
        found, _ = distances_of(
            snapshot, target.column, sample, level, effort=effort, exact=exact, nprobe=nprobe, oversampling=sampled,
            matches=matches, cancel=job.cancel_token,
        )  # fmt: skip
        each = recalls(found, truth)
        counts = histogram(each, level)
        low, high = interval(counts)
        by_k[level] = Measured(round(mean(counts), 6), round(low, 6), round(high, 6), effort, exact)
        own = each if level == k else own
    return Verification(
        collection=searcher.name,
        vector=target.name,
        version=snapshot.version,
        k=k,
        n=len(sample),
        source=sample.source,
        target=promised,
        recall=by_k[k].recall,
        low=by_k[k].low,
        high=by_k[k].high,
        worst=float(own.min()),
        by_k=by_k,
        took_s=searcher.env.monotonic() - start,
    )


def _sample(searcher: Any, snapshot: _core.Snapshot, target: Any, queries: Any, n: int, seed: int | None) -> Sample:
    if queries is not None:
        if isinstance(queries, str) or not isinstance(queries, Sequence | np.ndarray):
            raise InvalidArgument(f"verify() takes a sequence of queries, got {type(queries).__name__} {shortened(queries)}")
        if not len(queries):
            raise InvalidArgument("verify() takes a sequence of queries, got an empty one; leave queries= out for rows of the collection")
        return Sample(np.stack([searcher.row(query, target) for query in queries]), "given")
    drawn = int.from_bytes(searcher.env.random_bytes(6), "little") if seed is None else whole(seed, "seed", 0)
    sample = searcher.promises.sample(snapshot, target.column, n, drawn)
    if not len(sample):
        raise InvalidArgument(f'collection "{searcher.name}" has no record with vector "{target.name}" to measure with; give queries=')
    return sample
