"""Both runners on a tiny encoder: the ONNX graph says what the numpy reference says."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vicino.env import RealEnv
from vicino.errors import CorruptionError, InvalidArgument
from vicino.models import onnx_proto as onnx
from vicino.models.bert import BertShape, check_tensors, read_shape
from vicino.models.bert_numpy import NumpyBert, _gelu, view_tensors
from vicino.models.bert_onnx import build_graph
from vicino.models.onnx_runner import OnnxRunner
from vicino.models.runner import Runner
from vicino.models.safetensors import Tensor, read_tensors

SETTINGS = {
    "model_type": "bert", "hidden_act": "gelu", "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32,
    "intermediate_size": 64, "vocab_size": 22, "max_position_embeddings": 24, "type_vocab_size": 2,
}  # fmt: skip
LENGTHS = [16, 1, 7, 2, 16, 3]


def parts(folder: Path) -> tuple[BertShape, dict[str, Tensor], dict[str, np.ndarray]]:
    files, path = RealEnv().files, str(folder / "model.safetensors")
    tensors = read_tensors(files, path)
    shape = read_shape("config.json", SETTINGS | {"vocab_size": tensors["embeddings.word_embeddings.weight"].shape[0]})
    return shape, tensors, view_tensors(files.map(path), tensors)


def numpy_runner(folder: Path) -> Runner:
    shape, _, arrays = parts(folder)
    return NumpyBert(shape, arrays)


def onnx_runner(folder: Path) -> Runner:
    shape, tensors, arrays = parts(folder)
    graph = build_graph(shape, tensors, arrays, "model.safetensors")
    return OnnxRunner(graph, path="tiny", weights_folder=str(folder), threads=1)


def batch() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    mask = (np.arange(max(LENGTHS))[None, :] < np.array(LENGTHS)[:, None]).astype(np.int64)
    return rng.integers(4, 20, mask.shape) * mask, mask


def test_onnx_graph_agrees_with_the_reference(tiny_folder: Path) -> None:
    ids, mask = batch()
    expected = numpy_runner(tiny_folder).run(ids, mask)
    got = onnx_runner(tiny_folder).run(ids, mask)
    assert got.dtype == np.float32
    assert np.abs((got - expected)[mask == 1]).max() < 1e-5


@pytest.mark.parametrize("build", [numpy_runner, onnx_runner], ids=["numpy", "onnx"])
def test_neighbors_in_a_batch_do_not_matter(build: Callable[[Path], Runner], tiny_folder: Path) -> None:
    runner = build(tiny_folder)
    ids, mask = batch()
    together = runner.run(ids, mask)
    for row, length in enumerate(LENGTHS):
        alone = runner.run(ids[row : row + 1, :length], mask[row : row + 1, :length])
        assert np.abs(together[row, :length] - alone[0]).max() < 1e-5


def test_reference_is_attention_as_written_in_the_paper(tiny_folder: Path) -> None:
    """One layer of one text, spelled with loops over heads and tokens and with math.erf."""
    shape, _, weights = parts(tiny_folder)
    one_layer = BertShape(**{name: getattr(shape, name) for name in BertShape.__dataclass_fields__} | {"n_layers": 1})
    ids = np.array([[2, 5, 6, 3]])
    got = NumpyBert(one_layer, weights).run(ids, np.ones_like(ids))[0]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return (x - x.mean()) / math.sqrt(x.var() + shape.epsilon) * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return weights[f"{name}.weight"].astype(float) @ x + weights[f"{name}.bias"]

    words, places = weights["embeddings.word_embeddings.weight"], weights["embeddings.position_embeddings.weight"]
    first_type = weights["embeddings.token_type_embeddings.weight"][0]
    x = [norm((words[word] + places[place] + first_type).astype(float), "embeddings.LayerNorm") for place, word in enumerate(ids[0])]
    layer, head_dim = "encoder.layer.0", 8
    query, key, value = ([linear(state, f"{layer}.attention.self.{name}") for state in x] for name in ("query", "key", "value"))
    for row in range(4):
        context = np.empty(32)
        for head in (slice(start, start + head_dim) for start in range(0, 32, head_dim)):
            scores = np.exp([query[row][head] @ key[other][head] / math.sqrt(head_dim) for other in range(4)])
            context[head] = sum(score * value[other][head] for other, score in enumerate(scores / scores.sum()))
        attended = norm(linear(context, f"{layer}.attention.output.dense") + x[row], f"{layer}.attention.output.LayerNorm")
        inner = linear(attended, f"{layer}.intermediate.dense")
        active = np.array([z * 0.5 * (1 + math.erf(z / math.sqrt(2))) for z in inner])
        expected = norm(linear(active, f"{layer}.output.dense") + attended, f"{layer}.output.LayerNorm")
        assert np.abs(got[row] - expected).max() < 1e-5


def test_gelu_is_close_to_the_error_function() -> None:
    x = np.concatenate([np.linspace(-12, 12, 4001), [0.0, -0.0, 80.0, -80.0]]).astype(np.float32)
    expected = np.array([z * 0.5 * (1 + math.erf(z / math.sqrt(2))) for z in x.astype(float)])
    _gelu(got := x.copy())
    assert np.all(np.abs(got - expected) <= 2e-7 * np.maximum(np.abs(x), 1))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model_type": "roberta"}, "model_type is 'roberta'"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"hidden_size": "32"}, "hidden_size must be a whole number from 1 to 16777216, got '32'"),
        ({"num_hidden_layers": True}, "num_hidden_layers must be a whole number"),
        ({"num_attention_heads": 5}, "hidden_size 32 is not a multiple of num_attention_heads 5"),
    ],
    ids=["type", "activation", "positions", "text", "bool", "heads"],
)
def test_other_encoders_are_refused_by_setting(changed: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        read_shape("config.json", SETTINGS | changed)
    assert message in str(raised.value)


def test_weights_of_another_config_are_refused(tiny_folder: Path) -> None:
    shape, tensors, _ = parts(tiny_folder)
    name = "encoder.layer.1.output.dense.weight"
    with pytest.raises(CorruptionError, match=f'tensor "{name}" has shape .*, config.json demands'):
        check_tensors("w", shape, tensors | {name: Tensor((64, 32), 0, 8192)})
    with pytest.raises(CorruptionError, match=f'no float32 tensor "{name}"'):
        check_tensors("w", shape, {other: tensor for other, tensor in tensors.items() if other != name})


def little_graph(input_name: str, output_name: str) -> bytes:
    """A valid graph: the states of a token are the row of its id in a table of four."""
    table = onnx.stored_tensor("table", np.arange(12, dtype=np.float32).reshape(4, 3))
    gather = onnx.node("Gather", ["table", input_name], [output_name])
    inputs = [onnx.value_info(input_name, onnx.INT32, ("n", "length"))]
    return onnx.model("little", [gather], [table], inputs, [onnx.value_info(output_name, onnx.FLOAT, ("n", "length", 3))])


def test_states_of_tokens_are_found_by_rank() -> None:
    runner = OnnxRunner(little_graph("input_ids", "something"), path="little", threads=1)
    assert runner.dim == 3
    assert runner.run(np.array([[1, 2]]), np.ones((1, 2), dtype=np.int64)).tolist() == [[[3, 4, 5], [6, 7, 8]]]


def test_unknown_input_is_refused_by_name() -> None:
    with pytest.raises(InvalidArgument, match='little: the model wants an input "pixels"'):
        OnnxRunner(little_graph("pixels", "states"), path="little")


def test_failing_batch_names_model_and_size() -> None:
    runner = OnnxRunner(little_graph("input_ids", "states"), path="little", threads=1)
    with pytest.raises(InvalidArgument, match="little: the model failed on a batch of 1 x 2 tokens"):
        runner.run(np.array([[1, 400]]), np.ones((1, 2), dtype=np.int64))


def test_bytes_that_are_no_model_are_corruption() -> None:
    with pytest.raises(CorruptionError, match=r"bad\.onnx: onnxruntime .* cannot load this model"):
        OnnxRunner(b"no model", path="bad.onnx")
