"""Judged sets as they lie on disk: a folder with documents, queries and judgments, in the layout of BEIR.

    corpus.jsonl      {"_id": "d1", "title": …, "text": …}
    queries.jsonl     {"_id": "q1", "text": …}, or queries.tsv: id <tab> text
    qrels/test.tsv    or qrels.tsv, qrels.txt, qrels.trec: BEIR's or TREC's columns, see `judgments.py`

Each may be compressed: corpus.jsonl.gz.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vicino.env import RealEnv
from vicino.errors import InvalidArgument, NotFoundError, did_you_mean
from vicino.evaluate.judgments import Judgments
from vicino.evaluate.lines import read_lines
from vicino.storage.files import absolute

CORPUS_ID = "_id"
"""The key of a document's id."""
_CORPORA = ("corpus.jsonl", "corpus.jsonl.gz")
_QUERIES = ("queries.jsonl", "queries.jsonl.gz", "queries.tsv", "queries.tsv.gz")
_ENDINGS = (".tsv", ".txt", ".trec")
_QRELS = tuple(f"qrels{ending}{gz}" for ending in _ENDINGS for gz in ("", ".gz"))
_FIRST_SPLIT = "test"


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """Queries and judgments, and where the documents lie: `collection.load(judged.corpus, mapping={"_id": "id"})` reads them."""

    name: str
    queries: dict[str, str]
    judgments: Judgments
    corpus: str | None = None


def read_judged_set(
    folder: str | os.PathLike[str],
    *,
    split: str | None = None,
    queries: str | os.PathLike[str] | None = None,
    qrels: str | os.PathLike[str] | None = None,
) -> JudgedSet:
    """Reads a folder in the layout above. split: which file of `qrels/`; "test" if there is one. queries, qrels: files lying elsewhere.

    Raises NotFoundError naming what is missing; InvalidArgument naming file and line.
    """
    place = absolute(folder)
    if not RealEnv().files.is_dir(place):
        raise NotFoundError(f"there is no folder {place}; a judged set is a folder with {_QUERIES[0]} and {_QRELS[0]} or qrels/")
    queries_path = absolute(queries) if queries is not None else _require(place, _QUERIES, "queries")
    qrels_path = absolute(qrels) if qrels is not None else _qrels(place, split)
    return JudgedSet(place.rpartition("/")[2], read_queries(queries_path), Judgments.read(qrels_path), corpus_of(place))


def corpus_of(folder: str) -> str | None:
    """The file of documents in a folder of BEIR's layout; None if there is none."""
    return _first(absolute(folder), _CORPORA)


def read_queries(path: str | os.PathLike[str]) -> dict[str, str]:
    """Query id -> text, of a JSON lines file (`_id` or `id`, and `text`) or a TSV file (id, text)."""
    where, found = absolute(path), {}
    is_table = where.removesuffix(".gz").endswith((".tsv", ".txt"))
    for place, query, text in _table_queries(where) if is_table else _json_queries(where):
        if query in found:
            raise InvalidArgument(f'{place}: query "{query}" is there twice; keep one')
        found[query] = text
    return found


def _table_queries(path: str) -> Iterator[tuple[str, str, str]]:
    for place, line in read_lines(path, "file of queries"):
        query, tab, text = line.partition("\t")
        if not tab or not query.strip():
            raise InvalidArgument(f"{place}: a query is an id, a tab and its text, got {line[:80]!r}")
        yield place, query.strip(), text.strip()


def _json_queries(path: str) -> Iterator[tuple[str, str, str]]:
    import msgspec

    decode = msgspec.json.Decoder().decode
    for place, line in read_lines(path, "file of queries"):
        try:
            row: Any = decode(line)
        except msgspec.DecodeError as error:
            raise InvalidArgument(f"{place}: {error}; a query is one JSON object a line") from error
        query = row.get("_id", row.get("id")) if isinstance(row, dict) else None
        if query is None or not isinstance(text := row.get("text"), str):
            raise InvalidArgument(f'{place}: a query is a JSON object with "_id" and "text", got {line[:80]!r}')
        yield place, str(query), text


def _qrels(folder: str, split: str | None) -> str:
    files = RealEnv().files
    inner = f"{folder}/qrels"
    splits = {}
    if files.is_dir(inner):
        splits = {name.partition(".")[0]: f"{inner}/{name}" for name in files.list(inner) if name.removesuffix(".gz").endswith(_ENDINGS)}
    if split is not None:
        if split not in splits:
            raise NotFoundError(f'{inner} has no judgments of split "{split}".{did_you_mean(split, splits)}')
        return splits[split]
    if found := _first(folder, _QRELS):
        return found
    if _FIRST_SPLIT in splits or len(splits) == 1:
        return splits.get(_FIRST_SPLIT) or next(iter(splits.values()))
    if splits:
        raise InvalidArgument(f"{inner} has judgments of {', '.join(splits)}; name one with split=")
    raise NotFoundError(f"{folder} has no judgments; expected one of {', '.join(_QRELS[::2])} or qrels/{_FIRST_SPLIT}.tsv")


def _require(folder: str, names: tuple[str, ...], what: str) -> str:
    if found := _first(folder, names):
        return found
    raise NotFoundError(f"{folder} has no {what}; expected one of {', '.join(names)}")


def _first(folder: str, names: tuple[str, ...]) -> str | None:
    files = RealEnv().files
    return next((path for name in names if files.exists(path := f"{folder}/{name}")), None)
