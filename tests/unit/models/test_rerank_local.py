"""A cross-encoder from a folder, on a model whose scores one can count: how often words of the query stand in the text."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vicino.errors import CorruptionError, InvalidArgument, MissingExtraError, ModelNotFound
from vicino.models import load_reranker
from vicino.models import onnx_proto as onnx

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def overlap_graph(vocabulary: dict[str, int], *, n_outputs: int = 1) -> bytes:
    """Pairs of equal words of query and text, counted. The pad counts as every word, so that the mask has something to do."""
    n = len(vocabulary)
    bags = np.eye(n, dtype=np.float32)
    for mark in ("[UNK]", "[CLS]", "[SEP]"):
        bags[vocabulary[mark]] = 0
    bags[vocabulary["[PAD]"]] = 1
    tensors = [
        onnx.stored_tensor("bags", bags),
        onnx.stored_tensor("first", np.array([[1], [0]], np.float32)),
        onnx.stored_tensor("second", np.array([[0], [1]], np.float32)),
        onnx.stored_tensor("many", np.ones((1, n_outputs), np.float32)),
    ]
    nodes = [
        onnx.node("Gather", ["bags", "input_ids"], ["words"], axis=0),
        onnx.node("Gather", ["second", "attention_mask"], ["is_there"], axis=0),
        onnx.node("Mul", ["words", "is_there"], ["seen"]),
        onnx.node("Gather", ["first", "token_type_ids"], ["is_query"], axis=0),
        onnx.node("Gather", ["second", "token_type_ids"], ["is_text"], axis=0),
        onnx.node("FusedMatMul", ["is_query", "seen"], ["query"], domain=onnx.CONTRIB, transA=1),
        onnx.node("FusedMatMul", ["is_text", "seen"], ["text"], domain=onnx.CONTRIB, transA=1),
        onnx.node("FusedMatMul", ["query", "text"], ["count"], domain=onnx.CONTRIB, transB=1),
        onnx.node("Flatten", ["count"], ["flat"], axis=1),
        onnx.node("MatMul", ["flat", "many"], ["logits"]),
    ]
    inputs = [onnx.value_info(name, onnx.INT32, ("n", "length")) for name in INPUTS]
    return onnx.model("overlap", nodes, tensors, inputs, [onnx.value_info("logits", onnx.FLOAT, ("n", n_outputs))])


def configure(folder: Path, **settings: Any) -> None:
    config = {"max_position_embeddings": 24, "activation_fn": "torch.nn.modules.linear.Identity", **settings}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "overlap"
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes((tiny_folder / "tokenizer.json").read_bytes())
    vocabulary = json.loads((tiny_folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "model.onnx").write_bytes(overlap_graph(vocabulary))
    configure(folder)
    return folder


def test_query_and_text_are_read_together(folder: Path) -> None:
    assert load_reranker(folder).scores("wing stalls", ["heat flows", "a wing stalls", "wing wing"]) == [0.0, 2.0, 2.0]


def test_neighbors_in_a_batch_do_not_matter(folder: Path) -> None:
    reranker = load_reranker(folder)
    texts = ["wing", "a wing stalls at high angle of attack", "", "wing heat " * 4, "plate"] * 9
    assert reranker.scores("wing heat", texts) == [reranker.scores("wing heat", [text])[0] for text in texts]


def test_name_and_limit_are_those_of_the_folder(folder: Path) -> None:
    reranker = load_reranker(folder)
    assert (reranker.name, reranker.max_length) == ("overlap", 24)


def test_end_of_a_long_text_is_cut_off(folder: Path) -> None:
    # 24 tokens hold three marks, one word of the query, and 20 words of the text.
    assert load_reranker(folder).scores("wing", ["heat " * 19 + "wing", "heat " * 20 + "wing"]) == [1.0, 0.0]


def test_long_query_leaves_room_for_the_text(folder: Path) -> None:
    assert load_reranker(folder).scores("heat " * 60, ["heat " * 5]) == [pytest.approx(11 * 5)]  # [CLS] is the twelfth of its half


def test_scores_are_probabilities_unless_the_model_says_otherwise(folder: Path) -> None:
    configure(folder, activation_fn=None)
    assert load_reranker(folder).scores("wing", ["wing", "heat"]) == pytest.approx([1 / (1 + np.exp(-1)), 0.5])


def test_no_texts_have_no_scores(folder: Path) -> None:
    assert load_reranker(folder).scores("wing", []) == []


def test_identity_holds_the_hash_of_every_file(folder: Path) -> None:
    identity = load_reranker(folder).identity()  # type: ignore[attr-defined]
    assert identity["files"]["weights"] == hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    assert identity["files"].keys() == {"weights", "tokenizer", "config"}


def test_pinned_files_are_accepted(folder: Path) -> None:
    pins = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("model.onnx", "tokenizer.json")}
    assert load_reranker(folder, pins=pins).scores("wing", ["wing"]) == [1.0]


def test_file_with_other_bytes_than_pinned_is_refused(folder: Path) -> None:
    with pytest.raises(CorruptionError, match=r"config\.json has SHA-256 \w+, pinned is 00"):
        load_reranker(folder, pins={"config.json": "00"})


def test_classifier_is_no_reranker(folder: Path) -> None:
    configure(folder, id2label={"0": "a", "1": "b"})
    with pytest.raises(InvalidArgument, match="the model has 2 labels, a reranker has 1"):
        load_reranker(folder)


def test_model_that_gives_several_numbers_is_refused(folder: Path) -> None:
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "model.onnx").write_bytes(overlap_graph(vocabulary, n_outputs=3))
    with pytest.raises(InvalidArgument, match=r"shape \(1, 3\) for 1 pairs"):
        load_reranker(folder)


def test_unknown_activation_is_refused(folder: Path) -> None:
    configure(folder, activation_fn="torch.nn.Tanh")
    with pytest.raises(InvalidArgument, match=r"'torch\.nn\.Tanh' is not supported"):
        load_reranker(folder)


@pytest.mark.parametrize(("missing", "told"), [("model.onnx", "holds no reranker"), ("tokenizer.json", "export the tokenizer")])
def test_missing_file_is_named(folder: Path, missing: str, told: str) -> None:
    (folder / missing).unlink()
    with pytest.raises((ModelNotFound, InvalidArgument), match=told):
        load_reranker(folder)


def test_bytes_that_are_no_model_are_corruption(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"no model")
    with pytest.raises(CorruptionError, match="cannot load this model"):
        load_reranker(folder)


def test_single_text_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidArgument, match="takes a list of texts"):
        load_reranker(folder).scores("wing", "a text")


def test_unpaired_surrogates_are_refused(folder: Path) -> None:
    with pytest.raises(InvalidArgument, match="unpaired surrogates"):
        load_reranker(folder).scores("wing", ["\ud800"])


def test_missing_onnxruntime_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"needed to run a reranker .* pip install \"vicino\[embed\]\""):
        load_reranker(folder)
