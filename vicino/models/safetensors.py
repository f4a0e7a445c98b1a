"""Where the tensors of a safetensors file lie.

    u64 little endian: n | n bytes of JSON: name -> {dtype, shape, data_offsets: [begin, end]} | data, offsets count from here

The file comes from outside, so nothing in it is believed: every number is checked against the size of the file before it is used.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from vicino.env import Files
from vicino.errors import CorruptionError

_LENGTH_BYTES = 8
_HEADER_BYTES_MAX = 16 << 20  # the header of MiniLM has 11 KB; this leaves room for a hundred thousand tensors
_FLOAT32_BYTES = 4


@dataclass(frozen=True, slots=True)
class Tensor:
    """A float32 tensor inside a file: C order, little endian, `size_bytes` bytes from `offset`, counted from the start of the file."""

    shape: tuple[int, ...]
    offset: int
    size_bytes: int


def read_tensors(files: Files, path: str) -> dict[str, Tensor]:
    """Name and place of every float32 tensor; tensors of other types (position ids, counters) are left out.

    Reads the header only. Raises CorruptionError naming the file when a number does not fit the file.
    """
    file_size = files.size(path)
    head = files.read_range(path, 0, _LENGTH_BYTES)
    header_bytes = int.from_bytes(head, "little")
    if len(head) < _LENGTH_BYTES or header_bytes > min(_HEADER_BYTES_MAX, file_size - _LENGTH_BYTES):
        raise _damaged(path, f"its header claims {header_bytes} bytes, the file has {file_size}")
    try:
        header = json.loads(files.read_range(path, _LENGTH_BYTES, header_bytes))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise _damaged(path, f"its header is a JSON {type(header).__name__}, not an object")
    data_offset = _LENGTH_BYTES + header_bytes
    entries = ((name, entry) for name, entry in header.items() if name != "__metadata__")
    return {
        name: _tensor(path, name, entry, data_offset, file_size)
        for name, entry in entries
        if not isinstance(entry, dict) or entry.get("dtype") == "F32"
    }


def _tensor(path: str, name: str, entry: Any, data_offset: int, file_size: int) -> Tensor:
    match entry:
        case {"shape": [*shape], "data_offsets": [int(begin), int(end)]} if all(type(extent) is int and extent >= 0 for extent in shape):
            size_bytes = math.prod(shape) * _FLOAT32_BYTES
            is_inside = 0 <= begin <= end <= file_size - data_offset and end - begin == size_bytes
            if is_inside and (data_offset + begin) % _FLOAT32_BYTES == 0:  # numbers are read in place, so they must lie aligned
                return Tensor(tuple(shape), data_offset + begin, size_bytes)
            raise _damaged(path, f'tensor "{name}" of shape {shape} claims bytes {begin} to {end} of {file_size - data_offset}')
    raise _damaged(path, f'tensor "{name}" is described by {str(entry)[:100]}')


def _damaged(path: str, reason: str) -> CorruptionError:
    return CorruptionError(f"{path} is not a safetensors file that can be used: {reason}; copy or pull the model again")
