"""`vicino delete`: a whole collection, or records of it by id or condition."""

from __future__ import annotations

import click

from vicino.cli.command import command as declare
from vicino.cli.output import counted
from vicino.cli.record_ids import ID_TYPES, IdType, read_ids
from vicino.cli.search import read_where
from vicino.cli.session import Session
from vicino.errors import InvalidArgument
from vicino.types import RecordId


@declare(
    "delete",
    examples="""
    vicino delete data docs 17 18
    vicino delete data docs --where "year < 2000" --dry-run
    vicino delete data docs --yes
    """,
)
@click.argument("words", nargs=-1, metavar="[FOLDER] COLLECTION [ID]...")
@click.option("--where", help="Delete the records that meet a condition.")
@click.option("--id-type", type=click.Choice(ID_TYPES), default="auto", show_default=True, help="What the ids are.")
@click.option("--dry-run", is_flag=True, help="Say what would go and delete nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def command(session: Session, words: tuple[str, ...], where: str | None, id_type: IdType, dry_run: bool, yes: bool) -> None:
    """Delete a collection, or records of it: those with the given ids or those that meet --where."""
    folder, (name, *ids) = session.place(words, "COLLECTION", more="ID")
    if ids and where is not None:
        raise InvalidArgument("give ids or --where, not both")
    with session.database(folder, "r" if dry_run else "rw") as database:
        collection = database.collection(name)
        wanted: list[RecordId] = []
        if ids:
            wanted = [record_id for record_id in read_ids(collection, ids, id_type) if record_id in collection]
            count, what = len(wanted), f'{counted(len(wanted), "record")} of collection "{name}"'
        elif where is not None:
            count = collection.count(where=read_where(where))
            what = f'{count:,} of {counted(len(collection), "record")} of collection "{name}"'
        else:
            count = len(collection)
            what = f'collection "{name}" with its {counted(count, "record")}'
        document = {"folder": database.path, "collection": name, "count": count, "whole": not ids and where is None, "dry_run": dry_run}
        if dry_run:
            session.finish(document, lambda: click.echo(f"would delete {what}"))
            return
        session.confirm(f"This deletes {what} in {database.path}", yes=yes)
        if ids:
            document["count"] = collection.delete(wanted).count
        elif where is not None:
            document["count"] = collection.delete(where=read_where(where)).count
        else:
            database.delete_collection(name)
        session.finish(document, lambda: click.echo(f"deleted {what}"))
