"""`vicino create`: a collection, from its options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import click

from vicino.cli.command import command as declare
from vicino.cli.index_options import index_option, read_index
from vicino.cli.session import Session
from vicino.collection.value_specs import TextSpec, default_text_name
from vicino.collection.vector_spec import VectorSpec
from vicino.errors import InvalidArgument
from vicino.text.analyzer import Analyzer, Tokenizer
from vicino.types import Codes, Dtype, IndexKind, Metric


@declare(
    "create",
    examples="""
    vicino create data docs --model minilm --embed title --embed text
    vicino create data images --dim 768 --metric cosine
    vicino create data far --dim 768 --index ivf_pq --index-option nlist=1024 --index-option bits=8
    vicino create data notes --text title+body --text tags=keyword --text code=code
    vicino create data pages --vector title:384 --vector body:768:dot:float16 --field year:integer --field tags:list[string]?
    """,
)
@click.argument("words", nargs=-1, metavar="[FOLDER] COLLECTION")
@click.option("--dim", type=int, help='Dimensions of the one vector, named "vector".')
@click.option("--metric", type=click.Choice(get_args(Metric)), default="cosine", show_default=True)
@click.option("--dtype", type=click.Choice(get_args(Dtype)), default="float32", show_default=True)
@click.option("--index", type=click.Choice(get_args(IndexKind)), default="auto", show_default=True)
@index_option
@click.option("--codes", type=click.Choice(get_args(Codes)), default="auto", show_default=True, help="What the index reads before vectors.")
@click.option("--vector", "vectors", multiple=True, metavar="NAME:DIM[:METRIC[:DTYPE[:INDEX]]]", help="A named vector; may be given again.")
@click.option("--model", help='Embedding model: a name from `vicino models list`, or a folder with a model.onnx.')
@click.option("--embed", multiple=True, metavar="FIELD", help="Field whose text the model embeds; may be given again.")
@click.option(
    "--text",
    "texts",
    multiple=True,
    metavar="FIELD[+FIELD][=ANALYZER]",
    help="Field to search by words, or fields as one; may be given again. ANALYZER: a language such as de, or code, keyword, edge, ngram.",
)
@click.option("--field", "fields", multiple=True, metavar="NAME:TYPE", help='Field, as year:integer or tags:list[string]?; ? allows null.')
@click.option("--closed", is_flag=True, help="Refuse fields that are not declared.")
@click.option("--ttl", metavar="FIELD", help="Datetime field at whose instant a record vanishes.")
@click.option("--recall", type=float, help="Share of the true nearest records that searches are to find, such as 0.95.")
@click.option("--keep-queries", type=int, default=0, metavar="N", help="Keep the latest N queries to measure recall with them.")
@click.option("--no-raw", is_flag=True, help="Keep vectors in 8 bits a number: a quarter of the size, near to what was written.")
@click.option("--no-auto-index", is_flag=True, help="Never index fields because filters use them.")
@click.option("--exist-ok", is_flag=True, help="Succeed if it exists with the same settings.")
def command(
    session: Session, words: tuple[str, ...], dim: int | None, vectors: tuple[str, ...], fields: tuple[str, ...], closed: bool,
    embed: tuple[str, ...], texts: tuple[str, ...], no_auto_index: bool, no_raw: bool, index: IndexKind, codes: Codes,
    index_options: tuple[str, ...], **options: Any,
) -> None:  # fmt: skip
    """Create a collection, and the database if there is none."""
    folder, (name,) = session.place(words, "COLLECTION")
    schema = _schema(fields, closed)
    with session.database(folder, "rw") as database:
        collection = database.create_collection(
            name,
            dim=dim,
            vectors=dict(map(_vector, vectors)) or None,
            embed=list(embed) or None,
            text=read_texts(texts),
            schema=schema,
            auto_index=not no_auto_index,
            keep_raw=not no_raw,
            index=read_index(index, index_options, codes=codes),
            **options,
        )
        specs = {vector: spec.to_json() for vector, spec in collection.settings.specs.items()}
        indexes = {text: _described(slot.spec) for text, slot in collection.settings.texts.items()}
        document = {"folder": database.path, "collection": name, "vectors": specs, "texts": indexes, "schema": collection.schema.to_json()}
        session.finish(document, lambda: click.echo(f"{collection!r} in {database.path}"))


def _described(spec: TextSpec) -> dict[str, Any]:
    return {"fields": list(spec.fields), "analyzer": spec.analyzer.describe()}


def read_texts(options: Sequence[str]) -> dict[str, TextSpec] | None:
    """The text indexes that `--text` asks for, by name; None without the option."""
    return dict(map(_text, options)) or None


def _text(option: str) -> tuple[str, TextSpec]:
    names, equals, analyzer = option.partition("=")
    fields = tuple(names.split("+"))
    if not all(fields) or (equals and not analyzer):
        raise InvalidArgument(f"--text takes FIELD[+FIELD][=ANALYZER], such as title+body or code=code, got {option!r}")
    if not analyzer:
        return default_text_name(fields), TextSpec(fields)
    tokenizers: dict[str, Any] = {tokenizer: tokenizer for tokenizer in get_args(Tokenizer)}
    if analyzer in tokenizers:
        return default_text_name(fields), TextSpec(fields, analyzer=Analyzer(tokenizer=tokenizers[analyzer]))
    return default_text_name(fields), TextSpec(fields, language=analyzer)


def _vector(text: str) -> tuple[str, VectorSpec]:
    name, *parts = text.split(":")
    if not 1 <= len(parts) <= 4 or not parts[0].isdigit():
        raise InvalidArgument(f"--vector takes NAME:DIM[:METRIC[:DTYPE[:INDEX]]], such as title:384 or title:384:dot, got {text!r}")
    options: dict[str, Any] = dict(zip(("metric", "dtype", "index"), parts[1:], strict=False))
    return name, VectorSpec(int(parts[0]), **options)


def _schema(fields: tuple[str, ...], closed: bool) -> Any:
    from vicino.collection.schema import Schema

    declared = {}
    for text in fields:
        name, colon, kind = text.rpartition(":")
        if not colon or not name:
            raise InvalidArgument(f"--field takes NAME:TYPE, such as year:integer, got {text!r}")
        declared[name] = kind
    return Schema(declared, closed=closed) if declared or closed else None
