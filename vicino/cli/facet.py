"""`vicino facet`: the values of a field, how many records have each, and what they come to."""

from __future__ import annotations

from typing import Any

import click

from vicino.cli import output
from vicino.cli.command import command as declare
from vicino.cli.search import read_where
from vicino.cli.session import Session
from vicino.query.aggregate import Aggregate


@declare("facet", examples="""
    vicino facet data docs lang
    vicino facet data products price --where "'sale' in tags" --json
    """)
@click.argument("words", nargs=-1, metavar="[FOLDER] COLLECTION FIELD")
@click.option("--where", help="Condition in Python syntax, or as JSON.")
@click.option("-n", "--limit", type=int, default=20, show_default=True, help="Number of values, the most frequent first.")
@click.option("--timeout", type=float, metavar="SECONDS", help="Give up after this long.")
def command(session: Session, words: tuple[str, ...], where: str | None, limit: int, timeout: float | None) -> None:
    """Count the values of a field, and say how many differ, their sum and average, the smallest and the largest."""
    folder, (name, field) = session.place(words, "COLLECTION", "FIELD")
    with session.database(folder) as database:
        collection = database.collection(name)
        counts = collection.facet(field, where=read_where(where), limit=limit, timeout=timeout)
        figures = collection.aggregate(field, where=read_where(where), timeout=timeout)

        def show() -> None:
            output.write_table([field, "records"], [list(entry) for entry in counts.items()], numeric=["records"])
            click.echo(_line(figures))

        document = {"collection": name, "field": field, "values": [{"value": value, "records": n} for value, n in counts.items()]}
        session.finish(document | _figures(figures), show if counts else lambda: session.note(f"no record has a value at {field}"))


def _figures(found: Aggregate) -> dict[str, Any]:
    names = ("count", "distinct", "sum", "average", "min", "max")
    return {name: getattr(found, name) for name in names}


def _line(found: Aggregate) -> str:
    """The figures there are, on one line."""
    told = {name: f"{value:.6g}" if isinstance(value, float) else output.shown(value) for name, value in _figures(found).items()}
    return ", ".join(f"{name} {value}" for name, value in told.items() if value)
