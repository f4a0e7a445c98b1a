"""Random queries of parts over random collections with deletes and merges, against an evaluator that shares no code with the product.

The evaluator knows records by id and works with plain Python numbers. Where scores tie the product orders by place, which the evaluator
does not know: so what is compared is the score of every record, and that hits come by falling score.
"""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vicino
from vicino import F
from vicino.collection.value_specs import SparseSpec, TextSpec
from vicino.text.analyzer import Analyzer

TEXT = TextSpec(analyzer=Analyzer(language=None))
METHODS = ["rrf", "dbsf", "weighted"]
DIM, WORDS = 4, ["ant", "bee", "cat", "dog", "elk", "fox"]
Scores = dict[int, float]

seeds = st.integers(0, 2**32 - 1)
conditions = st.sampled_from([("n", ">", 20), ("n", "<=", 40), ("even", "==", True)])
words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)

leaves = st.one_of(
    st.tuples(st.just("dense"), seeds),
    st.tuples(st.just("text"), words),
    st.tuples(st.just("sparse"), seeds),
    st.tuples(st.just("like"), st.integers(0, 5), st.integers(6, 11), st.sampled_from(["best", "sum"])),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.just("fuse"), st.lists(inner, min_size=1, max_size=3), st.sampled_from(METHODS), st.integers(1, 60)),
        st.tuples(st.just("where"), inner, conditions),
        st.tuples(st.just("first"), leaves, st.integers(1, 8)),
        st.tuples(st.just("rescore"), inner, leaves),
        st.tuples(st.just("boost"), inner),
        st.tuples(st.just("formula"), inner, inner),
    ),
    max_leaves=5,
)


def vector_of(seed: int) -> list[float]:
    return np.random.default_rng(seed).normal(size=DIM).astype(np.float32).tolist()


def sparse_of(seed: int) -> dict[int, float]:
    rng = np.random.default_rng(seed)
    return {int(index): float(np.float32(rng.uniform(0.1, 2))) for index in rng.choice(8, size=3, replace=False)}


def record_of(number: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng((seed, number))
    return {
        "id": number,
        "vector": rng.normal(size=DIM).astype(np.float32).tolist(),
        "bag": sparse_of(int(rng.integers(2**32))),
        "n": number,
        "even": number % 2 == 0,
        "text": " ".join(rng.choice(WORDS, size=rng.integers(1, 9))),
    }


# ---- the product's form of a tree


def part_of(tree: Any) -> Any:
    match tree:
        case ("dense", seed):
            return vicino.Dense(vector_of(seed), vector="vector")
        case ("text", text):
            return vicino.Text(text)
        case ("sparse", seed):
            return vicino.Sparse(sparse_of(seed))
        case ("like", like, unlike, strategy):
            return vicino.Like([like], unlike=[unlike], strategy=strategy, vector="vector")
        case ("fuse", inner, method, k):
            return vicino.Fuse([part_of(each) for each in inner], method=method, k=k)
        case ("where", inner, (field, operator, value)):
            return vicino.Prefetch(part_of(inner), where=f"{field} {operator} {value}")
        case ("first", inner, limit):
            return vicino.Prefetch(part_of(inner), limit=limit)
        case ("rescore", inner, by):
            return vicino.Rescore(part_of(inner), by=part_of(by))
        case ("boost", inner):
            return vicino.Boost(part_of(inner), by=1 + vicino.Value(F.n) / 10 + vicino.If(F.even == True))  # noqa: E712
        case ("formula", first, second):
            return vicino.Formula([part_of(first), part_of(second)], by=vicino.Score(0) - 0.5 * vicino.Score(1, default=2))
    raise AssertionError(tree)


# ---- the evaluator


def holds(record: dict[str, Any], condition: tuple[str, str, Any]) -> bool:
    field, operator, value = condition
    return {">": record[field] > value, "<=": record[field] <= value, "==": record[field] == value}[operator]


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def soft(x: float) -> float:
    return (x / (1 + abs(x)) + 1) / 2


def bm25(query: str, records: dict[int, Any], allowed: set[int]) -> Scores:
    counts = {number: Counter(re.findall(r"\w+", record["text"])) for number, record in records.items()}
    average = sum(sum(count.values()) for count in counts.values()) / len(counts)
    found: Scores = {}
    for word in query.split():
        df = sum(word in count for count in counts.values())
        idf = math.log(1 + (len(counts) - df + 0.5) / (df + 0.5))
        for number in allowed:
            tf, length = counts[number][word], sum(counts[number].values())
            if tf:
                found[number] = found.get(number, 0.0) + idf * tf / (tf + 1.2 * (1 - 0.75 + 0.75 * length / average))
    return found


def ranked(scores: Scores) -> list[int]:
    return sorted(scores, key=lambda number: -scores[number])


def evaluate(tree: Any, records: dict[int, Any], allowed: set[int]) -> Scores:
    match tree:
        case ("dense", seed):
            return {number: cosine(vector_of(seed), records[number]["vector"]) for number in allowed}
        case ("text", text):
            return bm25(text, records, allowed)
        case ("sparse", seed):
            query = sparse_of(seed)
            shared = {number: query.keys() & records[number]["bag"].keys() for number in allowed}
            return {number: sum(query[i] * records[number]["bag"][i] for i in indices) for number, indices in shared.items() if indices}
        case ("like", like, unlike, strategy):
            found = {}
            for number in allowed - {like, unlike}:
                positive = cosine(records[like]["vector"], records[number]["vector"])
                negative = cosine(records[unlike]["vector"], records[number]["vector"])
                best = soft(positive) if positive > negative else -soft(negative)
                found[number] = best if strategy == "best" else positive - negative
            return found
        case ("fuse", inner, method, k):
            sides = [evaluate(each, records, allowed) for each in inner]
            return weighted(sides, inner, records) if method == "weighted" else fuse(sides, method, k)
        case ("where", inner, condition):
            return evaluate(inner, records, {number for number in allowed if holds(records[number], condition)})
        case ("first", inner, limit):
            scores = evaluate(inner, records, allowed)
            return {number: scores[number] for number in ranked(scores)[:limit]}
        case ("rescore", inner, by):
            return evaluate(by, records, set(evaluate(inner, records, allowed)))
        case ("boost", inner):
            scores = evaluate(inner, records, allowed)
            return {number: score * (1 + number / 10 + (number % 2 == 0)) for number, score in scores.items()}
        case ("formula", first, second):
            a, b = evaluate(first, records, allowed), evaluate(second, records, allowed)
            return {number: a.get(number, 0.0) - 0.5 * b.get(number, 2.0) for number in a.keys() | b.keys()}
    raise AssertionError(tree)


def fuse(sides: list[Scores], method: str, k: int) -> Scores:
    total: Scores = {}
    for scores in sides:
        if method == "rrf":
            shares = {number: 1 / (k + rank) for rank, number in enumerate(ranked(scores), start=1)}
        else:
            values = list(scores.values())
            deviation = statistics.stdev(values) if len(values) > 1 else 0.0
            low = statistics.fmean(values) - 3 * deviation if values else 0.0
            shares = {number: (score - low) / (6 * deviation) if deviation else 0.5 for number, score in scores.items()}
        for number, share in shares.items():
            total[number] = total.get(number, 0.0) + share
    return total


def weighted(sides: list[Scores], trees: list[Any], records: dict[int, Any]) -> Scores:
    total: Scores = {}
    for scores, tree in zip(sides, trees, strict=True):
        if scores:
            for number, share in scaled(scores, tree, records).items():
                total[number] = total.get(number, 0.0) + share
    return total


def scaled(scores: Scores, tree: Any, records: dict[int, Any]) -> Scores:
    while tree[0] in ("where", "first"):
        tree = tree[1]
    low, high = min(scores.values()), max(scores.values())
    if tree[0] == "text":
        order = sorted(scores.values(), reverse=True)
        lead = 1 - 0.95 * (order[14] if len(order) > 14 else 0) / high
        return {number: score * lead**1.25 / 3 for number, score in scores.items()}
    if tree[0] == "dense" and len(records) > 1:
        spread = statistics.pstdev(cosine(a["vector"], b["vector"]) for a, b in combinations(records.values(), 2))
        if spread > 0:
            return {number: (score - low) * 0.3 / math.sqrt(spread * 0.115) for number, score in scores.items()}
    return {number: 1.0 if high == low else (score - low) / (high - low) for number, score in scores.items()}


def has_close_ties(tree: Any, records: dict[int, Any], allowed: set[int]) -> bool:
    """Whether somewhere an order matters that scores alone do not give: under ranks, limits and deviations near zero."""
    match tree:
        case ("fuse", inner, _, _):
            return any(_ties(evaluate(each, records, allowed)) or has_close_ties(each, records, allowed) for each in inner)
        case ("where", inner, condition):
            return has_close_ties(inner, records, {number for number in allowed if holds(records[number], condition)})
        case ("first", inner, _):
            return _ties(evaluate(inner, records, allowed))
        case ("boost", inner) | ("rescore", inner, _):
            return has_close_ties(inner, records, allowed)
        case ("formula", first, second):
            return has_close_ties(first, records, allowed) or has_close_ties(second, records, allowed)
    return False


def _ties(scores: Scores) -> bool:
    values = sorted(scores.values())
    return any(b - a < 1e-5 for a, b in pairwise(values))


# ---- the test


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(
    tree=trees,
    data=seeds,
    n=st.integers(15, 60),
    deleted=st.sets(st.integers(12, 59), max_size=20),
    rewritten=st.sets(st.integers(12, 59), max_size=10),
    merges=st.booleans(),
    condition=st.none() | conditions,
)
def test_query_scores_every_record_as_the_evaluator_does(
    tree: Any, data: int, n: int, deleted: set[int], rewritten: set[int], merges: bool, condition: Any
) -> None:
    records = {number: record_of(number, data) for number in range(n)}
    with vicino.open() as db:
        docs = db.create_collection("docs", vectors={"vector": vicino.VectorSpec(DIM), "bag": SparseSpec()}, text={"text": TEXT})
        docs.upsert(list(records.values())[: n // 2])
        if merges:
            docs.optimize()
        docs.upsert(list(records.values())[n // 2 :])
        for number in sorted(rewritten & records.keys()):
            records[number] = record_of(number, data + 1)
            docs.upsert([records[number]])
        docs.delete(sorted(deleted & records.keys()))
        records = {number: record for number, record in records.items() if number not in deleted}
        if merges:
            docs.optimize()
        allowed = {number for number, record in records.items() if condition is None or holds(record, condition)}
        if has_close_ties(tree, records, allowed):
            return
        expected = evaluate(tree, records, allowed)
        where = None if condition is None else f"{condition[0]} {condition[1]} {condition[2]}"
        hits = docs.search(part_of(tree), where=where, limit=100, exact=True)
        assert {hit.id: hit.score for hit in hits} == pytest.approx(expected, rel=1e-4, abs=1e-5)
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        pages = [record for page in docs.search_pages(part_of(tree), page=7, where=where, exact=True) for record in page.ids]
        assert pages == hits.ids
