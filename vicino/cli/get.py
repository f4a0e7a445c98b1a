"""`vicino get`: records by id."""

from __future__ import annotations

from typing import Any

import click

from vicino.cli import output
from vicino.cli.command import command as declare
from vicino.cli.record_ids import ID_TYPES, IdType, read_ids
from vicino.cli.session import Session
from vicino.errors import NotFoundError
from vicino.query.hit import RecordView


@declare("get", examples="""
    vicino get data docs 17 article-3
    vicino get data docs 17 --vectors --json
    """)
@click.argument("words", nargs=-1, metavar="[FOLDER] COLLECTION ID...")
@click.option("--select", multiple=True, metavar="FIELD", help="Field to show; may be given again. All by default.")
@click.option("--vectors", is_flag=True, help="With --json: the vectors as well.")
@click.option("--id-type", type=click.Choice(ID_TYPES), default="auto", show_default=True, help="What the ids are.")
def command(session: Session, words: tuple[str, ...], select: tuple[str, ...], vectors: bool, id_type: IdType) -> None:
    """Print records by id. Those that do not exist are null in JSON; then the exit code is 3."""
    folder, (name, *ids) = session.place(words, "COLLECTION", "ID", more="ID")
    with session.database(folder) as database:
        collection = database.collection(name)
        found = collection.get(read_ids(collection, ids, id_type), select=select or None, vectors=vectors)
        there = [view for view in found if view is not None]
        session.finish(
            {"collection": name, "records": [None if view is None else _document(view) for view in found]},
            lambda: output.records_table([([view.id, view.version], view.fields) for view in there], ["id", "version"], ["version"]),
        )
        if missing := [word for word, view in zip(ids, found, strict=True) if view is None]:
            raise NotFoundError(f'collection "{name}" has no record {", ".join(missing)}')


def _document(view: RecordView[Any]) -> dict[str, Any]:
    document: dict[str, Any] = {"id": view.id, "version": view.version, "fields": view.fields}
    return document | ({"vectors": {name: row.tolist() for name, row in view.vectors.items()}} if view.has_vectors else {})
