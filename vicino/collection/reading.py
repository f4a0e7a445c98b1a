"""Reading one snapshot of a collection: conditions to bitmaps, expiry, records by id and in order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vicino import _core
from vicino.collection.core_columns import core_column
from vicino.collection.room import ORDERED_ROW_BYTES, ReadRoom
from vicino.collection.settings import Settings
from vicino.collection.values import from_bytes
from vicino.env import Env
from vicino.errors import InvalidArgument, MemoryLimitError
from vicino.filter.compile import compile_filter
from vicino.filter.expression import Expression
from vicino.filter.model import And, Condition, Exists, Not, Range
from vicino.filter.parse import Where, parse_where, spelling_of
from vicino.filter.paths import check_known_paths, check_path
from vicino.filter.render import render
from vicino.query.plan import FilterStep
from vicino.types import RecordId, VectorColumn

Locators = npt.NDArray[np.int64]
_VALUE_BYTES = 16384
_ARRAY_BYTES = 256
Layout = tuple[int, tuple[tuple[int, int], ...]]
"""Version, then key and number of rows of every entry; see `layout_of`."""
FILTER_CACHE = 256
"""Filters kept per collection, read and compiled; programs repeat a few shapes."""
MATCHES_KEPT, MATCHES_BYTES = 128, 16 << 20
"""Answers of filters kept per collection, a bit a record each, until something is written: pages and tenants ask the same again."""


class KeptMatches:
    """Answers of filters over one snapshot, those asked for lately: of two generations the older is let go when the younger is full."""

    def __init__(self, snapshot: int | None = None, settings: Settings | None = None) -> None:
        self.snapshot, self.settings = snapshot, settings
        self._young: dict[Condition, _core.Matches] = {}
        self._old: dict[Condition, _core.Matches] = {}
        self._young_bytes = 0
        self._same: dict[int, tuple[Condition, _core.Matches]] = {}  # by the condition's identity, which costs no look at its parts

    def find(self, condition: Condition) -> _core.Matches | None:
        same = self._same.get(id(condition))
        if same is not None and same[0] is condition:
            return same[1]
        if not self._young:  # nor anything older
            return None
        matches = self._young.get(condition)
        if matches is None and (matches := self._old.get(condition)) is not None:
            self.keep(condition, matches)
        if matches is not None and len(self._same) < MATCHES_KEPT:
            self._same[id(condition)] = (condition, matches)
        return matches

    def keep(self, condition: Condition, matches: _core.Matches) -> None:
        size = matches.memory_bytes
        if len(self._young) >= MATCHES_KEPT // 2 or self._young_bytes + size > MATCHES_BYTES // 2:
            self._old, self._young, self._young_bytes, self._same = self._young, {}, 0, {}
        self._young[condition] = matches
        matches.keep()
        self._young_bytes += size


class SnapshotReader:
    """Reads that need more than the core's snapshot: the collection's filters, expiry and vector names."""

    def __init__(self, env: Env, room: ReadRoom) -> None:
        self._env, self._room = env, room
        self._compiled: dict[Condition, tuple[_core.Filter, str]] = {}
        self._last: tuple[Condition | None, Any] = (None, None)
        self._read: tuple[Settings | None, dict[Hashable, Condition | None]] = (None, {})
        self._slots: tuple[Settings | None, dict[str, int]] = (None, {})
        self._unexpired: tuple[Layout, dt.datetime, _core.Matches] | None = None
        self._matched = KeptMatches()

    # ---- conditions

    def condition(self, where: Where | None, settings: Settings) -> Condition | None:
        """The tree behind any spelling, checked against a closed schema; None for no condition."""
        if where is None:
            return None
        known = settings.schema.fields if settings.schema.closed else None
        if type(where) is Expression and known is None and type(where.condition) is not And:
            return where.condition  # as parse_where would say, sooner
        spelling = spelling_of(where)
        if spelling is None:
            return parse_where(where, known_fields=known)
        read = self._read
        if read[0] is not settings or len(read[1]) >= FILTER_CACHE:
            read = self._read = (settings, {})
        if spelling not in read[1]:
            read[1][spelling] = parse_where(where, known_fields=known)
        return read[1][spelling]

    def compiled(self, condition: Condition) -> _core.Filter:
        """The core's form, cached."""
        return self._prepared(condition)[0]

    def _prepared(self, condition: Condition) -> tuple[_core.Filter, str]:
        """A condition in the core's form, and as plans show it."""
        last = self._last
        if last[0] is condition:  # asked for once to match and once for the plan
            return last[1]
        found = self._compiled.get(condition)
        if found is None:
            if len(self._compiled) >= FILTER_CACHE:
                self._compiled.clear()
            found = self._compiled[condition] = (compile_filter(condition), render(condition))
        self._last = (condition, found)
        return found

    def match(
        self, snapshot: _core.Snapshot, condition: Condition | None, settings: Settings, cancel: _core.Cancel
    ) -> _core.Matches | None:
        """Live, unexpired rows that meet the condition; None when that is every live row."""
        if settings.ttl is None:
            if condition is None:
                return None
            return self._match(snapshot, condition, settings, cancel)
        now = self._now()
        if condition is None:
            return self._all_unexpired(snapshot, settings, now, cancel)
        return snapshot.match(compile_filter(And((condition, unexpired(settings.ttl, now)))), slots_of(settings), cancel)

    def _match(self, snapshot: _core.Snapshot, condition: Condition, settings: Settings, cancel: _core.Cancel) -> _core.Matches:
        slots = self._slots
        if slots[0] is not settings:
            slots = self._slots = (settings, slots_of(settings))
        if self._room.is_limited:
            return snapshot.match(self.compiled(condition), slots[1], cancel)
        kept = self._matched
        if kept.snapshot != snapshot.identity or kept.settings is not settings:
            kept = self._matched = KeptMatches(snapshot.identity, settings)
        matches = kept.find(condition)
        if matches is None:
            matches = snapshot.match(self.compiled(condition), slots[1], cancel)
            kept.keep(condition, matches)  # of this snapshot: one with an index more is another
        return matches

    def absent(self, snapshot: _core.Snapshot, step: FilterStep) -> list[str]:
        """What to say of a condition that nothing meets: which of its fields no record has, as when a name is misspelt."""
        cancel = _core.Cancel(None, True)
        paths = dict.fromkeys((*step.paths_indexed, *step.paths_scanned))
        return [f'no record has a field "{path}"' for path in paths if not snapshot.match(self.compiled(Exists(path)), {}, cancel).count]

    def _all_unexpired(self, snapshot: _core.Snapshot, settings: Settings, now: dt.datetime, cancel: _core.Cancel) -> _core.Matches:
        """Rows that have not expired. Kept until the next one expires, so that a query between two expiries costs nothing extra."""
        assert settings.ttl is not None
        cached, layout = self._unexpired, layout_of(snapshot)
        if cached is not None and cached[0] == layout and now < cached[1]:
            return cached[2]
        matches = snapshot.match(compile_filter(unexpired(settings.ttl, now)), {}, cancel)
        try:
            with self._room.take(matches.count * ORDERED_ROW_BYTES, "finding the record that expires next"):
                first = snapshot.ordered(settings.ttl, matches, False, cancel)[:1]
        except MemoryLimitError:  # without it every query looks anew which records have expired
            return matches
        until = dt.datetime.max.replace(tzinfo=dt.UTC)
        if len(first):
            (document,) = snapshot.documents(first)
            values = _core.decode_document(document).get(settings.ttl)
            # A field with other values than one datetime has no next expiry to wait for: it is looked at again each time.
            until = values if isinstance(values, dt.datetime) else now
        self._unexpired = (layout, until, matches)
        return matches

    def _now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._env.now(), tz=dt.UTC)

    def expired(self, settings: Settings) -> Condition:
        """The records that have expired by now."""
        assert settings.ttl is not None
        return Range(settings.ttl, lte=self._now())

    def step(self, condition: Condition, matches: _core.Matches, took_s: float) -> FilterStep:
        """How a filter went, for the plan."""
        return FilterStep(
            condition=self._prepared(condition)[1],
            estimated=None,
            actual=matches.count,
            rows_scanned=matches.rows_scanned,
            paths_indexed=tuple(matches.paths_indexed),
            paths_scanned=tuple(matches.paths_scanned),
            took_s=took_s,
        )

    # ---- records

    def find(self, snapshot: _core.Snapshot, ids: Sequence[RecordId], settings: Settings) -> Locators:
        """Locator of each id, -1 where there is no live, unexpired record."""
        found = snapshot.find(list(ids))
        if settings.ttl is not None:
            now = self._now()
            for position, locator in enumerate(found.tolist()):
                if locator >= 0 and is_expired(snapshot, locator, settings.ttl, now):
                    found[position] = -1
        return found

    def walk(
        self, snapshot: _core.Snapshot, matches: _core.Matches | None, *, order_by: str | None, batch: int, cancel: _core.Cancel
    ) -> Iterator[Locators]:
        """All matching rows, `batch` at a time. order_by: a field, with a leading "-" the largest first; rows without it are left out."""
        if order_by is None:
            after = -1
            while len(found := snapshot.locators(matches, after, batch)):
                yield found
                after = int(found[-1])
            return
        descending = order_by.startswith("-")
        n_rows = snapshot.n_records if matches is None else matches.count
        with self._room.take(n_rows * ORDERED_ROW_BYTES, f"ordering {n_rows} records by {order_by.removeprefix('-')}"):
            ordered = snapshot.ordered(order_by.removeprefix("-"), matches, descending, cancel)
        with self._room.take(ordered.nbytes, f"the order of {len(ordered)} records"):
            for start in range(0, len(ordered), batch):
                yield ordered[start : start + batch]


def layout_of(snapshot: _core.Snapshot) -> Layout:
    """Equal for two snapshots of a collection if locators mean the same rows in both: sealing and merging move rows within a version."""
    return snapshot.version, tuple((entry["key"], entry["rows"]) for entry in snapshot.entries)


def slots_of(settings: Settings) -> dict[str, int]:
    return {name: entry.slot for name, entry in settings.vectors.items()}


def unexpired(field: str, now: dt.datetime) -> Condition:
    """Holds for records that have not expired at `now`; records without the field never expire."""
    return Not(Range(field, lte=now))


def is_expired(snapshot: _core.Snapshot, locator: int, field: str, now: dt.datetime) -> bool:
    (document,) = snapshot.documents(np.array([locator], np.int64))
    from vicino.filter.match import matches

    return matches(Range(field, lte=now), _core.decode_document(document))


def read_vectors(snapshot: _core.Snapshot, locators: Locators, settings: Settings, names: Sequence[str] | None = None) -> dict[str, Any]:
    """The vectors of some rows, bit for bit as they were written: a `VectorColumn` each, or a list of sparse or multi-vectors."""
    columns: dict[str, Any] = {}
    for name in settings.vector_names if names is None else names:
        if (entry := settings.values.get(name)) is not None:
            columns[name] = [from_bytes(value, entry.spec) for value in snapshot.value(entry.slot, locators)]
            continue
        spec = settings.spec(name)
        rows, present = snapshot.vectors(core_column(settings, name), locators)
        table = rows.view(spec.numpy_dtype).reshape(len(locators), spec.width)
        present = present.view(np.bool_)
        columns[name] = VectorColumn(table, None if present.all() else present)
    return columns


def vector_bytes(settings: Settings, names: Sequence[str] | None) -> int:
    """What the named vectors of one record take; of each, its row and the array that shows it. None: no vectors.

    Of sparse and multi-vectors a usual size is taken: they have none in common.
    """
    specs = [settings.spec(name) for name in names or () if name not in settings.values]
    return _VALUE_BYTES * sum(name in settings.values for name in names or ()) + sum(
        spec.width * np.dtype(spec.numpy_dtype).itemsize + _ARRAY_BYTES for spec in specs
    )


def vector_names(vectors: bool | str | Sequence[str], settings: Settings) -> list[str] | None:
    """Which vectors `vectors=` asks for; None for none."""
    if vectors is False:
        return None
    if vectors is True:
        return list(settings.vector_names)
    names = [vectors] if isinstance(vectors, str) else list(vectors)
    for name in names:
        if name not in settings.values:
            settings.spec(name)
    return names


def check_fields(settings: Settings, *paths: str) -> None:
    """Raises FilterError for what is no path, and for a field that a closed schema does not have."""
    for path in paths:
        check_path(path)
    if settings.schema.closed:
        check_known_paths(paths, settings.schema.fields)


def check_select(select: Sequence[str] | str | None) -> tuple[str, ...] | None:
    """`select=` as a tuple of field names; None for all fields."""
    if select is None:
        return None
    if isinstance(select, str):
        return (select,)
    if isinstance(select, Mapping) or not all(isinstance(name, str) for name in select):
        raise InvalidArgument(f"select must be field names, got {select!r}")
    return tuple(select)


def scalar_key(value: Any) -> tuple[str, str]:
    """Order of facet values with equal counts: by type, then by text."""
    return type(value).__name__, str(value)
