"""Plain values that the whole package shares: no logic beyond validation of themselves, no imports from vicino."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

RecordId = int | str | uuid.UUID
"""Id of a record: any integer, string or UUID, returned exactly as given. `1`, `"1"` and a UUID are three different ids."""

Metric = Literal["cosine", "dot", "l2", "l1", "hamming", "jaccard"]
Dtype = Literal["float32", "float16", "int8", "uint8", "binary"]
SyncLevel = Literal["commit", "interval", "off"]
Codes = Literal["auto", "1bit", "4bit", "8bit", "pq", "none"]
IndexKind = Literal["auto", "flat", "graph", "hnsw", "ivf_flat", "ivf", "ivf_pq", "ivf_opq", "ivf_hnsw"]
GraphLayout = Literal["memory", "disk"]

DEFAULT_VECTOR = "vector"
"""Name of the one vector of a collection that was created with `dim=` or `model=`."""


class GeoPoint(NamedTuple):
    """A place on the globe, in degrees: latitude in [-90, 90], longitude in [-180, 180]."""

    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class VectorColumn:
    """The vectors of one name for a run of records: one row each, in the declared dtype, C-contiguous.

    rows: (n, dim); for binary (n, ceil(dim / 8)) uint8, eight bits a byte, the first bit highest, padding bits zero.
    present: (n,) bool, False where a record has no vector of this name (its row is zeros); None if all have one.
    """

    rows: npt.NDArray[Any]
    present: npt.NDArray[np.bool_] | None = None

    def __getitem__(self, row: int) -> npt.NDArray[Any] | None:
        """The vector of one record, or None if it has none."""
        return self.rows[row] if self.present is None or self.present[row] else None
