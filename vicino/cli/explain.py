"""`vicino explain`: how a search went."""

from __future__ import annotations

from typing import Any

import click

from vicino.cli.command import command as declare
from vicino.cli.query import Question, search_options
from vicino.cli.search import read_where
from vicino.cli.session import Session


@declare(
    "explain",
    examples="""
    vicino explain data docs "how do wings stall" --where "year >= 2020"
    vicino explain data images "[0.12, 0.5, 0.33]" --exact --json
    """,
)
@search_options
def command(session: Session, words: tuple[str, ...], where: str | None, **options: Any) -> None:
    """Run a search and say how it went: strategy, rows and time per segment, and how the filter was answered."""
    question = Question(session, words, options)
    with session.database(question.folder) as database:
        collection = database.collection(question.collection)
        plan = collection.explain(**question.arguments(collection), where=read_where(where))
        session.finish(plan.to_dict(), lambda: click.echo(repr(plan)))
