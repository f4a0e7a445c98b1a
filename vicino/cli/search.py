"""`vicino search`, and what it shares with `vicino explain`: options, query and condition as they are typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import numpy as np

from vicino.cli import output
from vicino.cli.command import command as declare
from vicino.cli.session import Session, read_argument
from vicino.errors import InvalidArgument
from vicino.query.hit import Hit

_OPTIONS: list[Callable[[Any], Any]] = [
    click.argument("words", nargs=-1, metavar="[FOLDER] COLLECTION QUERY"),
    click.option("--where", help="Condition in Python syntax, such as \"year >= 2020 and 'red' in colors\", or as JSON."),
    click.option("-n", "--limit", type=int, default=10, show_default=True, help="Number of hits."),
    click.option("--offset", type=int, default=0, help="Hits to skip."),
    click.option("--vector", help="Name of the vector to search, if there are several."),
    click.option("--min-score", type=float, help="Leave out hits below this score."),
    click.option(
        "--mode",
        type=click.Choice(["auto", "dense", "text", "hybrid"]),
        default="auto",
        help="How a text is answered: by its meaning, by its words, by both.",
    ),
    click.option("--diversity", type=float, help="0 to 1: how much the hits should differ from each other."),
    click.option("--group-by", metavar="FIELD", help="Give the best values of a field, each with its best hits."),
    click.option("--group-size", type=int, default=3, show_default=True, help="With --group-by: hits of each group."),
    click.option("--exact", is_flag=True, help="Score every candidate."),
    click.option("--ef", type=int, help="Beam of the graph walk; larger finds more and takes longer."),
    click.option("--timeout", type=float, metavar="SECONDS", help="Give up after this long."),
]


def search_options(function: Any) -> Any:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def read_query(text: str) -> Any:
    """A query as typed: a JSON array of numbers is a vector, a JSON object a part of a query, anything else a text; "-" stands for
    standard input."""
    given = read_argument(text)
    if not given.startswith(("[", "{")):
        return given
    import msgspec

    if given.startswith("{"):
        from vicino.query.part import Part

        try:
            return Part.from_json(msgspec.json.decode(given))
        except msgspec.DecodeError as error:
            raise InvalidArgument(f"a query that begins with {{ is a part of a query as a JSON object: {error}") from error

    try:
        return np.array(msgspec.json.decode(given, type=list[float]))
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"a query that begins with [ is a vector as a JSON array of numbers: {error}") from error


def read_where(text: str | None) -> Any:
    """A condition as typed: a JSON object, or a text in Python syntax."""
    if text is None or not text.lstrip().startswith("{"):
        return text
    import msgspec

    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"a condition that begins with {{ is a JSON object: {error}") from error


@declare(
    "search",
    examples="""
    vicino search data docs "how do wings stall" --where "year >= 2020" -n 3
    vicino search data images "[0.12, 0.5, 0.33]" --json
    vicino search data docs "error E1042" --mode text --group-by product
    echo "a gift for a drummer" | vicino search data products -
    """,
)
@search_options
@click.option("--select", multiple=True, metavar="FIELD", help="Field to show; may be given again. All by default.")
@click.option("--vectors", is_flag=True, help="With --json: the vectors as well.")
def command(session: Session, words: tuple[str, ...], where: str | None, select: tuple[str, ...], vectors: bool, **options: Any) -> None:
    """Find the records that answer QUERY: a text, a vector as a JSON array, or a query of parts as a JSON object."""
    folder, (name, query) = session.place(words, "COLLECTION", "QUERY")
    with session.database(folder) as database:
        collection = database.collection(name)
        results: Any = collection.search(read_query(query), where=read_where(where), select=select or None, vectors=vectors, **options)
        if options.get("group_by"):
            show_groups(session, name, results)
            return

        def show() -> None:
            output.records_table([([hit.id, f"{hit.score:.4f}"], hit.fields) for hit in results], ["id", "score"], ["score"])

        facts = {"collection": name, "version": results.version, "took_s": results.took_s}
        document = {**facts, "hits": [hit_document(hit) for hit in results]}
        session.finish(document, show if results else lambda: session.note("no record matches"))
        for note in results.plan.notes:
            session.detail(note)


def show_groups(session: Session, name: str, groups: Any) -> None:
    def show() -> None:
        rows = [([str(group.key), hit.id, f"{hit.score:.4f}"], hit.fields) for group in groups for hit in group.hits]
        output.records_table(rows, [groups.field, "id", "score"], ["score"])

    shown = [{"key": group.key, "hits": [hit_document(hit) for hit in group.hits]} for group in groups]
    document = {"collection": name, "version": groups.version, "took_s": groups.took_s, "groups": shown}
    session.finish(document, show if len(groups) else lambda: session.note("no record matches"))
    for note in groups.plan.notes:
        session.detail(note)


def hit_document(hit: Hit[Any]) -> dict[str, Any]:
    document = {"id": hit.id, "score": hit.score, "distance": hit.distance, "fields": hit.fields}
    if hit.scores:
        document["scores"] = hit.scores
    if hit.matched:
        document["matched"] = hit.matched
    return document | ({"vectors": {name: row.tolist() for name, row in hit.vectors.items()}} if hit.has_vectors else {})
