"""What maintenance does next, as a pure function of what there is.

Sizes fall into classes, each `merge_fan_in` times as large as the one below, the smallest being what a head seals to. A class that holds
`merge_fan_in` segments is merged. Merging goes before building indexes, so that none is built for a segment about to go.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from vicino.collection.limits import Limits
from vicino.segment.files import SegmentFiles


@dataclass(frozen=True, slots=True)
class Merge:
    """Rewrite the live rows of these segments (one or more) into a new one."""

    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RewriteFields:
    """Fold a segment's overlay into a new fields file; vectors and graphs stay."""

    key: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Seal what there is: much has been deleted or updated since the log floor, and only what the base knows of can be cleaned up."""


@dataclass(frozen=True, slots=True)
class BuildVectorIndex:
    key: int
    slot: int


@dataclass(frozen=True, slots=True)
class DropVectorIndex:
    """The vector is to be scanned from now on."""

    key: int
    slot: int


@dataclass(frozen=True, slots=True)
class BuildIndex:
    key: int
    path: str
    kind: str


@dataclass(frozen=True, slots=True)
class BuildTerms:
    """Build the text index of a segment that is older than it."""

    key: int
    slot: int


Action = Merge | RewriteFields | Checkpoint | BuildVectorIndex | DropVectorIndex | BuildIndex | BuildTerms


@dataclass(frozen=True, slots=True)
class SegmentState:
    """A segment: rows that are live and updated as of the base, and the same as of now."""

    files: SegmentFiles
    live: int
    updated: int
    live_now: int
    updated_now: int

    def is_wasteful(self, live: int, limits: Limits) -> bool:
        return self.files.rows - live > limits.dead_share_max * self.files.rows

    def is_overlaid(self, updated: int, limits: Limits) -> bool:
        return updated > max(256, limits.updated_share_max * self.files.rows)


def size_class(rows: int, limits: Limits) -> int:
    """0 for what a head seals to, one more for every factor of merge_fan_in."""
    if rows <= limits.head_rows_max:
        return 0
    return math.ceil(math.log(rows / limits.head_rows_max, limits.merge_fan_in) - 1e-9)


def next_action(
    segments: Sequence[SegmentState],
    *,
    indexed_slots: Iterable[int],
    indexes: Mapping[str, str],
    limits: Limits,
    flat_slots: Collection[int] = (),
    failed: frozenset[Action] = frozenset(),
    texts: Iterable[int] = (),
    texts_of_base: Collection[int] = (),
) -> Action | None:
    """The most useful action, None when all is well.

    indexed_slots: vectors that want an index; flat_slots: those that want none. indexes: path -> kind wanted.
    failed: actions that were tried and refused (memory); they are not tried again until something changes. texts: slots of the text indexes
    wanted; those in `texts_of_base` the base knows of.
    """
    texts = list(texts)
    candidates = [
        *([Checkpoint()] if set(texts) - set(texts_of_base) else []),
        *(BuildTerms(s.files.key, slot) for slot in texts if slot in texts_of_base for s in segments if slot not in s.files.terms),
        *_merges(segments, limits),
        *(RewriteFields(s.files.key) for s in segments if s.is_overlaid(s.updated, limits)),
        *(Checkpoint() for s in segments if s.is_wasteful(s.live_now, limits) or s.is_overlaid(s.updated_now, limits)),
        *(DropVectorIndex(s.files.key, slot) for s in segments for slot in s.files.graphs if slot in flat_slots),
        *_vector_indexes(segments, indexed_slots, limits),
        *(
            BuildIndex(s.files.key, path, kind)
            for s in segments
            for path, kind in indexes.items()
            if s.files.indexes.get(path, ("",))[0] != kind
        ),
    ]
    return next((action for action in candidates if action not in failed), None)


def is_soon_merged(segments: Sequence[SegmentState], key: int, *, unsealed: int, rows_per_s: float, limits: Limits) -> bool:
    """Whether a writer that goes on like this will have filled the size class of a segment before an index over it has paid.

    unsealed: rows written since the last seal. An index pays once it has served for as long as it took to build. Only the smallest class
    waits, so that at most `merge_fan_in` heads of rows are scanned for it, and no longer than it would take to build two indexes.
    """
    segment = next((segment for segment in segments if segment.files.key == key), None)
    if segment is None or size_class(segment.live, limits):
        return False
    n_members = sum(not size_class(other.live, limits) for other in segments)
    missing = (limits.merge_fan_in - n_members) * segment.files.rows - unsealed
    return rows_per_s > 0 and missing < rows_per_s * 2 * segment.files.rows / limits.indexed_per_s


def packed(segments: Sequence[SegmentState], rows_max: int) -> list[list[SegmentState]]:
    """What to merge into one segment each, so that everything is in few: the smallest first, while they have at most rows_max rows."""
    groups: list[list[SegmentState]] = []
    rows = 0
    for segment in sorted(segments, key=lambda segment: segment.live):
        if not groups or rows + segment.live > rows_max:
            groups.append([])
            rows = 0
        groups[-1].append(segment)
        rows += segment.live
    return groups


def _merges(segments: Sequence[SegmentState], limits: Limits) -> list[Merge]:
    classes: dict[int, list[SegmentState]] = {}
    for segment in segments:
        if segment.live <= limits.segment_rows_max // limits.merge_fan_in:
            classes.setdefault(size_class(segment.live, limits), []).append(segment)
    full = [
        Merge(tuple(segment.files.key for segment in members[: limits.merge_fan_in]))
        for _, members in sorted(classes.items())
        if len(members) >= limits.merge_fan_in
    ]
    merged = {key for merge in full for key in merge.keys}
    dying = [Merge((s.files.key,)) for s in segments if s.is_wasteful(s.live, limits) and s.files.key not in merged]
    return full + dying


def _vector_indexes(segments: Sequence[SegmentState], indexed_slots: Iterable[int], limits: Limits) -> list[BuildVectorIndex]:
    wanted = [
        (s.files.rows, BuildVectorIndex(s.files.key, slot))
        for slot in indexed_slots
        for s in segments
        if slot in s.files.vectors and slot not in s.files.graphs and s.files.rows >= limits.graph_rows_min
    ]
    return [action for _, action in sorted(wanted, key=lambda entry: -entry[0])]  # the largest first: it saves the most scanning
