"""How wide walks are by default: a graph knows the beam that finds its own rows' neighbors, and where only a scan does."""

import struct

import numpy as np
import pytest

from tests.unit.core.graphs import bits, gaussians
from vicino import _core
from vicino.errors import CorruptionError

AT = 60
"""Where the beam lies in the header of a graph."""


def beam_of(graph: bytes) -> int:
    return struct.unpack_from("<I", graph, AT)[0]


def random_rows(n: int, dim: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((n, dim)).astype(np.float32)


@pytest.mark.parametrize("metric", ["cosine", "l2", "l1", "dot"])
def test_rows_with_structure_are_walked_by_the_narrowest_beam(metric: str) -> None:
    assert beam_of(_core.build_graph(gaussians(6000, dim=16), metric)) == 64


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_rows_without_structure_are_scanned(metric: str, dtype: type) -> None:
    assert beam_of(_core.build_graph(random_rows(6000, 128).astype(dtype), metric)) == 6000


def test_rows_with_some_structure_are_walked_by_a_wider_beam() -> None:
    rows = random_rows(8000, 32)
    beam = beam_of(graph := _core.build_graph(rows, "cosine"))
    assert 64 < beam < 8000
    queries = random_rows(8200, 32)[8000:]
    truth = np.argsort(-queries @ (rows / np.linalg.norm(rows, axis=1, keepdims=True)).T, axis=1)[:, :10]
    found = {ef: np.asarray(_core.graph_search(graph, rows, queries, 10, ef, "cosine")[0]) for ef in (64, beam)}
    recall = {ef: np.mean([len(set(a) & set(b)) / 10 for a, b in zip(ids, truth, strict=True)]) for ef, ids in found.items()}
    assert recall[64] < 0.93 < 0.94 < recall[beam]


def test_binary_rows_and_integers_have_a_beam() -> None:
    assert beam_of(_core.build_graph(bits(3000), "hamming")) > 0
    assert beam_of(_core.build_graph((gaussians(3000, dim=16) * 20).clip(-127, 127).astype(np.int8), "l2")) == 64


def test_few_rows_and_copies_of_one_have_none() -> None:
    assert beam_of(_core.build_graph(random_rows(500, 16), "l2")) == 0
    assert beam_of(_core.build_graph(np.ones((2000, 8), np.float32), "l2")) == 0


def test_copies_do_not_count_as_neighbors_that_were_missed() -> None:
    rows = gaussians(3000, dim=16)
    assert beam_of(_core.build_graph(np.concatenate([rows, np.repeat(rows[:1500], 10, axis=0)]), "l2")) == 64


def test_the_beam_does_not_depend_on_threads() -> None:
    rows = random_rows(3000, 24)
    assert beam_of(_core.build_graph(rows, "l2", threads=1)) == beam_of(_core.build_graph(rows, "l2", threads=3))


def test_a_beam_wider_than_the_graph_is_refused() -> None:
    rows = gaussians(3000, dim=16)
    damaged = bytearray(_core.build_graph(rows, "l2"))
    struct.pack_into("<I", damaged, AT, 3001)
    with pytest.raises(CorruptionError, match="usual beam of 3001"):
        _core.graph_search(bytes(damaged), rows, rows[:1], 10, 40, "l2")
