"""vicino: documents and vectors in, answers by meaning out. An embedded vector database.

    import vicino
    db = vicino.open("data")
    docs = db.create_collection("docs", dim=3)
    docs.upsert([{"id": "a", "vector": [1, 0, 0], "year": 2024}])
    docs.search([1, 0, 0], where=vicino.F.year >= 2020)
"""

from vicino.collection.check import CheckReport
from vicino.collection.collection import Collection
from vicino.collection.jobs import Job
from vicino.collection.record import Record
from vicino.collection.schema import Schema, VectorSpec
from vicino.collection.stats import CollectionStats
from vicino.database import CollectionInfo, Database, DatabaseStats, open, restore
from vicino.errors import Error
from vicino.filter.expression import F, all_of, any_of, at_least, has_id, has_vector, in_slice
from vicino.query.hit import Hit, RecordView
from vicino.query.plan import Plan
from vicino.query.results import Results, WriteResult
from vicino.storage.backup import Snapshot
from vicino.types import GeoPoint

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
