"""Fusion, with numbers one can check by hand."""

import numpy as np
import pytest

from vicino.query.fusion import EMPTY, Ranking, dbsf, ranked, rrf, weighted


def ranking(*entries: tuple[int, float]) -> Ranking:
    return ranked(np.array([at for at, _ in entries], np.int64), [score for _, score in entries])


def as_dict(found: Ranking) -> dict[int, float]:
    return dict(zip(found.locators.tolist(), found.scores.tolist(), strict=True))


def test_rrf_adds_one_over_k_plus_rank() -> None:
    found = rrf([ranking((1, 9.0), (2, 8.0)), ranking((2, 5.0))], [1, 1], k=60)
    assert as_dict(found) == pytest.approx({2: 1 / 62 + 1 / 61, 1: 1 / 61})


def test_rrf_of_qdrant_counts_from_zero_with_k_two() -> None:
    assert as_dict(rrf([ranking((1, 9.0), (2, 8.0))], [1], k=2, first_rank=0)) == pytest.approx({1: 1 / 2, 2: 1 / 3})


def test_dbsf_scales_by_three_deviations() -> None:
    found = dbsf([ranking((1, 3.0), (2, 1.0))], [1])  # mean 2, sample deviation sqrt(2)
    assert as_dict(found) == pytest.approx({1: (3 - (2 - 3 * 2**0.5)) / (6 * 2**0.5), 2: (1 - (2 - 3 * 2**0.5)) / (6 * 2**0.5)})


def test_dbsf_of_equal_scores_is_one_half() -> None:
    assert as_dict(dbsf([ranking((1, 3.0), (2, 3.0))], [1])) == {1: 0.5, 2: 0.5}


@pytest.mark.parametrize("fuse", [rrf, dbsf, weighted])
def test_empty_side_weighs_nothing(fuse) -> None:
    side = ranking((1, 3.0), (2, 1.0))
    assert as_dict(fuse([side, EMPTY], [1, 5])) == as_dict(fuse([side], [1]))


@pytest.mark.parametrize("fuse", [rrf, dbsf, weighted])
def test_fusion_of_nothing_is_nothing(fuse) -> None:
    assert len(fuse([EMPTY], [1])) == 0


def test_equal_scores_are_ordered_by_locator() -> None:
    assert rrf([ranking((7, 1.0)), ranking((3, 1.0))], [1, 1]).locators.tolist() == [3, 7]
