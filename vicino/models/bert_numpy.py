"""A BERT encoder in numpy: the readable form, against which the ONNX graph of bert_onnx is tested, and a runner without onnxruntime.

Texts of a batch are not padded against each other: the tokens of all of them form one tall matrix for the linear layers, which are nearly
all of the work, and attention goes text by text.

Source: Devlin, Chang, Lee and Toutanova, "BERT", 2018; Vaswani et al., "Attention is all you need", 2017.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vicino.models.bert import BertShape, layer_prefix
from vicino.models.runner import Floats, TokenIds
from vicino.models.safetensors import Tensor

# 64 rows of the widest layer of MiniLM are 384 KiB: with the temporaries of `_gelu` they stay in the second-level cache.
_GELU_ROWS = 64


def view_tensors(buffer: Any, tensors: Mapping[str, Tensor]) -> dict[str, Floats]:
    """The tensors as arrays over `buffer`, which holds the bytes of their file; nothing is copied."""
    return {
        name: np.frombuffer(buffer, dtype="<f4", count=math.prod(tensor.shape), offset=tensor.offset).reshape(tensor.shape)
        for name, tensor in tensors.items()
    }


class NumpyBert:
    def __init__(self, shape: BertShape, weights: Mapping[str, Floats]) -> None:
        self.dim = shape.dim
        self._shape = shape
        self._weights = weights

    def facts(self) -> dict[str, Any]:
        return {"runner": "numpy", "version": np.__version__}

    def run(self, ids: TokenIds, mask: TokenIds) -> Floats:
        is_token = mask.astype(bool)
        lengths = is_token.sum(axis=1)
        ends = np.cumsum(lengths)
        starts = ends - lengths
        # Texts are filled from the left, so a token's column is its position.
        positions = np.nonzero(is_token)[1]
        states = self._encode(ids[is_token], positions, [slice(int(start), int(end)) for start, end in zip(starts, ends, strict=True)])
        padded = np.zeros((*ids.shape, self.dim), dtype=np.float32)
        padded[is_token] = states
        return padded

    def _encode(self, ids: npt.NDArray[Any], positions: npt.NDArray[Any], texts: list[slice]) -> Floats:
        weights = self._weights
        states = weights["embeddings.word_embeddings.weight"][ids]
        states += weights["embeddings.position_embeddings.weight"][positions]
        states += weights["embeddings.token_type_embeddings.weight"][0]
        states = self._norm(states, "embeddings.LayerNorm")
        for layer in range(self._shape.n_layers):
            prefix = layer_prefix(layer)
            attended = self._linear(self._attend(states, prefix, texts), f"{prefix}attention.output.dense")
            attended += states
            states = self._norm(attended, f"{prefix}attention.output.LayerNorm")
            inner = self._linear(states, f"{prefix}intermediate.dense")
            for row in range(0, len(inner), _GELU_ROWS):
                _gelu(inner[row : row + _GELU_ROWS])
            outer = self._linear(inner, f"{prefix}output.dense")
            outer += states
            states = self._norm(outer, f"{prefix}output.LayerNorm")
        return states

    def _attend(self, states: Floats, prefix: str, texts: list[slice]) -> Floats:
        query, key, value = (self._linear(states, f"{prefix}attention.self.{name}") for name in ("query", "key", "value"))
        query *= np.float32(1 / math.sqrt(self._shape.head_dim))
        context = np.empty_like(states)
        for text in texts:
            scores = np.matmul(self._heads(query[text]), self._heads(key[text]).transpose(0, 2, 1))
            scores -= scores.max(axis=2, keepdims=True)  # softmax does not change, and exp cannot overflow
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=2, keepdims=True)
            self._heads(context[text])[...] = np.matmul(scores, self._heads(value[text]))
        return context

    def _heads(self, states: Floats) -> Floats:
        """(tokens, dim) seen as (heads, tokens, head_dim)."""
        return states.reshape(len(states), self._shape.n_heads, self._shape.head_dim).transpose(1, 0, 2)

    def _linear(self, states: Floats, name: str) -> Floats:
        product = states @ self._weights[f"{name}.weight"].T
        product += self._weights[f"{name}.bias"]
        return product

    def _norm(self, states: Floats, name: str) -> Floats:
        """Layer norm, in place."""
        states -= states.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", states, states) / np.float32(self.dim)
        states *= (1 / np.sqrt(variance + np.float32(self._shape.epsilon)))[:, None]
        states *= self._weights[f"{name}.weight"]
        states += self._weights[f"{name}.bias"]
        return states


def _gelu(x: Floats) -> None:
    """x * Phi(x) in place, Phi the normal distribution function; absolute error below 2e-7 |x|.

    numpy has no erf; for z >= 0, erfc(z) = t (a1 + t (a2 + ...)) exp(-z^2) with t = 1 / (1 + 0.3275911 z), and
    x Phi(x) = max(x, 0) - |x| erfc(|x| / sqrt 2) / 2. Source: Abramowitz and Stegun, formula 7.1.26.
    """
    magnitude = np.abs(x)
    z = magnitude * np.float32(math.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    erfc = t * np.float32(1.061405429)
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        erfc += np.float32(coefficient)
        erfc *= t
    z *= z
    np.negative(z, out=z)
    erfc *= np.exp(z, out=z)
    magnitude *= erfc
    magnitude *= np.float32(0.5)
    np.maximum(x, 0, out=x)
    x -= magnitude
