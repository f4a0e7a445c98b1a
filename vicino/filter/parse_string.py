"""Filters as text in Python syntax: `10 <= price < 50 and brand == 'acme' and 'red' in colors`.

Python's own parser reads the text; nothing is ever evaluated. The tree is then walked against an allow-list: `and or not`, comparisons of
a field with values, the methods of `F` fields, a few functions, literals. Everything else is refused with a caret under the faulty part.
Python's `and`, `or` and chained comparisons work here, so this spelling has none of the traps of operators on `F`.
"""

from __future__ import annotations

import ast
import datetime as dt
import inspect
import re
import uuid
from collections.abc import Callable
from typing import Any

from vicino.errors import FilterError, did_you_mean
from vicino.filter import conditions, model, operands
from vicino.filter.expression import Count, Expression, Field

LENGTH_MAX = 100_000
"""Characters of one filter; long lists of values belong into `F.x.is_in(values)`."""

METHODS = frozenset(name for name in vars(Field) if not name.startswith("_"))
CONDITION_FUNCTIONS: dict[str, Callable[..., Expression]] = {
    function.__name__: function
    for function in (
        conditions.all_of,
        conditions.any_of,
        conditions.at_least,
        conditions.has_id,
        conditions.has_vector,
        conditions.in_slice,
    )
}
VALUE_FUNCTIONS = ("datetime", "date", "uuid")
FUNCTIONS = (*CONDITION_FUNCTIONS, *VALUE_FUNCTIONS, "field", "len")

_ORDER: dict[type[ast.cmpop], operands.Comparison] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_MIRRORED: dict[operands.Comparison, operands.Comparison] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}

# What people bring along from other languages, where the Python parser says no more than "invalid syntax".
_FOREIGN = (
    (r"&&", "`and`"),
    (r"\|\|", "`or`"),
    (r"!(?!=)", "`not`"),
    (r"<>", "`!=`"),
    (r"(?<![<>=!:])=(?!=)", "`==`"),
    (r"\bAND\b", "`and`"),
    (r"\bOR\b", "`or`"),
    (r"\bNOT\b", "`not`"),
    (r"\bIN\b", "`in`"),
    (r"\bIS\b", "`is`"),
    (r"\bLIKE\b", "`field.startswith('...')` or `field.contains('...')`"),
    (r"\bBETWEEN\b", "`low <= field <= high`"),
)


def parse_string(text: str) -> model.Condition:
    """The condition that the text spells. Raises FilterError with a caret under the part that cannot be understood."""
    if not text.strip():
        raise FilterError("the filter is an empty string; leave `where` out to take every record")
    if len(text) > LENGTH_MAX:
        raise FilterError(f"the filter has {len(text)} characters, at most {LENGTH_MAX} are read; give long lists by F.field.is_in(values)")
    parser = _Parser(_on_one_line(text))
    try:
        return parser.condition(parser.tree(), depth=0)
    except (RecursionError, MemoryError):
        raise FilterError(f"the filter is nested too deeply; conditions may lie {operands.DEPTH_MAX} deep") from None


def _on_one_line(text: str) -> str:
    """Line breaks as spaces, so that long filters may be laid out; every character keeps its position. Not where a break has a meaning."""
    if '"""' in text or "'''" in text or "#" in text:
        return text
    return text.replace("\r", " ").replace("\n", " ").replace("\t", " ")


class _Parser:
    def __init__(self, text: str) -> None:
        self._indent = len(text) - len(text.lstrip())
        self._text = text
        self._lines = text[self._indent :].splitlines(keepends=True)

    def tree(self) -> ast.expr:
        try:
            return ast.parse(self._text[self._indent :], mode="eval").body
        except SyntaxError as error:
            raise self._syntax_error(error) from None
        except ValueError as error:  # a null byte, an unpaired surrogate
            raise FilterError(f"the filter {self._text!r} is not readable text: {error}") from None

    def condition(self, node: ast.expr, depth: int) -> model.Condition:
        if depth > operands.DEPTH_MAX:
            raise self._error(node, f"conditions may lie {operands.DEPTH_MAX} deep, this one lies deeper")
        match node:
            case ast.BoolOp(ast.And(), values):
                return model.And(tuple(self.condition(value, depth + 1) for value in values))
            case ast.BoolOp(ast.Or(), values):
                return model.Or(tuple(self.condition(value, depth + 1) for value in values))
            case ast.UnaryOp(ast.Not(), operand):
                return model.Not(self.condition(operand, depth + 1))
            case ast.Compare():
                return self._comparison(node)
            case ast.Call(ast.Name(name)) if name in CONDITION_FUNCTIONS:
                return self._call(node, CONDITION_FUNCTIONS[name], depth).condition
            case ast.Call(ast.Attribute()):
                return self._method_call(node, depth)
        raise self._no_condition(node)

    def _comparison(self, node: ast.Compare) -> model.Condition:
        sides = [node.left, *node.comparators]
        if range_ := self._two_sided_range(node, sides):
            return range_
        pairs = [self._pair(left, operator, right) for left, operator, right in zip(sides, node.ops, sides[1:])]
        return pairs[0] if len(pairs) == 1 else model.And(tuple(pairs))

    def _two_sided_range(self, node: ast.Compare, sides: list[ast.expr]) -> model.Condition | None:
        """`10 <= price < 50` is one range, met by one and the same value of a list, as it reads."""
        match node.ops:
            case [ast.Lt() | ast.LtE(), ast.Lt() | ast.LtE()]:
                low, high, below, above = sides[0], sides[2], node.ops[0], node.ops[1]
            case [ast.Gt() | ast.GtE(), ast.Gt() | ast.GtE()]:
                low, high, below, above = sides[2], sides[0], node.ops[1], node.ops[0]
            case _:
                return None
        if not self._is_subject(sides[1]):
            return None
        subject, bounds = self._subject(sides[1]), (self._value(low), self._value(high))
        takes_low, takes_high = isinstance(below, (ast.LtE, ast.GtE)), isinstance(above, (ast.LtE, ast.GtE))
        inclusive = ("both" if takes_high else "left") if takes_low else ("right" if takes_high else "neither")
        return self._guarded(node, lambda: subject.between(*bounds, inclusive=inclusive)).condition

    def _pair(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> model.Condition:
        if isinstance(operator, (ast.In, ast.NotIn)):
            found = self._membership(left, right)
            return model.Not(found) if isinstance(operator, ast.NotIn) else found
        if not self._is_subject(left) and not self._is_subject(right):
            raise self._error(left, "neither side of this comparison is a field")
        if self._is_subject(left) and self._is_subject(right):
            raise self._error(
                right, "a field is compared with values, not with another field; put strings in quotes, and write True, False, None"
            )
        is_mirrored = not self._is_subject(left)
        subject, value_node = (self._subject(right), left) if is_mirrored else (self._subject(left), right)
        value = self._value(value_node)
        if isinstance(operator, (ast.Is, ast.IsNot)) and value is not None:
            raise self._error(value_node, "`is` asks for None only; compare other values with ==")
        if comparison := _ORDER.get(type(operator)):
            sign = _MIRRORED[comparison] if is_mirrored else comparison
            compare: dict[str, Callable[[], Expression]] = {
                "<": lambda: subject < value, "<=": lambda: subject <= value, ">": lambda: subject > value, ">=": lambda: subject >= value,
            }  # fmt: skip
            return self._guarded(value_node, compare[sign]).condition
        if isinstance(operator, (ast.NotEq, ast.IsNot)):
            return self._guarded(value_node, lambda: subject != value).condition
        return self._guarded(value_node, lambda: subject == value).condition

    def _membership(self, left: ast.expr, right: ast.expr) -> model.Condition:
        """`color in ['red', 'blue']` and `'red' in colors`: both hold if some value of the field is one of the values."""
        if self._is_subject(left) and self._is_subject(right):
            raise self._error(right, "a field is compared with values, not with another field")
        if self._is_subject(right):
            field, value = self._field(right), self._value(left)
            return self._guarded(left, lambda: field == value).condition
        if not self._is_subject(left):
            raise self._error(left, "neither side of `in` is a field")
        field, values = self._field(left), self._value(right)
        if isinstance(values, str):
            raise self._error(
                right,
                f"`in` takes a list of values; write [{values!r}], or {ast.unparse(left)}.contains({values!r}) for a part of a string",
            )
        return self._guarded(right, lambda: field.is_in(values)).condition

    def _method_call(self, node: ast.Call, depth: int) -> model.Condition:
        method = node.func
        assert isinstance(method, ast.Attribute)
        if not self._is_subject(method.value):
            raise self._error(method.value, "only fields have methods here")
        field = self._field(method.value)
        if method.attr not in METHODS:
            raise self._error(method, f"a field has no method {method.attr!r}.{did_you_mean(method.attr, METHODS)}", last=len(method.attr))
        result = self._call(node, getattr(field, method.attr), depth)
        if isinstance(result, Count):
            raise self._error(node, "count() gives a number; compare it, as in tags.count() >= 2")
        return result.condition

    def _call(self, node: ast.Call, function: Callable[..., Any], depth: int) -> Any:
        for part in [*node.args, *(keyword.value for keyword in node.keywords)]:
            if isinstance(part, ast.Starred):
                raise self._error(part, "`*` cannot be used here; write the values out")
        if any(keyword.arg is None for keyword in node.keywords):
            raise self._error(node, "`**` cannot be used here; write the arguments out")
        arguments = [self._argument(argument, depth) for argument in node.args]
        options = {str(keyword.arg): self._argument(keyword.value, depth) for keyword in node.keywords}
        try:
            inspect.signature(function).bind(*arguments, **options)
        except TypeError as error:
            raise self._error(node, f"{error}: {function.__name__}{_shown_signature(function)}") from None
        return self._guarded(node, lambda: function(*arguments, **options))

    def _argument(self, node: ast.expr, depth: int) -> Any:
        """A literal, or a condition where one can stand."""
        is_method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        is_condition_function = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CONDITION_FUNCTIONS
        is_negation = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        if isinstance(node, (ast.Compare, ast.BoolOp)) or is_method or is_condition_function or is_negation:
            return Expression(self.condition(node, depth + 1))
        return self._value(node)

    def _is_subject(self, node: ast.expr) -> bool:
        """Whether this stands for a field, or for the number of its values."""
        match node:
            case ast.Name():
                return True
            case ast.Attribute(value) | ast.Subscript(value):
                return self._is_subject(value)
            case ast.Call(ast.Name("field" | "len")):
                return True
            case ast.Call(ast.Attribute(value, "count")):
                return self._is_subject(value)
        return False

    def _subject(self, node: ast.expr) -> Field | Count:
        match node:
            case ast.Call(ast.Name("len"), [argument], []):
                return self._field(argument).count()
            case ast.Call(ast.Name("len")):
                raise self._error(node, "len takes one field, as in len(tags) >= 2")
            case ast.Call(ast.Attribute(value, "count"), arguments, keywords):
                if arguments or keywords:
                    raise self._error(node, "count() takes no arguments")
                return self._field(value).count()
        return self._field(node)

    def _field(self, node: ast.expr) -> Field:
        match node:
            case ast.Name(name):
                self._check_spelling(node, name)
                return Field(name)
            case ast.Attribute(value, name):
                self._check_spelling(node, name)
                return Field(f"{self._field(value)._path}.{name}")
            case ast.Subscript(value, ast.Slice(None, None, None)):
                return self._field(value)[:]
            case ast.Subscript(value, ast.Constant(key)) if isinstance(key, (int, str)):
                field = self._field(value)
                return self._guarded(node, lambda: field[key])
            case ast.Call(ast.Name("field"), [ast.Constant(str(path))], []):
                return self._guarded(node, lambda: Field(path))
            case ast.Call(ast.Name("field")):
                raise self._error(node, "field takes one path in quotes, as in field('in-stock') == True")
        raise self._error(node, "a field is expected here, such as price, author.name, items[0].price or field('in-stock')")

    def _check_spelling(self, node: ast.expr, name: str) -> None:
        # Python reads names in the compatibility form NFKC: another form would silently become another field.
        if not self._text.isascii() and not self._source(node).endswith(name):
            raise self._error(node, f"Python reads this name as {name!r}; write field('...') for a name spelled another way")

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value):
                return value
            case ast.UnaryOp(ast.USub(), ast.Constant(value)) if isinstance(value, (int, float)) and not isinstance(value, bool):
                return -value
            case ast.UnaryOp(ast.UAdd(), ast.Constant(value)) if isinstance(value, (int, float)) and not isinstance(value, bool):
                return value
            case ast.List(elements) | ast.Tuple(elements) | ast.Set(elements):
                return [self._value(element) for element in elements]
            case ast.Call(ast.Name(name)) if name in VALUE_FUNCTIONS:
                return self._value_call(node, name)
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
                raise self._error(node, "in strings conditions are joined by `and` and `or`, not by & and |")
            case ast.BinOp():
                raise self._error(node, "nothing is computed in a filter; write the value itself")
            case ast.JoinedStr():
                raise self._error(node, "f-strings are not evaluated; put the value into the string, or use F expressions")
            case ast.Name("true" | "false" | "null" | "none"):
                raise self._error(node, "write True, False or None, as in Python")
            case ast.Name(name):
                raise self._error(node, f"a value is expected here; put strings in quotes: '{name}'")
            case ast.Call(ast.Name(name)):
                raise self._error(node, f"there is no function {name!r}.{did_you_mean(name, FUNCTIONS)}")
        raise self._error(
            node, "a value is expected here: a number, a string in quotes, True, False, None, a list, datetime('...') or uuid('...')"
        )

    def _value_call(self, node: ast.Call, name: str) -> Any:
        arguments = [self._value(argument) for argument in node.args]
        match name, arguments:
            case "uuid", [str(written)] if not node.keywords:
                return self._guarded(node, lambda: uuid.UUID(written))
            case (("datetime" | "date"), [str(written)]) if not node.keywords:
                moment = operands.parse_datetime(written)
                if moment is None:
                    raise self._error(node, f"{written!r} is no date or datetime; write it like '2024-01-31' or '2024-01-31T12:00:00Z'")
                return moment
            case (("datetime" | "date"), [*numbers]) if 3 <= len(numbers) <= 7 and not node.keywords and {*map(type, numbers)} == {int}:
                return self._guarded(node, lambda: dt.datetime(*numbers, tzinfo=dt.UTC))
        raise self._error(
            node, f"{name} takes one string, as in " + ("uuid('...')" if name == "uuid" else "datetime('2024-01-31T12:00:00Z')")
        )

    def _no_condition(self, node: ast.expr) -> FilterError:
        match node:
            case ast.Name() | ast.Attribute() | ast.Subscript() | ast.Call(ast.Name("field" | "len")):
                return self._error(
                    node, f"this is a field, not a condition; compare it: {ast.unparse(node)} == True, {ast.unparse(node)}.exists()"
                )
            case ast.Call(ast.Name(name)):
                return self._error(node, f"there is no function {name!r}.{did_you_mean(name, FUNCTIONS)}")
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr()) | ast.UnaryOp(ast.Invert()):
                return self._error(node, "in strings conditions are joined by `and`, `or` and `not`, not by &, | and ~")
            case ast.Constant():
                return self._error(node, "this is a value, not a condition; compare a field with it")
            case ast.Tuple():
                return self._error(node, "conditions are joined by `and`, not by commas")
        return self._error(node, "this is not a condition; write comparisons of fields, joined by and, or, not")

    def _guarded(self, node: ast.expr, build: Callable[[], Any]) -> Any:
        """What `build` gives; its error is shown with a caret under the part it is about."""
        try:
            return build()
        except (ValueError, OverflowError, TypeError) as error:
            raise self._error(node, str(error)) from error

    def _source(self, node: ast.expr) -> str:
        start, end = self._span(node)
        return self._text[start:end]

    def _span(self, node: ast.expr) -> tuple[int, int]:
        """Positions in the text; the tree counts lines, and bytes of UTF-8 within them."""

        def position(line: int, column: int) -> int:
            before = sum(map(len, self._lines[: line - 1])) + self._indent
            return before + len(self._lines[line - 1].encode("utf-8", "surrogatepass")[:column].decode("utf-8", "replace"))

        return position(node.lineno, node.col_offset), position(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)

    def _error(self, node: ast.expr, message: str, *, last: int | None = None) -> FilterError:
        """`last`: the caret stands under so many characters at the end of the part, for the name of a method."""
        start, end = self._span(node)
        return FilterError(_with_caret(self._text, start if last is None else end - last, end, message))

    def _syntax_error(self, error: SyntaxError) -> FilterError:
        outside_strings = re.sub(r"'[^']*'|\"[^\"]*\"", lambda quoted: " " * len(quoted[0]), self._text)
        for pattern, instead in _FOREIGN:
            if found := re.search(pattern, outside_strings):
                return FilterError(_with_caret(self._text, *found.span(), f"this is not Python; write {instead}"))
        # No offset: the text ends where something must follow.
        start = self._indent + error.offset - 1 if error.offset else len(self._text)
        end = self._indent + error.end_offset - 1 if error.end_offset and error.end_lineno == error.lineno == 1 else start + 1
        return FilterError(_with_caret(self._text, start, max(end, start + 1), f"the filter cannot be read: {error.msg}"))


def _with_caret(text: str, start: int, end: int, message: str) -> str:
    """The message, the text around the fault, and a line of carets under it."""
    first, last = max(start - 60, 0), min(max(end, start + 1), start + 60)
    line = "".join(" " if character in "\r\n\t" else character for character in text[first : last + 40])
    lead, tail = "..." if first else "", "..." if last + 40 < len(text) else ""
    return f"{message}\n    {lead}{line}{tail}\n    {' ' * (len(lead) + start - first)}{'^' * (last - start)}"


def _shown_signature(function: Callable[..., Any]) -> str:
    names = [str(parameter).split(":")[0].split("=")[0] for parameter in inspect.signature(function).parameters.values()]
    return f"({', '.join(names)})"
