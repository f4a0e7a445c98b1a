"""Searches by queries of parts: one snapshot, one filter evaluation, one instant; pages that fit together; groups.

A ranking of many parts depends on how many candidates each part gave, so a page cannot be cut from a ranking made for it alone. `Ranked`
fixes an order that does not depend on what is asked for: the ranking at a first depth, then what the ranking at four times that depth
has beside it, and so on.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vicino import _core
from vicino.collection.executing import Execution, group_keys
from vicino.collection.page import LIMIT_MAX, check_page
from vicino.collection.reading import check_fields, read_vectors, vector_bytes, vector_names
from vicino.collection.room import HIT_BYTES
from vicino.collection.searching import Versions
from vicino.errors import InvalidArgument, NotFoundError
from vicino.filter.model import And, HasVector, In
from vicino.query.aggregate import DistanceMatrix
from vicino.query.fusion import EMPTY, Ranking
from vicino.query.groups import Group, Groups
from vicino.query.part import Part, whole
from vicino.query.parts import CANDIDATES, Combining, Diverse, Sample, check_depth
from vicino.query.plan import FilterStep, Plan
from vicino.query.results import Results

DEEPER = 4
PAGES_FIRST = 1000
"""The first depth of a leaf that is paged by a cursor; parts that combine begin at CANDIDATES."""
RANKINGS_KEPT = 8
"""Rankings that cursors may go on with, per collection. An older one is made again, at its version."""
GROUPS_DEPTH_MAX = 20_000
SAMPLE_MAX = 10_000


class Ranked:
    """The records of a query in one fixed order, found as far as it is asked for."""

    def __init__(self, run: Execution, part: Part, first_depth: int, *, min_score: float | None, filter_step: FilterStep | None) -> None:
        self.run, self.part, self.filter_step = run, part, filter_step
        self._depth, self._min_score = first_depth, min_score
        self.ranking, self.is_complete = EMPTY, run.n_max == 0
        if self.is_complete:
            self._look(1)

    def upto(self, n: int) -> Ranking:
        """The first `n` records, fewer only when there are no more."""
        while len(self.ranking) < n and not self.is_complete:
            self._look(self._depth)
            self._depth *= DEEPER
        return self.ranking.first(n)

    def _look(self, depth: int) -> None:
        self.run.restart()
        found = self.run.run(self.part, depth, self.run.matches)
        self.is_complete = len(found) < depth or depth >= self.run.n_max
        if self._min_score is not None:
            enough = found.scores >= self._min_score
            # Below the least score of an ordered ranking nothing follows.
            self.is_complete |= not enough.all() and not isinstance(self.part, Diverse)
            found = Ranking(found.locators[enough], found.scores[enough])
        if not len(self.ranking):
            self.ranking = found
            return
        new = ~np.isin(found.locators, self.ranking.locators)
        self.ranking = Ranking(
            np.concatenate([self.ranking.locators, found.locators[new]]), np.concatenate([self.ranking.scores, found.scores[new]])
        )


class _Alone:
    """The records of one leaf, asked for once: `Ranked` for queries that need nothing of what it does."""

    __slots__ = ("filter_step", "part", "run")

    def __init__(self, run: Execution, part: Part, filter_step: FilterStep | None) -> None:
        self.run, self.part, self.filter_step = run, part, filter_step

    def upto(self, n: int) -> Ranking:
        return self.run.run(self.part, n, self.run.matches)


class Composer:
    """Composed searches of one collection. `searcher` has its snapshots, vectors and models."""

    def __init__(self, searcher: Any) -> None:
        self._searcher = searcher
        self._kept: OrderedDict[tuple[str, int], Ranked] = OrderedDict()
        self._lock = threading.Lock()

    # ---- searching

    def search(self, parts: Sequence[Part], options: Any) -> list[Results[Any]]:
        """`Results` of each query, all of one snapshot."""
        searcher = self._searcher
        start = searcher.env.monotonic()
        check_page(options.limit, options.offset)
        snapshot, settings = searcher.shard.snapshot(), searcher.shard.settings
        cancel = _core.Cancel(options.timeout, True)
        matches, step = self._match(snapshot, settings, options, cancel)
        found = []
        for part in parts:
            check_depth(part)
            run = self._execution(snapshot, settings, matches, cancel, options)
            if options.min_score is None and not isinstance(part, Combining):
                ranked: Ranked | _Alone = _Alone(run, part, step)
            else:
                depth = CANDIDATES if isinstance(part, Combining) else options.limit + options.offset
                ranked = Ranked(run, part, depth, min_score=options.min_score, filter_step=step)
            ranking = self._page(ranked, options.offset, options.limit)
            found.append(self._results(ranked, ranking, options, searcher.env.monotonic() - start))
        return found

    def pages(self, part: Part, options: Any) -> Iterator[Results[Any]]:
        """Page after page of one version, until there are no more hits. Options are checked now, the search is made with the first page."""
        check_page(options.limit, options.offset)
        check_depth(part)
        return self._pages(part, options)

    def _pages(self, part: Part, options: Any) -> Iterator[Results[Any]]:
        searcher, position = self._searcher, options.offset
        ranked = self._new_ranked(part, options)
        while True:
            start = searcher.env.monotonic()
            ranked.run.go_on(options.timeout)
            ranking = self._page(ranked, position, options.limit)
            if not len(ranking):
                return
            yield self._results(ranked, ranking, options, searcher.env.monotonic() - start)
            position += len(ranking)

    def _new_ranked(self, part: Part, options: Any, version: int | None = None) -> Ranked:
        """A ranking to be paged, of the present version or of an earlier one."""
        snapshot, settings = self._searcher.shard.snapshot(), self._searcher.shard.settings
        if version is not None and snapshot.version != version:
            snapshot, settings = self._past(version)
        cancel = _core.Cancel(options.timeout, True)
        matches, step = self._match(snapshot, settings, options, cancel)
        run = self._execution(snapshot, settings, matches, cancel, options)
        depth = CANDIDATES if isinstance(part, Combining) else PAGES_FIRST
        return Ranked(run, part, depth, min_score=options.min_score, filter_step=step)

    def search_cursor(self, part: Part, options: Any, cursor: str) -> Results[Any]:
        """The hits after a cursor ("" for the first), of the version the first page was of."""
        start = self._searcher.env.monotonic()
        check_page(options.limit, options.offset)
        if options.offset:
            raise InvalidArgument(f"a cursor says where to go on; leave offset={options.offset} out")
        check_depth(part)
        fingerprint = _fingerprint(part, options)
        version, position = _read_cursor(cursor, fingerprint) if cursor else (None, 0)
        ranked = self._ranked(part, options, fingerprint, version)
        ranking = self._page(ranked, position, options.limit)
        end = position + len(ranking)
        has_more = len(ranked.upto(end + 1)) > end
        next_cursor = _cursor(ranked.run.snapshot.version, end, fingerprint) if has_more else None
        return self._results(ranked, ranking, options, self._searcher.env.monotonic() - start, next_cursor)

    def _ranked(self, part: Part, options: Any, fingerprint: str, version: int | None) -> Ranked:
        """The ranking that a cursor goes on with: the one it came from, or that of its version made again."""
        with self._lock:
            kept = None if version is None else self._kept.get((fingerprint, version))
        if kept is not None:
            kept.run.go_on(options.timeout)
            return kept
        ranked = self._new_ranked(part, options, version)
        with self._lock:
            self._kept[fingerprint, ranked.run.snapshot.version] = ranked
            while len(self._kept) > RANKINGS_KEPT:
                self._kept.popitem(last=False)
        return ranked

    def _past(self, version: int) -> tuple[_core.Snapshot, Any]:
        from vicino.collection.history import open_version

        try:
            shard = open_version(self._searcher.shard, version)
        except NotFoundError as error:
            raise NotFoundError(f"the cursor is of version {version}, which can no longer be read; search anew: {error.message}") from error
        return shard.snapshot(), shard.settings

    def _page(self, ranked: Ranked | _Alone, offset: int, limit: int) -> Ranking:
        room = self._searcher.room
        if room.is_limited:
            with room.take(min(offset + limit, ranked.run.n_max) * HIT_BYTES, "holding the hits of this search"):
                ranking = ranked.upto(offset + limit)
        else:
            ranking = ranked.upto(offset + limit)
        return Ranking(ranking.locators[offset:], ranking.scores[offset:]) if offset else ranking

    def _match(self, snapshot: Any, settings: Any, options: Any, cancel: Any) -> tuple[Any, FilterStep | None]:
        searcher = self._searcher
        start = searcher.env.monotonic()
        condition = None if options.where is None else searcher.reader.condition(options.where, settings)
        if condition is None and settings.ttl is None:
            return None, None
        matches = searcher.reader.match(snapshot, condition, settings, cancel)
        took = searcher.env.monotonic() - start
        return matches, None if condition is None else searcher.reader.step(condition, matches, took)

    def _execution(self, snapshot: Any, settings: Any, matches: Any, cancel: Any, options: Any) -> Execution:
        searcher = self._searcher
        return Execution(
            searcher,
            snapshot,
            settings,
            matches,
            cancel,
            reader=searcher.reader,
            env=searcher.env,
            exact=options.exact,
            timeout=options.timeout,
        )

    # ---- what is given back

    def _results(
        self, ranked: Ranked | _Alone, ranking: Ranking, options: Any, took_s: float, next_cursor: str | None = None
    ) -> Results[Any]:
        searcher, run, locators = self._searcher, ranked.run, ranking.locators
        names = None if options.vectors is False else vector_names(options.vectors, run.settings)
        plan = self._plan(ranked, options, took_s)
        row_bytes = vector_bytes(run.settings, names) if searcher.room.is_limited else 0
        with searcher.room.records(run.snapshot, locators, row_bytes, f"reading the records of {len(locators)} hits"):
            return Results(
                run.snapshot.ids(locators),
                0.0 - ranking.scores,
                run.snapshot.documents(locators),
                shape=searcher.shape(options.select),
                metric="dot",  # whose distance is minus the score
                version=run.snapshot.version,
                took_s=took_s,
                plan=plan,
                versions=Versions(run.snapshot, locators),
                vectors=None if names is None else read_vectors(run.snapshot, locators, run.settings, names),
                budget=searcher.room.budget,
                scores=_ByPart({label: (part.locators, part.scores) for label, part in run.rankings.items()}, locators),
                matched=_ByPart(dict(run.matched), locators) if run.matched else None,
                highlight=searcher.highlighter(ranked.part, run.settings),
                next_cursor=next_cursor,
            )

    def _plan(self, ranked: Ranked | _Alone, options: Any, took_s: float) -> Plan:
        run, step = ranked.run, ranked.filter_step
        notes = tuple(dict.fromkeys(run.notes))
        if step is not None and step.paths_scanned:
            notes += self._searcher.unindexed(step, run.snapshot)
        return Plan(
            collection=self._searcher.name,
            version=run.snapshot.version,
            vector="",
            metric="",
            limit=options.limit,
            exact=options.exact,
            n_records=run.snapshot.n_records,
            took_s=took_s,
            filter=step,
            notes=notes,
            query=ranked.part,
            stages=tuple(run.stages),
        )

    # ---- distances

    def distance_matrix(self, target: Any, options: Any, *, sample: int, limit: int, seed: int | None) -> DistanceMatrix:
        """The nearest of some records to each other, by exact search among them."""
        sample, limit = whole(sample, "sample", 2, SAMPLE_MAX), whole(limit, "limit", 1, SAMPLE_MAX)
        searcher = self._searcher
        snapshot, settings = searcher.shard.snapshot(), searcher.shard.settings
        cancel = _core.Cancel(options.timeout, True)
        condition = HasVector(target.name)
        if options.where is not None:
            condition = And((searcher.reader.condition(options.where, settings), condition))
        matches = searcher.reader.match(snapshot, condition, settings, cancel)
        run = self._execution(snapshot, settings, matches, cancel, options)
        chosen = np.sort(run.run(Sample(seed), sample, matches).locators)
        if not len(chosen):
            return DistanceMatrix((), np.zeros((0, 0), np.int64), np.zeros((0, 0), np.float32))
        (column,) = read_vectors(snapshot, chosen, settings, [target.name]).values()
        rows = column.rows.astype(np.float32) if target.spec.dtype == "float16" else column.rows
        queries = np.ascontiguousarray(rows).reshape(-1).view(np.uint8)
        k = min(limit + 1, len(chosen))
        rankings, _ = snapshot.search_rows(target.column, queries, k, 0, True, snapshot.matches_of(chosen), cancel)
        return DistanceMatrix.of(snapshot.ids(chosen), chosen, rankings, k - 1)

    # ---- groups

    def search_groups(self, part: Part, options: Any, field: str, size: int, lookup: Any) -> Groups[Any]:
        """The best `limit` values of a field, each with its best `size` hits."""
        searcher = self._searcher
        start = searcher.env.monotonic()
        check_page(options.limit, options.offset)
        check_fields(searcher.shard.settings, field)
        if options.offset:
            raise InvalidArgument(f"groups have no offset, got {options.offset}; ask for a larger limit")
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= LIMIT_MAX:
            raise InvalidArgument(f"group_size must be at least 1 and at most {LIMIT_MAX}, got {size!r}")
        check_depth(part)
        snapshot, settings = searcher.shard.snapshot(), searcher.shard.settings
        cancel = _core.Cancel(options.timeout, True)
        matches, step = self._match(snapshot, settings, options, cancel)
        run = self._execution(snapshot, settings, matches, cancel, options)
        ranked = Ranked(run, part, max(CANDIDATES, options.limit * size), min_score=options.min_score, filter_step=step)
        rows = self._group_rows(ranked, field, options.limit, size)
        took = searcher.env.monotonic() - start
        found = {}
        if lookup is not None and rows:
            other = searcher.collection_of(lookup)
            keys = [key for _, key in rows]
            found = dict(zip(rows, other.get(keys), strict=True))
        groups = [
            Group(key[1], self._results(ranked, Ranking(np.array(at, np.int64), np.array(scores)), options, took), found.get(key))
            for key, (at, scores) in rows.items()
        ]
        plan = self._plan(ranked, options, took)
        plan.query = f'{plan.query} grouped by "{field}", {size} of each'
        return Groups(groups, field=field, version=snapshot.version, took_s=took, plan=plan)

    def _group_rows(self, ranked: Ranked, field: str, limit: int, size: int) -> dict[Any, tuple[list[int], list[float]]]:
        """(type, value) -> locators and scores of its best records, best group first."""
        groups: dict[Any, tuple[list[int], list[float]]] = {}
        seen, wanted = 0, max(CANDIDATES, limit * size)
        while True:
            ranking = ranked.upto(wanted)
            _sort_in(ranked.run, groups, Ranking(ranking.locators[seen:], ranking.scores[seen:]), field, limit, size)
            seen = len(ranking)
            is_full = len(groups) == limit and all(len(rows) == size for rows, _ in groups.values())
            if is_full or (ranked.is_complete and seen == len(ranked.ranking)) or seen < wanted:
                return groups
            if len(groups) == limit and not isinstance(ranked.part, Combining):
                self._fill(ranked, groups, field, size)
                return groups
            if wanted >= GROUPS_DEPTH_MAX:
                ranked.run.notes.append(f"groups are of the best {seen:,} records; a condition on {field!r} finds more of one group")
                return groups
            wanted *= DEEPER

    def _fill(self, ranked: Ranked, groups: dict[Any, tuple[list[int], list[float]]], field: str, size: int) -> None:
        """The rest of groups that are not full: the same leaf among the records of those groups. Its scores do not change by that."""
        short = [key for key, (rows, _) in groups.items() if len(rows) < size]
        run = ranked.run
        within = run.narrowed(In(field, tuple(value for _, value in short)), run.matches)
        outer, run.matches = run.matches, within
        try:
            rest = Ranked(run, ranked.part, CANDIDATES, min_score=ranked._min_score, filter_step=None)
            full = {key: rows for key, rows in groups.items() if key not in short}
            fresh: dict[Any, tuple[list[int], list[float]]] = {key: ([], []) for key in short}
            wanted = CANDIDATES
            while True:
                ranking = rest.upto(wanted)
                for key in fresh:
                    fresh[key] = ([], [])
                _sort_in(run, fresh, ranking, field, len(fresh), size)
                if rest.is_complete or len(ranking) < wanted or all(len(rows) == size for rows, _ in fresh.values()):
                    break
                wanted *= DEEPER
            for key in groups:
                groups[key] = full[key] if key in full else fresh[key]
        finally:
            run.matches = outer


def _sort_in(run: Execution, groups: dict[Any, tuple[list[int], list[float]]], ranking: Ranking, field: str, limit: int, size: int) -> None:
    """Puts records into their groups, best first; new groups while there are fewer than `limit`."""
    documents = run.documents(ranking.locators)
    for locator, score, document in zip(ranking.locators.tolist(), ranking.scores.tolist(), documents, strict=True):
        for key in group_keys(document, field):
            if key not in groups and len(groups) < limit:
                groups[key] = ([], [])
            if key in groups and len(groups[key][0]) < size:
                groups[key][0].append(locator)
                groups[key][1].append(score)


class _ByPart(Sequence[Any]):
    """For each hit, a function that looks up its number in every part. parts: by label, locators and the numbers of these records."""

    def __init__(self, parts: Mapping[str, tuple[Any, Any]], locators: Any) -> None:
        self._parts, self._locators = parts, locators

    def __len__(self) -> int:
        return len(self._locators)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _ByPart(self._parts, self._locators[index])
        locator = self._locators[index]
        return lambda: {
            label: numbers[places[0]].item()
            for label, (found, numbers) in self._parts.items()
            if len(places := np.flatnonzero(found == locator))
        }


def _fingerprint(part: Part, options: Any) -> str:
    """Tells queries apart that have other pages."""
    from vicino.filter.model import Condition

    where = options.where
    where = repr(where.condition) if isinstance(getattr(where, "condition", None), Condition) else repr(where)
    text = json.dumps([part.to_json(), where, options.min_score, options.exact], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=9).hexdigest()


def _cursor(version: int, position: int, fingerprint: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([version, position, fingerprint]).encode()).decode()


def _read_cursor(cursor: str, fingerprint: str) -> tuple[int, int]:
    try:
        version, position, of = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error):
        version, position, of = -1, -1, None
    if type(version) is not int or type(position) is not int or version < 0 or position < 0:
        raise InvalidArgument(f'a cursor is what Results.next_cursor holds, or "" to begin, got {str(cursor)[:40]!r}')
    if of != fingerprint:
        raise InvalidArgument("the cursor belongs to another query; give it with the query, where=, min_score= and exact= it came from")
    return version, position
