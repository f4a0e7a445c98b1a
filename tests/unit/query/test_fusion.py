"""Fusion, with numbers one can check by hand."""

import numpy as np
import pytest

from vicino.query.fusion import EMPTY, Ranking, by_lead, by_range, by_spread, dbsf, ranked, rrf, weighted


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


def test_by_range_goes_from_the_worst_to_the_best() -> None:
    assert by_range(ranking((1, 5.0), (2, 3.0), (3, 1.0))).tolist() == [1.0, 0.5, 0.0]
    assert by_range(ranking((1, 5.0), (2, 5.0))).tolist() == [1.0, 1.0]


def test_by_spread_measures_similarities_in_deviations() -> None:
    assert by_spread(0.1)(ranking((1, 0.7), (2, 0.5), (3, 0.4))).tolist() == pytest.approx([0.9, 0.3, 0.0])


def test_a_collection_without_spread_is_scaled_by_range() -> None:
    assert by_spread(0.0) is by_range


def test_by_lead_trusts_words_that_few_records_have() -> None:
    few = by_lead(ranking(*((at, 10.0 - 0.1 * at) for at in range(14))))
    many = by_lead(ranking(*((at, 10.0 - 0.1 * at) for at in range(15))))
    assert few[0] == pytest.approx(10 / 3)
    assert many[0] == pytest.approx(10 / 3 * (1 - 0.93 * 0.86) ** 1.25)


def test_by_lead_keeps_an_order_below_many_equals() -> None:
    scaled = by_lead(ranking(*((at, 10.0) for at in range(15)), (15, 5.0)))
    assert scaled[0] == scaled[14] > scaled[15] > 0
