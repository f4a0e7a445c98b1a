"""What one search engine must do to be measured with words or sparse vectors. Runs inside the engine's own environment: only numpy
and the engine may be imported."""

from __future__ import annotations

from typing import Any, Protocol


class TextPeer(Protocol):
    """One index in a folder over documents 0 to n - 1. Documents are read, and queries put into its form, before a clock starts."""

    configuration: str
    """How it is used, in one line."""

    def version(self) -> str: ...

    def load(self, task: dict[str, Any]) -> int:
        """Reads the documents into memory in the form in which the engine takes them; how many there are."""

    def index(self, path: str) -> None:
        """Indexes what was loaded in a folder that does not exist; returns when searches use all of it and it is on the disk."""

    def index_bytes(self, path: str) -> int:
        """What the index takes there, without the documents themselves."""

    def open(self, path: str) -> None:
        """Opens what `index` made, in a new process."""

    def prepare(self, queries: dict[str, Any]) -> list[Any]:
        """Queries of one kind in the form in which users hold them. queries: "texts", "words" (without stop words), "bags"."""

    def search(self, query: Any, k: int) -> list[int]:
        """Ids of the k best, best first."""

    def search_all(self, queries: list[Any], k: int) -> Any:
        """All queries in one call on one thread, where the engine has such a call; else None."""

    def close(self) -> None: ...
