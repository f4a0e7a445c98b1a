"""turbovec: a scan of all codes, whose best are ranked again by the vectors themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from turbovec import TurboQuantIndex

from benchmarks.ann.filters import Condition, Fields
from benchmarks.ann.peer import Peer, steps
from benchmarks.ann.synthetic import Rows

CALIBRATED_ON = 1024


class Turbovec(Peer):
    """The package has no rescoring of its own; numpy does it here. The setting is how many candidates it gets."""

    distribution = "turbovec"
    metrics = ("cosine",)
    has_filter = True

    def __init__(self, metric: str, dim: int, threads: int, bits: int = 2) -> None:
        super().__init__(metric, dim, threads)
        self._bits = bits

    def build(self, rows: Rows) -> None:
        self._rows = rows
        self._index = TurboQuantIndex(dim=self.dim, bit_width=self._bits)
        # As its documentation asks: calibrated on a uniform sample before the first row comes.
        self._index.calibrate(rows[np.random.default_rng(0).permutation(len(rows))[:CALIBRATED_ON]])
        self._index.add(rows)
        self._index.prepare()

    def settings(self) -> Sequence[int]:
        return steps(10, min(2000, len(self._rows)), 1.15)

    def use(self, setting: int) -> None:
        self._candidates = setting

    def search(self, query: Rows, k: int) -> Any:
        return self._rescore(query, self._index.search(query[None], k=self._candidates)[1][0], k)

    def prepare(self, fields: Fields, conditions: Sequence[Condition]) -> None:
        self._masks = {condition: fields.mask(condition) for condition in conditions}

    def search_filtered(self, query: Rows, k: int, condition: Condition) -> Any:
        found = self._index.search(query[None], k=self._candidates, mask=self._masks[condition])[1][0]
        return self._rescore(query, found, k)

    def _rescore(self, query: Rows, found: Any, k: int) -> Any:
        return found if len(found) <= k else found[np.argpartition(-(self._rows[found] @ query), k - 1)[:k]]

    def size_bytes(self) -> dict[str, int]:
        codes = len(self._rows) * (self.dim * self._bits // 8 + 4)
        return {"hot": codes, "total": codes + self._rows.nbytes}
