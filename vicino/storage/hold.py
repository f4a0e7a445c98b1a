"""A hold on one state of a journal: while it lasts, the files of that state stay, whatever is installed after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from vicino import _core
from vicino.storage.manifest import Manifest


class Hold:
    """Keeps the files of one manifest from being removed until it is released."""

    def __init__(self, manifest: str, let_go: Callable[[str], None]) -> None:
        self.manifest = manifest
        self._let_go: Callable[[str], None] | None = let_go

    def release(self) -> None:
        if self._let_go is not None:
            let_go, self._let_go = self._let_go, None
            let_go(self.manifest)


class HeldState(NamedTuple):
    """One moment of a journal: its manifest, whose files are held, and the bytes of the logs on top of it."""

    hold: Hold
    manifest: Manifest
    logs: list[tuple[int, _core.Blob]]
