"""Expressions that score: numbers, scores of parts, fields, conditions as 0 or 1, and arithmetic over them.

    Score() * (1 + 0.5 * If(F.brand == "acme")) + Decay(F.date, half_life="30d")

An expression is a value; operators of Python make larger ones. It is evaluated over all candidates at once, as arrays. A field that a
record lacks and that has no default, and a result that is not finite, are errors that name the record.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from vicino.errors import InvalidArgument
from vicino.filter.model import Condition
from vicino.query.part import choice, condition_of, finite, whole
from vicino.types import GeoPoint, RecordId

Values = npt.NDArray[np.float64]



class Candidates(Protocol):
    """What an expression is evaluated over."""

    @property
    def n(self) -> int: ...
    @property
    def now(self) -> float:
        """Seconds since 1970 at which the search looks at the clock."""
        ...

    def scores(self, part: int, default: float) -> Values: ...
    def values(self, path: str) -> list[Any]:
        """For each record its values at a path, lists of one level taken apart."""
        ...

    def holds(self, condition: Condition) -> npt.NDArray[np.bool_]: ...
    def record(self, row: int) -> RecordId: ...


class Expression:
    """Base of all expressions. `+ - * / **`, `-x`, `abs(x)`, `.sqrt()`, `.exp()`, `.ln()`, `.log10()` make larger ones."""

    tag: ClassVar[str]
    reads_fields: ClassVar[bool] = False
    """Whether a string in place of an inner expression is left to this one, which reads the field as its target asks for."""
    by_tag: ClassVar[dict[str, type[Expression]]] = {}

    def __init_subclass__(cls) -> None:
        if "tag" in cls.__dict__:
            Expression.by_tag[cls.tag] = cls

    def evaluate(self, over: Candidates) -> Values:
        """One value for each candidate, which need not be finite."""
        raise NotImplementedError

    def finite(self, over: Candidates) -> Values:
        """As `evaluate`. Raises InvalidArgument naming the first record whose value is not finite."""
        with np.errstate(all="ignore"):
            values = np.broadcast_to(self.evaluate(over), (over.n,))
        if not (fine := np.isfinite(values)).all():
            row = int(np.argmin(fine))
            raise InvalidArgument(
                f"the formula gives {values[row]} for record {over.record(row)!r}: {self!r}; divide with divided_by(…, by_zero=…) and keep "
                "logarithms and roots above 0"
            )
        return values

    @property
    def inner(self) -> tuple[Expression, ...]:
        """The expressions this one is made of."""
        found = []
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            found += [entry for entry in (value if isinstance(value, tuple) else (value,)) if isinstance(entry, Expression)]
        return tuple(found)

    @property
    def score_parts(self) -> set[int]:
        """The parts whose scores are asked for."""
        own = {self.part} if isinstance(self, Score) else set[int]()
        return own.union(*(entry.score_parts for entry in self.inner))

    @property
    def paths(self) -> set[str]:
        """The fields that are read."""
        own = {path for name in ("path",) if isinstance(path := getattr(self, name, None), str)}
        return own.union(*(entry.paths for entry in self.inner))

    def to_json(self) -> dict[str, Any]:
        """A JSON object with one key, the tag; `Expression.from_json` gives an equal expression back."""
        from vicino.query.formula_json import expression_to_json

        return expression_to_json(self)

    @staticmethod
    def from_json(value: Any) -> Expression:
        """The expression that `to_json` was called on; a number stands for itself, a string for the field of that name. Raises
        InvalidArgument."""
        from vicino.query.formula_json import expression_from_json

        return expression_from_json(value)

    def sqrt(self) -> Expression:
        return Function("sqrt", self)

    def exp(self) -> Expression:
        return Function("exp", self)

    def ln(self) -> Expression:
        return Function("ln", self)

    def log10(self) -> Expression:
        return Function("log10", self)

    def divided_by(self, other: Any, *, by_zero: float | None = None) -> Expression:
        """The quotient; where `other` is 0 it is `by_zero`."""
        return Quotient(self, as_expression(other), by_zero)

    def __add__(self, other: Any) -> Expression:
        return Sum((self, as_expression(other)))

    def __radd__(self, other: Any) -> Expression:
        return Sum((as_expression(other), self))

    def __sub__(self, other: Any) -> Expression:
        return Sum((self, Function("neg", as_expression(other))))

    def __rsub__(self, other: Any) -> Expression:
        return Sum((as_expression(other), Function("neg", self)))

    def __mul__(self, other: Any) -> Expression:
        return Product((self, as_expression(other)))

    def __rmul__(self, other: Any) -> Expression:
        return Product((as_expression(other), self))

    def __truediv__(self, other: Any) -> Expression:
        return Quotient(self, as_expression(other))

    def __rtruediv__(self, other: Any) -> Expression:
        return Quotient(as_expression(other), self)

    def __pow__(self, other: Any) -> Expression:
        return Power(self, as_expression(other))

    def __rpow__(self, other: Any) -> Expression:
        return Power(as_expression(other), self)

    def __neg__(self) -> Expression:
        return Function("neg", self)

    def __abs__(self) -> Expression:
        return Function("abs", self)


def as_expression(value: Any) -> Expression:
    """An expression, a number, a condition (1 where it holds), or a field such as `F.price`. Raises InvalidArgument."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, bool):
        raise InvalidArgument(f"a formula takes numbers, fields and conditions, got {value!r}")
    if isinstance(value, int | float | np.number):
        return Number(finite(value, "a number in a formula"))
    path = getattr(value, "_path", None)
    if isinstance(path, str):
        return Value(value)
    if isinstance(value, Condition) or isinstance(getattr(value, "condition", None), Condition):
        return If(value)
    raise InvalidArgument(f"a formula takes numbers, fields such as F.price, conditions and Score(), got {type(value).__name__} {value!r}")


def path_of(field: Any) -> str:
    """The path of "price" or F.price."""
    from vicino.filter.paths import check_path

    path = field if isinstance(field, str) else getattr(field, "_path", None)
    if not isinstance(path, str):
        raise InvalidArgument(f'a field is named like "price" or F.price, got {field!r}')
    return check_path(path)


def assign(expression: Expression, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(expression, name, value)


@dataclass(frozen=True)
class Number(Expression):
    tag: ClassVar[str] = "number"
    value: float

    def __post_init__(self) -> None:
        assign(self, value=finite(self.value, "a number in a formula"))

    def evaluate(self, over: Candidates) -> Values:
        return np.full(over.n, self.value)


@dataclass(frozen=True)
class Score(Expression):
    """The score of a record in one of the parts, counted from 0; `default` where that part did not find it."""

    tag: ClassVar[str] = "score"
    part: int = 0
    default: float = 0.0

    def __post_init__(self) -> None:
        assign(self, part=whole(self.part, "the part of Score", 0), default=finite(self.default, "the default of Score"))

    def evaluate(self, over: Candidates) -> Values:
        return over.scores(self.part, self.default)


@dataclass(frozen=True)
class Value(Expression):
    """The number a field holds, the first of a list; a bool is 0 or 1. default: where there is none."""

    tag: ClassVar[str] = "value"
    path: Any
    default: float | None = None

    def __post_init__(self) -> None:
        assign(self, path=path_of(self.path), default=None if self.default is None else finite(self.default, "default"))

    def evaluate(self, over: Candidates) -> Values:
        return _numbers(over, self.path, self.default, _number, "a number")


@dataclass(frozen=True)
class Instant(Expression):
    """The datetime a field holds, or a fixed one, in seconds since 1970. default: a datetime where there is none."""

    tag: ClassVar[str] = "instant"
    path: Any = None
    at: Any = None
    default: Any = None

    def __post_init__(self) -> None:
        if (self.path is None) == (self.at is None):
            raise InvalidArgument("Instant takes either a field or at=, a datetime")
        assign(self, path=None if self.path is None else path_of(self.path))
        for name in ("at", "default"):
            if (given := getattr(self, name)) is not None and seconds_of(given) is None:
                raise InvalidArgument(f"{name} of Instant is a datetime, got {given!r}")

    def evaluate(self, over: Candidates) -> Values:
        if self.path is None:
            return np.full(over.n, seconds_of(self.at))
        return _numbers(over, self.path, None if self.default is None else seconds_of(self.default), seconds_of, "a datetime")


@dataclass(frozen=True)
class If(Expression):
    """1 where a condition holds, else 0."""

    tag: ClassVar[str] = "if"
    where: Any

    def __post_init__(self) -> None:
        assign(self, where=condition_of(self.where))
        if self.where is None:
            raise InvalidArgument("If needs a condition")

    def evaluate(self, over: Candidates) -> Values:
        return over.holds(self.where).astype(np.float64)


@dataclass(frozen=True)
class Sum(Expression):
    tag: ClassVar[str] = "sum"
    of: tuple[Expression, ...]

    def __post_init__(self) -> None:
        assign(self, of=_operands(self.of, "sum"))

    def evaluate(self, over: Candidates) -> Values:
        return np.sum([entry.evaluate(over) for entry in self.of], axis=0)


@dataclass(frozen=True)
class Product(Expression):
    tag: ClassVar[str] = "product"
    of: tuple[Expression, ...]

    def __post_init__(self) -> None:
        assign(self, of=_operands(self.of, "product"))

    def evaluate(self, over: Candidates) -> Values:
        return np.prod([entry.evaluate(over) for entry in self.of], axis=0)


@dataclass(frozen=True)
class Quotient(Expression):
    tag: ClassVar[str] = "quotient"
    left: Any
    right: Any
    by_zero: float | None = None

    def __post_init__(self) -> None:
        assign(self, left=as_expression(self.left), right=as_expression(self.right))
        assign(self, by_zero=None if self.by_zero is None else finite(self.by_zero, "by_zero"))

    def evaluate(self, over: Candidates) -> Values:
        left, right = self.left.evaluate(over), self.right.evaluate(over)
        return left / right if self.by_zero is None else np.where(right == 0.0, self.by_zero, left / right)


@dataclass(frozen=True)
class Power(Expression):
    tag: ClassVar[str] = "power"
    base: Any
    exponent: Any

    def __post_init__(self) -> None:
        assign(self, base=as_expression(self.base), exponent=as_expression(self.exponent))

    def evaluate(self, over: Candidates) -> Values:
        return np.power(self.base.evaluate(over), self.exponent.evaluate(over))


_FUNCTIONS: Mapping[str, Callable[[Values], Values]] = {
    "neg": np.negative, "abs": np.abs, "sqrt": np.sqrt, "exp": np.exp, "ln": np.log, "log10": np.log10,
}  # fmt: skip


@dataclass(frozen=True)
class Function(Expression):
    """neg, abs, sqrt, exp, ln or log10 of an expression."""

    tag: ClassVar[str] = "function"
    name: str
    of: Any

    def __post_init__(self) -> None:
        choice(self.name, "function", tuple(_FUNCTIONS))
        assign(self, of=as_expression(self.of))

    def evaluate(self, over: Candidates) -> Values:
        return _FUNCTIONS[self.name](self.of.evaluate(over))


@dataclass(frozen=True)
class GeoDistance(Expression):
    """Meters from a place to the one a field holds, on a sphere of 6,371,008.8 m. default: where the record has no place."""

    tag: ClassVar[str] = "geo_distance"
    path: Any
    lat: float
    lon: float
    default: float | None = None

    def __post_init__(self) -> None:
        lat, lon = finite(self.lat, "lat", low=-90, high=90), finite(self.lon, "lon", low=-180, high=180)
        assign(self, path=path_of(self.path), lat=lat, lon=lon, default=None if self.default is None else finite(self.default, "default"))

    def evaluate(self, over: Candidates) -> Values:
        from vicino.filter.match import distance_m, place_of

        origin = GeoPoint(self.lat, self.lon)

        def meters(value: Any) -> float | None:
            place = place_of(value)
            return None if place is None else distance_m(origin, place)

        return _numbers(over, self.path, self.default, meters, "a place")


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def seconds_of(value: Any) -> float | None:
    """Seconds since 1970 of a datetime or of a text that is one; a naive one is UTC."""
    if isinstance(value, str):
        from vicino.filter.operands import parse_datetime

        value = parse_datetime(value)
    if not isinstance(value, dt.datetime):
        return None
    return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).timestamp()


def _numbers(over: Candidates, path: str, default: float | None, read: Callable[[Any], float | None], kind: str) -> Values:
    """What `read` makes of the first value at a path it can read, of every record. Raises InvalidArgument where there is none."""
    found = np.empty(over.n)
    for row, values in enumerate(over.values(path)):
        value = next((number for entry in values if (number := read(entry)) is not None), default)
        if value is None:
            held = f"holds {str(values[0])[:40]!r}" if values else "has no value there"
            raise InvalidArgument(f'the formula reads field "{path}" as {kind}, record {over.record(row)!r} {held}; give default=')
        found[row] = value
    return found


def _operands(of: Any, name: str) -> tuple[Expression, ...]:
    read = tuple(as_expression(entry) for entry in of)
    if not read:
        raise InvalidArgument(f"a {name} needs at least one expression")
    return read
