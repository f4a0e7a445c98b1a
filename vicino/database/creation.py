"""From the arguments of `create_collection` to the settings of a collection, and from what is stored of models to models."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vicino.collection.index_spec import IndexSpec
from vicino.collection.schema import Schema
from vicino.collection.searching import TextModel
from vicino.collection.settings import AnyVectorSpec, Settings
from vicino.collection.value_specs import TextSpec, default_text_name, replace_text
from vicino.collection.vector_spec import Index, VectorSpec
from vicino.errors import InvalidArgument, SchemaError, shortened
from vicino.types import DEFAULT_VECTOR, Dtype, Metric


def load_embedder(model: Any) -> Any:
    """The embedder meant by a name, a folder, or itself."""
    from vicino import models

    return models.load(model) if isinstance(model, str | os.PathLike) else model


def text_model_of(stored: Mapping[str, Any] | None, embedder: Any = None) -> TextModel | None:
    """The model that settings name, loaded when it is first used; `embedder` is it where it is at hand."""
    if stored is None:
        return None
    if embedder is not None:
        return TextModel(lambda: embedder)

    def load() -> Any:
        from vicino import models

        found = models.load(stored.get("location") or stored["name"])
        models.check_identity(stored, found)
        return found

    return TextModel(load)


def reranker_named(name: str) -> Any:
    """The reranker of a name, as queries give it."""
    from vicino.models.rerank import named_reranker

    return named_reranker(name)


def settings_of(
    dim: int | None, metric: Metric, dtype: Dtype, index: Index, vectors: Mapping[str, AnyVectorSpec] | None, embedder: Any,
    embed: str | Sequence[str] | None, text: Any, schema: Any, ttl: str | None, auto_index: bool,
    recall: float | None = None, keep_queries: int = 0, keep_raw: bool = True,
) -> Settings:  # fmt: skip
    settings = Settings(auto_index=auto_index, keep_queries=keep_queries)
    if vectors is not None and dim is not None:
        raise InvalidArgument('give dim= for one vector or vectors= for several by name, not both; add "vector" to vectors=')
    if embedder is not None:
        if dim is not None and dim != embedder.dim:
            raise InvalidArgument(f'model "{embedder.name}" makes vectors of {embedder.dim} dimensions, got dim={dim}; leave dim out')
        dim = embedder.dim
    if dim is not None:
        settings = settings.with_vector(DEFAULT_VECTOR, VectorSpec(dim, metric, dtype, index, recall, keep_raw))
    else:
        usual_index = (IndexSpec.read(index), IndexSpec())
        _expect_usual(
            metric=(metric, "cosine"), dtype=(dtype, "float32"), index=usual_index, recall=(recall, None), keep_raw=(keep_raw, True)
        )
    for name, spec in (vectors or {}).items():
        settings = settings.with_vector(name, spec)
    fields = [embed] if isinstance(embed, str) else list(embed or ())
    if embedder is not None:
        if not fields:
            raise InvalidArgument('a collection with model= needs embed=, the field or fields whose text is embedded, such as embed="text"')
        settings = settings.with_model(embedder.identity(), fields)
    elif fields:
        raise InvalidArgument('embed= needs model=, such as model="minilm"; without one, hand vectors in yourself')
    for name, spec in text_specs(text, fields).items():
        settings = settings.with_text(name, spec)
    read = Schema() if schema is None else Schema.read(schema, vector_names=settings.vector_names)
    if ttl is not None and not isinstance(ttl, str):
        raise SchemaError(f"ttl is the name of a datetime field, got {type(ttl).__name__} {ttl!r}")
    settings = replace(settings, schema=read, ttl=ttl)
    return settings.with_index(ttl, "scalar") if ttl is not None else settings


def _expect_usual(**options: tuple[Any, Any]) -> None:
    """Options of the one vector, beside what they are when nobody gives them. Raises InvalidArgument where there is no such vector."""
    for name, (given, usual) in options.items():
        if given != usual:
            raise InvalidArgument(
                f"{name}={shortened(given)} is of the vector that dim= or model= declares, and neither was given; "
                "give each VectorSpec in vectors= its own"
            )


def text_specs(text: Any, embed: Sequence[str]) -> dict[str, TextSpec]:
    """The text indexes that `text=` asks for, by name: over the fields named; by default one over the fields that are embedded."""
    if text is None or text is True:
        return {default_text_name(embed): TextSpec(tuple(embed))} if embed else {}
    if text is False:
        return {}
    if isinstance(text, TextSpec):
        if not (fields := text.fields or tuple(embed)):
            raise InvalidArgument('text=TextSpec(...) must say which fields it covers: text=TextSpec("body"), or text={"body": TextSpec()}')
        return {default_text_name(fields): replace_text(text, fields=fields)}
    if isinstance(text, str):
        return {text: TextSpec(text)}
    if isinstance(text, Mapping):
        specs = {name: TextSpec(language=spec) if isinstance(spec, str) else spec for name, spec in text.items()}
        if odd := [name for name, spec in specs.items() if not isinstance(spec, TextSpec)]:
            raise InvalidArgument(f'text["{odd[0]}"] must be a vicino.TextSpec or a language, got {text[odd[0]]!r}')
        return specs
    if isinstance(text, Sequence):
        return {name: TextSpec(name) for name in text}
    raise InvalidArgument(f"text must be field names, a TextSpec or a mapping of names to TextSpec, got {type(text).__name__} {text!r}")
