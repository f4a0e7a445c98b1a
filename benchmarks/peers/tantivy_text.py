"""tantivy (tantivy-py): words with positions, nothing stored but the number of the document as a column."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from typing import Any

import tantivy

HEAP_BYTES = 200_000_000


class TantivyText:
    configuration = (
        "tokenizer en_stem with positions, text not stored, one writer thread, 200 MB heap; queries: the words joined by OR, top 10"
    )
    words = "words"

    def version(self) -> str:
        return version("tantivy")

    def load(self, task: dict[str, Any]) -> int:
        with open(task["texts"], encoding="utf-8") as lines:
            self._texts = json.load(lines)
        return len(self._texts)

    def index(self, path: str) -> None:
        os.makedirs(path)
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("body", stored=False, tokenizer_name="en_stem", index_option="position")
        index = tantivy.Index(builder.build(), path=path)
        writer = index.writer(HEAP_BYTES, 1)
        for text in self._texts:
            writer.add_document(tantivy.Document(body=text))
        writer.commit()
        writer.wait_merging_threads()

    def index_bytes(self, path: str) -> int:
        return sum(os.path.getsize(os.path.join(path, name)) for name in os.listdir(path))

    def open(self, path: str) -> None:
        self._index = tantivy.Index.open(path)
        self._index.reload()
        self._searcher = self._index.searcher()

    def prepare(self, queries: dict[str, Any]) -> list[Any]:
        return queries[self.words]

    def search(self, query: Any, k: int) -> list[int]:
        found = self._searcher.search(self._index.parse_query(query, ["body"]), k, count=False)
        # With one segment and no deletes the address is the document's number.
        return [address.doc for _, address in found.hits]

    def search_all(self, queries: list[Any], k: int) -> Any:
        return None

    def close(self) -> None:
        pass


class TantivyTextStop(TantivyText):
    configuration = TantivyText.configuration + "; stop words are part of the queries"
    words = "texts_plain"
