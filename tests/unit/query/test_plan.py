"""What a plan knows of recall."""

from __future__ import annotations

import pytest

from vicino.query.plan import Plan, Stage

WALKED = ({"strategy": "graph"},)


def dense(recall: float | None) -> Stage:
    return Stage("dense", "dense", 10, recall=recall, stats=WALKED)


@pytest.mark.parametrize(
    ("parts", "recall"),
    [
        ([dense(0.9), dense(0.95)], 0.9),
        ([dense(0.9), dense(None)], None),
        ([dense(0.9), Stage("text", "text", 10)], 0.9),
        ([Stage("text", "text", 10)], None),
        ([dense(0.0)], 0.0),
    ],
    ids=["lowest", "one-is-not-known", "words-have-none", "words-alone", "nothing-found"],
)
def test_recall_is_known_where_that_of_every_part_is(parts: list[Stage], recall: float | None) -> None:
    fused = Stage("fuse", "fuse", 10, inside=parts)
    plan = Plan("docs", 1, "", "", limit=10, exact=False, n_records=5, took_s=0.0, stages=(fused,))
    assert plan.recall == recall
