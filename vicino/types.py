"""Plain values that the whole package shares: no logic beyond validation of themselves, no imports from vicino."""

from __future__ import annotations

import uuid
from typing import Literal, NamedTuple

RecordId = int | str | uuid.UUID
"""Id of a record: any integer, string or UUID, returned exactly as given. `1`, `"1"` and a UUID are three different ids."""

Metric = Literal["cosine", "dot", "l2", "l1", "hamming", "jaccard"]
Dtype = Literal["float32", "float16", "int8", "uint8", "binary"]
SyncLevel = Literal["commit", "interval", "off"]
IndexKind = Literal["auto", "flat", "graph"]

DEFAULT_VECTOR = "vector"
"""Name of the one vector of a collection that was created with `dim=` or `model=`."""


class GeoPoint(NamedTuple):
    """A place on the globe, in degrees: latitude in [-90, 90], longitude in [-180, 180]."""

    lat: float
    lon: float
