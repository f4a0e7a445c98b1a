"""The walk over matching rows, and when a plain walk under a filter gives up."""

import numpy as np
import pytest

from tests.unit.core.test_graph import bits, gaussians
from vicino import _core
from vicino.errors import CorruptionError, InvalidArgument

N, DIM, K = 6000, 64, 10
N_TOPICS = 12


@pytest.fixture(scope="module")
def topics() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows around a few centers along a line, the topic of each, and queries near the first topic: filters on late topics are opposed."""
    rng = np.random.default_rng(5)
    centers = np.cumsum(rng.standard_normal((N_TOPICS, DIM)) * 0.5, axis=0)
    topic = rng.integers(0, N_TOPICS, N)
    rows = (centers[topic] + rng.standard_normal((N, DIM)) * 0.5).astype(np.float32)
    queries = (centers[0] + rng.standard_normal((40, DIM)) * 0.5).astype(np.float32)
    return rows, topic, queries


@pytest.fixture(scope="module")
def graph(topics: tuple[np.ndarray, np.ndarray, np.ndarray]) -> _core.SearchableGraph:
    return _core.SearchableGraph(_core.build_graph(topics[0], "l2"), topics[0], "l2")


def recall(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), expected.tolist())]))


def test_filters_opposed_to_the_query_are_found_with_little_work(topics, graph) -> None:
    rows, topic, queries = topics
    allowed = topic >= N_TOPICS // 2
    expected, _ = _core.exact_search(rows, queries, K, "l2", allowed=allowed)
    found, _, scored, *_ = graph.search_two_hop(queries, K, 64, allowed)
    assert recall(found, expected) > 0.95
    assert scored / len(queries) < allowed.sum()
    plain, *_ = graph.search(queries, K, 64, allowed)
    assert recall(plain, expected) < 0.5


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
def test_filters_independent_of_the_query_are_found_too(topics, graph, share: float) -> None:
    rows, _, queries = topics
    allowed = np.random.default_rng(6).random(N) < share
    expected, _ = _core.exact_search(rows, queries, K, "l2", allowed=allowed)
    found, *_ = graph.search_two_hop(queries, K, 128, allowed)
    assert recall(found, expected) > 0.95


def test_only_allowed_rows_are_found_at_their_exact_distances(topics, graph) -> None:
    rows, topic, queries = topics
    found, distances, *_ = graph.search_two_hop(queries, K, 64, topic == 7)
    assert np.all(topic[found] == 7)
    wanted = np.linalg.norm(rows[found].astype(np.float64) - queries[:, None], axis=2)
    np.testing.assert_allclose(distances, wanted, rtol=1e-5)


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1", "hamming", "jaccard"])
def test_every_metric_is_walked(metric: str) -> None:
    vectors = bits(3000) if metric in ("hamming", "jaccard") else gaussians(3000)
    graph = _core.SearchableGraph(_core.build_graph(vectors, metric), vectors, metric)
    allowed = np.arange(3000) % 3 == 0
    _, limits = _core.exact_search(vectors, vectors[:20], K, metric, allowed=allowed)
    _, distances, *_ = graph.search_two_hop(vectors[:20], K, 400, allowed)
    assert np.mean(distances <= limits[:, -1:] + 1e-5 * np.abs(limits[:, -1:])) > 0.9


@pytest.mark.parametrize("matching", [0, 1, 5, 256, 257])
def test_few_matching_rows_are_all_found(topics, graph, matching: int) -> None:
    allowed = np.zeros(N, bool)
    allowed[np.random.default_rng(matching).permutation(N)[:matching]] = True
    found, *_ = graph.search_two_hop(topics[2][:3], 300, 300, allowed)
    for row in found:
        assert np.array_equal(np.sort(row[row >= 0]), np.flatnonzero(allowed))


def test_only_allowed_duplicates_are_found_in_order() -> None:
    vectors = gaussians(3000)
    vectors[500:1500] = vectors[7]
    graph = _core.SearchableGraph(_core.build_graph(vectors, "l2"), vectors, "l2")
    found, *_ = graph.search_two_hop(vectors[7:8], 10, 64, np.arange(3000) % 100 == 3)
    assert found[0].tolist() == list(range(503, 1500, 100))


def test_allowed_near_copies_are_found() -> None:
    rng = np.random.default_rng(8)
    vectors = gaussians(4000, dim=96)
    vectors[1000:3000] = vectors[7] + 1e-4 * rng.standard_normal((2000, 96))
    graph = _core.SearchableGraph(_core.build_graph(vectors, "l2"), vectors, "l2")
    allowed = np.arange(4000) % 5 == 0
    _, limits = _core.exact_search(vectors, vectors[1000:1020], K, "l2", allowed=allowed)
    found, distances, *_ = graph.search_two_hop(vectors[1000:1020], K, 64, allowed)
    assert np.mean(distances <= limits[:, -1:] * (1 + 1e-5)) > 0.9
    assert np.all(allowed[found])


def test_a_damaged_link_is_refused(topics) -> None:
    rows, topic, queries = topics
    damaged = bytearray(_core.build_graph(rows, "l2"))
    start = len(damaged) // 8
    for at in range(start - start % 4, len(damaged) // 3, 4):
        damaged[at : at + 4] = (0xFFFFFF00).to_bytes(4, "little")
    graph = _core.SearchableGraph(bytes(damaged), rows, "l2")
    with pytest.raises(CorruptionError):
        graph.search_two_hop(queries, K, 64, topic > 6)


def test_a_mask_of_another_length_is_refused(topics, graph) -> None:
    with pytest.raises(InvalidArgument, match="5 values for 6000 vectors"):
        graph.search_two_hop(topics[2], K, 64, np.ones(5, bool))


def test_a_watched_walk_gives_up_under_an_opposed_filter_and_offers_nothing(topics, graph) -> None:
    _, topic, queries = topics
    allowed = topic >= N_TOPICS // 2
    found, _, scored, _, _, n_opposed, n_over = graph.search(queries, K, 400, allowed, share=float(allowed.mean()))
    assert (n_opposed, n_over) == (len(queries), 0)
    assert np.all(found == -1)
    _, _, unwatched, *_ = graph.search(queries, K, 400, allowed)
    assert scored < unwatched / 2


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_a_watched_walk_goes_on_where_the_filter_has_nothing_to_do_with_the_query(topics, graph, share: float) -> None:
    allowed = np.random.default_rng(7).random(N) < share
    watched = graph.search(topics[2], K, 200, allowed, share=float(allowed.mean()))
    assert watched[5] == 0
    assert np.array_equal(watched[0], graph.search(topics[2], K, 200, allowed)[0])


def test_a_walk_ends_at_its_budget_and_offers_nothing(topics, graph) -> None:
    _, topic, queries = topics
    found, _, scored, _, _, n_opposed, n_over = graph.search(queries, K, 1000, topic == 5, scored_max=700)
    assert (n_opposed, n_over) == (0, len(queries))
    assert np.all(found == -1)
    assert scored <= len(queries) * (700 + 64)


def test_a_walk_within_its_budget_is_untouched_by_it(topics, graph) -> None:
    queries = topics[2]
    bounded, free = (graph.search(queries, K, 64, scored_max=limit) for limit in (N, None))
    assert bounded[6] == 0
    assert np.array_equal(bounded[0], free[0])
