"""A text answered by the only text index: one call of the core finds what the same query as a part finds, and tells as much about it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

import vicino
from tests.property.lexical import PLAIN
from vicino import F, Text, TextSpec
from vicino.collection.limits import Limits
from vicino.errors import ClosedError, InvalidArgument, TimeoutError

SMALL = Limits(head_rows_max=40, merge_fan_in=4, close_log_bytes_max=0)
WORDS = ["red", "fox", "whale", "earth", "dog", "wolf", "hunt", "sing"]


def filled(database: vicino.Database) -> vicino.Collection:
    """Records in several segments and a head; some deleted, some changed, some without a text."""
    chance = random.Random(1)
    collection = database.create_collection("texts", vectors={}, text={"body": TextSpec(analyzer=PLAIN)})
    for first in range(0, 120, 10):
        collection.upsert(
            [{"id": i, "body": " ".join(chance.choices(WORDS, k=chance.randrange(1, 12))), "n": i % 5} for i in range(first, first + 10)]
        )
    collection.upsert({"id": "none", "n": 1})
    collection.delete([3, 50])
    collection.upsert({"id": 7, "body": "red red fox", "n": 2})
    return collection


@pytest.fixture
def collection():
    with vicino.open(limits=SMALL) as database:
        yield filled(database)


def both(collection, words, **options):
    return collection.search(words, **options), collection.search(Text(words), **options)


def facts(results):
    return [(hit.id, hit.score, hit.distance, hit.version, hit.scores, hit.fields, hit.highlights, hit.matched) for hit in results]


@pytest.mark.parametrize("words", ["red", "red fox", "whale whale sing", "nobody has this", "", "RED, fox!"])
@pytest.mark.parametrize("options", [{}, {"limit": 3, "offset": 4}, {"where": F.n == 2}, {"where": F.n == 9}, {"select": "n"}], ids=str)
def test_hits_are_those_of_the_same_query_as_a_part(collection, words, options):
    alone, part = both(collection, words, **options)
    assert facts(alone) == facts(part)


@pytest.mark.parametrize("words", ["red fox", "nobody has this"])
@pytest.mark.parametrize("where", [None, F.n == 2])
def test_the_plan_is_that_of_the_same_query_as_a_part(collection, words, where):
    def timeless(plan):
        stage = replace(plan.stages[0], took_s=0.0)
        step = None if plan.filter is None else replace(plan.filter, took_s=0.0)
        return replace(plan, took_s=0.0, stages=(stage,), filter=step)

    alone, part = both(collection, words, where=where)
    assert timeless(alone.plan).to_dict() == timeless(part.plan).to_dict()


def test_a_hit_looked_at_by_itself_is_that_of_all(collection):
    results = collection.search("red fox")
    assert facts([results[2]]) == facts(collection.search("red fox"))[2:3]


def test_a_slice_keeps_scores_and_highlights(collection):
    assert facts(collection.search("red fox")[2:5]) == facts(collection.search("red fox"))[2:5]


def test_hits_are_of_the_moment_of_the_search(collection):
    results, before = collection.search("wolf"), facts(collection.search("wolf"))
    collection.delete([hit.id for hit in collection.search("wolf", limit=100)])
    assert facts(results) == before


def test_nobody_finds_what_was_not_written(collection):
    collection.delete(list(range(120)))
    assert len(collection.search("red")) == 0


def test_under_a_memory_limit_the_hits_are_the_same(collection):
    with vicino.open(limits=SMALL, memory_limit="64MB") as database:
        limited = filled(database)
        assert limited.search("red fox").ids == collection.search("red fox").ids


def test_a_least_score_is_respected(collection):
    hits = collection.search("red fox", limit=100)
    least = hits[3].score
    assert collection.search("red fox", min_score=least, limit=100).ids == [hit.id for hit in hits if hit.score >= least]


def test_a_search_out_of_time_says_so(collection):
    with pytest.raises(TimeoutError):
        collection.search("red fox", timeout=0.0)


def test_what_is_no_character_is_refused(collection):
    with pytest.raises(InvalidArgument, match="lone surrogate"):
        collection.search("red \ud800")


def test_a_closed_database_is_not_searched():
    database = vicino.open(limits=SMALL)
    collection = filled(database)
    database.close()
    with pytest.raises(ClosedError):
        collection.search("red")
