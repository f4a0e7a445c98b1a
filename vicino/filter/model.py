"""Conditions as values: the one tree that every spelling of a filter (`F`, string, dict, Qdrant JSON) compiles to.

Semantics are two-valued: a condition holds for a record or it does not, and `Not` is its plain negation. What each condition does
with missing fields, nulls and lists is written down in docs/explain/filters.md; `match.py` is the reference that tests compare with.

Paths are strings as on Qdrant's wire: `a.b` goes into objects, `a[].b` into every element of a list, `a[0].b` into one element,
`"a.b"` (quoted) is a key that holds a dot. A condition on a path that leads to several values holds if it holds for any of them.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Literal

from vicino.types import GeoPoint, RecordId

Scalar = None | bool | int | float | str | dt.datetime | uuid.UUID
"""What a field can be compared with. Datetimes are aware; naive ones were taken as UTC by the parser."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Base of all conditions. The tree is immutable and hashable."""


@dataclass(frozen=True, slots=True)
class And(Condition):
    """All parts hold; the empty conjunction holds always."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or(Condition):
    """Some part holds; the empty disjunction never holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not(Condition):
    part: Condition


@dataclass(frozen=True, slots=True)
class AtLeast(Condition):
    """At least `n` of the parts hold."""

    n: int
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Equal(Condition):
    """Some value at the path equals `value`.

    `strict` keeps the JSON type (Qdrant's match: 1 is neither 1.0 nor true); otherwise numbers compare by value as in Python,
    except that a bool equals only a bool.
    """

    path: str
    value: Scalar
    strict: bool = False


@dataclass(frozen=True, slots=True)
class In(Condition):
    """Some value at the path equals one of `values`; an empty list matches nothing."""

    path: str
    values: tuple[Scalar, ...]
    strict: bool = False


@dataclass(frozen=True, slots=True)
class NotIn(Condition):
    """Some value at the path is none of `values` (Qdrant's `except`): missing, null and [] do not match, unlike Not(In(...))."""

    path: str
    values: tuple[Scalar, ...]
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Range(Condition):
    """Some value at the path lies within the bounds given. Bounds are all numbers, all strings or all datetimes; None is open.

    Numbers compare by value, int with float exactly; strings by code point; datetimes by instant (a string value that
    is an RFC 3339 date or datetime counts as a datetime, as on Qdrant's wire).
    """

    path: str
    gt: int | float | str | dt.datetime | None = None
    gte: int | float | str | dt.datetime | None = None
    lt: int | float | str | dt.datetime | None = None
    lte: int | float | str | dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class IsNull(Condition):
    """The value is null, or a list that holds a null. Not: missing."""

    path: str


@dataclass(frozen=True, slots=True)
class IsEmpty(Condition):
    """The field is missing, null or []. Not: "", {}, [null]."""

    path: str


@dataclass(frozen=True, slots=True)
class Exists(Condition):
    """The path leads to a value, null included."""

    path: str


@dataclass(frozen=True, slots=True)
class CountRange(Condition):
    """The number of values lies within the bounds: scalar or object 1, list its length (nulls count), missing, null and [] 0."""

    path: str
    gt: int | None = None
    gte: int | None = None
    lt: int | None = None
    lte: int | None = None


@dataclass(frozen=True, slots=True)
class ContainsAll(Condition):
    """Every one of `values` equals some value at the path; an empty list holds always. (Contains any is `In`.)"""

    path: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Prefix(Condition):
    """Some string at the path starts with `text`, code point by code point."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Substring(Condition):
    """Some string at the path contains `text`; `ignore_case` compares simple case foldings."""

    path: str
    text: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class TextMatch(Condition):
    """Words of `text` in some string at the path: `all` of them in any order, `any` of them, or as a `phrase`.

    Words are maximal runs of letters, marks, digits and underscores, compared by simple case folding; no part-words. A query without
    words matches nothing. A string counts alone: words of two list elements do not add up.
    """

    path: str
    text: str
    mode: Literal["all", "any", "phrase"] = "all"


@dataclass(frozen=True, slots=True)
class GeoRadius(Condition):
    """Some point at the path lies within `radius_m` meters (haversine, earth radius 6,371,000 m, bound included) of `center`."""

    path: str
    center: GeoPoint
    radius_m: float


@dataclass(frozen=True, slots=True)
class GeoBox(Condition):
    """Some point lies in the box, borders included; a box whose west is greater than its east crosses the 180° line."""

    path: str
    top_left: GeoPoint
    bottom_right: GeoPoint


@dataclass(frozen=True, slots=True)
class GeoPolygon(Condition):
    """Some point lies inside `exterior` (even-odd rule in degrees, borders of the exterior included) and in none of `interiors`."""

    path: str
    exterior: tuple[GeoPoint, ...]
    interiors: tuple[tuple[GeoPoint, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Nested(Condition):
    """One and the same element (an object) of the list at the path meets `part`, whose paths start at the element."""

    path: str
    part: Condition


@dataclass(frozen=True, slots=True)
class HasId(Condition):
    ids: tuple[RecordId, ...]


@dataclass(frozen=True, slots=True)
class HasVector(Condition):
    """The record has a vector of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class Slice(Condition):
    """The record falls into part `index` of `total` equal parts by a fixed hash of its id (CRC32C of the encoded id, modulo `total`)."""

    total: int
    index: int
