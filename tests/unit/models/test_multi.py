"""Token pooling and fixed dimensional encodings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vicino.errors import InvalidArgument
from vicino.models.multi import FixedEncoding, pool_tokens


def units(matrix: np.ndarray) -> np.ndarray:
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


def ward(tokens: np.ndarray, n_groups: int) -> list[list[int]]:
    """Groups by trying every pair in every step: the cost of a merge is the growth of the squares within groups."""
    directions = units(tokens.astype(np.float64)).astype(np.float64)
    groups = [[t] for t in range(len(tokens))]

    def squares(members: list[int]) -> float:
        return float(((directions[members] - directions[members].mean(axis=0)) ** 2).sum())

    while len(groups) > n_groups:
        pairs = [(a, b) for a in range(len(groups)) for b in range(a + 1, len(groups))]
        a, b = min(pairs, key=lambda ab: squares(groups[ab[0]] + groups[ab[1]]) - squares(groups[ab[0]]) - squares(groups[ab[1]]))
        groups[a] += groups.pop(b)
    return groups


@settings(deadline=None)  # the reference takes cubic time
@given(st.integers(1, 16), st.integers(2, 6), st.integers(0, 1000))
def test_pooling_is_wards_clustering(n: int, factor: int, seed: int) -> None:
    tokens = np.random.default_rng(seed).standard_normal((n, 5)).astype(np.float32)
    groups = ward(tokens, -(-n // factor))
    want = np.array([tokens[group].mean(axis=0) for group in sorted(groups, key=min)])
    np.testing.assert_allclose(pool_tokens(tokens, factor), want, atol=1e-6)


def test_a_factor_of_one_changes_nothing() -> None:
    tokens = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert pool_tokens(tokens, 1).tolist() == tokens.tolist()


def test_zero_tokens_can_be_pooled() -> None:
    assert pool_tokens(np.zeros((4, 3)), 4).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    ("tokens", "factor", "message"),
    [
        (np.empty((0, 3)), 2, "at least one token"),
        (np.zeros((2, 3)), 0, "factor must be at least 1, got 0"),
        (np.zeros((8193, 1)), 2, "at most 8192 tokens"),
        (np.array([[1.0, np.nan]]), 2, "token 0 holds NaN or an infinity at position 1"),
    ],
    ids=["no tokens", "factor", "many", "nan"],
)
def test_pooling_refuses(tokens: np.ndarray, factor: int, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        pool_tokens(tokens, factor)


def test_without_bits_a_cell_holds_the_sum_or_the_mean() -> None:
    encoding = FixedEncoding(dim=2, repetitions=1, bits=0, projected_dim=0)
    tokens = [[1, 2], [3, 4]]
    assert encoding.query(tokens).tolist() == [4, 6]
    assert encoding.document(tokens).tolist() == [2, 3]


def test_every_cell_of_a_document_is_filled() -> None:
    encoding = FixedEncoding(dim=4, repetitions=3, bits=4, projected_dim=0)
    cells = encoding.document([[1, 2, 3, 4]]).reshape(-1, 4) * np.sqrt(3)
    np.testing.assert_allclose(cells, np.tile([1, 2, 3, 4], (48, 1)), rtol=1e-6)


@pytest.mark.parametrize("final_dim", [0, 2048])
def test_products_of_encodings_find_the_best_by_maxsim(final_dim: int) -> None:
    rng = np.random.default_rng(2)
    documents = units(rng.standard_normal((200 * 8, 32))).reshape(200, 8, 32)
    encoding = FixedEncoding(dim=32, final_dim=final_dim)
    encoded = np.array([encoding.document(document) for document in documents])
    found = 0
    for wanted in range(20):
        query = units(documents[wanted][:5] + 0.1 * rng.standard_normal((5, 32)))
        found += wanted in np.argsort(-(encoded @ encoding.query(query)))[:5]
    assert found >= 19


def test_the_seed_decides_the_encoding() -> None:
    tokens = [[1.0, 2.0, 3.0]]
    first, again, other = (FixedEncoding(dim=3, seed=seed).query(tokens).tolist() for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"dim": 0}, "dim must be between 1 and 65536, got 0"),
        ({"dim": 8, "bits": 13}, "bits must be between 0 and 12, got 13"),
        ({"dim": 8, "repetitions": 0}, "repetitions must be between 1 and 1024, got 0"),
        ({"dim": 2, "repetitions": 1, "bits": 1, "final_dim": 5}, "final_dim must be between 0 and 4, got 5"),
        ({"dim": 65536, "repetitions": 1024, "bits": 12}, "must be between 1 and 16777216"),
    ],
    ids=["dim", "bits", "repetitions", "final", "size"],
)
def test_encodings_refuse_numbers_out_of_range(numbers: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        FixedEncoding(**numbers)


def test_encodings_refuse_tokens_of_another_dimension() -> None:
    with pytest.raises(InvalidArgument, match="tokens of 4 dimensions, got 3"):
        FixedEncoding(dim=4).query([[1, 2, 3]])
