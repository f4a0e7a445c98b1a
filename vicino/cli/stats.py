"""`vicino stats`: sizes, and who holds the bytes."""

from __future__ import annotations

import click

from vicino.cli.command import command as declare
from vicino.cli.session import Session


@declare("stats", examples="""
    vicino stats data
    vicino stats data docs --json
    """)
@click.argument("folder", required=False)
@click.argument("collection", required=False)
def command(session: Session, folder: str | None, collection: str | None) -> None:
    """Say how large a database, or one collection of it, is on disk and in memory, by kind of file and by who holds them."""
    place = folder or session.settings.value("data")
    with session.database(place) as database:
        stats = database.stats() if collection is None else database.collection(collection).stats()
        session.finish(stats.to_dict(), lambda: click.echo(repr(stats)))
