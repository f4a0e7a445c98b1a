"""Text files of judgments, queries and runs, line by line; names that end in ".gz" are uncompressed."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import closing
from typing import IO

from vicino.collection.streams import open_stream
from vicino.env import Files, RealEnv
from vicino.errors import InvalidArgument, NotFoundError


def read_lines(path: str, what: str) -> Iterator[tuple[str, str]]:
    """(place, line) of every line that is not blank; the place names file and line for messages.

    path: absolute. what: the kind of file, for the error if there is none.
    """
    files, name = RealEnv().files, path.rpartition("/")[2]
    if not files.exists(path) or files.is_dir(path):
        raise NotFoundError(f"there is no {what} {path}")
    with closing(_open(files, path)) as stream:
        number = 0
        try:
            for number, line in enumerate(stream, start=1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if text and not text.isspace():
                    yield f"{name}, line {number}", text
        except UnicodeDecodeError as error:
            raise InvalidArgument(f"{name}, line {number}: not UTF-8 ({error.reason} at byte {error.start}); convert the file") from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InvalidArgument(f"{name} cannot be uncompressed after line {number}: {error}; fetch it again") from error


def _open(files: Files, path: str) -> IO[bytes]:
    stream = open_stream(files, path)
    return gzip.GzipFile(fileobj=stream) if path.endswith(".gz") else stream  # type: ignore[return-value]
