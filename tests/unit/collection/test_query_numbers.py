"""Numbers of a query that float32 cannot hold."""

import numpy as np
import pytest

import vicino
from vicino.errors import InvalidArgument


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


def test_number_that_is_too_large_is_refused_in_a_batch_too(docs):
    with pytest.raises(InvalidArgument, match="at position 0"):
        docs.search_many([[0.5, 1.0], [1e39, 1.0]])
