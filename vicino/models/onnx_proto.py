"""Just enough of ONNX's protobuf to write a graph, so that building one needs neither the onnx package nor protobuf.

A protobuf message is a run of fields, each `varint(number << 3 | wire type)` and a value: wire type 0 is a varint, 2 is a length and that
many bytes (texts, nested messages), 5 is four bytes. Field numbers are those of onnx.proto, IR version 8.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

CONTRIB = "com.microsoft"
"""Domain of onnxruntime's own operators."""

FLOAT, INT32 = 1, 6  # TensorProto.DataType

_IR_VERSION = 8
_OPSETS = {"": 17, CONTRIB: 1}
_ATTRIBUTE_FLOAT, _ATTRIBUTE_INT = 1, 2  # AttributeProto.AttributeType
_LOCATION_EXTERNAL = 1  # TensorProto.DataLocation


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _block(field: int, content: bytes | str) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | 2) + _varint(len(raw)) + raw


def _blocks(field: int, contents: Iterable[bytes | str]) -> bytes:
    return b"".join(_block(field, content) for content in contents)


def _attribute(name: str, value: int | float) -> bytes:
    if isinstance(value, float):
        return _block(1, name) + _varint(2 << 3 | 5) + struct.pack("<f", value) + _number(20, _ATTRIBUTE_FLOAT)
    return _block(1, name) + _number(3, value) + _number(20, _ATTRIBUTE_INT)


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], *, domain: str = "", **attributes: int | float) -> bytes:
    """NodeProto. An empty input name is an optional input left out."""
    encoded = _blocks(1, inputs) + _blocks(2, outputs) + _block(3, outputs[0]) + _block(4, operator)
    encoded += _blocks(5, (_attribute(name, value) for name, value in attributes.items()))
    return encoded + (_block(7, domain) if domain else b"")


def _tensor_head(name: str, shape: Sequence[int]) -> bytes:
    return b"".join(_number(1, extent) for extent in shape) + _number(2, FLOAT) + _block(8, name)


def stored_tensor(name: str, values: npt.NDArray[np.float32]) -> bytes:
    """TensorProto with its float32 values inside."""
    return _tensor_head(name, values.shape) + _block(9, np.ascontiguousarray(values, dtype="<f4").tobytes())


def external_tensor(name: str, shape: Sequence[int], *, file: str, offset: int, size_bytes: int) -> bytes:
    """TensorProto whose float32 values, in little-endian C order, lie in another file, given by its name without a folder."""
    place: dict[str, Any] = {"location": file, "offset": offset, "length": size_bytes}
    entries = (_block(1, key) + _block(2, str(value)) for key, value in place.items())
    return _tensor_head(name, shape) + _blocks(13, entries) + _number(14, _LOCATION_EXTERNAL)


def value_info(name: str, data_type: int, shape: Sequence[int | str]) -> bytes:
    """ValueInfoProto: name, type and shape of an input or output of the graph; a str is an extent that varies."""
    extents = (_block(2, extent) if isinstance(extent, str) else _number(1, extent) for extent in shape)
    return _block(1, name) + _block(2, _block(1, _number(1, data_type) + _block(2, _blocks(1, extents))))


def model(name: str, nodes: Iterable[bytes], tensors: Iterable[bytes], inputs: Iterable[bytes], outputs: Iterable[bytes]) -> bytes:
    """ModelProto: the bytes of an .onnx file."""
    graph = _blocks(1, nodes) + _block(2, name) + _blocks(5, tensors) + _blocks(11, inputs) + _blocks(12, outputs)
    opsets = (_block(1, domain) + _number(2, version) for domain, version in _OPSETS.items())
    return _number(1, _IR_VERSION) + _block(2, "vicino") + _block(7, graph) + _blocks(8, opsets)
