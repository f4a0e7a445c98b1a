"""The real MiniLM against vectors that were computed elsewhere. Skipped where the model was not pulled or the vectors are not at hand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from vicino import models
from vicino.models import Embedder

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
VECTORS = DATA / "vectors-minilm" / "cranfield.docs.f16.npy"
CORPUS = DATA / "cranfield" / "corpus.jsonl.gz"


@pytest.fixture(scope="module")
def minilm() -> Embedder:
    if not next(model for model in models.list() if model.name == "minilm").is_pulled:
        pytest.skip("minilm is not on this machine: vicino models pull minilm")
    return models.load("minilm", threads=1)


def test_vectors_agree_with_the_published_model(minilm: Embedder) -> None:
    if not (VECTORS.exists() and CORPUS.exists()):
        pytest.skip(f"the vectors to compare with are not at hand: {VECTORS.name}, {CORPUS.name}")
    with gzip.open(CORPUS, "rt") as lines:
        documents = [json.loads(line) for line in lines]
    rows = [*range(0, len(documents), 50), 470, 994]  # the last two are the empty documents
    got = minilm.embed_documents([f"{documents[row]['title']} {documents[row]['text']}" for row in rows])
    expected = np.load(VECTORS)[rows].astype(np.float32)
    cosines = (got * expected).sum(axis=1) / np.linalg.norm(expected, axis=1)
    # The published vectors were computed in bfloat16, which costs 0.00005 on average.
    assert cosines.mean() >= 0.9995
    assert cosines.min() >= 0.999


def test_what_a_text_means_decides(minilm: Embedder) -> None:
    query = minilm.embed_query("a fast car")
    near, far = minilm.embed_documents(["a quick automobile", "recipe for bean soup"])
    assert query @ near > 0.7 > 0.2 > query @ far


def test_identity_holds_the_pinned_hashes(minilm: Embedder) -> None:
    identity = minilm.identity()
    assert identity["files"]["weights"] == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert (minilm.dim, identity["max_tokens"], identity["pooling"], identity["normalize"]) == (384, 256, "mean", True)


def test_numpy_runner_gives_the_same_vectors(minilm: Embedder) -> None:
    texts = ["how do wings stall", "", "heat " * 60]
    difference = models.load("minilm", runner="numpy").embed_documents(texts) - minilm.embed_documents(texts)
    assert np.abs(difference).max() < 2e-6
