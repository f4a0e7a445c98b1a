"""`vicino export`: records into a file, or as JSON lines to standard output."""

from __future__ import annotations

import sys

import click

from vicino.cli.command import command as declare
from vicino.cli.output import counted
from vicino.cli.search import read_where
from vicino.cli.session import Session
from vicino.collection.collection import Collection
from vicino.errors import InvalidArgument
from vicino.storage.files import absolute


@declare(
    "export",
    examples="""
    vicino export data docs docs.parquet
    vicino export data docs new.jsonl.gz --where "year >= 2020" --no-vectors
    vicino export data docs - | head
    vicino export data docs saved.jsonl --rescue
    """,
)
@click.argument("words", nargs=-1, metavar="[FOLDER] COLLECTION FILE")
@click.option("--where", help="Only the records that meet a condition.")
@click.option("--format", "file_format", type=click.Choice(["parquet", "jsonl"]), help="Format, where the file's name does not say it.")
@click.option("--no-vectors", is_flag=True, help="Leave the vectors out.")
@click.option("--rescue", is_flag=True, help="Read what damage has left.")
def command(
    session: Session, words: tuple[str, ...], where: str | None, file_format: str | None, no_vectors: bool, rescue: bool
) -> None:
    """Write the records of one moment to a file that appears when it is whole; "-" writes JSON lines to standard output."""
    folder, (name, path) = session.place(words, "COLLECTION", "FILE")
    with session.database(folder, "rescue" if rescue else "r") as database:
        collection = database.collection(name)
        if path == "-":
            if session.is_json or file_format == "parquet":
                raise InvalidArgument("standard output takes the records as JSON lines, without --json and --format parquet")
            _to_stdout(collection, where, vectors=not no_vectors)
            return
        chosen = "parquet" if file_format == "parquet" else "jsonl" if file_format == "jsonl" else None
        count = collection.export(path, format=chosen, where=read_where(where), vectors=not no_vectors)
        document = {"folder": database.path, "collection": name, "file": absolute(path), "count": count}
        session.finish(document, lambda: click.echo(f"wrote {counted(count, 'record')} to {path}"))


def _to_stdout(collection: Collection[object], where: str | None, *, vectors: bool) -> None:
    from itertools import islice

    from vicino.collection.jsonl import write_jsonl

    views = collection.iter(where=read_where(where), vectors=vectors)
    write_jsonl(iter(lambda: list(islice(views, 1000)), []), sys.stdout.buffer, collection.settings)
    sys.stdout.buffer.flush()
