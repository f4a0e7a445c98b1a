"""What a search takes beside its query: checked values, and what some of them stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from vicino.collection.page import LIMIT_MAX, check_numbers
from vicino.elsewhere import unknown_argument
from vicino.errors import InvalidArgument, shortened
from vicino.filter.parse import Where
from vicino.query.rescoring import RescoreBy
from vicino.recall.live import checked_recall

Query = Any
"""A text, a vector, or a part of a query (`vicino.query.parts`)."""
Mode = Literal["auto", "dense", "text", "hybrid"]
MODES = get_args(Mode)
_OF_ONE_QUERY = ("cursor", "group_by", "group_size", "lookup")
"""What `search` takes and calls for many queries or pages do not."""


# Every search makes one, and a frozen dataclass takes three times as long to make as one that is not.
@dataclass(slots=True, kw_only=True)
class SearchOptions:
    """What `Collection.search` takes beside the query."""

    where: Where | None = None
    limit: int = 10
    offset: int = 0
    select: str | Sequence[str] | None = None
    vectors: bool | str | Sequence[str] = False
    min_score: float | None = None
    exact: bool = False
    ef: int | None = None
    nprobe: int | None = None
    recall: float | None = None
    rescore: RescoreBy | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        if self.recall is not None:
            self.recall = checked_recall(self.recall)
        if self.min_score is not None or self.ef is not None or self.nprobe is not None or self.timeout is not None:
            check_numbers(self.min_score, self.ef, self.timeout, self.nprobe)
        if self.exact is not False and self.exact is not True:
            raise InvalidArgument(f"exact must be True or False, got {shortened(self.exact)}")

    @classmethod
    def read(cls, call: str, given: Mapping[str, Any]) -> SearchOptions:
        """The options of a call that takes `**options`. Raises TypeError for one that it does not have, as Python does."""
        for name in given:
            if name in _OF_ONE_QUERY:
                raise TypeError(f"{call} has no {name}=, which goes with one query and one answer; call search(..., {name}=...)")
            if name not in cls.__slots__:
                raise unknown_argument(call, name, list(cls.__slots__))
        return cls(**given)


def shaped(part: Any, diversity: float | None, rerank: Any, n: int) -> Any:
    """A part with what `diversity=` and `rerank=` of a search for `n` records stand for around it."""
    from vicino.query.part import finite
    from vicino.query.parts import Diverse, Rerank

    if rerank is not None:
        part = Rerank(part, rerank, depth=min(max(Rerank.depth, n), LIMIT_MAX))
    if diversity is not None:  # last, as a reranker would put like beside like again
        part = Diverse(part, relevance=1.0 - finite(diversity, "diversity", low=0.0, high=1.0))
    return part
