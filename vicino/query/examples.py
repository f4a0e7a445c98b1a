"""Queries by example: records like these and unlike those.

An example is the id of a record or a vector. Records that serve as examples by their id are left out of what is found.
The scores are Qdrant's, so that a client of its wire finds the same records in the same order.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from vicino.errors import InvalidArgument
from vicino.query.json_value import from_json_value
from vicino.query.part import Part, choice, finite, numbers

Example = Any
"""The id of a record, or a vector."""


def example(value: Any, place: str) -> Example:
    """One example, checked: an int, a string or a UUID is an id, anything else a vector."""
    if isinstance(value, bool):
        raise InvalidArgument(f"{place}: an example is the id of a record or a vector, got {value!r}")
    if isinstance(value, int | str | uuid.UUID):
        return value
    if isinstance(value, np.integer):
        return int(value)
    return numbers(value, place)


def examples(values: Any, place: str) -> tuple[Example, ...]:
    """Several examples; one alone may stand for a list of it. Numbers with a fraction in a flat list are one vector, integers are ids."""
    if isinstance(values, np.ndarray):
        is_one = values.ndim == 1 and values.dtype.kind == "f"
        return (example(values, place),) if is_one else tuple(example(value, place) for value in values)
    if isinstance(values, int | str | uuid.UUID):
        return (example(values, place),)
    if not isinstance(values, Iterable) or isinstance(values, Mapping):
        raise InvalidArgument(f"{place} takes ids of records and vectors, got {values!r}")
    given = list(values)
    if any(isinstance(value, float | np.floating) for value in given):
        return (example(given, place),)
    return tuple(example(value, place) for value in given)


def _pairs(pairs: Any, place: str, *, needed: bool) -> tuple[tuple[Example, Example], ...]:
    read = []
    for pair in _entries(pairs, f"{place} takes pairs (positive, negative)"):
        if isinstance(pair, Mapping):
            pair = (pair.get("positive"), pair.get("negative"))
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InvalidArgument(f"{place} takes pairs (positive, negative), got {pair!r}")
        read.append((example(pair[0], place), example(pair[1], place)))
    if needed and not read:
        raise InvalidArgument(f"{place} needs at least one pair (positive, negative)")
    return tuple(read)


def _entries(values: Any, expected: str) -> Iterable[Any]:
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise InvalidArgument(f"{expected}, got {values!r}")
    return values


def _pairs_from_json(value: Any) -> Any:
    if not isinstance(value, list):
        return from_json_value(value)
    return [tuple(from_json_value(pair)) if isinstance(pair, list) else pair for pair in value]


def _name_from_json(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidArgument(f"a collection is named by a string, got {value!r}")
    return value


class ByExample(Part):
    """Base of the queries by example.

    lookup: another collection (or in JSON its name) that examples by id are read from; lookup_vector: which of its vectors.
    """

    readers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"lookup": _name_from_json}
    vector: str | None
    lookup: Any
    lookup_vector: str | None

    @property
    def all_examples(self) -> tuple[Example, ...]:
        """Every example, in the order in which scoring counts them."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        shown = super().to_json()
        if self.lookup is not None:
            shown[self.tag]["lookup"] = self.lookup if isinstance(self.lookup, str) else self.lookup.name
        return shown

    def _check_lookup(self) -> None:
        if self.lookup is not None and not isinstance(self.lookup, str) and not hasattr(self.lookup, "get"):
            raise InvalidArgument(f"lookup is a collection, got {type(self.lookup).__name__}")


@dataclass(frozen=True, eq=False, repr=False)
class Like(ByExample):
    """Records like some and unlike others.

    strategy: "average" searches for the mean of `like` moved away from the mean of `unlike`; "best" scores by the nearest example, and
    "sum" by the sum of the similarities to `like` minus those to `unlike`.
    """

    tag: ClassVar[str] = "like"
    like: Any
    unlike: Any = ()
    strategy: Literal["average", "best", "sum"] = "average"
    vector: str | None = None
    lookup: Any = None
    lookup_vector: str | None = None

    def __post_init__(self) -> None:
        self._set(like=examples(self.like, "Like"), unlike=examples(self.unlike, "unlike"))
        choice(self.strategy, "strategy", ("average", "best", "sum"))
        self._check_lookup()
        if not self.like and (self.strategy == "average" or not self.unlike):
            raise InvalidArgument('Like needs an example; unlike= alone works with strategy="best" or "sum"')

    @property
    def all_examples(self) -> tuple[Example, ...]:
        return (*self.like, *self.unlike)


@dataclass(frozen=True, eq=False, repr=False)
class Discover(ByExample):
    """Records near a target within the region that pairs of examples mark: each pair where the record is nearer to the positive counts 1,
    the similarity to the target decides among equals."""

    tag: ClassVar[str] = "discover"
    readers: ClassVar = {**ByExample.readers, "context": _pairs_from_json}
    target: Any
    context: Any = ()
    vector: str | None = None
    lookup: Any = None
    lookup_vector: str | None = None

    def __post_init__(self) -> None:
        self._set(target=example(self.target, "the target of Discover"), context=_pairs(self.context, "context", needed=False))
        self._check_lookup()

    @property
    def all_examples(self) -> tuple[Example, ...]:
        return (self.target, *(side for pair in self.context for side in pair))


@dataclass(frozen=True, eq=False, repr=False)
class Context(ByExample):
    """Records on the positive side of pairs of examples: 0 where that holds for all pairs, below 0 by how far it does not."""

    tag: ClassVar[str] = "context"
    readers: ClassVar = {**ByExample.readers, "pairs": _pairs_from_json}
    pairs: Any
    vector: str | None = None
    lookup: Any = None
    lookup_vector: str | None = None

    def __post_init__(self) -> None:
        self._set(pairs=_pairs(self.pairs, "Context", needed=True))
        self._check_lookup()

    @property
    def all_examples(self) -> tuple[Example, ...]:
        return tuple(side for pair in self.pairs for side in pair)


@dataclass(frozen=True, eq=False, repr=False)
class Feedback(ByExample):
    """Records near a target, moved by judgments of a better model on some examples: `a * similarity to the target` plus, for every two
    examples of different score, `difference of scores ** b * c * (similarity to the better - similarity to the worse)`.

    examples: (example, score) pairs.
    """

    tag: ClassVar[str] = "feedback"
    readers: ClassVar = {**ByExample.readers, "examples": _pairs_from_json}
    target: Any
    examples: Any
    a: float = 1.0
    b: float = 1.0
    c: float = 1.0
    vector: str | None = None
    lookup: Any = None
    lookup_vector: str | None = None

    def __post_init__(self) -> None:
        judged = []
        for entry in _entries(self.examples, "Feedback takes examples as (example, score)"):
            if not isinstance(entry, tuple | list) or len(entry) != 2:
                raise InvalidArgument(f"Feedback takes examples as (example, score), got {entry!r}")
            judged.append((example(entry[0], "Feedback"), finite(entry[1], "the score of an example")))
        self._set(target=example(self.target, "the target of Feedback"), examples=tuple(judged))
        self._set(a=finite(self.a, "a"), b=finite(self.b, "b"), c=finite(self.c, "c"))
        self._check_lookup()

    @property
    def all_examples(self) -> tuple[Example, ...]:
        return (self.target, *(entry[0] for entry in self.examples))

    @property
    def pairs(self) -> tuple[tuple[int, int, float], ...]:
        """(position of the better, of the worse, weight) of every two examples of different score; positions in `all_examples`."""
        return tuple(
            (1 + better, 1 + worse, (first[1] - second[1]) ** self.b * self.c)
            for better, first in enumerate(self.examples)
            for worse, second in enumerate(self.examples)
            if first[1] > second[1]
        )
