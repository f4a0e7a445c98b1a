"""Measures of one ranking, by trec_eval's rules: documents without a judgment count as grade 0, relevant is a grade of 1 or more.

    ndcg@10           nDCG with linear gain: sum of grade / log2(rank + 1), over the same sum of the best order there is
    ndcg-exp@10       the same with gain 2^grade - 1 (Burges et al., ICML 2005); trec_eval has no such
    map, map@100      average precision; with a cut documents below it count as not found
    mrr, mrr@10       1 / rank of the first relevant document
    recall@100        share of the relevant documents among the first 100
    precision@10      share of the first 10 that is relevant, of 10 even if fewer were found; also p@10
    success@5         1 if there is a relevant document among the first 5

Source: trec_eval 9.0 (m_ndcg_cut.c, m_map.c, m_recip_rank.c, m_P.c, m_recall.c, m_success.c); Järvelin and Kekäläinen, TOIS 2002.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vicino.errors import InvalidArgument, did_you_mean

Kind = Literal["ndcg", "ndcg-exp", "map", "mrr", "recall", "precision", "success"]
DEFAULT_MEASURES = ("ndcg@10", "map@100", "mrr@10", "recall@100", "precision@10")

_KINDS: dict[str, Kind] = {
    "ndcg": "ndcg", "ndcg-exp": "ndcg-exp", "map": "map", "mrr": "mrr", "recip_rank": "mrr", "recall": "recall",
    "precision": "precision", "p": "precision", "success": "success",
}  # fmt: skip
_NEED_K = ("recall", "precision", "success")


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure. k: how many documents of a ranking it looks at; None for all that were found."""

    kind: Kind
    k: int | None = None

    @classmethod
    def parse(cls, text: str | Measure) -> Measure:
        """`nDCG@10`, `map`; upper and lower case mean the same. Raises InvalidArgument with the names there are."""
        if isinstance(text, Measure):
            return text
        found = re.fullmatch(r"([a-z_-]+)(?:@([1-9][0-9]{0,8}))?", text.strip().lower())
        if found is None or found[1] not in _KINDS:
            name = found[1] if found else text
            raise InvalidArgument(f'a measure is a name with a cut, such as "ndcg@10", got {text!r}.{did_you_mean(name, _KINDS)}')
        kind = _KINDS[found[1]]
        if found[2] is None and kind in _NEED_K:
            raise InvalidArgument(f'measure "{kind}" needs a cut, such as "{kind}@10"')
        return cls(kind, int(found[2]) if found[2] else None)

    @property
    def name(self) -> str:
        return self.kind if self.k is None else f"{self.kind}@{self.k}"

    def score(self, ranking: Sequence[str], grades: Mapping[str, int]) -> float:
        """Of one query: documents as found, best first, and their judgments. 0 for a query without a relevant document."""
        n_relevant = sum(grade > 0 for grade in grades.values())
        if n_relevant == 0:
            return 0.0
        found = [grades.get(document, 0) for document in ranking[: self.k]]
        if self.kind in ("ndcg", "ndcg-exp"):
            return _ndcg(found, sorted(grades.values(), reverse=True)[: self.k], is_exponential=self.kind == "ndcg-exp")
        ranks = [rank for rank, grade in enumerate(found, start=1) if grade > 0]
        if self.kind == "map":
            return sum(count / rank for count, rank in enumerate(ranks, start=1)) / n_relevant
        if self.kind == "mrr":
            return 1.0 / ranks[0] if ranks else 0.0
        if self.kind == "recall":
            return len(ranks) / n_relevant
        if self.kind == "precision":
            assert self.k is not None
            return len(ranks) / self.k
        return 1.0 if ranks else 0.0


def _ndcg(found: Sequence[int], ideal: Sequence[int], *, is_exponential: bool) -> float:
    def discounted(grades: Sequence[int]) -> float:
        gains = ((2.0**grade - 1.0 if is_exponential else grade) for grade in grades)
        return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1) if gain > 0)

    return discounted(found) / discounted(ideal)
