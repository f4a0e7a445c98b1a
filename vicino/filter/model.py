"""Conditions as values: the one tree that every spelling of a filter (`F`, string, dict, Qdrant JSON) compiles to.

Semantics are two-valued: a condition holds for a record or it does not, and `Not` is its plain negation. What each condition does
with missing fields, nulls and lists is written down in docs/explain/filters.md; `match.py` is the reference that tests compare with.

Paths are strings as on Qdrant's wire: `a.b` goes into objects, `a[].b` into every element of a list, `a[0].b` into one element,
`"a.b"` (quoted) is a key that holds a dot. In full:

    path     = key opening* ("." key opening*)*        key      = plain | quoted
    opening  = "[]" | "[" digit+ "]"                   plain    = one or more characters, none of them . [ ] "
                                                       quoted   = '"', any characters but '"', '"'

A path leads to **nodes**: a key steps into an object that has it, `[]` to every element of a list, `[i]` to one; whatever is something
else is left behind, so `a.b` does not look into a list of objects. The **values** at a path are its nodes, each list among them replaced
by its elements (one level: a list inside a list stays one value). A condition on values holds if it holds for any of them; IsNull, IsEmpty,
Exists and CountRange speak of nodes.
"""

from __future__ import annotations

import datetime as dt
import uuid
from operator import attrgetter
from typing import Any, ClassVar, Literal, NoReturn, dataclass_transform

from vicino.types import GeoPoint, RecordId

Scalar = None | bool | int | float | str | dt.datetime | uuid.UUID
"""What a field can be compared with. Datetimes are aware; naive ones were taken as UTC by the parser.

Ints fit 64 bits and floats are finite: a field holds no others, so the parsers refuse them by name.
Values of different kinds are never equal and never ordered: kinds are null, bool, number (int and float), string, datetime, UUID.
A place, an object or a list equals nothing.
"""


def _told_apart(value: object) -> object:
    """A value that equals another only if a filter takes both for the same: to Python, True is 1."""
    if isinstance(value, tuple):
        return tuple(map(_told_apart, value))
    return (bool, value) if isinstance(value, bool) else value


@dataclass_transform(frozen_default=True)
class Condition:
    """Base of all conditions, which are immutable, hashable values: what a subclass annotates are its parts, in order.

    Frozen dataclasses would do, but compile five methods for each of two dozen classes: a fifth of the time `import vicino` may take.
    """

    __match_args__: ClassVar[tuple[str, ...]] = ()
    _names: ClassVar[frozenset[str]] = frozenset()
    _needed: ClassVar[frozenset[str]] = frozenset()  # those without a default
    _values: ClassVar[Any] = ()  # of every part, in order

    def __init_subclass__(cls) -> None:
        names = cls.__match_args__ = tuple(cls.__annotations__)
        cls._names = frozenset(names)
        cls._needed = frozenset(name for name in names if not hasattr(cls, name))  # defaults are attributes of the class
        look = attrgetter(*names)  # gives the value itself where there is one name
        cls._values = property(look if len(names) > 1 else lambda self: (look(self),))

    def __init__(self, *values: object, **named: object) -> None:
        names, given = self.__match_args__, self.__dict__
        given.update(zip(names, values))
        given.update(named)
        if len(values) > len(names) or len(given) < len(values) + len(named) or not self._names.issuperset(named):
            raise TypeError(f"{type(self).__name__} takes {', '.join(names)}, got {values!r} and {named!r}")
        if not self._needed <= given.keys():
            raise TypeError(f"{type(self).__name__} lacks {', '.join(name for name in names if name in self._needed - given.keys())}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a condition does not change: cannot set {name} of {self!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a condition does not change: cannot delete {name} of {self!r}")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        mine, theirs = self._values, other._values  # type: ignore[attr-defined]  (of one type)
        kinds = [*map(type, mine)]
        if tuple not in kinds and kinds == [*map(type, theirs)]:  # as searches that repeat a filter ask, in half of the time
            return bool(mine == theirs)
        return _told_apart(mine) == _told_apart(theirs)

    def __hash__(self) -> int:
        return hash((type(self), self._values))

    def __repr__(self) -> str:
        parts = zip(self.__match_args__, self._values)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in parts)})"


class And(Condition):
    """All parts hold; the empty conjunction holds always."""

    parts: tuple[Condition, ...]


class Or(Condition):
    """Some part holds; the empty disjunction never holds."""

    parts: tuple[Condition, ...]


class Not(Condition):
    part: Condition


class AtLeast(Condition):
    """At least `n` of the parts hold."""

    n: int
    parts: tuple[Condition, ...]


class Equal(Condition):
    """Some value at the path equals `value`; None equals null.

    `strict` keeps the JSON type (Qdrant's match: 1 is neither 1.0 nor true); otherwise numbers compare by value as in Python,
    except that a bool equals only a bool.
    """

    path: str
    value: Scalar
    strict: bool = False


class In(Condition):
    """Some value at the path equals one of `values`; an empty list matches nothing."""

    path: str
    values: tuple[Scalar, ...]
    strict: bool = False


class NotIn(Condition):
    """Some value at the path is neither null nor one of `values` (Qdrant's `except`); unlike Not(In), missing, null and [] do not match."""

    path: str
    values: tuple[Scalar, ...]
    strict: bool = False


class Range(Condition):
    """Some value at the path lies within the bounds given, at least one: all numbers, all strings or all datetimes; None is open.

    Numbers compare by value, int with float exactly; strings by code point; datetimes by instant, in whole microseconds. Against datetime
    bounds a string value counts as a datetime if it is, without anything around it,

        YYYY-MM-DD [ ("T" | "t" | " ") HH:MM [ :SS [ "." digit+ ] ] [ "Z" | "z" | ("+" | "-") HH [ [":"] MM ] ] ]

    with ASCII digits, a year from 0001, a day of the calendar, HH to 23, MM and SS to 59 (in the zone too). No zone means UTC; digits
    beyond the sixth are cut off.
    """

    path: str
    gt: int | float | str | dt.datetime | None = None
    gte: int | float | str | dt.datetime | None = None
    lt: int | float | str | dt.datetime | None = None
    lte: int | float | str | dt.datetime | None = None


class IsNull(Condition):
    """Some node is null, or a list that holds a null. Not: missing."""

    path: str


class IsEmpty(Condition):
    """Every node is null or [], so a missing field is empty. Not: "", {}, [null]."""

    path: str


class Exists(Condition):
    """The path leads to a node, be it null or []."""

    path: str


class CountRange(Condition):
    """The number of values of some node lies within the bounds: scalar or object 1, list its length (nulls count), null 0; missing 0."""

    path: str
    gt: int | None = None
    gte: int | None = None
    lt: int | None = None
    lte: int | None = None


class ContainsAll(Condition):
    """Every one of `values` equals some value at the path; an empty list holds always. (Contains any is `In`.)"""

    path: str
    values: tuple[Scalar, ...]


class Prefix(Condition):
    """Some string at the path starts with `text`, code point by code point."""

    path: str
    text: str


class Substring(Condition):
    """Some string at the path contains `text`; `ignore_case` compares simple case foldings."""

    path: str
    text: str
    ignore_case: bool = False


class TextMatch(Condition):
    """Words of `text` in some string at the path: `all` of them in any order, `any` of them, or as a `phrase`.

    Words are maximal runs of letters, marks and numbers (Unicode categories L, M, N; "_" parts words, as in Qdrant), compared by simple
    case folding, character by character: the character's full case folding where that is one character, else its lower case where that is
    one, else itself. No part-words. A query without words matches nothing. A string counts alone: words of two list elements do not add up.
    """

    path: str
    text: str
    mode: Literal["all", "any", "phrase"] = "all"


class GeoRadius(Condition):
    """Some place at the path lies less than `radius_m` meters from `center`: haversine on a sphere with Qdrant's radius of 6,371,008.8 m.

    A place is a GeoPoint, or an object with numbers (no bools) under `lat` and `lon`; so too for boxes and polygons.
    """

    path: str
    center: GeoPoint
    radius_m: float


class GeoBox(Condition):
    """Some place lies strictly inside the box, as in Qdrant; a box whose west is greater than its east crosses the 180° line.

    Across that line a longitude belongs if it is greater than the west or less than the east.
    """

    path: str
    top_left: GeoPoint
    bottom_right: GeoPoint


class GeoPolygon(Condition):
    """Some place lies strictly inside `exterior` (even-odd rule in degrees) and neither in nor on the border of any of `interiors`.

    Rings are closed whether or not the last corner repeats the first. With A, B the ends of an edge and P the place, x the longitude and y
    the latitude: P is on the edge if (Bx-Ax)*(Py-Ay) - (By-Ay)*(Px-Ax) == 0 within the edge's bounding box; the edge is crossed if
    (Ay > Py) != (By > Py) and Px < (Bx-Ax)*(Py-Ay)/(By-Ay) + Ax.
    """

    path: str
    exterior: tuple[GeoPoint, ...]
    interiors: tuple[tuple[GeoPoint, ...], ...] = ()


class Nested(Condition):
    """One and the same element (an object) of a list meets `part`, whose paths start at the element. Paths `a` and `a[]` are the same."""

    path: str
    part: Condition


class HasId(Condition):
    ids: tuple[RecordId, ...]


class HasVector(Condition):
    """The record has a vector of this name."""

    name: str


class Slice(Condition):
    """The record falls into part `index` of `total` equal parts by a fixed hash of its id (CRC32C of the encoded id, modulo `total`)."""

    total: int
    index: int
