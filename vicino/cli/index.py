"""`vicino index`: another index for a vector of a collection in use."""

from __future__ import annotations

from typing import get_args

import click

from vicino.cli.command import command as declare
from vicino.cli.index_options import index_option, read_index
from vicino.cli.session import Session
from vicino.types import DEFAULT_VECTOR, Codes


@declare(
    "index",
    examples="""
    vicino index data docs hnsw --index-option m=32
    vicino index data docs ivf_pq --index-option nlist=1024 --index-option bits=8
    vicino index data docs graph --codes 8bit --vector title
    """,
)
@click.argument("words", nargs=-1, metavar="[FOLDER] COLLECTION KIND")
@index_option
@click.option("--codes", type=click.Choice(get_args(Codes)), default="auto", show_default=True, help="What the index reads before vectors.")
@click.option("--vector", help="Name of the vector, if there are several.")
def command(session: Session, words: tuple[str, ...], index_options: tuple[str, ...], codes: Codes, vector: str | None) -> None:
    """Give a vector another index, and wait until it is built. KIND: auto, flat, graph, hnsw, ivf_flat, ivf, ivf_pq, ivf_opq, ivf_hnsw."""
    folder, (name, kind) = session.place(words, "COLLECTION", "KIND")
    spec = read_index(kind, index_options, codes=codes)
    with session.database(folder, "rw") as database:
        collection = database.collection(name)
        collection.set_index(spec, vector=vector).wait()
        specs = collection.settings.specs
        changed = vector or (DEFAULT_VECTOR if DEFAULT_VECTOR in specs else next(iter(specs)))
        document = {"folder": database.path, "collection": name, "vector": changed, "index": spec.to_json()}
        session.finish(document, lambda: click.echo(f'vector "{changed}" of collection "{name}" has {spec!r}'))
