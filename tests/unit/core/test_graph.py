"""The graph as a buffer: determinism, degenerate data, damage, memory. Its recall is measured in tests/recall."""

import contextlib
import sys

import numpy as np
import pytest

from tests.unit.core.graphs import DEGENERATE, bits, expect_build_within_stated_memory, expect_damage_is_harmless, gaussians, near_copies
from vicino import _core
from vicino.errors import CorruptionError, FormatError, TimeoutError


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1", "hamming", "jaccard"])
def test_one_and_two_threads_give_the_same_bytes(metric: str) -> None:
    vectors = bits(3000) if metric in ("hamming", "jaccard") else gaussians(3000)
    vectors[100:160] = vectors[0]
    assert _core.build_graph(vectors, metric, threads=1) == _core.build_graph(vectors, metric, threads=2)


def test_another_seed_gives_another_graph() -> None:
    vectors = gaussians(3000)
    assert _core.build_graph(vectors, "l2", seed=1) != _core.build_graph(vectors, "l2", seed=2)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 63, 64, 65, 129, 1024, 1025, 1100])
@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_a_beam_as_wide_as_the_graph_finds_every_row(n: int, metric: str) -> None:
    vectors = gaussians(n, dim=8)
    graph = _core.build_graph(vectors, metric)
    assert _core.graph_stats(graph, n)["nodes"] == n
    queries = gaussians(3, dim=8, seed=9)
    rows, distances, _ = _core.graph_search(graph, vectors, queries, n + 5, n + 5, metric)
    expected_rows, expected_distances = _core.exact_search(vectors, queries, n + 5, metric)
    assert np.array_equal(rows, expected_rows)
    assert np.array_equal(distances, expected_distances)


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1"])
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_rows_are_all_reachable(name: str, metric: str) -> None:
    vectors = DEGENERATE[name]
    graph = _core.build_graph(vectors, metric)
    stats = _core.graph_stats(graph, len(vectors))  # checks reachability too
    assert stats["nodes"] <= len(np.unique(vectors, axis=0))
    rows, distances, _ = _core.graph_search(graph, vectors, vectors[:2], 3000, 3000, metric)
    expected = _core.exact_search(vectors, vectors[:2], 3000, metric)
    assert np.array_equal(rows, expected[0])
    assert np.array_equal(distances, expected[1])


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8"])
def test_every_type_has_a_graph(dtype: str) -> None:
    vectors = (gaussians(2500) * 20 + 60).clip(0, 127).astype(dtype)
    graph = _core.build_graph(vectors, "l2")
    queries = vectors[:200].astype(np.float32 if dtype == "float16" else dtype)
    rows, distances, _ = _core.graph_search(graph, vectors, queries, 1, 48, "l2")
    assert np.mean(distances[:, 0] == 0) > 0.99
    assert np.mean(rows[:, 0] == np.arange(200)) > 0.98


def test_dimension_8192() -> None:
    vectors = np.random.default_rng(7).standard_normal((1500, 8192), dtype=np.float32)
    graph = _core.build_graph(vectors, "cosine", threads=2)
    rows, _, _ = _core.graph_search(graph, vectors, vectors[:50], 1, 64, "cosine")
    assert np.array_equal(rows[:, 0], np.arange(50))


def test_rows_without_a_vector_are_never_found() -> None:
    vectors = gaussians(2000)
    present = np.arange(2000) % 3 != 0
    vectors[~present] = 0
    graph = _core.build_graph(vectors, "l2", present=present)
    rows, _, _ = _core.graph_search(graph, vectors, vectors[:20], 2000, 2000, "l2")
    for found in rows:
        assert np.array_equal(np.sort(found[found >= 0]), np.flatnonzero(present))


def test_duplicates_share_a_node_and_are_all_found() -> None:
    vectors = gaussians(3000)
    copies = np.arange(500, 1500)
    vectors[copies] = vectors[7]
    graph = _core.build_graph(vectors, "l2")
    assert _core.graph_stats(graph, 3000)["nodes"] == 2000
    rows, distances, _ = _core.graph_search(graph, vectors, vectors[7:8], 1001, 64, "l2")
    assert np.array_equal(rows[0], [7, *copies])
    assert np.all(distances == 0)


def test_only_allowed_duplicates_are_found() -> None:
    vectors = gaussians(3000)
    vectors[500:1500] = vectors[7]
    allowed = np.arange(3000) % 100 == 3
    graph = _core.build_graph(vectors, "l2")
    rows, _, _ = _core.graph_search(graph, vectors, vectors[7:8], 10, 64, "l2", allowed=allowed)
    assert rows[0].tolist() == list(range(503, 1500, 100))


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1"])
def test_near_copies_share_a_node_and_are_ranked_by_their_own_distances(metric: str) -> None:
    vectors = near_copies()
    graph = _core.build_graph(vectors, metric, threads=2)
    assert _core.graph_stats(graph, 3000)["nodes"] <= 2510
    rows, distances, _ = _core.graph_search(graph, vectors, vectors[500:520:2], 501, 64, metric)
    expected_rows, expected_distances = _core.exact_search(vectors, vectors[500:520:2], 501, metric)
    assert np.array_equal(rows, expected_rows)
    assert np.array_equal(distances, expected_distances)


def test_only_allowed_near_copies_are_found() -> None:
    vectors = near_copies()
    allowed = np.arange(3000) % 100 == 2
    graph = _core.build_graph(vectors, "l2")
    rows, _, _ = _core.graph_search(graph, vectors, vectors[:1], 10, 64, "l2", allowed=allowed)
    assert sorted(rows[0].tolist()) == list(range(502, 1500, 100))


def test_near_copies_cost_nothing_to_queries_elsewhere() -> None:
    vectors = near_copies()
    graph = _core.build_graph(vectors, "l2")
    far = np.argsort(np.linalg.norm(vectors - vectors[0], axis=1))[-50:]
    _, _, scored = _core.graph_search(graph, vectors, vectors[far], 10, 64, "l2")
    assert scored / 50 < 1000


def test_near_copies_give_the_same_bytes_for_any_number_of_threads() -> None:
    vectors = near_copies()
    assert _core.build_graph(vectors, "l2", threads=1) == _core.build_graph(vectors, "l2", threads=2)


def test_nothing_allowed_finds_nothing() -> None:
    vectors = gaussians(1500)
    graph = _core.build_graph(vectors, "l2")
    rows, _, _ = _core.graph_search(graph, vectors, vectors[:3], 5, 64, "l2", allowed=np.zeros(1500, bool))
    assert np.all(rows == -1)


def test_zero_vectors_under_cosine_are_at_distance_one() -> None:
    vectors = gaussians(1500)
    vectors[[3, 700]] = 0
    graph = _core.build_graph(vectors, "cosine")
    rows, distances, _ = _core.graph_search(graph, vectors, vectors[:1], 1500, 1500, "cosine")
    assert np.all(distances[0][np.isin(rows[0], [3, 700])] == 1)
    _, distances, _ = _core.graph_search(graph, vectors, np.zeros((1, 32), np.float32), 10, 64, "cosine")
    assert np.all(distances == 1)


def test_a_deadline_stops_build_and_walk() -> None:
    vectors = gaussians(20_000)
    with pytest.raises(TimeoutError):
        _core.build_graph(vectors, "l2", threads=2, timeout_s=0.05)
    graph = _core.build_graph(vectors[:3000], "l2")
    with pytest.raises(TimeoutError):
        _core.graph_search(graph, vectors[:3000], vectors, 10, 1000, "l2", timeout_s=0.01)


def test_a_graph_of_another_size_is_refused() -> None:
    vectors = gaussians(100)
    graph = _core.build_graph(vectors, "l2")
    with pytest.raises(CorruptionError, match="is over 100 rows, the segment has 99; rebuild"):
        _core.graph_search(graph, vectors[:99], vectors[:1], 1, 8, "l2")


def test_codes_of_floats_beside_rows_of_another_type_are_refused() -> None:
    graph = _core.build_graph(gaussians(300, dim=128), "l2")
    rows = np.random.default_rng(1).integers(-100, 100, (300, 128), dtype=np.int8)
    with pytest.raises(CorruptionError, match="its codes are of floats of 128 dimensions, the vectors are int8 of 128; rebuild"):
        _core.graph_search(graph, rows, rows[:1], 1, 8, "l2")


@pytest.mark.parametrize("allowed", [None, np.arange(8000) % 2 == 0], ids=["all rows", "half of them"])
@pytest.mark.parametrize("noise", [0.015, 0.03, 0.1])
@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_a_scan_finds_the_nearest_of_a_crowd_that_codes_cannot_tell_apart(metric: str, noise: float, allowed: np.ndarray | None) -> None:
    vectors, center = gaussians(8000, dim=128), gaussians(1, dim=128, seed=2)
    rng = np.random.default_rng(3)
    vectors[::4] = center + noise * rng.standard_normal((2000, 128), dtype=np.float32)
    queries = center + noise * rng.standard_normal((10, 128), dtype=np.float32)
    graph = _core.SearchableGraph(_core.build_graph(vectors, metric), vectors, metric)
    truth, _ = _core.exact_search(vectors, queries, 10, metric, allowed=allowed)
    assert np.mean(graph.scan(queries, 10, allowed)[0] == truth) > 0.99


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("number", [np.nan, -np.nan])
def test_damaged_rows_that_are_no_numbers_stand_in_nobodys_way(metric: str, number: float) -> None:
    vectors, queries = gaussians(3000, dim=128), gaussians(10, dim=128)
    graph = _core.build_graph(vectors, metric)
    vectors[np.unique(_core.exact_search(vectors, queries, 3, metric)[0])] = number
    truth, _ = _core.exact_search(vectors, queries, 5, metric)
    found, distances, _ = _core.graph_search(graph, vectors, queries, 5, 3000, metric)
    assert np.array_equal(found, truth)
    assert np.isfinite(distances).all()


def test_a_newer_format_is_refused_as_such() -> None:
    vectors = gaussians(100)
    graph = bytearray(_core.build_graph(vectors, "l2"))
    graph[8] = 5
    with pytest.raises(FormatError, match="format 5, this version reads up to 4; upgrade"):
        _core.graph_search(bytes(graph), vectors, vectors[:1], 1, 8, "l2")


def test_every_truncation_is_refused() -> None:
    vectors = gaussians(100)
    graph = _core.build_graph(vectors, "l2")
    for size in [*range(130), *range(130, len(graph), 97), len(graph) - 1]:
        with pytest.raises(CorruptionError):
            _core.graph_search(graph[:size], vectors, vectors[:1], 1, 8, "l2")


@pytest.mark.parametrize("noise", [0, 1e-5], ids=["equal copies", "near copies"])
def test_damage_anywhere_is_an_error_or_harmless(noise: float) -> None:
    vectors = gaussians(300, dim=4)
    vectors[50:90] = vectors[0] + noise * np.random.default_rng(1).standard_normal((40, 4))
    graph = _core.build_graph(vectors, "l2", links=8)
    expect_damage_is_harmless(graph, lambda damaged: _core.graph_search(damaged, vectors, vectors[:2], 300, 300, "l2")[0], 300)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("n", "dim", "dtype"), [(20_000, 64, "float32"), (2_000, 2048, "float32"), (20_000, 256, "binary")])
def test_a_build_stays_within_its_stated_memory(n: int, dim: int, dtype: str) -> None:
    expect_build_within_stated_memory("graph", n, dim, dtype)


# ---- codes


def coded(n: int = 3000, dim: int = 96, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Rows in clusters, and queries near some of them."""
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((40, dim))
    rows = centers[rng.integers(0, 40, n)] + 0.5 * rng.standard_normal((n, dim))
    queries = rows[rng.integers(0, n, 50)] + 0.2 * rng.standard_normal((50, dim))
    return rows.astype(np.float32), queries.astype(np.float32)


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_walk_over_codes_returns_exact_distances(metric: str, dtype: type) -> None:
    rows, queries = coded()
    rows = rows.astype(dtype)
    graph = _core.build_graph(rows, metric)
    found, distances, _ = _core.graph_search(graph, rows, queries, 10, 128, metric)
    expected = {}
    for query in range(len(queries)):
        all_rows, all_distances = _core.exact_search(rows, queries[query : query + 1], len(rows), metric)
        expected = dict(zip(all_rows[0].tolist(), all_distances[0].tolist(), strict=True))
        assert [expected[row] for row in found[query].tolist()] == distances[query].tolist()
    best = _core.exact_search(rows, queries, 10, metric)[1]
    assert np.mean(distances <= best[:, 9:] + 1e-6 * np.abs(best[:, 9:])) >= 0.98


def test_rows_with_few_dimensions_and_l1_are_walked_by_themselves() -> None:
    rows, queries = coded(dim=63)
    for vectors, metric in ((rows, "cosine"), (np.hstack([rows, rows]), "l1")):
        graph = _core.build_graph(np.ascontiguousarray(vectors), metric)
        assert _core.SearchableGraph(graph, np.ascontiguousarray(vectors), metric).hot_bytes / len(vectors) < 160
        _, _, scored = _core.graph_search(graph, np.ascontiguousarray(vectors), vectors[:1], 10, 64, metric)
        assert scored < len(vectors)
    assert len(queries)


def test_codes_of_a_query_that_is_a_row_find_it_among_near_copies() -> None:
    rows, _ = coded(2000)
    rng = np.random.default_rng(5)
    blob = rows[7] + 0.001 * rng.standard_normal((1000, rows.shape[1])).astype(np.float32)
    vectors = np.vstack([rows, blob])
    graph = _core.build_graph(vectors, "l2")
    found, distances, _ = _core.graph_search(graph, vectors, blob[::50], 5, 64, "l2")
    assert np.mean(found[:, 0] == 2000 + np.arange(0, 1000, 50)) >= 0.95
    assert np.all(distances[:, 0] <= 1e-3)


@pytest.mark.parametrize("at", [0, 8, 16, 20, 64, 200])
def test_damaged_codes_are_refused_or_harmless(at: int) -> None:
    rows, queries = coded(500)
    graph = bytearray(_core.build_graph(rows, "l2"))
    size = int.from_bytes(graph[48:56], "little")
    start = len(graph) - (size + 63) // 64 * 64
    graph[start + at] ^= 0x5A
    found = np.zeros((0, 5), np.int64)
    with contextlib.suppress(CorruptionError, FormatError):
        found, _, _ = _core.graph_search(bytes(graph), rows, queries, 5, 32, "l2")
    assert np.all((found >= -1) & (found < len(rows)))


def test_factors_of_one_byte_lie_beside_links_where_nobody_sees_the_difference() -> None:
    vectors = gaussians(3000, dim=64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert _core.graph_stats(_core.build_graph(unit, "cosine"), 3000)["link_factor_bytes"] == 2


def test_factors_of_rows_of_many_lengths_are_kept_finer() -> None:
    lengths = np.logspace(-1, 1, 3000, dtype=np.float32)[:, None]
    assert _core.graph_stats(_core.build_graph(gaussians(3000, dim=64) * lengths, "l2"), 3000)["link_factor_bytes"] == 4


def test_rows_that_are_their_own_codes_have_no_factors() -> None:
    assert _core.graph_stats(_core.build_graph(gaussians(500, dim=16), "l2"), 500)["link_factor_bytes"] == 0


def test_damaged_factors_beside_a_link_are_noticed() -> None:
    graph = bytearray(_core.build_graph(gaussians(500, dim=64), "cosine"))
    parts = 64 + 2 * ((4 * 500 + 63) // 64 * 64)  # the header, rows of nodes, nodes of rows
    graph[parts + 32 * 4] ^= 0xFF  # behind the 32 links of the first node
    with pytest.raises(CorruptionError, match="node 0 has other factors beside its link to node"):
        _core.graph_stats(bytes(graph), 500)


@pytest.mark.parametrize("metric", ["cosine", "l2", "l1"])
def test_a_graph_copied_into_memory_answers_as_in_its_buffer(metric: str) -> None:
    vectors, queries = gaussians(3000, dim=72), gaussians(20, dim=72, seed=8)
    vectors[100:130] = vectors[5]
    graph = _core.build_graph(vectors, metric)
    found = _core.SearchableGraph(graph, vectors, metric).search(queries, 10, 40)
    expected = _core.graph_search(graph, vectors, queries, 10, 40, metric)
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])
    assert found[2] == expected[2]
