"""Journals of one writer: what create, append, rotate, install, hold and close leave behind. Crashes are in tests/durability."""

from __future__ import annotations

from pathlib import Path

import pytest

from vicino.env import Env, MemoryEnv, RealEnv
from vicino.errors import ClosedError, CorruptionError, FormatError, InvalidArgument, NotFoundError, ReadOnlyError, StorageError
from vicino.storage.journal import Journal


@pytest.fixture(params=["real", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Env, str]:
    return (RealEnv(), f"{tmp_path}/j") if request.param == "real" else (MemoryEnv(), "/j")


@pytest.fixture
def memory() -> MemoryEnv:
    return MemoryEnv()


def append(journal: Journal, *versions: int) -> None:
    for version in versions:
        journal.append(1, version, b"v%d" % version)
    journal.sync()


def versions(journal: Journal, floor: int | None = None) -> list[int]:
    return [version for _, version, _, _ in journal.records(floor)]


def new_file(journal: Journal, content: bytes = b"x") -> str:
    writer = journal.create_file("vectors")
    writer.add("data", content)
    writer.finish()
    return writer.name


def checkpoint(journal: Journal, **options) -> str:
    """A new file with everything so far; its name."""
    floor = journal.rotate()
    name = new_file(journal)
    journal.install({"files": [name], "version": journal.version}, floor=floor, **options)
    return name


def test_records_come_back_after_reopening(place: tuple[Env, str]) -> None:
    env, path = place
    journal = Journal.create(env, path, {"name": "books"})
    journal.append(7, 1, [b"two ", b"parts"], time_us=123)
    journal.sync()
    journal.close()
    again = Journal.open(env, path, writable=True)
    assert [(type, version, time, bytes(payload)) for type, version, time, payload in again.records()] == [(7, 1, 123, b"two parts")]
    assert again.manifest["name"] == "books"
    assert again.version == 1
    again.close()


def test_unclosed_journal_keeps_what_was_synced(place: tuple[Env, str]) -> None:
    env, path = place
    append(Journal.create(env, path, {}), 1, 2)
    assert versions(Journal.open(env, path, writable=True)) == [1, 2]


def test_rotation_goes_on_in_a_new_file(place: tuple[Env, str]) -> None:
    env, path = place
    journal = Journal.create(env, path, {})
    append(journal, 1)
    assert journal.rotate() == 2
    append(journal, 2)
    assert [number for number, _ in journal.log_blobs()] == [1, 2]
    assert versions(journal) == [1, 2]
    journal.close()
    assert versions(Journal.open(env, path, writable=True)) == [1, 2]


def test_version_is_known_after_a_rotation_and_reopening(memory: MemoryEnv) -> None:
    journal = Journal.create(memory, "/j", {})
    append(journal, 1, 2, 3)
    journal.rotate()
    journal.close()
    assert Journal.open(memory, "/j", writable=True).version == 3


def test_install_moves_the_floor_and_removes_old_logs_and_files(place: tuple[Env, str]) -> None:
    env, path = place
    journal = Journal.create(env, path, {})
    append(journal, 1)
    first = checkpoint(journal)
    append(journal, 2)
    second = checkpoint(journal)
    append(journal, 3)
    assert first not in env.files.list(path)
    assert sorted(env.files.list(path)) == sorted(["CURRENT", "position", "wal-3", second, journal.manifest_name])
    assert versions(journal) == [3]
    assert journal.floor == 3
    journal.close()
    again = Journal.open(env, path, writable=True)
    assert (again.manifest["files"], again.manifest["version"], versions(again)) == ([second], 2, [3])
    again.close()


def test_history_keeps_manifests_files_and_logs(memory: MemoryEnv) -> None:
    journal = Journal.create(memory, "/j", {})
    append(journal, 1)
    first = checkpoint(journal)
    append(journal, 2, 3)
    checkpoint(journal, keep_history=lambda entry: entry.until > 1)
    [entry] = journal.history
    assert (entry.version, entry.until, entry.floor, entry.files) == (1, 3, 2, (first,))
    assert versions(journal, entry.floor) == [2, 3]
    assert journal.read_manifest(entry.manifest)["files"] == [first]
    assert bytes(journal.open_file(first))
    journal.close()
    assert versions(Journal.open(memory, "/j", writable=True), entry.floor) == [2, 3]


def test_history_that_is_no_longer_kept_is_removed(memory: MemoryEnv) -> None:
    journal = Journal.create(memory, "/j", {})
    append(journal, 1)
    first = checkpoint(journal)
    append(journal, 2)
    checkpoint(journal, keep_history=lambda entry: True)
    append(journal, 3)
    checkpoint(journal)
    assert journal.history == []
    assert first not in memory.files.list("/j")
    assert [name for name in memory.files.list("/j") if name.startswith("wal")] == ["wal-4"]


def test_held_files_stay_until_they_are_released(memory: MemoryEnv) -> None:
    journal = Journal.create(memory, "/j", {})
    first = checkpoint(journal)
    hold = journal.hold()
    checkpoint(journal)
    assert first in memory.files.list("/j")
    assert journal.file_bytes()["held"] > 0
    hold.release()
    hold.release()
    assert journal.collect_garbage() == 2  # the file and its manifest
    assert first not in memory.files.list("/j")


def test_discarded_file_is_gone(memory: MemoryEnv) -> None:
    journal = Journal.create(memory, "/j", {})
    writer = journal.create_file("graph")
    writer.add("links", b"x" * 1_000_000)
    journal.discard(writer)
    assert writer.name not in memory.files.list("/j")


def test_file_whose_name_is_taken_is_refused_and_stays(memory: MemoryEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.create(memory, "/j", {})
    taken = journal.manifest_name
    monkeypatch.setattr(memory, "random_name", lambda: taken.partition(".")[0])
    with pytest.raises(StorageError, match="EEXIST"):
        journal.create_file("manifest")
    journal.collect_garbage()
    assert memory.files.exists(f"/j/{taken}")


def test_files_in_the_making_survive_an_install(memory: MemoryEnv) -> None:
    journal = Journal.create(memory, "/j", {})
    writer = journal.create_file("graph")
    checkpoint(journal)
    writer.add("links", b"x")
    writer.finish()
    journal.install({"files": [writer.name]}, floor=journal.floor)
    assert writer.name in memory.files.list("/j")


def test_leftovers_of_a_crash_are_removed_by_opening(memory: MemoryEnv) -> None:
    journal = Journal.create(memory, "/j", {})
    journal.create_file("graph").add("links", b"x")
    append(journal, 1)
    memory.files.create("/j/notes.txt")
    assert versions(Journal.open(memory, "/j", writable=True)) == [1]
    assert not [name for name in memory.files.list("/j") if name.endswith(".graph")]
    assert "notes.txt" in memory.files.list("/j")


def test_torn_tail_is_cut_off_and_written_over(memory: MemoryEnv) -> None:
    append(Journal.create(memory, "/j", {}), 1, 2)
    file = memory.files.open("/j/wal-1")
    memory.files.unlink("/j/position")
    file.truncate(file.size - 1)
    journal = Journal.open(memory, "/j", writable=True)
    assert versions(journal) == [1]
    append(journal, 2, 3)
    assert versions(Journal.open(memory, "/j", writable=True)) == [1, 2, 3]


def test_bytes_published_since_the_boot_must_be_there(memory: MemoryEnv) -> None:
    append(Journal.create(memory, "/j", {}), 1, 2)
    file = memory.files.open("/j/wal-1")
    file.truncate(file.size - 1)
    with pytest.raises(CorruptionError, match="was acknowledged since the machine started"):
        Journal.open(memory, "/j", writable=True)


def test_missing_log_is_named(memory: MemoryEnv) -> None:
    journal = Journal.create(memory, "/j", {})
    append(journal, 1)
    journal.rotate()
    journal.rotate()
    journal.close()
    memory.files.unlink("/j/wal-2")
    with pytest.raises(CorruptionError, match="wal-2 is missing"):
        Journal.open(memory, "/j", writable=True)


def test_shortened_earlier_log_is_noticed(memory: MemoryEnv) -> None:
    journal = Journal.create(memory, "/j", {})
    append(journal, 1, 2)
    journal.rotate()
    journal.close()
    file = memory.files.open("/j/wal-1")
    file.truncate(64)
    with pytest.raises(CorruptionError, match=r"wal-1: has 64 bytes, had \d+ when it was closed"):
        Journal.open(memory, "/j", writable=True)


@pytest.mark.parametrize("writable", [True, False])
def test_every_flipped_byte_of_a_closed_journal_is_noticed_or_harmless(memory: MemoryEnv, writable: bool) -> None:
    journal = Journal.create(memory, "/j", {})
    append(journal, 1)
    name = checkpoint(journal)
    append(journal, 2)
    journal.close()
    for path in [f"/j/{one}" for one in memory.files.list("/j")]:
        content = memory.files.read(path)
        for position in range(len(content)):
            if path.endswith((".vectors", ".manifest")) and 64 <= position < 4096:
                continue  # the padding before the first section
            files = MemoryEnv()
            files.files.mkdir("/j")
            for other in memory.files.list("/j"):
                files.files.create(f"/j/{other}").append(memory.files.read(f"/j/{other}"))
            files.files.open(path).write_at(position, bytes([content[position] ^ 0x08]))
            try:
                again = Journal.open(files, "/j", writable=writable)
                observed = (again.manifest["version"], again.manifest["files"], versions(again), bytes(open_data(again, name)))
            except (CorruptionError, FormatError):
                continue
            assert observed == (1, [name], [2], b"x"), f"{path} at {position}"


def open_data(journal: Journal, name: str) -> bytes:
    from vicino import _core

    return bytes(_core.Container.open(journal.open_file(name), name).section("data"))


def test_opening_nothing_says_so(memory: MemoryEnv) -> None:
    assert not Journal.exists(memory, "/j")
    with pytest.raises(NotFoundError, match="/j holds no vicino data"):
        Journal.open(memory, "/j", writable=True)


def test_creating_over_an_existing_journal_is_refused(memory: MemoryEnv) -> None:
    Journal.create(memory, "/j", {}).close()
    with pytest.raises(StorageError, match="already holds vicino data"):
        Journal.create(memory, "/j", {})


def test_creating_takes_over_what_an_unfinished_creation_left(memory: MemoryEnv) -> None:
    Journal.create(memory, "/j", {}).close()
    memory.files.unlink("/j/CURRENT")
    memory.files.unlink("/j/position")
    append(Journal.create(memory, "/j", {}), 1)
    assert versions(Journal.open(memory, "/j", writable=True)) == [1]


def test_creating_refuses_a_folder_whose_current_was_lost(memory: MemoryEnv) -> None:
    append(Journal.create(memory, "/j", {}), 1)
    memory.files.unlink("/j/CURRENT")
    with pytest.raises(CorruptionError, match="/j: has no CURRENT but holds"):
        Journal.create(memory, "/j", {})


def test_manifest_naming_an_unknown_file_is_refused(memory: MemoryEnv) -> None:
    journal = Journal.create(memory, "/j", {})
    with pytest.raises(NotFoundError, match="the manifest names this file, but it was never created"):
        journal.install({"files": ["0123456789abcdef.vectors"]}, floor=1)


def test_manifest_naming_a_file_elsewhere_is_refused(memory: MemoryEnv) -> None:
    """Names come from files that anybody may have made: none of them leads out of the folder."""
    from vicino.storage.container import ContainerWriter
    from vicino.storage.manifest import complete_manifest, write_manifest

    journal = Journal.create(memory, "/j", {})
    memory.files.unlink(f"/j/{journal.manifest_name}")
    crafted = complete_manifest({"files": ["../secret"]}, floor=1, history=[])
    write_manifest(ContainerWriter(memory.files.create(f"/j/{journal.manifest_name}"), "manifest"), crafted)
    with pytest.raises(CorruptionError, match="are not what they should be"):
        Journal.open(memory, "/j", writable=False)


@pytest.mark.parametrize("floor", [0, 3])
def test_floor_outside_the_logs_is_refused(memory: MemoryEnv, floor: int) -> None:
    journal = Journal.create(memory, "/j", {})
    journal.rotate()
    with pytest.raises(InvalidArgument, match=f"between 1 and 2, got {floor}"):
        journal.install({}, floor=floor)


def test_closed_journal_refuses_to_write(memory: MemoryEnv) -> None:
    journal = Journal.create(memory, "/j", {})
    journal.close()
    journal.close()
    with pytest.raises(ClosedError, match="/j: is closed"):
        journal.append(1, 1, b"")


def test_reader_refuses_to_write(memory: MemoryEnv) -> None:
    Journal.create(memory, "/j", {}).close()
    with pytest.raises(ReadOnlyError):
        Journal.open(memory, "/j", writable=False).append(1, 1, b"")


def test_log_bytes_count_from_the_floor(memory: MemoryEnv) -> None:
    journal = Journal.create(memory, "/j", {})
    empty = journal.log_bytes
    append(journal, 1)
    assert journal.log_bytes == empty + 36 + 2
    checkpoint(journal)
    assert journal.log_bytes == empty


def test_removed_journal_leaves_nothing(memory: MemoryEnv) -> None:
    checkpoint(Journal.create(memory, "/j", {}))
    Journal.remove(memory, "/j")
    Journal.remove(memory, "/j")
    assert not memory.files.exists("/j")


def test_interval_level_syncs_in_the_background() -> None:
    from vicino.env.recording import RecordingEnv

    env = RecordingEnv()
    journal = Journal.create(env, "/j", {}, sync="interval", interval_s=0.5)
    append(journal, 1)
    syncs = [event.change for event in env.files.events].count("sync")
    append(journal, 2)
    assert [event.change for event in env.files.events].count("sync") == syncs
    env.sleep(0.6)
    assert [event.change for event in env.files.events].count("sync") == syncs + 1
    env.sleep(10)
    assert [event.change for event in env.files.events].count("sync") == syncs + 1


def test_many_threads_share_syncs(tmp_path: Path) -> None:
    """Each waits for its own record; the log holds all of them, in order."""
    import threading

    journal = Journal.create(RealEnv(), f"{tmp_path}/j", {})
    guard = threading.Lock()

    def write() -> None:
        for _ in range(20):
            with guard:
                journal.append(1, journal.version + 1, b"x" * 100)
            journal.sync()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert versions(Journal.open(RealEnv(), f"{tmp_path}/j", writable=True)) == list(range(1, 81))


def test_forked_child_cannot_write(tmp_path: Path) -> None:
    import os

    journal = Journal.create(RealEnv(), f"{tmp_path}/j", {})
    child = os.fork()
    if child == 0:
        try:
            journal.append(1, 1, b"x")
        except ClosedError:
            journal.close()
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    append(journal, 1)
    assert versions(journal) == [1]
