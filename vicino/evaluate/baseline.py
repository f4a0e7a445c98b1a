"""Evaluations kept as baselines beside the tests: what a judged set is worth today must not be less tomorrow."""

from __future__ import annotations

import os

from vicino.env import RealEnv
from vicino.errors import InvalidArgument
from vicino.evaluate.comparison import ChangedQuery, Comparison, compare
from vicino.evaluate.evaluation import Evaluation
from vicino.storage.files import absolute, make_folders

TOLERANCE = 0.005
"""By how much a mean may fall: a change that reorders equal scores moves it by a little."""
_SHOWN = 5


def worse_measures(comparison: Comparison, tolerance: float = TOLERANCE) -> list[str]:
    """Measures whose mean fell by more than the tolerance."""
    if not 0 <= tolerance <= 1:
        raise InvalidArgument(f"tolerance must be between 0 and 1, got {tolerance}")
    return [name for name, found in comparison.differences.items() if found.change < -tolerance]


def compare_with_baseline(evaluation: Evaluation, path: str | os.PathLike[str]) -> Comparison:
    """A comparison with a stored evaluation. Raises InvalidArgument unless both scored the same queries by the same measures."""
    where = absolute(path)
    stored = Evaluation.read(where)
    if set(stored.queries) != set(evaluation.queries) or set(stored.scores) != set(evaluation.scores):
        raise InvalidArgument(
            f"{where} holds {', '.join(stored.scores)} of {len(stored.queries)} queries, the evaluation {', '.join(evaluation.scores)} of "
            f"{len(evaluation.queries)}, and they are not the same; if the judged set was changed on purpose, store the baseline anew"
        )
    return compare(stored, evaluation)


def store_baseline(evaluation: Evaluation, path: str | os.PathLike[str]) -> None:
    """Writes an evaluation as baseline, and the folder if it is missing."""
    where = absolute(path)
    make_folders(RealEnv().files, where.rpartition("/")[0])
    evaluation.write(where)


def describe_loss(comparison: Comparison, worse: list[str], tolerance: float = TOLERANCE) -> str:
    """What got worse, and the queries that lost most, for people."""
    lines = [str(comparison)]
    for name in worse:
        found = comparison[name]
        lines.append(f"{name} fell by {-found.change:.4f}, more than {tolerance:g}; the queries that lost most:")
        lines += [f"  {_described(query)}" for query in comparison.changed(name)[:_SHOWN] if query.change < 0]
    return "\n".join(lines)


def _described(query: ChangedQuery) -> str:
    gone = ", ".join(found for found, grade in query.left if (grade or 0) > 0) or "none"
    return f"{query.query}: {query.before:.3f} -> {query.after:.3f}; relevant documents that left the first ten: {gone}"
