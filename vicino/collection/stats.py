"""How large a collection is and what holds the bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from vicino.segment.memory import show_bytes
from vicino.storage.files import size_if_present

if TYPE_CHECKING:
    from vicino.collection.maintenance import Maintenance
    from vicino.collection.read_shard import AnyShard


@dataclass(frozen=True, slots=True)
class ListStats:
    """Inverted lists over a vector of one segment.

    nprobe: lists that a search scans unless it says otherwise, as measured when they were built; 0 where rows were too few to tell.
    trained_rows: on how many rows their centroids were trained; 0 where nobody wrote it down.
    drift: how much farther rows are from their centroids now than then, squared. Merges train anew when new rows are much farther.
    """

    nlist: int
    nprobe: int
    trained_rows: int
    drift: float

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> ListStats:
        """What the core says of them."""
        return cls(found["nlist"], found["nprobe"], found["trained_rows"], round(found["drift"], 4))

    def line(self, name: str) -> str:
        """As stats show it."""
        probed = f", {self.nprobe:,} probed" if self.nprobe else ""
        trained = f", trained on {self.trained_rows:,} rows" if self.trained_rows else ""
        return f'    "{name}": {self.nlist:,} lists{probed}{trained}, drift {self.drift:.2f}'


@dataclass(frozen=True, slots=True)
class GraphStats:
    """A graph over a vector of one segment.

    nodes: rows, those that are nearly the same counted once. ef: nodes that a walk keeps unless a search says otherwise, as measured when
    the graph was built; 0 where nodes were too few to tell. As many as there are nodes: every row is scanned, which finds as much sooner.
    """

    nodes: int
    ef: int

    def line(self, name: str) -> str:
        """As stats show it."""
        walked = "" if not self.ef else ", scanned unless ef says otherwise" if self.ef >= self.nodes else f", ef {self.ef:,}"
        return f'    "{name}": graph of {self.nodes:,} nodes{walked}'


@dataclass(frozen=True, slots=True)
class SegmentStats:
    """One head or sealed segment. indexes: vectors that have an index. lists, graphs: of those that have such ones, by name."""

    rows: int
    live: int
    updated: int
    sealed: bool
    indexes: int
    memory_bytes: int
    lists: Mapping[str, ListStats]
    graphs: Mapping[str, GraphStats]


@dataclass(frozen=True, slots=True)
class CollectionStats:
    """A collection at one version.

    disk_bytes: by kind of file ("vectors", "graph", "fields", …, "log"); "bookkeeping" is the manifest and its pointer.
    held_bytes: files that are only kept for somebody: "history" (`retain=`), "held" (snapshots being taken), "readers" (other processes),
    "pending" (being written).
    memory_bytes: anonymous memory; mapped_bytes: page cache that the system may take back.
    unindexed_rows: rows that are scanned because no index covers them yet; waiting_heads: full heads that wait to be sealed.
    last_error: what background work failed with last, None if all is well.
    """

    name: str
    n_records: int
    version: int
    segments: tuple[SegmentStats, ...]
    disk_bytes: Mapping[str, int]
    held_bytes: Mapping[str, int]
    memory_bytes: int
    mapped_bytes: int
    unindexed_rows: int
    waiting_heads: int
    last_error: str | None

    @property
    def total_bytes(self) -> int:
        """Bytes on disk, what is held for somebody included."""
        return sum(self.disk_bytes.values()) + sum(self.held_bytes.values())

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {**asdict(self), "total_bytes": self.total_bytes}

    def __repr__(self) -> str:
        kinds = ", ".join(
            f"{kind} {show_bytes(size)}" for kind, size in sorted(self.disk_bytes.items(), key=lambda entry: -entry[1]) if size
        )
        lines = [
            f'collection "{self.name}": {self.n_records:,} records at version {self.version}',
            f"  disk {show_bytes(self.total_bytes)}{f' ({kinds})' if kinds else ''}",
            f"  memory {show_bytes(self.memory_bytes)}, mapped {show_bytes(self.mapped_bytes)}",
        ]
        lines += [f"  held by {holder}: {show_bytes(size)}" for holder, size in self.held_bytes.items()]
        for number, segment in enumerate(self.segments, start=1):
            kind = f"segment {number}" if segment.sealed else "head"
            dead = f", {segment.rows - segment.live:,} dead" if segment.rows > segment.live else ""
            index = "" if not segment.sealed else ", indexed" if segment.indexes else ", no index yet"
            lines.append(f"  {kind}: {segment.rows:,} rows{dead}{index}")
            lines += [index.line(vector) for vector, index in (*segment.lists.items(), *segment.graphs.items())]
        if self.waiting_heads:
            lines.append(f"  {self.waiting_heads} full heads wait to be sealed")
        if self.last_error:
            lines.append(f"  background work failed last with: {self.last_error}")
        return "\n".join(lines)


def _bytes_by_kind(shard: AnyShard) -> dict[str, int]:
    """Bytes of the base's files by their ending."""
    found: dict[str, int] = {}
    for name in shard.journal.manifest["files"]:
        kind = name.rpartition(".")[2]
        found[kind] = found.get(kind, 0) + size_if_present(shard.env.files, f"{shard.journal.path}/{name}")
    return found


def collection_stats(name: str, shard: AnyShard, maintenance: Maintenance | None) -> CollectionStats:
    snapshot = shard.snapshot()
    names = {entry.slot: vector for vector, entry in shard.settings.vectors.items()}
    segments = tuple(
        SegmentStats(
            rows=entry["rows"],
            live=entry["live"],
            updated=entry["updated"],
            sealed=entry["sealed"],
            indexes=sum(made is not None for made in entry["columns"].values()),
            memory_bytes=entry["memory_bytes"],
            lists={names[slot]: ListStats.of(found) for slot, found in entry["lists"].items() if slot in names},
            graphs={names[slot]: GraphStats(**found) for slot, found in entry["graphs"].items() if slot in names},
        )
        for entry in snapshot.entries
    )
    usage = dict(shard.journal.file_bytes())
    by_kind = _bytes_by_kind(shard)
    error = maintenance.last_error if maintenance is not None else None
    return CollectionStats(
        name=name,
        n_records=snapshot.n_records,
        version=snapshot.version,
        segments=segments,
        disk_bytes={**by_kind, "log": usage["log"], "bookkeeping": max(0, usage["base"] - sum(by_kind.values())) + usage["other"]},
        held_bytes={who: size for who, size in usage.items() if who not in ("base", "log", "other") and size},
        memory_bytes=shard.state.memory_bytes,
        mapped_bytes=sum(by_kind.values()),
        unindexed_rows=sum(segment.rows for segment in segments if not segment.indexes) if shard.settings.vectors else 0,
        waiting_heads=len(getattr(shard, "frozen", ())),
        last_error=None if error is None else str(error),
    )
