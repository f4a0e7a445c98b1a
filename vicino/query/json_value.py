"""Field values as JSON and back, without loss: JSON has no datetimes, UUIDs, geo points or integers of any size every reader keeps.

    value                       JSON
    null, bool, float, string   as they are
    integer                     as it is; beyond 64 bits {"$int": "123456789012345678901234567890"}
    datetime                    {"$datetime": "2024-05-01T12:00:00.000000Z"}     UTC, microseconds
    UUID                        {"$uuid": "00000000-0000-0000-0000-000000000000"}
    geo point                   {"$geo": [48.1, 11.6]}                            latitude, longitude
    list                        an array of these
    object                      an object of these; one whose only key starts with "$" is wrapped: {"$object": {"$uuid": …}}

On reading, objects with one other "$" key are taken as they are, so files of other systems can be read.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from vicino.types import GeoPoint


def to_json_value(value: Any) -> Any:
    """The value as what JSON has, by the table above."""
    kind = type(value)
    if value is None or kind is str or kind is bool or kind is float:
        return value
    if isinstance(value, int) and kind is not bool:
        return int(value) if -(1 << 63) <= value < 1 << 63 else {"$int": str(value)}
    if isinstance(value, dt.datetime):
        return {"$datetime": instant_text(value)}
    if isinstance(value, uuid.UUID):
        return {"$uuid": str(value)}
    if isinstance(value, GeoPoint):
        return {"$geo": [value.lat, value.lon]}
    if isinstance(value, list | tuple):
        return [to_json_value(element) for element in value]
    if isinstance(value, Mapping):
        plain = {name: to_json_value(inner) for name, inner in value.items()}
        return {"$object": plain} if len(plain) == 1 and next(iter(plain)).startswith("$") else plain
    return value


def from_json_value(value: Any) -> Any:
    """The value that `to_json_value` was given. Raises ValueError for a tag whose content is not of its type."""
    if isinstance(value, list):
        return [from_json_value(element) for element in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        tag, content = next(iter(value.items()))
        if (read := _READERS.get(tag)) is not None:
            return read(content)
    return {name: from_json_value(inner) for name, inner in value.items()}


def encode_json(value: Any) -> bytes:
    """JSON text of a value."""
    import msgspec

    return msgspec.json.encode(to_json_value(value))


def instant_text(value: dt.datetime) -> str:
    """RFC 3339 in UTC with microseconds; a datetime without a zone is UTC."""
    aware = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
    return aware.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _read_datetime(content: Any) -> dt.datetime:
    read = dt.datetime.fromisoformat(_text("$datetime", content))
    return read.replace(tzinfo=dt.UTC) if read.tzinfo is None else read.astimezone(dt.UTC)


def _read_geo(content: Any) -> GeoPoint:
    match content:
        case [int() | float() as lat, int() | float() as lon]:
            return GeoPoint(float(lat), float(lon))
    raise ValueError(f'"$geo" holds latitude and longitude, got {content!r}')


def _read_object(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError(f'"$object" holds an object, got {content!r}')
    return {name: from_json_value(inner) for name, inner in content.items()}


def _text(tag: str, content: Any) -> str:
    if not isinstance(content, str):
        raise ValueError(f'"{tag}" holds a string, got {content!r}')
    return content


_READERS: dict[str, Callable[[Any], Any]] = {
    "$int": lambda content: int(_text("$int", content)),
    "$datetime": _read_datetime,
    "$uuid": lambda content: uuid.UUID(_text("$uuid", content)),
    "$geo": _read_geo,
    "$object": _read_object,
}
