"""`vicino load`: the records of files, or of standard input, into a collection."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, get_args

import click

from vicino.cli.command import command as declare
from vicino.cli.create import read_texts
from vicino.cli.output import counted
from vicino.cli.session import Session
from vicino.collection.collection import Collection
from vicino.collection.columns import Columns
from vicino.collection.transfer import FileFormat, read_records
from vicino.database import Database
from vicino.env import RealEnv
from vicino.errors import InvalidArgument
from vicino.evaluate.judged_set import CORPUS_ID, corpus_of
from vicino.storage.files import absolute


@declare(
    "load",
    examples="""
    vicino load data docs texts.jsonl.gz
    vicino load data docs part-1.parquet part-2.parquet --map doc_id=id --map embedding=vector
    zcat texts.jsonl.gz | vicino load data docs -
    vicino load ./data papers judged/cranfield --text title+text
    """,
)
@click.argument("words", nargs=-1, metavar="[FOLDER] COLLECTION FILE...")
@click.option("--map", "mapping", multiple=True, metavar="COLUMN=NAME", help='Column of the file that is "id", a vector or a field.')
@click.option("--format", "file_format", type=click.Choice(get_args(FileFormat)), help="Format, where the file's name does not say it.")
@click.option("--if-exists", type=click.Choice(["replace", "raise"]), default="replace", show_default=True, help="For ids that exist.")
@click.option("--batch", type=click.IntRange(min=1), help="Records per commit; by default as many as 64 MiB hold.")
@click.option(
    "--text",
    "texts",
    multiple=True,
    metavar="FIELD[+FIELD][=ANALYZER]",
    help="Create the collection if it is not there, with this text index, as `vicino create` does; may be given again.",
)
@click.option("--model", help="Create the collection if it is not there, with this embedding model; needs --embed.")
@click.option("--embed", multiple=True, metavar="FIELD", help="With --model: field whose text it embeds; may be given again.")
@click.option("--optimize", is_flag=True, help="Afterwards seal, merge and build indexes, and wait for it.")
def command(
    session: Session, words: tuple[str, ...], mapping: tuple[str, ...], file_format: FileFormat | None, if_exists: str, batch: int | None,
    optimize: bool, texts: tuple[str, ...], model: str | None, embed: tuple[str, ...],
) -> None:  # fmt: skip
    """Write the records of Parquet, JSONL, CSV, NPY or Arrow files into a collection; "-" reads JSONL from standard input, and a folder
    with a corpus.jsonl is a judged set as BEIR lays it out.

    Records whose ids exist are replaced, so that a load that was interrupted can be started again.
    """
    folder, (name, *paths) = session.place(words, "COLLECTION", "FILE", more="FILE")
    renamed = dict(map(_pair, mapping))
    env = RealEnv()
    with session.database(folder, "rw") as database:
        collection = _collection(database, name, texts, model, embed)
        start = env.monotonic()
        count, commits = 0, 0
        for path in paths:
            records = _records(collection, path, renamed, file_format)
            write = collection.add if if_exists == "raise" else collection.upsert
            done = write(records, batch=batch or _batch_of(collection), progress=session.progress)
            count, commits = count + done.count, commits + done.commits
            session.detail(f"{path}: {done.count:,} records")
        if optimize:
            session.note("optimizing")
            collection.optimize()
        took_s = env.monotonic() - start
        totals = {"count": count, "commits": commits, "version": collection.version, "took_s": took_s}
        rate = f" ({count / took_s:,.0f} a second)" if took_s > 0 else ""
        summary = f'loaded {counted(count, "record")} into collection "{name}" in {took_s:.1f} s{rate}'
        session.finish({"folder": database.path, "collection": name, **totals}, lambda: click.echo(summary))


def _collection(database: Database, name: str, texts: tuple[str, ...], model: str | None, embed: tuple[str, ...]) -> Collection[Any]:
    """The collection of that name; made first if the options say what it is to be."""
    if not (texts or model or embed):
        return database.collection(name)
    return database.create_collection(name, text=read_texts(texts), model=model, embed=list(embed) or None, exist_ok=True)


def _batch_of(collection: Collection[Any]) -> int | None:
    """Texts take long to embed: small commits keep what is done when somebody interrupts, and let the progress be seen."""
    return 256 if collection.settings.model is not None else None


def _records(collection: Collection[Any], path: str, mapping: dict[str, str], file_format: FileFormat | None) -> Iterator[Columns]:
    if RealEnv().files.is_dir(absolute(path)):
        path, mapping = _corpus(path), {CORPUS_ID: "id", **mapping}
    if path != "-":
        return read_records(absolute(path), collection.settings, files=RealEnv().files, mapping=mapping, format=file_format)
    if file_format not in (None, "jsonl"):
        raise InvalidArgument(f"standard input is read as JSONL, got --format {file_format}; give the path of a file instead")
    from vicino.collection.jsonl import read_jsonl

    return read_jsonl(sys.stdin.buffer, "standard input", collection.settings, mapping)


def _corpus(folder: str) -> str:
    if found := corpus_of(folder):
        return found
    raise InvalidArgument(f"{absolute(folder)} is a folder without a corpus.jsonl; give the files to load themselves")


def _pair(text: str) -> tuple[str, str]:
    column, equals, name = text.partition("=")
    if not equals or not column or not name:
        raise InvalidArgument(f"--map takes COLUMN=NAME, such as doc_id=id, got {text!r}")
    return column, name
