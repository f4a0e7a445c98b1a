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
    from vicino import aio as aio
    from vicino import evaluate as evaluate
    from vicino import models as models
    from vicino.collection.check import CheckReport
    from vicino.collection.collection import Collection
    from vicino.collection.index_spec import IndexSpec
    from vicino.collection.jobs import Job
    from vicino.collection.record import Record
    from vicino.collection.schema import Schema
    from vicino.collection.stats import CollectionStats
    from vicino.collection.value_specs import MultiSpec, SparseSpec, TextSpec
    from vicino.collection.vector_spec import VectorSpec
    from vicino.collection.verifying import Verification
    from vicino.database import CollectionInfo, Database, DatabaseStats, open, restore
    from vicino.filter.conditions import all_of, any_of, at_least, has_id, has_vector, in_slice
    from vicino.filter.expression import F
    from vicino.query.aggregate import Aggregate, DistanceMatrix
    from vicino.query.decay import Decay
    from vicino.query.examples import Context, Discover, Feedback, Like
    from vicino.query.formula import Expression, GeoDistance, If, Instant, Score, Value
    from vicino.query.groups import Group, Groups
    from vicino.query.hit import Hit, RecordView
    from vicino.query.part import Part
    from vicino.query.parts import (
        Bool,
        Boost,
        Dense,
        Diverse,
        Formula,
        Fuse,
        MultiVector,
        OrderBy,
        Prefetch,
        Rerank,
        Rescore,
        Sample,
        Sparse,
        Text,
    )
    from vicino.query.plan import Plan, Stage
    from vicino.query.results import Results, WriteResult
    from vicino.query.sparse_vector import SparseVector
    from vicino.query.why import Why
    from vicino.storage.backup import Snapshot
    from vicino.text.analyzer import Analyzer

__version__ = "0.1.0"

__all__ = [
    "Aggregate",
    "Analyzer",
    "Bool",
    "Boost",
    "CheckReport",
    "Collection",
    "CollectionInfo",
    "CollectionStats",
    "Context",
    "Database",
    "DatabaseStats",
    "Decay",
    "Dense",
    "Discover",
    "DistanceMatrix",
    "Diverse",
    "Error",
    "Expression",
    "F",
    "Feedback",
    "Formula",
    "Fuse",
    "GeoDistance",
    "GeoPoint",
    "Group",
    "Groups",
    "Hit",
    "If",
    "IndexSpec",
    "Instant",
    "Job",
    "Like",
    "MultiSpec",
    "MultiVector",
    "OrderBy",
    "Part",
    "Plan",
    "Prefetch",
    "Record",
    "RecordView",
    "Rerank",
    "Rescore",
    "Results",
    "Sample",
    "Schema",
    "Score",
    "Snapshot",
    "Sparse",
    "SparseSpec",
    "SparseVector",
    "Stage",
    "Text",
    "TextSpec",
    "Value",
    "VectorSpec",
    "Verification",
    "Why",
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
    "Aggregate": "vicino.query.aggregate",
    "Analyzer": "vicino.text.analyzer",
    "Bool": "vicino.query.parts",
    "Boost": "vicino.query.parts",
    "CheckReport": "vicino.collection.check",
    "Collection": "vicino.collection.collection",
    "CollectionInfo": "vicino.database",
    "CollectionStats": "vicino.collection.stats",
    "Context": "vicino.query.examples",
    "Database": "vicino.database",
    "DatabaseStats": "vicino.database",
    "Decay": "vicino.query.decay",
    "Dense": "vicino.query.parts",
    "Discover": "vicino.query.examples",
    "DistanceMatrix": "vicino.query.aggregate",
    "Diverse": "vicino.query.parts",
    "Expression": "vicino.query.formula",
    "F": "vicino.filter.expression",
    "Feedback": "vicino.query.examples",
    "Formula": "vicino.query.parts",
    "Fuse": "vicino.query.parts",
    "GeoDistance": "vicino.query.formula",
    "Group": "vicino.query.groups",
    "Groups": "vicino.query.groups",
    "Hit": "vicino.query.hit",
    "If": "vicino.query.formula",
    "Instant": "vicino.query.formula",
    "Job": "vicino.collection.jobs",
    "Like": "vicino.query.examples",
    "MultiSpec": "vicino.collection.value_specs",
    "MultiVector": "vicino.query.parts",
    "OrderBy": "vicino.query.parts",
    "Part": "vicino.query.part",
    "Plan": "vicino.query.plan",
    "Prefetch": "vicino.query.parts",
    "Record": "vicino.collection.record",
    "RecordView": "vicino.query.hit",
    "Rerank": "vicino.query.parts",
    "Rescore": "vicino.query.parts",
    "Results": "vicino.query.results",
    "Sample": "vicino.query.parts",
    "Schema": "vicino.collection.schema",
    "Score": "vicino.query.formula",
    "Snapshot": "vicino.storage.backup",
    "Sparse": "vicino.query.parts",
    "SparseSpec": "vicino.collection.value_specs",
    "SparseVector": "vicino.query.sparse_vector",
    "Stage": "vicino.query.plan",
    "Text": "vicino.query.parts",
    "TextSpec": "vicino.collection.value_specs",
    "Value": "vicino.query.formula",
    "IndexSpec": "vicino.collection.index_spec",
    "VectorSpec": "vicino.collection.vector_spec",
    "Verification": "vicino.collection.verifying",
    "Why": "vicino.query.why",
    "WriteResult": "vicino.query.results",
    "all_of": "vicino.filter.conditions",
    "any_of": "vicino.filter.conditions",
    "at_least": "vicino.filter.conditions",
    "has_id": "vicino.filter.conditions",
    "has_vector": "vicino.filter.conditions",
    "in_slice": "vicino.filter.conditions",
    "open": "vicino.database",
    "restore": "vicino.database",
}

_MODULES = frozenset({"aio", "evaluate", "models"})

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
