"""Multi-vectors made smaller: fewer tokens for each record, or one dense vector in place of all.

A multi-vector is a matrix of tokens, (n, dim) float32. Both ways lose a little relevance; MaxSim over the whole tokens stays the reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vicino import _core

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["FixedEncoding", "pool_tokens"]


def pool_tokens(tokens: ArrayLike, factor: int = 2) -> NDArray[np.float32]:
    """About 1 / `factor` of the tokens: near ones, by Ward's hierarchical clustering of their directions, become their mean.

    tokens: (n, dim), n from 1 to 8192. Returns (ceil(n / factor), dim) float32, ordered by the first token of each group; a factor of 1
    changes nothing. Means are not brought to norm 1, which cosine does anyway. Memory and time grow with n squared. Raises InvalidArgument.
    Source: Clavie, Chaffin and Adams 2024, arXiv 2409.14683: half of the tokens cost next to no relevance, a third to a quarter little.

    >>> pool_tokens([[1, 0], [0, 1], [3, 0]], factor=2).tolist()
    [[2.0, 0.0], [0.0, 1.0]]
    """
    return _core.pool_tokens(_matrix(tokens), factor)


@dataclass(frozen=True, slots=True)
class FixedEncoding:
    """Turns multi-vectors into single vectors, so that any dense index finds candidates: the dot product of a query's and a document's
    encoding is near their MaxSim.

    dim: of the tokens. repetitions and bits: 2^bits cells each; more are nearer to MaxSim and longer. projected_dim: dimensions of a cell,
    0 for those of the tokens. final_dim: length of the result, folded by a count sketch; 0 for all `repetitions * 2^bits * projected_dim`.
    The same numbers and seed give the same encoding on every machine. Raises InvalidArgument for numbers out of range.
    Bring tokens to norm 1 first if the column's metric is cosine, and search encodings by dot.
    Source: Dhulipala et al. 2024 (MUVERA), arXiv 2405.19504.

    >>> encoding = FixedEncoding(dim=2, repetitions=4, bits=2, projected_dim=0)
    >>> encoding.size, encoding.document([[1, 0], [0, 1]]).shape
    (32, (32,))
    """

    dim: int
    repetitions: int = 20
    bits: int = 5
    projected_dim: int = 16
    final_dim: int = 0
    seed: int = 0
    _encoding: _core.FixedEncoding = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        made = _core.FixedEncoding(self.dim, self.repetitions, self.bits, min(self.projected_dim, self.dim), self.final_dim, self.seed)
        object.__setattr__(self, "_encoding", made)

    @property
    def size(self) -> int:
        """Numbers in an encoding."""
        return self._encoding.size

    def document(self, tokens: ArrayLike) -> NDArray[np.float32]:
        """The encoding (size,) of a stored multi-vector (n, dim): the mean of each cell's tokens, empty cells filled by the nearest."""
        return self._encoding.document(_matrix(tokens))[0]

    def query(self, tokens: ArrayLike) -> NDArray[np.float32]:
        """The encoding (size,) of a query (n, dim): the sum of the tokens in each cell."""
        return self._encoding.query(_matrix(tokens))[0]


def _matrix(tokens: ArrayLike) -> NDArray[np.float32]:
    return np.ascontiguousarray(tokens, dtype=np.float32)
