"""Every section of every kind of file, damaged without its checksum: refused or named by `check`, with the file's name in the message.

test_damage.py turns every bit of a small database; here are all kinds of indexes and values, and places drawn within each of their parts.
"""

from __future__ import annotations

import posixpath
import random
import struct
from collections.abc import Iterator
from functools import cache

import pytest

import vicino
from tests.property.untrusted_bytes import ROOT, Files, disk_of, make_files
from tests.property.untrusted_indexes import DATABASES
from vicino import _core
from vicino.errors import CorruptionError, FormatError

MAKERS = {"values": make_files, **DATABASES}
PER_PART = 3


@cache
def files_of(database: str) -> Files:
    return MAKERS[database]()


def containers(files: Files) -> Iterator[tuple[str, bytes]]:
    for path, data in sorted(files.items()):
        name = posixpath.basename(path)
        if name not in ("LOCK", "CURRENT", "position") and not name.startswith("wal-"):
            yield path, data


def parts_of(data: bytes) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size of the header, each section that is not empty, the table and the trailer."""
    yield "header", 0, 64
    for name, offset, size in _core.Container.open(_core.Blob(data), "whole").sections:
        if size:
            yield name, offset, size
    offset, size = struct.unpack_from("<QQ", data, len(data) - 32)
    yield "table", offset, size
    yield "trailer", len(data) - 32, 32


def is_noticed(files: Files, path: str) -> bool:
    """Whether opening refuses the files, or check names the one that is damaged."""
    name = posixpath.basename(path)
    try:
        with vicino.open(ROOT, mode="r", _env=disk_of(files)) as database:
            problems = database.check().problems
    except (CorruptionError, FormatError) as error:
        return name in str(error)
    return any(name in where or name in what for where, what in problems)


@pytest.mark.parametrize("database", MAKERS)
def test_a_bit_turned_in_any_part_of_a_file_is_refused_or_named(database: str) -> None:
    files, chance, missed = files_of(database), random.Random(1), []
    for path, data in containers(files):
        for part, offset, size in parts_of(data):
            for at in {offset, offset + size - 1, *(offset + chance.randrange(size) for _ in range(PER_PART))}:
                changed = bytearray(data)
                changed[at] ^= 1 << chance.randrange(8)
                if not is_noticed({**files, path: bytes(changed)}, path):
                    missed.append(f"{path}: {part} at {at - offset} of {size}")
    assert not missed, f"{len(missed)} unnoticed:\n" + "\n".join(missed[:10])


def test_all_sections_of_an_index_of_vectors_are_there_to_be_damaged() -> None:
    found = {
        part
        for database in DATABASES
        for path, data in containers(files_of(database))
        if path.endswith(".graph")
        for part, _, _ in parts_of(data)
    }
    assert found >= {"meta", "graph", "hnsw", "lists", "codes", "pages", "made"}


@pytest.mark.parametrize("database", MAKERS)
def test_a_file_cut_at_the_border_of_any_part_is_refused_or_named(database: str) -> None:
    files, missed = files_of(database), []
    for path, data in containers(files):
        borders = {border for _, offset, size in parts_of(data) for border in (offset, offset + size - 1, offset + size)}
        missed += [f"{path} cut to {at}" for at in borders - {len(data)} if not is_noticed({**files, path: data[:at]}, path)]
    assert not missed, f"{len(missed)} unnoticed:\n" + "\n".join(missed[:10])


@pytest.mark.parametrize("database", DATABASES)
def test_a_search_of_damaged_files_is_refused_or_right(database: str) -> None:
    """Without check: what a search reads it has checked, as far as sections of at most a mebibyte go."""
    files, chance, wrong = files_of(database), random.Random(2), []
    expected = answers(files)
    for path, data in containers(files):
        if not path.endswith((".graph", ".vectors", ".terms", ".recall")):
            continue
        for part, offset, size in parts_of(data):
            changed = bytearray(data)
            changed[offset + chance.randrange(size)] ^= 1 << chance.randrange(8)
            found = answers({**files, path: bytes(changed)})
            if not isinstance(found, CorruptionError | FormatError) and found != expected:
                wrong.append(f"{path}: {part}")
    assert not wrong, "\n".join(wrong)


def answers(files: Files) -> dict[str, list[int]] | CorruptionError | FormatError:
    """The nearest of each vector, or why there is no answer."""
    try:
        with vicino.open(ROOT, mode="r", _env=disk_of(files)) as database:
            kinds = database["kinds"]
            first = next(iter(kinds.iter(vectors=True))).vectors
            return {
                name: kinds.search(row, vector=name, limit=5, ef=200).ids for name, row in first.items() if name in kinds.settings.specs
            }
    except (CorruptionError, FormatError) as error:
        return error


def test_a_damaged_log_that_only_older_versions_need_is_named() -> None:
    files = files_of("values")
    floors = {posixpath.dirname(path): int.from_bytes(data[24:32], "little") for path, data in files.items() if path.endswith("/CURRENT")}
    folder, name = next(
        (folder, f"wal-{number}") for folder, floor in floors.items() for number in range(1, floor) if f"{folder}/wal-{number}" in files
    )
    changed = bytearray(files[f"{folder}/{name}"])
    changed[len(changed) // 2] ^= 1
    assert is_noticed({**files, f"{folder}/{name}": bytes(changed)}, f"{folder}/{name}")
