"""A dense vector of a collection as a value: its length, its metric, how its numbers are stored and what finds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from vicino.collection.index_spec import IndexSpec
from vicino.elsewhere import hinted_init, value_hint
from vicino.errors import InvalidArgument, shortened
from vicino.recall.live import checked_recall
from vicino.types import Dtype, IndexKind, Metric

DIM_MAX = 65536
NODE_CODES_DIM_MIN = 64
"""Vectors of fewer dimensions are walked by themselves."""

_METRICS, _DTYPES = get_args(Metric), get_args(Dtype)
_NUMBER_METRICS = ("cosine", "dot", "l2", "l1")
_BIT_METRICS = ("hamming", "jaccard")
_FLOAT_DTYPES = ("float32", "float16")
_WALKED, _NESTED_LISTS, _PRODUCT_LISTS = ("auto", "graph", "hnsw"), ("ivf", "ivf_hnsw"), ("ivf_pq", "ivf_opq")
_NUMPY_DTYPES: dict[Dtype, type] = {"float32": np.float32, "float16": np.float16, "int8": np.int8, "uint8": np.uint8, "binary": np.uint8}

Index = IndexKind | IndexSpec | Mapping[str, Any]
"""What `index=` takes: a kind, an IndexSpec, or its parameters as a mapping."""


@hinted_init
@dataclass(frozen=True, slots=True)
class VectorSpec:
    """One named vector of a collection: its length, its metric and how its numbers are stored.

    dim: 1 to 65536; for binary vectors, bits. Metrics cosine, dot, l2 and l1 go with float32, float16, int8 and uint8; hamming and
    jaccard with binary. index: a kind, or an IndexSpec where there are parameters. recall: share of the true neighbors that searches are
    promised to find, above 0, at most 1; None promises nothing. keep_raw: with False the rows of sealed segments are kept in 8 bits a
    number, a quarter of float32: what is scored and given back is then what these stand for, near to what was written but not the same.
    """

    dim: int
    metric: Metric = "cosine"
    dtype: Dtype = "float32"
    index: Index = "auto"
    recall: float | None = None
    keep_raw: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.dim, int | np.integer) or isinstance(self.dim, bool):
            raise InvalidArgument(f"dim must be an integer, got {type(self.dim).__name__} {self.dim!r}")
        object.__setattr__(self, "dim", int(self.dim))
        if not 1 <= self.dim <= DIM_MAX:
            raise InvalidArgument(f"dim must be between 1 and {DIM_MAX}, got {self.dim}")
        object.__setattr__(self, "recall", checked_recall(self.recall))
        _check_choice("metric", self.metric, _METRICS)
        _check_choice("dtype", self.dtype, _DTYPES)
        index = IndexSpec.read(self.index)
        if index.kind in _NESTED_LISTS and index.codes == "auto" and not self._may_have_codes:
            index = replace(index, codes="none")
        object.__setattr__(self, "index", _shortest(index))
        self._check_codes()
        if not isinstance(self.keep_raw, bool):
            raise InvalidArgument(f"keep_raw must be True or False, got {self.keep_raw!r}")
        if not self.keep_raw and self.dtype not in _FLOAT_DTYPES:
            raise InvalidArgument(
                f"keep_raw=False keeps float32 and float16 vectors in 8 bits a number; {self.dtype} vectors are no larger as they are, "
                "leave keep_raw out"
            )
        if (self.metric in _BIT_METRICS) != (self.dtype == "binary"):
            fitting = _BIT_METRICS if self.dtype == "binary" else _NUMBER_METRICS
            dtypes = "binary" if self.metric in _BIT_METRICS else "float32, float16, int8 or uint8"
            raise InvalidArgument(
                f'metric "{self.metric}" does not go with dtype "{self.dtype}"; use metric {" or ".join(fitting)}, or dtype {dtypes}'
            )

    def _check_codes(self) -> None:
        """Codes that are asked for by name must be possible; "auto" goes without where there are none."""
        index = self.index_spec
        if self.recall is not None and index.rescore != "bound":
            raise InvalidArgument(
                f"a promised recall is measured with rescoring by the bound of the codes; leave rescore={index.rescore!r} or the recall out"
            )
        if index.is_on_disk and (not self._may_have_codes or self.dim < NODE_CODES_DIM_MIN):
            raise InvalidArgument(
                f'layout="disk" needs codes, which there are of float32 and float16 vectors of {NODE_CODES_DIM_MIN} dimensions or more '
                f"under cosine, dot and l2; got {self.dtype} of {self.dim} dimensions under {self.metric}, leave layout out"
            )
        if index.subvectors is not None and index.subvectors > self.dim:
            raise InvalidArgument(
                f"subvectors of product codes are parts of a vector, at most as many as it has dimensions; got {index.subvectors} for "
                f"dim={self.dim}, leave subvectors out for the usual number"
            )
        if index.kind in _PRODUCT_LISTS and not self._may_have_codes:
            raise InvalidArgument(
                f'index "{index.kind}" goes by product codes, which stand for float32 and float16 vectors under cosine, dot and l2, not '
                f'for {self.dtype} under {self.metric}; use "ivf_flat"'
            )
        if index.codes in ("auto", "none"):
            if index.rescore != "bound" and not self.has_codes:
                raise InvalidArgument(
                    f'rescore={index.rescore!r} says what follows a search by codes, which an index of kind "{index.kind}" has none of for '
                    f"{self.dtype} of {self.dim} dimensions under {self.metric}: it scores every vector it looks at, leave rescore out"
                )
            return
        if not self._may_have_codes:
            raise InvalidArgument(
                f'codes="{index.codes}" stand for float32 and float16 vectors under cosine, dot and l2, not for {self.dtype} under '
                f'{self.metric}; use codes="auto" or "none"'
            )
        if index.kind in _WALKED and self.dim < NODE_CODES_DIM_MIN:
            raise InvalidArgument(
                f'codes="{index.codes}" of a graph need {NODE_CODES_DIM_MIN} dimensions, below that they are too coarse to find the way; '
                f'got dim={self.dim}, use codes="auto" or "none"'
            )

    @property
    def index_spec(self) -> IndexSpec:
        """The index with its parameters."""
        return IndexSpec.read(self.index)

    @property
    def _may_have_codes(self) -> bool:
        """Whether there are codes of such vectors; others are their own codes."""
        return self.dtype in _FLOAT_DTYPES and self.metric != "l1"

    @property
    def has_codes(self) -> bool:
        """Whether its index reads anything before the vectors."""
        index = self.index_spec
        return index.has_codes and self._may_have_codes and not (index.kind in _WALKED and self.dim < NODE_CODES_DIM_MIN)

    @property
    def numpy_dtype(self) -> type:
        """Element type of a stored row."""
        return _NUMPY_DTYPES[self.dtype]

    @property
    def width(self) -> int:
        """Elements of a stored row: dim, or for binary the bytes that hold dim bits."""
        return (self.dim + 7) // 8 if self.dtype == "binary" else self.dim

    @property
    def row_bytes(self) -> int:
        """Size of one stored row."""
        return self.width * np.dtype(self.numpy_dtype).itemsize

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `VectorSpec(**parts)` reads it. What says nothing is left out, as versions without it expect."""
        newer: dict[str, Any] = {} if self.recall is None else {"recall": self.recall}
        if not self.keep_raw:
            newer["keep_raw"] = False
        return {"dim": self.dim, "metric": self.metric, "dtype": self.dtype, "index": self.index_spec.to_json(), **newer}


def _shortest(index: IndexSpec) -> IndexKind | IndexSpec:
    """The kind alone when it says everything."""
    return index.kind if index == IndexSpec(index.kind) else index


def _check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InvalidArgument(f"{name} must be one of {', '.join(choices)}, got {shortened(value)}.{value_hint(name, value, choices)}")


@dataclass(frozen=True, slots=True)
class VectorSlot:
    """A vector's place in the files: slots are numbers that are never given to another vector, even after this one is dropped."""

    slot: int
    spec: VectorSpec
