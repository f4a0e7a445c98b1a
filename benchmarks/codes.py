"""What do the codes of an index cost in bytes, and what do they give in recall and time?

Answers: for every kind of index with every kind of codes it can have, over one sealed segment of real vectors: bytes of the index and of
the vectors on disk a row, recall@10 against exact search over the raw vectors, vectors read a query, and processor time a query through
`search`; the same without raw vectors, and with what codes found scored otherwise than by the bound. Choices are asked in turn, block by
block.
Does not answer: where the frontier of recall and time lies (`ann` sweeps it); every choice is asked with its default effort here.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import vicino
from benchmarks import report
from benchmarks.datasets import Dataset, exact_neighbors, load_dataset, recall
from vicino import IndexSpec

K = 10
BLOCK = 50


@dataclass(frozen=True)
class Choice:
    kind: str
    codes: str = "auto"
    rescore: float | str = "bound"
    keep_raw: bool = True

    @property
    def name(self) -> str:
        raw = "" if self.keep_raw else ", no raw"
        return f"{self.kind}, codes {self.codes}, rescore {self.rescore}{raw}"


CHOICES = (
    Choice("flat"),
    Choice("flat", "1bit"),
    Choice("flat", "4bit"),
    Choice("flat", "8bit"),
    Choice("graph", "none"),
    Choice("graph", "4bit"),
    Choice("graph", "8bit"),
    Choice("ivf", "none"),
    Choice("ivf", "4bit"),
    Choice("ivf", "pq"),
    Choice("graph", "4bit", 3.0),
    Choice("graph", "4bit", "off"),
    Choice("graph", "8bit", "off"),
    Choice("flat", keep_raw=False),
    Choice("flat", "8bit", keep_raw=False),
    Choice("graph", "4bit", keep_raw=False),
    Choice("graph", "8bit", keep_raw=False),
    Choice("ivf_flat", keep_raw=False),
    Choice("ivf", "4bit", keep_raw=False),
)


def filled(database: Any, choice: Choice, data: Dataset) -> Any:
    spec = IndexSpec(choice.kind, codes=choice.codes, rescore=choice.rescore)  # type: ignore[arg-type]  # choices are drawn from those there are
    collection = database.create_collection(choice.name, dim=data.base.shape[1], index=spec, keep_raw=choice.keep_raw)
    collection.upsert(ids=range(len(data.base)), vectors=data.base)
    collection.optimize()
    return collection


def ask(collection: Any, queries: Any) -> tuple[float, list[Any]]:
    """Processor time of one query in microseconds, and what was found."""
    start = time.process_time()
    found = [collection.search(query, limit=K) for query in queries]
    return (time.process_time() - start) / len(queries) * 1e6, found


def measure(data: Dataset, rounds: int) -> dict[str, Any]:
    truth = exact_neighbors(data.base, data.queries, K, np.ones(len(data.base), np.bool_))
    n = len(data.base)
    with vicino.open() as database:
        collections = {choice: filled(database, choice, data) for choice in CHOICES}
        best = dict.fromkeys(CHOICES, float("inf"))
        found: dict[Choice, list[Any]] = {choice: [] for choice in CHOICES}
        for turn in range(rounds):
            for first in range(0, len(data.queries), BLOCK):
                for choice, collection in collections.items():
                    took, answers = ask(collection, data.queries[first : first + BLOCK])
                    best[choice] = min(best[choice], took)
                    if turn == 0:
                        found[choice] += answers
        return {
            choice.name: {
                "index_bytes": collection.stats().disk_bytes.get("graph", 0) / n,
                "vector_bytes": collection.stats().disk_bytes["vectors"] / n,
                "recall_at_10": recall([answer.ids for answer in found[choice]], truth),
                "rows_read": float(np.mean([step.rows_read for answer in found[choice] for step in answer.plan.segments[:-1]])),
                "query_us": best[choice],
            }
            for choice, collection in collections.items()
        }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=20_000, help="records")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    data = load_dataset(options.n, options.queries)
    found = measure(data, options.rounds)
    print("| index | index, bytes a row | vectors | recall@10 | vectors read | µs a query |\n|---|---|---|---|---|---|")
    for name, row in found.items():
        print(
            f"| {name} | {row['index_bytes']:.0f} | {row['vector_bytes']:.0f} | {row['recall_at_10']:.4f} | {row['rows_read']:.1f} "
            f"| {row['query_us']:.0f} |"
        )
    exact = [name for name in found if name.startswith("flat") and "no raw" not in name]
    figures = [
        report.Figure(f"recall@10 of {name}", ">= 0.995", f"{found[name]['recall_at_10']:.4f}", found[name]["recall_at_10"] >= 0.995)
        for name in exact
    ]
    report.write("codes", figures, data=data.describe(K) | {"threads": 1, "rounds": options.rounds}, cases=found)


if __name__ == "__main__":
    main()
