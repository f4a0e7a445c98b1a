"""The truth that benchmarks compare with, on data small enough to check by hand."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.datasets import exact_neighbors, load_dataset, load_judged, ndcg, recall, synthetic_batches

BASE = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]], np.float32)
QUERIES = np.array([[1, 0], [0, 1]], np.float32)


def test_exact_neighbors_are_ordered_by_inner_product() -> None:
    assert exact_neighbors(BASE, QUERIES, 3).tolist() == [[0, 2, 1], [1, 2, 0]]


def test_exact_neighbors_look_at_allowed_rows_only() -> None:
    assert exact_neighbors(BASE, QUERIES, 2, np.array([False, True, True, True])).tolist() == [[2, 1], [1, 2]]


def test_exact_neighbors_are_fewer_when_few_are_allowed() -> None:
    assert exact_neighbors(BASE, QUERIES, 3, np.array([False, False, False, True])).tolist() == [[3], [3]]


def test_exact_neighbors_of_nothing() -> None:
    assert exact_neighbors(BASE, QUERIES, 3, np.zeros(4, np.bool_)).shape == (2, 0)


def test_recall_counts_shared_rows_in_any_order() -> None:
    assert recall([[2, 0], [1, 3]], np.array([[0, 2], [1, 2]])) == 0.75


def test_recall_of_nothing_to_find_is_whole() -> None:
    assert recall([[]], np.zeros((1, 0), np.int64)) == 1.0


def test_synthetic_rows_repeat_and_have_unit_length() -> None:
    first, again = (np.concatenate(list(synthetic_batches(50, 8, batch=20))) for _ in range(2))
    assert np.array_equal(first, again)
    assert np.allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)


def test_dataset_is_synthetic_where_the_real_one_is_absent(tmp_path: Path) -> None:
    data = load_dataset(30, 5, folder=tmp_path)
    assert "synthetic" in data.name
    assert (data.base.shape, data.queries.shape) == ((30, 384), (5, 384))


def test_dataset_states_its_shape() -> None:
    described = load_dataset(10, 2).describe(10)
    assert (described["n"], described["dim"], described["queries"], described["k"]) == (10, 384, 2, 10)


def test_ndcg_is_one_for_the_ideal_order() -> None:
    assert ndcg(["a", "b"], {"a": 4, "b": 1}) == pytest.approx(1.0)


def test_ndcg_has_linear_gain() -> None:
    ideal = 4 + 1 / math.log2(3)
    assert ndcg(["b", "a"], {"a": 4, "b": 1}) == pytest.approx((1 + 4 / math.log2(3)) / ideal)


def test_ndcg_ignores_what_is_not_judged() -> None:
    assert ndcg(["x", "a"], {"a": 1}) == pytest.approx(1 / math.log2(3))


def test_judged_collection_keeps_queries_with_a_positive(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    with gzip.open(folder / "corpus.jsonl.gz", "wt") as file:
        file.write('{"_id": "1", "title": "On", "text": "wings"}\n{"_id": "2", "title": "", "text": ""}\n')
    (folder / "queries.jsonl").write_text('{"_id": "a", "text": "wing"}\n{"_id": "b", "text": "tail"}\n')
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\na\t1\t2\na\t2\t0\nb\t1\t0\n")
    data = load_judged("small", tmp_path)
    assert data.texts == ["On wings", " "]
    assert data.queries == {"a": "wing"}
    assert data.grades == {"a": {"1": 2}}
