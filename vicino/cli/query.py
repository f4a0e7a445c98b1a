"""What `vicino search` and `vicino explain` ask: the ways of saying a query on a command line, and the options both take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click
import numpy as np

from vicino.cli.index_options import read_rescoring
from vicino.cli.record_ids import ID_TYPES, IdType, read_ids
from vicino.cli.session import Session, read_argument, read_text
from vicino.errors import InvalidArgument

_OPTIONS: list[Callable[[Any], Any]] = [
    click.argument("words", nargs=-1, metavar="[FOLDER] COLLECTION [QUERY]"),
    click.option("--query", "query_file", metavar="FILE", help="Instead of QUERY: a file that holds one, - for standard input."),
    click.option("--like", multiple=True, metavar="ID", help="Instead of QUERY: records like this one; may be given again."),
    click.option("--unlike", multiple=True, metavar="ID", help="With --like: and unlike this one; may be given again."),
    click.option("--id-type", type=click.Choice(ID_TYPES), default="auto", help="With --like: what the ids are."),
    click.option("--order-by", metavar="FIELD", help="Instead of QUERY: by a field, smallest first; -FIELD largest first."),
    click.option("--where", help="Condition in Python syntax, such as \"year >= 2020 and 'red' in colors\", or as JSON."),
    click.option("-n", "--limit", type=int, default=10, show_default=True, help="Number of hits."),
    click.option("--offset", type=int, default=0, help="Hits to skip."),
    click.option("--cursor", help='Page by page within one version: "" for the first page, then what the page before printed.'),
    click.option("--vector", help="Name of the vector to search, if there are several."),
    click.option("--min-score", type=float, help="Leave out hits below this score."),
    click.option(
        "--mode",
        type=click.Choice(["auto", "dense", "text", "hybrid"]),
        default="auto",
        help="How a text is answered: by its meaning, by its words, by both.",
    ),
    click.option("--rerank", metavar="NAME", help="Reranker for the best hits: a folder, a name, or a service like cohere/MODEL."),
    click.option("--diversity", type=float, help="0 to 1: how much the hits should differ from each other."),
    click.option("--group-by", metavar="FIELD", help="Give the best values of a field, each with its best hits."),
    click.option("--group-size", type=int, default=3, show_default=True, help="With --group-by: hits of each group."),
    click.option("--lookup", metavar="COLLECTION", help="With --group-by: the records of it whose ids are the values."),
    click.option("--exact", is_flag=True, help="Score every candidate."),
    click.option("--ef", type=int, help="Beam of the graph walk; larger finds more and takes longer."),
    click.option("--nprobe", type=int, help="Inverted lists scanned; more find more and take longer."),
    click.option("--rescore", metavar="HOW", help='How what codes found is scored: bound, off, or so many times the limit by the vectors.'),
    click.option("--recall", type=float, help="Share of the true nearest records to be found, such as 0.97."),
    click.option("--timeout", type=float, metavar="SECONDS", help="Give up after this long."),
]


def search_options(function: Any) -> Any:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


class Question:
    """A query as it was typed, before there is a collection to ask."""

    def __init__(self, session: Session, words: Sequence[str], options: dict[str, Any]) -> None:
        """Takes what says the query out of `options`; those that are left are for `Collection.search`."""
        self._file: str | None = options.pop("query_file")
        self._like, self._unlike = options.pop("like"), options.pop("unlike")
        self._id_type: IdType = options.pop("id_type")
        self._order_by: str | None = options.pop("order_by")
        self._rerank: str | None = options.pop("rerank")
        options["rescore"] = read_rescoring(options["rescore"])
        self._options = options
        said = {"--query": self._file is not None, "--like": bool(self._like or self._unlike), "--order-by": self._order_by is not None}
        ways = [flag for flag, is_given in said.items() if is_given]
        if len(ways) > 1:
            raise click.UsageError(f"{' and '.join(ways)} both say the query; give one of them.")
        if ways:
            self.folder, (self.collection,) = session.place(words, "COLLECTION")
            self._text = None
        else:
            self.folder, (self.collection, self._text) = session.place(words, "COLLECTION", "QUERY")

    def arguments(self, collection: Any) -> dict[str, Any]:
        """What `Collection.search` and `Collection.explain` take."""
        options = dict(self._options)
        if self._rerank is not None:
            from vicino.models import load_reranker

            options["rerank"] = load_reranker(self._rerank)
        return {"query": self._query(collection, options), **options}

    def _query(self, collection: Any, options: dict[str, Any]) -> Any:
        if self._order_by is not None:
            from vicino.query.parts import OrderBy

            return OrderBy(self._order_by)
        if self._like or self._unlike:
            from vicino.query.examples import Like

            like, unlike = (read_ids(collection, ids, self._id_type) for ids in (self._like, self._unlike))
            return Like(like, unlike=unlike, vector=options.pop("vector", None))
        return read_query(read_text(self._file) if self._file is not None else read_argument(self._text or ""))


def read_query(given: str) -> Any:
    """A query as text: a JSON array of numbers is a vector, a JSON object a part of a query, anything else words."""
    if not given.startswith(("[", "{")):
        return given
    import msgspec

    if given.startswith("{"):
        from vicino.query.part import Part

        try:
            part = Part.from_json(msgspec.json.decode(given))
        except msgspec.DecodeError as error:
            raise InvalidArgument(f"a query that begins with {{ is a part of a query as a JSON object: {error}") from error
        _load_rerankers(part)
        return part
    try:
        return np.array(msgspec.json.decode(given, type=list[float]))
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"a query that begins with [ is a vector as a JSON array of numbers: {error}") from error


def _load_rerankers(part: Any) -> None:
    """Whoever types a query may name any reranker in it, also a folder or a service: it is their machine."""
    from vicino.models import load_reranker, register_reranker
    from vicino.query.parts import Rerank

    if isinstance(part, Rerank) and isinstance(part.reranker, str):
        register_reranker(part.reranker, load_reranker(part.reranker))
    for inner in part.parts_inside:
        _load_rerankers(inner)
