"""Records as tables: text for terminals, HTML for notebooks, frames for analysis.

All start from flat dicts, one per row, and a list of leading columns; other columns follow in the order of their first appearance.
Optional libraries are imported here only, when a table of theirs is asked for.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vicino.errors import MissingExtraError
from vicino.query.hit import RecordView
from vicino.query.json_value import encode_json
from vicino.types import GeoPoint

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

Rows = Sequence[Mapping[str, Any]]

_CELL_CHARACTERS_MAX = 60
_ROWS_SHOWN = 20


def flat_dict(view: RecordView[Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A record as one dict: "id", then `more`, then the vectors that were read, then the fields.

    A field whose name is taken by those appears as "fields.<name>".
    """
    row: dict[str, Any] = {"id": view.id, **more, **(view.vectors if view.has_vectors else {})}
    taken = set(row)
    for name, value in view.fields.items():
        row[f"fields.{name}" if name in taken else name] = value
    return row


def column_names(rows: Rows, leading: Iterable[str] = ()) -> list[str]:
    """All columns of the rows: the leading ones, then the others as they first appear."""
    names = dict.fromkeys(leading)
    for row in rows:
        names.update(dict.fromkeys(row))
    return list(names)


def to_arrow(rows: Rows, leading: Iterable[str] = ()) -> pyarrow.Table:
    """An Arrow table. UUIDs become text, geo points a struct of lat and lon; a column of mixed types becomes JSON text."""
    pa = require("pyarrow", "parquet")
    return pa.table({name: _arrow_column(pa, [row.get(name) for row in rows]) for name in column_names(rows, leading)})


def _arrow_column(pa: Any, values: list[Any]) -> Any:
    vectors = [value for value in values if isinstance(value, np.ndarray)]
    if vectors:
        return _arrow_vectors(pa, values, vectors[0])
    plain = [_arrow_value(value) for value in values]
    try:
        column = pa.array(plain)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        column = None
    # Arrow reads a mix of ints and bools, or of objects with different keys, into something that is not what was stored.
    if column is None or (pa.types.is_struct(column.type) and not all(isinstance(value, GeoPoint | None) for value in values)):
        return pa.array([None if value is None else encode_json(value).decode() for value in values], pa.string())
    return column


def _arrow_vectors(pa: Any, values: list[Any], first: np.ndarray[Any, Any]) -> Any:
    width = len(first)
    rows = [np.zeros(width, first.dtype) if value is None else value for value in values]
    mask = pa.array([value is None for value in values])
    return pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(rows)), width, mask=mask)


def _arrow_value(value: Any) -> Any:
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, GeoPoint):
        return value._asdict()
    if isinstance(value, list | tuple):
        return [_arrow_value(element) for element in value]
    return value


def to_pandas(rows: Rows, leading: Iterable[str] = ()) -> pandas.DataFrame:
    """A pandas DataFrame; vectors are cells that hold arrays."""
    pd = require("pandas", "pandas")
    names = column_names(rows, leading)
    return pd.DataFrame({name: [row.get(name) for row in rows] for name in names}, columns=names)


def to_polars(rows: Rows, leading: Iterable[str] = ()) -> polars.DataFrame:
    """A polars DataFrame; vectors are columns of arrays, a column of mixed types becomes JSON text."""
    pl = require("polars", "polars")
    return pl.DataFrame([_polars_series(pl, name, [row.get(name) for row in rows]) for name in column_names(rows, leading)])


def _polars_series(pl: Any, name: str, values: list[Any]) -> Any:
    vectors = [value for value in values if isinstance(value, np.ndarray)]
    if vectors and len(vectors) == len(values):
        return pl.Series(name, np.stack(vectors))
    if vectors:
        return pl.Series(name, [None if value is None else value.tolist() for value in values])
    try:
        return pl.Series(name, [_arrow_value(value) for value in values], strict=True)
    except (TypeError, pl.exceptions.PolarsError, OverflowError):
        return pl.Series(name, [None if value is None else encode_json(value).decode() for value in values])


def require(module: str, extra: str) -> Any:
    """An optional module, or MissingExtraError with the command that installs it."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(f'{module} is not installed; run: pip install "vicino[{extra}]"') from error


def text_table(rows: Rows, leading: Iterable[str] = (), *, width: int | None = None) -> str:
    """An aligned table for a terminal of `width` characters (that of the terminal by default); columns that do not fit are named below."""
    if width is None:
        import shutil

        width = shutil.get_terminal_size((120, 24)).columns
    shown = rows[:_ROWS_SHOWN]
    names = column_names(shown, leading)
    cells = [[_clip(name) for name in names]] + [[_cell(row[name]) if name in row else "" for name in names] for row in shown]
    numeric = [all(_is_number(row.get(name)) for row in shown) for name in names]
    widths = [max(_display_width(line[column]) for line in cells) for column in range(len(names))]
    n_fitting = _fit(widths, width)
    lines = ["  ".join(_pad(text, size, right) for text, size, right in zip(line[:n_fitting], widths, numeric)).rstrip() for line in cells]
    if len(rows) > len(shown):
        lines.append(f"… {len(rows) - len(shown)} more rows")
    if n_fitting < len(names):
        lines.append(f"more columns: {', '.join(map(_clip, names[n_fitting:]))}")
    return "\n".join(lines)


def _fit(widths: list[int], width: int) -> int:
    """How many columns fit, always one at least. The last to fit may be narrowed to what is left, if that is worth showing."""
    used = 0
    for column, size in enumerate(widths):
        left = width - used - (2 if column else 0)
        if size > left:
            if left >= 16 or column == 0:
                widths[column] = max(left, 1)
                return column + 1
            return column
        used = width - left + size
    return len(widths)


def html_table(rows: Rows, leading: Iterable[str] = ()) -> str:
    """An HTML table for notebooks, everything in it escaped."""
    import html

    shown = rows[:_ROWS_SHOWN]
    names = column_names(shown, leading)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cell(row[name])) if name in row else ''}</td>" for name in names) + "</tr>" for row in shown
    )
    more = f"<caption>{len(rows) - len(shown)} more rows</caption>" if len(rows) > len(shown) else ""
    return f"<table>{more}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    match value:
        case None:
            return "null"
        case float():
            return f"{value:.4g}" if abs(value) >= 1e6 or 0 < abs(value) < 1e-4 else f"{value:.4f}".rstrip("0").rstrip(".")
        case dt.datetime():
            return value.isoformat(" ")
        case GeoPoint(lat, lon):
            return f"{lat:g}, {lon:g}"
        case np.ndarray():
            return f"{value.dtype}[{len(value)}]"
        case dict() | list() | tuple():
            return _clip(encode_json(value).decode())
    return _clip(str(value))


def _clip(text: str) -> str:
    """One line of printable characters, not too long."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text[: _CELL_CHARACTERS_MAX + 1])
    return clean if len(clean) <= _CELL_CHARACTERS_MAX else f"{clean[: _CELL_CHARACTERS_MAX - 1]}…"


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _display_width(text: str) -> int:
    """Columns a text takes in a terminal: East Asian wide letters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _pad(text: str, size: int, right: bool) -> str:
    while _display_width(text) > size:
        text = f"{text[:-2]}…" if size > 0 else ""
    filling = " " * (size - _display_width(text))
    return filling + text if right else text + filling
