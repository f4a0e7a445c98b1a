"""Random queries of parts over random collections with deletes and merges, against an evaluator that shares no code with the product.

The evaluator knows records by id and works with plain Python numbers. Where scores tie the product orders by place, which the evaluator
does not know: so what is compared is the score of every record, and that hits come by falling score.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import statistics
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vicino
from vicino import F
from vicino.collection.value_specs import MultiSpec, SparseSpec, TextSpec
from vicino.text.analyzer import Analyzer
from vicino.types import GeoPoint

TEXT = TextSpec(analyzer=Analyzer(language=None))
METHODS = ["rrf", "dbsf", "weighted"]
DIM, WORDS = 4, ["ant", "bee", "cat", "dog", "elk", "fox"]
EPOCH = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
TARGETS: dict[str, Any] = {"n": 20, "date": EPOCH + dt.timedelta(hours=300), "place": GeoPoint(45.0, 2.0)}
SCALES: dict[str, Any] = {"n": 1, "date": dt.timedelta(hours=1), "place": 10_000}
Scores = dict[int, float]

seeds = st.integers(0, 2**32 - 1)
conditions = st.sampled_from([("n", ">", 20), ("n", "<=", 40), ("even", "==", True)])
words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)

leaves = st.one_of(
    st.tuples(st.just("dense"), seeds),
    st.tuples(st.just("text"), words),
    st.tuples(st.just("sparse"), seeds),
    st.tuples(st.just("multi"), seeds),
    st.tuples(st.just("order")),
    st.tuples(st.just("like"), st.integers(0, 5), st.integers(6, 11), st.sampled_from(["average", "best", "sum"])),
    st.tuples(st.just("discover"), st.integers(0, 3), st.integers(4, 7), st.integers(8, 11)),
    st.tuples(st.just("context"), st.integers(0, 5), st.integers(6, 11)),
    st.tuples(st.just("feedback"), seeds, st.lists(st.floats(0, 1), min_size=3, max_size=3), st.sampled_from([0.5, 1.0, 2.0])),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.just("fuse"), st.lists(inner, min_size=1, max_size=3), st.sampled_from(METHODS), st.integers(1, 60)),
        st.tuples(st.just("where"), inner, conditions),
        st.tuples(st.just("first"), leaves, st.integers(1, 8)),
        st.tuples(st.just("rescore"), inner, leaves),
        st.tuples(st.just("boost"), inner),
        st.tuples(
            st.just("decay"),
            inner,
            st.sampled_from(["n", "date", "place"]),
            st.sampled_from(["exp", "gauss", "linear"]),
            st.integers(5, 40),
        ),
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
        "tokens": rng.normal(size=(int(rng.integers(1, 4)), DIM)).astype(np.float32).tolist(),
        "date": EPOCH + dt.timedelta(hours=int(rng.integers(1000))),
        "place": GeoPoint(float(rng.uniform(40, 50)), float(rng.uniform(-10, 10))),
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
        case ("multi", seed):
            return vicino.MultiVector([vector_of(seed), vector_of(seed + 1)])
        case ("order",):
            return vicino.OrderBy("-n")
        case ("like", like, unlike, strategy):
            return vicino.Like([like], unlike=[unlike], strategy=strategy, vector="vector")
        case ("discover", target, positive, negative):
            return vicino.Discover(target, [(positive, negative), (vector_of(1), negative)], vector="vector")
        case ("context", positive, negative):
            return vicino.Context([(positive, negative), (vector_of(1), vector_of(2))], vector="vector")
        case ("feedback", seed, judged, power):
            return vicino.Feedback(vector_of(seed), list(enumerate(judged)), a=0.5, b=power, c=2.0, vector="vector")
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
        case ("decay", inner, field, shape, scale):
            return vicino.Boost(part_of(inner), by=vicino.Decay(field, target=TARGETS[field], scale=SCALES[field] * scale, shape=shape))
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
        case ("multi", seed):
            query = [vector_of(seed), vector_of(seed + 1)]
            return {number: sum(max(cosine(q, row) for row in records[number]["tokens"]) for q in query) for number in allowed}
        case ("order",):
            return {number: float(number) for number in allowed}
        case ("like", like, unlike, "average"):
            positive, negative = unit(records[like]["vector"]), unit(records[unlike]["vector"])
            query = [2 * p - n for p, n in zip(positive, negative)]
            return {number: cosine(query, records[number]["vector"]) for number in allowed - {like, unlike}}
        case ("discover", target, positive, negative):
            pairs = [(records[positive]["vector"], records[negative]["vector"]), (vector_of(1), records[negative]["vector"])]
            found = {}
            for number in allowed - {target, positive, negative}:
                own = records[number]["vector"]
                sides = sum(1 if cosine(p, own) > cosine(n, own) else -1 for p, n in pairs)
                found[number] = sides + soft(cosine(records[target]["vector"], own))
            return found
        case ("context", positive, negative):
            pairs = [(records[positive]["vector"], records[negative]["vector"]), (vector_of(1), vector_of(2))]
            found = {}
            for number in allowed - {positive, negative}:
                own = records[number]["vector"]
                losses = [min(cosine(p, own) - cosine(n, own) - 1.1920929e-7, 0.0) for p, n in pairs]
                found[number] = sum(loss / (1 + abs(loss)) for loss in losses)
            return found
        case ("feedback", seed, judged, power):
            found = {}
            for number in allowed - set(range(len(judged))):
                own = records[number]["vector"]
                near = [cosine(records[example]["vector"], own) for example in range(len(judged))]
                found[number] = 0.5 * cosine(vector_of(seed), own) + sum(
                    (judged[i] - judged[j]) ** power * 2.0 * (near[i] - near[j])
                    for i in range(len(judged))
                    for j in range(len(judged))
                    if judged[i] > judged[j]
                )
            return found
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
        case ("decay", inner, field, shape, scale):
            scores = evaluate(inner, records, allowed)
            return {number: score * decay(field, records[number][field], shape, scale) for number, score in scores.items()}
        case ("formula", first, second):
            a, b = evaluate(first, records, allowed), evaluate(second, records, allowed)
            return {number: a.get(number, 0.0) - 0.5 * b.get(number, 2.0) for number in a.keys() | b.keys()}
    raise AssertionError(tree)


def decay(field: str, value: Any, shape: str, scale: int) -> float:
    if field == "date":
        distance = abs((value - TARGETS[field]) / dt.timedelta(hours=1))
    elif field == "place":
        lat, lon, other_lat, other_lon = (math.radians(angle) for angle in (*value, *TARGETS[field]))
        chord = math.sin((lat - other_lat) / 2) ** 2 + math.cos(lat) * math.cos(other_lat) * math.sin((lon - other_lon) / 2) ** 2
        distance = 2 * 6_371_008.8 * math.asin(math.sqrt(chord)) / 10_000
    else:
        distance = abs(value - TARGETS[field])
    by = distance / scale
    return {"exp": 0.5**by, "gauss": 0.5 ** (by * by), "linear": max(0.0, 1 - by / 2)}[shape]


def unit(vector: list[float]) -> list[float]:
    length = math.sqrt(sum(x * x for x in vector))
    return [x / length for x in vector]


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
        lead = 1 - 0.93 * (order[14] if len(order) > 14 else 0) / high
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
        case ("boost", inner) | ("rescore", inner, _) | ("decay", inner, _, _, _):
            return has_close_ties(inner, records, allowed)
        case ("formula", first, second):
            return has_close_ties(first, records, allowed) or has_close_ties(second, records, allowed)
    return False


def _ties(scores: Scores) -> bool:
    values = sorted(scores.values())
    return any(b - a < 1e-5 for a, b in pairwise(values))


# ---- the tests


changes = {
    "data": seeds,
    "n": st.integers(15, 60),
    "deleted": st.sets(st.integers(12, 59), max_size=20),
    "rewritten": st.sets(st.integers(12, 59), max_size=10),
    "merges": st.booleans(),
    "condition": st.none() | conditions,
}
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]


@contextmanager
def filled(data: int, n: int, deleted: set[int], rewritten: set[int], merges: bool) -> Iterator[tuple[Any, dict[int, Any]]]:
    """A collection with a history, and the records that are left of it."""
    records = {number: record_of(number, data) for number in range(n)}
    vectors = {"vector": vicino.VectorSpec(DIM), "bag": SparseSpec(), "tokens": MultiSpec(DIM)}
    with vicino.open() as db:
        docs = db.create_collection("docs", vectors=vectors, text={"text": TEXT})
        docs.upsert(list(records.values())[: n // 2])
        if merges:
            docs.optimize()
        docs.upsert(list(records.values())[n // 2 :])
        for number in sorted(rewritten & records.keys()):
            records[number] = record_of(number, data + 1)
            docs.upsert([records[number]])
        docs.delete(sorted(deleted & records.keys()))
        if merges:
            docs.optimize()
        yield docs, {number: record for number, record in records.items() if number not in deleted}


def allowed_by(condition: Any, records: dict[int, Any]) -> tuple[set[int], str | None]:
    """The records that meet a condition, and the condition as it is written."""
    if condition is None:
        return set(records), None
    return {number for number, record in records.items() if holds(record, condition)}, " ".join(map(str, condition))


@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
@given(tree=trees, **changes)
def test_query_scores_every_record_as_the_evaluator_does(
    tree: Any, data: int, n: int, deleted: set[int], rewritten: set[int], merges: bool, condition: Any
) -> None:
    with filled(data, n, deleted, rewritten, merges) as (docs, records):
        allowed, where = allowed_by(condition, records)
        if has_close_ties(tree, records, allowed):
            return
        expected = evaluate(tree, records, allowed)
        hits = docs.search(part_of(tree), where=where, limit=100, exact=True)
        assert {hit.id: hit.score for hit in hits} == pytest.approx(expected, rel=1e-4, abs=1e-5)
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        pages = [record for page in docs.search_pages(part_of(tree), page=7, where=where, exact=True) for record in page.ids]
        assert pages == hits.ids


@settings(max_examples=30, deadline=None, suppress_health_check=SLOW)
@given(tree=trees, size=st.integers(1, 4), limit=st.integers(1, 4), **changes)
def test_groups_are_the_best_of_each_value(
    tree: Any, size: int, limit: int, data: int, n: int, deleted: set[int], rewritten: set[int], merges: bool, condition: Any
) -> None:
    with filled(data, n, deleted, rewritten, merges) as (docs, records):
        _, where = allowed_by(condition, records)
        groups = docs.search(part_of(tree), where=where, group_by="even", group_size=size, limit=limit, exact=True)
        expected: dict[bool, list[int]] = {}
        for number in docs.search(part_of(tree), where=where, limit=100, exact=True).ids:
            expected.setdefault(records[number]["even"], []).append(number)
        assert [(group.key, group.hits.ids) for group in groups] == [(key, best[:size]) for key, best in list(expected.items())[:limit]]


@settings(max_examples=30, deadline=None, suppress_health_check=SLOW)
@given(seed=seeds, relevance=st.floats(0.05, 0.95), **changes)
def test_diversity_takes_the_largest_marginal_relevance_in_each_step(
    seed: int, relevance: float, data: int, n: int, deleted: set[int], rewritten: set[int], merges: bool, condition: Any
) -> None:
    with filled(data, n, deleted, rewritten, merges) as (docs, records):
        allowed, where = allowed_by(condition, records)
        found = docs.search(vicino.Diverse(part_of(("dense", seed)), relevance=relevance), where=where, limit=100, exact=True).ids
        assert sorted(found) == sorted(allowed)
        scores, taken, left = evaluate(("dense", seed), records, allowed), list[int](), set(allowed)
        for number in found:
            gains = {
                other: relevance * scores[other]
                - (1 - relevance) * max((cosine(records[other]["vector"], records[one]["vector"]) for one in taken), default=0.0)
                for other in left
            }
            assert gains[number] == pytest.approx(max(gains.values()), abs=1e-5)
            taken.append(number)
            left.remove(number)


@settings(max_examples=30, deadline=None, suppress_health_check=SLOW)
@given(**changes)
def test_figures_are_those_of_the_records_that_are_left(
    data: int, n: int, deleted: set[int], rewritten: set[int], merges: bool, condition: Any
) -> None:
    with filled(data, n, deleted, rewritten, merges) as (docs, records):
        allowed, where = allowed_by(condition, records)
        found = docs.aggregate("n", where=where)
        assert (found.count, found.distinct) == (len(allowed), len(allowed))
        assert (found.sum, found.min, found.max) == ((sum(allowed), min(allowed), max(allowed)) if allowed else (None, None, None))
        assert found.average == (pytest.approx(statistics.fmean(allowed)) if allowed else None)
        assert docs.facet("even", where=where) == dict(Counter(records[number]["even"] for number in allowed))
        assert sorted(docs.search(vicino.Sample(seed=data), where=where, limit=100).ids) == sorted(allowed)


@settings(max_examples=30, deadline=None, suppress_health_check=SLOW)
@given(**changes)
def test_distances_are_those_between_the_records(
    data: int, n: int, deleted: set[int], rewritten: set[int], merges: bool, condition: Any
) -> None:
    with filled(data, n, deleted, rewritten, merges) as (docs, records):
        allowed, where = allowed_by(condition, records)
        found = docs.distance_matrix(sample=100, limit=3, vector="vector", where=where)
        assert sorted(found.ids) == sorted(allowed)
        for row, number in enumerate(found.ids):
            others = sorted(1 - cosine(records[number]["vector"], records[other]["vector"]) for other in allowed - {number})
            near = [float(distance) for distance in found.distances[row] if np.isfinite(distance)]
            assert near == pytest.approx(others[:3], abs=1e-5)
