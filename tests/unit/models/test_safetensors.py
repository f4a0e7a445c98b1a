"""Reading the header of weights, believing nothing."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicino.env import MemoryEnv
from vicino.errors import CorruptionError
from vicino.models.safetensors import Tensor, read_tensors


def encode(header: Any, data: bytes = b"", *, padded: bool = True) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8 if padded else 0)
    return struct.pack("<Q", len(text)) + text + data


def read(content: bytes) -> dict[str, Tensor]:
    files = MemoryEnv().files
    files.mkdir("/m")
    files.create("/m/model.safetensors").append(content)
    return read_tensors(files, "/m/model.safetensors")


def entry(shape: Any, begin: Any, end: Any, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_gives_shape_and_place_of_each_tensor() -> None:
    content = encode({"__metadata__": {"format": "pt"}, "a": entry([2, 3], 0, 24), "b": entry([], 24, 28)}, bytes(28))
    start = len(content) - 28
    assert read(content) == {"a": Tensor((2, 3), start, 24), "b": Tensor((), start + 24, 4)}


def test_leaves_out_tensors_of_other_types() -> None:
    assert read(encode({"ids": entry([2], 0, 16, "I64")}, bytes(16))) == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "claims 0 bytes, the file has 0"),
        (b"\xff" * 8, "claims 18446744073709551615 bytes, the file has 8"),
        (encode({"a": entry([1], 0, 4)}, bytes(4))[:20], "the file has 20"),
        (encode(b"{nonsense"), "is not JSON"),
        (encode(b"\xff\xfe"), "is not JSON"),
        (encode(b"[" * 100_000), "is not JSON"),
        (encode([1, 2]), "is a JSON list, not an object"),
        (encode({"a": 5}), 'tensor "a" is described by 5'),
        (encode({"a": {"dtype": "F32"}}), 'tensor "a" is described by'),
        (encode({"a": entry([2], 0, 8)}, bytes(4)), 'tensor "a" of shape [2] claims bytes 0 to 8 of 4'),
        (encode({"a": entry([2], 0, 4)}, bytes(4)), 'tensor "a" of shape [2] claims bytes 0 to 4 of 4'),
        (encode({"a": entry([1], -4, 0)}, bytes(4)), 'tensor "a" of shape [1] claims bytes -4 to 0 of 4'),
        (encode({"a": entry([-1], 0, 4)}, bytes(4)), 'tensor "a" is described by'),
        (encode({"a": entry([1], 1, 5)}, bytes(8)), 'tensor "a" of shape [1] claims bytes 1 to 5 of 8'),
    ],
    ids=[
        "empty", "huge header", "cut", "no json", "no utf-8", "deep json", "list", "number", "no shape",
        "past the end", "wrong size", "before the start", "negative extent", "unaligned",
    ],
)  # fmt: skip
def test_refuses_damage_naming_it(content: bytes, reason: str) -> None:
    with pytest.raises(CorruptionError) as raised:
        read(content)
    assert reason in str(raised.value)
    assert str(raised.value).startswith("/m/model.safetensors is not a safetensors file that can be used")


WHOLE = encode({"a": entry([2, 3], 0, 24), "b": entry([4], 24, 40)}, bytes(40))


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_any_changed_byte_is_refused_or_keeps_tensors_inside_the_file(position: int, value: int) -> None:
    changed = bytearray(WHOLE)
    changed[position] = value
    try:
        tensors = read(bytes(changed))
    except CorruptionError:
        return
    assert all(0 < tensor.offset <= len(WHOLE) - tensor.size_bytes for tensor in tensors.values())


def test_reads_what_the_model_writer_of_these_tests_wrote(tiny_folder: Path) -> None:
    from vicino.env import RealEnv

    assert read_tensors(RealEnv().files, str(tiny_folder / "model.safetensors"))["embeddings.LayerNorm.bias"].shape == (32,)
