"""lancedb: columnar files, one graph over scalar-quantized vectors, fields indexed as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa

from benchmarks.ann.filters import Condition, Fields
from benchmarks.ann.peer import GRAPH_BEAM_BUILD, Database, batches
from benchmarks.ann.synthetic import Rows


class Lance(Database):
    distribution = "lancedb"
    is_graph = True

    def create(self, path: str) -> None:
        self._path, self._distance = path, "l2" if self.metric == "l2" else "dot"
        columns = [("id", pa.int64()), ("uniform", pa.int32()), ("cluster", pa.int32()), ("vector", pa.list_(pa.float32(), self.dim))]
        self._table = lancedb.connect(path).create_table("rows", schema=pa.schema(columns))

    def ingest(self, rows: Rows, fields: Fields) -> None:
        for part in batches(len(rows), 10_000):
            mine = slice(part.start, part.stop)
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(rows[mine].ravel()), self.dim)
            values = {"id": np.arange(part.start, part.stop), "uniform": fields.uniform[mine], "cluster": fields.cluster[mine]}
            self._table.add(pa.table(values | {"vector": vectors}))

    def index(self) -> None:
        self._table.create_index(
            metric=self._distance, vector_column_name="vector", index_type="IVF_HNSW_SQ", m=20, ef_construction=GRAPH_BEAM_BUILD,
            num_partitions=1,
        )  # fmt: skip
        for name in ("uniform", "cluster"):
            self._table.create_scalar_index(name)
        self._table.optimize()

    def reopen(self) -> None:
        self._table = lancedb.connect(self._path).open_table("rows")

    def settings(self) -> Sequence[Any]:
        return [(beam, factor) for beam in (16, 32, 64, 128, 256, 512) for factor in (1, 2, 4) if beam >= 10 * factor]  # what it asks for

    def use(self, setting: Any) -> None:
        self._beam, self._factor = setting if isinstance(setting, (tuple, list)) else (setting, 1)

    def search(self, query: Rows, k: int, condition: str | None = None) -> Any:
        asked = self._table.search(query, vector_column_name="vector").distance_type(self._distance).limit(k)
        # Refined by the vectors themselves: codes alone end at a recall of about 0.94.
        asked = asked.select(["id", "uniform", "cluster", "_distance"]).ef(self._beam).nprobes(1).refine_factor(self._factor)
        if condition:
            asked = asked.where(condition, prefilter=True)
        return asked.to_arrow()["id"].to_pylist()

    def search_filtered(self, query: Rows, k: int, condition: Condition) -> Any:
        return self.search(query, k, f"{condition.field} {'<' if condition.field == 'uniform' else '='} {condition.value}")
