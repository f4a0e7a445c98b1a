"""Databases of every kind of index of vectors, to be damaged and used as untrusted_bytes.py says.

Small, so that one is opened, searched every way, checked and rewritten thousands of times; each kind with what its format has besides the
usual: copies, rows without a vector, codes of every width, blocks for search from disk, lists of every code, a calibration with kept
queries, and words and sparse vectors beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import vicino
from tests.property.untrusted_bytes import ROOT, Files, User, files_in
from vicino import IndexSpec, VectorSpec
from vicino.collection.limits import Limits
from vicino.collection.value_specs import SparseSpec, TextSpec
from vicino.env.recording import RecordingEnv
from vicino.text.analyzer import Analyzer

KINDS = ("graph", "vectors", "recall", "terms", "wal", "manifest")
"""Of files that are damaged here; the others are as in every database."""
DIM = 64
_ONE_SEGMENT = Limits(head_rows_max=4000, graph_rows_min=4, merge_fan_in=9, dead_share_max=0.9, updated_share_max=0.9)

GRAPHS = {
    "cosine": VectorSpec(DIM, "cosine", index="graph"),
    "dot": VectorSpec(DIM, "dot", "float16", IndexSpec("graph", codes="8bit")),
    "coded": VectorSpec(DIM, "l2", index="graph", keep_raw=False),
    "rows": VectorSpec(6, "l1", index=IndexSpec("graph", codes="none")),
    "bytes": VectorSpec(7, "l2", "int8", "graph"),
    "layers": VectorSpec(DIM, "l2", index="hnsw"),
    "disk": VectorSpec(DIM, "cosine", index=IndexSpec("graph", layout="disk")),
    "coded disk": VectorSpec(DIM, "l2", index=IndexSpec("auto", layout="disk"), keep_raw=False),
}
LISTS = {
    "flat": VectorSpec(6, "l2", index=IndexSpec("ivf_flat", nlist=9)),
    "coded": VectorSpec(DIM, "cosine", index=IndexSpec("ivf", nlist=9, copies=True)),
    "without rows": VectorSpec(DIM, "l2", index=IndexSpec("ivf", nlist=9), keep_raw=False),
    "pq": VectorSpec(6, "dot", index=IndexSpec("ivf_pq", nlist=9)),
    "opq": VectorSpec(6, "l2", "float16", index=IndexSpec("ivf_opq", nlist=9, subvectors=3, bits=8)),
    "hnsw": VectorSpec(6, "cosine", index=IndexSpec("ivf_hnsw", nlist=9)),
    "bytes": VectorSpec(6, "l2", "uint8", IndexSpec("ivf_flat", nlist=9)),
}
SCANS = {
    "one": VectorSpec(DIM, "l2", index=IndexSpec("flat", codes="1bit")),
    "four": VectorSpec(DIM, "dot", index=IndexSpec("flat", codes="4bit"), keep_raw=False),
    "eight": VectorSpec(70, "cosine", "float16", IndexSpec("flat", codes="8bit")),
}
PROMISED = VectorSpec(8, "l2", index="graph", recall=0.9)


def make_graphs() -> Files:
    return _made(GRAPHS, 90)


def make_lists() -> Files:
    return _made(LISTS, 130)


def make_scans() -> Files:
    """With words and a sparse vector beside them."""
    words = {"text": TextSpec(analyzer=Analyzer(language=None), positions=False)}
    return _made(SCANS, 150, {"bag": SparseSpec()}, text=words)


def make_promise() -> Files:
    """A promise of recall that has been measured, and queries that were kept."""

    def ask(kinds: Any) -> None:
        kinds.search_many(np.stack([_row(PROMISED, 5000 + i) for i in range(30)]), limit=3)

    return _made({"promised": PROMISED}, 500, first=ask, keep_queries=30)


def _made(
    specs: dict[str, VectorSpec],
    n: int,
    values: dict[str, SparseSpec] | None = None,
    first: Callable[[Any], object] = lambda kinds: None,
    **options: Any,
) -> Files:
    """A segment of `n` rows with every index, dead rows, and rows in the log."""
    env = RecordingEnv(1)
    with vicino.open(ROOT, _env=env, limits=_ONE_SEGMENT) as database:
        kinds = database.create_collection("kinds", vectors={**specs, **(values or {})}, **options)
        kinds.upsert([_record(specs, i, has_values=bool(values)) for i in range(n)])
        first(kinds)
        kinds.optimize()
        kinds.delete([3, 4])
        kinds.upsert([_record(specs, i, has_values=bool(values)) for i in range(n - 2, n + 40)])
    return files_in(env)


def _record(specs: dict[str, VectorSpec], i: int, *, has_values: bool = False) -> dict[str, Any]:
    """Every eighth row is a copy of the one before, every thirteenth lacks one of the vectors."""
    present = [name for number, name in enumerate(specs) if (i + number) % 13]
    record = {"id": i, "n": i % 5, **{name: _row(specs[name], i - (i % 8 == 7)) for name in present}}
    return {**record, "text": f"common group{i % 9}", "bag": {0: 1.0 + i % 4, i % 13 + 1: 0.5}} if has_values else record


def _row(spec: VectorSpec, i: int) -> np.ndarray[Any, Any]:
    chance = np.random.default_rng(i)
    if spec.dtype in ("int8", "uint8"):
        return chance.integers(0, 9, spec.dim).astype(spec.numpy_dtype)
    return chance.standard_normal(spec.dim).astype(spec.numpy_dtype)


_WAYS: tuple[dict[str, Any], ...] = (
    {"limit": 200, "vectors": True},
    {"where": {"n": 1}},
    {"where": {"n": {"$gte": 1}}, "limit": 20},
    {"exact": True, "where": {"n": {"$gte": 1}}},
    {"rescore": "off"},
    {"rescore": 3.0, "limit": 20},
    {"nprobe": 50},
    {"ef": 300, "limit": 3},
)
"""Of searching; those that do not go with an index are refused."""


class IndexUser(User):
    """Searches every vector in several ways, and has the indexes reused, changed and built anew."""

    def read_collection(self, database: vicino.Database, name: str) -> None:
        collection = database.collection(name)
        for vector, spec in collection.settings.specs.items():
            query = _row(spec, self.chance.randrange(50)).astype(np.float32 if spec.dtype == "float16" else spec.numpy_dtype)
            for way in self.chance.sample(_WAYS, 4):
                self.attempt(partial(self._search, collection, query, vector, way))
            self.attempt(partial(collection.search_many, np.stack([query] * 9), vector=vector))
            self.attempt(partial(collection.why, query, self.chance.randrange(60), vector=vector))
            self.attempt(partial(collection.verify, n=5, k=3, vector=vector, seed=1))
        if collection.settings.texts:
            self.attempt(partial(collection.search, vicino.Text("common group3")))
            self.attempt(partial(collection.search, vicino.Sparse({0: 1.0, 3: 0.5})))
        self.attempt(collection.stats)

    @staticmethod
    def _search(collection: Any, query: Any, vector: str, way: dict[str, Any]) -> None:
        hits = collection.search(query, vector=vector, **way)
        assert len({hit.id for hit in hits}) == len(hits), "a record was found twice"

    def write_collection(self, database: vicino.Database, name: str) -> None:
        collection = database.collection(name)
        specs = collection.settings.specs
        vector = self.chance.choice(sorted(specs) or ["vector"])  # damage may leave none declared
        index: Any = self.chance.choice(["graph", "flat", IndexSpec("ivf_flat", nlist=5)])
        attempts: list[Callable[[], object]] = [
            lambda: collection.upsert([_record(dict(specs), i) for i in (5, 6, 500, 501)]),
            lambda: collection.delete([0, 43]),
            collection.optimize,
            lambda: collection.set_index(index, vector=vector).wait(),
        ]
        for attempt in self.chance.sample(attempts, self.chance.randint(1, len(attempts))):
            self.attempt(attempt)


DATABASES: dict[str, Callable[[], Files]] = {"graphs": make_graphs, "lists": make_lists, "scans": make_scans, "promise": make_promise}
