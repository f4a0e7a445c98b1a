"""k-means: the same clusters on every device, and what it refuses."""

from typing import Any

import numpy as np
import pytest

from tests.unit.gpu.devices import DEVICES, device_of
from vicino.errors import InvalidArgument
from vicino.gpu import clusters, kmeans


def blobs(n: int = 900, n_blobs: int = 6, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    blob = rng.integers(0, n_blobs, n)
    return (rng.standard_normal((n_blobs, 12))[blob] * 10 + rng.standard_normal((n, 12))).astype(np.float32), blob


def test_every_vector_is_with_its_nearest_centroid() -> None:
    rows, _ = blobs()
    centroids, assignments = kmeans(rows, 8, seed=1)
    assert np.array_equal(((rows[:, None] - centroids) ** 2).sum(2).argmin(1), assignments)


def test_centroids_are_the_means_of_their_vectors_once_nothing_moves() -> None:
    rows, _ = blobs()
    centroids, assignments = kmeans(rows, 8, seed=1, rounds=200)
    for number, centroid in enumerate(centroids):
        np.testing.assert_allclose(rows[assignments == number].mean(0), centroid, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
def test_devices_agree_with_the_processor(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = blobs()
    expected = kmeans(rows, 8, seed=1)
    at = device_of(device)
    monkeypatch.setattr(clusters, "open_device", lambda name: at)
    found = kmeans(rows, 8, device=device, seed=1)
    np.testing.assert_allclose(found.centroids, expected.centroids, atol=1e-3)
    assert np.mean(found.assignments == expected.assignments) > 0.999


def test_tiles_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = blobs()
    expected = kmeans(rows, 8, seed=1)
    monkeypatch.setattr(clusters, "ROWS_PER_TILE_MAX", 37)
    found = kmeans(rows, 8, seed=1)
    assert np.array_equal(found.assignments, expected.assignments)
    np.testing.assert_allclose(found.centroids, expected.centroids, atol=1e-5)


def test_the_same_seed_gives_the_same_clusters_and_another_others() -> None:
    rows, _ = blobs()
    assert np.array_equal(kmeans(rows, 8, seed=1).centroids, kmeans(rows, 8, seed=1).centroids)
    assert not np.array_equal(kmeans(rows, 8, seed=1).centroids, kmeans(rows, 8, seed=2).centroids)


def test_far_from_the_origin_clusters_are_told_apart() -> None:
    rows, _ = blobs()
    near, far = kmeans(rows, 8, seed=1), kmeans(rows + 4096, 8, seed=1)
    assert np.mean(near.assignments == far.assignments) > 0.99


def test_no_centroid_stays_without_vectors() -> None:
    rows = np.repeat(np.arange(5, dtype=np.float32)[:, None], 40, axis=0)
    assert len(np.unique(kmeans(rows, 5, seed=0).assignments)) == 5


def test_as_many_clusters_as_vectors_are_the_vectors() -> None:
    rows = np.random.default_rng(4).standard_normal((20, 3)).astype(np.float32)
    centroids, assignments = kmeans(rows, 20)
    np.testing.assert_allclose(centroids[assignments], rows, atol=1e-6)


@pytest.mark.parametrize(
    ("vectors", "k", "message"),
    [
        (np.zeros(3), 1, r"a matrix of numbers, got float64 of shape \(3,\)"),
        (np.array([["a"]]), 1, "a matrix of numbers"),
        (np.zeros((4, 2)), 0, "between 1 and the 4 vectors, got 0"),
        (np.zeros((4, 2)), 5, "between 1 and the 4 vectors, got 5"),
        (np.array([[0.0], [np.nan]]), 1, "vector 1 has a number that is not finite"),
        (np.array([[1e300]]), 1, "vector 0 has a number that is not finite in single precision"),
    ],
    ids=["a vector", "texts", "none", "too many", "nan", "too large"],
)
def test_what_cannot_be_clustered_is_refused(vectors: Any, k: int, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        kmeans(vectors, k)
