"""`vicino update`: fields of records, by id or by condition."""

from __future__ import annotations

from typing import Any

import click

from vicino.cli.command import command as declare
from vicino.cli.output import counted
from vicino.cli.record_ids import ID_TYPES, IdType, read_ids
from vicino.cli.search import read_where
from vicino.cli.session import Session
from vicino.errors import InvalidArgument
from vicino.query.json_value import from_json_value


@declare(
    "update",
    examples="""
    vicino update data docs 17 --set year=2024 --set 'tags=["new"]' --unset draft
    vicino update data docs --where "year < 2000" --set archived=true --dry-run
    """,
)
@click.argument("words", nargs=-1, metavar="[FOLDER] COLLECTION [ID]...")
@click.option("--where", help="Change the records that meet a condition.")
@click.option("--set", "assignments", multiple=True, metavar="FIELD=VALUE", help="VALUE is JSON; what is no JSON is a text.")
@click.option("--unset", multiple=True, metavar="FIELD", help="Field to remove.")
@click.option("--id-type", type=click.Choice(ID_TYPES), default="auto", show_default=True, help="What the ids are.")
@click.option("--dry-run", is_flag=True, help="Say how many records would change and change none.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before a change by condition.")
def command(
    session: Session, words: tuple[str, ...], where: str | None, assignments: tuple[str, ...], unset: tuple[str, ...], id_type: IdType,
    dry_run: bool, yes: bool,
) -> None:  # fmt: skip
    """Change fields of records: those with the given ids or those that meet --where. Other fields and all vectors stay."""
    folder, (name, *ids) = session.place(words, "COLLECTION", more="ID")
    if bool(ids) == (where is not None):
        raise InvalidArgument('give ids or --where, one of them; every record is --where "{}"')
    if not assignments and not unset:
        raise InvalidArgument("nothing to change: give --set FIELD=VALUE or --unset FIELD")
    changes = dict(map(_assignment, assignments))
    with session.database(folder, "r" if dry_run else "rw") as database:
        collection = database.collection(name)
        wanted = read_ids(collection, ids, id_type)
        count = len(wanted) if ids else collection.count(where=read_where(where))
        if not dry_run:
            if not ids:
                session.confirm(f'This changes {count:,} of {counted(len(collection), "record")} of collection "{name}"', yes=yes)
            chosen: dict[str, Any] = {"ids": wanted} if ids else {"where": read_where(where)}
            count = collection.update(**chosen, set=changes or None, unset=list(unset)).count
        document = {"folder": database.path, "collection": name, "count": count, "version": collection.version, "dry_run": dry_run}
        verb = "would change" if dry_run else "changed"
        session.finish(document, lambda: click.echo(f'{verb} {counted(count, "record")} of collection "{name}"'))


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidArgument(f"--set takes FIELD=VALUE, such as year=2024, got {text!r}")
    import msgspec

    try:
        return name, from_json_value(msgspec.json.decode(value))
    except msgspec.DecodeError:
        return name, value
