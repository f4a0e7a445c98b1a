"""Runs: what a search found for each query, best first; read and written in TREC's spelling.

    301 Q0 FBIS3-10082 1 13.25 hybrid      query, Q0, document, rank (not used), score, name of the run

The order is trec_eval's, so that its figures and ours agree: by score, larger first, compared in single precision; equal scores by
document id, larger first.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vicino.collection.streams import replacing
from vicino.env import RealEnv
from vicino.errors import InvalidArgument
from vicino.evaluate.lines import read_lines
from vicino.storage.files import absolute

Found = Sequence[Any] | Mapping[Any, float]


class Run(Mapping[str, Sequence[str]]):
    """Query id -> ids of the documents found, best first; `scores(query)` are aligned with them.

    found: for each query document ids, best first, or documents with their scores, which are then ordered as trec_eval does.
    """

    def __init__(self, found: Mapping[Any, Found], *, name: str = "vicino") -> None:
        self.name = name
        self._rankings: dict[str, tuple[list[str], list[float]]] = {}
        for query, documents in found.items():
            self._rankings[str(query)] = _ranked(str(query), documents)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Run:
        """A run of a file in TREC's spelling. Raises NotFoundError; InvalidArgument naming the line."""
        found: dict[str, dict[str, float]] = {}
        name = ""
        for place, line in read_lines(absolute(path), "file of a run"):
            columns = line.split()
            if len(columns) != 6:
                raise InvalidArgument(f"{place}: a run has six columns (query, Q0, document, rank, score, name), got {len(columns)}")
            query, _, document, _, score, name = columns
            if document in (mine := found.setdefault(query, {})):
                raise InvalidArgument(f'{place}: document "{document}" is there twice for query "{query}"; keep one')
            try:
                mine[document] = float(score)
            except ValueError as error:
                raise InvalidArgument(f"{place}: a score is a number, got {score!r}") from error
        return cls(found, name=name or "vicino")

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the run in TREC's spelling; the file is replaced when everything is in it."""
        lines = []
        tag = _word(self.name, "the name of a run")
        for query, (documents, scores) in self._rankings.items():
            shown = _word(query, "a query id")
            for rank, (document, score) in enumerate(zip(documents, scores, strict=True), start=1):
                lines.append(f"{shown} Q0 {_word(document, 'a document id')} {rank} {score!r} {tag}\n")
        with replacing(RealEnv(), absolute(path)) as stream:
            stream.write("".join(lines).encode())

    def scores(self, query: str) -> Sequence[float]:
        return self._rankings[query][1]

    def __getitem__(self, query: str) -> Sequence[str]:
        return self._rankings[query][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rankings)

    def __len__(self) -> int:
        return len(self._rankings)

    def __repr__(self) -> str:
        return f'<Run "{self.name}": {len(self)} queries>'


def _ranked(query: str, documents: Found) -> tuple[list[str], list[float]]:
    if isinstance(documents, Mapping):
        pairs = [(str(document), float(score)) for document, score in documents.items()]
        if unordered := [document for document, score in pairs if math.isnan(score)]:
            raise InvalidArgument(f'document "{unordered[0]}" of query "{query}" has no score that can be ordered (nan)')
        with np.errstate(over="ignore"):  # beyond single precision a score is infinite, as in trec_eval
            single = np.array([score for _, score in pairs], np.float64).astype(np.float32)
        order = sorted(range(len(pairs)), key=lambda index: (single[index], pairs[index][0]), reverse=True)
        names, scores = [pairs[index][0] for index in order], [pairs[index][1] for index in order]
    else:
        names = [str(document) for document in documents]
        scores = [float(left) for left in range(len(names), 0, -1)]
    if len(set(names)) < len(names):
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise InvalidArgument(f'document "{twice}" is there twice for query "{query}"; a ranking holds a document once')
    return names, scores


def _word(text: str, what: str) -> str:
    """Columns of a run are parted by blanks."""
    if not text or text.split() != [text]:
        raise InvalidArgument(f"{what} in a TREC run is one word without blanks, got {text!r}")
    return text
