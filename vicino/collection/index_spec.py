"""Which index a vector has, by the names and parameters that the field knows.

The same rows can be indexed in any of these ways, and the way can be changed at any time: sealed segments are indexed anew in the
background and searched as before meanwhile. Unsealed rows are always scanned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

import numpy as np

from vicino.elsewhere import argument_hint, hinted_init, value_hint
from vicino.errors import InvalidArgument, close_match, shortened
from vicino.query.rescoring import RescoreBy, read_rescore
from vicino.types import Codes, GraphLayout, IndexKind

_LISTS = frozenset({"ivf_flat", "ivf", "ivf_pq", "ivf_opq", "ivf_hnsw"})
_PRODUCTS = frozenset({"ivf_pq", "ivf_opq"})
_WALKS = frozenset({"auto", "graph", "hnsw"})
_LAID_OUT = frozenset({"auto", "graph"})
_PARAMETERS: dict[str, tuple[frozenset[str], int, int]] = {
    "ef": (_WALKS, 1, 1 << 20),
    "m": (frozenset({"hnsw"}), 2, 64),
    "ef_construct": (frozenset({"hnsw"}), 2, 10_000),
    "nlist": (_LISTS, 1, 1 << 20),
    "nprobe": (_LISTS, 1, 1 << 24),
    "subvectors": (_PRODUCTS, 1, 65536),
    "bits": (_PRODUCTS, 4, 8),
}
"""Parameter -> kinds it goes with, least and greatest value."""
_NODE_CODES: tuple[str, ...] = ("4bit", "8bit", "none")
_CODES: dict[str, tuple[str, ...]] = {
    "auto": _NODE_CODES,
    "graph": _NODE_CODES,
    "hnsw": _NODE_CODES,
    "flat": ("none", "1bit", "4bit", "8bit"),
    "ivf": ("4bit", "pq", "none"),
    "ivf_hnsw": ("4bit", "pq", "none"),
    "ivf_flat": ("none",),
    "ivf_pq": ("pq",),
    "ivf_opq": ("pq",),
}
"""Kind -> the codes it can have, first those it has when nobody says."""


@hinted_init
@dataclass(frozen=True, slots=True, repr=False)
class IndexSpec:
    """An index of a vector, and its parameters; those that are None are chosen by the engine.

    kind: "auto" (now a graph), "flat" (every row is scored), "graph" (a navigable graph over codes), "hnsw" (a hierarchical one, Malkov and
    Yashunin 2018), "ivf_flat" (inverted lists of rows), "ivf" (lists of nested 1- and 4-bit codes), "ivf_pq" and "ivf_opq" (lists of
    product codes, Jegou et al. 2011, after a rotation with opq, Ge et al. 2013), "ivf_hnsw" (lists of nested codes, found by a graph over
    their centroids). Codes only choose what is scored. Lists of codes are of float32 and float16 vectors under cosine, dot and l2.
    ef: nodes that a walk keeps, 1 to 1,048,576, by default 64 over one segment or 1.5 times the limit, and more where a recall of 0.95 at
    10 took more when the index was built; where a scan finds as much sooner, every row is scanned. m: links of a node of "hnsw", twice as
    many on its lowest layer, 2 to 64, by default 16; ef_construct: nodes kept while one is inserted, m to 10,000, by default 200.
    nlist: inverted lists of a segment, by default 4 sqrt(rows), and no more than it has rows or 1,048,576; nprobe: how many of them are
    scanned, by default as many as a recall of 0.95 at 10 took of each segment when its index was built, and more under a filter. Where that
    is half of the lists or more, every row that matches is scanned.
    subvectors: parts of a product code, at most one a dimension, by default one for every two dimensions at 4 bits, for every eight at 8;
    dimensions need not be a multiple. bits: of each part, 4 or 8.
    copies: rows at a border of two lists are in both: more memory, fewer lists to scan for the same recall.
    codes: what is read instead of the vectors until few are left: "1bit", "4bit", "8bit" (each within the next), "pq" (product codes) or
    "none" (the vectors themselves); "auto" is what the kind has by itself. Of a flat index "none", of a graph and of "ivf" "4bit".
    rescore: what codes have found is scored by the vectors as far as the error bound of the codes asks for ("bound", or "auto"), always so
    many times as many as are asked for (a number from 1 to 1,000), or not at all ("off" or False: scores are then the codes' estimates).
    layout: where a graph is walked. "memory" reads links, codes and vectors each in their place. "disk" is for vectors larger than memory:
    the file holds, for every node, its vector and the codes of its neighbors in one block, so that a search reads a fraction of the
    pages, and several times the disk space is taken.
    Raises InvalidArgument for a parameter out of range, or one that the kind does not have.
    """

    kind: IndexKind = "auto"
    ef: int | None = None
    m: int | None = None
    ef_construct: int | None = None
    nlist: int | None = None
    nprobe: int | None = None
    subvectors: int | None = None
    bits: int | None = None
    copies: bool = False
    codes: Codes = "auto"
    rescore: RescoreBy = "bound"
    layout: GraphLayout = "memory"

    def __post_init__(self) -> None:
        kinds = get_args(IndexKind)
        if self.kind not in kinds:
            shown, hint = shortened(self.kind), value_hint("index", self.kind, kinds)
            raise InvalidArgument(f"index must be one of {', '.join(kinds)}, got {shown}.{hint}")
        if self.codes != "auto" and self.codes not in _CODES[self.kind]:
            allowed = ", ".join(f'"{codes}"' for codes in ("auto", *_CODES[self.kind]))
            others = [kind for kind, codes in _CODES.items() if self.codes in codes]
            hint = f" Those go with {', '.join(others)}." if others else value_hint("codes", self.codes, _CODES[self.kind])
            raise InvalidArgument(f'an index of kind "{self.kind}" takes codes {allowed}, got {shortened(self.codes)}.{hint}')
        for name, (fitting, least, most) in _PARAMETERS.items():
            value = getattr(self, name)
            if value is None:
                continue
            if not (fitting is _PRODUCTS and self.codes == "pq"):
                _expect_kind(name, fitting, self.kind)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
                raise InvalidArgument(f"{name} of an index must be an integer between {least} and {most}, got {value!r}")
            object.__setattr__(self, name, int(value))
        if self.bits is not None and self.bits not in (4, 8):
            raise InvalidArgument(f"bits of product codes must be 4 or 8, got {self.bits}")
        if self.kind == "hnsw" and (self.ef_construct or 200) < (self.m or 16):
            raise InvalidArgument(f"ef_construct must be at least m, which is {self.m or 16}, got {self.ef_construct or 200}")
        if not isinstance(self.copies, bool):
            raise InvalidArgument(f"copies must be True or False, got {self.copies!r}")
        if self.copies:
            _expect_kind("copies", _LISTS, self.kind)
        object.__setattr__(self, "rescore", read_rescore(self.rescore))
        self._check_layout()
        if self.rescore != "bound" and not self.has_codes:
            raise InvalidArgument(
                f'rescore={self.rescore!r} says what follows a search by codes; an index of kind "{self.kind}" with codes '
                f'"{self.chosen_codes}" scores every vector it looks at, leave rescore out'
            )

    def _check_layout(self) -> None:
        layouts = get_args(GraphLayout)
        if self.layout not in layouts:
            shown = " or ".join(f'"{layout}"' for layout in layouts)
            raise InvalidArgument(f"layout of an index must be {shown}, got {self.layout!r}.{close_match(str(self.layout), layouts)}")
        if not self.is_on_disk:
            return
        _expect_kind("layout", _LAID_OUT, self.kind)
        if self.chosen_codes != "4bit":
            raise InvalidArgument(f'layout="disk" goes with codes="4bit", which a node has of its neighbors; got codes={self.codes!r}')
        if self.rescore != "bound":
            raise InvalidArgument(
                f'layout="disk" reads the vector of a node with its neighbors, there is nothing to save; leave rescore={self.rescore!r} out'
            )

    @classmethod
    def read(cls, given: Any) -> IndexSpec:
        """What `index=` says: a kind, an IndexSpec, or a mapping of its parameters."""
        if isinstance(given, IndexSpec):
            return given
        if isinstance(given, str):
            return cls(given)  # type: ignore[arg-type]  # checked there
        if isinstance(given, Mapping):
            known = [field.name for field in fields(cls)]
            for name in given:
                if name not in known:
                    hint = argument_hint(str(name), known)
                    raise InvalidArgument(f"an index has no parameter {name!r}; it has {', '.join(known)}.{hint}")
            return cls(**given)
        shown = f"{type(given).__name__} {shortened(given)}"
        raise InvalidArgument(f'index must be a kind such as "auto", a vicino.IndexSpec or a mapping, got {shown}')

    @property
    def chosen_codes(self) -> str:
        """The codes it has, where the vectors can have any."""
        return _CODES[self.kind][0] if self.codes == "auto" else self.codes

    @property
    def has_codes(self) -> bool:
        """Whether anything is read before the vectors."""
        return self.chosen_codes != "none"

    @property
    def is_on_disk(self) -> bool:
        """Whether it is walked by blocks."""
        return self.layout == "disk"

    @property
    def is_flat(self) -> bool:
        """Whether segments need no index."""
        return self.kind == "flat" and not self.has_codes

    @property
    def has_lists(self) -> bool:
        """Whether it is one of the kinds that `nprobe` goes with."""
        return self.kind in _LISTS

    def to_json(self) -> str | dict[str, Any]:
        """The kind alone where there are no parameters, as versions without them expect; `read` takes either."""
        given = {field.name: getattr(self, field.name) for field in fields(self) if getattr(self, field.name) != field.default}
        given = {"kind": self.kind, **given}
        return self.kind if given.keys() == {"kind"} else given

    def __repr__(self) -> str:
        given = self.to_json()
        named = [] if isinstance(given, str) else [f"{name}={value!r}" for name, value in given.items() if name != "kind"]
        return f"IndexSpec({', '.join([repr(self.kind), *named])})"

    def build_options(self) -> dict[str, Any]:
        """What the core builds by."""
        of_build = ("m", "ef_construct", "nlist", "subvectors", "bits")
        given = {name: getattr(self, name) for name in of_build if getattr(self, name) is not None}
        if self.copies:
            given["copies"] = True
        if self.chosen_codes != _CODES[self.kind][0]:
            given["codes"] = self.codes
        if self.is_on_disk:
            given["layout"] = self.layout
        return {"kind": "graph" if self.kind == "auto" else self.kind, **given}

    @property
    def made(self) -> str:
        """What an index file says of how it was built; empty for the graph that there was before there were other kinds."""
        options = self.build_options()
        return "" if options == {"kind": "graph"} else json.dumps(options, sort_keys=True)


def _expect_kind(parameter: str, fitting: frozenset[str], kind: str) -> None:
    if kind not in fitting:
        raise InvalidArgument(f'{parameter} goes with an index of kind {", ".join(sorted(fitting))}, not with "{kind}"')
