"""CSV: text in columns, with the types the columns turn out to have.

The file is read twice: first to see of which type all cells of a column are (integer, float, bool, else string; a number with a leading
zero, a plus or more than 18 digits is a string, as article numbers are), then for the records. What the schema declares goes before what
the cells look like. An empty cell means that the record lacks the field. A vector is a JSON array in a cell, or numbers parted by spaces,
commas or semicolons.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from vicino.collection.columns import Columns
from vicino.collection.field_type import FieldType
from vicino.collection.records import split_rows
from vicino.collection.settings import Settings
from vicino.errors import InvalidArgument, did_you_mean

_ROWS_PER_PIECE = 1024
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})\Z")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?\Z")
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

Parse = Callable[[str], Any]
Reopen = Callable[[], IO[bytes]]


def read_csv(reopen: Reopen, name: str, settings: Settings, mapping: Mapping[str, str]) -> Iterator[Columns]:
    """Records of a CSV file with a header line. Raises InvalidArgument naming file and line.

    reopen: opens the file from its beginning, once for each reading.
    """
    header = _header(reopen, name, mapping)
    parsers = _parsers(header, _guesses(reopen, name, header), settings)
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    for number, cells in _lines(reopen, name):
        try:
            rows.append({column: parse(cell) for column, parse, cell in zip(header, parsers, cells, strict=True) if cell != ""})
        except ValueError as error:
            raise InvalidArgument(f"{name}, line {number}: {_problem(header, cells, error)}") from error
        numbers.append(number)
        if len(rows) == _ROWS_PER_PIECE:
            yield split_rows(rows, tuple(settings.vectors), _place(name, numbers))
            rows, numbers = [], []
    if rows:
        yield split_rows(rows, tuple(settings.vectors), _place(name, numbers))


def _place(name: str, numbers: list[int]) -> Callable[[int], str]:
    return lambda index: f"{name}, line {numbers[index]}"


def _problem(header: list[str], cells: list[str], error: ValueError) -> str:
    if len(header) != len(cells):
        return f"has {len(cells)} cells, the header has {len(header)}"
    return str(error)


def _lines(reopen: Reopen, name: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every row after the header; empty lines are skipped."""
    with reopen() as stream:
        rows = csv.reader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""), strict=True)
        try:
            for position, cells in enumerate(rows):
                if cells and position:
                    yield rows.line_num, cells
        except csv.Error as error:
            raise InvalidArgument(f"{name}, line {rows.line_num}: {error}; the file must be CSV with a comma between cells") from error
        except UnicodeDecodeError as error:
            raise InvalidArgument(f"{name} is not in UTF-8: {error}; convert it first") from error


def _header(reopen: Reopen, name: str, mapping: Mapping[str, str]) -> list[str]:
    with reopen() as stream:
        try:
            header = next(csv.reader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""), strict=True), [])
        except csv.Error as error:
            raise InvalidArgument(f"{name}, line 1: {error}; the first line must name the columns") from error
        except UnicodeDecodeError as error:
            raise InvalidArgument(f"{name} is not in UTF-8: {error}; convert it first") from error
    if not header:
        raise InvalidArgument(f"{name} is empty; the first line must name the columns")
    return rename_columns(header, mapping, name)


def rename_columns(columns: list[str], mapping: Mapping[str, str], name: str) -> list[str]:
    """Columns of a file under the names of the mapping. Raises InvalidArgument for a column that is not there or comes twice."""
    for column in mapping:
        if column not in columns:
            raise InvalidArgument(f'mapping names column "{column}", which {name} does not have.{did_you_mean(column, columns)}')
    renamed = [mapping.get(column, column) for column in columns]
    for column in renamed:
        if renamed.count(column) > 1:
            raise InvalidArgument(f'{name} has two columns for "{column}"; rename one with mapping=')
    return renamed


def _guesses(reopen: Reopen, name: str, header: list[str]) -> list[Parse]:
    """How to read each column, by all of its cells."""
    candidates: list[list[tuple[Callable[[str], Any], Parse]]] = [
        [(_INTEGER.match, int), (_FLOAT.match, float), (_BOOLS.__contains__, _BOOLS.__getitem__), (_is_text, str)] for _ in header
    ]
    for _, cells in _lines(reopen, name):
        for possible, cell in zip(candidates, cells, strict=False):
            while cell and not possible[0][0](cell):
                del possible[0]
    return [possible[0][1] for possible in candidates]


def _is_text(_: str) -> bool:
    return True


def _parsers(header: list[str], guesses: list[Parse], settings: Settings) -> list[Parse]:
    return [
        _parse_vector if column in settings.vectors else _declared(column, settings.schema[column]) if column in settings.schema else guess
        for column, guess in zip(header, guesses, strict=True)
    ]


def _declared(column: str, kind: FieldType) -> Parse:
    """Reads a cell as the schema declares it; what cannot be read stays text, and the schema's check then names it."""

    def parse(cell: str) -> Any:
        match kind.kind:
            case "integer" if _INTEGER.match(cell):
                return int(cell)
            case "float" if _FLOAT.match(cell):
                return float(cell)
            case "bool":
                return _BOOLS.get(cell, cell)
            case "list" | "object" | "geo" | "any":
                return kind.from_plain(_json_or_text(cell))
        return kind.from_plain(cell)

    return parse


def _json_or_text(cell: str) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(cell)
    except msgspec.DecodeError:
        return cell


def _parse_vector(cell: str) -> list[float]:
    numbers = re.split(r"[\s,;]+", cell.strip().removeprefix("[").removesuffix("]").strip())
    return [float(number) for number in numbers]
