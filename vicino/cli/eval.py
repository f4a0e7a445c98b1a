"""`vicino eval`: how good the answers to judged queries are, alone or beside an evaluation that was kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from vicino.cli import exit_codes, output
from vicino.cli.command import command as declare
from vicino.cli.search import read_where
from vicino.cli.session import Session
from vicino.evaluate import DEFAULT_MEASURES, ChangedQuery, Comparison, Evaluation, compare, evaluate, read_judged_set, worse_measures


@declare(
    "eval",
    examples="""
    vicino eval data papers judged/cranfield
    vicino eval data papers judged/cranfield --mode text --save words.json
    vicino eval data papers judged/cranfield --mode hybrid --against words.json --tolerance 0.005
    """,
)
@click.argument("words", nargs=-1, metavar="[FOLDER] COLLECTION JUDGED")
@click.option(
    "--measure", "measures", multiple=True, default=DEFAULT_MEASURES, show_default=True, metavar="NAME[@K]",
    help="ndcg, ndcg-exp, map, mrr, recall, precision or success, of the first K; may be given again.",
)  # fmt: skip
@click.option("-n", "--limit", type=click.IntRange(min=1), help="Documents asked for; by default as many as the deepest measure looks at.")
@click.option(
    "--mode", type=click.Choice(["auto", "dense", "text", "hybrid"]), default="auto",
    help="How a query is answered: by its meaning, by its words, by both.",
)  # fmt: skip
@click.option("--where", help="Condition, as in `vicino search`.")
@click.option("--vector", help="Name of the vector to search, if there are several.")
@click.option("--exact", is_flag=True, help="Score every candidate.")
@click.option("--ef", type=int, help="Beam of the graph walk; larger finds more and takes longer.")
@click.option("--split", help="Which judgments of the folder's qrels/; test if there are such.")
@click.option("--queries", metavar="FILE", help="Queries that lie elsewhere: JSONL with _id and text, or TSV.")
@click.option("--qrels", metavar="FILE", help="Judgments that lie elsewhere, in TREC's or BEIR's form.")
@click.option("--count-empty", is_flag=True, help="Queries without a relevant document score 0, as in trec_eval; else they are left out.")
@click.option("--save", metavar="FILE", help="Keep the evaluation, to compare with later.")
@click.option("--run", "run_file", metavar="FILE", help="Write what was found as a TREC run.")
@click.option("--against", metavar="FILE", help="Compare with an evaluation that was kept, and list the queries that changed.")
@click.option("--changed", type=click.IntRange(min=0), default=10, show_default=True, help="With --against: how many queries to list.")
@click.option(
    "--tolerance", type=click.FloatRange(0.0, 1.0), help="With --against: end with exit code 6 if the mean of a measure fell by more."
)
@click.pass_context
def command(
    ctx: click.Context, session: Session, words: tuple[str, ...], measures: tuple[str, ...], split: str | None, queries: str | None,
    qrels: str | None, count_empty: bool, save: str | None, run_file: str | None, against: str | None, changed: int,
    tolerance: float | None, where: str | None, **options: Any,
) -> None:  # fmt: skip
    """Ask a collection the queries of JUDGED, a folder with queries and judgments as BEIR lays them out, and measure the answers."""
    if tolerance is not None and against is None:
        raise click.UsageError("--tolerance says how far a measure may fall below an evaluation that was kept; give --against FILE too")
    folder, (name, judged_folder) = session.place(words, "COLLECTION", "JUDGED")
    judged = read_judged_set(judged_folder, split=split, queries=queries, qrels=qrels)
    before = None if against is None else Evaluation.read(against)
    asked = {option: value for option, value in options.items() if value not in (None, False, "auto")}
    with session.database(folder) as database:
        without = "zero" if count_empty else "skip"
        found = evaluate(
            database.collection(name), judged.judgments, judged.queries, measures=measures, without_relevant=without,
            **({} if where is None else {"where": read_where(where)}), **asked,
        )  # fmt: skip
    comparison = None if before is None else compare(before, found)
    if save is not None:
        found.write(save)
    if run_file is not None and found.run is not None:
        found.run.write(run_file)
    session.finish(_document(name, found, comparison), lambda: _show(found, comparison, changed))
    for note in _notes(found, comparison):
        session.note(note)
    if comparison is not None and tolerance is not None and (worse := worse_measures(comparison, tolerance)):
        session.note(f"{', '.join(worse)} fell by more than {tolerance:g}")
        ctx.exit(exit_codes.CHECK_FAILED)


def _document(collection: str, found: Evaluation, comparison: Comparison | None) -> dict[str, Any]:
    stored = found.to_json()
    facts = {key: stored[key] for key in ("name", "search_s", "without_relevant", "not_asked", "not_judged", "scores")}
    document = {"collection": collection, "queries": len(found.queries), "measures": found.means, **facts}
    return document if comparison is None else {**document, "comparison": comparison.to_json()}


def _show(found: Evaluation, comparison: Comparison | None, changed: int) -> None:
    if comparison is None:
        output.write_table(["measure", "mean"], [[measure, f"{mean:.4f}"] for measure, mean in found.means.items()], numeric=["mean"])
        return
    rows = [
        [row.measure, f"{row.before:.4f}", f"{row.after:.4f}", f"{row.change:+.4f}", f"{row.p_value:.3g}", str(row.better), str(row.worse)]
        for row in comparison.differences.values()
    ]
    headers = ["measure", "before", "now", "change", "p", "better", "worse"]
    output.write_table(headers, rows, numeric=headers[1:])
    measure = next(iter(comparison.differences))
    moved = _most_changed(comparison.changed(measure), changed)
    if moved:
        click.echo()
        output.write_table([f"query, by {measure}", "before", "now", "came", "left"], map(_row, moved), numeric=["before", "now"])


def _most_changed(queries: Sequence[ChangedQuery], n: int) -> list[ChangedQuery]:
    """The n queries that changed most, losses first."""
    most = sorted(queries, key=lambda query: -abs(query.change))[:n]
    return sorted(most, key=lambda query: query.change)


def _row(query: ChangedQuery) -> list[str]:
    return [query.query, f"{query.before:.3f}", f"{query.after:.3f}", _relevant(query.entered), _relevant(query.left)]


def _relevant(found: Sequence[tuple[str, int | None]]) -> str:
    """The relevant ones among documents that came or left."""
    return ", ".join(document for document, grade in found if (grade or 0) > 0)


def _notes(found: Evaluation, comparison: Comparison | None) -> list[str]:
    took = "" if found.search_s is None else f", {found.search_s * 1e3:.1f} ms each"
    notes = [f"{len(found.queries):,} judged queries counted{took}"]
    for queries, why in (
        (found.without_relevant, "have no relevant document"),
        (found.not_asked, "are judged but have no text"),
        (found.not_judged, "have no judgments"),
    ):
        if queries:
            notes.append(f"{len(queries)} {why}: {_some(queries)}")
    if comparison is not None and (new := [measure for measure in found.scores if measure not in comparison.differences]):
        notes.append(f"{', '.join(new)} not compared: {comparison.before.name} was kept without")
    if comparison is not None and (left_out := comparison.only_before + comparison.only_after):
        notes.append(f"{len(left_out)} are in one of the two evaluations only and were not compared: {_some(left_out)}")
    return notes


def _some(queries: Sequence[str]) -> str:
    return ", ".join(queries[:5]) + (", …" if len(queries) > 5 else "")
