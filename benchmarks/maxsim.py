"""How fast is MaxSim over multi-vectors, beside an exact one in numpy and its BLAS?

Answers: seconds a query on one thread over rows of tokens of norm 1, both sides with the same arrays in memory, in turns; the share of
numpy's top 10 that is found; memory and build time of the int8 index. Two sets: tokens without any structure, the hardest for the bounds
that make the exact search exact, and tokens around topics, as those of passages lie, where probing is measured as well, which collections
use only from 16 million tokens a segment on; it has no stated figure.
Does not answer: whether late interaction is relevant, or what a collection adds: this is the core alone.

numpy is given its best: float32 products of blocks that stay in the cache, the maximum and the sum over the block at once, in the faster of
two layouts.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy reads it

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import report
from vicino import _core

DIM = 128
K = 10
BLOCK_ROWS = 64
SPEEDUP = 3.0
RECALL = 0.99


def units(matrix: np.ndarray) -> np.ndarray:
    """In place, so that the largest array is there once."""
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix


def unstructured(n: int, tokens: int, queries: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return (
        units(rng.standard_normal((n * tokens, DIM), dtype=np.float32)),
        units(rng.standard_normal((queries * 32, DIM), dtype=np.float32)).reshape(queries, 32, DIM),
    )


def around_topics(n: int, tokens: int, queries: int) -> tuple[np.ndarray, np.ndarray]:
    """Each row takes its tokens from 8 of 20,000 word senses, Zipf over them; a query is a row's tokens, moved."""
    rng = np.random.default_rng(2)
    senses = units(rng.standard_normal((20_000, DIM), dtype=np.float32))
    often = 1 / np.arange(10, 20_010)
    of_rows = rng.choice(20_000, size=(n, 8), p=often / often.sum())
    base = 0.07 * rng.standard_normal((n * tokens, DIM), dtype=np.float32)
    base += senses[np.take_along_axis(of_rows, rng.integers(0, 8, (n, tokens)), axis=1).ravel()]
    base = units(base)
    chosen = base.reshape(n, tokens, DIM)[rng.choice(n, queries, replace=False)][:, rng.integers(0, tokens, 32)]
    moved = chosen + 0.05 * rng.standard_normal(chosen.shape, dtype=np.float32)
    return base, units(moved.reshape(-1, DIM)).reshape(queries, 32, DIM)


def rows_first(base: np.ndarray, query: np.ndarray, tokens: int) -> np.ndarray:
    scores = np.empty(len(base) // tokens, np.float32)
    for row in range(0, len(scores), BLOCK_ROWS):
        block = base[row * tokens : (row + BLOCK_ROWS) * tokens] @ query.T
        scores[row : row + BLOCK_ROWS] = block.reshape(-1, tokens, len(query)).max(axis=1).sum(axis=1)
    return scores


def queries_first(base: np.ndarray, query: np.ndarray, tokens: int) -> np.ndarray:
    scores = np.empty(len(base) // tokens, np.float32)
    for row in range(0, len(scores), BLOCK_ROWS):
        block = query @ base[row * tokens : (row + BLOCK_ROWS) * tokens].T
        scores[row : row + BLOCK_ROWS] = block.reshape(len(query), -1, tokens).max(axis=2).sum(axis=0)
    return scores


def top(scores: np.ndarray) -> list[int]:
    best = np.argpartition(-scores, K)[:K]
    return best[np.argsort(-scores[best], kind="stable")].tolist()


def measure(base: np.ndarray, queries: np.ndarray, tokens: int, *, lists: bool) -> dict[str, Any]:
    """Every query by every side in turn."""
    starts = np.arange(len(base) // tokens + 1, dtype=np.int64) * tokens
    index = b""

    def build() -> None:
        nonlocal index
        index = _core.build_multi_index(base, starts, "cosine", 1 if lists else 2**62)

    found: dict[str, Any] = {"index_build_s": round(report.timed(build), 2)}
    found |= {"raw_bytes": base.nbytes, "index_bytes": len(index)}

    def search(query: np.ndarray, exact: bool) -> tuple[list[int], dict[str, int]]:
        rows, _, _, stats = _core.search_multi([(base, starts, index, None)], query, K, "cosine", exact=exact)
        return rows[:, 1].tolist(), stats

    layout = min((rows_first, queries_first), key=lambda side: min(report.timed(lambda: side(base, queries[0], tokens)) for _ in range(2)))
    modes = {"exact": True} | ({"probed": False} if lists else {})
    seconds: dict[str, list[float]] = {name: [] for name in ("numpy", *modes)}
    answers: dict[str, list[Any]] = {name: [] for name in seconds}

    def run(name: str, call: Callable[[], Any]) -> None:
        seconds[name].append(report.timed(lambda: answers[name].append(call())))

    for query in queries:
        run("numpy", lambda query=query: top(layout(base, query, tokens)))
        for name, exact in modes.items():
            run(name, lambda query=query, exact=exact: search(query, exact))
    found["numpy"] = {"seconds": report.spread(seconds["numpy"]), "layout": layout.__name__}
    found["numpy"]["results_checksum"] = report.checksum(answers["numpy"])
    for name in modes:
        rows = [answer[0] for answer in answers[name]]
        shared = [len(set(mine) & set(true)) / len(true) for mine, true in zip(rows, answers["numpy"], strict=True)]
        found[name] = {
            "seconds": report.spread(seconds[name]),
            "recall": round(float(np.mean(shared)), 4),
            "speedup": round(float(np.median(seconds["numpy"]) / np.median(seconds[name])), 2),
            "rows_scored": report.spread(answer[1]["rows_scored"] for answer in answers[name]),
            "rows_rescored": report.spread(answer[1]["rows_rescored"] for answer in answers[name]),
            "results_checksum": report.checksum(rows),
        }
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=100_000, help="rows")
    parser.add_argument("--tokens", type=int, default=32, help="tokens a row")
    parser.add_argument("--queries", type=int, default=20)
    options = parser.parse_args(arguments)
    cases = {
        name: measure(*make(options.n, options.tokens, options.queries), options.tokens, lists=name == "around topics")
        for name, make in {"unstructured": unstructured, "around topics": around_topics}.items()
    }
    figures = []
    for name, found in cases.items():
        exact, probed = found["exact"], found.get("probed")
        figures.append(report.Figure.at_least(f"MaxSim exact, {name}: numpy's time over ours", exact["speedup"], SPEEDUP, "x"))
        figures.append(report.Figure.at_least(f"MaxSim exact, {name}: share of numpy's top {K}", exact["recall"], RECALL))
        if probed:
            got = f"{probed['speedup']:.3g} x, {probed['recall']:.3g}"
            figures.append(report.Figure(f"MaxSim probed, {name}: numpy's time over ours, share of its top {K}", "", got))
    figures.append(report.Figure("index bytes a token", "", f"{cases['unstructured']['index_bytes'] / (options.n * options.tokens):.4g}"))
    data = {"set": "made from a seed", "n": options.n, "tokens": options.tokens, "dim": DIM, "dtype": "float32", "metric": "cosine"}
    report.write("maxsim", figures, data=data | {"queries": options.queries, "query_tokens": 32, "k": K, "threads": 1}, cases=cases)


if __name__ == "__main__":
    main()
