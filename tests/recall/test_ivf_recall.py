"""Recall of inverted lists on real embeddings: at a twentieth of the lists, or as it stands in docs/design/0009-ivf.md."""

from pathlib import Path

import numpy as np
import pytest

from vicino import _core

DEBIAN = Path(__file__).resolve().parents[3] / "shared" / "data" / "vectors-debian"
pytestmark = pytest.mark.skipif(not DEBIAN.is_dir(), reason="the vectors of Debian descriptions are not here")


@pytest.fixture(scope="module")
def debian() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    base, queries = (np.load(DEBIAN / f"{name}.f16.npy").astype(np.float32) for name in ("base", "query"))
    return base, queries, _core.exact_search(base, queries, 10, "cosine")[1]


@pytest.mark.parametrize(
    ("kind", "copies", "share", "least"),
    [
        ("flat", 0, 0.05, 0.93),
        ("flat", 0, 0.10, 0.955),
        ("flat", 1, 0.05, 0.965),
        ("coded", 1, 0.05, 0.965),
        ("pq", 1, 0.05, 0.96),
        ("pq", 0, 0.10, 0.95),
    ],
)
def test_a_few_lists_hold_the_neighbors(
    debian: tuple[np.ndarray, np.ndarray, np.ndarray], kind: str, copies: int, share: float, least: float
) -> None:
    base, queries, expected = debian
    index = _core.IvfIndex(_core.build_ivf(base, "cosine", kind, copies=copies, threads=2), base, "cosine")
    _, distances, counts = index.search(queries, 10, int(share * index.nlist))
    assert np.mean(distances <= expected[:, -1:] + 1e-6) >= least
    assert counts["rescored"] <= 60 * len(queries)
