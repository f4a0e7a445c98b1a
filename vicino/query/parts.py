"""The parts of a query. Leaves find records and score them; the other parts make a ranking from the rankings of the parts inside them.

    leaves       Dense, Text, Bool, Sparse, MultiVector, OrderBy, Sample; by example: Like, Discover, Context, Feedback (`examples.py`)
    combining    Fuse, Rescore, Prefetch, Boost, Formula, Diverse, Rerank

A part that does not say `depth` takes as many candidates as are asked of it, and at least CANDIDATES.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from vicino.errors import InvalidArgument
from vicino.query.formula import Expression, as_expression, path_of
from vicino.query.part import DEPTH_MAX, Part, choice, condition_of, finite, numbers, part_of, whole
from vicino.query.rescoring import RescoreBy, read_rescore
from vicino.query.sparse_vector import SparseVector
from vicino.recall.live import checked_recall

CANDIDATES = 1000
"""Candidates of each part below one that combines."""
DEPTH_LIMIT = 1_000_000
EXPANSIONS_MAX = 1024


@dataclass(frozen=True, eq=False, repr=False)
class Dense(Part):
    """The records nearest to a vector, or to a text that the collection's model embeds. Scores are similarities, see `Hit.score`.

    vector: name of the vector searched, needed when there are several. exact, ef, nprobe, recall, rescore: as in `Collection.search`.
    """

    tag: ClassVar[str] = "dense"
    x: Any
    vector: str | None = None
    exact: bool = False
    ef: int | None = None
    nprobe: int | None = None
    recall: float | None = None
    rescore: RescoreBy | None = None

    def __post_init__(self) -> None:
        ef = None if self.ef is None else whole(self.ef, "ef", 1)
        nprobe = None if self.nprobe is None else whole(self.nprobe, "nprobe", 1)
        self._set(x=numbers(self.x, "Dense"), ef=ef, nprobe=nprobe, recall=checked_recall(self.recall))
        if self.rescore is not None:
            self._set(rescore=read_rescore(self.rescore))


@dataclass(frozen=True, eq=False, repr=False)
class Text(Part):
    """The records that hold words, by BM25 over the fields that have a text index.

    fields: names, each with a weight if it is written "title^3"; all indexed fields if none is named.
    operator: "or" (any word) or "and" (all of them). minimum: how many words must be there, a number or a share like "75%".
    phrase: the words stand together in this order; slop: by how many positions they may be apart.
    prefix: the last word may be the beginning of one. fuzzy: each word may differ by 0, 1 or 2 letters, but not in its first
        `fuzzy_prefix` ones. expansions (1 to 1,024): how many indexed words one word may stand for; of a prefix those of most records, of
        a misspelt word the nearest.
    statistics: how rare a word and how long a text is are seen against the whole "collection", or against the "matches": the records that
        this part may find. So the scores of one tenant tell nothing of the others; counting them takes time.
    """

    tag: ClassVar[str] = "text"
    words: str
    fields: Sequence[str] = ()
    operator: Literal["or", "and"] = "or"
    minimum: int | str | None = None
    phrase: bool = False
    slop: int = 0
    prefix: bool = False
    fuzzy: int = 0
    fuzzy_prefix: int = 1
    expansions: int = 50
    boost: float = 1.0
    statistics: Literal["collection", "matches"] = "collection"

    def __post_init__(self) -> None:
        if not isinstance(self.words, str):
            raise InvalidArgument(f"Text takes words as a string, got {type(self.words).__name__}")
        fields = (self.fields,) if isinstance(self.fields, str) else tuple(self.fields)
        for name in fields:
            weighted_field(name)
        choice(self.operator, "operator", ("or", "and"))
        choice(self.statistics, "statistics", ("collection", "matches"))
        self._set(fields=fields, minimum=_minimum(self.minimum), slop=whole(self.slop, "slop", 0), fuzzy=whole(self.fuzzy, "fuzzy", 0, 2))
        self._set(fuzzy_prefix=whole(self.fuzzy_prefix, "fuzzy_prefix", 0))
        self._set(expansions=whole(self.expansions, "expansions", 1, EXPANSIONS_MAX))
        self._set(boost=finite(self.boost, "boost", low=0.0))
        if self.slop and not self.phrase:
            raise InvalidArgument(f"slop={self.slop} is about phrases; say phrase=True as well")
        if self.phrase and (self.fuzzy or self.minimum is not None):
            raise InvalidArgument("a phrase is found as it stands; leave fuzzy= and minimum= out, or phrase=")

    @property
    def weighted_fields(self) -> tuple[tuple[str, float], ...]:
        """(field, weight) of every field that is named."""
        return tuple(weighted_field(name) for name in self.fields)


def text_of(words: str) -> Text:
    """`Text(words)`, for words that are known to be a str: what it takes beside them needs no check."""
    part = object.__new__(Text)
    object.__setattr__(part, "words", words)
    return part


def is_plain(part: Text) -> bool:
    """Whether any of the words in any indexed field is asked for, and nothing more."""
    return part.__dict__.keys() == _WORDS_ALONE or (
        not (part.fields or part.phrase or part.prefix or part.fuzzy)
        and part.operator == "or"
        and part.minimum is None
        and part.boost == 1.0
        and part.statistics == "collection"
    )


_WORDS_ALONE = {"words"}


def weighted_field(name: object) -> tuple[str, float]:
    """ "title^3" as ("title", 3.0). Raises InvalidArgument."""
    if not isinstance(name, str) or not name:
        raise InvalidArgument(f'a field is named like "title" or "title^3", got {name!r}')
    path, caret, weight = name.rpartition("^")
    if not caret:
        return name, 1.0
    try:
        return path, finite(float(weight), f'the weight of field "{path}"', low=0.0)
    except ValueError:
        raise InvalidArgument(f'a field is named like "title" or "title^3", got {name!r}') from None


def _minimum(minimum: int | str | None) -> int | str | None:
    if minimum is None:
        return None
    if isinstance(minimum, str):
        if minimum.endswith("%") and minimum[:-1].isdigit() and int(minimum[:-1]) <= 100:
            return minimum
        raise InvalidArgument(f'minimum is a number of words or a share like "75%", got {minimum!r}')
    return whole(minimum, "minimum", 0)


@dataclass(frozen=True, eq=False, repr=False)
class Bool(Part):
    """Text queries joined: all of `must`, none of `must_not`, and at least `minimum` of `should` (0 beside `must`, else 1).

    The score is the sum over the parts of `must` and `should` that hold. Parts are Text and Bool; for others use Fuse.
    """

    tag: ClassVar[str] = "bool"
    must: Sequence[Part] = ()
    should: Sequence[Part] = ()
    must_not: Sequence[Part] = ()
    minimum: int | None = None

    def __post_init__(self) -> None:
        for name in ("must", "should", "must_not"):
            given = getattr(self, name)
            parts = tuple(Text(part) if isinstance(part, str) else part for part in ([given] if isinstance(given, str | Part) else given))
            for part in parts:
                if not isinstance(part, Text | Bool):
                    raise InvalidArgument(f"{name} of Bool takes Text and Bool, got {part!r}; join other parts with Fuse")
            self._set(**{name: parts})
        if not self.must and not self.should:
            raise InvalidArgument("Bool needs a part in must or should; must_not alone finds nothing, use where= for it")
        if self.minimum is not None:
            self._set(minimum=whole(self.minimum, "minimum", 0, len(self.should)))

    @property
    def parts_inside(self) -> tuple[Part, ...]:
        return (*self.must, *self.should, *self.must_not)


@dataclass(frozen=True, eq=False, repr=False)
class Sparse(Part):
    """The records whose sparse vector has the largest dot product with `x`; only those that share an index are found.

    idf: weights of `x` times the inverse document frequency of their index; None: as the vector is declared.
    """

    tag: ClassVar[str] = "sparse"
    readers: ClassVar = {"x": SparseVector.of}
    x: SparseVector
    vector: str | None = None
    idf: bool | None = None

    def __post_init__(self) -> None:
        self._set(x=SparseVector.of(self.x))

    def to_json(self) -> dict[str, Any]:
        given = {name: value for name in ("vector", "idf") if (value := getattr(self, name)) is not None}
        return {"sparse": {"x": {"indices": self.x.indices.tolist(), "values": self.x.values.tolist()}, **given}}


@dataclass(frozen=True, eq=False, repr=False)
class MultiVector(Part):
    """The records with the largest MaxSim: the sum over the rows of `x` of each one's best similarity to a row of the record."""

    tag: ClassVar[str] = "multi_vector"
    x: Any
    vector: str | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        try:
            with np.errstate(over="ignore"):  # seen below
                matrix = np.array(self.x, np.float32)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"MultiVector takes a matrix, one row for each token: {error}") from error
        if matrix.ndim != 2 or 0 in matrix.shape:
            raise InvalidArgument(f"MultiVector takes a matrix, one row for each token, got shape {matrix.shape}")
        if not np.isfinite(matrix).all():
            row, position = np.argwhere(~np.isfinite(matrix))[0].tolist()
            given = np.array(self.x)[row, position]
            raise InvalidArgument(f"MultiVector: row {row} holds {given} at position {position}, which does not fit float32")
        matrix.flags.writeable = False
        self._set(x=matrix)


@dataclass(frozen=True, eq=False, repr=False)
class OrderBy(Part):
    """Records by a field of numbers, datetimes or strings, smallest first unless `descending`; records without it are left out.

    field: "-price" is short for `field="price", descending=True`, as in `Collection.iter`.
    start_from: only values from this one on. As scores hits carry the value of a number, seconds of a datetime, else 0.
    """

    tag: ClassVar[str] = "order_by"
    field: str
    descending: bool = False
    start_from: Any = None

    def __post_init__(self) -> None:
        field = path_of(self.field)
        if field.startswith("-"):
            self._set(descending=True)
            field = path_of(field[1:])
        self._set(field=field)
        start = self.start_from
        is_value = isinstance(start, str | dt.datetime) or (isinstance(start, int | float) and not isinstance(start, bool))
        if start is not None and not is_value:
            raise InvalidArgument(f"start_from of OrderBy is a number, a datetime or a string, got {start!r}")


@dataclass(frozen=True, eq=False, repr=False)
class Sample(Part):
    """Records at random, all as likely. seed: the same seed gives the same records of the same version; without it, others each time."""

    tag: ClassVar[str] = "sample"
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.seed is not None:
            self._set(seed=whole(self.seed, "seed", 0, 2**63 - 1))


class Combining(Part):
    """Base of the parts that make a ranking from rankings."""


def _several(parts: Any, of: str) -> tuple[Part, ...]:
    given = [parts] if isinstance(parts, Part) else parts
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InvalidArgument(f"{of} takes a list of parts, got {type(parts).__name__}")
    if not given:
        raise InvalidArgument(f"{of} needs at least one part")
    return tuple(part_of(part, of) for part in given)


def _depth(depth: int | None) -> int | None:
    return None if depth is None else whole(depth, "depth", 1, DEPTH_LIMIT)


@dataclass(frozen=True, eq=False, repr=False)
class Fuse(Combining):
    """One ranking of several: "weighted" sums normalized scores, "rrf" fuses by rank, "dbsf" by the distribution of scores.

    weights: one for each part, 1 each by default. k, first_rank: of rrf, `1 / (k + rank)`; Qdrant's form is k=2, first_rank=0.
    depth: candidates taken of each part. A part that finds nothing weighs nothing.
    """

    tag: ClassVar[str] = "fuse"
    parts: Sequence[Part]
    method: Literal["weighted", "rrf", "dbsf"] = "weighted"
    weights: Sequence[float] | None = None
    k: float = 60
    first_rank: int = 1
    depth: int | None = None

    def __post_init__(self) -> None:
        self._set(parts=_several(self.parts, "Fuse"), depth=_depth(self.depth))
        choice(self.method, "method", ("weighted", "rrf", "dbsf"))
        if self.weights is not None:
            weights = tuple(finite(weight, f"weight {index} of Fuse", low=0.0) for index, weight in enumerate(self.weights))
            if len(weights) != len(self.parts):
                raise InvalidArgument(f"Fuse has {len(self.parts)} parts and {len(weights)} weights; give one weight for each part")
            self._set(weights=weights)
        finite(self.k, "k", low=1.0)
        whole(self.first_rank, "first_rank", 0, 1)

    @property
    def parts_inside(self) -> tuple[Part, ...]:
        return tuple(self.parts)

    @property
    def all_weights(self) -> tuple[float, ...]:
        return tuple(self.weights) if self.weights is not None else (1.0,) * len(self.parts)


@dataclass(frozen=True, eq=False, repr=False)
class Rescore(Combining):
    """The first `depth` records of a part, scored anew by a leaf or ordered by a field; those that the leaf does not know are left out."""

    tag: ClassVar[str] = "rescore"
    part: Part
    by: Part
    depth: int | None = None

    def __post_init__(self) -> None:
        self._set(part=part_of(self.part, "Rescore"), by=part_of(self.by, "by of Rescore"), depth=_depth(self.depth))
        if isinstance(self.by, Combining | Sample):
            raise InvalidArgument(f"Rescore scores by a leaf such as Dense, Text, Like or OrderBy, got {self.by!r}")

    @property
    def parts_inside(self) -> tuple[Part, ...]:
        return (self.part, self.by)


@dataclass(frozen=True, eq=False, repr=False)
class Prefetch(Combining):
    """A part with a condition, a limit and a least score of its own; the condition of the whole search holds as well."""

    tag: ClassVar[str] = "prefetch"
    part: Part
    where: Any = None
    limit: int | None = None
    min_score: float | None = None

    def __post_init__(self) -> None:
        self._set(part=part_of(self.part, "Prefetch"), where=condition_of(self.where))
        if self.limit is not None:
            self._set(limit=whole(self.limit, "limit", 1, DEPTH_LIMIT))
        if self.min_score is not None:
            self._set(min_score=finite(self.min_score, "min_score"))

    @property
    def parts_inside(self) -> tuple[Part, ...]:
        return (self.part,)


@dataclass(frozen=True, eq=False, repr=False)
class Boost(Combining):
    """The records of a part, each score times the value of an expression: `Boost(Dense(v), by=Decay(F.date, half_life="30d"))`."""

    tag: ClassVar[str] = "boost"
    readers: ClassVar = {"by": Expression.from_json}
    part: Part
    by: Expression
    depth: int | None = None

    def __post_init__(self) -> None:
        self._set(part=part_of(self.part, "Boost"), by=as_expression(self.by), depth=_depth(self.depth))

    @property
    def parts_inside(self) -> tuple[Part, ...]:
        return (self.part,)


@dataclass(frozen=True, eq=False, repr=False)
class Formula(Combining):
    """The records of all parts, scored by an expression: `Formula([Dense(v), Text("cat")], by=Score(0) + 0.2 * Score(1))`."""

    tag: ClassVar[str] = "formula"
    readers: ClassVar = {"by": Expression.from_json}
    parts: Sequence[Part]
    by: Expression
    depth: int | None = None

    def __post_init__(self) -> None:
        self._set(parts=_several(self.parts, "Formula"), by=as_expression(self.by), depth=_depth(self.depth))
        if (asked := max(self.by.score_parts, default=0)) >= len(self.parts):
            raise InvalidArgument(f"the formula asks for the score of part {asked}, there are {len(self.parts)} parts, counted from 0")

    @property
    def parts_inside(self) -> tuple[Part, ...]:
        return tuple(self.parts)


@dataclass(frozen=True, eq=False, repr=False)
class Diverse(Combining):
    """Records that are near the query and far from each other: maximal marginal relevance.

    relevance: 1 orders by score alone, 0 by difference alone. Each step takes the record with the largest
    `relevance * score - (1 - relevance) * its largest similarity to those taken`; scores that are no similarities are brought to 0 to 1
    first. vector: by which similarity is measured. depth: how many records are put in this order; the others follow as they were.
    Source: Carbonell and Goldstein, SIGIR 1998.
    """

    tag: ClassVar[str] = "diverse"
    part: Part
    relevance: float = 0.5
    vector: str | None = None
    depth: int = 100

    def __post_init__(self) -> None:
        self._set(part=part_of(self.part, "Diverse"), relevance=finite(self.relevance, "relevance", low=0.0, high=1.0))
        self._set(depth=whole(self.depth, "depth", 1, 10_000))

    @property
    def parts_inside(self) -> tuple[Part, ...]:
        return (self.part,)


@dataclass(frozen=True, eq=False, repr=False)
class Rerank(Combining):
    """The first `depth` records of a part in the order of a model that reads query and text together.

    reranker: a `vicino.models.Reranker`, or the name of one (`vicino.models.register_reranker`). query: the text asked for; that of the
    first text or Dense part inside by default. fields: whose text is read; by default those that the collection embeds, else those that
    its text indexes are over. budget_s: seconds; when they run out before the model has read all, or when it fails, the order of these
    records stays as it was and the plan says so. Records beyond `depth` are not found.
    """

    tag: ClassVar[str] = "rerank"
    part: Part
    reranker: Any
    depth: int = 50
    query: str | None = None
    fields: Sequence[str] = ()
    budget_s: float | None = None

    def __post_init__(self) -> None:
        self._set(part=part_of(self.part, "Rerank"), depth=whole(self.depth, "depth", 1, 10_000))
        self._set(fields=(self.fields,) if isinstance(self.fields, str) else tuple(self.fields))
        if not isinstance(self.reranker, str) and not callable(getattr(self.reranker, "scores", None)):
            raise InvalidArgument(f"a reranker has a method scores(query, texts), got {type(self.reranker).__name__}")
        if self.query is not None and not isinstance(self.query, str):
            raise InvalidArgument(f"query of Rerank is the text asked for, got {type(self.query).__name__}")
        if self.budget_s is not None:
            self._set(budget_s=finite(self.budget_s, "budget_s", low=0.0))

    @property
    def parts_inside(self) -> tuple[Part, ...]:
        return (self.part,)

    def to_json(self) -> dict[str, Any]:
        shown = super().to_json()
        if not isinstance(self.reranker, str):
            shown["rerank"]["reranker"] = getattr(self.reranker, "name", type(self.reranker).__name__)
        return shown


def check_depth(part: Part) -> None:
    """Refuses a query whose parts lie too deep for one search."""
    layer, depth = [part], 0
    while layer:
        if depth > DEPTH_MAX:
            raise InvalidArgument(f"parts of a query may lie {DEPTH_MAX} deep, this one lies deeper")
        layer, depth = [inner for outer in layer for inner in outer.parts_inside], depth + 1
