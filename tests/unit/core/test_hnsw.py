"""The hierarchical graph as a buffer: layers, determinism, degenerate data, damage, memory, recall."""

import functools
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.unit.core.graphs import DEGENERATE, bits, expect_build_within_stated_memory, expect_damage_is_harmless, gaussians, near_copies
from vicino import _core
from vicino.errors import CorruptionError, FormatError, InvalidArgument, TimeoutError

DEBIAN = Path(__file__).resolve().parents[4] / "shared" / "data" / "vectors-debian"


@functools.cache
def opened(n: int = 4000, m: int = 8) -> _core.SearchableHnsw:
    vectors = gaussians(n)
    return _core.SearchableHnsw(_core.build_hnsw(vectors, "l2", m=m, ef_construct=60), vectors, "l2")


def recall(
    index: _core.SearchableHnsw, vectors: np.ndarray, queries: np.ndarray, ef: int, metric: str, allowed: np.ndarray | None = None
) -> float:
    """Share of the found ten that are as near as the tenth nearest."""
    found = index.search(queries, 10, ef, allowed)[1]
    farthest = _core.exact_search(vectors, queries, 10, metric, allowed)[1][:, -1:]
    return float(np.mean(found <= farthest + 1e-6 * np.abs(farthest)))


# ---- layers and links


def test_each_layer_holds_about_one_mth_of_the_one_below() -> None:
    counts = opened().layer_nodes
    assert counts[0] == 4000
    assert 400 < counts[1] < 600  # 500 in the mean, give or take 21
    assert all(2 <= above < below for below, above in itertools.pairwise(counts))


def test_nodes_link_to_at_most_m_others_of_their_layer_and_to_twice_as_many_on_the_base() -> None:
    index = opened()
    for layer, count in enumerate(index.layer_nodes):
        for node, links in enumerate(index.links(layer)):
            assert 1 <= len(links) <= (16 if layer == 0 else 8)
            assert len(set(links)) == len(links)
            assert node not in links
            assert max(links) < count


def test_a_search_begins_far_nearer_than_the_entries_of_a_graph() -> None:
    vectors = gaussians(4000)
    _, _, scored, _, hops = opened().search(vectors[::40], 1, 1)
    assert scored / 100 < 150  # the base alone has 64 entries to score before its first hop
    assert hops / 100 < 12


@pytest.mark.parametrize(("m", "ef_construct"), [(2, 2), (64, 64), (32, 10_000)])
def test_the_limits_of_the_parameters_work(m: int, ef_construct: int) -> None:
    vectors = gaussians(600)
    index = _core.SearchableHnsw(_core.build_hnsw(vectors, "l2", m=m, ef_construct=ef_construct), vectors, "l2")
    index.verify()
    assert np.array_equal(index.search(vectors[:5], 600, 600)[0], _core.exact_search(vectors, vectors[:5], 600, "l2")[0])


@pytest.mark.parametrize(
    ("m", "ef_construct", "message"),
    [
        (1, 200, "m must be between 2 and 64, got 1"),
        (65, 200, "m must be between 2 and 64, got 65"),
        (16, 15, "ef_construct must be between m, which is 16, and 10000, got 15"),
        (16, 10_001, "got 10001"),
    ],
)
def test_parameters_out_of_range_are_refused(m: int, ef_construct: int, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        _core.build_hnsw(gaussians(10), "l2", m=m, ef_construct=ef_construct)


# ---- determinism


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1", "hamming", "jaccard"])
def test_one_and_two_threads_give_the_same_bytes(metric: str) -> None:
    vectors = bits(3000) if metric in ("hamming", "jaccard") else near_copies()
    build = functools.partial(_core.build_hnsw, vectors, metric, ef_construct=60)
    assert build(threads=1) == build(threads=2)


def test_another_seed_gives_another_index() -> None:
    vectors = gaussians(1000)
    assert _core.build_hnsw(vectors, "l2", seed=1) != _core.build_hnsw(vectors, "l2", seed=2)


# ---- what is found


@pytest.mark.parametrize("n", [0, 1, 2, 3, 17, 64, 65, 1100])
@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_a_beam_as_wide_as_the_index_finds_every_row(n: int, metric: str) -> None:
    vectors = gaussians(n, dim=8)
    index = _core.SearchableHnsw(_core.build_hnsw(vectors, metric), vectors, metric)
    index.verify()
    queries = gaussians(3, dim=8, seed=9)
    rows, distances, *_ = index.search(queries, n + 5, n + 5)
    expected_rows, expected_distances = _core.exact_search(vectors, queries, n + 5, metric)
    assert np.array_equal(rows, expected_rows)
    assert np.array_equal(distances, expected_distances)


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1"])
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_rows_are_all_reachable(name: str, metric: str) -> None:
    vectors = DEGENERATE[name]
    index = _core.SearchableHnsw(_core.build_hnsw(vectors, metric, ef_construct=60), vectors, metric)
    index.verify()
    rows, distances, *_ = index.search(vectors[:2], 3000, 3000)
    expected = _core.exact_search(vectors, vectors[:2], 3000, metric)
    assert np.array_equal(rows, expected[0])
    assert np.array_equal(distances, expected[1])


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8"])
def test_every_type_is_indexed(dtype: str) -> None:
    vectors = (gaussians(2500) * 20 + 60).clip(0, 127).astype(dtype)
    index = _core.SearchableHnsw(_core.build_hnsw(vectors, "l2"), vectors, "l2")
    distances = index.search(vectors[:200].astype(np.float32 if dtype == "float16" else dtype), 1, 48)[1]
    assert np.mean(distances[:, 0] == 0) > 0.98


def test_rows_without_a_vector_are_never_found() -> None:
    vectors = gaussians(1000)
    present = np.arange(1000) % 3 != 0
    index = _core.SearchableHnsw(_core.build_hnsw(vectors, "l2", present=present), vectors, "l2")
    for found in index.search(vectors[:20], 1000, 1000)[0]:
        assert np.array_equal(np.sort(found[found >= 0]), np.flatnonzero(present))


def test_duplicates_by_the_thousand_share_a_node_and_are_all_found() -> None:
    vectors = gaussians(4000)
    vectors[500:2500] = vectors[7]
    index = _core.SearchableHnsw(_core.build_hnsw(vectors, "l2"), vectors, "l2")
    assert index.layer_nodes[0] == 2000
    rows, distances, *_ = index.search(vectors[7:8], 2001, 64)
    assert np.array_equal(rows[0], [7, *range(500, 2500)])
    assert np.all(distances == 0)


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_near_copies_share_a_node_and_are_ranked_by_their_own_distances(metric: str) -> None:
    vectors = near_copies()
    index = _core.SearchableHnsw(_core.build_hnsw(vectors, metric), vectors, metric)
    assert index.layer_nodes[0] <= 2510
    rows, distances, *_ = index.search(vectors[500:520:2], 501, 64)
    expected_rows, expected_distances = _core.exact_search(vectors, vectors[500:520:2], 501, metric)
    assert np.array_equal(rows, expected_rows)
    assert np.array_equal(distances, expected_distances)


def test_only_allowed_rows_are_found() -> None:
    vectors = gaussians(4000)
    allowed = np.arange(4000) % 4 == 1
    rows = opened().search(vectors[:50], 10, 64, allowed)[0]
    assert np.all(allowed[rows])
    assert recall(opened(), vectors, vectors[:50], 64, "l2", allowed=allowed) >= 0.9


def test_nothing_allowed_finds_nothing() -> None:
    assert np.all(opened().search(gaussians(3, seed=5), 5, 64, np.zeros(4000, bool))[0] == -1)


# ---- recall


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1"])
def test_recall_of_clustered_rows(metric: str) -> None:
    vectors, queries = gaussians(10_000, 48), gaussians(10_200, 48)[10_000:]
    index = _core.SearchableHnsw(_core.build_hnsw(vectors, metric, threads=2), vectors, metric)
    assert recall(index, vectors, queries, 100, metric) >= 0.95


@pytest.mark.parametrize("metric", ["hamming", "jaccard"])
def test_recall_of_bits(metric: str) -> None:
    vectors = np.packbits(gaussians(10_200, 256) > 0, axis=1)
    index = _core.SearchableHnsw(_core.build_hnsw(vectors[:10_000], metric, threads=2), vectors[:10_000], metric)
    assert recall(index, vectors[:10_000], vectors[10_000:], 64, metric) >= 0.95


# hnswlib with m 16 and ef_construct 200 on the same rows and queries: 0.9324, 0.9758 and 0.9982.
@pytest.mark.skipif(not DEBIAN.exists(), reason="needs vectors-debian")
def test_recall_of_real_embeddings_is_that_of_hnswlib() -> None:
    vectors, queries = (
        np.load(DEBIAN / f"{name}.f16.npy", mmap_mode="r")[:n].astype(np.float32) for name, n in (("base", 20_000), ("query", 1000))
    )
    index = _core.SearchableHnsw(_core.build_hnsw(vectors, "cosine", threads=2), vectors, "cosine")
    for ef, peer in ((24, 0.9324), (48, 0.9758), (200, 0.9982)):
        assert recall(index, vectors, queries, ef, "cosine") >= peer - 0.01


# ---- limits and damage


def test_a_deadline_stops_build_and_search() -> None:
    vectors = gaussians(20_000)
    with pytest.raises(TimeoutError):
        _core.build_hnsw(vectors, "l2", threads=2, timeout_s=0.05)
    with pytest.raises(TimeoutError):
        opened().search(vectors, 10, 1000, timeout_s=0.01)


def test_an_index_of_another_size_is_refused() -> None:
    vectors = gaussians(100)
    with pytest.raises(CorruptionError, match="is over 100 rows, the segment has 99; rebuild"):
        _core.SearchableHnsw(_core.build_hnsw(vectors, "l2"), vectors[:99], "l2")


def test_a_newer_format_is_refused_as_such() -> None:
    vectors = gaussians(100)
    damaged = bytearray(_core.build_hnsw(vectors, "l2"))
    damaged[8] = 2
    with pytest.raises(FormatError, match="format 2, this version reads up to 1; upgrade"):
        _core.SearchableHnsw(bytes(damaged), vectors, "l2")


def test_every_truncation_is_refused() -> None:
    vectors = gaussians(300)
    built = _core.build_hnsw(vectors, "l2", m=4)
    for size in [*range(300), *range(300, len(built), 97), len(built) - 1]:
        with pytest.raises(CorruptionError):
            _core.SearchableHnsw(built[:size], vectors, "l2")


def test_an_upper_link_out_of_its_layer_is_refused_by_search_and_verify() -> None:
    vectors = gaussians(300)
    built = bytearray(_core.build_hnsw(vectors, "l2", m=4))
    n_layers = int.from_bytes(built[20:24], "little")
    counts = np.frombuffer(built, np.uint32, n_layers, 64).tolist()
    top = 128 + 4 * 4 * sum(counts[:-1])  # node 0 of the highest layer
    built[top : top + 4] = counts[-1].to_bytes(4, "little")
    index = _core.SearchableHnsw(bytes(built), vectors, "l2")
    for check in (index.verify, lambda: index.search(vectors[:1], 1, 8)):
        with pytest.raises(CorruptionError, match=rf"hnsw: node 0 of layer {n_layers} links to node {counts[-1]} of {counts[-1]}; rebuild"):
            check()


def test_damage_anywhere_is_an_error_or_harmless() -> None:
    vectors = gaussians(300, dim=4)
    vectors[50:90] = vectors[0]
    built = _core.build_hnsw(vectors, "l2", m=4)

    def rows_found(damaged: bytes) -> np.ndarray:
        return _core.SearchableHnsw(damaged, vectors, "l2").search(vectors[:2], 300, 300)[0]

    expect_damage_is_harmless(built, rows_found, 300)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("n", "dim", "dtype"), [(10_000, 64, "float32"), (1_500, 768, "float32"), (10_000, 256, "binary")])
def test_a_build_stays_within_its_stated_memory(n: int, dim: int, dtype: str) -> None:
    expect_build_within_stated_memory("hnsw", n, dim, dtype, ef_construct=32)
