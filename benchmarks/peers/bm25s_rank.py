"""Ranks documents by bm25s, in a process of its own with the interpreter that has it. Started by `benchmarks.relevance_text`.

    python bm25s_rank.py terms.json > rankings.json

terms.json: {"documents": [[term, …], …], "queries": [[term, …], …], "k": 10, "k1": 1.2, "b": 0.75}. Gives for each query the k best
documents by number, equal scores in the order of the documents, those that hold no query term left out.
"""

from __future__ import annotations

import json
import sys

import bm25s
import numpy as np


def rank(documents: list[list[str]], queries: list[list[str]], k: int, k1: float, b: float) -> list[list[int]]:
    index = bm25s.BM25(method="lucene", k1=k1, b=b)
    index.index(documents, show_progress=False)
    rankings = []
    for terms in queries:
        known = [term for term in terms if term in index.vocab_dict]
        scores = index.get_scores(known) if known else np.zeros(len(documents), np.float32)
        best = np.lexsort((np.arange(len(scores)), -scores))[:k]
        rankings.append([int(document) for document in best if scores[document] > 0])
    return rankings


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as task:
        given = json.load(task)
    rankings = rank(given["documents"], given["queries"], given["k"], given["k1"], given["b"])
    json.dump({"version": bm25s.__version__, "rankings": rankings}, sys.stdout)


if __name__ == "__main__":
    main()
