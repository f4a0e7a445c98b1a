"""The data the benchmarks run on, and the truth their answers are compared with."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.report import ROOT

DATA = ROOT.parent / "shared" / "data"
Rows = npt.NDArray[np.float32]


class Dataset(NamedTuple):
    """Rows to store and queries that are not among them, both of unit length."""

    name: str
    base: Rows
    queries: Rows

    def describe(self, k: int) -> dict[str, Any]:
        """The facts about the data that a report states."""
        n, dim = self.base.shape
        return {"set": self.name, "n": n, "dim": dim, "dtype": "float32", "metric": "cosine", "queries": len(self.queries), "k": k}


def load_dataset(n: int = 100_000, n_queries: int = 500, folder: Path = DATA) -> Dataset:
    """The first rows of vectors-debian (real text embeddings), or synthetic ones where that set is absent or too small."""
    source = folder / "vectors-debian"
    if source.is_dir():
        base = np.load(source / "base.f16.npy", mmap_mode="r")
        if n <= len(base):
            queries = np.load(source / "query.f16.npy")[:n_queries]
            return Dataset("vectors-debian (real)", base[:n].astype(np.float32), queries.astype(np.float32))
    rows = np.concatenate(list(synthetic_batches(n + n_queries)))
    return Dataset("synthetic (clustered, seed 1)", rows[:n], rows[n:])


def synthetic_batches(n: int, dim: int = 384, *, batch: int = 10_000, seed: int = 1) -> Iterator[Rows]:
    """Rows that look like embeddings to an index: clusters of clusters with a spectrum that falls off, about 24 dimensions wide locally.

    Drawn a batch at a time, so that a million rows need little memory; seed and batch decide the rows.
    """
    random = np.random.default_rng(seed)
    scale = np.arange(1, dim + 1, dtype=np.float32) ** -0.5
    topics = random.standard_normal((64, dim), dtype=np.float32) * scale
    details = random.standard_normal((1024, dim), dtype=np.float32) * scale * 0.7
    directions = random.standard_normal((24, dim), dtype=np.float32) * scale
    made = 0
    while made < n:
        count = min(batch, n - made)
        topic = random.integers(0, len(topics), count)
        detail = random.integers(0, len(details), count)
        rows = random.standard_normal((count, 24), dtype=np.float32) @ directions * 0.25
        rows += topics[topic] + details[(topic * 16 + detail % 16) % len(details)]
        rows += random.standard_normal((count, dim), dtype=np.float32) * scale * 0.15
        yield rows / np.linalg.norm(rows, axis=1, keepdims=True)
        made += count


def exact_neighbors(base: Rows, queries: Rows, k: int, allowed: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.int64]:
    """Rows nearest to each query by inner product, by plain matrix multiplication: it shares no code with the engine.

    allowed: which rows count. Fewer than k columns when fewer rows count.
    """
    rows = np.arange(len(base)) if allowed is None else np.flatnonzero(allowed)
    scores = queries @ base.T if allowed is None else queries @ base[rows].T
    k = min(k, len(rows))
    if k == 0:
        return np.zeros((len(queries), 0), np.int64)
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
    return rows[np.take_along_axis(best, order, 1)].astype(np.int64)


def recall(found: Any, truth: npt.NDArray[np.int64]) -> float:
    """Share of the true neighbors that were found, over all queries. found: one sequence of row numbers a query."""
    hits = sum(len({int(row) for row in mine} & set(true)) for mine, true in zip(found, truth.tolist(), strict=True))
    return hits / truth.size if truth.size else 1.0


# ---- text collections with judgments


class Judged(NamedTuple):
    """A text collection with relevance judgments: ids, texts of documents (title + space + text), queries, grades above zero."""

    name: str
    ids: list[str]
    texts: list[str]
    queries: dict[str, str]
    grades: dict[str, dict[str, int]]


def load_judged(name: str, folder: Path = DATA) -> Judged:
    """A collection of BEIR's form. Queries without a positive judgment are left out."""
    source = folder / name
    ids, texts = [], []
    with gzip.open(source / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            document = json.loads(line)
            ids.append(document["_id"])
            texts.append(f"{document.get('title', '')} {document.get('text', '')}")
    grades: dict[str, dict[str, int]] = {}
    with (source / "qrels.tsv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if (grade := int(row["score"])) > 0:
                grades.setdefault(row["query-id"], {})[row["corpus-id"]] = grade
    queries = {}
    with (source / "queries.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            query = json.loads(line)
            if query["_id"] in grades:
                queries[query["_id"]] = query["text"]
    return Judged(name, ids, texts, queries, grades)


def ndcg(ranking: list[str], grades: dict[str, int], k: int = 10) -> float:
    """Normalized discounted cumulative gain with trec_eval's linear gain: grade / log2(rank + 1)."""
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    gains = np.array([grades.get(found, 0) for found in ranking[:k]], float)
    ideal = np.array(sorted(grades.values(), reverse=True)[:k], float)
    return float((gains * discounts[: len(gains)]).sum() / (ideal * discounts[: len(ideal)]).sum())
