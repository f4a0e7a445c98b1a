from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicino.query.json_value import encode_json, from_json_value, to_json_value
from vicino.types import GeoPoint

MOMENT = dt.datetime(2024, 5, 1, 12, 0, 0, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        (MOMENT, {"$datetime": "2024-05-01T12:00:00.000005Z"}),
        (MOMENT.astimezone(dt.timezone(dt.timedelta(hours=2))), {"$datetime": "2024-05-01T12:00:00.000005Z"}),
        (MOMENT.replace(tzinfo=None), {"$datetime": "2024-05-01T12:00:00.000005Z"}),
        (uuid.UUID(int=1), {"$uuid": "00000000-0000-0000-0000-000000000001"}),
        (GeoPoint(48.1, 11.6), {"$geo": [48.1, 11.6]}),
        (2**64, {"$int": "18446744073709551616"}),
        ({"$uuid": "x"}, {"$object": {"$uuid": "x"}}),
        ({"$uuid": "x", "b": 1}, {"$uuid": "x", "b": 1}),
    ],
    ids=str,
)
def test_value_is_spelled_with_its_tag(value: Any, spelled: Any) -> None:
    assert to_json_value(value) == spelled


def test_unknown_tag_is_an_object() -> None:
    assert from_json_value({"$oid": "5f"}) == {"$oid": "5f"}


@pytest.mark.parametrize(
    "spelled",
    [{"$uuid": "x"}, {"$datetime": "soon"}, {"$datetime": 5}, {"$geo": [1]}, {"$geo": "x"}, {"$int": "1.5"}, {"$object": 5}],
    ids=str,
)
def test_tag_with_other_content_is_refused(spelled: Any) -> None:
    with pytest.raises(ValueError):
        from_json_value(spelled)


_keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=4) | st.sampled_from(["$uuid", "$object", "$geo", "$x"])
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _keys | st.uuids() | st.just(MOMENT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=8,
)


@given(_values)
def test_values_round_trip_through_json_text(value: Any) -> None:
    assert repr(from_json_value(json.loads(encode_json(value)))) == repr(value)
