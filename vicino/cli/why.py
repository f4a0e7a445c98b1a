"""`vicino why`: which stage of a search lost a record."""

from __future__ import annotations

from typing import Any

import click

from vicino.cli.command import command as declare
from vicino.cli.query import Question, search_options
from vicino.cli.record_ids import ID_TYPES, IdType, read_ids
from vicino.cli.search import read_where
from vicino.cli.session import Session

_NOT_ASKED = ("cursor", "lookup")
"""Options of a search that have nothing to do with which records are found."""


@declare(
    "why",
    examples="""
    vicino why data docs "how do wings stall" --id article-17
    vicino why data docs "error E1042" --id 42 --where "year >= 2020" --json
    """,
)
@search_options
@click.option("--id", "record_id", required=True, metavar="ID", help="The record that is asked about.")
@click.option("--record-id-type", type=click.Choice(ID_TYPES), default="auto", help="What the id is.")
def command(session: Session, words: tuple[str, ...], where: str | None, record_id: str, record_id_type: IdType, **options: Any) -> None:
    """Follow a record through a search and name the stage that lost it: condition, graph, words, fusion, reranker, page and so on."""
    if given := [f"--{name}" for name in _NOT_ASKED if options.pop(name) is not None]:
        raise click.UsageError(f"{given[0]} does not decide which records are found; leave it out.")
    question = Question(session, words, options)
    with session.database(question.folder) as database:
        collection = database.collection(question.collection)
        (wanted,) = read_ids(collection, [record_id], record_id_type)
        found = collection.why(record_id=wanted, **question.arguments(collection), where=read_where(where))
        session.finish(found.to_dict(), lambda: click.echo(repr(found)))
