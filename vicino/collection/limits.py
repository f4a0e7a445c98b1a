"""When a head is sealed, segments are merged, a graph pays: the engine's own thresholds, with the reason of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Thresholds of one shard.

    head_rows_max, head_bytes_max: a head this large is frozen; unsealed rows are scanned, most by codes, so it bounds what a query scans.
    backlog_max: frozen heads that may wait for sealing before writes wait for them; memory is bounded by backlog_max + 1 heads.
    close_log_bytes_max: a log larger than this is sealed away when the database is closed, so that opening replays little.
    graph_rows_min: below it a scan is as fast as a walk.
    merge_fan_in: segments of one size class that are merged into one; every row is rewritten about log4(n / head_rows_max) + 1 times.
    indexed_per_s: rows that a core indexes in a second, about. The segments of a faster writer soon merge, so their indexes can wait.
    segment_rows_max: larger segments are left alone by merges, which bounds the memory and the length of one build.
    dead_share_max: a segment with more dead rows is rewritten, so deleted data leaves the disk.
    updated_share_max: a segment with more updated documents gets a new fields file, so the overlay stays small.
    """

    head_rows_max: int = 32_768
    head_bytes_max: int = 64 << 20
    backlog_max: int = 3
    close_log_bytes_max: int = 1 << 20
    graph_rows_min: int = 4_096
    merge_fan_in: int = 4
    indexed_per_s: int = 12_000
    segment_rows_max: int = 4 << 20
    dead_share_max: float = 0.2
    updated_share_max: float = 0.125
