"""Indexes of vectors by name: each answers, can be changed on a live collection, and is built anew when it is to be made otherwise."""

from __future__ import annotations

import os
from functools import partial

import numpy as np
import pytest

import vicino
from tests.unit.collection import indexed
from tests.unit.collection.indexed import N, recall
from vicino import IndexSpec
from vicino.collection.limits import Limits
from vicino.errors import InvalidArgument

KINDS = ("auto", "flat", "graph", "hnsw", "ivf_flat", "ivf", "ivf_pq", "ivf_opq", "ivf_hnsw")
DIM = 32
clusters, filled = partial(indexed.clusters, DIM), partial(indexed.filled, DIM)
LIMITS = Limits(graph_rows_min=500)


def strategies(docs, **options) -> set[str]:
    return {step.strategy for step in docs.search(clusters(1, 2)[0], **options).plan.segments} - {"none"}  # of the empty head


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_finds_what_a_scan_finds(kind):
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, kind)
        wide = {"nprobe": 60} if kind.startswith("ivf") else {"ef": 200}
        assert recall(docs, **wide) > 0.95
        assert recall(docs, where="n < 300") > 0.95


@pytest.mark.parametrize(
    ("kind", "strategy"), [("flat", "scan"), ("graph", "graph"), ("hnsw", "graph"), ("ivf_flat", "lists"), ("ivf_pq", "lists")]
)
def test_the_plan_names_what_the_index_did(kind, strategy):
    with vicino.open(limits=LIMITS) as db:
        assert strategies(filled(db, kind)) == {strategy}


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_product_codes_go_with_every_metric_of_floats(metric):
    with vicino.open(limits=LIMITS) as db:
        assert recall(filled(db, {"kind": "ivf_pq", "bits": 8}, metric=metric), nprobe=60) > 0.95


def test_an_index_is_changed_on_a_live_collection(tmp_path):
    with vicino.open(tmp_path, limits=LIMITS) as db:
        docs = filled(db, "flat")
        for kind, strategy in (("ivf", "lists"), ("graph", "graph"), ("flat", "scan"), ("ivf_flat", "lists")):
            docs.set_index(kind).wait()
            assert (docs.settings.spec("vector").index, strategies(docs)) == (kind, {strategy})
    with vicino.open(tmp_path, limits=LIMITS) as db:
        assert strategies(db["docs"]) == {"lists"}
        assert db.check().is_sound


def test_other_parameters_build_an_index_anew(tmp_path):
    with vicino.open(tmp_path, limits=LIMITS) as db:
        docs = filled(db, IndexSpec("ivf_flat", nlist=16))
        before = {name for files in docs._shard.segments.values() for name in files.graphs.values()}
        docs.set_index(IndexSpec("ivf_flat", nlist=16, nprobe=4)).wait()
        assert {name for files in docs._shard.segments.values() for name in files.graphs.values()} == before
        docs.set_index(IndexSpec("ivf_flat", nlist=64)).wait()
        assert not {name for files in docs._shard.segments.values() for name in files.graphs.values()} & before


def test_more_lists_find_more():
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, IndexSpec("ivf_flat", nlist=100))
        found = [recall(docs, nprobe=n) for n in (1, 4, 40)]
        assert found == sorted(found)
        assert found[0] < found[2] == 1.0


def test_the_parameters_of_an_index_are_those_of_its_searches():
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, IndexSpec("ivf_flat", nlist=100, nprobe=1))
        few = docs.search(clusters(1, 2)[0]).plan.segments[0].rows_scored
        assert few < docs.search(clusters(1, 2)[0], nprobe=20).plan.segments[0].rows_scored


def test_an_index_with_parameters_is_stored_with_the_collection(tmp_path):
    spec = IndexSpec("ivf_opq", nlist=20, nprobe=5, subvectors=8, bits=8, copies=True)
    with vicino.open(tmp_path, limits=LIMITS) as db:
        db.create_collection("docs", dim=DIM, index=spec)
    with vicino.open(tmp_path, limits=LIMITS) as db:
        assert db["docs"].settings.spec("vector").index == spec


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("hsnw", "index must be one of"),
        ({"kind": "graph", "nlist": 4}, "nlist goes with an index of kind"),
        ({"kind": "ivf_pq", "bits": 6}, "bits of product codes must be 4 or 8, got 6"),
        ({"kind": "ivf", "nlists": 4}, "an index has no parameter 'nlists'"),
        ({"kind": "hnsw", "ef_construct": 8}, "ef_construct must be at least m, which is 16, got 8"),
        ({"kind": "ivf", "nprobe": 0}, "nprobe of an index must be an integer between 1 and"),
        (7, "index must be a kind such as"),
    ],
    ids=str,
)
def test_an_index_that_cannot_be_is_refused(given, message):
    with vicino.open() as db, pytest.raises(InvalidArgument, match=message):
        db.create_collection("docs", dim=DIM, index=given)


def test_a_promise_is_measured_anew_for_another_index():
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, "graph", recall=0.9)
        before = docs.search(clusters(1, 2)[0]).plan.promise
        docs.set_index(IndexSpec("ivf_flat", nlist=100)).wait()
        docs.optimize()
        after = docs.search(clusters(1, 2)[0]).plan.promise
        assert not after.pending
        assert (after.effort, after.estimate) != (before.effort, before.estimate)
        assert recall(docs) > 0.88


def test_lists_honour_the_limit_under_a_filter_that_leaves_few():
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, IndexSpec("ivf_flat", nlist=100, nprobe=1))
        assert len(docs.search(clusters(1, 2)[0], limit=50, where="n >= 1000", nprobe=1)) == 50


@pytest.fixture
def far_apart(request):
    """Records, with codes and without, in 40 clusters far apart, and queries near the first ten of them."""
    chance = np.random.default_rng(3)
    centers = chance.standard_normal((40, 64), dtype=np.float32)
    group = chance.integers(0, 40, 20_000)
    rows = centers[group] + 0.7 * chance.standard_normal((20_000, 64), dtype=np.float32)
    with vicino.open() as db:
        docs = db.create_collection("docs", dim=64, index=IndexSpec("graph", codes=request.param))
        docs.upsert(ids=range(len(rows)), vectors=rows, fields=[{"group": int(g)} for g in group])
        docs.optimize()
        yield docs, centers[:10] + 0.7 * chance.standard_normal((10, 64), dtype=np.float32)


def under_opposed_filters(docs, queries, costs):
    """The strategies of searches for groups that no query is near to, and their recall, where rows cost so much (SearchCosts)."""
    docs._shard.snapshot().set_costs(0, [costs])
    found, truth = (docs.search_many(queries, where="group >= 10", exact=exact) for exact in (False, True))
    strategies = {step.strategy for step in found[0].plan.segments} - {"none"}
    return strategies, np.mean([len({*a.ids} & {*b.ids}) / 10 for a, b in zip(found, truth, strict=True)])


@pytest.mark.parametrize("far_apart", ["auto", "none"], indirect=True)
def test_a_walk_under_a_filter_opposed_to_the_query_ends_and_what_matches_is_scanned(far_apart):
    strategies, found = under_opposed_filters(*far_apart, costs=(5.5, 32.0, 16.0))
    assert strategies == {"graph, then scan"}
    assert found >= 0.99


@pytest.mark.parametrize("far_apart", ["auto"], indirect=True)
def test_where_a_scan_would_take_far_longer_the_walk_goes_on_over_the_matching_rows(far_apart):
    strategies, found = under_opposed_filters(*far_apart, costs=(330.0, 500.0, 4.1))
    assert strategies == {"graph of matches"}
    assert found > 0.9


def lists_of(docs) -> list[dict]:
    """What sealed segments say of the lists of their one vector."""
    return [entry["lists"][0] for entry in docs._shard.state.base().entries if entry["sealed"]]


@pytest.mark.parametrize("settings", [{}, {"keep_raw": False}], ids=["raw", "coded"])
def test_rows_in_the_order_of_lists_keep_their_records(settings):
    """Ids, fields, texts, sparse vectors and rows without a vector travel together when a merge puts rows into another order."""
    rows = clusters()
    spec = vicino.VectorSpec(DIM, "cosine", index="ivf_flat", **settings)
    with vicino.open(limits=LIMITS) as db:
        docs = db.create_collection("docs", vectors={"v": spec, "bag": vicino.SparseSpec()}, text=["words"])
        every = [{"id": i, "n": i, "words": f"word{i}", "bag": {i % 7: 1.0, 100 + i: 1.0}} for i in range(N)]
        docs.upsert([record | ({"v": rows[i]} if i % 10 else {}) for i, record in enumerate(every)])
        docs.optimize()
        for i in range(0, N, 97):
            record = docs.get(i, vectors=True)
            assert record.fields["n"] == i
            assert ("v" in record.vectors) == bool(i % 10)
            assert docs.search(vicino.Text(f"word{i}", fields="words"), limit=3).ids == [i]
            assert docs.search(vicino.Sparse({100 + i: 1.0}), limit=1).ids == [i]
            if i % 10:
                assert np.allclose(record.vectors["v"], rows[i], atol=0.05)
                assert docs.search(rows[i], vector="v", limit=1).ids == [i]
        order = [record.id for record in docs.iter()]
        assert sorted(order) == list(range(N))
        assert order != sorted(order)
        assert order[-N // 10 :] == list(range(0, N, 10))


def test_writes_during_a_merge_into_list_order_find_their_rows():
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, "flat")
        docs.set_index("ivf_flat")
        docs.update(range(0, N, 3), set={"n": -1})
        docs.delete(range(1, N, 3))
        docs.optimize()
        assert {record.id: record.fields["n"] for record in docs.iter()} == {i: -1 if i % 3 == 0 else i for i in range(N) if i % 3 != 1}


def test_lists_to_probe_are_measured_when_an_index_is_built():
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, "ivf_flat")
        (lists,) = lists_of(docs)
        assert 0 < lists["nprobe"] < lists["nlist"] / 2
        assert docs.search(clusters(1, 2)[0]).plan.segments[0].visited == lists["nprobe"]
        assert recall(docs) > 0.9


def test_a_merge_keeps_the_centroids_of_rows_that_are_much_like_those_before():
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, IndexSpec("ivf_flat", nlist=40))
        docs.upsert(ids=range(N, N + 300), vectors=clusters(300, 4))
        docs.optimize()
        (after,) = lists_of(docs)
        assert after["trained_rows"] == N
        assert after["drift"] == pytest.approx(1, abs=0.05)


def test_a_merge_trains_anew_when_rows_have_drifted_from_their_centroids():
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, IndexSpec("ivf_flat", nlist=40))
        docs.upsert(ids=range(N, 2 * N), vectors=np.random.default_rng(5).standard_normal((N, DIM), dtype=np.float32))
        docs.optimize()
        (after,) = lists_of(docs)
        assert after["trained_rows"] == 2 * N
        assert after["drift"] == 1


def test_stats_say_on_how_many_rows_lists_were_trained_and_how_far_rows_have_drifted():
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, IndexSpec("ivf_flat", nlist=40))
        found = docs.stats().segments[0].lists["vector"]
        assert (found.trained_rows, found.drift) == (N, 1.0)
        shown = f'"vector": {found.nlist} lists, {found.nprobe} probed, trained on 3,000 rows, drift 1.00'
        assert shown in repr(docs.stats())


@pytest.mark.parametrize("kind", ["ivf_flat", "ivf", "ivf_pq"])
def test_the_same_rows_give_the_same_lists_whenever_they_are_made(kind, tmp_path):
    def written(folder) -> list[bytes]:
        with vicino.open(folder, limits=LIMITS) as db:
            filled(db, kind)
        return [file.read_bytes() for file in folder.rglob("*.graph")]

    first = written(tmp_path / "first")
    assert len(first) == 1
    assert written(tmp_path / "second") == first


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="pages are dropped by posix_fadvise")
@pytest.mark.parametrize("kind", ["ivf_flat", "ivf", "ivf_pq", "ivf_opq", "ivf_hnsw"])
def test_lists_are_found_again_after_their_pages_left_memory(kind, tmp_path):
    with vicino.open(tmp_path, limits=LIMITS) as db:
        docs = filled(db, kind)
        queries = clusters(30, 1)
        expected = [[(hit.id, hit.score) for hit in found] for found in docs.search_many(queries)]
    for file in tmp_path.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
    with vicino.open(tmp_path, limits=LIMITS) as db:
        found = [[(hit.id, hit.score) for hit in db["docs"].search(query)] for query in queries]
    assert found == expected
