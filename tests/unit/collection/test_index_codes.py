"""Codes chosen by the user: what goes together, what is found by them, how what they found is scored, and changes on a live collection."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import vicino
from tests.unit.collection import indexed
from tests.unit.collection.indexed import N, recall
from vicino import IndexSpec, VectorSpec
from vicino.collection.limits import Limits
from vicino.errors import InvalidArgument

LIMITS = Limits(graph_rows_min=500)
DIM = 96
clusters, filled = partial(indexed.clusters, DIM), partial(indexed.filled, DIM)
CHOICES = [
    ("flat", "1bit"), ("flat", "4bit"), ("flat", "8bit"), ("graph", "4bit"), ("graph", "8bit"), ("graph", "none"), ("hnsw", "8bit"),
    ("hnsw", "none"), ("ivf", "4bit"), ("ivf", "pq"), ("ivf", "none"), ("ivf_hnsw", "pq"),
]  # fmt: skip
STRATEGIES = {"flat": "scan of codes", "graph": "graph", "hnsw": "graph", "ivf": "lists", "ivf_hnsw": "lists"}


def wide(kind: str) -> dict[str, int]:
    return {"nprobe": 200} if kind.startswith("ivf") else {} if kind == "flat" else {"ef": 200}


def step(docs, **options):
    return docs.search(clusters(1, 2)[0], **options).plan.segments[0]


@pytest.mark.parametrize("metric", ["cosine", "l2", "dot"])
@pytest.mark.parametrize(("kind", "codes"), CHOICES)
def test_every_choice_finds_what_a_scan_finds(kind, codes, metric):
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, IndexSpec(kind, codes=codes), metric=metric)
        assert recall(docs, **wide(kind)) > 0.98
        assert recall(docs, where="n < 400", **wide(kind)) > 0.98
        assert step(docs).strategy == STRATEGIES[kind]


@pytest.mark.parametrize("scale", [1e-16, 1e18])
@pytest.mark.parametrize("metric", ["l2", "dot"])
@pytest.mark.parametrize(("kind", "codes"), [("flat", "1bit"), ("flat", "8bit"), ("graph", "8bit"), ("ivf", "4bit"), ("ivf", "pq")])
def test_codes_tell_vectors_apart_however_short_or_long_they_are(kind, codes, metric, scale):
    rng, options = np.random.default_rng(3), wide(kind)
    with vicino.open(limits=LIMITS) as db:
        docs = db.create_collection("docs", dim=64, metric=metric, index=IndexSpec(kind, codes=codes))
        docs.upsert(ids=range(1500), vectors=(rng.standard_normal((1500, 64)) * scale).astype(np.float32))
        docs.optimize()
        queries = (rng.standard_normal((20, 64)) * scale).astype(np.float32)
        shared = [set(docs.search(query, **options).ids) & set(docs.search(query, exact=True).ids) for query in queries]
    assert np.mean([len(both) / 10 for both in shared]) > 0.97


@pytest.mark.parametrize(("kind", "codes"), CHOICES)
def test_scores_are_those_of_the_vectors(kind, codes):
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, IndexSpec(kind, codes=codes))
        query = clusters(1, 2)[0]
        exact = {hit.id: hit.score for hit in docs.search(query, exact=True, limit=100)}
        assert all(exact[hit.id] == hit.score for hit in docs.search(query, **wide(kind)))


def test_finer_codes_leave_fewer_vectors_to_read():
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, "flat")
        read = []
        for codes in ("1bit", "4bit", "8bit"):
            docs.set_index(IndexSpec("flat", codes=codes)).wait()
            read.append(sum(found.plan.segments[0].rows_read for found in docs.search_many(clusters(20, 3))))
        assert read == sorted(read, reverse=True)
        assert read[2] < read[0] / 2


def test_walks_of_a_graph_without_codes_read_vectors_alone():
    with vicino.open(limits=LIMITS) as db:
        by_rows = step(filled(db, IndexSpec("graph", codes="none")))
        assert by_rows.rows_read == by_rows.rows_scored


def test_codes_are_changed_on_a_live_collection(tmp_path):
    with vicino.open(tmp_path, limits=LIMITS) as db:
        docs = filled(db, "flat")
        assert step(docs).strategy == "scan"
        for kind, codes in CHOICES:
            docs.set_index(IndexSpec(kind, codes=codes)).wait()
            assert step(docs).strategy == STRATEGIES[kind]
        docs.set_index({"kind": "flat", "codes": "8bit"}).wait()
    with vicino.open(tmp_path, limits=LIMITS) as db:
        assert db["docs"].settings.spec("vector").index == IndexSpec("flat", codes="8bit")
        assert step(db["docs"]).strategy == "scan of codes"
        assert db.check().is_sound
        db["docs"].set_index("flat").wait()
        assert step(db["docs"]).strategy == "scan"


def test_naming_the_codes_that_a_kind_has_anyway_builds_nothing_anew():
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, "graph")
        before = dict(docs._shard.segments)
        docs.set_index(IndexSpec("graph", codes="4bit")).wait()
        assert dict(docs._shard.segments) == before


@pytest.mark.parametrize("codes", ["1bit", "4bit", "8bit"])
def test_flat_codes_of_equal_and_extreme_rows(codes):
    rows = clusters()
    rows[:700] = rows[0]
    rows[700:800] = 0
    rows[800:810] *= 1e18
    rows[810:820] *= 1e-30
    with vicino.open(limits=LIMITS) as db:
        docs = db.create_collection("docs", dim=DIM, index=IndexSpec("flat", codes=codes))
        docs.upsert(ids=range(N), vectors=rows)
        docs.optimize()
        for row in (0, 705, 805, 815, 2000):
            found, truth = docs.search(rows[row], limit=5), docs.search(rows[row], limit=5, exact=True)
            assert [hit.score for hit in found] == [hit.score for hit in truth]


def test_flat_codes_know_which_records_have_the_vector():
    with vicino.open(limits=LIMITS) as db:
        docs = db.create_collection("docs", vectors={"a": VectorSpec(DIM, index=IndexSpec("flat", codes="4bit")), "b": VectorSpec(2)})
        rows = clusters()
        docs.upsert([{"id": i, "b": [0.0, 1.0], **({"a": rows[i]} if i % 2 else {})} for i in range(N)])
        docs.optimize()
        found = docs.search(rows[8], vector="a", limit=20)
        assert all(hit.id % 2 for hit in found)
        assert found.plan.segments[0].strategy == "scan of codes"


@pytest.mark.parametrize(
    ("kind", "codes", "allowed"),
    [
        ("graph", "1bit", '"auto", "4bit", "8bit", "none"'),
        ("auto", "pq", '"auto", "4bit", "8bit", "none"'),
        ("flat", "pq", '"auto", "none", "1bit", "4bit", "8bit"'),
        ("ivf", "8bit", '"auto", "4bit", "pq", "none"'),
        ("ivf_flat", "4bit", '"auto", "none"'),
        ("ivf_pq", "none", '"auto", "pq"'),
    ],
)
def test_codes_that_a_kind_cannot_have_are_refused_with_those_it_can(kind, codes, allowed):
    with pytest.raises(InvalidArgument, match=f"an index of kind \"{kind}\" takes codes {allowed}, got '{codes}'"):
        IndexSpec(kind, codes=codes)


@pytest.mark.parametrize(("dtype", "metric"), [("int8", "cosine"), ("binary", "hamming"), ("float32", "l1")])
def test_codes_of_vectors_that_have_none_are_refused(dtype, metric):
    with pytest.raises(InvalidArgument, match='codes="4bit" stand for float32 and float16 vectors under cosine, dot and l2'):
        VectorSpec(96, metric, dtype, IndexSpec("graph", codes="4bit"))


@pytest.mark.parametrize("kind", ["ivf_pq", "ivf_opq"])
@pytest.mark.parametrize(("dtype", "metric"), [("int8", "cosine"), ("binary", "hamming"), ("float32", "l1")])
def test_an_index_of_product_codes_is_refused_for_vectors_that_have_none(kind, dtype, metric):
    refusal = f'index "{kind}" goes by product codes, which stand for .*, not for {dtype} under {metric}; use "ivf_flat"'
    with pytest.raises(InvalidArgument, match=refusal):
        VectorSpec(96, metric, dtype, kind)
    with vicino.open(limits=LIMITS) as db:
        docs = db.create_collection("docs", dim=96, metric=metric, dtype=dtype)
        with pytest.raises(InvalidArgument, match=refusal):
            docs.set_index(kind)
        assert docs.settings.specs["vector"].index == "auto"


@pytest.mark.parametrize("kind", ["ivf", "ivf_hnsw"])
@pytest.mark.parametrize(("dtype", "metric"), [("int8", "l2"), ("binary", "hamming"), ("float32", "l1")])
def test_lists_of_vectors_that_have_no_codes_are_lists_of_the_vectors(kind, dtype, metric):
    rows = np.random.default_rng(0).integers(0, 2, (N, DIM)) if dtype == "binary" else np.rint(clusters(N) * 20)
    with vicino.open(limits=LIMITS) as db:
        docs = db.create_collection("docs", dim=DIM, metric=metric, dtype=dtype, index=kind)
        docs.upsert(ids=range(N), vectors=rows)
        docs.optimize()
        found = docs.search(rows[7], limit=1, nprobe=2)
        assert (found.ids, found.plan.segments[0].strategy) == ([7], "lists")
        assert docs.settings.specs["vector"].index == IndexSpec(kind, codes="none")
        assert db.create_collection("docs", dim=DIM, metric=metric, dtype=dtype, index=kind, exist_ok=True).count() == N


@pytest.mark.parametrize(
    ("dtype", "metric", "dim"), [("int8", "l2", 96), ("binary", "hamming", 96), ("float32", "l1", 96), ("float32", "l2", 32)]
)
def test_rescoring_of_vectors_that_have_no_codes_is_refused(dtype, metric, dim):
    with pytest.raises(InvalidArgument, match=f"rescore=2.0 says what follows a search by codes, .* {dtype} of {dim} dimensions under"):
        VectorSpec(dim, metric, dtype, IndexSpec("graph", rescore=2))
    with vicino.open(limits=LIMITS) as db:
        docs = db.create_collection("docs", dim=dim, metric=metric, dtype=dtype)
        with pytest.raises(InvalidArgument, match='index of vector "vector" has none and scores every vector'):
            docs.search([1] * dim, rescore="off")


def test_codes_of_a_graph_over_few_dimensions_are_refused():
    with pytest.raises(InvalidArgument, match="need 64 dimensions"):
        VectorSpec(32, index=IndexSpec("graph", codes="8bit"))


def test_product_codes_take_their_parameters_whatever_the_name_of_the_index():
    assert IndexSpec("ivf_hnsw", codes="pq", bits=8, subvectors=12).build_options() == {
        "kind": "ivf_hnsw", "codes": "pq", "bits": 8, "subvectors": 12,
    }  # fmt: skip
    with pytest.raises(InvalidArgument, match="bits goes with an index of kind ivf_opq, ivf_pq"):
        IndexSpec("ivf_hnsw", bits=8)


@pytest.mark.parametrize(
    "spec", [IndexSpec("graph", codes="8bit"), IndexSpec("flat", codes="1bit", rescore="off"), IndexSpec("ivf", rescore=3)]
)
def test_a_spec_is_read_back_from_its_json(spec):
    assert IndexSpec.read(spec.to_json()) == spec


@pytest.mark.parametrize("kind", ["auto", "flat", "ivf"])
def test_a_spec_without_codes_is_stored_as_it_always_was(kind):
    assert IndexSpec(kind).to_json() == kind


@pytest.mark.parametrize("rescore", [True, 0.5, "all", 1001, None])
def test_a_rescoring_that_there_is_not_is_refused(rescore):
    with pytest.raises(InvalidArgument, match='rescore must be "bound", "off", or a number from 1 to 1000'):
        IndexSpec("graph", rescore=rescore)


def test_rescoring_without_codes_is_refused():
    with pytest.raises(InvalidArgument, match='an index of kind "flat" with codes "none" scores every vector it looks at'):
        IndexSpec("flat", rescore=2)


@pytest.mark.parametrize("kind", ["flat", "graph", "hnsw", "ivf"])
def test_without_rescoring_no_vector_is_read_and_the_plan_says_so(kind):
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, IndexSpec(kind, codes="4bit"))
        found = docs.search(clusters(1, 2)[0], rescore="off")
        assert found.plan.segments[0].rows_read == 0
        assert "not rescored" in repr(found.plan)
        exact = {hit.id: hit.score for hit in docs.search(clusters(1, 2)[0], exact=True, limit=200)}
        off = [abs(exact[hit.id] - hit.score) for hit in found]
        assert 0 < max(off) < 0.05
        assert recall(docs, rescore=False, **wide(kind)) > 0.7


def test_a_number_says_how_many_vectors_are_read():
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, IndexSpec("flat", codes="4bit"))
        assert step(docs, rescore=3.0).rows_read == 30
        assert step(docs, rescore=1.5, limit=4).rows_read == 6
        docs.set_index(IndexSpec("flat", codes="4bit", rescore=2)).wait()
        assert step(docs).rows_read == 20
        assert step(docs, rescore="bound").rows_read != 20
        assert "2 times the limit" in repr(docs.explain(clusters(1, 2)[0]))


def test_rescoring_of_a_collection_is_changed_without_building_anew():
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, "graph")
        before = dict(docs._shard.segments)
        docs.set_index(IndexSpec("graph", rescore="off")).wait()
        assert dict(docs._shard.segments) == before
        assert step(docs).rows_read == 0


def test_a_part_of_a_query_has_its_own_rescoring():
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, IndexSpec("flat", codes="4bit"))
        query = clusters(1, 2)[0]
        plan = docs.search(vicino.Fuse([vicino.Dense(query, rescore="off"), vicino.Dense(query, rescore=4)])).plan
        assert [stage.details["rescore"] for stage in plan.stages[0].inside] == ["off", "4"]


def test_the_plan_names_the_codes():
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, "graph")
        for index, codes, shown in (
            (IndexSpec("graph"), "4bit", "by codes of 4 bits"), (IndexSpec("hnsw", codes="8bit"), "8bit", "by codes of 8 bits"),
            (IndexSpec("flat", codes="1bit"), "1bit", "by codes of 1 bit"), (IndexSpec("ivf_pq"), "pq", "by product codes"),
            (IndexSpec("ivf_flat"), "", ""), (IndexSpec("graph", codes="none"), "", ""),
        ):  # fmt: skip
            docs.set_index(index).wait()
            assert step(docs).codes == codes
            assert shown in repr(docs.explain(clusters(1, 2)[0]))


def test_rescoring_otherwise_than_a_promise_was_measured_is_refused():
    with pytest.raises(InvalidArgument, match="a promised recall is measured with rescoring by the bound"):
        VectorSpec(96, recall=0.9, index=IndexSpec("graph", rescore=2))
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, "graph", recall=0.9)
        with pytest.raises(InvalidArgument, match="a promised recall is measured with rescoring by the bound"):
            docs.search(clusters(1, 2)[0], rescore="off")


@pytest.mark.parametrize("rescore", [1, "off"])
def test_a_recall_asked_for_is_kept_whatever_rescoring_the_index_has_by_itself(rescore):
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, IndexSpec("graph", rescore=rescore))
        measured = docs.verify(0.99, queries=clusters(200, 4))
        assert measured.recall >= 0.99
        assert recall(docs, recall=0.99) >= 0.99
        query = clusters(1, 2)[0]
        for found in (docs.search(query, recall=0.99), docs.search(vicino.Dense(query, recall=0.99))):
            assert "rescored" not in repr(found.plan)
            assert "times the limit" not in repr(found.plan)


def test_rescoring_of_a_search_without_codes_is_refused():
    with (
        vicino.open(limits=LIMITS) as db,
        pytest.raises(InvalidArgument, match='index of vector "vector" has none and scores every vector'),
    ):
        filled(db, "flat").search(clusters(1, 2)[0], rescore=2)


def test_recall_is_verified_with_the_rescoring_that_searches_have():
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, IndexSpec("graph", rescore=1))
        few = docs.verify(queries=clusters(200, 4)).recall
        docs.set_index("graph").wait()
        assert few < docs.verify(queries=clusters(200, 4)).recall


def test_recall_of_searches_that_compute_no_distance_is_not_verified():
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, IndexSpec("graph", rescore="off"))
        with pytest.raises(InvalidArgument, match='compute none with rescore="off"'):
            docs.verify(queries=clusters(50, 4))
