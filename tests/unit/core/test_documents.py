"""Documents: what fields can hold, how they come back, and what damaged bytes do."""

from __future__ import annotations

import datetime as dt
import enum
import math
import uuid
from collections import OrderedDict
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicino import _core
from vicino.errors import CorruptionError
from vicino.types import GeoPoint

UTC = dt.UTC


def encode(document: dict[str, Any]) -> bytes:
    return _core.encode_documents([document])[0]


def round_trip(value: Any) -> Any:
    return _core.decode_document(encode({"value": value}))["value"]


def test_an_empty_document_takes_no_bytes() -> None:
    assert encode({}) == b""
    assert _core.decode_document(b"") == {}


def test_documents_lie_end_to_end_with_one_offset_more_than_documents() -> None:
    data, offsets = _core.encode_documents([{"a": 1}, {}, {"b": "x"}])
    assert offsets.dtype == np.uint64
    assert offsets.tolist() == [0, 4, 4, 9]
    assert _core.decode_document(data[4:9]) == {"b": "x"}


def test_more_names_than_are_kept_come_back_each_as_itself() -> None:
    names = ["", "straße", "a\0b", "x" * 64, "x" * 65, "x" * 300, *(f"field {i}" for i in range(2000))]
    for _ in range(2):
        for name in names:
            assert _core.decode_document(encode({name: 1})) == {name: 1}


def test_documents_share_the_names_of_their_fields() -> None:
    first, second = (_core.decode_document(encode({"a name of a field": i, "nested": {"a name of a field": i}})) for i in range(2))
    assert next(iter(first)) is next(iter(second)) is next(iter(first["nested"]))


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, 127, 128, -128, -129, 2**15, -(2**15) - 1, 2**31, 2**63 - 1, -(2**63), 0.0, -0.0, 1.5, 5e-324, 1.7e308,
        "", "a\0b", "straße 🦊", "x" * 200, [], {}, [[]], [None, [1, [2]], {"a": []}], {"": {"a.b": 1}},
        GeoPoint(48.1, -11.6), GeoPoint(-90.0, 180.0), uuid.UUID(int=0), uuid.UUID("12345678-1234-5678-1234-567812345678"),
        dt.datetime(1970, 1, 1, tzinfo=UTC),
        dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), dt.datetime.min.replace(tzinfo=UTC), dt.datetime.max.replace(tzinfo=UTC),
    ],
    ids=repr,
)  # fmt: skip
def test_values_come_back_as_given(value: Any) -> None:
    returned = round_trip(value)
    assert returned == value
    assert type(returned) is type(value)


def test_negative_zero_keeps_its_sign() -> None:
    assert math.copysign(1, round_trip(-0.0)) == -1


def test_keys_keep_their_order() -> None:
    assert list(_core.decode_document(encode({"z": 1, "a": 2, "m": 3}))) == ["z", "a", "m"]


class Color(enum.IntEnum):
    RED = 3


@pytest.mark.parametrize(
    ("given", "returned"),
    [
        (dt.datetime(2024, 5, 6, 7, 8, 9, 10), dt.datetime(2024, 5, 6, 7, 8, 9, 10, tzinfo=UTC)),
        (dt.datetime(2024, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))), dt.datetime(2023, 12, 31, 23, tzinfo=UTC)),
        (dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, tzinfo=UTC)),
        ((1, ("a",)), [1, ["a"]]),
        (OrderedDict(a=1), {"a": 1}),
        (np.float32(1.5), 1.5),
        (np.int8(-3), -3),
        (np.uint64(2**63 - 1), 2**63 - 1),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.array([1, 2], dtype=np.int16), [1, 2]),
        (np.array([0.5]), [0.5]),
        (np.array([True, False]), [True, False]),
        (np.array(["a", "bc"]), ["a", "bc"]),
        (np.array(["a", None], dtype=object), ["a", None]),
        (Color.RED, 3),
    ],
    ids=repr,
)
def test_related_types_are_accepted(given: Any, returned: Any) -> None:
    assert round_trip(given) == returned


def test_datetimes_come_back_aware_in_utc() -> None:
    assert round_trip(dt.datetime(2024, 1, 1)).tzinfo is UTC


def nested_lists(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_a_hundred_nested_levels_are_stored() -> None:
    assert round_trip(nested_lists(100)) == nested_lists(100)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (math.nan, "NaN"),
        (math.inf, "infinity"),
        (-math.inf, "infinity"),
        (np.float32("nan"), "NaN"),
        (np.array([1.0, math.nan]), "NaN"),
        (Decimal("1.5"), "Decimal"),
        (b"x", "bytes"),
        (bytearray(b"x"), "bytearray"),
        ({1, 2}, "set"),
        (frozenset(), "frozenset"),
        (2**63, "beyond 64 bits"),
        (-(2**63) - 1, "beyond 64 bits"),
        (np.uint64(2**63), "beyond 64 bits"),
        ("\ud800", "surrogate"),
        ({1: 2}, "key must be a str"),
        ({"\udfff": 2}, "surrogate"),
        (nested_lists(101), "100 levels"),
        (1j, "complex"),
        (dt.timedelta(1), "timedelta"),
        (dt.time(1), "time"),
        (np.datetime64("2024-01-01"), "datetime64"),
        (np.longdouble(1), "longdouble"),
        (np.zeros((2, 2)), "2 dimensions"),
        (np.array([b"x"]), "numpy array"),
        (GeoPoint(90.5, 0), "latitude within 90"),
        (GeoPoint(0, math.nan), "GeoPoint"),
        (GeoPoint("1", 2), "two numbers"),  # type: ignore[arg-type]
        (dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=1))), "years 1 to 9999"),
        (dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-1))), "years 1 to 9999"),
        (object(), "object is not a field type"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_other_values_are_refused_by_name(value: Any, name: str) -> None:
    with pytest.raises(_core.FieldValueError, match=name):
        encode({"value": value})


def test_missing_times_of_pandas_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(_core.FieldValueError, match="NaT"):
        encode({"value": pandas.NaT})


def test_times_of_pandas_are_datetimes() -> None:
    pandas = pytest.importorskip("pandas")
    assert round_trip(pandas.Timestamp("2024-01-01T00:00:00.000001Z")) == dt.datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC)


def test_the_error_names_document_path_and_reason() -> None:
    with pytest.raises(_core.FieldValueError) as caught:
        _core.encode_documents([{}, {"a": [{"b.c": [1, Decimal(2)]}]}])
    assert (caught.value.index, caught.value.path) == (1, 'a[0]."b.c"[1]')
    assert caught.value.reason == "Decimal is not a field type; use float, or str to keep every digit"
    assert str(caught.value) == f'document 1, field `a[0]."b.c"[1]`: {caught.value.reason}'
    assert isinstance(caught.value, ValueError)


def test_a_document_that_is_no_dict_is_refused() -> None:
    with pytest.raises(_core.FieldValueError, match="must be a dict, got list"):
        _core.encode_documents([[1]])


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    | st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(fold=0)) | st.uuids()
    | st.builds(GeoPoint, st.floats(-90, 90), st.floats(-180, 180)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip
documents = st.dictionaries(st.text(), json_like, max_size=5)


@given(documents)
def test_every_document_comes_back_and_is_valid(document: dict[str, Any]) -> None:
    data = encode(document)
    _core.validate_document(data)
    assert repr(_core.decode_document(memoryview(data))) == repr(document)  # repr tells 1 from 1.0 and True


@given(documents.filter(bool), st.data())
def test_damaged_bytes_are_reported_or_still_decode(document: dict[str, Any], data: st.DataObject) -> None:
    damaged = bytearray(encode(document))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        _core.validate_document(cut)
    except CorruptionError:
        try:
            _core.decode_document(cut)
        except CorruptionError:
            return
    else:
        _core.decode_document(cut)


@given(st.binary(max_size=60))
def test_whatever_validates_decodes(data: bytes) -> None:
    try:
        _core.validate_document(data)
    except CorruptionError:
        return
    assert isinstance(_core.decode_document(data), dict)


KEY = b"\x01a"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x05a", "5 bytes expected, 1 left"),
        (KEY, "1 bytes expected, 0 left"),
        (KEY + b"\x0e", "unknown value tag 14"),
        (KEY + b"\x04\x01", "2 bytes expected, 1 left"),
        (b"\xff" * 11, "a size without an end"),
        (b"\x01\xff\x00", "key that is not UTF-8 at byte 1"),
        (KEY + b"\x08\x02\xc0\x80", "string that is not UTF-8 at byte 2"),
        (KEY + b"\x08\x03\xed\xa0\x80", "string that is not UTF-8"),
        (KEY + b"\x07" + np.float64("nan").tobytes(), "not finite"),
        (KEY + b"\x09" + np.int64(2**62).tobytes(), "outside years 1 to 9999"),
        (KEY + b"\x0b" + np.float64(91).tobytes() + bytes(8), "off the globe"),
        (KEY + b"\x0c\x02\x01\x00", "count does not fit"),
        (KEY + b"\x0c\xff\xff\xff\xff\x0f\x01\x00", "count does not fit"),
        (KEY + b"\x0d\x7f", "127 bytes expected, 0 left"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_validation_says_what_is_wrong(data: bytes, problem: str) -> None:
    with pytest.raises(CorruptionError, match=problem):
        _core.validate_document(data)


def test_too_deep_bytes_are_reported_and_not_followed() -> None:
    data = b"\x00"
    for _ in range(10_000):
        size = len(data)
        head = bytearray(b"\x0c\x01")
        while size >= 0x80:
            head.append(size & 0x7F | 0x80)
            size >>= 7
        data = bytes(head) + bytes([size]) + data
    for read in (_core.validate_document, _core.decode_document):
        with pytest.raises(CorruptionError, match="100"):
            read(KEY + data)
