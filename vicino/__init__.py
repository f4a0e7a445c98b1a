"""vicino: documents and vectors in, answers by meaning out. An embedded vector database.

    import vicino
    db = vicino.open("data")
    docs = db.create_collection("docs", dim=3)
    docs.upsert([{"id": "a", "vector": [1, 0, 0], "year": 2024}])
    docs.search([1, 0, 0], where=vicino.F.year >= 2020)
"""

from typing import TYPE_CHECKING

from vicino import _core as _core  # a machine that cannot run the core learns it from the import, not from its first write
from vicino.errors import Error
from vicino.types import GeoPoint

if TYPE_CHECKING:
    from vicino import models as models
    from vicino.collection.check import CheckReport
    from vicino.collection.collection import Collection
    from vicino.collection.jobs import Job
    from vicino.collection.record import Record
    from vicino.collection.schema import Schema, VectorSpec
    from vicino.collection.stats import CollectionStats
    from vicino.database import CollectionInfo, Database, DatabaseStats, open, restore
    from vicino.filter.expression import F, all_of, any_of, at_least, has_id, has_vector, in_slice
    from vicino.query.hit import Hit, RecordView
    from vicino.query.plan import Plan
    from vicino.query.results import Results, WriteResult
    from vicino.storage.backup import Snapshot

__version__ = "0.1.0"

__all__ = [
    "CheckReport",
    "Collection",
    "CollectionInfo",
    "CollectionStats",
    "Database",
    "DatabaseStats",
    "Error",
    "F",
    "GeoPoint",
    "Hit",
    "Job",
    "Plan",
    "Record",
    "RecordView",
    "Results",
    "Schema",
    "Snapshot",
    "VectorSpec",
    "WriteResult",
    "all_of",
    "any_of",
    "at_least",
    "has_id",
    "has_vector",
    "in_slice",
    "open",
    "restore",
]

# Most of the package is not needed by a program that imports vicino to annotate a function or to catch an error: each name is imported when
# it is first used, so that `import vicino` costs little over numpy (benchmarks/import_time.py).
_HOMES = {
    "CheckReport": "vicino.collection.check",
    "Collection": "vicino.collection.collection",
    "CollectionInfo": "vicino.database",
    "CollectionStats": "vicino.collection.stats",
    "Database": "vicino.database",
    "DatabaseStats": "vicino.database",
    "F": "vicino.filter.expression",
    "Hit": "vicino.query.hit",
    "Job": "vicino.collection.jobs",
    "Plan": "vicino.query.plan",
    "Record": "vicino.collection.record",
    "RecordView": "vicino.query.hit",
    "Results": "vicino.query.results",
    "Schema": "vicino.collection.schema",
    "Snapshot": "vicino.storage.backup",
    "VectorSpec": "vicino.collection.schema",
    "WriteResult": "vicino.query.results",
    "all_of": "vicino.filter.expression",
    "any_of": "vicino.filter.expression",
    "at_least": "vicino.filter.expression",
    "has_id": "vicino.filter.expression",
    "has_vector": "vicino.filter.expression",
    "in_slice": "vicino.filter.expression",
    "open": "vicino.database",
    "restore": "vicino.database",
}

_MODULES = frozenset({"models"})

if not TYPE_CHECKING:  # a checker would otherwise take any name for an attribute

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
