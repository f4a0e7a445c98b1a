"""`vicino snapshot`: a copy of a database, while it is in use by this command."""

from __future__ import annotations

import click

from vicino.cli.command import command as declare
from vicino.cli.output import counted
from vicino.cli.session import Session
from vicino.segment.memory import show_bytes


@declare("snapshot", examples="""
    vicino snapshot data backups/monday
    vicino restore backups/monday data-of-monday
    """)
@click.argument("words", nargs=-1, metavar="[FOLDER] TO")
def command(session: Session, words: tuple[str, ...]) -> None:
    """Copy a database to a new folder. On one file system files are linked, so it takes little time and space.

    A snapshot is taken by the process that writes; if another one does, this waits --lock-timeout seconds for it.
    """
    folder, (target,) = session.place(words, "TO")
    with session.database(folder, "rw") as database:
        made = database.snapshot(target)
        document = {"folder": database.path, "snapshot": made.path, "files": made.files, "size_bytes": made.size_bytes}
        session.finish(document, lambda: click.echo(f"{counted(made.files, 'file')}, {show_bytes(made.size_bytes)} in {made.path}"))
