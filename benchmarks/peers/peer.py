"""What one database must do to be measured. Runs inside the database's own environment: only numpy and the database may be imported."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float32]

GRAPH_LINKS = 16
GRAPH_BEAM_BUILD = 200
"""Every peer's graph is built with these; searches use each peer's own default."""


class Peer(Protocol):
    """One collection of a database in a folder: integer ids 0 to n - 1, one cosine vector each."""

    acknowledged: str
    """What a returned write means, in the words of the database's documentation or as observed; the fsyncs counted stand beside it."""

    def version(self) -> str: ...

    def create(self, path: str, dim: int, threads: int) -> None:
        """A new collection in a folder that does not exist."""

    def write(self, first: int, rows: Rows) -> None:
        """Writes rows with ids from `first` on; returns when the database acknowledges them."""

    def flush(self) -> None:
        """Whatever else the database offers to make acknowledged writes last; nothing where a write says so already."""

    def index(self) -> None:
        """Returns when every row is in the index that searches use."""

    def open(self, path: str, threads: int) -> None:
        """Opens what `create` made, in a new process."""

    def search(self, query: Rows, k: int) -> list[int]:
        """Ids of the nearest rows by the database's default search."""

    def close(self) -> None: ...
