"""Walks that end early: a graph knows how fast distances grow around its rows, and searches stop where no more is to be expected."""

import functools
import struct

import numpy as np
import pytest

from tests.unit.core.graphs import bits, gaussians
from vicino import _core
from vicino.errors import CorruptionError

AT = 56
"""Where the exponent lies in the header of a graph."""


@functools.cache
def rows() -> np.ndarray:
    return gaussians(6000, dim=96)


@functools.cache
def queries() -> np.ndarray:
    return (rows()[::60] + 0.3 * np.random.default_rng(9).standard_normal((100, 96))).astype(np.float32)


@functools.cache
def built(metric: str) -> bytes:
    return _core.build_graph(rows(), metric)


def growth_of(graph: bytes) -> float:
    return struct.unpack_from("<f", graph, AT)[0]


def with_growth(graph: bytes, growth: float) -> bytes:
    changed = bytearray(graph)
    struct.pack_into("<f", changed, AT, growth)
    return bytes(changed)


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_a_graph_knows_how_fast_distances_grow(metric: str) -> None:
    assert 0 < growth_of(built(metric)) < 1


def test_rows_of_half_precision_grow_as_fast() -> None:
    assert growth_of(_core.build_graph(rows().astype(np.float16), "l2")) == pytest.approx(growth_of(built("l2")), rel=0.02)


def test_few_rows_and_distances_without_a_ratio_have_no_growth() -> None:
    assert growth_of(_core.build_graph(rows()[:4000], "l2")) == 0
    assert growth_of(built("dot")) == 0
    assert growth_of(_core.build_graph(bits(5000), "hamming")) == 0


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("ef", [32, 128])
def test_a_walk_that_may_end_early_scores_less_and_finds_as_much(metric: str, ef: int) -> None:
    recalls, scored = {}, {}
    farthest = _core.exact_search(rows(), queries(), 10, metric)[1][:, -1:]
    for name, graph in (("early", built(metric)), ("late", with_growth(built(metric), 0))):
        _, found, scored[name] = _core.graph_search(graph, rows(), queries(), 10, ef, metric)
        recalls[name] = np.mean(found <= farthest + 1e-6)
    assert recalls["early"] >= recalls["late"] - 0.01
    assert scored["early"] < 0.97 * scored["late"]


def test_a_beam_as_wide_as_the_graph_never_ends_early() -> None:
    found = _core.graph_search(built("l2"), rows(), queries()[:2], 10, len(rows()), "l2")[2]
    assert found >= 2 * len(rows())


def test_a_walk_among_allowed_rows_is_that_of_a_graph_without_growth() -> None:
    allowed = np.random.default_rng(3).random(len(rows())) < 0.3
    found = [_core.graph_search(graph, rows(), queries(), 10, 40, "l2", allowed) for graph in (built("l2"), with_growth(built("l2"), 0))]
    assert np.array_equal(found[0][0], found[1][0])
    assert found[0][2] == found[1][2]


@pytest.mark.parametrize("growth", [-0.1, 1000.0, float("nan"), float("inf")])
def test_a_growth_that_cannot_be_is_refused(growth: float) -> None:
    with pytest.raises(CorruptionError, match="growth of its distances"):
        _core.graph_search(with_growth(built("l2"), growth), rows(), queries(), 10, 40, "l2")
