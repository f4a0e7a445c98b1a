"""`layout="disk"`: a graph walked by blocks finds what others find, under filters and after deletions, and can be had at any time."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import vicino
from tests.unit.collection import indexed
from tests.unit.collection.indexed import N, recall
from vicino import IndexSpec
from vicino.collection.limits import Limits
from vicino.errors import InvalidArgument

DIM = 64
LIMITS = Limits(graph_rows_min=500)
DISK = IndexSpec("graph", layout="disk")
clusters, filled = partial(indexed.clusters, DIM), partial(indexed.filled, DIM)


def strategies(docs, **options) -> set[str]:
    return {step.strategy for step in docs.search(clusters(1, 2)[0], **options).plan.segments} - {"none"}  # of the empty head


@pytest.fixture
def docs(tmp_path):
    with vicino.open(tmp_path, limits=LIMITS) as db:
        yield filled(db, DISK)


def test_a_search_walks_blocks_and_finds_what_a_scan_finds(docs):
    assert strategies(docs) == {"graph on disk"}
    assert recall(docs) > 0.97


@pytest.mark.parametrize("settings", [{"metric": "dot"}, {"metric": "l2"}, {"dtype": "float16"}, {"keep_raw": False}], ids=str)
def test_vectors_of_every_kind_with_codes_can_lie_in_blocks(settings):
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, DISK, **settings)
        assert strategies(docs) == {"graph on disk"}
        assert recall(docs) > 0.97


def test_scores_are_those_of_a_scan(docs):
    query = clusters(1, 2)[0]
    exact = {hit.id: hit.score for hit in docs.search(query, exact=True)}
    found = {hit.id: hit.score for hit in docs.search(query, ef=200)}
    assert found == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("where", ["n < 1500", "n < 300", "n >= 2990"])
def test_filters_are_honored(docs, where):
    assert recall(docs, where=where) > 0.95


def test_deleted_records_are_not_found(docs):
    (first,) = docs.search(clusters(1, 2)[0], limit=1).ids
    docs.delete([first])
    assert first not in docs.search(clusters(1, 2)[0], limit=50).ids
    assert recall(docs) > 0.97


def test_a_limit_beyond_the_beam_is_filled(docs):
    assert len(docs.search(clusters(1, 2)[0], limit=400)) == 400


def test_more_is_found_by_a_wider_beam(docs):
    assert recall(docs, ef=10) <= recall(docs, ef=200)


@pytest.mark.parametrize("rescore", ["off", 3.0])
def test_another_rescoring_is_done_by_the_graph(docs, rescore):
    assert strategies(docs, rescore=rescore) == {"graph"}


def test_the_layout_is_changed_on_a_live_collection(tmp_path):
    with vicino.open(tmp_path, limits=LIMITS) as db:
        docs = filled(db, "graph")
        for index, strategy in ((DISK, "graph on disk"), ("graph", "graph"), ({"kind": "auto", "layout": "disk"}, "graph on disk")):
            docs.set_index(index).wait()
            assert strategies(docs) == {strategy}
    with vicino.open(tmp_path, limits=LIMITS) as db:
        assert strategies(db["docs"]) == {"graph on disk"}
        assert db["docs"].settings.spec("vector").index == IndexSpec("auto", layout="disk")
        assert db.check().is_sound


def test_blocks_take_memory_of_their_entries_only(tmp_path):
    with vicino.open(tmp_path, limits=LIMITS) as db:
        docs = filled(db, DISK)
        before = db.stats().memory_bytes
        docs.search(clusters(1, 2)[0])
        assert 0 < db.stats().memory_bytes - before < 20_000


def test_blocks_are_made_under_a_memory_limit(tmp_path):
    with vicino.open(tmp_path, limits=LIMITS, memory_limit="64MB") as db:
        docs = filled(db, DISK)
        assert strategies(docs) == {"graph on disk"}
        assert recall(docs) > 0.97


def test_merges_stop_where_a_graph_would_not_fit_into_memory(tmp_path):
    limits = Limits(graph_rows_min=500, head_rows_max=1500)
    with vicino.open(tmp_path, limits=limits, memory_limit="48MB") as db:
        docs = db.create_collection("docs", dim=DIM, index=DISK)
        for first in range(0, 24_000, 1000):
            docs.upsert(ids=range(first, first + 1000), vectors=clusters(1000, first))
        docs.optimize()
        stats = docs.stats()
        assert max(segment.rows for segment in stats.segments) < 24_000
        assert stats.unindexed_rows < 2000
        assert docs.search(clusters(1000, 7000)[5], limit=1).ids == [7005]


def test_check_names_a_damaged_block(tmp_path):
    with vicino.open(tmp_path, limits=LIMITS) as db:
        filled(db, DISK)
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file() and b"VICPAGES" in path.read_bytes())
    content = bytearray(file.read_bytes())
    content[content.index(b"VICPAGES") + 3 * 4096 + 20] ^= 1
    file.write_bytes(content)
    with vicino.open(tmp_path, limits=LIMITS) as db:
        assert not db.check().is_sound


def test_a_promise_of_recall_holds_over_blocks(tmp_path):
    with vicino.open(tmp_path, limits=LIMITS) as db:
        docs = filled(db, DISK, recall=0.95)
        found = docs.search_many(clusters(60, 1), limit=10)
        truth = docs.search_many(clusters(60, 1), limit=10, exact=True)
        assert np.mean([len(set(a.ids) & set(b.ids)) / 10 for a, b in zip(found, truth, strict=True)]) > 0.93


def test_why_knows_the_rank_of_a_record(docs):
    query = clusters(1, 2)[0]
    tenth = docs.search(query, limit=10, exact=True).ids[-1]
    assert docs.why(query, tenth, limit=10).rank == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "hnsw", "layout": "disk"}, 'layout goes with an index of kind auto, graph, not with "hnsw"'),
        ({"kind": "ivf", "layout": "disk"}, 'layout goes with an index of kind auto, graph, not with "ivf"'),
        ({"layout": "disc"}, 'layout of an index must be "memory" or "disk", got \'disc\'. Did you mean'),
        ({"layout": "disk", "codes": "none"}, 'layout="disk" goes with codes="4bit"'),
        ({"layout": "disk", "codes": "8bit"}, 'layout="disk" goes with codes="4bit"'),
        ({"layout": "disk", "rescore": "off"}, 'layout="disk" reads the vector of a node with its neighbors'),
    ],
)
def test_what_does_not_go_with_blocks_is_refused(options, message):
    with pytest.raises(InvalidArgument, match=message):
        IndexSpec(**options)


@pytest.mark.parametrize(
    "settings", [{"dim": 32}, {"dim": 64, "metric": "l1"}, {"dim": 64, "dtype": "int8"}, {"dim": 64, "dtype": "uint8"}], ids=str
)
def test_vectors_without_codes_are_refused(settings):
    with vicino.open() as db, pytest.raises(InvalidArgument, match='layout="disk" needs codes'):
        db.create_collection("docs", index=DISK, **settings)


def test_every_row_is_found_in_segments_and_after_a_merge(tmp_path):
    with vicino.open(tmp_path, limits=LIMITS) as db:
        docs = filled(db, DISK)
        docs.upsert(ids=range(N, N + 1000), vectors=clusters(1000, 5), fields=[{"n": n} for n in range(N, N + 1000)])
        docs.optimize()
        assert docs.search(clusters(1000, 5)[17], limit=1).ids == [N + 17]
