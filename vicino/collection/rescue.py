"""Rescue mode: reading what damage has left. Segments that cannot be opened are left out, the log is read up to where it is damaged.

What is read is then a subset of what was written, and says so; nothing is changed on disk.
"""

from __future__ import annotations

from vicino import _core
from vicino.collection.manifest import Manifest
from vicino.collection.read_shard import ReadShard
from vicino.collection.replaying import Replay
from vicino.env import Env
from vicino.errors import Error, MemoryLimitError
from vicino.segment.files import open_segment
from vicino.segment.memory import MemoryBudget
from vicino.storage.journal import Journal
from vicino.storage.salvage import open_damaged


class RescueShard(ReadShard):
    """A shard opened in spite of damage. `losses` names what could not be read."""

    def __init__(self, env: Env, journal: Journal, *, budget: MemoryBudget, name: str, losses: list[str]) -> None:
        self.losses = losses
        super().__init__(env, journal, budget=budget, name=name)

    def _load(self) -> None:
        self.manifest = Manifest.from_json(self.journal.manifest)
        self.settings = self.manifest.settings
        self.state = _core.ShardState(self.manifest.version, True)
        for files in self.manifest.segments:
            try:
                segment, tombstones, patch = open_segment(self.journal, files)
                self.state.add_segment(segment, tombstones, patch)
            except Error as error:
                self.losses.append(f"segment with {files.rows} rows: {error}")
        replay = Replay(self.state, self.budget, self.name)
        for number, blob in self.journal.log_blobs():
            try:
                replay.log(number, blob)
            except MemoryLimitError:  # nothing is damaged: with more memory it is all there
                raise
            except Error as error:
                self.state.publish()
                self.losses.append(f"log from version {self.state.version + 1} on: {error}")
                break
        self.settings = replay.settings or self.settings

    def refresh(self) -> None:
        """A damaged folder is read once, as it was when it was opened."""


def rescue_shard(env: Env, folder: str, *, budget: MemoryBudget, name: str) -> RescueShard:
    """Opens what can be read of a collection's folder."""
    losses: list[str] = []
    return RescueShard(env, open_damaged(env, folder, losses), budget=budget, name=name, losses=losses)
