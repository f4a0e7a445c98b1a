from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from vicino.filter import model

CONDITION = model.And((model.Equal("a", 1), model.Range("b", lt=5), model.Not(model.IsNull("c"))))


def test_conditions_with_equal_parts_are_equal() -> None:
    assert model.Equal("a", 1) == model.Equal("a", value=1, strict=False)
    assert hash(model.Equal("a", 1)) == hash(model.Equal("a", value=1, strict=False))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (model.And(()), model.Or(())),
        (model.IsNull("a"), model.IsEmpty("a")),
        (model.Equal("a", 1), model.Equal("a", 1, strict=True)),
        (model.Range("a", gt=1), model.Range("a", gte=1)),
    ],
    ids=repr,
)
def test_conditions_of_other_kinds_or_parts_differ(a: model.Condition, b: model.Condition) -> None:
    assert a != b


def test_condition_does_not_change() -> None:
    condition: Any = model.Equal("a", 1)
    with pytest.raises(AttributeError, match="does not change"):
        condition.value = 2
    with pytest.raises(AttributeError, match="does not change"):
        del condition.value


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_conditions_can_be_copied(duplicate: Any) -> None:
    assert duplicate(CONDITION) == CONDITION


def test_repr_names_the_parts() -> None:
    assert repr(model.Equal("a", 1)) == "Equal(path='a', value=1, strict=False)"


@pytest.mark.parametrize(
    ("values", "named"),
    [((), {}), (("a",), {}), (("a", 1, True, 2), {}), (("a", 1), {"path": "b"}), (("a", 1), {"loose": True})],
)
def test_wrong_parts_are_refused(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="Equal"):
        model.Equal(*values, **named)
