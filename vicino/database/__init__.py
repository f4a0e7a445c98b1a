"""What `vicino.open` gives: `opening` keeps one `Database` a folder and process, `creation` reads the arguments of new collections."""

from vicino.database.database import Database
from vicino.database.opening import open, restore
from vicino.database.stats import CollectionInfo, DatabaseStats

__all__ = ["CollectionInfo", "Database", "DatabaseStats", "open", "restore"]
