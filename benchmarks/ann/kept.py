"""Built indexes kept in a folder, so that a later run loads in seconds what took an hour to build.

A file's name says of which rows, by which system under which options and by which version an index was built; any other is built anew.
The time a kept index took is not kept with it: it may have been built beside other work, and `build` is the table of such times.
"""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.ann import data, registry
from benchmarks.ann.data import Dataset
from benchmarks.ann.peer import GRAPH_BEAM_BUILD, GRAPH_LINKS, Peer
from benchmarks.report import checksum


class Kept:
    """The place of one system's index over one set. Without a folder, or by a system that cannot save, nothing is kept."""

    def __init__(self, peer: Peer, name: str, dataset: Dataset, folder: str | None) -> None:
        self._peer, self._dataset, self._path = peer, dataset, None
        if folder and peer.can_keep:
            options = sorted(registry.PEERS[name].options.items())
            made_by = checksum(peer.builder(), options, GRAPH_LINKS, GRAPH_BEAM_BUILD, data.sample(dataset))
            self._path = Path(folder) / f"{name}.{dataset.name}.{len(dataset.base)}.{made_by}.index"

    def load(self) -> bool:
        """Whether the peer has its index now."""
        if self._path is None or not self._path.exists():
            return False
        self._peer.restore(str(self._path), self._dataset.base)
        return True

    def save(self) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(f".{os.getpid()}.part")
        self._peer.save(str(unfinished))
        os.replace(unfinished, self._path)
