"""Two evaluations beside each other."""

from __future__ import annotations

import pytest

from vicino.errors import InvalidArgument
from vicino.evaluate import Evaluation, Judgments, Run, compare, evaluate_run

JUDGMENTS = Judgments({"q1": {"a": 1}, "q2": {"b": 1}, "q3": {"c": 1}})


def evaluation(name: str, **found: list[str]) -> Evaluation:
    return evaluate_run(Run(found, name=name), JUDGMENTS, measures=["mrr", "recall@1"], asked=found)


BEFORE = evaluation("before", q1=["a", "x"], q2=["x", "b"], q3=["c"])
AFTER = evaluation("after", q1=["x", "y", "a"], q2=["b"], q3=["c"])


def test_means_and_their_change() -> None:
    found = compare(BEFORE, AFTER)["mrr"]
    assert (found.before, found.after) == (pytest.approx(2.5 / 3), pytest.approx((1 / 3 + 2) / 3))
    assert found.change == pytest.approx(-1 / 18)


def test_queries_are_counted() -> None:
    found = compare(BEFORE, AFTER)["mrr"]
    assert (found.better, found.worse, found.equal) == (1, 1, 1)


def test_significance_is_exact_for_few_queries() -> None:
    assert compare(BEFORE, AFTER)["mrr"].p_value == 1.0


def test_changed_queries_begin_with_the_largest_loss() -> None:
    assert [(query.query, round(query.change, 3)) for query in compare(BEFORE, AFTER).changed("mrr")] == [("q1", -0.667), ("q2", 0.5)]


def test_changed_query_says_which_documents_came_and_left() -> None:
    changed = compare(BEFORE, AFTER).changed("mrr")
    assert (changed[0].entered, changed[0].left) == ([("y", None)], [])
    assert (changed[1].entered, changed[1].left) == ([], [("x", None)])


def test_only_common_queries_are_compared() -> None:
    found = compare(BEFORE, evaluation("other", q2=["b"], q3=["c"]))
    assert (found.common, found.only_before, found.only_after) == (("q2", "q3"), ("q1",), ())
    assert found["mrr"].before == 0.75


def test_only_common_measures_are_compared() -> None:
    other = evaluate_run(Run({"q1": ["a"]}), JUDGMENTS, measures=["mrr", "map"])
    assert list(compare(BEFORE, other).differences) == ["mrr"]


def test_equal_evaluations_differ_in_nothing() -> None:
    found = compare(BEFORE, BEFORE)
    assert found.changed("mrr") == []
    assert found["mrr"].p_value == 1.0


def test_evaluations_without_a_common_query_are_refused() -> None:
    first, second = evaluation("first", q1=["a"]), evaluation("second", q2=["a"])
    with pytest.raises(InvalidArgument, match="have no query in common"):
        compare(first, second)


def test_evaluations_without_a_common_measure_are_refused() -> None:
    other = evaluate_run(Run({"q1": ["a"]}, name="other"), JUDGMENTS, measures="map")
    with pytest.raises(InvalidArgument, match="have no measure in common"):
        compare(BEFORE, other)


def test_comparison_reads_as_text() -> None:
    assert str(compare(BEFORE, AFTER)) == (
        "before -> after, 3 queries\n"
        "  mrr 0.8333 -> 0.7778 (-0.0556, p 1): 1 better, 1 worse\n"
        "  recall@1 0.6667 -> 0.6667 (+0.0000, p 1): 1 better, 1 worse"
    )


def test_comparison_is_json() -> None:
    found = compare(BEFORE, AFTER).to_json()
    assert found["measures"]["mrr"]["worse"] == 1
    assert found["changed"]["mrr"][0] == {"query": "q1", "before": 1.0, "after": 1 / 3, "entered": [["y", None]], "left": []}
