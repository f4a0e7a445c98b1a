"""What reads return: records, counts, facets, order, searches."""

import datetime as dt

import numpy as np
import pytest

import vicino
from vicino import F
from vicino.errors import DimensionError, FilterError, InvalidArgument, TimeoutError

from .conftest import records


def test_get_keeps_the_order_and_marks_the_missing(docs):
    docs.upsert(records(1, 2))
    assert [view and view.id for view in docs.get([2, 9, 1])] == [2, None, 1]


def test_select_limits_the_fields(docs):
    docs.upsert({"id": 1, "a": 1, "b": 2})
    assert docs.get(1, select=["b"]).fields == {"b": 2}


def test_iteration_sees_one_snapshot(docs):
    docs.upsert(records(*range(5)))
    seen = []
    for view in docs.iter(batch=1):
        seen.append(view.id)
        docs.upsert(records(view.id + 100))
    assert sorted(seen) == list(range(5))


def test_iteration_in_order_of_a_field(docs):
    docs.upsert([{"id": 1, "n": 3}, {"id": 2, "n": 1.5}, {"id": 3}, {"id": 4, "n": 2}])
    assert [view.id for view in docs.iter(order_by="n")] == [2, 4, 1]
    assert [view.id for view in docs.iter(order_by="-n")] == [1, 4, 2]


def test_count_by_condition(docs):
    docs.upsert([{"id": n, "n": n} for n in range(10)])
    assert (docs.count(), docs.count(where=F.n < 3), len(docs)) == (10, 3, 10)


def test_facet_counts_values_most_frequent_first(docs):
    docs.upsert([{"id": n, "tags": tags} for n, tags in enumerate([["a", "b"], ["a"], "a", "b", 1, None])])
    assert docs.facet("tags") == {"a": 3, "b": 2, 1: 1}


def test_search_orders_by_distance(docs):
    docs.upsert(records(1, 2, 3, 4))
    hits = docs.search([3.1, 0], limit=3)
    assert [hit.id for hit in hits] == [3, 4, 2]
    assert hits[0].distance == pytest.approx(0.1, abs=1e-6)
    assert hits[0].score == -hits[0].distance


def test_equal_distances_keep_one_order(docs):
    docs.upsert([{"id": n, "vector": [1, 1]} for n in range(20)])
    assert docs.search([0, 0], limit=20).ids == docs.search([0, 0], limit=20).ids


def test_limit_is_honoured_under_a_filter(docs):
    docs.upsert([{"id": n, "vector": [n, 0], "odd": n % 2} for n in range(50)])
    assert [hit.id for hit in docs.search([0, 0], where=F.odd == 1, limit=3)] == [1, 3, 5]


def test_offset_skips_hits(docs):
    docs.upsert(records(1, 2, 3, 4))
    assert [hit.id for hit in docs.search([0, 0], limit=2, offset=1)] == [2, 3]


def test_pages_cover_all_matches_once(docs):
    docs.upsert(records(*range(25)))
    assert [hit.id for page in docs.search_pages([0, 0], page=10) for hit in page] == list(range(25))


def test_min_score_cuts_the_tail(docs):
    docs.upsert(records(1, 2, 3))
    assert [hit.id for hit in docs.search([0, 0], min_score=-2.5)] == [1, 2]


def test_search_many_gives_one_result_per_query(docs):
    docs.upsert(records(1, 2, 3))
    assert [results[0].id for results in docs.search_many(np.array([[1, 0], [3, 0]], np.float32), limit=1)] == [1, 3]


def test_search_many_of_nothing(docs):
    assert docs.search_many([]) == []


def test_records_without_the_vector_are_not_found(docs):
    docs.upsert([{"id": 1}, {"id": 2, "vector": [1, 1]}])
    assert docs.search([0, 0]).ids == [2]


def test_a_zero_vector_under_cosine_scores_zero(db):
    unit = db.create_collection("unit", dim=2)
    unit.upsert([{"id": 1, "vector": [0, 0]}, {"id": 2, "vector": [-1, 0]}])
    assert {hit.id: (hit.score, hit.distance) for hit in unit.search([1, 0])} == {1: (0, 1), 2: (-1, 2)}
    assert [hit.score for hit in unit.search([0, 0])] == [0, 0]


@pytest.mark.parametrize(
    ("query", "error"), [([1], DimensionError), ([[1, 2]], InvalidArgument), ("words", InvalidArgument), (None, InvalidArgument)]
)
def test_a_query_of_another_form_is_refused(docs, query, error):
    with pytest.raises(error):
        docs.search(query)


def test_a_query_with_nan_is_refused_by_position(docs):
    docs.upsert(records(1))
    with pytest.raises(InvalidArgument, match="position 1"):
        docs.search([1, float("nan")])


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_limit_out_of_range_is_refused(docs, limit):
    with pytest.raises(InvalidArgument, match="limit must be between 1 and 10000"):
        docs.search([1, 2], limit=limit)


def test_a_time_limit_that_has_passed_stops_the_search(docs):
    docs.upsert(ids=list(range(20_000)), vectors=np.zeros((20_000, 2), np.float32), fields=[{"text": "x" * 50}] * 20_000)
    with pytest.raises(TimeoutError, match="deadline"):
        docs.search([1, 2], where=F.text.contains("y"), timeout=0.0)


def test_unknown_fields_of_a_closed_schema_are_named(db):
    made = db.create_collection("made", dim=2, schema=vicino.Schema({"price": float}, closed=True))
    with pytest.raises(FilterError, match='Did you mean "price"'):
        made.search([1, 2], where="prce < 5")


def test_hits_carry_version_and_fields(docs):
    docs.upsert({"id": 1, "vector": [1, 0], "when": dt.datetime(2024, 5, 1, tzinfo=dt.UTC)})
    (hit,) = docs.search([1, 0])
    assert (hit.version, hit["when"]) == (1, dt.datetime(2024, 5, 1, tzinfo=dt.UTC))


def test_the_plan_says_how_the_filter_went(docs):
    docs.upsert([{"id": n, "vector": [n, 0], "n": n} for n in range(10)])
    plan = docs.explain([0, 0], where=F.n < 4)
    assert (plan.filter.actual, plan.filter.paths_scanned, plan.rows_scored) == (4, ("n",), 4)
    assert "F.n < 4" in repr(plan)


def test_a_typed_collection_gives_its_class_back(db):
    class Book(vicino.Record):
        title: str
        year: int = 2000

    books = db.create_collection("books", dim=2, schema=Book)
    books.upsert(Book(1, vectors={"vector": [1, 0]}, title="Ada"))
    (hit,) = books.search([1, 0])
    assert isinstance(hit.record, Book)
    assert (hit.record.title, hit.record.year) == ("Ada", 2000)


def test_a_filter_asked_again_sees_what_was_written_between(db):
    docs = db.create_collection("docs", dim=2)
    docs.upsert([{"id": number, "vector": [1.0, number], "n": number % 3} for number in range(12)])
    docs.create_index("n").wait()

    def found() -> list[int]:
        assert docs.count(where="n == 1") == len(docs.search([1.0, 0.0], where="n == 1", limit=20).ids)
        return sorted(docs.search([1.0, 0.0], where="n == 1", limit=20).ids)

    assert found() == found() == [1, 4, 7, 10]
    docs.delete([4])
    assert found() == [1, 7, 10]
    docs.update(2, set={"n": 1})
    assert found() == [1, 2, 7, 10]
    docs.optimize()
    assert found() == [1, 2, 7, 10]
    docs.upsert([{"id": 50, "vector": [1.0, 1.0], "n": 1}])
    assert found() == [1, 2, 7, 10, 50]


def test_filters_that_differ_by_the_type_of_a_value_are_answered_apart(db):
    docs = db.create_collection("docs", dim=1)
    docs.upsert([{"id": "number", "vector": [1.0], "n": 1}, {"id": "truth", "vector": [1.0], "n": True}])
    docs.create_index("n").wait()
    for _ in range(2):
        assert docs.search([1.0], where=F.n == 1).ids == ["number"]
        assert docs.search([1.0], where=F.n == True).ids == ["truth"]  # noqa: E712


def test_more_filters_than_are_kept_are_each_answered(db):
    docs = db.create_collection("docs", dim=1)
    docs.upsert([{"id": number, "vector": [1.0], "n": number} for number in range(10)])
    docs.create_index("n").wait()
    for number in [*range(10), *range(10)]:
        assert docs.search([1.0], where=F.n == number).ids == [number]
