"""A condition written back as the `F` expression it stands for: for `repr`, plans and error messages. `eval` gives the same condition."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Iterable

from vicino.filter import model, paths
from vicino.types import GeoPoint


def render(condition: model.Condition) -> str:
    """In Python syntax, with the public names of vicino; comparisons stand in parentheses wherever Python needs them."""
    match condition:
        case model.And(parts):
            return " & ".join(map(_operand, parts)) if len(parts) > 1 else _call("all_of", parts)
        case model.Or(parts):
            return " | ".join(map(_operand, parts)) if len(parts) > 1 else _call("any_of", parts)
        case model.Not(model.Equal(path, value, False)) if value is not None:
            return f"{render_path(path)} != {value!r}"
        case model.Not(model.In(path, values, strict)):
            return f"{render_path(path)}.not_in({_values(values)}{_flag('strict', strict)})"
        case model.Not(part):
            return f"~{_operand(part)}"
        case model.AtLeast(n, parts):
            return f"at_least({', '.join([str(n), *map(render, parts)])})"
        case model.HasId(ids):
            return f"has_id({list(ids)!r})"
        case model.HasVector(name):
            return f"has_vector({name!r})"
        case model.Slice(total, index):
            return f"in_slice({index}, of={total})"
    return _render_field(condition)


def render_path(path: str) -> str:
    """`F.author.name`, `F["in-stock"]`, `F.items[:].price`."""
    shown = "F"
    for depth, step in enumerate(paths.steps_of(path)):
        if isinstance(step, int):
            shown += f"[{step}]"
        elif step is None:
            shown += "[:]"
        elif _is_attribute(step, is_first=depth == 0):
            shown += f".{step}"
        else:
            shown += f"[{paths.path_of_key(step)!r}]"
    return shown


def _render_field(condition: model.Condition) -> str:
    field = render_path(condition.path)  # type: ignore[attr-defined]
    match condition:
        case model.Equal(_, value, strict):
            # `== None` asks for more than null, so null alone is asked for by its JSON type.
            return f"{field}.equals({value!r}, strict=True)" if strict or value is None else f"{field} == {value!r}"
        case model.In(_, values, strict):
            return f"{field}.is_in({_values(values)}{_flag('strict', strict)})"
        case model.NotIn(_, values, strict):
            return f"{field}.has_other_than({_values(values)}{_flag('strict', strict)})"
        case model.ContainsAll(_, values):
            return f"{field}.contains_all({_values(values)})"
        case model.Range():
            return _render_range(field, condition)
        case model.CountRange():
            return _render_range(f"{field}.count()", condition)
        case model.IsNull():
            return f"{field}.is_null()"
        case model.IsEmpty():
            return f"{field}.is_empty()"
        case model.Exists():
            return f"{field}.exists()"
        case model.Prefix(_, text):
            return f"{field}.startswith({text!r})"
        case model.Substring(_, text, ignore_case):
            return f"{field}.contains({text!r}{_flag('ignore_case', ignore_case)})"
        case model.TextMatch(_, text, mode):
            method = {"all": "matches", "any": "matches_any", "phrase": "phrase"}[mode]
            return f"{field}.{method}({text!r})"
        case model.GeoRadius(_, center, radius_m):
            return f"{field}.within_km({center.lat!r}, {center.lon!r}, {radius_m / 1000!r})"
        case model.GeoBox(_, (north, west), (south, east)):
            return f"{field}.within_box(north={north!r}, west={west!r}, south={south!r}, east={east!r})"
        case model.GeoPolygon(_, exterior, interiors):
            holes = f", holes=[{', '.join(map(_corners, interiors))}]" if interiors else ""
            return f"{field}.within_polygon({_corners(exterior)}{holes})"
        case model.Nested(_, part):
            return f"{field}.any({render(part)})"
    return repr(condition)


def _render_range(subject: str, bounds: model.Range | model.CountRange) -> str:
    given = _given(bounds)
    if _is_two_sided(given):
        low, high = given.get("gt", given.get("gte")), given.get("lt", given.get("lte"))
        if given.keys() == {"gte", "lte"} and low == high and isinstance(bounds, model.CountRange):
            return f"{subject} == {low!r}"
        inclusive = {"gte lte": "both", "gte lt": "left", "gt lte": "right", "gt lt": "neither"}[" ".join(given)]
        return f"{subject}.between({low!r}, {high!r}{'' if inclusive == 'both' else f', inclusive={inclusive!r}'})"
    if not given:  # any number of values, a missing field's none included
        return f"{subject} >= 0"
    signs = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
    comparisons = [f"{subject} {signs[name]} {value!r}" for name, value in given.items()]
    return comparisons[0] if len(comparisons) == 1 else " & ".join(f"({comparison})" for comparison in comparisons)


def _given(bounds: model.Range | model.CountRange) -> dict[str, object]:
    return {name: value for name in ("gt", "gte", "lt", "lte") if (value := getattr(bounds, name)) is not None}


def _is_two_sided(given: dict[str, object]) -> bool:
    return len(given) == 2 and len(given.keys() & {"gt", "gte"}) == 1


def _operand(condition: model.Condition) -> str:
    """In parentheses if it holds an operator that binds more loosely than & | ~."""
    match condition:
        case model.And(parts) | model.Or(parts):
            is_loose = len(parts) > 1
        case model.Equal(_, value, strict) | model.Not(model.Equal(_, value, strict)):
            is_loose = value is not None and not strict
        case model.CountRange(gte=low, lte=high) if low == high:
            is_loose = True
        case model.Range() | model.CountRange():
            is_loose = not _is_two_sided(_given(condition))
        case _:
            is_loose = False
    return f"({render(condition)})" if is_loose else render(condition)


def _call(function: str, parts: Iterable[model.Condition]) -> str:
    return f"{function}({', '.join(map(render, parts))})"


def _values(values: Iterable[model.Scalar]) -> str:
    return f"[{', '.join(map(repr, values))}]"


def _flag(name: str, value: bool) -> str:
    return f", {name}=True" if value else ""


def _corners(ring: Iterable[GeoPoint]) -> str:
    return f"[{', '.join(f'({place.lat!r}, {place.lon!r})' for place in ring)}]"


def _is_attribute(key: str, *, is_first: bool) -> bool:
    from vicino.filter.expression import Field

    # Python reads names in the compatibility form NFKC, so another form would come back as another field.
    is_name = key.isidentifier() and not keyword.iskeyword(key) and not key.startswith("__") and unicodedata.is_normalized("NFKC", key)
    return is_name and (is_first or not hasattr(Field, key))
