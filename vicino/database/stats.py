"""What a database says of itself: its collections and their sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vicino.collection.stats import CollectionStats
from vicino.collection.vector_spec import VectorSpec
from vicino.segment.memory import show_bytes


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """One line of `Database.collections()`."""

    name: str
    n_records: int
    version: int
    vectors: Mapping[str, VectorSpec]
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatabaseStats:
    """All collections, and the memory of the whole database. memory_limit: None without one."""

    path: str
    collections: tuple[CollectionStats, ...]
    memory_bytes: int
    memory_limit: int | None

    @property
    def total_bytes(self) -> int:
        return sum(stats.total_bytes for stats in self.collections)

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "path": self.path,
            "collections": [stats.to_dict() for stats in self.collections],
            "memory_bytes": self.memory_bytes,
            "memory_limit": self.memory_limit,
            "total_bytes": self.total_bytes,
        }

    def __repr__(self) -> str:
        limit = f" of {show_bytes(self.memory_limit)} allowed" if self.memory_limit else ""
        head = f"database {self.path}: disk {show_bytes(self.total_bytes)}, memory {show_bytes(self.memory_bytes)}{limit}"
        return "\n".join([head, *map(repr, self.collections)])
