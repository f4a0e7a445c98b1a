"""What a run is worth: every measure of every judged query, and their means.

Which queries count, said by name and never decided in silence:

    judged, with relevant documents      scored; one for which the search found nothing scores 0 (trec_eval -c)
    judged, nothing relevant             left out and listed in `without_relevant`, or scored 0 as trec_eval does: `without_relevant="zero"`
    judged, but not asked                left out and listed in `not_asked`
    asked, but not judged                left out and listed in `not_judged`
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import fmean, median
from typing import Any, Literal

from vicino.collection.searchable import SearchableCollection
from vicino.collection.streams import replacing
from vicino.env import RealEnv
from vicino.errors import InvalidArgument, NotFoundError, did_you_mean
from vicino.evaluate.judgments import Judgments
from vicino.evaluate.measures import DEFAULT_MEASURES, Measure
from vicino.evaluate.runs import Run
from vicino.storage.files import absolute

TOP = 10
"""Of each ranking so many documents are kept, to show which came and which went."""
ALL_FOUND = 1000
"""How many documents are asked for by a measure without a cut; TREC's own depth."""

WithoutRelevant = Literal["skip", "zero"]
Measures = Iterable[str | Measure] | str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of one run.

    scores: measure -> query -> score. tops: query -> the first ten documents found, each with its grade (None: not judged).
    search_s: median seconds of a search, embedding of the query included; None if the run was not searched here.
    """

    name: str
    scores: Mapping[str, Mapping[str, float]]
    tops: Mapping[str, Sequence[tuple[str, int | None]]]
    without_relevant: tuple[str, ...] = ()
    not_asked: tuple[str, ...] = ()
    not_judged: tuple[str, ...] = ()
    search_s: float | None = None
    run: Run | None = field(default=None, compare=False, repr=False)

    @property
    def means(self) -> dict[str, float]:
        """Measure -> mean over the queries that count."""
        return {measure: fmean(scores.values()) for measure, scores in self.scores.items()}

    def __getitem__(self, measure: str) -> float:
        """The mean of a measure: `evaluation["ndcg@10"]`."""
        return fmean(self.of(measure).values())

    def of(self, measure: str) -> Mapping[str, float]:
        """Query -> score of one measure. Raises InvalidArgument with the measures there are."""
        name = Measure.parse(measure).name
        if name not in self.scores:
            raise InvalidArgument(f'evaluation "{self.name}" has no measure "{name}".{did_you_mean(name, self.scores)}')
        return self.scores[name]

    @property
    def queries(self) -> tuple[str, ...]:
        """The queries that count."""
        return tuple(next(iter(self.scores.values())))

    def __str__(self) -> str:
        figures = ", ".join(f"{measure} {mean:.4f}" for measure, mean in self.means.items())
        return f"{self.name}: {figures} ({len(self.queries)} queries)"

    def to_json(self) -> dict[str, Any]:
        """Everything but the run; `from_json` reads it."""
        return {
            "evaluation": 1,
            "name": self.name,
            "means": self.means,
            "without_relevant": list(self.without_relevant),
            "not_asked": list(self.not_asked),
            "not_judged": list(self.not_judged),
            "search_s": self.search_s,
            "scores": {measure: dict(scores) for measure, scores in self.scores.items()},
            "tops": {query: [list(found) for found in top] for query, top in self.tops.items()},
        }

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes `to_json` to a file, to compare with later. The file is replaced; its folder must exist."""
        import msgspec

        with replacing(RealEnv(), absolute(path)) as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(self.to_json()), indent=1) + b"\n")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Evaluation:
        """What `write` wrote. Raises NotFoundError; InvalidArgument if the file holds something else."""
        import msgspec

        where, files = absolute(path), RealEnv().files
        if not files.exists(where):
            raise NotFoundError(f"there is no evaluation {where}; write one with Evaluation.write or `vicino eval --save`")
        try:
            return _from_stored(msgspec.json.decode(files.read(where), type=_stored_type()))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidArgument(f"{where} is not a stored evaluation: {error}; write it anew with Evaluation.write") from error


def _stored_type() -> type:
    from typing import TypedDict

    class Stored(TypedDict):
        evaluation: Literal[1]
        name: str
        without_relevant: list[str]
        not_asked: list[str]
        not_judged: list[str]
        search_s: float | None
        scores: dict[str, dict[str, float]]
        tops: dict[str, list[tuple[str, int | None]]]

    return Stored


def _from_stored(stored: dict[str, Any]) -> Evaluation:
    scores = {Measure.parse(measure).name: values for measure, values in stored["scores"].items()}
    queries = [values.keys() for values in scores.values()]
    if not queries or not queries[0] or any(mine != queries[0] for mine in queries):
        raise InvalidArgument("a stored evaluation has at least one measure, each with a score of every query; write it anew")
    return Evaluation(
        stored["name"],
        scores,
        stored["tops"],
        without_relevant=tuple(stored["without_relevant"]),
        not_asked=tuple(stored["not_asked"]),
        not_judged=tuple(stored["not_judged"]),
        search_s=stored["search_s"],
    )


def evaluate_run(
    run: Run,
    judgments: Judgments,
    *,
    measures: Measures = DEFAULT_MEASURES,
    without_relevant: WithoutRelevant = "skip",
    asked: Iterable[str] | None = None,
) -> Evaluation:
    """The measures of a run. asked: the queries that were asked, if not all that are judged.

    Raises InvalidArgument if no query counts, or a measure is not known.
    """
    chosen = parse_measures(measures)
    if without_relevant not in ("skip", "zero"):
        raise InvalidArgument(f'without_relevant must be "skip" or "zero", got {without_relevant!r}')
    asked_queries = set(judgments if asked is None else map(str, asked))
    counted = [query for query in judgments if query in asked_queries]
    empty = tuple(query for query in counted if not any(grade > 0 for grade in judgments[query].values()))
    if without_relevant == "skip":
        left_out = set(empty)
        counted = [query for query in counted if query not in left_out]
    if not counted:
        raise InvalidArgument(
            f"none of the {len(asked_queries | set(run))} queries asked is among the {len(judgments)} that have judgments with a relevant "
            "document; compare the ids of queries and judgments"
        )
    scores = {measure.name: {query: measure.score(run.get(query, ()), judgments[query]) for query in counted} for measure in chosen}
    return Evaluation(
        name=run.name,
        scores=scores,
        tops={query: [(found, judgments[query].get(found)) for found in run.get(query, ())[:TOP]] for query in counted},
        without_relevant=empty,
        not_asked=tuple(query for query in judgments if query not in asked_queries),
        not_judged=tuple(sorted((set(run) | asked_queries) - set(judgments))),
        run=run,
    )


def evaluate(
    collection: SearchableCollection[Any],
    judgments: Judgments | Mapping[Any, Mapping[Any, int]],
    queries: Mapping[Any, Any],
    *,
    measures: Measures = DEFAULT_MEASURES,
    limit: int | None = None,
    name: str | None = None,
    without_relevant: WithoutRelevant = "skip",
    **options: Any,
) -> Evaluation:
    """Asks a collection the judged queries among `queries` (id -> text, vector or part) and measures what it finds.

    options: those of `Collection.search`, such as mode="text" or where=. limit: documents asked for; by default as many as the deepest
    measure looks at. Equal scores are ordered as trec_eval does; where a search orders by something else than its scores (a reranker,
    diversity, order by), its own order stands.
    """
    judged = judgments if isinstance(judgments, Judgments) else Judgments(judgments)
    chosen = parse_measures(measures)
    if refused := sorted({"group_by", "cursor", "offset"} & options.keys()):
        raise InvalidArgument(f"an evaluation needs one ranking from its first document on; leave out {refused[0]}=")
    depth = limit or max(measure.k or ALL_FOUND for measure in chosen)
    asked = {str(query): text for query, text in queries.items()}
    found: dict[str, Any] = {}
    took: list[float] = []
    clock = RealEnv().monotonic
    for query in judged:
        if query in asked:
            start = clock()
            results = collection.search(asked[query], limit=depth, **{"select": (), **options})
            took.append(clock() - start)
            found[query] = _ranking(results)
    run = Run(found, name=name or _title(collection.name, options))
    measured = evaluate_run(run, judged, measures=chosen, without_relevant=without_relevant, asked=asked)
    return replace(measured, search_s=median(took))


def parse_measures(measures: Measures) -> list[Measure]:
    """At least one measure, each once, in the order given."""
    given = [measures] if isinstance(measures, str) else list(measures)
    chosen = list(dict.fromkeys(map(Measure.parse, given)))
    if not chosen:
        raise InvalidArgument(f"an evaluation needs a measure, such as {', '.join(DEFAULT_MEASURES)}; got none")
    return chosen


def _ranking(results: Any) -> Any:
    ids, scores = results.ids, [hit.score for hit in results]
    is_by_score = all(before >= after for before, after in pairwise(scores))
    return dict(zip(ids, scores, strict=True)) if is_by_score else ids


def _title(collection: str, options: Mapping[str, Any]) -> str:
    """What tells one evaluation from another, in one word, as a run's name must be."""
    plain = {name: value for name, value in options.items() if isinstance(value, str | int | float)}
    return "_".join([collection, *(f"{name}={value}" for name, value in plain.items() if str(value).split() == [str(value)])])
