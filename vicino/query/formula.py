"""Expressions that score: numbers, scores of parts, fields, conditions as 0 or 1, and arithmetic over them.

    Score() * (1 + 0.5 * If(F.brand == "acme")) + Decay(F.date, half_life="30d")

An expression is a value; operators of Python make larger ones. It is evaluated over all candidates at once, as arrays. A field that a
record lacks and that has no default, and a result that is not finite, are errors that name the record.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from vicino.errors import InvalidArgument, did_you_mean
from vicino.filter.model import Condition
from vicino.query.json_value import from_json_value, to_json_value
from vicino.query.part import choice, condition_of, finite, whole
from vicino.types import GeoPoint, RecordId

Values = npt.NDArray[np.float64]
DEPTH_MAX = 64
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


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
        given = {}
        for field in fields(self):  # type: ignore[arg-type]
            if (value := getattr(self, field.name)) != field.default:
                given[field.name] = _to_json(value)
        return {self.tag: given}

    @staticmethod
    def from_json(value: Any) -> Expression:
        """The expression that `to_json` was called on; a number stands for itself, a string for the field of that name. Raises
        InvalidArgument."""
        return _from_json(value, 0)

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


def _set(expression: Expression, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(expression, name, value)


@dataclass(frozen=True)
class Number(Expression):
    tag: ClassVar[str] = "number"
    value: float

    def __post_init__(self) -> None:
        _set(self, value=finite(self.value, "a number in a formula"))

    def evaluate(self, over: Candidates) -> Values:
        return np.full(over.n, self.value)


@dataclass(frozen=True)
class Score(Expression):
    """The score of a record in one of the parts, counted from 0; `default` where that part did not find it."""

    tag: ClassVar[str] = "score"
    part: int = 0
    default: float = 0.0

    def __post_init__(self) -> None:
        _set(self, part=whole(self.part, "the part of Score", 0), default=finite(self.default, "the default of Score"))

    def evaluate(self, over: Candidates) -> Values:
        return over.scores(self.part, self.default)


@dataclass(frozen=True)
class Value(Expression):
    """The number a field holds, the first of a list; a bool is 0 or 1. default: where there is none."""

    tag: ClassVar[str] = "value"
    path: Any
    default: float | None = None

    def __post_init__(self) -> None:
        _set(self, path=path_of(self.path), default=None if self.default is None else finite(self.default, "default"))

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
        _set(self, path=None if self.path is None else path_of(self.path))
        for name in ("at", "default"):
            if (given := getattr(self, name)) is not None and _seconds_of(given) is None:
                raise InvalidArgument(f"{name} of Instant is a datetime, got {given!r}")

    def evaluate(self, over: Candidates) -> Values:
        if self.path is None:
            return np.full(over.n, _seconds_of(self.at))
        return _numbers(over, self.path, None if self.default is None else _seconds_of(self.default), _seconds_of, "a datetime")


@dataclass(frozen=True)
class If(Expression):
    """1 where a condition holds, else 0."""

    tag: ClassVar[str] = "if"
    where: Any

    def __post_init__(self) -> None:
        _set(self, where=condition_of(self.where))
        if self.where is None:
            raise InvalidArgument("If needs a condition")

    def evaluate(self, over: Candidates) -> Values:
        return over.holds(self.where).astype(np.float64)


@dataclass(frozen=True)
class Sum(Expression):
    tag: ClassVar[str] = "sum"
    of: tuple[Expression, ...]

    def __post_init__(self) -> None:
        _set(self, of=_operands(self.of, "sum"))

    def evaluate(self, over: Candidates) -> Values:
        return np.sum([entry.evaluate(over) for entry in self.of], axis=0)


@dataclass(frozen=True)
class Product(Expression):
    tag: ClassVar[str] = "product"
    of: tuple[Expression, ...]

    def __post_init__(self) -> None:
        _set(self, of=_operands(self.of, "product"))

    def evaluate(self, over: Candidates) -> Values:
        return np.prod([entry.evaluate(over) for entry in self.of], axis=0)


@dataclass(frozen=True)
class Quotient(Expression):
    tag: ClassVar[str] = "quotient"
    left: Any
    right: Any
    by_zero: float | None = None

    def __post_init__(self) -> None:
        _set(self, left=as_expression(self.left), right=as_expression(self.right))
        _set(self, by_zero=None if self.by_zero is None else finite(self.by_zero, "by_zero"))

    def evaluate(self, over: Candidates) -> Values:
        left, right = self.left.evaluate(over), self.right.evaluate(over)
        return left / right if self.by_zero is None else np.where(right == 0.0, self.by_zero, left / right)


@dataclass(frozen=True)
class Power(Expression):
    tag: ClassVar[str] = "power"
    base: Any
    exponent: Any

    def __post_init__(self) -> None:
        _set(self, base=as_expression(self.base), exponent=as_expression(self.exponent))

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
        _set(self, of=as_expression(self.of))

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
        _set(self, path=path_of(self.path), lat=finite(self.lat, "lat", low=-90, high=90), lon=finite(self.lon, "lon", low=-180, high=180))
        _set(self, default=None if self.default is None else finite(self.default, "default"))

    def evaluate(self, over: Candidates) -> Values:
        from vicino.filter.match import distance_m, place_of

        origin = GeoPoint(self.lat, self.lon)

        def meters(value: Any) -> float | None:
            place = place_of(value)
            return None if place is None else distance_m(origin, place)

        return _numbers(over, self.path, self.default, meters, "a place")


@dataclass(frozen=True)
class Decay(Expression):
    """1 at the target, `midpoint` at a distance of `scale` from it, falling: "exp", "gauss" or "linear" (0 from some distance on).

    of: an expression or a field. target: a number; a datetime or a place (a GeoPoint, a pair (lat, lon), a mapping with both) make a field
    be read as one. scale: a number, meters for places, or for time a timedelta or text like "30d", from now unless there is a target.
    half_life: a scale at which the value is one half.
    """

    tag: ClassVar[str] = "decay"
    of: Any
    target: Any = None
    scale: Any = None
    midpoint: float = 0.5
    shape: Literal["exp", "gauss", "linear"] = "exp"
    half_life: Any = None

    def __post_init__(self) -> None:
        choice(self.shape, "shape", ("exp", "gauss", "linear"))
        if (self.scale is None) == (self.half_life is None):
            raise InvalidArgument("Decay takes either scale= or half_life=")
        if self.half_life is not None and self.midpoint != 0.5:
            raise InvalidArgument("half_life= means a midpoint of 0.5; give scale= with another one")
        scale = self.half_life if self.scale is None else self.scale
        is_time = isinstance(scale, str | dt.timedelta) or _seconds_of(self.target) is not None
        of, target = self.of, self.target
        place = None
        if isinstance(target, tuple | list | Mapping):
            from vicino.filter.operands import place as place_of

            place = place_of("the target of Decay", target)
        if not isinstance(of, Expression):
            of = GeoDistance(of, *place) if place else Instant(of) if is_time else as_expression(Value(of) if isinstance(of, str) else of)
        seconds = _seconds_of(target)
        if place:
            target = 0.0
        elif seconds is not None:
            target = seconds
        elif target is None and not is_time:
            target = 0.0
        _set(self, of=of, target=None if target is None else finite(target, "target"), scale=_scale(scale), half_life=None)
        _set(self, midpoint=finite(self.midpoint, "midpoint"))
        if not 0 < self.midpoint < 1:
            raise InvalidArgument(f"midpoint must be between 0 and 1, got {self.midpoint}")

    def to_json(self) -> dict[str, Any]:
        # A target of None means now, so that "no target", which reads as 0 for numbers, has to be told apart by the form of the scale.
        shown = super().to_json()
        if self.target is None:
            shown["decay"]["scale"] = f"{self.scale!r}s"
        else:
            shown["decay"]["target"] = self.target
        return shown

    def evaluate(self, over: Candidates) -> Values:
        distance = np.abs(self.of.evaluate(over) - (over.now if self.target is None else self.target)) / self.scale
        if self.shape == "linear":
            return np.maximum(0.0, 1.0 - (1.0 - self.midpoint) * distance)
        return np.exp(math.log(self.midpoint) * (distance if self.shape == "exp" else distance**2))


def _scale(scale: Any) -> float:
    """A scale as a number; of time, seconds."""
    if isinstance(scale, dt.timedelta):
        scale = scale.total_seconds()
    if isinstance(scale, str):
        unit = scale.lstrip("0123456789.e+-")
        try:
            scale = float(scale.removesuffix(unit)) * _SECONDS[unit] if unit else float(scale)
        except (ValueError, KeyError):
            raise InvalidArgument(f'a time is written like "30d" or "12h" ({", ".join(_SECONDS)}), got {scale!r}') from None
    number = finite(scale, "scale")
    if number <= 0:
        raise InvalidArgument(f"scale must be greater than 0, got {number:g}")
    return number


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _seconds_of(value: Any) -> float | None:
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


def _to_json(value: Any) -> Any:
    if isinstance(value, Expression):
        return value.to_json()
    if isinstance(value, tuple) and not isinstance(value, GeoPoint):
        return [_to_json(entry) for entry in value]
    if isinstance(value, Condition):
        from vicino.filter.tree_json import condition_to_json

        return condition_to_json(value)
    return to_json_value(value)


def _from_json(value: Any, depth: int) -> Expression:
    if depth > DEPTH_MAX:
        raise InvalidArgument(f"expressions may lie {DEPTH_MAX} deep, this one lies deeper")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Number(value)
    if isinstance(value, str):
        return Value(value)
    if not isinstance(value, Mapping) or len(value) != 1:
        raise InvalidArgument(
            f'an expression is a number, the name of a field, or an object with one key such as {{"score": {{}}}}, got {str(value)[:80]}'
        )
    ((tag, arguments),) = value.items()
    kind = Expression.by_tag.get(tag)
    if kind is None:
        raise InvalidArgument(f"there is no expression {tag!r}.{did_you_mean(str(tag), Expression.by_tag)}")
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(arguments, Mapping) or not arguments.keys() <= known:
        raise InvalidArgument(f'"{tag}" takes an object with {", ".join(sorted(known))}, got {str(arguments)[:80]}')
    inner = ("of", "left", "right", "base", "exponent")
    try:
        return kind(**{name: _argument(entry, name in inner and not _is_field(kind, entry), depth) for name, entry in arguments.items()})
    except InvalidArgument:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidArgument(f'"{tag}" cannot be read: {error}') from error


def _is_field(kind: type[Expression], value: Any) -> bool:
    """Whether a string in place of an expression is left to the expression, which reads the field as its target asks for."""
    return kind is Decay and isinstance(value, str)


def _argument(value: Any, is_expression: bool, depth: int) -> Any:
    if not is_expression:
        return value if isinstance(value, Mapping) and "$tree" in value else from_json_value(value)
    if isinstance(value, list):
        return tuple(_from_json(entry, depth + 1) for entry in value)
    return _from_json(value, depth + 1)
