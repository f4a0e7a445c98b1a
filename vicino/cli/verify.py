"""`vicino verify`: what searches find of the true nearest records."""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from vicino.cli import exit_codes
from vicino.cli.command import command as declare
from vicino.cli.search import read_where
from vicino.cli.session import Session, read_text
from vicino.errors import InvalidArgument


@declare(
    "verify",
    examples="""
    vicino verify data docs
    vicino verify data docs --recall 0.97 -n 1000 --json
    vicino verify data docs --queries queries.jsonl --where "lang == 'en'"
    """,
)
@click.argument("words", nargs=-1, metavar="[FOLDER] COLLECTION")
@click.option("--recall", type=float, help="Verify this recall instead of the declared one.")
@click.option("--queries", metavar="FILE", help="Queries to measure with, a JSON array of numbers a line; - for standard input.")
@click.option("-n", "--number", "n", type=int, default=200, show_default=True, help="Without --queries: how many to draw.")
@click.option("-k", type=int, default=10, show_default=True, help="Number of neighbors.")
@click.option("--vector", help="Name of the vector to search, if there are several.")
@click.option("--where", help="Measure under this condition.")
@click.option("--seed", type=int, help="Draw the same queries as with the same seed before.")
def command(session: Session, words: tuple[str, ...], queries: str | None, where: str | None, **options: Any) -> None:
    """Measure how much of the true nearest records searches find, with the interval in which it lies; exit code 6 if less than promised."""
    folder, (name,) = session.place(words, "COLLECTION")
    with session.database(folder) as database:
        given = None if queries is None else _read(queries)
        found = database.collection(name).verify(queries=given, where=read_where(where), **options)
        session.finish(found.to_dict(), lambda: click.echo(repr(found)))
    if found.is_kept is False:
        click.get_current_context().exit(exit_codes.CHECK_FAILED)


def _read(name: str) -> list[Any]:
    import msgspec

    queries = []
    for number, line in enumerate(read_text(name).splitlines(), start=1):
        if line.strip():
            try:
                queries.append(np.array(msgspec.json.decode(line, type=list[float])))
            except msgspec.DecodeError as error:
                raise InvalidArgument(f"{name}, line {number}: a query is a JSON array of numbers: {error}") from error
    return queries
