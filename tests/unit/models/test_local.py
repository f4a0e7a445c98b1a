"""Batches, pooling and unit length, with a runner whose states can be checked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicino.errors import InvalidArgument
from vicino.models import Embedder
from vicino.models.local import _TOKENS_PER_BATCH, LocalEmbedder, Pooling, batches
from vicino.models.tokenizer import TextTokenizer


class IdsAsStates:
    """The state of a token is (its id, its position); of padding, a large number that must not be seen."""

    dim = 2

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, ids: Any, mask: Any) -> Any:
        self.shapes.append(ids.shape)
        positions = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
        return np.where(mask[:, :, None] == 1, np.stack([ids, positions], axis=2), 1e6).astype(np.float32)

    def facts(self) -> dict[str, Any]:
        return {"runner": "test", "version": "1"}


def embedder(folder: Path, runner: Any = None, *, pooling: Pooling = "mean", normalize: bool = False, **prompts: str) -> LocalEmbedder:
    path = folder / "tokenizer.json"
    return LocalEmbedder(
        name="test",
        tokenizer=TextTokenizer(path.read_bytes(), path=str(path), max_tokens=16, lower=False),
        runner=runner or IdsAsStates(),
        pooling=pooling,
        normalize=normalize,
        prompts={"document": "", "query": ""} | prompts,
        identity={"name": "test", "dim": 2, "max_tokens": 16, "prompts": prompts},
    )


def test_is_an_embedder(tiny_folder: Path) -> None:
    assert isinstance(embedder(tiny_folder), Embedder)


# "a wing" has the tokens 2 4 5 3 at positions 0 1 2 3; the longer text beside it makes padding.
@pytest.mark.parametrize(
    ("pooling", "expected"), [("mean", [3.5, 1.5]), ("cls", [2, 0]), ("max", [5, 3]), ("last", [3, 3])], ids=["mean", "cls", "max", "last"]
)
def test_pooling_looks_at_the_tokens_of_the_text_only(tiny_folder: Path, pooling: Pooling, expected: list[float]) -> None:
    vectors = embedder(tiny_folder, pooling=pooling).embed_documents(["a wing", "a a a a a a"])
    assert vectors[0].tolist() == expected


def test_vectors_have_unit_length_when_the_model_says_so(tiny_folder: Path) -> None:
    vectors = embedder(tiny_folder, normalize=True).embed_documents(["a wing", ""])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-6)


def test_vectors_come_in_the_order_of_the_texts(tiny_folder: Path) -> None:
    model = embedder(tiny_folder, pooling="last")
    texts = ["a " * length for length in (3, 14, 0, 9, 1)]
    assert model.embed_documents(texts)[:, 1].tolist() == [4, 15, 1, 10, 2]


def test_order_holds_across_windows(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vicino.models.local._TEXTS_PER_WINDOW", 3)
    lengths = [3, 14, 0, 9, 1, 12, 2, 5]
    vectors = embedder(tiny_folder, pooling="last").embed_documents(["a " * length for length in lengths])
    assert vectors[:, 1].tolist() == [length + 1 for length in lengths]


def test_no_texts_give_no_rows(tiny_folder: Path) -> None:
    vectors = embedder(tiny_folder).embed_documents([])
    assert (vectors.shape, vectors.dtype) == ((0, 2), np.float32)


def test_query_is_one_vector(tiny_folder: Path) -> None:
    model = embedder(tiny_folder)
    assert model.embed_query("a wing").tolist() == model.embed_documents(["a wing"])[0].tolist()


def test_each_side_gets_its_prompt(tiny_folder: Path) -> None:
    model = embedder(tiny_folder, pooling="last", query="a ", document="a a a ")
    assert (model.embed_query("wing")[1], model.embed_documents(["wing"])[0][1]) == (3, 5)


def test_single_str_is_not_taken_for_a_list_of_letters(tiny_folder: Path) -> None:
    with pytest.raises(InvalidArgument, match="takes a list of texts, got a single str"):
        embedder(tiny_folder).embed_documents("a wing")


def test_position_in_an_error_counts_from_the_first_text(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vicino.models.local._TEXTS_PER_WINDOW", 2)
    with pytest.raises(InvalidArgument, match="text 3 to embed must be a str, got NoneType"):
        embedder(tiny_folder).embed_documents(["a", "a", "a", None])  # pyright: ignore[reportArgumentType]


def test_identity_is_a_copy(tiny_folder: Path) -> None:
    model = embedder(tiny_folder, query="a ")
    model.identity()["prompts"]["query"] = "changed"
    assert model.identity()["prompts"]["query"] == "a "


def test_texts_of_like_length_share_a_batch(tiny_folder: Path) -> None:
    runner = IdsAsStates()
    embedder(tiny_folder, runner).embed_documents(["a " * 14] * 40 + ["a"] * 40)
    # 512 tokens are 32 rows of 16; the 8 long ones left take short ones with them until the batch is full.
    assert runner.shapes == [(32, 16), (32, 16), (16, 3)]


@given(st.lists(st.integers(1, 2 * _TOKENS_PER_BATCH), max_size=60))
def test_batches_hold_every_text_once_and_are_bounded(lengths: list[int]) -> None:
    cut = list(batches(lengths))
    assert sorted(row for batch in cut for row in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= _TOKENS_PER_BATCH for batch in cut)
