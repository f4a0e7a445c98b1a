"""Relevance judgments (qrels): which documents answer which query, and how well.

Two spellings are read; which one a file has is seen from its columns:

    TREC    301 0 FBIS3-10082 1                     query, iteration (not used), document, grade
    BEIR    query-id <tab> corpus-id <tab> score    a header, then query, document, grade

A grade of 1 or more is relevant, larger is better; 0 and below is judged and not relevant. A document without a judgment counts as 0.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from vicino.errors import InvalidArgument
from vicino.evaluate.lines import read_lines
from vicino.storage.files import absolute

GRADE_MAX = 1000
"""2 to this power is still a number, for the exponential gain."""

_HEADERS = {"score", "grade", "relevance", "rel", "label"}
_COLUMNS = "query, iteration, document and grade (TREC), or query, document and grade (BEIR)"


class Judgments(Mapping[str, Mapping[str, int]]):
    """Query id -> document id -> grade. Ids are texts; other record ids count as they are printed."""

    def __init__(self, grades: Mapping[Any, Mapping[Any, int]]) -> None:
        self._grades: dict[str, dict[str, int]] = {}
        for query, documents in grades.items():
            mine = self._grades[str(query)] = {}
            for document, grade in documents.items():
                mine[str(document)] = _checked(grade, f'judgment of document "{document}" for query "{query}"')

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Judgments:
        """Judgments of a file in TREC's or BEIR's spelling. Raises NotFoundError; InvalidArgument naming the line."""
        grades: dict[str, dict[str, int]] = {}
        for position, (place, line) in enumerate(read_lines(absolute(path), "file of judgments")):
            columns = [column.strip() for column in line.split("\t")] if "\t" in line else line.split()
            if position == 0 and columns[-1].lower() in _HEADERS:
                continue
            if len(columns) not in (3, 4):
                raise InvalidArgument(f"{place}: a judgment has the columns {_COLUMNS}, got {len(columns)}: {line[:80]!r}")
            query, document, grade = columns[0], columns[-2], _read_grade(columns[-1], place)
            before = grades.setdefault(query, {}).setdefault(document, grade)
            if before != grade:
                raise InvalidArgument(f'{place}: document "{document}" of query "{query}" is graded {grade}, and {before} above; keep one')
        return cls(grades)

    def __getitem__(self, query: str) -> Mapping[str, int]:
        return self._grades[query]

    def __iter__(self) -> Iterator[str]:
        return iter(self._grades)

    def __len__(self) -> int:
        return len(self._grades)

    def __repr__(self) -> str:
        return f"<Judgments: {len(self)} queries, {sum(map(len, self._grades.values()))} judgments>"


def _read_grade(text: str, place: str) -> int:
    try:
        grade = int(text)
    except ValueError as error:
        raise InvalidArgument(f"{place}: a grade is an integer, got {text!r}") from error
    return _checked(grade, place)


def _checked(grade: Any, place: str) -> int:
    if isinstance(grade, bool) or not isinstance(grade, int) or abs(grade) > GRADE_MAX:
        raise InvalidArgument(f"{place}: a grade is an integer from -{GRADE_MAX} to {GRADE_MAX}, got {grade!r}")
    return grade
