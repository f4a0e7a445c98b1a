"""The stage of a query in which a model reads what was found: which texts it gets, how long it may take, and what holds if it fails.

A reranker is an object from outside: it may be slow, raise anything, or give numbers that are none. Whatever it does, the search answers:
in the order of the part inside, with a note in the plan. Only the timeout of the search itself ends the search.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vicino.collection.reading import check_fields
from vicino.errors import Error, InvalidArgument, TimeoutError
from vicino.query import parts as p
from vicino.query.fusion import EMPTY, Locators, Ranking, ranked
from vicino.query.part import Part
from vicino.query.plan import Stage

BATCH_SIZE = 8
"""Texts given at once under a budget to a reranker that states no `batch_size`."""


class _OutOfTime(Exception):
    """The budget of the part has passed."""


def rerank(run: Any, part: p.Rerank, k: int, matches: Any, stage: Stage) -> Ranking:
    reranker = run.searcher.reranker(part.reranker)
    query, fields = _query_of(part), _fields_of(run, part)
    head = run.run(part.part, part.depth, matches)
    stage.candidates = len(head)
    if not len(head):
        return EMPTY
    name = str(getattr(reranker, "name", type(reranker).__name__))
    try:
        scores = _scores(run, part, reranker, query, head.locators, fields)
    except _OutOfTime:
        note = f"reranker {name} did not read {len(head)} texts within budget_s={part.budget_s:g}"
    except (TimeoutError, MemoryError) as error:
        if isinstance(error, MemoryError) or _is_over(run):
            raise
        note = f"reranker {name} ran out of time: {error}"
    except Exception as error:  # whatever a model or a service of others may raise
        note = f"reranker {name} failed: {error if isinstance(error, Error) else f'{type(error).__name__}: {error}'}"
    else:
        stage.details = {"reranker": name}
        return ranked(head.locators, scores)
    stage.details = {"reranker": name, "order": "kept"}
    run.notes.append(f"{note}; the order is that of the part inside")
    return head


def _query_of(part: p.Rerank) -> str:
    query = part.query if part.query is not None else _words_of(part.part)
    if query is None:
        raise InvalidArgument("Rerank needs query=, the text asked for: no part inside is a text")
    return query


def _words_of(part: Part) -> str | None:
    """The text of the first text or embedded query inside."""
    if isinstance(part, p.Text):
        return part.words
    if isinstance(part, p.Dense):
        return part.x if isinstance(part.x, str) else None
    return next((words for inner in part.parts_inside if (words := _words_of(inner)) is not None), None)


def _fields_of(run: Any, part: p.Rerank) -> tuple[str, ...]:
    settings = run.settings
    indexed = dict.fromkeys(field for entry in settings.texts.values() for field in entry.spec.fields)
    check_fields(settings, *part.fields)
    fields = tuple(part.fields) or settings.embed or tuple(indexed)
    if not fields:
        raise InvalidArgument(
            f'Rerank needs fields=, whose text the reranker reads: collection "{run.searcher.name}" embeds no field and has no text index'
        )
    return fields


def text_of(document: dict[str, Any], fields: Sequence[str]) -> str:
    """What a reranker reads of a record: the texts, numbers and times at some paths, joined by a space."""
    from vicino.collection.executing import values_at

    found = [value for path in fields for value in values_at(document, path)]
    return " ".join(str(value) for value in found if isinstance(value, str | int | float | dt.datetime | uuid.UUID))


# ---- asking the model


def _scores(run: Any, part: p.Rerank, reranker: Any, query: str, locators: Locators, fields: Sequence[str]) -> npt.NDArray[np.float64]:
    # A query that is run deeper, for a further page, comes by here again with the same records.
    key = (id(part), locators.tobytes())
    if key not in run.reranked:
        texts = [text_of(document, fields) for document in run.documents(locators)]
        run.reranked[key] = _checked(_asked(run, part, reranker, query, texts), len(texts))
    return run.reranked[key]


def _asked(run: Any, part: p.Rerank, reranker: Any, query: str, texts: list[str]) -> Sequence[float]:
    ends = [run.deadline] if run.deadline is not None else []
    if part.budget_s is not None:
        ends.append(run.env.monotonic() + part.budget_s)
    if not ends:
        return reranker.scores(query, texts)
    if callable(getattr(reranker, "scores_within", None)):
        return reranker.scores_within(query, texts, _left(run, min(ends)))
    size = max(1, int(getattr(reranker, "batch_size", BATCH_SIZE)))
    # Texts of like length share a batch, so that little is padded. Nothing is used unless all are read, so their order is free.
    order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
    found = np.empty(len(texts))
    for start in range(0, len(order), size):
        _left(run, min(ends))
        rows = order[start : start + size]
        found[rows] = _checked(reranker.scores(query, [texts[row] for row in rows]), len(rows))
    return found.tolist()


def _left(run: Any, end: float) -> float:
    """Seconds until the end. Raises TimeoutError when the search's time has passed, _OutOfTime when that of the part has."""
    if _is_over(run):
        raise TimeoutError(f'the search of collection "{run.searcher.name}" passed its timeout while records were reranked')
    left = end - run.env.monotonic()
    if left <= 0:
        raise _OutOfTime
    return left


def _is_over(run: Any) -> bool:
    return run.cancel.cancelled or (run.deadline is not None and run.env.monotonic() >= run.deadline)


def _checked(scores: Any, n: int) -> npt.NDArray[np.float64]:
    given = np.asarray(scores, np.float64)
    if given.shape != (n,):
        raise InvalidArgument(f"it gave scores of shape {given.shape} for {n} texts, expected one number for each")
    if not np.isfinite(given).all():
        row = int(np.argmin(np.isfinite(given)))
        raise InvalidArgument(f"it gave {given[row]} for text {row}, expected finite numbers")
    return given
