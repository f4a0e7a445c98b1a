"""What a command prints: documents of JSON, tables for people, and messages on standard error.

rich is imported only when standard output is a terminal; into a pipe or file goes plain text.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from vicino.query.json_value import encode_json

CELL_CHARACTERS = 60


def write_json(document: Any) -> None:
    """One document, indented, on standard output."""
    import msgspec

    click.echo(msgspec.json.format(encode_json(document), indent=2).decode())


def write_table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, numeric: Sequence[str] = ()) -> None:
    """A table on standard output. numeric: headers of columns that are aligned to the right."""
    cells = [[shown(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        _write_rich(headers, cells, numeric)
    else:
        click.echo(plain_table(headers, cells, numeric))


def _write_rich(headers: Sequence[str], cells: list[list[str]], numeric: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        table.add_column(header, justify="right" if header in numeric else "left", no_wrap=header in numeric, overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def plain_table(headers: Sequence[str], cells: Sequence[Sequence[str]], numeric: Sequence[str] = ()) -> str:
    widths = [max(len(row[column]) for row in [headers, *cells]) for column in range(len(headers))]
    lines = []
    for row in [headers, *cells]:
        parts = [
            cell.rjust(width) if header in numeric else cell.ljust(width) for cell, width, header in zip(row, widths, headers, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def shown(value: Any) -> str:
    """A value in one cell: text as it is, other values as JSON, both on one line and shortened."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else encode_json(value).decode()
    line = " ".join(text.split())
    return line if len(line) <= CELL_CHARACTERS else line[: CELL_CHARACTERS - 1] + "…"


def counted(n: int, noun: str) -> str:
    """`1 record`, `3,000 records`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def records_table(records: Sequence[tuple[Sequence[Any], dict[str, Any]]], leading: Sequence[str], numeric: Sequence[str]) -> None:
    """A table of records: leading columns, then one for every field that any record has, in order of appearance."""
    if not records:
        return
    names = list(dict.fromkeys(name for _, fields in records for name in fields))
    rows = [[*facts, *(fields.get(name) for name in names)] for facts, fields in records]
    write_table([*leading, *names], rows, numeric=numeric)
