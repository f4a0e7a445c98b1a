"""From words of a command line to ids: 42 may be the integer or the text, and a UUID may be either; the collection decides."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from vicino.collection.collection import Collection
from vicino.errors import InvalidArgument
from vicino.types import RecordId

IdType = Literal["auto", "int", "str", "uuid"]
ID_TYPES: tuple[IdType, ...] = ("auto", "int", "str", "uuid")


def read_ids(collection: Collection[object], words: Sequence[str], id_type: IdType) -> list[RecordId]:
    """The ids that words mean. With "auto" the one of the possible ids that the collection has; the text itself if it has none."""
    return [_read(collection, word, id_type) for word in words]


def _read(collection: Collection[object], word: str, id_type: IdType) -> RecordId:
    possible = _possible(word)
    if id_type != "auto":
        if id_type not in possible:
            raise InvalidArgument(f"id {word!r} cannot be read as {id_type}; choose another --id-type")
        return possible[id_type]
    existing = [kind for kind, record_id in possible.items() if record_id in collection]
    if len(existing) > 1:
        raise InvalidArgument(
            f'collection "{collection.name}" has records with the ids {" and ".join(repr(possible[kind]) for kind in existing)}; '
            f"say which one with --id-type {' or '.join(existing)}"
        )
    return possible[existing[0]] if existing else word


def _possible(word: str) -> dict[str, RecordId]:
    found: dict[str, RecordId] = {}
    if word.removeprefix("-").isdecimal() and str(int(word)) == word:
        found["int"] = int(word)
    with suppress(ValueError):  # no UUID: it is one of the others
        found["uuid"] = uuid.UUID(word)
    found["str"] = word
    return found
