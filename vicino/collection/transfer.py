"""Records between collections and files: reading Parquet, JSON lines, CSV, NPY and Arrow files, writing Parquet and JSON lines.

Readers hand out raw columns piece by piece, so a file larger than memory is no trouble; errors name file and line (or row). Writers take
one snapshot as batches of record views; the file appears under its name only when it is complete.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import IO, Any, Literal, get_args

import numpy as np

from vicino.collection.columns import Columns
from vicino.collection.csv_file import read_csv
from vicino.collection.jsonl import read_jsonl, write_jsonl
from vicino.collection.records import PIECE_ROWS
from vicino.collection.settings import Settings, unknown_vector
from vicino.collection.streams import open_stream, replacing
from vicino.env import Env, Files
from vicino.errors import InvalidArgument, NotFoundError, close_match
from vicino.query.hit import RecordView
from vicino.types import DEFAULT_VECTOR

FileFormat = Literal["parquet", "jsonl", "csv", "npy", "arrow"]
ExportFormat = Literal["parquet", "jsonl"]

_FORMAT_OF_SUFFIX: dict[str, FileFormat] = {
    "parquet": "parquet", "pq": "parquet", "jsonl": "jsonl", "ndjson": "jsonl", "csv": "csv", "npy": "npy",
    "arrow": "arrow", "arrows": "arrow", "feather": "arrow", "ipc": "arrow",
}  # fmt: skip


def format_of(path: str) -> FileFormat:
    """The format that a file's name says; a final ".gz" does not count. Raises InvalidArgument with the formats there are."""
    suffix = path.removesuffix(".gz").rpartition(".")[2].lower()
    if suffix not in _FORMAT_OF_SUFFIX:
        raise InvalidArgument(
            f"{path} has no ending of a format that can be read ({', '.join(_FORMAT_OF_SUFFIX)}); rename the file, or give format="
        )
    return _FORMAT_OF_SUFFIX[suffix]


def read_records(
    path: str,
    settings: Settings,
    *,
    files: Files,
    mapping: Mapping[str, str] | None = None,
    format: FileFormat | None = None,
) -> Iterator[Columns]:
    """The records of a file, a few thousand at a time, for `batches`.

    path: absolute. mapping: column or key of the file -> "id", name of a vector, or name of a field; others keep their names.
    Raises NotFoundError if there is no such file, InvalidArgument naming file and line if it cannot be read as its format.
    """
    chosen = format or format_of(path)
    known = get_args(FileFormat)
    if chosen not in known:
        raise InvalidArgument(f"format must be one of {', '.join(known)}, got {chosen!r}.{close_match(str(chosen), known)}")
    if not files.exists(path):
        raise NotFoundError(f"there is no file {path}")
    renamed, name = dict(mapping or {}), path.rpartition("/")[2]
    if chosen == "jsonl":
        with closing(_open(files, path)) as stream:
            yield from _naming_damage(read_jsonl(stream, name, settings, renamed), name)
    elif chosen == "csv":
        yield from _naming_damage(read_csv(lambda: _open(files, path), name, settings, renamed), name)
    elif chosen == "npy":
        with closing(_open(files, path)) as stream:
            yield from _read_npy(stream, name, settings, renamed)
    else:
        from vicino.collection.parquet import read_arrow_file, read_parquet

        read = read_parquet if chosen == "parquet" else read_arrow_file
        with closing(open_stream(files, path)) as stream:
            yield from read(stream, name, settings, renamed)


def write_records(
    views: Iterable[Sequence[RecordView[Any]]],
    path: str,
    settings: Settings,
    *,
    env: Env,
    format: ExportFormat | None = None,
) -> int:
    """Writes all records to a file, which is replaced when everything is in it; the number of records.

    path: absolute; a name that ends in ".gz" is compressed (JSON lines only). format: by default what the name says.
    Export to Parquet gives every field that has one type a column of its own; `vicino.collection.parquet` says where the rest goes.
    """
    chosen = format or format_of(path)
    if chosen not in get_args(ExportFormat):
        raise InvalidArgument(f"records can be exported as {' or '.join(get_args(ExportFormat))}, not as {chosen}")
    with replacing(env, path) as stream:
        if chosen == "parquet":
            from vicino.collection.parquet import write_parquet

            return write_parquet(views, stream, settings)
        if not path.endswith(".gz"):
            return write_jsonl(views, stream, settings)
        with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as compressed:
            return write_jsonl(views, compressed, settings)  # type: ignore[arg-type]


def _open(files: Files, path: str) -> IO[bytes]:
    stream = open_stream(files, path)
    return gzip.GzipFile(fileobj=stream) if path.endswith(".gz") else stream  # type: ignore[return-value]


def _naming_damage(pieces: Iterator[Columns], name: str) -> Iterator[Columns]:
    """A compressed file that was cut or changed is named."""
    try:
        yield from pieces
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidArgument(f"{name} cannot be uncompressed: {error}; it may have been cut short, fetch it again") from error


def _read_npy(stream: IO[bytes], name: str, settings: Settings, mapping: Mapping[str, str]) -> Iterator[Columns]:
    """A matrix of vectors; their ids are 0 to n - 1. mapping={"array": "title"} names the vector if it is not the only one."""
    vector = _npy_vector(settings, mapping)
    shape, dtype = _npy_header(stream, name)
    n, width = shape
    row_bytes = width * dtype.itemsize
    for start in range(0, n, PIECE_ROWS):
        count = min(PIECE_ROWS, n - start)
        content = stream.read(count * row_bytes)
        if len(content) != count * row_bytes:
            found = start + (len(content) // row_bytes if row_bytes else 0)
            raise InvalidArgument(f"{name} ends after {found} of {n} rows; it was cut short, write it again")
        rows = np.frombuffer(content, dtype).reshape(count, width)
        yield Columns(list(range(start, start + count)), {vector: rows}, [{} for _ in range(count)], _row_of(name, start))


def _row_of(name: str, start: int) -> Any:
    return lambda index: f"{name}, row {start + index}"


def _npy_vector(settings: Settings, mapping: Mapping[str, str]) -> str:
    if unknown := mapping.keys() - {"array"}:
        raise InvalidArgument(f'mapping for an NPY file is {{"array": name of the vector}}, got key {min(unknown)!r}')
    names = list(settings.vectors)
    vector = mapping.get("array") or (names[0] if len(names) == 1 else DEFAULT_VECTOR)
    if vector not in settings.vectors:
        raise InvalidArgument(f'{unknown_vector(vector, names)} Name the one to load with mapping={{"array": name}}')
    return vector


def _npy_header(stream: IO[bytes], name: str) -> tuple[tuple[int, int], np.dtype[Any]]:
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(stream)
        if version not in read_header:
            raise ValueError(f"version {version[0]}.{version[1]} of the format is for structured arrays")
        shape, is_fortran, dtype = read_header[version](stream)
    except (ValueError, EOFError) as error:
        raise InvalidArgument(f"{name} cannot be read as NPY: {error}") from error
    if len(shape) != 2 or dtype.kind not in "biuf":
        raise InvalidArgument(f"{name} must hold a matrix of numbers with one vector in each row, it holds {dtype} of shape {shape}")
    if is_fortran:
        raise InvalidArgument(f"{name} is stored column by column; save it with numpy.save(path, numpy.ascontiguousarray(array))")
    return (int(shape[0]), int(shape[1])), dtype
