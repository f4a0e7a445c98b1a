"""What every command has at hand: its settings, the folder it works in, and how it may speak."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import click

from vicino.cli import output
from vicino.config import Resolved
from vicino.database import Database
from vicino.database import open as open_database
from vicino.env import RealEnv
from vicino.errors import InvalidArgument, NotFoundError
from vicino.storage.files import absolute

Mode = Literal["rw", "r", "rescue"]


@dataclass(slots=True)
class Session:
    """One call of a command. data_given: whether a flag named the folder, so that no positional does."""

    settings: Resolved
    is_json: bool = False
    is_quiet: bool = False
    is_verbose: bool = False
    has_progress: bool = True

    @property
    def progress(self) -> Literal[False] | None:
        """For the `progress=` of library calls: a bar where they think fit, or never."""
        return None if self.has_progress and not self.is_quiet else False

    def finish(self, document: Any, show: Callable[[], None]) -> None:
        """The result: one JSON document, or what `show` prints for people."""
        if self.is_json:
            output.write_json(document)
        else:
            show()

    def note(self, text: str) -> None:
        """Something worth knowing that is no result; on standard error."""
        if not self.is_quiet:
            click.echo(text, err=True)

    def detail(self, text: str) -> None:
        """Something only -v asks for."""
        if self.is_verbose:
            click.echo(text, err=True)

    def confirm(self, what: str, *, yes: bool) -> None:
        """Says what will go and asks, unless --yes was given. Ends the command when the answer is no, or nobody is there to ask."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise click.UsageError(f"{what}. There is no terminal to ask at; give --yes to go ahead.")
        click.confirm(f"{what}. Go ahead?", abort=True, err=True)

    # ---- the place

    def place(self, words: Sequence[str], *names: str, more: str | None = None) -> tuple[str, list[str]]:
        """The folder and the other positionals.

        The folder comes first and may be left out: then it is the setting `data`. It is there if there is one word more than names, or if
        the first word is the folder of a database. With `more`, any number of words may follow the named ones; then the first word is the
        folder if it holds a database or is spelled with a slash.
        """
        from_setting = self.settings.value("data")
        words_taken = " ".join(["[FOLDER]", *names, *([f"[{more}]..."] if more else [])])
        if self.settings.origins["data"].startswith("flag "):
            folder, rest = from_setting, list(words)
        elif words and (is_database(words[0]) or ("/" in words[0] if more else len(words) == len(names) + 1)):
            folder, rest = words[0], list(words[1:])
        else:
            folder, rest = from_setting, list(words)
        if len(rest) < len(names):
            missing = names[len(rest)]
            raise click.UsageError(f"{missing} is missing; the command takes {words_taken}, got {' '.join(words) or 'nothing'}.")
        if len(rest) > len(names) and not more:
            raise click.UsageError(f"unexpected {rest[len(names)]!r}; the command takes {words_taken}.")
        return folder, rest

    @contextmanager
    def database(self, folder: str, mode: Mode = "r") -> Iterator[Database]:
        """The database in a folder, open for the length of a block. Commands that only read do so beside a writer."""
        value = self.settings.value
        env = RealEnv()
        start = env.monotonic()
        if mode != "rw" and not is_database(folder):
            raise NotFoundError(f"there is no vicino database in {absolute(folder)}; `vicino create {folder} NAME --dim N` makes one")
        database = open_database(
            folder,
            mode=mode,
            memory_limit=value("memory_limit"),
            sync=value("sync"),
            lock_timeout=value("lock_timeout"),
            retain=value("retain"),
            threads=value("threads"),
        )
        try:
            self.detail(f"opened {database.path} (mode {mode}) in {(env.monotonic() - start) * 1e3:.1f} ms")
            yield database
        finally:
            database.close()


def is_database(folder: str) -> bool:
    """Whether a folder holds a vicino database."""
    return RealEnv().files.is_dir(f"{absolute(folder)}/catalog")


def read_argument(word: str) -> str:
    """The word itself, or all of standard input if it is "-"."""
    return sys.stdin.read().strip() if word == "-" else word


def read_text(path: str) -> str:
    """The text of a file, or all of standard input if the path is "-". Raises NotFoundError, InvalidArgument for what is no text."""
    if path == "-":
        return read_argument(path)
    files = RealEnv().files
    if not files.exists(absolute(path)) or files.is_dir(absolute(path)):
        raise NotFoundError(f"there is no file {absolute(path)}")
    try:
        return files.read(absolute(path)).decode().strip()
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{absolute(path)} is not UTF-8 text: {error}") from error
