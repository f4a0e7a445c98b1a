"""Running a query of parts on one snapshot: every part becomes a ranking, leaves by one call of the core each (`leaves.py`).

All parts see the same snapshot, the same evaluated condition and the same instant. Scores are larger for better records; equal scores are
ordered by locator, so the same snapshot gives the same order always.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vicino import _core
from vicino.collection.diversifying import diverse
from vicino.collection.leaves import LEAVES
from vicino.collection.reading import SnapshotReader, check_fields, slots_of
from vicino.collection.reranking import rerank
from vicino.collection.settings import Settings
from vicino.env import Env
from vicino.errors import InvalidArgument
from vicino.filter.match import nodes_at, split_path
from vicino.filter.model import Condition
from vicino.filter.paths import paths_of
from vicino.query import parts as p
from vicino.query.fusion import EMPTY, Locators, Ranking, Scale, by_lead, by_range, by_spread, dbsf, ranked, rrf, weighted
from vicino.query.part import Part
from vicino.query.plan import Stage
from vicino.types import RecordId


class Execution:
    """One query on one snapshot. `searcher` understands texts and vector names; `now` is the instant of the search in seconds, `deadline`
    its end on the monotonic clock of `env`."""

    def __init__(
        self,
        searcher: Any,
        snapshot: _core.Snapshot,
        settings: Settings,
        matches: _core.Matches | None,
        cancel: _core.Cancel,
        *,
        reader: SnapshotReader,
        env: Env,
        exact: bool = False,
        timeout: float | None = None,
    ) -> None:
        self.searcher, self.snapshot, self.settings, self.matches, self.cancel = searcher, snapshot, settings, matches, cancel
        self.reader, self.env, self.now, self.exact = reader, env, env.now(), exact
        self.n_max = snapshot.n_records if matches is None else matches.count
        self.stages: list[Stage] = []
        self.rankings: dict[str, Ranking] = {}
        self.matched: dict[str, tuple[Locators, npt.NDArray[np.int32]]] = {}
        self.notes: list[str] = []
        self.reranked: dict[Any, Any] = {}
        self.deadline = self._deadline(timeout)
        self._open = self.stages
        self._labels: set[str] = set()
        self._documents: dict[int, dict[str, Any]] = {}

    def go_on(self, timeout: float | None) -> None:
        """Begins another call of the same query, with a clock and a flag of its own."""
        self.cancel, self.deadline = _core.Cancel(timeout, True), self._deadline(timeout)

    def _deadline(self, timeout: float | None) -> float | None:
        return None if timeout is None else self.env.monotonic() + timeout

    # ---- running parts

    def run(self, part: Part, k: int, matches: _core.Matches | None) -> Ranking:
        """The first `k` records of a part, out of `matches` (None: all)."""
        start, outer = self.env.monotonic(), self._open
        stage = Stage(part.tag, self._label(part), k)
        outer.append(stage)
        self._open = stage.inside
        try:
            ranking = EMPTY if self.n_max == 0 else RUN[type(part)](self, part, k, matches, stage).first(k)
        finally:
            self._open = outer
        stage.took_s, stage.found = self.env.monotonic() - start, len(ranking)
        if len(ranking):
            stage.scores = (float(ranking.scores[-1]), float(ranking.scores[0]))
        self.rankings[stage.label] = ranking
        return ranking

    def _label(self, part: Part) -> str:
        """What the part is called in `hit.scores`: its tag, numbered from the second on."""
        name, taken = part.tag, self._labels
        number = 2
        while name in taken:
            name, number = f"{part.tag} {number}", number + 1
        taken.add(name)
        return name

    def restart(self) -> None:
        """Forgets stages and scores, before the same query is run deeper."""
        self.stages = []
        self.rankings = {}
        self.matched = {}
        self._labels.clear()
        self._open = self.stages

    # ---- what parts need

    def narrowed(self, condition: Condition, matches: _core.Matches | None) -> _core.Matches:
        """Those of `matches` that meet a condition."""
        check_fields(self.settings, *paths_of(condition))
        return self.snapshot.match_within(self.reader.compiled(condition), slots_of(self.settings), matches, self.cancel)

    def documents(self, locators: Locators) -> list[dict[str, Any]]:
        """The fields of some records, decoded once."""
        missing = [at for at in locators.tolist() if at not in self._documents]
        if missing:
            for at, document in zip(missing, self.snapshot.documents(np.array(missing, np.int64)), strict=True):
                self._documents[at] = _core.decode_document(document)
        return [self._documents[at] for at in locators.tolist()]

    def scale_of(self, part: Part) -> Scale:
        """How the scores of a part are scaled before they are summed with those of others."""
        if isinstance(part, p.Prefetch):
            return self.scale_of(part.part)
        if isinstance(part, p.Dense):
            return by_spread(self.searcher.spread(self.snapshot, part.vector))
        return by_lead if isinstance(part, p.Text | p.Bool) else by_range

    def scores(self, rankings: Sequence[Ranking]) -> tuple[Locators, list[npt.NDArray[np.float64]]]:
        """All records of some rankings, ascending, and for each ranking their scores, NaN where it lacks one."""
        locators = np.unique(np.concatenate([ranking.locators for ranking in rankings]))
        columns = []
        for ranking in rankings:
            column = np.full(len(locators), np.nan)
            column[np.searchsorted(locators, ranking.locators)] = ranking.scores
            columns.append(column)
        return locators, columns


# ---- the parts that combine


def _fuse(run: Execution, part: p.Fuse, k: int, matches: Any, stage: Stage) -> Ranking:
    rankings = [run.run(inner, part.depth or max(k, p.CANDIDATES), matches) for inner in part.parts]
    stage.candidates = sum(map(len, rankings))
    stage.details = {"method": part.method}
    if part.method == "rrf":
        return rrf(rankings, part.all_weights, k=part.k, first_rank=part.first_rank)
    if part.method == "dbsf":
        return dbsf(rankings, part.all_weights)
    return weighted(rankings, part.all_weights, [run.scale_of(inner) for inner in part.parts])


def _rescore(run: Execution, part: p.Rescore, k: int, matches: Any, stage: Stage) -> Ranking:
    first = run.run(part.part, part.depth or max(k, p.CANDIDATES), matches)
    stage.candidates = len(first)
    if not len(first):
        return EMPTY
    by = part.by
    if isinstance(by, p.Dense | p.MultiVector) and not by.exact:
        from dataclasses import replace

        by = replace(by, exact=True)  # among a few candidates every one is scored
    return run.run(by, len(first), run.snapshot.matches_of(first.locators))


def _prefetch(run: Execution, part: p.Prefetch, k: int, matches: Any, stage: Stage) -> Ranking:
    if part.where is not None:
        matches = run.narrowed(part.where, matches)
        stage.candidates = matches.count
    ranking = run.run(part.part, k if part.limit is None else part.limit, matches)
    if part.min_score is not None:
        ranking = ranking.first(int(np.count_nonzero(ranking.scores >= part.min_score)))
    return ranking


def _boost(run: Execution, part: p.Boost, k: int, matches: Any, stage: Stage) -> Ranking:
    check_fields(run.settings, *part.by.paths)
    first = run.run(part.part, part.depth or max(k, p.CANDIDATES), matches)
    stage.candidates = len(first)
    if not len(first):
        return EMPTY
    factors = part.by.finite(_Candidates(run, first.locators, [first.scores]))
    return ranked(first.locators, first.scores * factors)


def _formula(run: Execution, part: p.Formula, k: int, matches: Any, stage: Stage) -> Ranking:
    check_fields(run.settings, *part.by.paths)
    rankings = [run.run(inner, part.depth or max(k, p.CANDIDATES), matches) for inner in part.parts]
    if not any(map(len, rankings)):
        return EMPTY
    locators, columns = run.scores(rankings)
    stage.candidates = len(locators)
    return ranked(locators, part.by.finite(_Candidates(run, locators, columns)))


RUN: dict[type[Part], Callable[[Execution, Any, int, Any, Stage], Ranking]] = {
    p.Fuse: _fuse,
    p.Rescore: _rescore,
    p.Prefetch: _prefetch,
    p.Boost: _boost,
    p.Formula: _formula,
    p.Diverse: diverse,
    p.Rerank: rerank,
    **LEAVES,
}


class _Candidates:
    """What a formula is evaluated over."""

    def __init__(self, run: Execution, locators: Locators, columns: Sequence[npt.NDArray[np.float64]]) -> None:
        self._run, self._locators, self._columns = run, locators, columns

    @property
    def n(self) -> int:
        return len(self._locators)

    @property
    def now(self) -> float:
        return self._run.now

    def scores(self, part: int, default: float) -> npt.NDArray[np.float64]:
        if part >= len(self._columns):
            raise InvalidArgument(f"the formula asks for the score of part {part}, there are {len(self._columns)}, counted from 0")
        column = self._columns[part]
        return np.where(np.isnan(column), default, column)

    def values(self, path: str) -> list[Any]:
        return [values_at(document, path) for document in self._run.documents(self._locators)]

    def holds(self, condition: Condition) -> npt.NDArray[np.bool_]:
        found = self._run.narrowed(condition, self._run.snapshot.matches_of(self._locators))
        return np.isin(self._locators, self._run.snapshot.locators(found, -1, found.count))

    def record(self, row: int) -> RecordId:
        return self._run.snapshot.ids(self._locators[row : row + 1])[0]


def values_at(document: dict[str, Any], path: str) -> list[Any]:
    """The values at a path, the elements of lists among them."""
    found: list[Any] = []
    for node in nodes_at(document, split_path(path)):
        found += node if isinstance(node, list) else [node]
    return found


def group_keys(document: dict[str, Any], path: str) -> list[Any]:
    """The groups a record belongs to: its distinct scalar values at a path."""
    keys = dict.fromkeys(
        (type(value), value) for value in values_at(document, path) if isinstance(value, bool | int | str | uuid.UUID | dt.datetime)
    )
    return list(keys)
