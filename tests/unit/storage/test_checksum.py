"""CRC32C: published values, and every variant against the byte-by-byte reference."""

from __future__ import annotations

import numpy as np
import pytest

from vicino import _core

VARIANTS = [_core.crc32c, _core.crc32c_portable, _core.crc32c_reference]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),  # RFC 3720, B.4
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_known_values(variant, data: bytes, expected: int) -> None:
    assert variant(data) == expected


@pytest.mark.parametrize("variant", VARIANTS[:2])
@pytest.mark.parametrize("offset", [0, 1, 7])
def test_variants_agree_at_every_size_and_alignment(variant, offset: int) -> None:
    data = np.random.default_rng(1).bytes(40_000)
    for size in [*range(70), 767, 768, 769, 1535, 1537, 12_287, 12_288, 12_289, 13_056, 39_000]:
        part = memoryview(data)[offset : offset + size]
        assert variant(part) == _core.crc32c_reference(part), size


def test_checksum_continues_from_a_value() -> None:
    data = np.random.default_rng(2).bytes(20_000)
    for cut in (0, 1, 4096, 12_345, 20_000):
        assert _core.crc32c(data[cut:], _core.crc32c(data[:cut])) == _core.crc32c(data)
