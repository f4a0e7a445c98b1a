"""Entries asked by groups, which only a graph in memory has, beside all entries, which the same graph asks in its buffer."""

import contextlib
import struct

import numpy as np

from tests.unit.core.graphs import gaussians
from vicino import _core
from vicino.errors import CorruptionError

N, DIM = 6000, 256  # the fewest entries and dimensions that are asked by groups are 64 and 256


def both(vectors: np.ndarray, queries: np.ndarray, ef: int) -> tuple[np.ndarray, int, np.ndarray, int]:
    """Rows and rows scored by groups, then by all entries."""
    graph = _core.build_graph(vectors, "l2")
    by_groups = _core.SearchableGraph(graph, vectors, "l2").search(queries, 10, ef)
    by_all = _core.graph_search(graph, vectors, queries, 10, ef, "l2")
    return by_groups[0], by_groups[2], by_all[0], by_all[2]


def recall(found: np.ndarray, vectors: np.ndarray, queries: np.ndarray) -> float:
    truth = _core.exact_search(vectors, queries, 10, "l2")[0]
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, truth, strict=True)]))


def test_fewer_rows_are_scored_and_as_much_is_found() -> None:
    vectors, queries = gaussians(N, DIM), gaussians(N + 100, DIM)[N:]
    by_groups, scored, by_all, scored_by_all = both(vectors, queries, 20)
    assert recall(by_groups, vectors, queries) > recall(by_all, vectors, queries) - 0.02
    assert scored < scored_by_all


def test_a_cluster_apart_from_all_others_is_found() -> None:
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((N, DIM), dtype=np.float32)
    sizes = [200, 60, 20]
    for cluster, size in enumerate(sizes):
        vectors[cluster * 500 : cluster * 500 + size, cluster] += 400
    queries = np.stack([vectors[cluster * 500] for cluster in range(len(sizes))])
    by_groups = both(vectors, queries, 20)[0]
    for cluster, size in enumerate(sizes):
        assert set(by_groups[cluster]) <= set(range(cluster * 500, cluster * 500 + size))


def test_a_wide_beam_asks_all_entries() -> None:
    vectors, queries = gaussians(N, DIM), gaussians(N + 20, DIM)[N:]
    by_groups, scored, by_all, scored_by_all = both(vectors, queries, 200)
    assert (by_groups == by_all).all()
    assert scored == scored_by_all


def test_rows_that_are_all_the_same_but_for_noise_have_groups() -> None:
    vectors = (1 + 1e-3 * np.random.default_rng(6).standard_normal((N, DIM))).astype(np.float32)
    by_groups = both(vectors, vectors[:5], 20)[0]
    assert (by_groups[:, 0] == np.arange(5)).all()


def test_as_many_entries_as_only_a_damaged_header_has_are_not_grouped() -> None:
    """Groups of a million would take minutes; all that is wrong with the answer is its cost."""
    vectors, queries = gaussians(N, DIM), gaussians(N + 5, DIM)[N:]
    graph = bytearray(_core.build_graph(vectors, "l2"))
    _, n_nodes, _, n_entries = struct.unpack_from("<IIII", graph, 12)
    assert 64 <= n_entries <= 500
    struct.pack_into("<I", graph, 24, n_nodes)
    found = _core.SearchableGraph(bytes(graph), vectors, "l2").search(queries, 10, 20)
    assert found[2] >= len(queries) * n_nodes
    assert recall(found[0], vectors, queries) > 0.9


def test_damaged_codes_of_entries_give_rows_that_exist() -> None:
    vectors = gaussians(N, DIM)
    graph = np.frombuffer(_core.build_graph(vectors, "l2"), np.uint8)
    chance = np.random.default_rng(9)
    for _ in range(12):
        damaged = graph.copy()
        codes = damaged[len(graph) - N * (DIM // 2 + 4) - 4096 :]  # planes of nibbles and of factors, and what lies before them
        places = chance.integers(0, len(codes), 20_000)
        codes[places] = chance.integers(0, 256, len(places), dtype=np.uint8)
        with contextlib.suppress(CorruptionError):
            rows = _core.SearchableGraph(damaged.tobytes(), vectors, "l2").search(vectors[:9], 10, 20)[0]
            assert rows.max() < N
