"""What `vicino.open` gives: `opening` keeps one `Database` a folder and process, `creation` reads the arguments of new collections."""

from vicino.database.database import CollectionInfo, Database, DatabaseStats
from vicino.database.opening import open, restore

__all__ = ["CollectionInfo", "Database", "DatabaseStats", "open", "restore"]
