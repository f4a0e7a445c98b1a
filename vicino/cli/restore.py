"""`vicino restore`: a snapshot into a new folder, every checksum verified."""

from __future__ import annotations

import click

from vicino.cli.command import command as declare
from vicino.cli.output import counted
from vicino.cli.session import Session
from vicino.database import restore


@declare("restore", examples="""
    vicino restore backups/monday data
    """)
@click.argument("snapshot")
@click.argument("folder")
def command(session: Session, snapshot: str, folder: str) -> None:
    """Copy a snapshot to a new FOLDER and verify every checksum of the copy."""
    with restore(snapshot, folder) as database:
        names = database.names()
        document = {"snapshot": snapshot, "folder": database.path, "collections": names}
        session.finish(document, lambda: click.echo(f"restored {counted(len(names), 'collection')} to {database.path}: {', '.join(names)}"))
