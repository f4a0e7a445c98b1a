"""What a collection may hold beside one vector a name: sparse vectors, multi-vectors, and the text indexes over its fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from vicino.errors import InvalidArgument, close_match
from vicino.text.analyzer import Analyzer

MultiDtype = Literal["float32", "float16", "int8"]
MultiMetric = Literal["cosine", "dot"]
DIM_MAX = 65536
TEXT_FIELDS_MAX = 64


@dataclass(frozen=True, slots=True)
class SparseSpec:
    """A named sparse vector: pairs of a 32-bit index and a weight, compared by dot product.

    idf: each weight of a query is multiplied by `ln(1 + (N - n + 0.5) / (n + 0.5))` of its index, N being the live records that have the
    vector and n those of them that have the index; for weights that count words, as models such as BM42 or a hashed bag of words give them.
    """

    idf: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.idf, bool):
            raise InvalidArgument(f"idf must be True or False, got {self.idf!r}")

    def to_json(self) -> dict[str, Any]:
        return {"kind": "sparse", "idf": self.idf}


@dataclass(frozen=True, slots=True)
class MultiSpec:
    """A named multi-vector: any number of vectors of one length a record (one a token or a page patch, as ColBERT and ColPali make them).

    A record's similarity to a query is MaxSim: for every query vector the largest similarity to any of the record's, summed
    (Khattab and Zaharia, 2020). dim: 1 to 65536. metric: cosine or dot.
    """

    dim: int
    metric: MultiMetric = "cosine"
    dtype: MultiDtype = "float32"

    def __post_init__(self) -> None:
        if not isinstance(self.dim, int | np.integer) or isinstance(self.dim, bool) or not 1 <= self.dim <= DIM_MAX:
            raise InvalidArgument(f"dim must be an integer between 1 and {DIM_MAX}, got {self.dim!r}")
        object.__setattr__(self, "dim", int(self.dim))
        for name, value, choices in (("metric", self.metric, get_args(MultiMetric)), ("dtype", self.dtype, get_args(MultiDtype))):
            if value not in choices:
                raise InvalidArgument(f"{name} must be one of {', '.join(choices)}, got {value!r}.{close_match(str(value), choices)}")

    def to_json(self) -> dict[str, Any]:
        return {"kind": "multi", "dim": self.dim, "metric": self.metric, "dtype": self.dtype}


ValueSpec = SparseSpec | MultiSpec


@dataclass(frozen=True, slots=True)
class ValueSlot:
    """A sparse or multi-vector's place in the files."""

    slot: int
    spec: ValueSpec

    def to_json(self) -> dict[str, Any]:
        return {"slot": self.slot, **self.spec.to_json()}

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> ValueSlot:
        """Reads `to_json`'s form. Raises KeyError, TypeError or InvalidArgument for anything else."""
        values = dict(parts)
        slot, kind = values.pop("slot"), values.pop("kind")
        if kind not in ("sparse", "multi"):
            raise InvalidArgument(f'a vector of kind "{kind}" is not known')
        return cls(slot, SparseSpec(**values) if kind == "sparse" else MultiSpec(**values))


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSpec:
    """A text index: which fields it covers, how their text becomes terms, and the constants of BM25.

    fields: strings, or lists of strings; several are joined in this order, as if they were one text.
    analyzer: how text becomes terms; language: short for the analyzer of a language ("en", "de", "yo", …, or "code" for source code).
    k1 (0 or more): how soon repeated words stop counting. b (0 to 1): how much long texts are held back.
    positions: kept, phrases can be asked for; left out, the index is about half as large.
    """

    fields: tuple[str, ...] = ()
    analyzer: Analyzer = field(default_factory=Analyzer)
    k1: float = 1.2
    b: float = 0.75
    positions: bool = True

    def __init__(
        self,
        fields: str | Sequence[str] = (),
        *,
        analyzer: Analyzer | None = None,
        language: str | None = None,
        k1: float = 1.2,
        b: float = 0.75,
        positions: bool = True,
    ) -> None:
        if analyzer is not None and language is not None:
            raise InvalidArgument("give analyzer= or language=, not both; language is one of an analyzer's settings")
        if analyzer is None:
            analyzer = Analyzer(tokenizer="code") if language == "code" else Analyzer(language="auto" if language is None else language)
        names = (fields,) if isinstance(fields, str) else tuple(fields)
        if not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names) or len(names) > TEXT_FIELDS_MAX:
            raise InvalidArgument(f"fields of a text index are up to {TEXT_FIELDS_MAX} different names, got {fields!r}")
        if not isinstance(analyzer, Analyzer):
            raise InvalidArgument(f'analyzer must be a vicino.Analyzer, got {analyzer!r}; for a language write language="en"')
        if not 0 <= k1 <= 1000 or not 0 <= b <= 1:
            raise InvalidArgument(f"k1 must be between 0 and 1000 and b between 0 and 1, got k1={k1} and b={b}")
        for name, value in {"fields": names, "analyzer": analyzer, "k1": float(k1), "b": float(b), "positions": bool(positions)}.items():
            object.__setattr__(self, name, value)

    def resolved(self, name: str) -> TextSpec:
        """As it is stored: with the field it is named after if none was given, and every automatic choice of the analyzer made."""
        return replace_text(self, fields=self.fields or (name,), analyzer=self.analyzer.resolve())

    def text_of(self, document: Mapping[str, Any]) -> str | list[str] | None:
        """The text of one record: that of its fields that have one, joined by a space; a list if one field holds a list of strings."""
        texts: list[str] = []
        for name in self.fields:
            value = document.get(name)
            if isinstance(value, str):
                texts.append(value)
            elif isinstance(value, list | tuple) and (strings := [entry for entry in value if isinstance(entry, str)]):
                if len(self.fields) == 1:
                    return strings
                texts += strings
        return " ".join(texts) if texts else None

    def to_json(self) -> dict[str, Any]:
        return {
            "fields": list(self.fields),
            "analyzer": self.analyzer.to_json(),
            "k1": self.k1,
            "b": self.b,
            "positions": self.positions,
        }


def replace_text(spec: TextSpec, **changes: Any) -> TextSpec:
    """A copy with some attributes changed."""
    return TextSpec(**{name: getattr(spec, name) for name in ("fields", "analyzer", "k1", "b", "positions")} | changes)


@dataclass(frozen=True, slots=True)
class TextSlot:
    """A text index's place in the files, and the languages its analyzer has found so far: a query is read in each of them."""

    slot: int
    spec: TextSpec
    languages: frozenset[str] = frozenset()

    def with_languages(self, found: frozenset[str]) -> TextSlot:
        return replace(self, languages=self.languages | found)

    def to_json(self) -> dict[str, Any]:
        return {"slot": self.slot, **self.spec.to_json(), "languages": sorted(self.languages)}

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> TextSlot:
        """Reads `to_json`'s form. Raises KeyError, TypeError or InvalidArgument for anything else."""
        values = dict(parts)
        slot, languages, analyzer = values.pop("slot"), values.pop("languages"), values.pop("analyzer")
        return cls(slot, TextSpec(analyzer=Analyzer.from_json(analyzer), **values), frozenset(languages))


def default_text_name(fields: Sequence[str]) -> str:
    """The name of a text index over several fields that was given none."""
    return "+".join(fields)
