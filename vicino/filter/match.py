"""The reference evaluator: what each condition means, written so that one can see it is right. It is slow.

Nothing here is shared with the parsers, the compiler, the indexes or the core: property tests compare all of them with this file, and a
mistake in shared code would hide from them. It therefore splits paths, reads datetimes, parts text into words and hashes ids by itself.
The rules are those of model.py and docs/explain/filters.md.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from fractions import Fraction
from typing import Any

from vicino.errors import FilterError
from vicino.filter import model
from vicino.types import GeoPoint, RecordId

EARTH_RADIUS_M = 6_371_008.8
MICROSECOND = dt.timedelta(microseconds=1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def matches(
    condition: model.Condition, document: Mapping[str, Any], *, id: RecordId | None = None, vector_names: Collection[str] = frozenset()
) -> bool:
    """Whether the condition holds for a record with these fields, this id and vectors of these names."""

    def holds(condition: model.Condition, document: Mapping[str, Any]) -> bool:
        match condition:
            case model.And(parts):
                return all(holds(part, document) for part in parts)
            case model.Or(parts):
                return any(holds(part, document) for part in parts)
            case model.Not(part):
                return not holds(part, document)
            case model.AtLeast(n, parts):
                return sum(holds(part, document) for part in parts) >= n
            case model.HasId(ids):
                return any(is_same_id(id, other) for other in ids)
            case model.HasVector(name):
                return name in vector_names
            case model.Slice(total, index):
                if id is None:
                    raise FilterError("a Slice condition needs the record's id, got none; pass id=")
                return crc32c(encoded_id(id)) % total == index
            case model.Nested(path, part):
                steps = split_path(path)
                elements = nodes_at(document, steps if steps[-1] == "[]" else [*steps, "[]"])
                return any(holds(part, element) for element in elements if isinstance(element, Mapping))
            case _:
                return holds_at_path(condition, nodes_at(document, split_path(condition.path)))  # type: ignore[attr-defined]

    return holds(condition, document)


def holds_at_path(condition: model.Condition, nodes: list[Any]) -> bool:
    values = [value for node in nodes for value in (node if is_list(node) else [node])]

    def some_value(test: Callable[[Any], bool]) -> bool:
        return any(test(value) for value in values)

    def some_string(test: Callable[[str], bool]) -> bool:
        return any(test(value) for value in values if isinstance(value, str))

    def some_place(test: Callable[[GeoPoint], bool]) -> bool:
        return any(test(place) for place in map(place_of, values) if place is not None)

    match condition:
        case model.Equal(_, wanted, strict):
            return some_value(lambda value: is_equal(value, wanted, strict))
        case model.In(_, wanted, strict):
            return some_value(lambda value: any(is_equal(value, one, strict) for one in wanted))
        case model.NotIn(_, unwanted, strict):
            return some_value(lambda value: value is not None and not any(is_equal(value, one, strict) for one in unwanted))
        case model.ContainsAll(_, wanted):
            return all(some_value(lambda value, one=one: is_equal(value, one, strict=False)) for one in wanted)
        case model.Range():
            return some_value(lambda value: is_in_range(value, condition))
        case model.IsNull():
            return any(node is None or (is_list(node) and None in node) for node in nodes)
        case model.IsEmpty():
            return all(node is None or (is_list(node) and len(node) == 0) for node in nodes)
        case model.Exists():
            return len(nodes) > 0
        case model.CountRange():
            return any(is_within(count, condition, int) for count in ([number_of_values(node) for node in nodes] or [0]))
        case model.Prefix(_, text):
            return some_string(lambda value: value.startswith(text))
        case model.Substring(_, text, ignore_case):
            return some_string(lambda value: fold(text) in fold(value) if ignore_case else text in value)
        case model.TextMatch(_, text, mode):
            return some_string(lambda value: has_words(words_of(value), words_of(text), mode))
        case model.GeoRadius(_, center, radius_m):
            return some_place(lambda place: distance_m(place, center) < radius_m)
        case model.GeoBox(_, top_left, bottom_right):
            return some_place(lambda place: is_in_box(place, top_left, bottom_right))
        case model.GeoPolygon(_, exterior, interiors):
            return some_place(lambda place: is_in_polygon(place, exterior, interiors))
    raise FilterError(f"the reference evaluator does not know the condition {condition!r}")


STEP = re.compile(r'(?P<dot>\.)?(?:"(?P<quoted>[^"]*)"|(?P<plain>[^.\[\]"]+))|(?P<every>\[\])|\[(?P<index>[0-9]+)\]')


def split_path(path: str) -> list[str | int | tuple[str]]:
    """A path as a list: a key stands as a tuple of one, every element as "[]", one element as its number."""
    steps: list[str | int | tuple[str]] = []
    position = 0
    while position < len(path):
        step = STEP.match(path, position)
        # A dot stands before every key but the first, and the first step is a key.
        is_key = step is not None and (step["quoted"] is not None or step["plain"] is not None)
        if step is None or (is_key and (step["dot"] is None) != (not steps)) or (not is_key and not steps):
            raise FilterError(f'the path {path!r} cannot be read at position {position}; write it like a.b, a[].b, a[0].b or "a.b"')
        if is_key:
            steps.append((step["quoted"] if step["quoted"] is not None else step["plain"],))
        else:
            steps.append("[]" if step["every"] else int(step["index"]))
        position = step.end()
    if not steps:
        raise FilterError("a path is empty; name a field, like price or author.name")
    return steps


def nodes_at(document: Mapping[str, Any], steps: list[str | int | tuple[str]]) -> list[Any]:
    nodes: list[Any] = [document]
    for step in steps:
        following: list[Any] = []
        for node in nodes:
            if isinstance(step, tuple):
                if isinstance(node, Mapping) and step[0] in node:
                    following.append(node[step[0]])
            elif is_list(node):
                following.extend(node if step == "[]" else node[step : step + 1])  # type: ignore[operator]
        nodes = following
    return nodes


def is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and not isinstance(value, GeoPoint)


def number_of_values(node: Any) -> int:
    if node is None:
        return 0
    return len(node) if is_list(node) else 1


def kind_of(value: Any) -> str:
    if value is None:
        return "null"
    for kind, types in (("bool", bool), ("number", (int, float)), ("string", str), ("datetime", dt.datetime), ("uuid", uuid.UUID)):
        if isinstance(value, types):  # bool before number: a Python bool is an int
            return kind
    return "other"


def is_equal(value: Any, wanted: Any, strict: bool) -> bool:
    kind = kind_of(value)
    if kind != kind_of(wanted) or kind == "other":
        return False
    if kind == "number":
        return Fraction(value) == Fraction(wanted) and (not strict or isinstance(value, float) == isinstance(wanted, float))
    if kind == "datetime":
        return microseconds(value) == microseconds(wanted)
    return value == wanted


def is_in_range(value: Any, bounds: model.Range) -> bool:
    given = [bound for bound in (bounds.gt, bounds.gte, bounds.lt, bounds.lte) if bound is not None]
    kinds = {kind_of(bound) for bound in given}
    if len(kinds) != 1 or not kinds <= {"number", "string", "datetime"}:
        raise FilterError(f"a range needs one bound or more, all numbers, all strings or all datetimes, got {bounds!r}")
    (kind,) = kinds
    if kind == "datetime":
        instant = as_instant(value)
        return instant is not None and is_within(instant, bounds, microseconds)
    # Fractions compare an int with a float exactly, whatever their sizes.
    return kind_of(value) == kind and (is_within(Fraction(value), bounds, Fraction) if kind == "number" else is_within(value, bounds, str))


def is_within(value: Any, bounds: model.Range | model.CountRange, comparable: Callable[[Any], Any]) -> bool:
    return (
        (bounds.gt is None or value > comparable(bounds.gt))
        and (bounds.gte is None or value >= comparable(bounds.gte))
        and (bounds.lt is None or value < comparable(bounds.lt))
        and (bounds.lte is None or value <= comparable(bounds.lte))
    )


DATETIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?"
    r"(?:[Zz]|([+-])([0-9]{2})(?::?([0-9]{2}))?)?)?"
)


def microseconds(moment: dt.datetime) -> int:
    """Since 1970 in UTC; a datetime without a zone is in UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    return (aware - EPOCH) // MICROSECOND


def as_instant(value: Any) -> int | None:
    """Microseconds of a datetime, or of a string that is one; None for everything else."""
    if isinstance(value, dt.datetime):
        return microseconds(value)
    parsed = DATETIME.fullmatch(value) if isinstance(value, str) else None
    if parsed is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, zone_hour, zone_minute = parsed.groups(default="0")
    try:
        moment = dt.datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), int(fraction[:6].ljust(6, "0")))
    except ValueError:
        return None
    if int(zone_hour) > 23 or int(zone_minute) > 59:
        return None
    # Integers, not datetimes: 0001-01-01T00:00+01:00 lies before the first instant that a datetime can hold.
    offset = (int(zone_hour) * 60 + int(zone_minute)) * 60_000_000
    return microseconds(moment) + (offset if sign == "-" else -offset)


def fold(text: str) -> str:
    """Simple case folding, character by character: the length never changes."""

    def folded(character: str) -> str:
        for candidate in (character.casefold(), character.lower()):
            if len(candidate) == 1:
                return candidate
        return character

    return "".join(map(folded, text))


def words_of(text: str) -> list[str]:
    is_word = [unicodedata.category(character)[0] in "LMN" for character in text]
    return fold("".join(character if inside else " " for character, inside in zip(text, is_word))).split(" ")


def has_words(words: list[str], wanted: list[str], mode: str) -> bool:
    words, wanted = [word for word in words if word], [word for word in wanted if word]
    if not wanted:
        return False
    if mode == "all":
        return all(word in words for word in wanted)
    if mode == "any":
        return any(word in words for word in wanted)
    return any(words[start : start + len(wanted)] == wanted for start in range(len(words)))


def place_of(value: Any) -> GeoPoint | None:
    if isinstance(value, GeoPoint):
        return value
    if isinstance(value, Mapping) and kind_of(value.get("lat")) == "number" and kind_of(value.get("lon")) == "number":
        return GeoPoint(float(value["lat"]), float(value["lon"]))
    return None


def distance_m(a: GeoPoint, b: GeoPoint) -> float:
    latitude_a, latitude_b = math.radians(a.lat), math.radians(b.lat)
    half_lat, half_lon = math.radians(b.lat - a.lat) / 2, math.radians(b.lon - a.lon) / 2
    h = math.sin(half_lat) ** 2 + math.cos(latitude_a) * math.cos(latitude_b) * math.sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(h)))


def is_in_box(place: GeoPoint, top_left: GeoPoint, bottom_right: GeoPoint) -> bool:
    west, east = top_left.lon, bottom_right.lon
    is_between = place.lon > west or place.lon < east if west > east else west < place.lon < east
    return is_between and bottom_right.lat < place.lat < top_left.lat


def is_in_polygon(place: GeoPoint, exterior: Iterable[GeoPoint], interiors: Iterable[Iterable[GeoPoint]]) -> bool:
    return where_in_ring(place, list(exterior)) == "inside" and all(where_in_ring(place, list(ring)) == "outside" for ring in interiors)


def where_in_ring(place: GeoPoint, ring: list[GeoPoint]) -> str:
    """Even-odd rule: a ray to the east crosses the ring an odd number of times from inside."""
    px, py = place.lon, place.lat
    is_inside = False
    for start, end in zip(ring, ring[1:] + ring[:1]):
        ax, ay, bx, by = start.lon, start.lat, end.lon, end.lat
        is_in_bounds = min(ax, bx) <= px <= max(ax, bx) and min(ay, by) <= py <= max(ay, by)
        if is_in_bounds and (bx - ax) * (py - ay) - (by - ay) * (px - ax) == 0:
            return "border"
        if (ay > py) != (by > py) and px < (bx - ax) * (py - ay) / (by - ay) + ax:
            is_inside = not is_inside
    return "inside" if is_inside else "outside"


def is_same_id(a: RecordId | None, b: RecordId) -> bool:
    return kind_of(a) == kind_of(b) and a == b


def encoded_id(id: RecordId) -> bytes:
    """As the core writes ids: a tag, then an int64, UTF-8, a UUID, or an integer too large for int64 in two's complement."""
    if isinstance(id, str):
        return b"\x02" + id.encode()
    if isinstance(id, uuid.UUID):
        return b"\x03" + id.bytes
    if -(2**63) <= id < 2**63:
        return b"\x01" + id.to_bytes(8, "little", signed=True)
    return b"\x04" + id.to_bytes(id.bit_length() // 8 + 1, "little", signed=True)


def crc32c(data: bytes) -> int:
    """CRC-32 of Castagnoli's polynomial, bit by bit."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF
