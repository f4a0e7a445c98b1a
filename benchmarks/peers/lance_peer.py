"""lancedb: columnar files, one graph over scalar-quantized vectors built afterwards."""

from __future__ import annotations

import lancedb
import numpy as np
import pyarrow as pa
from peer import GRAPH_BEAM_BUILD, Rows


class LancePeer:
    acknowledged = "a new version of the table: data file and manifest written"

    def version(self) -> str:
        return lancedb.__version__

    def create(self, path: str, dim: int, threads: int) -> None:
        schema = pa.schema([("id", pa.int64()), ("vector", pa.list_(pa.float32(), dim))])
        self._table = lancedb.connect(path).create_table("rows", schema=schema)

    def write(self, first: int, rows: Rows) -> None:
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
        self._table.add(pa.table({"id": np.arange(first, first + len(rows)), "vector": vectors}))

    def flush(self) -> None:
        pass

    def index(self) -> None:
        self._table.create_index(
            metric="cosine", vector_column_name="vector", index_type="IVF_HNSW_SQ", m=20, ef_construction=GRAPH_BEAM_BUILD, num_partitions=1
        )
        self._table.optimize()

    def open(self, path: str, threads: int) -> None:
        self._table = lancedb.connect(path).open_table("rows")

    def search(self, query: Rows, k: int) -> list[int]:
        return self._table.search(query).distance_type("cosine").limit(k).select(["id"]).to_arrow()["id"].to_pylist()

    def close(self) -> None:
        pass
