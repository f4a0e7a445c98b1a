"""Blocks of a graph that is walked from disk: found as the graph finds it, exact where it is read, harmless where it is damaged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.core.graphs import gaussians, near_copies
from vicino import _core
from vicino.errors import CorruptionError, FormatError, InvalidArgument

DIM = 64
PAGE = 4096
NO_LINK = 0xFFFFFFFF


def built(vectors: np.ndarray, metric: str = "l2", **options: Any) -> tuple[bytes, bytes]:
    graph = _core.build_graph(vectors, metric, **options)
    return graph, _core.build_graph_pages(graph, vectors, metric)


def opened(vectors: np.ndarray, metric: str = "l2") -> _core.SearchablePages:
    return _core.SearchablePages(*built(vectors, metric), vectors, metric)


def share_found(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), truth.tolist(), strict=True)]))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_the_nearest_are_found_by_any_metric_and_type_of_floats(metric, dtype):
    vectors, queries = gaussians(3000, DIM).astype(dtype), gaussians(50, DIM, seed=1)
    rows, distances, *_ = opened(vectors, metric).search(queries, 10, 100)
    truth, exact = _core.exact_search(vectors, queries, 10, metric)
    assert share_found(rows, truth) > 0.98
    np.testing.assert_allclose(distances[:, 0], exact[:, 0], rtol=1e-5, atol=1e-5)


def test_recall_is_that_of_the_graph_at_the_same_beam():
    vectors, queries = gaussians(6000, DIM), gaussians(100, DIM, seed=1)
    graph, pages = built(vectors)
    truth = _core.exact_search(vectors, queries, 10, "l2")[0]
    usual = _core.SearchableGraph(graph, vectors, "l2").search(queries, 10, 24)[0]
    found = _core.SearchablePages(graph, pages, vectors, "l2").search(queries, 10, 24)[0]
    assert share_found(found, truth) >= share_found(usual, truth) - 0.01


def test_a_hop_is_counted_for_each_block_that_is_expanded():
    vectors, queries = gaussians(3000, DIM), gaussians(10, DIM, seed=1)
    _, _, scored, exact, hops, _ = opened(vectors).search(queries, 10, 32)
    assert 10 * 10 <= hops <= exact < scored


def test_distances_are_those_of_the_vectors():
    vectors = gaussians(2000, DIM)
    rows, distances, *_ = opened(vectors, "cosine").search(vectors[:20], 5, 50)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(1 - distances, np.einsum("qd,qkd->qk", unit[:20], unit[rows]), atol=1e-5)


def test_a_beam_as_wide_as_the_graph_sees_every_row():
    vectors = gaussians(700, DIM)
    rows, *_ = opened(vectors).search(vectors[:3], 700, 700)
    assert all(sorted(found) == list(range(700)) for found in rows.tolist())


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_only_allowed_rows_are_found_and_nearly_all_of_the_nearest(share):
    vectors, queries = gaussians(4000, DIM), gaussians(40, DIM, seed=1)
    allowed = np.random.default_rng(3).random(4000) < share
    rows, *_ = opened(vectors).search(queries, 10, int(64 + 9 / share), allowed)
    assert allowed[rows].all()
    assert share_found(rows, _core.exact_search(vectors, queries, 10, "l2", allowed)[0]) > 0.95


def test_a_walk_against_its_filter_gives_up():
    vectors = gaussians(6000, DIM)
    near = _core.exact_search(vectors, vectors[:1], 3000, "l2")[0][0]
    allowed = np.ones(6000, bool)
    allowed[near] = False
    rows, _, _, _, _, opposed = opened(vectors).search(vectors[:1], 10, 200, allowed, share=0.5)
    assert (opposed, rows.tolist()) == (1, [[-1] * 10])


def test_equal_rows_are_all_found():
    vectors = gaussians(2000, DIM)
    vectors[100:110] = vectors[7]
    rows, *_ = opened(vectors).search(vectors[7:8], 11, 40)
    assert sorted(rows[0].tolist()) == [7, *range(100, 110)]


def test_a_crowd_of_near_copies_is_told_apart():
    wide = np.tile(near_copies(), 2)
    rows, *_ = opened(wide).search(wide[:1], 10, 64)
    assert share_found(rows, _core.exact_search(wide, wide[:1], 10, "l2")[0]) > 0.9


def test_rows_without_a_vector_have_no_block():
    vectors = gaussians(1000, DIM)
    present = np.arange(1000) % 2 == 0
    graph = _core.build_graph(vectors, "l2", present=present)
    pages = _core.build_graph_pages(graph, vectors, "l2")
    rows, *_ = _core.SearchablePages(graph, pages, vectors, "l2").search(vectors[:20], 10, 50)
    assert (rows % 2 == 0).all()


def test_no_rows_are_no_blocks():
    vectors = np.empty((0, DIM), np.float32)
    graph, pages = built(vectors)
    assert len(pages) == PAGE
    rows, *_ = _core.SearchablePages(graph, pages, vectors, "l2").search(gaussians(1, DIM), 3, 10)
    assert rows.tolist() == [[-1, -1, -1]]


@pytest.mark.parametrize("dim", [64, 100, 128, 384, 768])
def test_a_block_lies_in_no_more_pages_than_its_size_needs(dim):
    pages = built(gaussians(200, dim))[1]
    (size,) = np.frombuffer(pages, np.uint32, 1, offset=20)
    starts = np.arange((len(pages) - PAGE) // size) * size
    touched = (starts % PAGE + size + PAGE - 1) // PAGE
    assert (touched == -(-int(size) // PAGE)).all()


def test_the_same_rows_give_the_same_bytes_with_any_number_of_threads():
    vectors = gaussians(3000, DIM)
    assert built(vectors, threads=1)[1] == built(vectors, threads=3)[1]


def test_a_graph_without_codes_is_refused():
    vectors = gaussians(500, 32)
    with pytest.raises(InvalidArgument, match="a graph without codes is not walked from disk"):
        _core.build_graph_pages(_core.build_graph(vectors, "l2"), vectors, "l2")


def test_blocks_of_another_graph_are_refused():
    vectors = gaussians(600, DIM)
    graph, _ = built(vectors)
    with pytest.raises(CorruptionError, match="pages of a graph: nodes are 500, the graph makes 600"):
        _core.SearchablePages(graph, built(vectors[:500])[1], vectors, "l2")


@pytest.mark.parametrize("size", [0, 100, PAGE, PAGE + 5000])
def test_a_truncated_buffer_is_refused(size):
    vectors = gaussians(300, DIM)
    graph, pages = built(vectors)
    with pytest.raises(CorruptionError, match="pages of a graph: "):
        _core.SearchablePages(graph, pages[:size], vectors, "l2")


def test_a_newer_format_is_refused():
    vectors = gaussians(300, DIM)
    graph, pages = built(vectors)
    with pytest.raises(FormatError, match="format 2, this version reads up to 1; upgrade vicino"):
        _core.SearchablePages(graph, pages[:8] + b"\2" + pages[9:], vectors, "l2")


def test_verify_finds_a_bit_turned_in_any_block():
    vectors = gaussians(120, DIM)
    graph, pages = built(vectors)
    _core.SearchablePages(graph, pages, vectors, "l2").verify()
    chance = np.random.default_rng(5)
    for position in chance.integers(PAGE, len(pages), 200):
        damaged = bytearray(pages)
        damaged[position] ^= 1 << int(chance.integers(8))
        with pytest.raises(CorruptionError, match="the block of node"):
            _core.SearchablePages(graph, bytes(damaged), vectors, "l2").verify()


def test_damage_is_an_error_or_an_answer_of_rows_that_exist():
    vectors = gaussians(300, DIM)
    graph, pages = built(vectors)
    chance = np.random.default_rng(6)
    refused = 0
    for position in [*range(48), *chance.integers(PAGE, len(pages), 600).tolist()]:
        damaged = bytearray(pages)
        damaged[position] ^= 0x80
        try:
            found, *_ = _core.SearchablePages(graph, bytes(damaged), vectors, "l2").search(vectors[:4], 5, 300)
        except (CorruptionError, FormatError):
            refused += 1
        else:
            assert found.max() < 300
    assert refused > 30


@pytest.mark.parametrize(("offset", "message"), [("row", "is of row 4294967294 of 300"), ("links", "links to node 4294967294 of 300")])
def test_numbers_beyond_the_graph_are_named(offset, message):
    vectors = gaussians(300, DIM)
    graph, pages = built(vectors)
    (size,) = np.frombuffer(pages, np.uint32, 1, offset=20)
    inside = {"row": 0, "links": 16 + 4 * DIM}[offset]
    damaged = bytearray(pages)
    for start in range(PAGE, len(pages), int(size)):
        damaged[start + inside : start + inside + 4] = (NO_LINK - 1).to_bytes(4, "little")
    with pytest.raises(CorruptionError, match=message):
        _core.SearchablePages(graph, bytes(damaged), vectors, "l2").search(vectors[:1], 5, 20)


def test_factors_that_are_no_numbers_give_rows_that_exist():
    """Hundreds of them at once: what a search orders by them must still be an order."""
    vectors = gaussians(700, DIM)
    graph, pages = built(vectors)
    (links,), (size,) = np.frombuffer(pages, np.uint32, 1, offset=16), np.frombuffer(pages, np.uint32, 1, offset=20)
    (factor_bytes,) = np.frombuffer(pages, np.uint32, 1, offset=28)
    blocks = np.frombuffer(pages, np.uint8, offset=PAGE).reshape(-1, size).copy()
    factors = blocks[:, 16 + 4 * DIM + 4 * int(links) :][:, : int(links * factor_bytes)]
    chance = np.random.default_rng(7)
    for share in (0.2, 1.0):
        drawn = chance.integers(0, 256, factors.shape, dtype=np.uint8) | 0x7C
        factors[:] = np.where(chance.random(factors.shape) < share, drawn, factors)
        found, *_ = _core.SearchablePages(graph, pages[:PAGE] + blocks.tobytes(), vectors, "l2").search(vectors[:20], 10, 300)
        assert found.max() < 700
