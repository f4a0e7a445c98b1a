"""Reading log files: torn tails are dropped, damage to what was durable is refused."""

from __future__ import annotations

import random
import struct
import time

import pytest

from vicino import _core
from vicino.errors import CorruptionError, FormatError, InvalidArgument

HEADER = _core.LOG_FILE_HEADER_SIZE
NONCE = 77


def file_header(number: int = 1, nonce: int = NONCE) -> bytes:
    return _core.encode_log_file_header(number, nonce, 0, 0)


def record(version: int, payload: bytes, durable: int, nonce: int = NONCE, type: int = 1) -> bytes:
    return _core.encode_log_header(nonce, type, version, 1000 + version, durable, [payload]) + payload


def log_of(*payloads: bytes, synced_each: bool = True) -> bytes:
    data = file_header()
    for version, payload in enumerate(payloads, start=1):
        data += record(version, payload, len(data) if synced_each else HEADER)
    return data


def read(data: bytes, offset: int = 0) -> tuple[list[tuple[int, bytes]], _core.LogReader]:
    reader = _core.LogReader(_core.Blob(data), offset, "wal-1")
    found = []
    while (one := reader.next()) is not None:
        found.append((one[1], bytes(one[4])))
    return found, reader


def test_records_come_back_in_order() -> None:
    found, reader = read(log_of(b"one", b"", b"three" * 1000))
    assert found == [(1, b"one"), (2, b""), (3, b"three" * 1000)]
    assert not reader.torn
    assert (reader.version, reader.number, reader.nonce) == (3, 1, NONCE)


def test_payload_in_parts_is_one_payload() -> None:
    header = _core.encode_log_header(NONCE, 9, 1, 5, HEADER, [b"ab", memoryview(b"cd"), b""])
    reader = _core.LogReader(_core.Blob(file_header() + header + b"abcd"), 0, "wal-1")
    type, version, time_us, durable, payload, start, end = reader.next()
    assert (type, version, time_us, durable, bytes(payload), start, end) == (9, 1, 5, HEADER, b"abcd", HEADER, HEADER + 40)


def test_reading_goes_on_from_an_offset() -> None:
    first = log_of(b"one")
    assert read(log_of(b"one", b"two"), offset=len(first))[0] == [(2, b"two")]


def test_offset_beyond_the_file_is_refused() -> None:
    with pytest.raises(CorruptionError, match="asked for records from offset 1000"):
        read(log_of(b"one"), offset=1000)


def test_every_cut_leaves_the_whole_records_before_it() -> None:
    data = log_of(b"one", b"two", b"three")
    ends = [len(log_of(*payloads)) for payloads in ((), (b"one",), (b"one", b"two"), (b"one", b"two", b"three"))]
    for size in range(HEADER, len(data) + 1):
        found, reader = read(data[:size])
        assert len(found) == sum(end <= size for end in ends[1:])
        assert reader.end == max(end for end in ends if end <= size)
        assert reader.torn == (size not in ends)


def test_damage_in_an_unsynced_group_drops_the_rest() -> None:
    data = bytearray(log_of(b"one", b"two", b"three", synced_each=False))
    data[HEADER + 36] ^= 1
    assert read(bytes(data))[0] == []


def test_damage_before_what_was_durable_is_refused() -> None:
    data = bytearray(log_of(b"one", b"two", b"three"))
    data[HEADER + 36] ^= 1
    with pytest.raises(CorruptionError, match=r"wal-1: the record at offset 64 is damaged, but the record at offset \d+ says"):
        read(bytes(data))


def test_every_flipped_byte_of_a_closed_log_is_noticed() -> None:
    data = log_of(b"one", b"two" * 50, b"")
    data += record(3, b"", len(data), type=_core.LOG_MARK)
    end_of_records = len(data) - 36
    for position in range(end_of_records):
        damaged = bytearray(data)
        damaged[position] ^= 0x20
        with pytest.raises((CorruptionError, FormatError)):
            read(bytes(damaged))


def test_mark_proves_the_last_record() -> None:
    data = log_of(b"one")
    marked = data + record(1, b"", len(data), type=_core.LOG_MARK)
    found, reader = read(marked)
    assert found == [(1, b"one")]
    assert reader.marked
    assert reader.proven == len(data)
    damaged = bytearray(marked)
    damaged[len(data) - 1] ^= 1
    with pytest.raises(CorruptionError):
        read(bytes(damaged))


def test_records_of_another_log_inside_a_torn_payload_prove_nothing() -> None:
    """Somebody stores a log as text: with the nonce of another file its records are not taken for ours."""
    inner = record(9, b"x", HEADER + 1, nonce=NONCE + 1) * 3
    torn = bytearray(log_of(b"y" * 200 + inner))
    torn[HEADER + 40] ^= 1
    assert read(bytes(torn))[0] == []


def test_record_claiming_durable_bytes_after_itself_is_not_valid() -> None:
    data = file_header() + record(1, b"x", HEADER + 1)
    assert read(data)[0] == []


def test_newer_log_format_is_refused_as_such() -> None:
    header = bytearray(file_header())
    header[8] = 9
    with pytest.raises(FormatError, match="has log format 9, this version reads format 1; upgrade"):
        read(bytes(header))


def test_random_damage_never_invents_a_record() -> None:
    chance = random.Random(5)
    payloads = [chance.randbytes(chance.randrange(200)) for _ in range(12)]
    data = log_of(*payloads, synced_each=False)
    expected = list(enumerate(payloads, start=1))
    for _ in range(500):
        damaged = bytearray(data[: chance.randrange(HEADER, len(data) + 1)])
        for _ in range(chance.randrange(4)):
            if len(damaged) > HEADER:
                damaged[chance.randrange(HEADER, len(damaged))] = chance.randrange(256)
        try:
            found = read(bytes(damaged))[0]
        except CorruptionError:
            continue
        assert found == expected[: len(found)]


def test_type_of_a_record_must_not_be_the_mark() -> None:
    from vicino.env import MemoryEnv
    from vicino.storage.journal import Journal

    journal = Journal.create(MemoryEnv(), "/j", {})
    with pytest.raises(InvalidArgument, match="1 to 255, got 0"):
        journal.append(0, 1, b"")


def test_damage_before_a_long_durable_record_is_refused() -> None:
    data = file_header() + record(1, b"a" * 3_000, HEADER)
    data += record(2, random.Random(3).randbytes(100_000), len(data))
    damaged = bytearray(data)
    damaged[HEADER + 40] ^= 1
    with pytest.raises(CorruptionError, match="the record at offset 64 is damaged"):
        read(bytes(damaged))


def test_a_torn_log_full_of_what_looks_like_long_records_is_read_in_a_second() -> None:
    # Each looks like a record to the end of the log that proves the damage to be in what was durable; only its checksum does not fit.
    size = 4_000_000
    looks = bytearray()
    while len(looks) < size:
        rest = size - len(looks)
        looks += struct.pack("<IIIQQQ", rest // 2 + 28, 7, 1, 5, 5, HEADER + 1)
    started = time.monotonic()
    found, reader = read(file_header() + b"torn" + bytes(looks))
    assert (found, reader.end, reader.torn) == ([], HEADER, True)
    assert time.monotonic() - started < 5
