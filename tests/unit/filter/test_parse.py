from __future__ import annotations

from typing import Any

import pytest

from vicino.errors import FilterError
from vicino.filter import model
from vicino.filter.conditions import all_of, has_id
from vicino.filter.expression import F
from vicino.filter.parse import parse_where, spelling_of

CHEAP = model.Range("price", lt=50)


class ClientFilter:
    def model_dump(self, *, exclude_none: bool) -> dict[str, Any]:
        return {"must": [{"key": "price", "range": {"lt": 50}}]}


@pytest.mark.parametrize(
    "where",
    [F.price < 50, "price < 50", {"price": {"$lt": 50}}, {"must": [{"key": "price", "range": {"lt": 50}}]}, ClientFilter(), CHEAP],
    ids=["expression", "string", "mapping", "qdrant", "client object", "condition"],
)
def test_every_spelling_gives_the_same_condition(where: object) -> None:
    assert parse_where(where) == CHEAP


@pytest.mark.parametrize("where", [None, {}, {"must": []}, all_of()])
def test_filter_that_asks_for_nothing_is_none(where: object) -> None:
    assert parse_where(where) is None


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (F.price, "F.price == True"),
        (True, "where=True is what Python made of a comparison"),
        ([F.price < 50], "all_of(*conditions)"),
        (5, "got int"),
        ("", "leave `where` out"),
    ],
    ids=repr,
)
def test_what_is_no_filter_is_refused(where: object, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_where(where)
    assert message in str(caught.value)


KNOWN = ["price", "author.name", "items[].price", '"a.b"', "meta"]


@pytest.mark.parametrize(
    "where",
    [
        F.price < 50,
        F.author.exists(),
        F.author.name == "Ada",
        F.items[0].price == 1,
        F.items.any(F.price < 5),
        F['"a.b"'] == 1,
        F.meta.anything.inside == 1,
        has_id(1),
    ],
    ids=repr,
)
def test_known_fields_pass(where: object) -> None:
    assert parse_where(where, known_fields=KNOWN) is not None


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (F.prce < 50, 'there is no field "prce". Did you mean "price"?'),
        ((F.price < 50) & ~(F.author.nme == "Ada"), 'there is no field "author.nme". Did you mean "author.name"?'),
        (F.items.any(F.prise < 5), 'there is no field "items[].prise"'),
        ("year > 5", 'there is no field "year". There are: "'),
        (F.id == 1, "has_id(...)"),
    ],
    ids=repr,
)
def test_unknown_field_is_refused_with_close_matches(where: object, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_where(where, known_fields=KNOWN)
    assert message.rstrip('"') in str(caught.value)


def test_equal_mappings_have_one_spelling() -> None:
    assert spelling_of({"price": {"$lt": 50}, "color": "red"}) == spelling_of({"price": {"$lt": 50}, "color": "red"})


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0, False), ("1", 1), (None, "None")], ids=repr)
def test_equal_values_of_different_types_have_different_spellings(one: object, other: object) -> None:
    assert spelling_of({"price": one}) != spelling_of({"price": other})


@pytest.mark.parametrize("where", [{"price": [1, 2]}, {"price": bytearray(b"x")}, F.price < 50, {1: 2}], ids=repr)
def test_what_may_change_has_no_spelling(where: object) -> None:
    assert spelling_of(where) is None
