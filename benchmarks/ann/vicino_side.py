"""vicino's side: the bare index over one segment's vectors, the exact scan, and the database through its public face."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import vicino
from benchmarks.ann.filters import Condition, Fields
from benchmarks.ann.peer import GRAPH_BEAM_BUILD, GRAPH_LINKS, Database, Peer, batches, steps
from benchmarks.ann.synthetic import Rows
from benchmarks.report import checksum
from vicino import _core

PARTS_PER_THREAD = 8


class _Own(Peer):
    has_batch = has_filter = True
    _rows: Rows
    _masks: dict[Condition, Any]
    _pool: ThreadPoolExecutor | None = None

    def version(self) -> str:
        return vicino.__version__

    def builder(self) -> str:
        return f"{vicino.__version__}-{checksum(Path(_core.__file__).read_bytes())}"

    @property
    def _metric(self) -> str:
        return "l2" if self.metric == "l2" else "cosine"

    def search(self, query: Rows, k: int) -> Any:
        return self.search_batch(query[None], k, 1)[0]

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def _share(self, queries: Rows, threads: int, search: Callable[[Rows], Rows]) -> Rows:
        """A batch in parts that threads take in turn, as a collection shares one; a bare index has one thread a call."""
        if threads == 1:
            return search(queries)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(threads)
        return np.concatenate(list(self._pool.map(search, np.array_split(queries, PARTS_PER_THREAD * threads))))

    def prepare(self, fields: Fields, conditions: Sequence[Condition]) -> None:
        self._masks = {condition: fields.mask(condition) for condition in conditions}


class GraphIndex(_Own):
    """The graph as a segment holds it; its search with a filter is a walk that passes over forbidden rows."""

    is_graph = can_keep = True

    def build(self, rows: Rows) -> None:
        self._open(self._built(rows), rows)

    def _built(self, rows: Rows) -> bytes:
        return _core.build_graph(rows, self._metric, threads=self.threads)

    def _searchable(self) -> _core.SearchableGraph | _core.SearchableHnsw:
        return _core.SearchableGraph(self._bytes, self._rows, self._metric)

    def _open(self, built: bytes, rows: Rows) -> None:
        self._rows, self._bytes = rows, built
        self._graph = self._searchable()

    def save(self, path: str) -> None:
        Path(path).write_bytes(self._bytes)

    def restore(self, path: str, rows: Rows) -> None:
        self._open(Path(path).read_bytes(), rows)

    def use(self, setting: int) -> None:
        self._beam = setting

    def _search(self, queries: Rows, k: int, allowed: Any = None) -> tuple[Any, ...]:
        return self._graph.search(queries, k, self._beam, allowed)

    def search(self, query: Rows, k: int) -> Any:
        return self._graph.search(query[None], k, self._beam)[0][0]

    def search_batch(self, queries: Rows, k: int, threads: int) -> Any:
        return self._share(queries, threads, lambda part: self._search(part, k)[0])

    def search_filtered(self, query: Rows, k: int, condition: Condition) -> Any:
        return self._search(query[None], k, self._masks[condition])[0][0]

    def rows_scored(self, queries: Rows, k: int) -> float:
        return self._search(queries, k)[2] / len(queries)

    def size_bytes(self) -> dict[str, int]:
        return {"hot": self._graph.hot_bytes, "total": len(self._bytes) + self._rows.nbytes, "rescored": self._rows.nbytes}


class HnswIndex(GraphIndex):
    """Classic HNSW by the peers' own parameters, searched by the same walk over codes as the default graph."""

    def __init__(self, metric: str, dim: int, threads: int, m: int = GRAPH_LINKS, ef_construct: int = GRAPH_BEAM_BUILD) -> None:
        super().__init__(metric, dim, threads)
        self._m, self._ef_construct = m, ef_construct

    def _built(self, rows: Rows) -> bytes:
        return _core.build_hnsw(rows, self._metric, m=self._m, ef_construct=self._ef_construct, threads=self.threads)

    def _searchable(self) -> _core.SearchableHnsw:
        return _core.SearchableHnsw(self._bytes, self._rows, self._metric)


class IvfIndex(_Own):
    """Inverted lists over one segment's vectors, in whose order rows lie; a setting is how many are probed. Rows are scored as far as
    codes err."""

    def __init__(self, metric: str, dim: int, threads: int, kind: str = "flat", **options: Any) -> None:
        super().__init__(metric, dim, threads)
        self._kind, self._options = kind, options

    def build(self, rows: Rows) -> None:
        built, order = _core.build_ivf_in_order(rows, self._metric, self._kind, threads=self.threads, **self._options)
        self._order = order[:, 0]
        self._rows = rows[self._order]
        self._size = len(built)
        self._index = _core.IvfIndex(built, self._rows, self._metric)

    def settings(self) -> Sequence[int]:
        return steps(1, self._index.nlist, 1.2)

    def _ids(self, rows: Any) -> Any:
        """Numbers of vectors as they were given; where fewer were found than asked for, rows are -1 and stay so."""
        return np.where(rows < 0, -1, self._order[rows])

    def use(self, setting: int) -> None:
        self._lists = setting

    def search_batch(self, queries: Rows, k: int, threads: int) -> Any:
        return self._ids(self._share(queries, threads, lambda part: self._index.search(part, k, self._lists)[0]))

    def search_filtered(self, query: Rows, k: int, condition: Condition) -> Any:
        return self._ids(self._index.search(query[None], k, self._lists, allowed=self._masks[condition][self._order])[0][0])

    def rows_scored(self, queries: Rows, k: int) -> float:
        return self._index.search(queries, k, self._lists)[2]["rows_scored"] / len(queries)

    def size_bytes(self) -> dict[str, int]:
        hot = self._index.hot_bytes + (self._rows.nbytes if self._kind == "flat" else 0)
        return {"hot": hot, "total": self._size + self._rows.nbytes, "rescored": self._rows.nbytes}


class FlatIndex(_Own):
    """The exact scan: what every index must beat."""

    def build(self, rows: Rows) -> None:
        self._rows = rows

    def settings(self) -> Sequence[None]:
        return [None]

    def use(self, setting: None) -> None:
        pass

    def search_batch(self, queries: Rows, k: int, threads: int) -> Any:
        return _core.exact_search(self._rows, queries, k, self._metric)[0]

    def search_filtered(self, query: Rows, k: int, condition: Condition) -> Any:
        return _core.exact_search(self._rows, query[None], k, self._metric, self._masks[condition])[0][0]

    def size_bytes(self) -> dict[str, int]:
        return {"hot": self._rows.nbytes, "total": self._rows.nbytes}


class VicinoDatabase(Database):
    """A collection on disk; the default search with its beam set, and fields read from every hit."""

    is_graph = has_batch = True
    _copies: dict[int, vicino.Database]

    def version(self) -> str:
        return vicino.__version__

    def create(self, path: str) -> None:
        self._path, self._copies = path, {}
        self._database = vicino.open(path, threads=self.threads)
        self._rows: Any = self._database.create_collection("rows", dim=self.dim, metric="l2" if self.metric == "l2" else "cosine")
        for name in ("uniform", "cluster"):
            self._rows.create_index(name)

    def ingest(self, rows: Rows, fields: Fields) -> None:
        for part in batches(len(rows), 1000):
            mine = slice(part.start, part.stop)
            pairs = zip(fields.uniform[mine].tolist(), fields.cluster[mine].tolist(), strict=True)
            values = [{"uniform": uniform, "cluster": cluster} for uniform, cluster in pairs]
            self._rows.upsert(ids=part, vectors=rows[mine], fields=values)

    def index(self) -> None:
        self._rows.optimize()

    def reopen(self) -> None:
        self._database.close()
        self._database = vicino.open(self._path, threads=self.threads)
        self._rows = self._database["rows"]

    def close(self) -> None:
        self._database.close()
        for copy in self._copies.values():
            copy.close()
        super().close()

    def use(self, setting: int) -> None:
        self._beam = setting

    def search(self, query: Rows, k: int, where: Any = None) -> Any:
        return [(hit.id, hit.fields)[0] for hit in self._rows.search(query, limit=k, ef=self._beam, where=where)]

    def search_batch(self, queries: Rows, k: int, threads: int) -> Any:
        rows = self._rows if threads == self.threads else self._with_threads(threads)
        return [found.ids for found in rows.search_many(queries, limit=k, ef=self._beam)]

    def _with_threads(self, threads: int) -> Any:
        """The same collection with another number of threads: a copy, since a database is open once in a process."""
        if threads not in self._copies:
            path = f"{self._path}-{threads}"
            self._database.close()
            shutil.copytree(self._path, path)
            self._copies[threads] = vicino.open(path, threads=threads)
            self.reopen()
        return self._copies[threads]["rows"]

    def search_filtered(self, query: Rows, k: int, condition: Condition) -> Any:
        field = vicino.F[condition.field]
        return self.search(query, k, field < condition.value if condition.field == "uniform" else field == condition.value)

    def rows_scored(self, queries: Rows, k: int) -> float:
        return float(np.mean([self._rows.search(query, limit=k, ef=self._beam).plan.rows_scored for query in queries]))
