"""The ONNX graph of a BERT encoder, built from its weights as they lie in model.safetensors.

The graph has a few kilobytes: its weights are references into the safetensors file (both formats store float32 in little-endian C order),
which onnxruntime maps. So there is one file of weights, the pinned one, whichever runner is used, and what was hashed is what is computed
with. Operators are onnxruntime's fused ones; `FusedMatMul` takes the weights transposed, as PyTorch stores them.

    input_ids, token_type_ids, attention_mask (n, length) int32  ->  last_hidden_state (n, length, dim) float32
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from vicino.models import onnx_proto as onnx
from vicino.models.bert import LINEAR_LAYERS, BertShape, layer_prefix
from vicino.models.runner import Floats
from vicino.models.safetensors import Tensor

INPUTS = ("input_ids", "token_type_ids", "attention_mask")
OUTPUT = "last_hidden_state"

_ATTENTION_INPUTS = LINEAR_LAYERS[:3]


def build_graph(shape: BertShape, tensors: Mapping[str, Tensor], weights: Mapping[str, Floats], weights_file: str) -> bytes:
    """The bytes of an .onnx file for the encoder whose `tensors` lie in `weights_file`, a file name without a folder.

    weights: the same tensors as arrays; only the attention biases are read, because the graph wants the three of a layer in one piece.
    """
    joined = {
        f"{layer_prefix(layer)}attention.bias": np.concatenate([weights[f"{layer_prefix(layer)}{name}.bias"] for name in _ATTENTION_INPUTS])
        for layer in range(shape.n_layers)
    }
    split = {f"{layer_prefix(layer)}{name}.bias" for layer in range(shape.n_layers) for name in _ATTENTION_INPUTS}
    stored = [onnx.stored_tensor(name, values) for name, values in joined.items()]
    external = [
        onnx.external_tensor(name, extents, file=weights_file, offset=tensors[name].offset, size_bytes=tensors[name].size_bytes)
        for name, extents in shape.tensors()
        if name not in split
    ]
    extents = ("n", "length")
    return onnx.model(
        "bert",
        _nodes(shape),
        stored + external,
        [onnx.value_info(name, onnx.INT32, extents) for name in INPUTS],
        [onnx.value_info(OUTPUT, onnx.FLOAT, (*extents, shape.dim))],
    )


def _nodes(shape: BertShape) -> Iterator[bytes]:
    tables = ("word_embeddings.weight", "position_embeddings.weight", "token_type_embeddings.weight")
    norm = ("LayerNorm.weight", "LayerNorm.bias")
    yield onnx.node(
        "EmbedLayerNormalization",
        ["input_ids", "token_type_ids", *(f"embeddings.{name}" for name in (*tables, *norm))],
        ["states.0", "mask_index"],  # the second is used by nobody, but the operator's checker wants it named
        domain=onnx.CONTRIB,
        epsilon=shape.epsilon,
    )
    for layer in range(shape.n_layers):
        yield from _layer_nodes(shape, layer, f"states.{layer}", OUTPUT if layer == shape.n_layers - 1 else f"states.{layer + 1}")


def _layer_nodes(shape: BertShape, layer: int, states: str, output: str) -> Iterator[bytes]:
    prefix = layer_prefix(layer)

    def linear(source: str, name: str) -> bytes:
        return onnx.node("FusedMatMul", [source, f"{prefix}{name}.weight"], [f"{prefix}{name}"], domain=onnx.CONTRIB, transB=1)

    def add_and_norm(source: str, skipped: str, name: str, target: str) -> bytes:
        norm = f"{prefix}{name}.LayerNorm"
        inputs = [source, skipped, f"{norm}.weight", f"{norm}.bias", f"{prefix}{name}.dense.bias"]
        return onnx.node("SkipLayerNormalization", inputs, [target], domain=onnx.CONTRIB, epsilon=shape.epsilon)

    for name in _ATTENTION_INPUTS:
        yield linear(states, name)
    yield onnx.node(
        "MultiHeadAttention",
        [*(f"{prefix}{name}" for name in _ATTENTION_INPUTS), f"{prefix}attention.bias", "attention_mask"],
        [f"{prefix}context"],
        domain=onnx.CONTRIB,
        num_heads=shape.n_heads,
    )
    yield linear(f"{prefix}context", "attention.output.dense")
    yield add_and_norm(f"{prefix}attention.output.dense", states, "attention.output", f"{prefix}attended")
    yield linear(f"{prefix}attended", "intermediate.dense")
    yield onnx.node(
        "BiasGelu",
        [f"{prefix}intermediate.dense", f"{prefix}intermediate.dense.bias"],
        [f"{prefix}intermediate.active"],
        domain=onnx.CONTRIB,
    )
    yield linear(f"{prefix}intermediate.active", "output.dense")
    yield add_and_norm(f"{prefix}output.dense", f"{prefix}attended", "output", output)
