from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicino.errors import FilterError
from vicino.filter import match, paths
from vicino.filter.conditions import at_least, has_id
from vicino.filter.expression import F


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("price", ["price"]),
        ("author.name", ["author", "name"]),
        ("items[].price", ["items", None, "price"]),
        ("items[0][2]", ["items", 0, 2]),
        ('"a.b".c', ["a.b", "c"]),
        ('""', [""]),
        ("in-stock", ["in-stock"]),
        ("first name", ["first name"]),
    ],
)
def test_path_is_split_into_steps(path: str, steps: list[object]) -> None:
    assert paths.steps_of(path) == steps


@pytest.mark.parametrize(
    ("path", "position"),
    [("", 0), ("a.", 2), ("a..b", 2), ("a[", 1), ("a[x]", 1), ("a[-1]", 1), ("a]", 1), ("[0]", 0), ('"a', 0), ('"a"b', 3), ("a[]b", 3)],
)
def test_fault_is_named_with_its_position(path: str, position: int) -> None:
    with pytest.raises(FilterError, match=f"at position {position};"):
        paths.steps_of(path)


@given(st.text('ab."[]0 ', max_size=8))
def test_the_reference_evaluator_reads_the_same_paths(path: str) -> None:
    try:
        steps = paths.steps_of(path)
    except FilterError:
        with pytest.raises(FilterError):
            match.split_path(path)
    else:
        assert match.split_path(path) == [(step,) if isinstance(step, str) else "[]" if step is None else step for step in steps]


@given(st.text(max_size=6).filter(lambda key: '"' not in key))
def test_path_of_a_key_leads_to_that_key(key: str) -> None:
    assert paths.steps_of(paths.path_of_key(key)) == [key]


def test_key_with_a_double_quote_has_no_path() -> None:
    with pytest.raises(FilterError, match="double quote"):
        paths.path_of_key('a"b')


def test_paths_of_a_condition_start_at_the_record() -> None:
    condition = at_least(1, (F.a == 1) & ~F.b.c.exists(), F.items.any((F.price < 5) | F.sizes[:].any(F.x == 1)), has_id(1)).condition
    assert list(paths.paths_of(condition)) == ["a", "b.c", "items", "items[].price", "items[].sizes[]", "items[].sizes[].x"]
