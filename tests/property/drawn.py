"""What the database machine draws from: few names and ids, so that they meet again, and vectors, fields and indexes of every kind."""

from __future__ import annotations

from hypothesis import strategies as st

from vicino import VectorSpec
from vicino.collection.value_specs import MultiSpec, SparseSpec

names = st.sampled_from(["ant", "ant", "ant", "bee", "cat"])  # mostly one, so that it grows
aliases = st.sampled_from(["one", "two"])
vector_names = st.sampled_from(["vector", "other"])
ids = st.sampled_from([*range(16), -1, 2**70, "1", "a", "", "é" * 20])
specs = st.sampled_from(
    [
        VectorSpec(3, "cosine"),
        VectorSpec(2, "l2", "float16"),
        VectorSpec(4, "dot", "int8"),
        VectorSpec(2, "l1", "uint8"),
        VectorSpec(12, "hamming", "binary"),
        VectorSpec(20, "jaccard", "binary", "flat"),
        SparseSpec(),
        SparseSpec(idf=True),
        MultiSpec(3),
    ]
)
indexes = st.sampled_from(["auto", "flat", "graph", "hnsw", "ivf_flat"])  # those that any dtype can have
texts_of = {"text": ("text",), "words": ("text", "list")}
text_names = st.sampled_from(sorted(texts_of))
texts = st.sampled_from(["", "red apple", "green", "blue apple pie"])
numbers = st.integers(0, 5)
bounds = st.integers(0, 6)
fields = st.fixed_dictionaries(
    {},
    optional={
        "n": st.one_of(numbers, st.floats(0, 5, width=16), st.none()),
        "text": texts,
        "list": st.lists(numbers, max_size=3),
        "deep": st.fixed_dictionaries({"a": numbers}),
        "flag": st.booleans(),
    },
)
seeds = st.integers(0, 2**32 - 1)
lifetimes = st.sampled_from([None, 0.1, 0.5, 2.0])
