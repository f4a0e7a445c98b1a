"""Expressions over candidates, by hand."""

import datetime as dt
import math

import numpy as np
import pytest

import vicino
from vicino import F
from vicino.errors import FilterError, InvalidArgument
from vicino.filter.match import matches
from vicino.query.formula import as_expression
from vicino.types import GeoPoint


class Rows:
    """Candidates given as documents, with scores of one part."""

    now = 1_000_000.0

    def __init__(self, *documents: dict, scores: tuple[float, ...] = ()) -> None:
        self.documents, self.n = documents, len(documents)
        self._scores = np.array(scores or [1.0] * self.n)

    def scores(self, part: int, default: float) -> np.ndarray:
        return np.where(np.isnan(self._scores), default, self._scores)

    def values(self, path: str) -> list:
        return [[document[path]] if path in document else [] for document in self.documents]

    def holds(self, condition) -> np.ndarray:
        return np.array([matches(condition, document) for document in self.documents])

    def record(self, row: int) -> str:
        return "abc"[row]


def value_of(expression, document: dict, score: float = 1.0) -> float:
    return float(as_expression(expression).finite(Rows(document, scores=(score,)))[0])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (vicino.Value("n") * 2 + 1, 9),
        (1 - vicino.Value("n") / 2, -1),
        (10 / vicino.Value("n"), 2.5),
        (vicino.Value("n") ** 2, 16),
        (2 ** vicino.Value("n"), 16),
        (abs(-vicino.Value("n")), 4),
        (vicino.Value("n").sqrt(), 2),
        (vicino.Value("n").exp().ln(), 4),
        ((vicino.Value("n") * 25).log10(), 2),
        (vicino.Value("n").divided_by(vicino.Value("missing", default=0), by_zero=7), 7),
        (vicino.Value("missing", default=3), 3),
        (vicino.Score() * 3, 1.5),
        (vicino.If(F.n >= 4) + vicino.If(F.n < 4) * 10, 1),
        (vicino.Decay("n", target=2, scale=2), 0.5),
        (vicino.Decay("n", target=2, scale=1, shape="gauss"), 0.5**4),
        (vicino.Decay("n", target=2, scale=4, shape="linear"), 0.75),
        (vicino.Decay("n", target=-1000, scale=4, shape="linear"), 0),
        (vicino.Instant(at=dt.datetime(1970, 1, 2, tzinfo=dt.UTC)), 86400),
        (vicino.Decay("t", half_life="1d"), 0.5),
        (vicino.GeoDistance("p", 0, 0), math.radians(1) * 6371008.8),
        (vicino.Decay("p", target=GeoPoint(0, 1), scale=1), 1),
    ],
)
def test_expression_has_the_value_of_the_arithmetic(expression, expected: float) -> None:
    document = {"n": 4, "p": GeoPoint(0, 1), "t": dt.datetime.fromtimestamp(1_000_000 - 86400, dt.UTC)}
    assert value_of(expression, document, score=0.5) == pytest.approx(expected)


def test_missing_field_without_default_names_record_and_field() -> None:
    with pytest.raises(InvalidArgument, match=r"field \"price\" as a number, record 'b' has no value there; give default="):
        vicino.Value("price").finite(Rows({"price": 1}, {}))


def test_field_of_another_kind_is_told() -> None:
    with pytest.raises(InvalidArgument, match="record 'a' holds 'cheap'"):
        vicino.Value("price").finite(Rows({"price": "cheap"}))


@pytest.mark.parametrize(
    "expression", [vicino.Value("n").ln(), 1 / vicino.Value("n"), (vicino.Value("n") - 1).sqrt()], ids=["ln", "division", "root"]
)
def test_result_that_is_not_finite_names_the_record(expression) -> None:
    with pytest.raises(InvalidArgument, match="for record 'b'"):
        expression.finite(Rows({"n": 2}, {"n": 0}))


def test_score_that_a_part_lacks_is_its_default() -> None:
    assert vicino.Score(default=5).finite(Rows({}, scores=(math.nan,))).tolist() == [5]


@pytest.mark.parametrize(
    ("calculate", "told"),
    [
        (lambda: 1 + F.price / 10, r'write vicino\.Value\("price"\)'),
        (lambda: -F.a.b, r'write vicino\.Value\("a\.b"\)'),
        (lambda: 2 * (F.stars >= 4), r"write vicino\.If\(F\.stars >= 4\)"),
    ],
)
def test_arithmetic_on_fields_and_conditions_names_what_to_write(calculate, told: str) -> None:
    with pytest.raises(FilterError, match=told):
        calculate()


def test_fields_and_conditions_beside_expressions_are_taken() -> None:
    assert vicino.Score() * F.price == vicino.Score() * vicino.Value("price")
    assert F.price / vicino.Score() == vicino.Value("price") / vicino.Score()
    assert vicino.Score() + (F.stars >= 4) == vicino.Score() + vicino.If(F.stars >= 4)
