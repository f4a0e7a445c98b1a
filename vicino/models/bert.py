"""What a BERT encoder is made of: the numbers in its config.json and the names and shapes of its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vicino.errors import CorruptionError, InvalidArgument
from vicino.models.safetensors import Tensor

LINEAR_LAYERS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
NORM_LAYERS = ("attention.output.LayerNorm", "output.LayerNorm")

_FIXED = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BertShape:
    """Sizes of one encoder. `n_positions` bounds the tokens of a text, `epsilon` is the one of all layer norms."""

    n_layers: int
    n_heads: int
    dim: int
    inner_dim: int
    n_words: int
    n_positions: int
    n_types: int
    epsilon: float

    @property
    def head_dim(self) -> int:
        return self.dim // self.n_heads

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name and shape of every weight. Linear weights are stored (out, in)."""
        yield "embeddings.word_embeddings.weight", (self.n_words, self.dim)
        yield "embeddings.position_embeddings.weight", (self.n_positions, self.dim)
        yield "embeddings.token_type_embeddings.weight", (self.n_types, self.dim)
        yield from ((f"embeddings.LayerNorm.{part}", (self.dim,)) for part in ("weight", "bias"))
        for layer in range(self.n_layers):
            prefix = layer_prefix(layer)
            for name in LINEAR_LAYERS:
                out_dim = self.inner_dim if name == "intermediate.dense" else self.dim
                in_dim = self.inner_dim if name == "output.dense" else self.dim
                yield f"{prefix}{name}.weight", (out_dim, in_dim)
                yield f"{prefix}{name}.bias", (out_dim,)
            for name in NORM_LAYERS:
                yield f"{prefix}{name}.weight", (self.dim,)
                yield f"{prefix}{name}.bias", (self.dim,)


def layer_prefix(layer: int) -> str:
    return f"encoder.layer.{layer}."


def read_shape(path: str, settings: Mapping[str, Any]) -> BertShape:
    """The sizes in a config.json, whose content is `settings`; refuses encoders that are not plain BERT, naming the setting."""
    for key, expected in _FIXED.items():
        if (value := settings.get(key, expected if key == "position_embedding_type" else None)) != expected:
            raise InvalidArgument(
                f"{path}: {key} is {value!r}; without an ONNX file vicino runs encoders with {expected!r} only. "
                "Export the model to ONNX and put model.onnx into the folder"
            )

    def size(key: str) -> int:
        value = settings.get(key)
        if type(value) is not int or not 1 <= value <= 1 << 24:
            raise InvalidArgument(f"{path}: {key} must be a whole number from 1 to {1 << 24}, got {value!r}")
        return value

    shape = BertShape(
        n_layers=size("num_hidden_layers"),
        n_heads=size("num_attention_heads"),
        dim=size("hidden_size"),
        inner_dim=size("intermediate_size"),
        n_words=size("vocab_size"),
        n_positions=size("max_position_embeddings"),
        n_types=size("type_vocab_size"),
        epsilon=float(settings.get("layer_norm_eps", 1e-12)),
    )
    if shape.dim % shape.n_heads:
        raise InvalidArgument(f"{path}: hidden_size {shape.dim} is not a multiple of num_attention_heads {shape.n_heads}")
    return shape


def check_tensors(path: str, shape: BertShape, tensors: Mapping[str, Tensor]) -> None:
    """Raise CorruptionError unless the file at `path` holds every weight in the shape its config.json demands."""
    for name, expected in shape.tensors():
        if (tensor := tensors.get(name)) is None:
            raise CorruptionError(f'{path}: no float32 tensor "{name}"; the weights do not belong to the config.json beside them')
        if tensor.shape != expected:
            raise CorruptionError(f'{path}: tensor "{name}" has shape {tensor.shape}, config.json demands {expected}')
