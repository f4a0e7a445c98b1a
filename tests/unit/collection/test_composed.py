"""Queries of parts through a collection: what they find, in which order, and what they say."""

from __future__ import annotations

import base64

import numpy as np
import pytest

import vicino
from vicino import F
from vicino.errors import FilterError, InvalidArgument, NotFoundError, SchemaError

QUERY = [1.0, 0.0]
ANGLES = {"a": 0, "b": 10, "c": 20, "d": 30, "e": 40, "f": 170}


def unit(degrees: float) -> list[float]:
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]


@pytest.fixture
def docs():
    with vicino.open() as db:
        docs = db.create_collection("docs", dim=2)
        docs.upsert(
            [
                {"id": name, "vector": unit(angle), "n": number, "shelf": "left" if number % 2 else "right", "tags": [number, number + 1]}
                for number, (name, angle) in enumerate(ANGLES.items())
            ]
        )
        yield docs


# ---- combining


def test_dense_part_finds_what_its_vector_finds(docs) -> None:
    assert docs.search(vicino.Dense(QUERY), limit=3).ids == docs.search(QUERY, limit=3).ids == ["a", "b", "c"]


def test_recall_of_parts_that_scan_every_vector_is_known(docs) -> None:
    everything = vicino.Fuse([vicino.Dense(QUERY), vicino.Dense(unit(10))])
    for query, options in ((vicino.Dense(QUERY), {}), (everything, {}), (QUERY, {"diversity": 0.3}), (QUERY, {"cursor": ""})):
        assert docs.search(query, **options).recall == docs.search(QUERY).recall == 1.0


def test_dense_part_scores_as_its_vector_does(docs) -> None:
    assert [hit.score for hit in docs.search(vicino.Dense(QUERY))] == pytest.approx([hit.score for hit in docs.search(QUERY)])


def test_fused_record_that_both_parts_rank_high_comes_first(docs) -> None:
    fused = docs.search(vicino.Fuse([vicino.Dense(unit(0)), vicino.Dense(unit(19))], method="rrf", depth=2), limit=1)
    assert fused.ids == ["b"]  # second in both; a and c are first in one


def test_part_that_finds_nothing_weighs_nothing(docs) -> None:
    nothing = vicino.Prefetch(vicino.Dense(QUERY), where=F.n > 100)
    assert docs.search(vicino.Fuse([vicino.Dense(QUERY), nothing])).ids == docs.search(QUERY).ids


def test_scores_of_a_hit_are_kept_by_part(docs) -> None:
    hit = docs.search(vicino.Fuse([vicino.Dense(unit(0)), vicino.Dense(unit(90))], method="rrf"), limit=1)[0]
    assert hit.scores.keys() == {"dense", "dense 2", "fuse"}
    assert hit.scores["fuse"] == hit.score


def test_rescore_orders_the_candidates_anew(docs) -> None:
    assert docs.search(vicino.Rescore(vicino.Dense(QUERY), by=vicino.Dense(unit(40)), depth=3)).ids == ["c", "b", "a"]


def test_rescore_orders_the_candidates_by_a_field(docs) -> None:
    assert docs.search(vicino.Rescore(vicino.Dense(QUERY), by=vicino.OrderBy("-n"), depth=3)).ids == ["c", "b", "a"]


def test_prefetch_keeps_its_own_limit_and_condition(docs) -> None:
    part = vicino.Prefetch(vicino.Dense(QUERY), where=F.shelf == "left", limit=2)
    assert docs.search(part).ids == ["b", "d"]


def test_prefetch_drops_what_scores_below_its_least(docs) -> None:
    assert docs.search(vicino.Prefetch(vicino.Dense(QUERY), min_score=np.cos(np.radians(25)))).ids == ["a", "b", "c"]


def test_condition_of_the_search_holds_in_every_part(docs) -> None:
    part = vicino.Fuse([vicino.Dense(QUERY), vicino.Prefetch(vicino.Dense(QUERY), where=F.n < 4)])
    assert set(docs.search(part, where=F.n >= 3).ids) == {"d", "e", "f"}


def test_boost_multiplies_scores(docs) -> None:
    assert docs.search(vicino.Boost(vicino.Dense(QUERY), by=1 + vicino.If(F.n == 3)), limit=1).ids == ["d"]


def test_formula_scores_by_all_its_parts(docs) -> None:
    part = vicino.Formula([vicino.Dense(unit(0)), vicino.Dense(unit(90))], by=vicino.Score(1) - vicino.Score(0))
    found = docs.search(part, limit=2)
    assert found.ids == ["f", "e"]
    assert found[1].score == pytest.approx(np.sin(np.radians(40)) - np.cos(np.radians(40)), abs=1e-6)


def test_formula_over_a_field_that_is_missing_names_the_record(docs) -> None:
    docs.update("c", unset=["n"])
    with pytest.raises(InvalidArgument, match="record 'c' has no value"):
        docs.search(vicino.Boost(vicino.Dense(QUERY), by=vicino.Value("n")))


def test_diverse_takes_what_differs(docs) -> None:
    assert docs.search(vicino.Diverse(vicino.Dense(unit(20)), relevance=0.3), limit=2).ids == ["c", "f"]
    assert docs.search(unit(20), diversity=0.0, limit=3).ids == docs.search(unit(20), limit=3).ids


def test_diverse_weighs_scores_of_any_scale_like_similarities(docs) -> None:
    large = vicino.Formula([vicino.Dense(unit(20))], by=1000 * vicino.Score())
    assert docs.search(vicino.Diverse(large, relevance=0.3), limit=2).ids == ["c", "f"]


def test_diverse_orders_only_its_first_records(docs) -> None:
    part = vicino.Diverse(vicino.Dense(unit(0)), relevance=0.0, depth=3)
    assert docs.search(part).ids == ["a", "c", "b", "d", "e", "f"]
    assert [hit for page in docs.search_pages(part, page=2) for hit in page.ids] == ["a", "c", "b", "d", "e", "f"]


def test_diverse_puts_records_without_the_vector_behind(docs) -> None:
    docs.upsert({"id": "bare", "n": -1})
    assert docs.search(vicino.Diverse(vicino.OrderBy("n"), relevance=1.0), limit=100).ids[-1] == "bare"


def test_diverse_takes_the_vector_of_the_part_inside() -> None:
    with vicino.open() as db:
        docs = db.create_collection("docs", vectors={"v": vicino.VectorSpec(2), "w": vicino.VectorSpec(2), "bag": vicino.SparseSpec()})
        docs.upsert([{"id": name, "v": unit(angle), "w": unit(90), "bag": {1: 1.0}} for name, angle in ANGLES.items()])
        part = vicino.Diverse(vicino.Fuse([vicino.Sparse({1: 1.0}), vicino.Dense(unit(20), vector="v")]), relevance=0.3)
        assert docs.search(part, limit=2).ids == ["c", "f"]


def test_min_score_and_offset_hold_for_parts(docs) -> None:
    part = vicino.Fuse([vicino.Dense(QUERY)], method="rrf")
    assert docs.search(part, offset=1, limit=2).ids == ["b", "c"]
    assert docs.search(part, min_score=1 / 62).ids == ["a", "b"]


def test_equal_scores_are_ordered_by_place(docs) -> None:
    part = vicino.Formula([vicino.Dense(QUERY)], by=1)
    assert docs.search(part).ids == list(ANGLES)


# ---- leaves beside vectors


def test_order_by_a_field(docs) -> None:
    assert docs.search(vicino.OrderBy("n", descending=True, start_from=3), limit=2).ids == ["d", "c"]


def test_sample_of_a_seed_is_the_same_again(docs) -> None:
    assert docs.search(vicino.Sample(seed=1), limit=3).ids == docs.search(vicino.Sample(seed=1), limit=3).ids


def test_sample_has_no_record_twice(docs) -> None:
    assert sorted(docs.search(vicino.Sample(), limit=10).ids) == list(ANGLES)


# ---- by example


def test_like_leaves_its_examples_out(docs) -> None:
    assert docs.search(vicino.Like("b"), limit=2).ids == ["a", "c"]


@pytest.mark.parametrize(("strategy", "nearest"), [("average", "e"), ("best", "d"), ("sum", "e")])  # 2 * 20° - 0° is 40°
def test_unlike_pushes_away(docs, strategy: str, nearest: str) -> None:
    assert docs.search(vicino.Like("c", unlike="a", strategy=strategy), limit=1).ids == [nearest]


def test_like_by_best_score_is_qdrants(docs) -> None:
    (hit,) = docs.search(vicino.Like(["a"], strategy="best"), limit=1)
    similarity = np.cos(np.radians(10))
    assert hit.score == pytest.approx(0.5 * (similarity / (1 + similarity) + 1), abs=1e-6)


def test_like_by_a_vector_leaves_nothing_out(docs) -> None:
    assert docs.search(vicino.Like([unit(10)]), limit=1).ids == ["b"]


def test_like_looks_up_examples_elsewhere(docs) -> None:
    with vicino.open() as db:
        other = db.create_collection("other", dim=2)
        other.upsert([{"id": "x", "vector": unit(31)}])
        assert docs.search(vicino.Like("x", lookup=other), limit=1).ids == ["d"]


def test_lookup_takes_the_only_vector_there_is(docs) -> None:
    with vicino.open() as db:
        other = db.create_collection("other", vectors={"picture": vicino.VectorSpec(2)})
        other.upsert([{"id": "x", "picture": unit(31)}])
        assert docs.search(vicino.Like("x", lookup=other), limit=1).ids == ["d"]


def test_lookup_of_a_vector_that_is_not_there_names_the_collection(docs) -> None:
    with vicino.open() as db:
        other = db.create_collection("other", dim=2)
        with pytest.raises(InvalidArgument, match='collection "other" has no vector "picture"'):
            docs.search(vicino.Like("x", lookup=other, lookup_vector="picture"))


def test_lookup_by_name_finds_the_collection_of_the_database() -> None:
    with vicino.open() as db:
        docs, other = db.create_collection("docs", dim=2), db.create_collection("other", dim=2)
        docs.upsert([{"id": "a", "vector": unit(0)}, {"id": "d", "vector": unit(30)}])
        other.upsert([{"id": "x", "vector": unit(31)}])
        assert docs.search(vicino.Like("x", lookup="other"), limit=1).ids == ["d"]


def test_lookup_by_name_works_in_past_versions() -> None:
    with vicino.open(retain=3) as db:
        docs, other = db.create_collection("docs", dim=2), db.create_collection("other", dim=2)
        docs.upsert([{"id": "a", "vector": unit(0)}, {"id": "d", "vector": unit(30)}])
        other.upsert([{"id": "x", "vector": unit(31)}])
        docs.delete("d")
        assert docs.at(docs.version - 1).search(vicino.Like("x", lookup="other"), limit=1).ids == ["d"]


def test_example_that_does_not_exist_is_named(docs) -> None:
    with pytest.raises(NotFoundError, match="'nobody'"):
        docs.search(vicino.Like("nobody"))


def test_discover_prefers_the_side_of_the_pairs(docs) -> None:
    assert docs.search(vicino.Discover([1.0, 0.0], [(unit(45), unit(-90))]), limit=1).ids == ["a"]
    assert docs.search(vicino.Discover([1.0, 0.0], [(unit(180), unit(0))]), limit=1).ids == ["f"]


def test_context_is_zero_on_the_positive_side(docs) -> None:
    hits = docs.search(vicino.Context([(unit(0), unit(60))]))
    assert {hit.id for hit in hits if hit.score == 0} == {"a", "b", "c"}
    assert hits[-1].score < 0


def test_feedback_adds_the_weighted_differences(docs) -> None:
    part = vicino.Feedback([1.0, 0.0], [(unit(90), 0.9), (unit(180), 0.4)], a=1, b=2, c=3)
    (hit,) = docs.search(part, where=vicino.has_id("c"))
    cosine, sine = np.cos(np.radians(20)), np.sin(np.radians(20))
    assert hit.score == pytest.approx(cosine + 0.5**2 * 3 * (sine + cosine), abs=1e-5)


# ---- pages


def test_pages_of_a_cursor_make_up_the_whole(docs) -> None:
    part, cursor, found = vicino.Fuse([vicino.Dense(unit(0)), vicino.Dense(unit(90))]), "", []
    while cursor is not None:
        page = docs.search(part, limit=4, cursor=cursor)
        found += page.ids
        cursor = page.next_cursor
    assert found == docs.search(part, limit=100).ids


def test_pages_go_on_in_the_version_they_began_with(docs) -> None:
    first = docs.search(QUERY, limit=2, cursor="")
    docs.delete("c")
    docs.upsert([{"id": "new", "vector": QUERY}])
    second = docs.search(QUERY, limit=2, cursor=first.next_cursor)
    assert (second.ids, second.version) == (["c", "d"], first.version)


def test_search_pages_goes_through_one_version(docs) -> None:
    pages = docs.search_pages(QUERY, page=2)
    found = next(pages).ids
    docs.delete("f")
    assert found + [record for page in pages for record in page.ids] == list(ANGLES)


def test_cursor_of_another_query_is_refused(docs) -> None:
    cursor = docs.search(QUERY, limit=2, cursor="").next_cursor
    with pytest.raises(InvalidArgument, match="another query"):
        docs.search([0.0, 1.0], limit=2, cursor=cursor)


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"null", b"[1, 2]", b"[true, true, 1]", b"\xff"])
def test_cursor_that_is_none_is_refused(docs, content: bytes) -> None:
    with pytest.raises(InvalidArgument, match="next_cursor"):
        docs.search(QUERY, cursor=base64.urlsafe_b64encode(content).decode() or "!!")


OUT_OF_RANGE: list[dict] = [
    {"offset": 2**40}, {"offset": -1}, {"offset": 1.5}, {"limit": 0}, {"limit": "3"}, {"limit": True},
    {"ef": 0}, {"ef": -1}, {"ef": 1.5}, {"ef": 2**40}, {"min_score": "x"}, {"min_score": float("nan")}, {"timeout": -1}, {"timeout": "1"},
]  # fmt: skip


@pytest.mark.parametrize("query", [QUERY, vicino.Dense(QUERY)], ids=["vector", "part"])
@pytest.mark.parametrize("options", OUT_OF_RANGE)
def test_numbers_out_of_range_are_refused(docs, query, options) -> None:
    with pytest.raises(InvalidArgument, match=r"must be|go with a text"):
        docs.search(query, **options)


# ---- groups


def test_groups_come_in_the_order_of_their_best_hits(docs) -> None:
    groups = docs.search(QUERY, group_by="shelf", group_size=2)
    assert {group.key: group.hits.ids for group in groups} == {"right": ["a", "c"], "left": ["b", "d"]}
    assert groups.keys == ["right", "left"]


def test_plan_of_groups_says_so(docs) -> None:
    assert """Dense(<vector of 2>) grouped by "shelf", 2 of each""" in repr(docs.search(QUERY, group_by="shelf", group_size=2).plan)


def test_record_of_a_list_is_in_several_groups(docs) -> None:
    groups = docs.search(QUERY, group_by="tags", limit=2, group_size=2)
    assert {group.key: group.hits.ids for group in groups} == {0: ["a"], 1: ["a", "b"]}


def test_groups_look_up_records_of_another_collection(docs) -> None:
    with vicino.open() as db:
        shelves = db.create_collection("shelves", dim=2)
        shelves.upsert([{"id": "left", "room": 7}])
        groups = docs.search(QUERY, group_by="shelf", lookup=shelves)
        assert {group.key: group.lookup and group.lookup["room"] for group in groups} == {"right": None, "left": 7}


def test_group_options_that_do_not_fit_are_refused(docs) -> None:
    with pytest.raises(InvalidArgument, match="group_size must be at least 1"):
        docs.search(QUERY, group_by="shelf", group_size=0)
    with pytest.raises(InvalidArgument, match="at most 10000"):
        docs.search(QUERY, group_by="shelf", group_size=2**70)
    with pytest.raises(InvalidArgument, match="say group_by="):
        docs.search(QUERY, lookup=docs)
    with pytest.raises(InvalidArgument, match="lookup= takes a collection or its name, got int"):
        docs.search(QUERY, group_by="shelf", lookup=5)


# ---- figures


def test_aggregate_of_numbers(docs) -> None:
    found = docs.aggregate("n", where=F.n > 0)
    assert (found.count, found.distinct, found.sum, found.average, found.min, found.max) == (5, 5, 15, 3.0, 1, 5)


def test_figures_of_a_field_that_is_none_are_refused(docs) -> None:
    for ask in (docs.facet, docs.aggregate):
        with pytest.raises(FilterError, match="a field is named by a string"):
            ask(F.n)


def test_aggregate_of_nothing(docs) -> None:
    found = docs.aggregate("missing")
    assert (found.count, found.sum, found.average, found.min, found.max) == (0, None, None, None, None)


def test_distance_matrix_has_the_nearest_of_each(docs) -> None:
    found = docs.distance_matrix(sample=10, limit=1)
    pairs = {first: second for first, second, _ in found.pairs}
    assert (pairs["a"], pairs["f"], pairs["e"]) == ("b", "e", "d")
    assert np.isnan(found.matrix[0, 5])
    assert found.matrix[0, 0] == 0


# ---- rerank


class ByLength:
    """Prefers long texts; remembers what it was asked."""

    name, max_length = "by-length", 1000

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.asked = error, None

    def scores(self, query: str, texts: list[str]) -> list[float]:
        self.asked = (query, texts)
        if self.error:
            raise self.error
        return [float(len(text)) for text in texts]


def test_rerank_orders_by_the_model(docs) -> None:
    docs.update("c", set={"text": "a long text"})
    docs.update("a", set={"text": "short"})
    reranker = ByLength()
    part = vicino.Rerank(vicino.Dense(QUERY), reranker, query="q", fields="text", depth=3)
    assert docs.search(part, limit=2).ids == ["c", "a"]
    assert reranker.asked == ("q", ["short", "", "a long text"])


def test_order_is_kept_and_told_when_the_reranker_fails(docs) -> None:
    part = vicino.Rerank(vicino.Dense(QUERY), ByLength(RuntimeError("no answer")), query="q", fields="n")
    found = docs.search(part)
    assert found.ids == list(ANGLES)
    assert found.plan.notes == ("reranker by-length failed: RuntimeError: no answer; the order is that of the part inside",)


# ---- plans and refusals


def test_plan_shows_every_part_nested(docs) -> None:
    plan = docs.explain(vicino.Rescore(vicino.Fuse([vicino.Dense(QUERY), vicino.Dense(unit(9))]), by=vicino.Dense(QUERY)), where=F.n > 1)
    (rescore,) = plan.stages
    assert [stage.label for stage in rescore.inside] == ["fuse", "dense 3"]
    assert [stage.found for stage in rescore.inside[0].inside] == [4, 4]
    assert plan.to_dict()["stages"][0]["tag"] == "rescore"
    assert "filter F.n > 1: 4 match" in repr(plan)


def test_unknown_field_of_a_closed_schema_is_refused() -> None:
    with vicino.open() as db:
        docs = db.create_collection("docs", dim=2, schema=vicino.Schema({"year": "integer"}, closed=True))
        docs.upsert([{"id": 1, "vector": QUERY, "year": 2020}])
        with pytest.raises((InvalidArgument, SchemaError), match="yaer"):
            docs.search(vicino.Prefetch(vicino.Dense(QUERY), where=F.yaer > 2000))


@pytest.mark.parametrize(
    "ask",
    [
        lambda docs: docs.search(vicino.Boost(vicino.Dense(QUERY), by=1 + vicino.Value("yaer", default=0))),
        lambda docs: docs.search(vicino.Formula([vicino.Dense(QUERY)], by=vicino.Decay("yaer", target=2000, scale=3))),
        lambda docs: docs.search(vicino.OrderBy("yaer")),
        lambda docs: docs.search(vicino.Rescore(vicino.Dense(QUERY), by=vicino.OrderBy("yaer"))),
        lambda docs: docs.search(vicino.Rerank(vicino.Dense(QUERY), ByLength(), query="q", fields="yaer")),
        lambda docs: docs.search(QUERY, group_by="yaer"),
        lambda docs: docs.facet("yaer"),
        lambda docs: docs.aggregate("yaer"),
        lambda docs: docs.iter(order_by="-yaer"),
    ],
    ids=["boost", "formula", "order", "rescore", "rerank", "groups", "facet", "aggregate", "iter"],
)
def test_field_that_a_closed_schema_lacks_is_refused_everywhere(ask) -> None:
    with vicino.open() as db:
        docs = db.create_collection("docs", dim=2, schema=vicino.Schema({"year": "integer"}, closed=True))
        docs.upsert([{"id": 1, "vector": QUERY, "year": 2020}])
        with pytest.raises(FilterError, match=r'there is no field "yaer"\. Did you mean "year"'):
            ask(docs)


def test_options_of_plain_searches_do_not_go_with_parts(docs) -> None:
    with pytest.raises(InvalidArgument, match="a part such as Dense has its own"):
        docs.search(vicino.Dense(QUERY), vector="vector")


@pytest.mark.parametrize("name", [5, ["vector"], True])
def test_name_of_a_vector_is_a_string(docs, name) -> None:
    with pytest.raises(InvalidArgument, match="vector= is the name of a vector"):
        docs.search(QUERY, vector=name)


def test_text_without_model_and_index_is_refused(docs) -> None:
    with pytest.raises(InvalidArgument, match="no model"):
        docs.search("words")
    with pytest.raises(InvalidArgument, match="no text index"):
        docs.search("words", mode="text")


def test_search_many_takes_parts(docs) -> None:
    found = docs.search_many([QUERY, vicino.Like("f")], limit=1)
    assert [results.ids for results in found] == [["a"], ["e"]]


def test_query_over_an_empty_collection_finds_nothing() -> None:
    with vicino.open() as db:
        docs = db.create_collection("docs", dim=2)
        part = vicino.Diverse(vicino.Boost(vicino.Fuse([vicino.Dense(QUERY), vicino.Sample()]), by=vicino.Value("n")))
        assert docs.search(part).ids == []
