"""Numbers of a query that float32 cannot hold."""

import numpy as np
import pytest

import vicino
from vicino.errors import DimensionError, InvalidArgument


@pytest.fixture
def docs():
    with vicino.open() as database:
        collection = database.create_collection("docs", dim=2)
        collection.upsert([{"id": 1, "vector": [1, 2]}])
        yield collection


@pytest.mark.parametrize("number", [3.5e38, float("inf"), float("nan")])
@pytest.mark.parametrize("form", [list, np.array, lambda numbers: np.array(numbers, np.longdouble)], ids=["list", "array", "long"])
def test_number_that_is_none_is_refused_by_its_place(docs, number, form):
    with pytest.raises(InvalidArgument, match="at position 1"):
        docs.search(form([0.5, number]))


@pytest.mark.parametrize("dtype", [np.float64, np.longdouble])
def test_number_that_is_too_large_is_named(docs, dtype):
    with pytest.raises(InvalidArgument, match=r'of collection "docs" has -1e\+39 at position 1, which does not fit float32'):
        docs.search(np.array([0.5, -1e39], dtype))


def test_number_that_is_too_large_is_refused_in_a_batch_too(docs):
    with pytest.raises(InvalidArgument, match=r"query 1 of 2, from 0: .* has 1e\+39 at position 0"):
        docs.search_many([[0.5, 1.0], [1e39, 1.0]])
    with pytest.raises(InvalidArgument, match=r"query 1 of 2, from 0: .* has 1e\+39 at position 0"):
        docs.search_many(np.array([[0.5, 1.0], [1e39, 1.0]]))


def test_query_of_a_batch_that_has_another_length_is_named(docs):
    with pytest.raises(DimensionError, match=r"query 2 of 3, from 0: .* has 2 dimensions, the query has 3"):
        docs.search_many([[1, 2], [3, 4], [5, 6, 7]])
