"""`vicino explain`: how a search went."""

from __future__ import annotations

from typing import Any

import click

from vicino.cli.command import command as declare
from vicino.cli.search import read_query, read_where, search_options
from vicino.cli.session import Session


@declare("explain", examples="""
    vicino explain data docs "how do wings stall" --where "year >= 2020"
    vicino explain data images "[0.12, 0.5, 0.33]" --exact --json
    """)
@search_options
def command(session: Session, words: tuple[str, ...], where: str | None, **options: Any) -> None:
    """Run a search and say how it went: strategy, rows and time per segment, and how the filter was answered."""
    folder, (name, query) = session.place(words, "COLLECTION", "QUERY")
    with session.database(folder) as database:
        plan = database.collection(name).explain(read_query(query), where=read_where(where), **options)
        session.finish(plan.to_dict(), lambda: click.echo(repr(plan)))
