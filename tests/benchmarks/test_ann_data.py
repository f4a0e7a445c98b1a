"""The sets, truths and filters that dense search is measured with, on data small enough to check by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ann import data, filters, truth
from benchmarks.ann.data import Dataset
from benchmarks.ann.filters import Condition, Fields, exact_filtered, fields_of, k_means
from benchmarks.ann.synthetic import Generator, Law
from benchmarks.ann.truth import exact, recalls

LINE = np.array([[0, 0], [1, 0], [2, 0], [3, 0], [4, 0]], np.float32)
LAW = Law(dim=8, metric="l2", falloff=0.4, weights=(1.0, 1.0, 1.0), n_details=50)


def line(queries: list[list[float]]) -> Dataset:
    return Dataset("line", "l2", LINE, np.array(queries, np.float32))


def test_exact_orders_by_distance() -> None:
    found = exact("l2", LINE, np.array([[3.4, 0]], np.float32), k=2)
    assert found.rows.tolist() == [[3, 4]]
    assert found.limits[0] == pytest.approx(0.36)


def test_exact_by_cosine_prefers_the_larger_product() -> None:
    rows = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    found = exact("cosine", rows, np.array([[1, 0]], np.float32), k=2)
    assert found.rows.tolist() == [[0, 2]]
    assert found.limits[0] == pytest.approx(0.4)


def test_exact_pads_where_fewer_match() -> None:
    found = exact("l2", LINE, np.array([[0, 0]], np.float32), k=3, allowed=np.array([False, False, True, False, True]))
    assert found.rows.tolist() == [[2, 4, -1]]
    assert found.limits[0] == 16


def test_exact_in_blocks_is_exact_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    rows, queries = random.standard_normal((300, 6), dtype=np.float32), random.standard_normal((7, 6), dtype=np.float32)
    at_once = exact("l2", rows, queries)
    monkeypatch.setattr(truth, "BLOCK", 64)
    in_blocks = exact("l2", rows, queries)
    assert in_blocks.rows.tolist() == at_once.rows.tolist()
    naive = np.argsort(((rows[None] - queries[:, None]).astype(np.float64) ** 2).sum(2), axis=1)[:, :10]
    assert at_once.rows.tolist() == naive.tolist()


def test_a_row_as_far_as_the_last_true_one_counts() -> None:
    dataset = line([[2, 0]])  # rows 1 and 3 are equally far
    known = exact("l2", LINE, dataset.queries, k=2)
    assert recalls(dataset, known, [[2, 1]]).tolist() == [1.0]
    assert recalls(dataset, known, [[2, 3]]).tolist() == [1.0]
    assert recalls(dataset, known, [[2, 4]]).tolist() == [0.5]


def test_more_ties_than_places_count_once_each_up_to_k() -> None:
    dataset = line([[2, 0]])
    known = exact("l2", LINE, dataset.queries, k=2)
    assert recalls(dataset, known, [[1, 3, 2]]).tolist() == [1.0]


def test_a_row_given_twice_counts_once() -> None:
    dataset = line([[0, 0]])
    known = exact("l2", LINE, dataset.queries, k=2)
    assert recalls(dataset, known, [[0, 0]]).tolist() == [0.5]


@pytest.mark.parametrize("padding", [-1, 2**63 - 1, 5], ids=["negative", "large", "one past the end"])
def test_padding_counts_for_nothing(padding: int) -> None:
    dataset = line([[0, 0]])
    known = exact("l2", LINE, dataset.queries, k=2)
    assert recalls(dataset, known, [[0, padding]]).tolist() == [0.5]


def test_padding_of_unsigned_rows_counts_for_nothing() -> None:
    dataset = line([[0, 0]])
    known = exact("l2", LINE, dataset.queries, k=2)
    assert recalls(dataset, known, [np.array([0, 2**64 - 1], np.uint64)]).tolist() == [0.5]


def test_an_empty_answer_is_right_where_nothing_matches() -> None:
    dataset = line([[0, 0]])
    known = exact("l2", LINE, dataset.queries, k=2, allowed=np.zeros(5, np.bool_))
    assert recalls(dataset, known, [[]]).tolist() == [1.0]


def test_rows_that_the_filter_forbids_do_not_count() -> None:
    dataset = line([[0, 0]])
    allowed = np.array([False, True, True, True, True])
    known = exact("l2", LINE, dataset.queries, k=2, allowed=allowed)
    assert recalls(dataset, known, [[0, 1]], masks=[allowed]).tolist() == [0.5]


@given(st.integers(0, 2**32), st.integers(1, 10))
def test_the_truth_itself_has_full_recall(seed: int, k: int) -> None:
    random = np.random.default_rng(seed)
    rows = random.integers(-2, 3, (40, 3)).astype(np.float32)  # full of duplicates
    dataset = Dataset("grid", "l2", rows, random.integers(-2, 3, (4, 3)).astype(np.float32))
    known = exact("l2", rows, dataset.queries, k)
    assert recalls(dataset, known, known.rows).tolist() == [1.0] * 4


FIELDS = Fields(
    uniform=np.array([0, 499, 500, 99, 9], np.int32), cluster=np.array([0, 1, 2, 1, 0], np.int32),
    own=np.array([1, 0], np.int32), other=np.array([2, 1], np.int32),
)  # fmt: skip


@pytest.mark.parametrize(
    ("band", "kept"),
    [
        ("50 %", [True, True, False, True, True]),
        ("10 %", [True, False, False, True, True]),
        ("1 %", [True, False, False, False, True]),
        ("0.1 %", [True, False, False, False, False]),
        ("own cluster", [False, True, False, True, False]),
        ("other cluster", [False, False, True, False, False]),
    ],
)
def test_masks_of_the_bands(band: str, kept: list[bool]) -> None:
    condition = FIELDS.conditions(band)[0]
    assert condition is not None
    assert FIELDS.mask(condition).tolist() == kept


def test_cluster_bands_ask_by_query() -> None:
    assert FIELDS.conditions("own cluster") == [Condition("cluster", 1), Condition("cluster", 0)]
    assert FIELDS.conditions("none") == [None, None]


def test_bands_keep_about_the_share_they_are_named_for() -> None:
    random = np.random.default_rng(0)
    rows = random.standard_normal((50_000, 4), dtype=np.float32)
    fields = fields_of(Dataset("normal", "l2", rows, rows[:50]))
    for band, below in filters.BANDS.items():
        share = filters.describe(fields, band)["matching"] / len(rows)
        assert share == pytest.approx(below / 1000, rel=0.3)
    assert (fields.own != fields.other).all()
    assert fields.own.tolist() == fields.cluster[:50].tolist()


def test_filtered_truth_is_that_of_each_query_alone() -> None:
    dataset = line([[0, 0], [4, 0]])
    asked = FIELDS.conditions("own cluster")
    found = exact_filtered(dataset, FIELDS, asked, k=2)
    assert found.rows.tolist() == [[1, 3], [4, 0]]


def test_k_means_finds_separate_groups() -> None:
    random = np.random.default_rng(0)
    rows = np.concatenate([random.standard_normal((50, 2)) * 0.1 + center for center in ([0, 0], [9, 9])]).astype(np.float32)
    centers = sorted(k_means(rows, 2, np.random.default_rng(1)).tolist())
    assert centers[0] == pytest.approx([0, 0], abs=0.1)
    assert centers[1] == pytest.approx([9, 9], abs=0.1)


def test_a_prefix_of_drawn_rows_is_a_smaller_draw() -> None:
    few, many = (np.concatenate(list(Generator(LAW).rows(n))) for n in (1_500, 21_000))
    assert len(many) == 21_000
    assert np.array_equal(few, many[:1_500])


def test_drawn_queries_are_no_rows() -> None:
    generator = Generator(LAW)
    rows, queries = (np.concatenate(list(drawn)) for drawn in (generator.rows(500), generator.queries(20)))
    assert not (queries[:, None] == rows[None]).all(2).any()


def test_drawn_rows_of_cosine_sets_have_unit_length() -> None:
    rows = next(Generator(Law(dim=8, metric="cosine", falloff=0.4, weights=(1.0, 1.0, 1.0), n_details=50)).rows(100))
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(100), abs=1e-5)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(data, "CACHE", tmp_path)
    monkeypatch.setitem(data.LAWS, "tiny", (LAW, 400))
    return tmp_path


def test_a_drawn_set_is_kept_and_a_smaller_one_read_from_it(tiny: Path) -> None:
    whole = data.load("tiny", None, 5)
    assert (whole.base.shape, whole.queries.shape, whole.metric) == ((400, 8), (5, 8), "l2")
    assert np.array_equal(data.load("tiny", 100, 5).base, whole.base[:100])
    assert sorted(path.name for path in tiny.iterdir()) == ["queries.tiny-5.npy", "tiny-400.npy"]


def test_truth_is_kept_for_the_very_set(tiny: Path) -> None:
    dataset = data.load("tiny", 200, 5)
    first, again = truth.load(dataset), truth.load(dataset)
    assert first.rows.tolist() == again.rows.tolist()
    truth.load(data.load("tiny", 100, 5))
    assert len(list(tiny.glob("truth.tiny.*.npz"))) == 2


def test_a_real_set_that_is_too_small_says_what_to_use() -> None:
    if not data.DATA.is_dir():
        pytest.skip("the checkout has no real vectors")
    with pytest.raises(data.TooSmall, match=r"minilm has 16031 rows, 20000 were asked for; use one of synth768"):
        data.load("minilm", 20_000, 5)
