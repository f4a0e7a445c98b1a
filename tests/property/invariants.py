"""What must hold for every database at every moment, and how a database is read into an oracle's state to compare the two.

Used by the state machine, the crash images, the killed processes and the soak: whatever was done to a database, these hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import vicino
from tests.property.lexical import expect_values_agree
from tests.property.oracle import CollectionState, DatabaseState, Key, Stored, key_of, sparse_bytes
from vicino import Collection, Database, VectorSpec
from vicino.env import Env
from vicino.errors import InternalError


def read_database(database: Database, *, retain: int = 0, snapshots: Mapping[str, Any] | None = None) -> DatabaseState:
    """Everything a user can see of a database. retain: how many past versions are read with `at`. snapshots: None if nobody looked."""
    collections = {name: read_collection(database.collection(name), retain=retain) for name in database.names()}
    return DatabaseState(collections, database.aliases(), snapshots)


def read_collection(collection: Collection[Any], *, retain: int = 0) -> CollectionState:
    settings = collection.settings
    version = collection.version
    past = {}
    for older in range(max(0, version - retain), version):
        view = collection.at(older)
        assert view.version == older, (view.version, older)
        past[older] = (frozenset(view.settings.vector_names), read_records(view))
    specs = settings.specs | {name: entry.spec for name, entry in settings.values.items()}
    texts = {name: entry.spec.fields for name, entry in settings.texts.items()}
    return CollectionState(specs, settings.indexes, settings.ttl, version, read_records(collection), retain, past, texts)


def read_records(collection: Collection[Any]) -> dict[Key, Stored]:
    """All records by id. An id that comes twice is an error."""
    found: dict[Key, Stored] = {}
    for view in collection.iter(vectors=True):
        key = key_of(view.id)
        if key in found:
            raise InternalError(f"record {view.id!r} was read twice")
        vectors = {name: _bytes_of(row) for name, row in view.vectors.items()}
        found[key] = Stored(view.id, vectors, view.fields, view.version)
    return found


def _bytes_of(row: Any) -> bytes:
    return sparse_bytes(row.to_dict()) if isinstance(row, vicino.SparseVector) else np.ascontiguousarray(row).tobytes()


def read_snapshots(env: Env, folder: str) -> dict[str, DatabaseState]:
    """The finished snapshots in a folder; unfinished ones carry a temporary name.

    A snapshot that was seen and never acknowledged may still be taken back by a power failure, so its name is made durable first.
    """
    if not env.files.is_dir(folder):
        return {}
    env.files.sync_dir(folder)
    found = {}
    for name in env.files.list(folder):
        if not name.endswith(".partial"):
            path = f"{folder}/{name}"
            with vicino.open(path, mode="r", _env=env) as copy:
                check_sound(copy)
                found[path] = read_database(copy)
    return found


def check_sound(database: Database) -> None:
    """Every checksum and invariant that `check` knows holds, and the numbers agree with each other."""
    report = database.check()
    if not report.is_sound:
        raise AssertionError(f"check() found {report!r}")
    for name in database.names():
        check_consistent(database.collection(name))


def check_consistent(collection: Collection[Any]) -> None:
    """Every way of looking at a collection gives the same records: count, get, `in`, and an exact search for everything, by vectors of
    every kind and by words."""
    views = list(collection.iter())
    assert collection.count() == len(views) == len(collection), (collection.count(), len(views))
    ids = [view.id for view in views]
    assert [None if view is None else view.id for view in collection.get(ids)] == ids
    for name, spec in collection.settings.specs.items():
        having = {key_of(view.id) for view in collection.iter(vectors=name) if name in view.vectors}
        if having:
            for exact in (True, False):
                hits = collection.search(some_query(spec), vector=name, limit=len(having) + 5, exact=exact)
                assert {key_of(hit.id) for hit in hits} == having, (name, exact, len(hits), len(having))
                check_order(hits)
    expect_values_agree(collection)


def check_order(hits: Any) -> None:
    distances = [hit.distance for hit in hits]
    assert distances == sorted(distances), distances
    assert len({key_of(hit.id) for hit in hits}) == len(hits), hits.ids


def check_search(collection: Collection[Any], state: CollectionState, name: str, query: np.ndarray[Any, Any], limit: int) -> None:
    """An exact search agrees with one in double precision over the oracle's records."""
    spec = state.vectors[name]
    wanted = sorted(
        distance(spec, query, np.frombuffer(record.vectors[name], spec.numpy_dtype))
        for record in state.records.values()
        if name in record.vectors
    )[:limit]
    hits = collection.search(query, vector=name, limit=limit, exact=True, vectors=True)
    np.testing.assert_allclose([hit.distance for hit in hits], wanted, rtol=2e-4, atol=2e-4)
    for hit in hits:
        stored = state.records[key_of(hit.id)]
        assert np.ascontiguousarray(hit.vectors[name]).tobytes() == stored.vectors[name]
        np.testing.assert_allclose(
            hit.distance, distance(spec, query, np.frombuffer(stored.vectors[name], spec.numpy_dtype)), rtol=2e-4, atol=2e-4
        )


def some_query(spec: VectorSpec) -> np.ndarray[Any, Any]:
    """Any valid query for a vector; it lies off the axes so that distances differ."""
    if spec.dtype == "binary":
        return np.packbits(np.arange(spec.dim) % 3 == 0)
    return (np.arange(spec.dim) % 5 + 1).astype(np.float32 if spec.dtype == "float16" else spec.numpy_dtype)


def distance(spec: VectorSpec, query: np.ndarray[Any, Any], row: np.ndarray[Any, Any]) -> float:
    """The metric's definition, in double precision. Distances of dot products are negative products."""
    if spec.dtype == "binary":
        mine, theirs = (np.unpackbits(np.asarray(bits, np.uint8))[: spec.dim].astype(bool) for bits in (query, row))
        if spec.metric == "hamming":
            return float(np.sum(mine != theirs))
        union = np.sum(mine | theirs)
        return 1.0 - float(np.sum(mine & theirs)) / float(union) if union else 0.0
    x, y = np.asarray(query, np.float64), np.asarray(row, np.float64)
    match spec.metric:
        case "l2":
            return float(np.sqrt(np.sum((x - y) ** 2)))
        case "l1":
            return float(np.sum(np.abs(x - y)))
        case "dot":
            return float(-np.dot(x, y))
    norms = np.linalg.norm(x) * np.linalg.norm(y)
    return float(1.0 - np.dot(x, y) / norms) if norms else 1.0
