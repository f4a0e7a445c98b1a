"""Does exact search with the built-in model rank real documents as well as that model should?

Answers: nDCG@10 of exact MiniLM search over Cranfield and NPL (title + space + text), through the public face from text to hits, beside the
values the model is known to reach. It checks tokenizer, runner, pooling and scoring together.
Does not answer: whether approximate search loses any of it (`default_search` measures recall), or how good other models are.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from typing import Any

import vicino
import vicino.models
from benchmarks import report
from benchmarks.datasets import Judged, load_judged, ndcg

K = 10
EXPECTED = {"cranfield": 0.373, "npl": 0.437}
TOLERANCE = 0.005


def measure(data: Judged, model: Any) -> dict[str, Any]:
    """nDCG@10 over all judged queries, and how long embedding took."""
    with vicino.open() as database:
        collection = database.create_collection("documents", model=model, embed="text")
        start = time.perf_counter()
        collection.upsert([{"id": name, "text": text} for name, text in zip(data.ids, data.texts, strict=True)])
        load_s = time.perf_counter() - start
        rankings = {name: collection.search(text, limit=K, exact=True).ids for name, text in data.queries.items()}
    scores = [ndcg([str(found) for found in rankings[name]], data.grades[name], K) for name in rankings]
    return {
        "set": data.name,
        "n": len(data.ids),
        "dim": model.dim,
        "dtype": "float32",
        "queries": len(rankings),
        "ndcg_at_10": statistics.fmean(scores),
        "load_s": load_s,
        "texts_per_s": len(data.ids) / load_s,
        "results_checksum": report.checksum(rankings),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", nargs="*", default=list(EXPECTED), choices=list(EXPECTED))
    options = parser.parse_args(arguments)
    model = vicino.models.load("minilm", download=True)
    measured = {name: measure(load_judged(name), model) for name in options.sets}
    figures = [
        report.Figure(
            f"nDCG@10, {name}, exact MiniLM",
            f"{EXPECTED[name]} +- {TOLERANCE}",
            f"{found['ndcg_at_10']:.4f}",
            abs(found["ndcg_at_10"] - EXPECTED[name]) <= TOLERANCE,
        )
        for name, found in measured.items()
    ]
    described = {"set": ", ".join(options.sets), "k": K, "model": "minilm", "recall": 1.0, "runs": "1: exact search repeats bit for bit"}
    report.write("relevance", figures, data=described, sets=measured)


if __name__ == "__main__":
    main()
