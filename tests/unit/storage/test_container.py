"""Containers: what is written is read back, and nothing that is damaged is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vicino import _core
from vicino.env import MemoryEnv
from vicino.errors import CorruptionError, FormatError, InvalidArgument
from vicino.storage.container import ContainerWriter


def build(kind: str, *sections: tuple[str, list[bytes]]) -> bytes:
    env = MemoryEnv()
    writer = ContainerWriter(env.files.create("/f"), kind)
    for name, buffers in sections:
        writer.add(name, *buffers)
    writer.finish()
    return env.files.read("/f")


def open_bytes(data: bytes) -> _core.Container:
    return _core.Container.open(_core.Blob(data), "f.vectors")


@given(st.lists(st.lists(st.binary(max_size=5000), max_size=4), max_size=5))
@settings(max_examples=50, deadline=None)
def test_sections_come_back(contents: list[list[bytes]]) -> None:
    sections = [(f"section {i}", buffers) for i, buffers in enumerate(contents)]
    container = open_bytes(build("vectors", *sections))
    assert container.kind == "vectors"
    assert [(name, bytes(container.section(name))) for name, _, _ in container.sections] == [(name, b"".join(b)) for name, b in sections]
    container.verify()


def test_sections_are_aligned_to_pages() -> None:
    container = open_bytes(build("vectors", ("a", [b"x"]), ("b", [b"y" * 5000]), ("c", [b""])))
    assert [(name, offset % 4096, size) for name, offset, size in container.sections] == [("a", 0, 1), ("b", 0, 5000), ("c", 0, 0)]


def test_arrays_are_written_without_a_copy_in_between() -> None:
    array = np.arange(300_000, dtype=np.float32).reshape(1000, 300)
    container = open_bytes(build("vectors", ("a", [array])))  # type: ignore[list-item]
    assert np.array_equal(np.frombuffer(container.section("a"), np.float32), array.ravel())


def test_same_sections_give_the_same_bytes_however_they_are_cut() -> None:
    data = np.random.default_rng(3).bytes(3_000_000)
    pieces = [data[i : i + 77_777] for i in range(0, len(data), 77_777)]
    assert build("vectors", ("a", [data])) == build("vectors", ("a", pieces))


def test_absent_section() -> None:
    container = open_bytes(build("vectors", ("a", [b"x"])))
    assert container.find("b") is None
    with pytest.raises(CorruptionError, match=r'f.vectors: has no section "b", only: a'):
        container.section("b")


def test_wrong_kind_is_named() -> None:
    with pytest.raises(CorruptionError, match='kind "vectors", expected "graph"'):
        open_bytes(build("vectors")).expect_kind("graph")


@pytest.mark.parametrize("kind", ["", "thirteen chars"])
def test_kind_has_one_to_twelve_characters(kind: str) -> None:
    with pytest.raises(InvalidArgument, match="1 to 12 characters"):
        build(kind)


def test_every_cut_is_noticed() -> None:
    data = build("vectors", ("a", [b"x" * 100]), ("b", [b"y"]))
    for size in range(len(data)):
        with pytest.raises(CorruptionError):
            open_bytes(data[:size])


def test_every_flipped_byte_is_noticed_or_padding() -> None:
    data = build("vectors", ("a", [b"x" * 100]), ("b", [b"y"]))
    sections = [range(offset, offset + size) for _, offset, size in open_bytes(data).sections]
    table = sections[-1].stop
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x10
        holds_data = position < 64 or position >= table or any(position in section for section in sections)
        if not holds_data:
            open_bytes(bytes(damaged)).verify()
            continue
        with pytest.raises((CorruptionError, FormatError)):
            open_bytes(bytes(damaged)).verify()


def test_small_sections_are_verified_when_they_are_read() -> None:
    data = bytearray(build("vectors", ("a", [b"x" * 100])))
    data[4096] ^= 1
    with pytest.raises(CorruptionError, match=r'f.vectors, section "a", block 0: checksum is [0-9a-f]{8}, expected [0-9a-f]{8}; restore'):
        open_bytes(bytes(data)).section("a")


def test_damage_in_a_large_section_names_the_block() -> None:
    data = bytearray(build("vectors", ("a", [bytes(2_500_000)])))
    data[4096 + (1 << 20) + 5] ^= 1
    container = open_bytes(bytes(data))
    container.section("a")
    with pytest.raises(CorruptionError, match='section "a", block 1:'):
        container.verify()


def with_checksum(data: bytes, change: Callable[[bytearray], None]) -> bytes:
    """The header changed and its checksum made to fit, as a newer version would write it."""
    header = bytearray(data[:60])
    change(header)
    return bytes(header) + _core.crc32c(header).to_bytes(4, "little") + data[64:]


def test_newer_format_is_refused_as_such() -> None:
    newer = with_checksum(build("vectors"), lambda header: header.__setitem__(8, 2))
    with pytest.raises(FormatError, match="has container format 2, this version reads format 1; upgrade"):
        open_bytes(newer)


def test_unknown_required_feature_is_refused() -> None:
    newer = with_checksum(build("vectors"), lambda header: header.__setitem__(16, 4))
    with pytest.raises(FormatError, match="requires features 4"):
        open_bytes(newer)


def test_section_pointing_outside_is_refused() -> None:
    table = _core.encode_container_end([("a", 4096, 1 << 40, [])], 4096)
    data = _core.encode_container_header("vectors").ljust(4096, b"\0") + table
    with pytest.raises(CorruptionError, match="does not fit between"):
        open_bytes(data)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_arbitrary_bytes_are_refused_in_words(data: bytes) -> None:
    with pytest.raises((CorruptionError, FormatError)):
        open_bytes(data)
