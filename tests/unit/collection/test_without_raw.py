"""keep_raw=False: sealed vectors are kept in 8 bits a number. What that saves, what it costs, and that nothing drifts."""

from __future__ import annotations

import shutil
import struct

import numpy as np
import pytest

import vicino
from vicino import VectorSpec
from vicino.collection.limits import Limits
from vicino.errors import ExistsError, InvalidArgument

DIM = 96
LIMITS = Limits(graph_rows_min=500)
SMALL = Limits(head_rows_max=64, merge_fan_in=2, graph_rows_min=10_000, close_log_bytes_max=0)


def clusters(n: int, seed: int = 0, dim: int = DIM) -> np.ndarray:
    chance = np.random.default_rng(seed)
    centers = np.random.default_rng(9).standard_normal((40, dim), dtype=np.float32)
    return centers[chance.integers(0, 40, n)] + 0.5 * chance.standard_normal((n, dim), dtype=np.float32)


def kept(rows: np.ndarray) -> np.ndarray:
    return vicino._core.decode_rows(vicino._core.encode_rows(rows), rows.shape[1])


def stored(docs, n: int) -> np.ndarray:
    return np.array([record.vector for record in docs.get(list(range(n)), vectors=True)], np.float32)


def filled(db, rows: np.ndarray, **options):
    docs = db.create_collection("docs", dim=rows.shape[1], keep_raw=False, **options)
    docs.upsert(ids=range(len(rows)), vectors=rows)
    return docs


def test_vectors_take_little_more_than_a_byte_a_number_on_disk(tmp_path):
    rows = clusters(4000, dim=256)
    with vicino.open(tmp_path) as db:
        raw = db.create_collection("raw", dim=256, index="flat")
        raw.upsert(ids=range(len(rows)), vectors=rows)
        docs = filled(db, rows, index="flat")
        for collection in (raw, docs):
            collection.optimize()
        assert docs.stats().disk_bytes["vectors"] < 0.28 * raw.stats().disk_bytes["vectors"]
        assert docs.stats().total_bytes < 0.4 * raw.stats().total_bytes


def test_a_vector_is_as_it_was_written_until_it_is_sealed():
    rows = clusters(50)
    with vicino.open() as db:
        docs = filled(db, rows)
        assert np.array_equal(stored(docs, 50), rows)
        docs.optimize()
        assert np.array_equal(stored(docs, 50), kept(rows))


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1"])
def test_scores_are_those_of_the_vectors_that_are_given_back(metric):
    rows, query = clusters(600), clusters(1, 1)[0]
    with vicino.open() as db:
        docs = filled(db, rows, metric=metric)
        docs.optimize()
        plain = db.create_collection("plain", dim=DIM, metric=metric)
        plain.upsert(ids=range(600), vectors=stored(docs, 600))
        found, expected = (collection.search(query, limit=20, exact=True) for collection in (docs, plain))
        assert [(hit.id, hit.score) for hit in found] == [(hit.id, hit.score) for hit in expected]


@pytest.mark.parametrize("kind", ["graph", "hnsw", "flat", "ivf_flat", "ivf", "ivf_pq", "ivf_opq", "ivf_hnsw"])
@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_every_index_finds_what_the_raw_vectors_have_near(kind, metric):
    rows, queries = clusters(3000), clusters(50, 1)
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, rows, index=kind, metric=metric)
        plain = db.create_collection("plain", dim=DIM, index="flat", metric=metric)
        plain.upsert(ids=range(3000), vectors=rows)
        docs.optimize()
        wide = {"nprobe": 300} if kind.startswith("ivf") else {"ef": 200} if kind != "flat" else {}
        truth, found = plain.search_many(queries, exact=True), docs.search_many(queries, **wide)
        shares = [len({hit.id for hit in a} & {hit.id for hit in b}) / 10 for a, b in zip(truth, found, strict=True)]
        assert np.mean(shares) > 0.95


def test_nothing_drifts_over_twenty_merges(tmp_path):
    rows = clusters(100)
    with vicino.open(tmp_path, limits=SMALL, sync="off") as db:
        docs = filled(db, rows)
        docs.optimize()
        first = stored(docs, 100)
        files = set()
        for turn in range(20):
            docs.upsert(ids=range(100, 150 + turn), vectors=clusters(50 + turn, turn))  # overwritten every time: segments decay and merge
            docs.optimize()
            files |= {name for segment in docs._shard.segments.values() for name in segment.vectors.values()}
        assert len(files) >= 20
        assert np.array_equal(stored(docs, 100), first)


def test_writing_back_what_was_read_changes_nothing():
    rows = clusters(80)
    with vicino.open() as db:
        docs = filled(db, rows)
        docs.optimize()
        first = stored(docs, 80)
        for _ in range(3):
            docs.upsert(ids=range(80), vectors=stored(docs, 80))
            docs.optimize()
        assert np.array_equal(stored(docs, 80), first)


def test_a_crash_loses_no_vector_sealed_or_not(tmp_path):
    rows = clusters(300)
    with vicino.open(tmp_path / "data", limits=SMALL) as db:
        docs = filled(db, rows[:200])
        docs.optimize()
        docs.upsert(ids=range(200, 300), vectors=rows[200:])
        expected = stored(docs, 300)
        db.snapshot(tmp_path / "copy")
        shutil.copytree(tmp_path / "data", tmp_path / "crashed", ignore=shutil.ignore_patterns("lock*"))
    for name in ("data", "copy", "crashed"):
        with vicino.open(tmp_path / name, limits=SMALL) as db:
            found = stored(db["docs"], 300)
            assert np.array_equal(found[:200], expected[:200])  # sealed before: to the bit
            assert np.abs(found - rows).max() < 0.02
            assert db.check().is_sound


def test_an_index_is_built_anew_from_what_is_kept():
    rows = clusters(2000)
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, rows)
        docs.optimize()
        first = stored(docs, 2000)
        for kind in ("ivf", "hnsw", "flat", "graph"):
            docs.set_index(kind).wait()
            assert docs.search(rows[7], limit=1).ids == [7]
        assert np.array_equal(stored(docs, 2000), first)


def test_records_without_the_vector_stay_without():
    with vicino.open() as db:
        docs = db.create_collection("docs", vectors={"a": VectorSpec(8, keep_raw=False), "b": VectorSpec(8)})
        docs.upsert([{"id": 1, "a": [1.0] * 8, "b": [1.0] * 8}, {"id": 2, "b": [2.0] * 8}])
        docs.optimize()
        assert [set(record.vectors) for record in docs.get([1, 2], vectors=True)] == [{"a", "b"}, {"b"}]
        assert docs.search([1.0] * 8, vector="a").ids == [1]


def test_half_precision_is_kept_in_a_byte_a_number():
    rows = clusters(900).astype(np.float16)
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, rows, dtype="float16")
        docs.optimize()
        assert docs.search(rows[3], limit=1).ids == [3]
        assert np.abs(stored(docs, 900) - rows.astype(np.float32)).max() < 0.02
        assert docs.stats().disk_bytes["vectors"] < 900 * DIM * 1.3


def test_a_promise_is_relative_to_what_is_kept():
    rows = clusters(4000)
    with vicino.open(limits=LIMITS) as db:
        docs = filled(db, rows, recall=0.9)
        docs.optimize()
        assert docs.search(rows[5], limit=5).recall >= 0.9


def test_what_was_exported_comes_back_the_same(tmp_path):
    rows = clusters(60)
    with vicino.open() as db:
        docs = filled(db, rows)
        docs.optimize()
        docs.export(tmp_path / "docs.jsonl", vectors=True)
        other = db.create_collection("other", dim=DIM, keep_raw=False)
        other.load(tmp_path / "docs.jsonl")
        other.optimize()
        assert np.array_equal(stored(other, 60), stored(docs, 60))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "binary"])
def test_vectors_that_are_compact_already_are_refused(dtype):
    with pytest.raises(InvalidArgument, match=f"keep_raw=False keeps float32 and float16 vectors in 8 bits a number; {dtype} vectors"):
        VectorSpec(64, "hamming" if dtype == "binary" else "l2", dtype, keep_raw=False)


def test_keep_raw_is_yes_or_no():
    with pytest.raises(InvalidArgument, match="keep_raw must be True or False, got 1"):
        VectorSpec(8, keep_raw=1)  # type: ignore[arg-type]


def test_keep_raw_without_a_vector_is_refused():
    with vicino.open() as db, pytest.raises(InvalidArgument, match="keep_raw=False is of the vector that dim= or model= declares"):
        db.create_collection("docs", vectors={"a": VectorSpec(8)}, keep_raw=False)


def test_keep_raw_is_part_of_what_a_collection_is():
    with vicino.open() as db:
        db.create_collection("docs", dim=8, keep_raw=False)
        with pytest.raises(ExistsError, match='keep_raw of vector "vector" is False, asked for none'):
            db.create_collection("docs", dim=8, exist_ok=True)


def test_the_plan_says_which_segments_keep_vectors_in_8_bits():
    with vicino.open() as db:
        docs = filled(db, clusters(50))
        docs.optimize()
        docs.upsert({"id": "new", "vector": clusters(1, 3)[0]})
        plan = docs.explain(clusters(1, 1)[0], exact=True)
        assert [step.keeps_raw for step in plan.segments] == [False, True]
        assert "rows kept in 8 bits a number" in repr(plan)
        batch = docs.search_many(clusters(200, 1), exact=True)
        assert [step.keeps_raw for step in batch[0].plan.segments] == [False, True]


def test_a_graph_is_measured_by_what_is_kept(tmp_path):
    """Rows of 8 bits were read as if they were floats: no growth was found, and a query reached beyond its row."""
    rows = clusters(5000)
    growths = []
    for keep_raw in (True, False):
        with vicino.open(tmp_path / str(keep_raw)) as db:
            docs = db.create_collection("docs", dim=DIM, metric="l2", keep_raw=keep_raw)
            docs.upsert(ids=range(len(rows)), vectors=rows)
            docs.optimize()
            graph = next((tmp_path / str(keep_raw)).rglob("*.graph")).read_bytes()
            growths.append(struct.unpack_from("<f", graph, graph.index(b"VICGRAPH") + 56)[0])
            assert docs.stats().segments[0].graphs["vector"].ef == 64
    assert growths[1] == pytest.approx(growths[0], rel=0.05)
