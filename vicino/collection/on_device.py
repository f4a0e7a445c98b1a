"""Exact search of many queries on a device: it proposes candidates, the core decides among them.

All rows that match are streamed through the device in tiles. The candidates of each query are then searched by the core, which looks at
nothing else: distances, ties and documents are those of any other search. Where the device cannot prove that no row is missing
(`gpu/nearest.py`), the core searches all rows for this query.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vicino import _core
from vicino.collection.room import ReadRoom
from vicino.collection.vector_spec import VectorSpec
from vicino.errors import InvalidArgument
from vicino.gpu.device import METRICS, Device, Floats, Integers
from vicino.gpu.nearest import NearestRows, candidates_for, rows_per_tile

if TYPE_CHECKING:
    from vicino.collection.target import Target

CANDIDATE_BYTES = 64
"""One candidate of one query: distance and label, here and while two lists become one."""
QUERY_BYTES_PER_DIM = 16
"""One query, and while its length is taken in double precision."""
GROUP_BYTES = 256 << 20
"""Queries are answered in groups that take so much with their candidates; each group streams all rows."""
_LIST_BYTES = 32
"""A row's locator, its label and whether it has a vector, beside the vector."""


def expect_searchable(device: str, spec: VectorSpec, name: str, *, exact: bool) -> None:
    """Raises InvalidArgument for a search that no device does."""
    if not exact:
        raise InvalidArgument(f'device="{device}" computes every distance; say exact=True as well, or leave device= out')
    if spec.dtype not in ("float32", "float16"):
        raise InvalidArgument(f'device="{device}" searches vectors of floats, vector "{name}" is {spec.dtype}; leave device= out')
    if spec.metric not in METRICS:
        raise InvalidArgument(f'device="{device}" knows {", ".join(METRICS)}, vector "{name}" has {spec.metric}; leave device= out')


class Counted:
    """What the core's counts of a search are, of several searches."""

    def __init__(self, stats: list[dict[str, Any]]) -> None:
        self._stats = stats

    def entries(self) -> list[dict[str, Any]]:
        return self._stats


def search_on_device(
    device: Device,
    snapshot: _core.Snapshot,
    target: Target,
    queries: npt.NDArray[np.uint8],
    k: int,
    matches: _core.Matches | None,
    cancel: _core.Cancel,
    room: ReadRoom,
) -> tuple[_core.Found, Counted, tuple[str, ...]]:
    """What `Snapshot.search` answers, and notes for the plan. queries: the bytes of one query in each row, at least one."""
    found: _core.Found | None = None
    stats: list[dict[str, Any]] = []
    n_unproven = 0
    query_bytes = CANDIDATE_BYTES * candidates_for(k) + QUERY_BYTES_PER_DIM * target.spec.dim
    group = max(1, GROUP_BYTES // query_bytes)
    for start in range(0, len(queries), group):
        part = queries[start : start + group]
        nearest = NearestRows(device, part.view(np.float32), target.spec.metric, k)
        tile_rows = rows_per_tile(target.spec.dim, len(part))
        tile_bytes = tile_rows * (target.spec.dim * 8 + _LIST_BYTES) + len(part) * query_bytes
        with room.take(tile_bytes, "a tile of vectors for the device"):
            for rows, locators in _tiles(snapshot, target, matches, tile_rows):
                cancel.check()
                nearest.offer(rows, locators)
        for number, locators in enumerate(nearest.candidates()):
            among = snapshot.matches_of(locators)
            answer, counted = snapshot.search(target.column, part[number], k, 0, True, among, cancel)
            distances = answer.distances(0)
            if not nearest.is_complete(number, distances[-1] if len(distances) == k else np.inf):
                n_unproven += 1
                answer, counted = snapshot.search(target.column, part[number], k, 0, True, matches, cancel)
            if found is None:
                found = answer
            else:
                found.append(answer)
            stats = _added(stats, counted.entries())
    notes = [f"distances were computed on {device.name}; rows scored are those that the core checked"]
    if n_unproven:
        notes.append(f"of {n_unproven} of {len(queries)} queries the device could not tell the nearest rows apart; the core searched them")
    assert found is not None, "there is at least one query"
    return found, Counted(stats), tuple(notes)


def _tiles(snapshot: _core.Snapshot, target: Target, matches: _core.Matches | None, size: int) -> Iterator[tuple[Floats, Integers]]:
    """All rows that match and have the vector, in tiles, with their locators."""
    after = -1
    while len(locators := snapshot.locators(matches, after, size)):
        after = int(locators[-1])
        values, present = snapshot.vectors(target.column, locators)
        rows, here = values.view(target.spec.numpy_dtype).reshape(len(locators), target.spec.dim), present.view(np.bool_)
        if not here.all():
            rows, locators = rows[here], locators[here]
        yield rows.astype(np.float32, copy=False), locators


def _added(stats: list[dict[str, Any]], more: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The counts of one query added to those of the others, entry by entry."""
    if not stats:
        return more
    for entry, other in zip(stats, more, strict=True):
        for name in ("rows_scored", "rows_read", "hops", "seconds"):
            entry[name] += other[name]
        entry["candidates"] = max(entry["candidates"], other["candidates"])
        if entry["strategy"] == "none":
            entry["strategy"] = other["strategy"]
    return stats
