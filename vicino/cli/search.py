"""`vicino search`: the records that answer a query, as a table, or with everything about each hit as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from vicino.cli import output
from vicino.cli.command import command as declare
from vicino.cli.query import Question, search_options
from vicino.cli.session import Session
from vicino.errors import InvalidArgument
from vicino.query.hit import Hit


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
    vicino search data docs --like article-3 --unlike article-9
    vicino search data docs --order-by -year --where "lang == 'en'"
    vicino search data docs --query hybrid.json --rerank path/to/cross-encoder
    echo "a gift for a drummer" | vicino search data products -
    """,
)
@search_options
@click.option("--select", multiple=True, metavar="FIELD", help="Field to show; may be given again. All by default.")
@click.option("--vectors", is_flag=True, help="With --json: the vectors as well.")
@click.option("--highlights", is_flag=True, help="With --json: where the words of the query stand in each hit.")
def command(
    session: Session, words: tuple[str, ...], where: str | None, select: tuple[str, ...], vectors: bool, highlights: bool, **options: Any
) -> None:
    """Find the records that answer QUERY: a text, a vector as a JSON array, or a query of parts as a JSON object."""
    question = Question(session, words, options)
    name = question.collection
    with session.database(question.folder) as database:
        collection = database.collection(name)
        results: Any = collection.search(**question.arguments(collection), where=read_where(where), select=select or None, vectors=vectors)
        if options.get("group_by"):
            show_groups(session, name, results, highlights)
            return

        def show() -> None:
            output.records_table([([hit.id, f"{hit.score:.4f}"], hit.fields) for hit in results], ["id", "score"], ["score"])

        facts = {"collection": name, "version": results.version, "took_s": results.took_s}
        document: dict[str, Any] = {**facts, "recall": results.recall, "hits": [hit_document(hit, highlights) for hit in results]}
        if options.get("cursor") is not None:
            document["next_cursor"] = results.next_cursor
            if results.next_cursor is not None and not session.is_json:
                session.note(f"the next page: --cursor {results.next_cursor}")
        session.finish(document, show if results else lambda: session.note("no record matches"))
        _tell(session, results.plan)


def _tell(session: Session, plan: Any) -> None:
    """Advice of the plan is for those who ask for it; that the order is not the one asked for is for everybody."""
    for note in plan.notes:
        (session.note if note.startswith("reranker ") else session.detail)(note)


def show_groups(session: Session, name: str, groups: Any, highlights: bool) -> None:
    def show() -> None:
        rows = [([str(group.key), hit.id, f"{hit.score:.4f}"], hit.fields) for group in groups for hit in group.hits]
        output.records_table(rows, [groups.field, "id", "score"], ["score"])

    shown = [{"key": group.key, "hits": [hit_document(hit, highlights) for hit in group.hits], **_looked_up(group)} for group in groups]
    document = {"collection": name, "version": groups.version, "took_s": groups.took_s, "groups": shown}
    session.finish(document, show if len(groups) else lambda: session.note("no record matches"))
    _tell(session, groups.plan)


def _looked_up(group: Any) -> dict[str, Any]:
    return {} if group.lookup is None else {"lookup": {"id": group.lookup.id, "fields": group.lookup.fields}}


def hit_document(hit: Hit[Any], highlights: bool) -> dict[str, Any]:
    document = {"id": hit.id, "score": hit.score, "distance": hit.distance, "fields": hit.fields}
    if hit.scores:
        document["scores"] = hit.scores
    if hit.matched:
        document["matched"] = hit.matched
    if highlights:
        document["highlights"] = {field: [asdict(fragment) for fragment in found] for field, found in hit.highlights.items()}
    return document | ({"vectors": {name: row.tolist() for name, row in hit.vectors.items()}} if hit.has_vectors else {})
