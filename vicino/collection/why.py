"""`Collection.why`: follows one record through a query, from whether it is there at all to the page that was asked for."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from vicino import _core
from vicino.collection.composing import Ranked
from vicino.collection.executing import group_keys, values_at
from vicino.collection.page import check_page
from vicino.collection.read_shard import FrozenShard
from vicino.collection.reading import check_fields
from vicino.collection.why_parts import Traced, diagnosed, moved_back
from vicino.filter import model
from vicino.filter.render import render
from vicino.query.part import Part
from vicino.query.parts import CANDIDATES, Combining, check_depth
from vicino.query.why import Finding, StageName, Why
from vicino.types import RecordId

SHOWN_MAX = 80


def explained(searcher: Any, part: Part, options: Any, record_id: RecordId, *, group_by: str | None, group_size: int) -> Why:
    """Why a search of this part returns the record, or does not."""
    check_page(options.limit, options.offset)
    check_depth(part)
    return _Question(searcher, part, options, record_id).answer(group_by, group_size)


class _Question:
    """One record, one query, one snapshot."""

    def __init__(self, searcher: Any, part: Part, options: Any, record_id: RecordId) -> None:
        self._searcher, self._part, self._options, self._id = searcher, part, options, record_id
        self._snapshot, self._settings = searcher.shard.snapshot(), searcher.shard.settings
        self._cancel = _core.Cancel(options.timeout, True)
        self._findings: list[Finding] = []

    def answer(self, group_by: str | None, group_size: int) -> Why:
        locator = int(self._snapshot.find([self._id])[0])
        if locator < 0:
            return self._told(*self._absence())
        if (expired := self._expiry(locator)) is not None:
            return self._told("expired", expired)
        version = int(self._snapshot.versions(np.array([locator], np.int64))[0])
        self._findings.append(Finding("record", f"written by version {version}"))
        matches, problem = self._condition(locator)
        if problem is not None:
            return self._told("filter", problem)
        return self._of_search(locator, matches) if group_by is None else self._of_groups(locator, matches, group_by, group_size)

    def _told(self, stage: StageName | None, reason: str, rank: int | None = None) -> Why:
        if stage in ("unknown", "not visible", "deleted", "expired"):
            self._findings.append(Finding("record", reason, lost=stage))
        return Why(self._searcher.name, self._snapshot.version, self._id, repr(self._part), stage, reason, rank, tuple(self._findings))

    # ---- is it there

    def _absence(self) -> tuple[StageName, str]:
        """What became of a record that the snapshot does not have."""
        shard, version = self._searcher.shard, self._snapshot.version
        buried = self._snapshot.find_any(self._id)
        if buried >= 0:
            last = int(self._snapshot.versions(np.array([buried], np.int64))[0])
            return "deleted", f"it was deleted after version {last}, which wrote it last"
        if int(shard.state.live_versions([self._id])[0]) > 0:
            return "not visible", f"it was written after version {version}; the commit is not durable yet"
        if isinstance(shard, FrozenShard) and (since := self._later_version(shard)) is not None:
            return "not visible", f"version {since} wrote it, and this is the collection as of version {version}"
        return "unknown", "there is no record of this id, and no trace of one: never written, or deleted before the last merge"

    def _later_version(self, shard: FrozenShard) -> int | None:
        """The version that wrote the record, if it is in the newest state of the collection."""
        from vicino.collection.history import newest

        snapshot = newest(shard).snapshot()
        found = snapshot.find([self._id])
        return int(snapshot.versions(found)[0]) if found[0] >= 0 else None

    def _expiry(self, locator: int) -> str | None:
        field = self._settings.ttl
        if field is None or self._searcher.reader.find(self._snapshot, [self._id], self._settings)[0] >= 0:
            return None
        now = dt.datetime.fromtimestamp(self._searcher.env.now(), tz=dt.UTC)
        return f'it expired: its field "{field}" is {self._value(locator, field)}, and it is {now.isoformat()} now'

    def _value(self, locator: int, path: str) -> str:
        """What the record has at a path, as text."""
        (document,) = self._snapshot.documents(np.array([locator], np.int64))
        found = values_at(_core.decode_document(document), path)
        shown = ", ".join(value.isoformat() if isinstance(value, dt.datetime) else repr(value) for value in found)
        return "missing" if not found else shown if len(shown) <= SHOWN_MAX else f"{shown[:SHOWN_MAX]}…"

    # ---- does it meet the condition

    def _condition(self, locator: int) -> tuple[Any, str | None]:
        """The rows that match, and what of the condition the record does not meet."""
        reader, where = self._searcher.reader, self._options.where
        condition = None if where is None else reader.condition(where, self._settings)
        matches = reader.match(self._snapshot, condition, self._settings, self._cancel)
        if condition is None:
            return matches, None
        problem = "; ".join(why_not(self, condition, locator)) if not self.holds(condition, locator) else None
        told = f"{render(condition)} holds" if problem is None else problem
        self._findings.append(Finding("filter", told, lost=None if problem is None else "filter"))
        return matches, problem

    def holds(self, condition: model.Condition, locator: int) -> bool:
        """Whether the engine finds the condition to hold for the record."""
        from vicino.collection.reading import slots_of

        only = self._snapshot.matches_of(np.array([locator], np.int64))
        compiled = self._searcher.reader.compiled(condition)
        return self._snapshot.match_within(compiled, slots_of(self._settings), only, self._cancel).count == 1

    def value_at(self, condition: model.Condition, locator: int) -> str:
        """What the record has where a condition looks."""
        path = getattr(condition, "path", None)
        return "" if not isinstance(path, str) else f", and {path} is {self._value(locator, path)}"

    # ---- is it found

    def _of_search(self, locator: int, matches: Any) -> Why:
        options = self._options
        end = options.offset + options.limit
        run, ranked = self._ran(matches, end)
        ranking = ranked.upto(end)
        (place,) = np.nonzero(ranked.ranking.locators == locator)
        if len(place):
            rank = int(place[0]) + 1
            finding = diagnosed(run, run.root, locator)
            self._findings.append(finding)
            if rank > end and (moved := moved_back(self._part, finding, end)) is not None:
                return self._told(*moved, rank)
            if rank <= options.offset:
                return self._told("offset", f"its rank is {rank}, and the page begins after {options.offset}", rank)
            if rank > end:
                return self._told("limit", f"its rank is {rank}, and the page ends with {end}", rank)
            return self._told(None, f"it is number {rank} of the {len(ranking):,} records found", rank)
        finding = diagnosed(run, run.root, locator)
        self._findings.append(finding)
        if finding.lost is None:
            reason = f"its score is {finding.score:.6g}, and min_score is {options.min_score:g}"
            self._findings.append(Finding("min_score", reason, lost="threshold"))
            return self._told("threshold", reason)
        return self._told(finding.lost, finding.text, finding.rank)

    def _ran(self, matches: Any, depth: int) -> tuple[Traced, Ranked]:
        """The search itself, with a trace of every part."""
        searcher, options = self._searcher, self._options
        run = Traced(
            searcher,
            self._snapshot,
            self._settings,
            matches,
            self._cancel,
            reader=searcher.reader,
            env=searcher.env,
            exact=options.exact,
            timeout=options.timeout,
        )
        first = CANDIDATES if isinstance(self._part, Combining) else depth
        ranked = Ranked(run, self._part, first, min_score=options.min_score, filter_step=None)
        ranked.upto(depth)
        return run, ranked

    # ---- is it in a group

    def _of_groups(self, locator: int, matches: Any, field: str, size: int) -> Why:
        check_fields(self._settings, field)
        groups = self._searcher.composer.search_groups(self._part, self._options, field, size, None)
        for number, group in enumerate(groups, start=1):
            if self._id in group.hits.ids:
                return self._told(None, f"it is in group {number}, {field} {group.key!r}", group.hits.ids.index(self._id) + 1)
        (document,) = self._snapshot.documents(np.array([locator], np.int64))
        own = [value for _, value in group_keys(_core.decode_document(document), field)]
        run, _ = self._ran(matches, max(CANDIDATES, self._options.limit * size))
        finding = diagnosed(run, run.root, locator)
        self._findings.append(finding)
        if not own:
            reason = f'it is in no group: its field "{field}" is {self._value(locator, field)}'
        elif finding.lost not in (None, "limit"):
            return self._told(finding.lost, finding.text, finding.rank)
        elif there := [group for group in groups if group.key in own]:
            reason = f"its group {there[0].key!r} is full: {size} of it are nearer"
        else:
            reason = f"none of its groups {', '.join(map(repr, own))} is among the best {self._options.limit}"
        self._findings.append(Finding("groups", reason, lost="group"))
        return self._told("group", reason)


def why_not(question: _Question, condition: model.Condition, locator: int) -> list[str]:
    """The smallest conditions that are to blame for one that does not hold, each with the record's value. The engine says what holds."""
    match condition:
        case model.And(parts):
            return [reason for part in parts if not question.holds(part, locator) for reason in why_not(question, part, locator)]
        case model.Or(parts) if parts:
            reasons = [reason for part in parts for reason in why_not(question, part, locator)]
            return [f"no side of {render(condition)} holds: {'; '.join(reasons)}"]
        case model.AtLeast(n, parts):
            failing = [reason for part in parts if not question.holds(part, locator) for reason in why_not(question, part, locator)]
            return [f"fewer than {n} hold: {'; '.join(failing)}"]
        case model.Not(part):
            return [f"{render(part)} holds, which must not{question.value_at(part, locator)}"]
    return [f"{render(condition)} does not hold{question.value_at(condition, locator)}"]
