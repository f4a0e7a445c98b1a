import pytest

from vicino.errors import CorruptionError
from vicino.storage.shape import expect_shape

SHAPE = {"n": int, "name": (str, None), "list": [int], "map": {str: [str]}}
GOOD = {"n": 1, "name": None, "list": [0, 2**63 - 1], "map": {"a": ["b"]}, "more": object()}


def test_what_fits_passes_whatever_else_is_there():
    expect_shape(GOOD, SHAPE, "it")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": True}, "it.n is True, expected int"),
        ({"n": -1}, "it.n is -1, expected a number from 0"),
        ({"n": 2**63}, "expected a number from 0"),
        ({"name": 3}, "it.name is 3, expected str"),
        ({"list": {}}, "it.list is {}, expected a list"),
        ({"list": [0, "x"]}, r"it.list\[1\] is 'x', expected int"),
        ({"map": []}, r"it.map is \[\], expected an object"),
        ({"map": {"a": [1]}}, r"it.map.a\[0\] is 1, expected str"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    with pytest.raises(CorruptionError, match=message):
        expect_shape({**GOOD, **change}, SHAPE, "it")


def test_a_key_that_is_missing_is_named():
    with pytest.raises(CorruptionError, match='it has no "n"'):
        expect_shape({}, SHAPE, "it")
