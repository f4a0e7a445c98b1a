"""A text answered by the words of the only text index there is: one call of the core finds its words and the records that hold them.

Most queries by words are of this kind and take the core a few dozen microseconds, as much as the machinery of `composing.py` takes for
queries of any shape. The answer is the same; documents, versions, scores by part and highlights are read when somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vicino import _core
from vicino.collection.highlighting import highlighter
from vicino.collection.lexical import expect_ready
from vicino.collection.page import check_page
from vicino.collection.searching import Versions
from vicino.query.hit import Document
from vicino.query.parts import Text, text_of
from vicino.query.plan import Plan, Stage
from vicino.query.results import Results


def search_words(searcher: Any, words: str, options: Any) -> Results[Any]:
    """The `Results` of `Text(words)`, for a collection of one text index. Of `options` neither vectors nor min_score are given."""
    start = searcher.env.monotonic()
    k, offset = check_page(options.limit, options.offset), options.offset
    settings, snapshot = searcher.shard.settings, searcher.shard.snapshot()
    ((name, entry),) = settings.texts.items()
    spec = entry.spec
    cancel = _core.Cancel(options.timeout, True)
    condition = None if options.where is None else searcher.reader.condition(options.where, settings)
    matches = None if condition is None and settings.ttl is None else searcher.reader.match(snapshot, condition, settings, cancel)
    step = None if condition is None else searcher.reader.step(condition, matches, searcher.env.monotonic() - start)
    expect_ready(searcher, snapshot, [name], settings.texts)
    field = (entry.slot, 1.0, spec.k1, spec.b)
    ids, locators, distances, scored = spec.analyzer._search_words(snapshot, words, entry.languages, field, k, matches, cancel)
    took_s = searcher.env.monotonic() - start
    notes: tuple[str, ...] = ()
    if step is not None and step.paths_scanned:
        notes = searcher.unindexed(step, snapshot)
    part, version = text_of(words), snapshot.version
    stage = Stage(Text.tag, Text.tag, k, took_s, scored, len(ids))
    stage.details = {"fields": name}
    if distances:
        stage.scores = (0.0 - distances[-1], 0.0 - distances[0])
    plan = Plan(searcher.name, version, "", "", options.limit, options.exact, snapshot.n_records, took_s, (), step, notes, part, (stage,))
    if offset:
        ids, locators, distances = ids[offset:], locators[offset:], distances[offset:]
    return Results(
        ids,
        distances,
        _Documents(snapshot, locators),
        shape=searcher.shape(options.select),
        metric="dot",  # whose distance is minus the score
        version=version,
        took_s=took_s,
        plan=plan,
        versions=Versions(snapshot, locators),
        budget=searcher.room.budget,
        scores=_Scores(distances),
        highlight=lambda hit: _highlights(part, settings, hit),
    )


def _highlights(part: Text, settings: Any, hit: Any) -> Mapping[str, Any]:
    find = highlighter(part, settings)
    return {} if find is None else find(hit)


class _Documents(Sequence[Document]):
    """Documents of some rows, all read when the first is looked at."""

    __slots__ = ("_locators", "_read", "_snapshot")

    def __init__(self, snapshot: _core.Snapshot, locators: Any) -> None:
        self._snapshot, self._locators = snapshot, locators
        self._read: list[bytes] | None = None

    def __len__(self) -> int:
        return len(self._locators)

    def __getitem__(self, index: Any) -> Any:
        if self._read is None:
            self._read = self._snapshot.documents(self._locators)
        return self._read[index]


class _Scores(Sequence[Callable[[], Mapping[str, float]]]):
    """For each hit, a function that gives its score in the only part."""

    __slots__ = ("_distances",)

    def __init__(self, distances: list[float]) -> None:
        self._distances = distances

    def __len__(self) -> int:
        return len(self._distances)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Scores(self._distances[index])
        return lambda: {Text.tag: 0.0 - self._distances[index]}
