"""What a grouped search gives back: `Groups`, best group first, each with its best hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from vicino.query.hit import RecordView
from vicino.query.results import Results

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Group(Generic[T]):
    """The best hits that share a value. lookup: the record of another collection whose id is that value, if it was asked for."""

    key: Any
    hits: Results[T]
    lookup: RecordView[Any] | None = None


class Groups(Sequence[Group[T]], Generic[T]):
    """Groups in the order of their best hits. `.plan`, `.version` and `.took_s` as in `Results`."""

    def __init__(self, groups: Sequence[Group[T]], *, field: str, version: int, took_s: float, plan: Any) -> None:
        self._groups = list(groups)
        self.field, self.version, self.took_s, self.plan = field, version, took_s, plan

    @property
    def keys(self) -> list[Any]:
        """The value of each group."""
        return [group.key for group in self._groups]

    def __len__(self) -> int:
        return len(self._groups)

    @overload
    def __getitem__(self, index: int) -> Group[T]: ...
    @overload
    def __getitem__(self, index: slice) -> list[Group[T]]: ...
    def __getitem__(self, index: int | slice) -> Group[T] | list[Group[T]]:
        return self._groups[index]

    def __repr__(self) -> str:
        lines = [f'{len(self)} groups by "{self.field}" in {self.took_s * 1e3:.2f} ms, version {self.version}']
        lines += [f"  {group.key!r}: {', '.join(f'{hit.id!r} ({hit.score:.4f})' for hit in group.hits)}" for group in self._groups]
        return "\n".join(lines)
