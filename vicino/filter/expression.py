"""`F`: conditions as Python expressions, `(F.price < 50) & (F.brand == "acme")`.

A `Field` is a path, comparing it gives an `Expression`, and an Expression is nothing but a condition (model.py) with the operators & | ~.
Python's syntax sets six traps here: missing parentheses around & and |, `and`/`or`/`not`, chained comparisons, `in`, something that is no
condition beside &, and iteration. Each would quietly give another filter or a puzzling error; each is caught and answered with the
spelling that was meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NoReturn

from vicino.elsewhere import condition_hint
from vicino.errors import FilterError, did_you_mean
from vicino.filter import model, operands, paths
from vicino.types import GeoPoint

Inclusive = Literal["both", "left", "right", "neither"]
Place = GeoPoint | tuple[float, float]


class _NoNumber:
    """Arithmetic is for formulas, whose values are wrapped; without this Python would only say that it knows no such operand."""

    __slots__ = ()

    def _calculate(self, other: object = None) -> Any:
        if hasattr(type(other), "evaluate"):  # an expression of a formula, which knows how to take this
            return NotImplemented
        what, wrapped = ("field", f'vicino.Value("{self._path}")') if isinstance(self, Field) else ("condition", f"vicino.If({self!r})")
        raise FilterError(f"{self!r} is a {what} and nothing to calculate with; in a formula write {wrapped}")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __pow__ = __rpow__ = _calculate
    __neg__ = __abs__ = _calculate


@dataclass(frozen=True, slots=True, repr=False)
class Expression(_NoNumber):
    """A condition, to be combined with & (and), | (or) and ~ (not)."""

    condition: model.Condition

    # Without it, numpy would take an expression on its right side for an array element.
    __array_ufunc__ = None

    def __and__(self, other: Expression) -> Expression:
        return Expression(model.And((*_parts(model.And, self), *_parts(model.And, _expect_condition("&", self, other)))))

    def __or__(self, other: Expression) -> Expression:
        return Expression(model.Or((*_parts(model.Or, self), *_parts(model.Or, _expect_condition("|", self, other)))))

    def __invert__(self) -> Expression:
        return Expression(model.Not(self.condition))

    def __rand__(self, other: object) -> NoReturn:
        raise _no_condition("&", other, self)

    def __ror__(self, other: object) -> NoReturn:
        raise _no_condition("|", other, self)

    def __bool__(self) -> NoReturn:
        raise FilterError(_truth_value_message(self))

    def __repr__(self) -> str:
        from vicino.filter.render import render

        return render(self.condition)


class _Comparable:
    """What stands on the left of a comparison: a field, or the number of its values."""

    __slots__ = ()
    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __and__(self, other: object) -> NoReturn:
        raise _no_condition("&", self, other)

    def __rand__(self, other: object) -> NoReturn:
        raise _no_condition("&", other, self)

    def __or__(self, other: object) -> NoReturn:
        raise _no_condition("|", self, other)

    def __ror__(self, other: object) -> NoReturn:
        raise _no_condition("|", other, self)

    def __invert__(self) -> NoReturn:
        raise FilterError(f"~{self!r} negates a field, not a condition; put the comparison in parentheses: ~({self!r} == ...)")

    def __bool__(self) -> NoReturn:
        raise FilterError(
            f"{self!r} is a field, not a condition, and has no truth value; compare it: {self!r} == True, {self!r} > 0, {self!r}.exists()"
        )

    def __contains__(self, value: object) -> NoReturn:
        raise FilterError(
            f"`{value!r} in {self!r}` cannot be overloaded in Python; for an element of a list write {self!r}.contains_any([{value!r}]), "
            f"for a part of a string {self!r}.contains({value!r})"
        )

    def __iter__(self) -> Iterator[Any]:
        raise FilterError(f"{self!r} is a field, not its values, and cannot be iterated; for every element of a list write {self!r}[:]")


_PLAIN = frozenset((int, float, str))
_KEPT = 256


# A condition that is written out for every search is one object all the same, and is found by that wherever something is kept for it. By
# type as well, since 1 and 1.0 are told apart in what users see.
@lru_cache(_KEPT, typed=True)
def _equal(path: str, value: object) -> Expression:
    return Expression(operands.equal(path, value))


@lru_cache(_KEPT, typed=True)
def _beyond(path: str, comparison: operands.Comparison, value: object) -> Expression:
    return Expression(operands.beyond(path, comparison, value))


class Field(_Comparable, _NoNumber):
    """The field at a path. Attributes and brackets go deeper: `F.author.name`, `F.items[0].price`, `F.items[:].price` (every element)."""

    __slots__ = ("_path",)
    _path: str

    def __init__(self, path: str) -> None:
        object.__setattr__(self, "_path", paths.check_path(path))

    def __getattr__(self, key: str) -> Field:
        if key.startswith("__"):  # asked for by copy, pickle, inspect and numpy, never a field
            raise AttributeError(key)
        return Field(f"{self._path}.{key}")

    def __setattr__(self, key: str, value: object) -> NoReturn:
        raise FilterError(f"{self!r}.{key} = ... assigns to a field; to compare write {self!r}.{key} == {value!r}")

    def __getitem__(self, key: str | int | slice) -> Field:
        if isinstance(key, str):
            return Field(f"{self._path}.{key}")
        if isinstance(key, int) and not isinstance(key, bool) and key >= 0:
            return Field(f"{self._path}[{key}]")
        if key == slice(None):
            return Field(f"{self._path}[]")
        raise FilterError(f'{self!r}[{key!r}] names no element; write [0] for one, [:] for every element, ["key"] for a key of an object')

    def __call__(self, *_args: object, **_options: object) -> NoReturn:
        owner, _, name = repr(self).rpartition(".")
        if owner == "F":
            functions = ("all_of", "any_of", "at_least", "has_id", "has_vector", "in_slice")
            hint = f" Write vicino.{name}(...)." if name in functions else did_you_mean(name, functions)
            raise FilterError(f"F.{name} is a field and cannot be called.{hint}")
        methods = [method for method in vars(Field) if not method.startswith("_")]
        raise FilterError(f"{self!r} is a field and cannot be called.{condition_hint(owner, name, methods)}")

    def __eq__(self, value: object) -> Expression:  # type: ignore[override]
        return _equal(self._path, value) if type(value) in _PLAIN else self.equals(value)

    def __ne__(self, value: object) -> Expression:  # type: ignore[override]
        return ~(self == value)

    def __lt__(self, value: object) -> Expression:
        return _beyond(self._path, "<", value) if type(value) in _PLAIN else self._compared("<", value)

    def __le__(self, value: object) -> Expression:
        return _beyond(self._path, "<=", value) if type(value) in _PLAIN else self._compared("<=", value)

    def __gt__(self, value: object) -> Expression:
        return _beyond(self._path, ">", value) if type(value) in _PLAIN else self._compared(">", value)

    def __ge__(self, value: object) -> Expression:
        return _beyond(self._path, ">=", value) if type(value) in _PLAIN else self._compared(">=", value)

    def __repr__(self) -> str:
        from vicino.filter.render import render_path

        return render_path(self._path)

    def __reduce__(self) -> tuple[type[Field], tuple[str]]:
        return Field, (self._path,)

    def equals(self, value: object, *, strict: bool = False) -> Expression:
        """`==`. Numbers compare by value; strictly they keep their type, so that 1 is not 1.0. None holds for null and missing fields."""
        _refuse_fields(self, value)
        return Expression(operands.equal(self._path, value, strict=strict))

    def between(self, low: object, high: object, *, inclusive: Inclusive = "both") -> Expression:
        """One value lies between the bounds, which belong to it unless `inclusive` says otherwise."""
        _refuse_fields(self, low, high)
        if low is None or high is None:
            raise FilterError(f"{self!r}.between({low!r}, {high!r}) lacks a bound; write {self!r} >= ... or {self!r} <= ...")
        return Expression(operands.in_range(self._path, **_bounds(low, high, inclusive)))

    def is_in(self, values: Iterable[object], *, strict: bool = False) -> Expression:
        """Some value is one of these; of none for an empty list."""
        return Expression(operands.is_in(self._path, _listed(self, values), strict=strict))

    def not_in(self, values: Iterable[object], *, strict: bool = False) -> Expression:
        """No value is one of these; so a missing field matches, as with `!=`."""
        return ~self.is_in(values, strict=strict)

    def has_other_than(self, values: Iterable[object], *, strict: bool = False) -> Expression:
        """Some value that is not null is none of these (Qdrant's `except`); a missing field does not match."""
        return Expression(model.NotIn(self._path, operands.scalars(self._path, _listed(self, values)), strict))

    def contains_any(self, values: Iterable[object]) -> Expression:
        """A list holds one of these at least; the same as `is_in`."""
        return self.is_in(values)

    def contains_all(self, values: Iterable[object]) -> Expression:
        """A list holds every one of these."""
        return Expression(model.ContainsAll(self._path, operands.scalars(self._path, _listed(self, values))))

    def is_null(self) -> Expression:
        """The value is null, or a list that holds a null; a missing field does not match."""
        return Expression(model.IsNull(self._path))

    def is_empty(self) -> Expression:
        """The field is missing, null or an empty list."""
        return Expression(model.IsEmpty(self._path))

    def exists(self) -> Expression:
        """The record has the field, be it null."""
        return Expression(model.Exists(self._path))

    def count(self) -> Count:
        """The number of values, to be compared: a list's length, 1 for anything else, 0 for null and missing fields."""
        return Count(self)

    def startswith(self, text: str) -> Expression:
        """Some string starts with `text`, case and all."""
        return Expression(model.Prefix(self._path, operands.text(self._path, text)))

    def contains(self, text: str, *, ignore_case: bool = False) -> Expression:
        """Some string has `text` as a part. (For elements of a list: contains_any, contains_all.)"""
        return Expression(model.Substring(self._path, operands.text(self._path, text), ignore_case))

    def matches(self, words: str) -> Expression:
        """Some string holds all of these words, in any order and any case; no part-words."""
        return Expression(model.TextMatch(self._path, operands.text(self._path, words), "all"))

    def matches_any(self, words: str) -> Expression:
        """Some string holds at least one of these words."""
        return Expression(model.TextMatch(self._path, operands.text(self._path, words), "any"))

    def phrase(self, words: str) -> Expression:
        """Some string holds these words next to each other, in this order."""
        return Expression(model.TextMatch(self._path, operands.text(self._path, words), "phrase"))

    def within_km(self, lat: float, lon: float, km: float) -> Expression:
        """Some place lies less than `km` kilometers from (lat, lon)."""
        center = operands.place(self._path, (lat, lon))
        radius = operands.real(self._path, "km", km)
        if radius < 0:
            raise FilterError(f'field "{self._path}": km must be at least 0, got {radius:g}')
        return Expression(model.GeoRadius(self._path, center, radius * 1000))

    def within_box(self, *, north: float, west: float, south: float, east: float) -> Expression:
        """Some place lies inside the box; west > east spans the 180° line."""
        top_left, bottom_right = operands.place(self._path, (north, west)), operands.place(self._path, (south, east))
        if south > north:
            raise FilterError(f'field "{self._path}": south ({south:g}) is north of north ({north:g}); swap them')
        return Expression(model.GeoBox(self._path, top_left, bottom_right))

    def within_polygon(self, corners: Iterable[Place], *, holes: Iterable[Iterable[Place]] = ()) -> Expression:
        """Some place lies inside the polygon and in none of its holes. Corners are (lat, lon); the last need not repeat the first."""
        interiors = tuple(operands.ring(self._path, hole) for hole in holes)
        return Expression(model.GeoPolygon(self._path, operands.ring(self._path, corners), interiors))

    def any(self, condition: Expression) -> Expression:
        """One and the same element of a list of objects meets the condition, whose fields are those of the element."""
        if not isinstance(condition, Expression):
            raise FilterError(f"{self!r}.any(...) takes a condition such as F.price < 5, got {type(condition).__name__}: {condition!r}")
        return Expression(model.Nested(self._path, condition.condition))

    def _compared(self, comparison: operands.Comparison, value: object) -> Expression:
        _refuse_fields(self, value)
        if value is None:
            raise FilterError(f"{self!r} {comparison} None: None has no order; ask for {self!r} == None or {self!r}.is_null()")
        return Expression(operands.beyond(self._path, comparison, value))


class Count(_Comparable):
    """The number of values of a field, as in `F.tags.count() >= 2`."""

    __slots__ = ("_field",)

    def __init__(self, field: Field) -> None:
        self._field = field

    def __eq__(self, value: object) -> Expression:  # type: ignore[override]
        return self._in_range(gte=value, lte=value)

    def __ne__(self, value: object) -> Expression:  # type: ignore[override]
        return ~(self == value)

    def __lt__(self, value: object) -> Expression:
        return self._in_range(lt=value)

    def __le__(self, value: object) -> Expression:
        return self._in_range(lte=value)

    def __gt__(self, value: object) -> Expression:
        return self._in_range(gt=value)

    def __ge__(self, value: object) -> Expression:
        return self._in_range(gte=value)

    def __repr__(self) -> str:
        return f"{self._field!r}.count()"

    def between(self, low: int, high: int, *, inclusive: Inclusive = "both") -> Expression:
        return self._in_range(**_bounds(low, high, inclusive))

    def _in_range(self, **bounds: object) -> Expression:
        for value in bounds.values():
            operands.count(self._field._path, value)
        return Expression(operands.in_count_range(self._field._path, **bounds))


_field = lru_cache(maxsize=1024)(Field)
"""Programs name the same few fields again and again, and reading a path takes as long as comparing with it."""


class Fields:
    """The root that fields hang from; `F` is the one instance."""

    __slots__ = ()

    def __getattr__(self, key: str) -> Field:
        if key.startswith("__"):
            raise AttributeError(key)
        return _field(key)

    def __getitem__(self, path: str) -> Field:
        return _field(path) if type(path) is str else Field(path)

    def __setattr__(self, key: str, value: object) -> NoReturn:
        raise FilterError(f"F.{key} = ... assigns to a field; to compare write F.{key} == {value!r}")

    def __iter__(self) -> Iterator[Field]:
        raise FilterError("F stands for every field there could be and cannot be iterated; name one: F.price")

    def __contains__(self, key: object) -> NoReturn:
        raise FilterError(f"`{key!r} in F` cannot be overloaded in Python; to ask whether records have the field write F[{key!r}].exists()")

    def __repr__(self) -> str:
        return "F"


F = Fields()


def _parts(kind: type[model.And] | type[model.Or], expression: Expression) -> tuple[model.Condition, ...]:
    """The parts of `a & b` in `(a & b) & c`: long conjunctions stay flat. An empty one stays as it is, it says something."""
    condition = expression.condition
    return condition.parts if isinstance(condition, kind) and condition.parts else (condition,)


def _bounds(low: object, high: object, inclusive: str) -> dict[str, object]:
    names = {"both": ("gte", "lte"), "left": ("gte", "lt"), "right": ("gt", "lte"), "neither": ("gt", "lt")}
    if inclusive not in names:
        raise FilterError(f'inclusive must be "both", "left", "right" or "neither", got {inclusive!r}')
    return dict(zip(names[inclusive], (low, high)))


def _listed(field: Field, values: Iterable[object]) -> Iterable[object]:
    if isinstance(values, (Expression, _Comparable)):
        _refuse_fields(field, values)
    if not isinstance(values, Iterable) or isinstance(values, str):
        return values  # refused in operands, with its type
    plain = list(values)
    _refuse_fields(field, *plain)
    return plain


def _refuse_fields(field: Field, *values: object) -> None:
    for value in values:
        if isinstance(value, Expression):
            raise FilterError(
                f"{field!r} is compared with the condition {value!r}; put each comparison in parentheses: ({field!r} == ...) & ({value!r})"
            )
        if isinstance(value, (_Comparable, Fields)):
            raise FilterError(f"{field!r} is compared with {value!r}: fields are compared with values, not with each other")


def _expect_condition(operator: str, left: Expression, right: object) -> Expression:
    if not isinstance(right, Expression):
        raise _no_condition(operator, left, right)
    return right


def _no_condition(operator: str, left: object, right: object) -> FilterError:
    """`F.a < 5 & F.b == 1` arrives as `5 & F.b`: & and | bind more tightly than comparisons."""

    def corrected(side: object) -> str:
        if isinstance(side, Expression):
            return f"({side!r})"
        return f"({side!r} == ...)" if isinstance(side, _Comparable) else f"(... {side!r})"

    culprit = left if not isinstance(left, Expression) else right
    kind = "a field" if isinstance(culprit, _Comparable) else type(culprit).__name__
    return FilterError(
        f"{operator} joins conditions, and {culprit!r} is {kind}, not a condition; {operator} binds more tightly than comparisons, "
        f"so put each comparison in parentheses: {corrected(left)} {operator} {corrected(right)}"
    )


def _truth_value_message(expression: Expression) -> str:
    shown = repr(expression)
    lines = [
        f"the condition {shown} has no truth value in Python; it is tested for each record. Instead of",
        f"  a and b, a or b, not a    write  ({shown}) & (...), ({shown}) | (...), ~({shown})",
    ]
    match expression.condition:
        case model.Range(path):
            field = repr(Field(path))
            lines.append(f"  low < {field} < high    write  ({field} > low) & ({field} < high), or {field}.between(low, high)")
        case model.Equal(path):
            field = repr(Field(path))
            lines.append(f"  {field} in [x, y]    write  {field}.is_in([x, y])")
    return "\n".join(lines)
