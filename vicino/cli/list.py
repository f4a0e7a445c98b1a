"""`vicino list`: the collections of a database."""

from __future__ import annotations

import click

from vicino.cli import output
from vicino.cli.command import command as declare
from vicino.cli.session import Session
from vicino.database import CollectionInfo


@declare("list", examples="""
    vicino list
    vicino list data --json
    """)
@click.argument("words", nargs=-1, metavar="[FOLDER]")
def command(session: Session, words: tuple[str, ...]) -> None:
    """List the collections of a database with their sizes, vectors and aliases."""
    folder, _ = session.place(words)
    with session.database(folder) as database:
        infos = database.collections()

        def show() -> None:
            if not infos:
                session.note(f"{database.path} has no collections yet; `vicino create {folder} NAME --dim N` makes one")
                return
            rows = [(info.name, info.n_records, info.version, _vectors(info), ", ".join(info.aliases)) for info in infos]
            output.write_table(["collection", "records", "version", "vectors", "aliases"], rows, numeric=["records", "version"])

        session.finish({"folder": database.path, "collections": [_document(info) for info in infos]}, show)


def _vectors(info: CollectionInfo) -> str:
    return ", ".join(f"{name} {spec.dim} {spec.dtype} {spec.metric}" for name, spec in info.vectors.items())


def _document(info: CollectionInfo) -> dict[str, object]:
    return {
        "name": info.name,
        "n_records": info.n_records,
        "version": info.version,
        "vectors": {name: spec.to_json() for name, spec in info.vectors.items()},
        "aliases": list(info.aliases),
    }
