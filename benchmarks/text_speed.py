"""How fast are words and sparse vectors searched and indexed on one core, how exactly, and in how much room, beside three engines?

Answers: BM25 top-10 queries per second by kind of query, one at a time, beside tantivy, bm25s (also all at once, the way it is made for)
and Qdrant Edge; megabytes of text per second from nothing to an index that is on the disk and searched by all of it; bytes of the index
with positions and without stored text; whether the answers are the exact ones (a reference in numpy over the same terms); what a filter
of 10 % and of 1 % costs; and top-10 searches of vectors like SPLADE's. Engines take turns over several rounds, each in its own process
and environment, pinned to one core; bm25s and Qdrant, which take minutes, are indexed in the first round only.
Does not answer: relevance (`benchmarks.relevance`), several threads, writes beside searches. Times of indexing hold the analysis, and
vicino's also the log and the stored documents; Qdrant's hold neither, as it is given finished weights. tantivy is given the queries
without their stop words, as vicino and bm25s search them; how it fares with them stands beside it. What "per second" says depends on
what else the machine does; seconds that a process worked stand beside it ("per_cpu_s").
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import report
from benchmarks.bags import SPARSE_QUERY_TERMS, SPARSE_TERMS, Bags, Lists, Query, bag_of_query, bags_of_texts, best, is_exact, sparse_bags
from benchmarks.environments import MissingPeer, interpreter
from benchmarks.passages import Passages, load_passages
from vicino import TextSpec
from vicino.text.languages import LANGUAGES

K = 10
DRIVER = Path(__file__).parent / "peers" / "text_driver.py"
PHASE_TIMEOUT_S = 1800.0
FILTERS = {"10 %": {"n": {"$lt": 10}}, "1 %": {"n": {"$lt": 1}}}
TEXT_ENGINES = {
    "vicino": ("vicino", "vicino_text", "VicinoText"),
    "tantivy": ("tantivy", "tantivy_text", "TantivyText"),
    "tantivy with stop words": ("tantivy", "tantivy_text", "TantivyTextStop"),
    "bm25s": ("bm25s", "bm25s_text", "Bm25sText"),
    "qdrant": ("qdrant", "qdrant_text", "QdrantText"),
}
"""Engine -> environment, module, class."""
SPARSE_ENGINES = {"vicino": ("vicino", "vicino_text", "VicinoSparse"), "qdrant": ("qdrant", "qdrant_text", "QdrantSparse")}
SHARED = {"tantivy with stop words": "tantivy"}
"""Engine -> whose index it searches."""
INDEXED_ONCE = ("bm25s", "qdrant")


class EngineFailed(Exception):
    """An engine's process ended without an answer; the message holds the end of what it printed."""


def run_phase(engine: tuple[str, str, str], task: dict[str, Any]) -> dict[str, Any]:
    environment, module, name = engine
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if environment == "vicino":
        variables["PYTHONPATH"] = str(report.ROOT)
    command = [str(interpreter(environment)), str(DRIVER), json.dumps(task | {"module": module, "class": name})]
    try:
        done = subprocess.run(command, capture_output=True, env=variables, timeout=PHASE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise EngineFailed(f"phase {task['phase']}: no answer within {PHASE_TIMEOUT_S:g} s") from error
    if done.returncode or not done.stdout:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise EngineFailed(f"phase {task['phase']}: exit status {done.returncode}: {' '.join(last)}")
    return json.loads(done.stdout)


def measure(engines: dict[str, tuple[str, str, str]], tasks: dict[str, Any], *, rounds: int, folder: Path) -> dict[str, Any]:
    """By engine the phases of every round, or {"error": why}."""
    found: dict[str, Any] = {engine: {"index": [], "search": []} for engine in engines}
    names = list(engines)
    for turn in range(rounds):
        # Another one begins each round, so that no engine always follows the same neighbor.
        for engine in [*names[turn % len(names) :], *names[: turn % len(names)]]:
            mine = found[engine]
            if "error" in mine:
                continue
            path = folder / SHARED.get(engine, engine)
            filters = FILTERS if engine == "vicino" and tasks["filters"] else {}
            try:
                if not path.exists() or (engine not in SHARED and engine not in INDEXED_ONCE):
                    shutil.rmtree(path, ignore_errors=True)
                    mine["index"].append(run_phase(engines[engine], {**tasks, "phase": "index", "path": str(path)}))
                mine["search"].append(run_phase(engines[engine], {**tasks, "phase": "search", "path": str(path), "filters": filters}))
            except (MissingPeer, EngineFailed) as error:
                if engine == "vicino":
                    raise
                found[engine] = {"error": str(error)}
            print(f"round {turn + 1}, {engine}: {described(found[engine])}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    return found


def described(measured: dict[str, Any]) -> str:
    if "error" in measured:
        return measured["error"]
    parts = [f"index {measured['index'][-1]['seconds']:.1f} s"] if measured["index"] else []
    for kind, found in measured["search"][-1].items():
        if isinstance(found, dict):
            parts.append(f"{kind} {len(found['took']) / found['seconds']:,.0f}/s")
    return ", ".join(parts)


# ---- what is asked


def text_queries(passages: Passages, numbers: dict[bytes, int]) -> dict[str, dict[str, Any]]:
    """By kind the queries in every form that an engine takes."""
    analyzer = TextSpec(language="en").analyzer
    stop_words = set(LANGUAGES["en"].stop_words)
    kinds = {}
    for kind, texts in passages.queries.items():
        plain = [" ".join(re.sub(r"[^\w ]", " ", text.lower()).split()) for text in texts]
        without = [" ".join(word for word in text.split() if word not in stop_words) for text in plain]
        bags = [bag_of_query(text, analyzer, numbers) for text in texts]
        # Queries that hold nothing but stop words, or words that are nowhere, would compare nothing.
        kept = [i for i, bag in enumerate(bags) if len(bag[0]) and without[i]]
        kinds[kind] = {
            "texts": [texts[i] for i in kept],
            "texts_plain": [plain[i] for i in kept],
            "words": [without[i] for i in kept],
            "bags": [(bags[i][0].tolist(), bags[i][1].tolist()) for i in kept],
        }
    return kinds


def sparse_queries(n: int, *, seed: int) -> dict[str, dict[str, Any]]:
    bags = sparse_bags(n, SPARSE_QUERY_TERMS, seed=seed)
    split = [
        (bags.terms[begin:end].tolist(), bags.weights[begin:end].tolist())
        for begin, end in zip(bags.starts[:-1], bags.starts[1:], strict=True)
    ]
    return {"sparse": {"bags": split}}


def query_of(bag: Sequence[Any]) -> Query:
    return np.array(bag[0], np.uint32), np.array(bag[1], np.float32)


# ---- what came of it


def exactness(
    lists: Lists, measured: dict[str, Any], kinds: dict[str, dict[str, Any]], *, idf: bool, checked: int, share: npt.NDArray[np.int64]
) -> dict[str, Any]:
    """By engine and kind: over the first queries, how many answers are the exact ones, and the recall of all."""
    found: dict[str, Any] = {engine: {} for engine, one in measured.items() if "error" not in one}
    for kind, given in kinds.items():
        truth = [(lists.scores(query_of(bag), idf=idf)) for bag in given["bags"][:checked]]
        for engine, into in found.items():
            answers = measured[engine]["search"][0][kind]
            into[kind] = agreement(truth, answers["found"][: len(truth)])
            for name, filtered in answers.get("filtered", {}).items():
                limit = FILTERS[name]["n"]["$lt"] if name in FILTERS else 100
                into[f"{kind}, filtered: {name}"] = agreement([np.where(share < limit, scores, 0) for scores in truth], filtered["found"])
    return found


def agreement(truth: Sequence[npt.NDArray[np.float64]], found: Sequence[Sequence[int]]) -> dict[str, Any]:
    exact, hits, wanted = 0, 0, 0
    for scores, mine in zip(truth, found, strict=False):
        expected = best(scores, K)
        exact += is_exact(mine, scores, K)
        wanted += len(expected)
        # A row that scores as much as the last of the best is as good as it.
        hits += sum(scores[row] >= scores[expected[-1]] * (1 - 1e-5) for row in set(mine)) if len(expected) else 0
    return {"queries": len(truth), "exact": exact, "recall_at_10": round(hits / wanted, 4) if wanted else 1.0}


def summarize(measured: dict[str, Any], exact: dict[str, Any], text_bytes: int | None) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    for engine, one in measured.items():
        if "error" in one:
            summary[engine] = one
            continue
        searches = one["search"]
        mine = summary[engine] = {
            "version": searches[0]["version"],
            "configuration": searches[0]["configuration"],
            "kinds": {
                kind: summarize_kind([each[kind] for each in searches]) for kind in searches[0] if isinstance(searches[0][kind], dict)
            },
            "exactness": exact[engine],
        }
        if one["index"]:
            mine["index_s"] = report.spread(each["seconds"] for each in one["index"])
            mine["index_cpu_s"] = report.spread(each["cpu_seconds"] for each in one["index"])
            mine["index_bytes"] = one["index"][0]["bytes"]
            if text_bytes:
                mine["mb_per_s"] = report.spread(text_bytes / 1e6 / each["seconds"] for each in one["index"])
                mine["mb_per_cpu_s"] = report.spread(text_bytes / 1e6 / each["cpu_seconds"] for each in one["index"])
    return summary


def summarize_kind(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    n = len(rounds[0]["took"])
    took = np.array([each["took"] for each in rounds]) * 1e6
    found: dict[str, Any] = {
        "queries": n,
        "per_s": report.spread(n / each["seconds"] for each in rounds),
        "per_cpu_s": report.spread(n / each["cpu_seconds"] for each in rounds),
        "us": {f"p{at}": round(float(np.percentile(took, at)), 1) for at in (50, 95, 99)},
        "results_checksum": report.checksum(rounds[0]["found"]),
    }
    if "seconds_at_once" in rounds[0]:
        found["per_s_at_once"] = report.spread(n / each["seconds_at_once"] for each in rounds)
    if "filtered" in rounds[0]:
        found["filtered"] = {
            name: {
                "time_to_unfiltered": report.spread(
                    each["filtered"][name]["seconds"] / each["filtered"]["all"]["seconds"] for each in rounds
                )
            }
            for name in FILTERS
        }
    return found


def speed(found: dict[str, Any], kind: str) -> float:
    """Queries per second, the faster way of asking."""
    mine = found["kinds"][kind]
    return max(mine["per_s"]["median"], mine.get("per_s_at_once", mine["per_s"])["median"])


def text_figures(summary: dict[str, Any], kinds: Sequence[str]) -> list[report.Figure]:
    lines: list[report.Figure] = []
    mine = summary["vicino"]
    others = {name: found for name, found in summary.items() if name != "vicino" and "error" not in found}
    for kind in kinds:
        got = ", ".join(f"{name} {speed(found, kind):,.0f}/s" for name, found in {"vicino": mine, **others}.items())
        lines.append(report.Figure(f"BM25 top 10, {kind}", "", got))
        if others:
            fastest = max(others, key=lambda name: speed(others[name], kind))
            lines.append(
                report.Figure.at_least(f"queries, {kind}: vicino to {fastest}", speed(mine, kind) / speed(others[fastest], kind), 2.0, "x")
            )
        exact = mine["exactness"][kind]
        lines.append(
            report.Figure(f"exact answers, {kind}", f"{exact['queries']}", f"{exact['exact']}", exact["exact"] == exact["queries"])
        )
        for name in FILTERS:
            ratio = mine["kinds"][kind]["filtered"][name]["time_to_unfiltered"]["median"]
            lines.append(report.Figure.at_most(f"filtered to unfiltered time, {kind}, {name}", ratio, 1.5, "x"))
            exact = mine["exactness"][f"{kind}, filtered: {name}"]
            lines.append(
                report.Figure(
                    f"exact answers, {kind}, {name}", f"{exact['queries']}", f"{exact['exact']}", exact["exact"] == exact["queries"]
                )
            )
    if "error" in summary.get("tantivy", {"error": ""}):
        return lines
    tantivy = summary["tantivy"]
    rates = ", ".join(f"{name} {found['mb_per_s']['median']:.1f}" for name, found in summary.items() if "mb_per_s" in found)
    lines.append(report.Figure("indexing, MB of text a second", "", rates))
    lines.append(
        report.Figure.at_least("indexing, vicino to tantivy", mine["mb_per_s"]["median"] / tantivy["mb_per_s"]["median"], 1.0, "x")
    )
    lines.append(report.Figure.at_most("index bytes, vicino to tantivy", mine["index_bytes"] / tantivy["index_bytes"], 1.0, "x"))
    lines.append(
        report.Figure("index bytes", "", f"vicino {mine['index_bytes'] / 1e6:.1f} MB, tantivy {tantivy['index_bytes'] / 1e6:.1f} MB")
    )
    return lines


def sparse_figures(summary: dict[str, Any]) -> list[report.Figure]:
    mine, qdrant = summary["vicino"], summary.get("qdrant", {"error": ""})
    exact = mine["exactness"]["sparse"]
    lines = [report.Figure("exact answers, sparse vectors", f"{exact['queries']}", f"{exact['exact']}", exact["exact"] == exact["queries"])]
    if "error" in qdrant:
        return lines
    got = ", ".join(
        f"{name} {speed(found, 'sparse'):,.0f}/s at recall {found['exactness']['sparse']['recall_at_10']}"
        for name, found in summary.items()
    )
    lines.append(report.Figure("sparse vectors, top 10", "", got))
    lines.append(report.Figure.at_least("sparse vectors, vicino to qdrant", speed(mine, "sparse") / speed(qdrant, "sparse"), 3.0, "x"))
    return lines


def save(folder: Path, bags: Bags, queries: dict[str, Any], texts: list[str] | None) -> dict[str, Any]:
    """Files that the engines read."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {"bags": folder / "bags.npz", "queries": folder / "queries.json", "texts": folder / "texts.json"}
    np.savez(paths["bags"], starts=bags.starts, terms=bags.terms, weights=bags.weights)
    paths["queries"].write_text(json.dumps(queries))
    if texts is not None:
        paths["texts"].write_text(json.dumps(texts))
    return {name: str(path) for name, path in paths.items()} | {"filters": texts is not None}


def measure_texts(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], dict[str, Any], list[report.Figure]]:
    passages = load_passages(options.passages, options.queries)
    bags, numbers = bags_of_texts(passages.texts, TextSpec(language="en").analyzer)
    kinds = text_queries(passages, numbers)
    tasks = save(folder, bags, kinds, passages.texts)
    text_bytes = sum(len(text.encode()) for text in passages.texts)
    engines = {name: engine for name, engine in TEXT_ENGINES.items() if engine[0] in ("vicino", *options.peers)}
    measured = measure(engines, tasks, rounds=options.rounds, folder=folder / "indexes")
    share = np.random.default_rng(1).integers(0, 100, len(passages.texts))
    exact = exactness(Lists.of(bags, len(numbers)), measured, kinds, idf=True, checked=options.checked, share=share)
    summary = summarize(measured, exact, text_bytes)
    data = {
        "set": "passages of shared/data and /usr/share/doc",
        "n": len(passages.texts),
        "of real text as it is": passages.n_real,
        "mb": round(text_bytes / 1e6, 1),
        "terms": len(numbers),
        "postings": len(bags.terms),
        "queries": {kind: len(given["texts"]) for kind, given in kinds.items()},
        "words_per_query": {kind: round(float(np.mean([len(bag[0]) for bag in given["bags"]])), 1) for kind, given in kinds.items()},
    }
    return data, summary, text_figures(summary, list(kinds))


def measure_sparse(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], dict[str, Any], list[report.Figure]]:
    bags = sparse_bags(options.sparse, SPARSE_TERMS, seed=2)
    kinds = sparse_queries(options.queries, seed=3)
    tasks = save(folder, bags, kinds, None)
    engines = {name: engine for name, engine in SPARSE_ENGINES.items() if engine[0] in ("vicino", *options.peers)}
    measured = measure(engines, tasks, rounds=options.sparse_rounds, folder=folder / "indexes")
    lists = Lists.of(bags, int(bags.terms.max()) + 1)
    exact = exactness(lists, measured, kinds, idf=False, checked=options.checked, share=np.zeros(0, np.int64))
    summary = summarize(measured, exact, None)
    data = {"set": "generated, Zipf", "n": len(bags), "terms_each": SPARSE_TERMS, "terms_per_query": SPARSE_QUERY_TERMS}
    return data, summary, sparse_figures(summary)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--passages", type=int, default=500_000)
    parser.add_argument("--sparse", type=int, default=500_000, help="sparse vectors; 0 leaves them out")
    parser.add_argument("--queries", type=int, default=300, help="of each kind")
    parser.add_argument("--checked", type=int, default=50, help="queries of each kind compared with the exact reference")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sparse-rounds", type=int, default=2)
    parser.add_argument("--peers", nargs="*", default=["tantivy", "bm25s", "qdrant"], choices=["tantivy", "bm25s", "qdrant"])
    options = parser.parse_args(arguments)
    folder = report.WORK / "text_speed"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        data, summary, figures = measure_texts(options, folder / "texts")
        content: dict[str, Any] = {"data": data | {"k": K, "rounds": options.rounds, "threads": 1}, "texts": summary}
        if options.sparse:
            sparse_data, sparse_summary, sparse_lines = measure_sparse(options, folder / "sparse")
            content |= {"sparse_data": sparse_data | {"rounds": options.sparse_rounds}, "sparse": sparse_summary}
            figures += sparse_lines
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.write("text_speed", figures, **content)


if __name__ == "__main__":
    main()
