"""Readers beside a writer: never more than is published, all of it at once, and their files stay as long as they live."""

from __future__ import annotations

import random

import pytest

from vicino import _core
from vicino.env import MemoryEnv
from vicino.env.recording import RecordingEnv
from vicino.errors import CorruptionError
from vicino.storage.follow import Poll
from vicino.storage.journal import Journal
from vicino.storage.pins import FOLDER, ReaderPins, read_pins


@pytest.fixture
def env() -> MemoryEnv:
    env = MemoryEnv()
    env.files.mkdir("/db")
    return env


def append(journal: Journal, *versions: int, sync: bool = True) -> None:
    for version in versions:
        journal.append(1, version, b"v%d" % version)
    if sync:
        journal.sync()


def checkpoint(journal: Journal) -> str:
    floor = journal.rotate()
    writer = journal.create_file("vectors")
    writer.add("data", b"x")
    writer.finish()
    journal.install({"files": [writer.name], "version": journal.version}, floor=floor)
    return writer.name


def versions_of(poll: Poll) -> list[int]:
    versions = []
    for number, blob, offset in poll.slices:
        reader = _core.LogReader(blob, offset, f"wal-{number}")
        while (record := reader.next()) is not None:
            versions.append(record[1])
        assert not reader.torn
    return versions


def versions(journal: Journal) -> list[int]:
    return [version for _, version, _, _ in journal.records()]


def test_reader_stops_at_what_is_published(env: MemoryEnv) -> None:
    writer = Journal.create(env, "/db/c", {})
    append(writer, 1)
    append(writer, 2, sync=False)
    reader = Journal.open(env, "/db/c", writable=False)
    assert (versions(reader), reader.version) == ([1], 1)
    assert not reader.poll()
    writer.sync()
    assert versions_of(reader.poll()) == [2]
    assert (versions(reader), reader.version) == ([1, 2], 2)
    assert not reader.poll()


def test_reader_follows_over_rotations(env: MemoryEnv) -> None:
    writer = Journal.create(env, "/db/c", {})
    append(writer, 1)
    reader = Journal.open(env, "/db/c", writable=False)
    append(writer, 2)
    writer.rotate()
    append(writer, 3)
    writer.rotate()
    append(writer, 4)
    poll = reader.poll()
    assert (poll.manifest_changed, versions_of(poll)) == (False, [2, 3, 4])
    assert versions(reader) == [1, 2, 3, 4]


def test_new_manifest_comes_with_the_whole_log_on_top_of_it(env: MemoryEnv) -> None:
    writer = Journal.create(env, "/db/c", {})
    append(writer, 1)
    reader = Journal.open(env, "/db/c", writable=False)
    name = checkpoint(writer)
    append(writer, 2)
    poll = reader.poll()
    assert (poll.manifest_changed, versions_of(poll)) == (True, [2])
    assert reader.manifest["files"] == [name]
    append(writer, 3)
    assert versions_of(reader.poll()) == [3]


def test_reader_without_a_writer_since_the_boot_reads_every_valid_record(env: MemoryEnv) -> None:
    append(Journal.create(env, "/db/c", {}), 1, 2)
    env.files.unlink("/db/c/position")
    file = env.files.open("/db/c/wal-1")
    file.append(b"torn tail")
    reader = Journal.open(env, "/db/c", writable=False)
    assert versions(reader) == [1, 2]
    assert not reader.poll()
    writer = Journal.open(env, "/db/c", writable=True)
    append(writer, 3)
    assert versions_of(reader.poll()) == [3]


def test_position_of_another_boot_is_not_believed() -> None:
    env = RecordingEnv(boot=0)
    env.files.mkdir("/db")
    writer = Journal.create(env, "/db/c", {})
    append(writer, 1)
    append(writer, 2, sync=False)
    env.boot = 1
    assert versions(Journal.open(env, "/db/c", writable=False)) == [1, 2]


def test_damaged_position_is_as_good_as_none(env: MemoryEnv) -> None:
    append(Journal.create(env, "/db/c", {}), 1)
    env.files.open("/db/c/position").write_at(9, b"!")
    assert versions(Journal.open(env, "/db/c", writable=False)) == [1]


def test_log_shorter_than_published_is_damage(env: MemoryEnv) -> None:
    append(Journal.create(env, "/db/c", {}), 1)
    env.files.open("/db/c/wal-1").truncate(70)
    with pytest.raises(CorruptionError, match="has 70 bytes, 102 were acknowledged"):
        Journal.open(env, "/db/c", writable=False)


def test_pinned_files_stay_until_the_reader_moves_on(env: MemoryEnv) -> None:
    writer = Journal.create(env, "/db/c", {})
    first = checkpoint(writer)
    pins = ReaderPins(env, "/db")
    reader = Journal.open(env, "/db/c", writable=False, pins=pins)
    checkpoint(writer)
    assert bytes(reader.open_file(first))
    assert writer.file_bytes()["readers"] > 0
    reader.poll()
    writer.collect_garbage()
    assert first not in env.files.list("/db/c")


def test_hold_of_a_reader_pins_an_older_manifest(env: MemoryEnv) -> None:
    writer = Journal.create(env, "/db/c", {})
    first = checkpoint(writer)
    pins = ReaderPins(env, "/db")
    reader = Journal.open(env, "/db/c", writable=False, pins=pins)
    hold = reader.hold()
    checkpoint(writer)
    reader.poll()
    writer.collect_garbage()
    assert first in env.files.list("/db/c")
    hold.release()
    writer.collect_garbage()
    assert first not in env.files.list("/db/c")


def test_dead_reader_pins_nothing(env: MemoryEnv) -> None:
    writer = Journal.create(env, "/db/c", {})
    first = checkpoint(writer)
    Journal.open(env, "/db/c", writable=False, pins=ReaderPins(env, "/db"))
    env.files.locked.clear()  # what the kernel does to the locks of a killed process
    checkpoint(writer)
    assert first not in env.files.list("/db/c")
    assert env.files.list(f"/db/{FOLDER}") == []


def test_closed_reader_leaves_no_pin(env: MemoryEnv) -> None:
    Journal.create(env, "/db/c", {})
    pins = ReaderPins(env, "/db")
    reader = Journal.open(env, "/db/c", writable=False, pins=pins)
    assert read_pins(env, "/db") == {("c", reader.manifest_name)}
    reader.close()
    assert read_pins(env, "/db") == set()
    pins.close()
    assert env.files.list(f"/db/{FOLDER}") == []


def test_unreadable_pin_stops_the_removal(env: MemoryEnv) -> None:
    writer = Journal.create(env, "/db/c", {})
    first = checkpoint(writer)
    env.files.mkdir(f"/db/{FOLDER}")
    lock = env.files.lock(f"/db/{FOLDER}/1-a")
    assert lock is not None
    lock.write(b"half of a lin")
    checkpoint(writer)
    assert first in env.files.list("/db/c")
    lock.release()
    writer.collect_garbage()
    assert first not in env.files.list("/db/c")


@pytest.mark.parametrize("seed", range(20))
def test_reader_that_polls_now_and_then_sees_every_version_once_in_order(seed: int) -> None:
    env = RecordingEnv(seed)
    env.files.mkdir("/db")
    chance = random.Random(seed)
    writer = Journal.create(env, "/db/c", {})
    reader = Journal.open(env, "/db/c", writable=False)
    seen = 0
    for version in range(1, 60):
        append(writer, version, sync=version == 59 or chance.random() < 0.8)
        match chance.randrange(10):
            case 0:
                writer.rotate()
            case 1:
                checkpoint(writer)
        if version == 59 or chance.random() < 0.5:
            poll = reader.poll()
            if poll.manifest_changed:
                assert reader.manifest["version"] >= seen or poll.slices
                seen = reader.manifest["version"]
            for one in versions_of(poll):
                assert one == seen + 1
                seen = one
            assert seen <= version
    assert seen == 59
