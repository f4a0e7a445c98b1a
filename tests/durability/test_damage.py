"""Damage is detected or harmless, and stays where it is: flipped bits, files cut off anywhere, one segment of several lost.

In `make test` every byte that is not padding has one bit flipped, and every sixteenth byte of the padding; `make test-long` flips all.
"""

from __future__ import annotations

from typing import cast

import pytest

import vicino
from tests.durability.damage import GOOD, ROOT, files_of, outcome, small_database, wrong_flips
from tests.property.invariants import read_database
from tests.property.lexical import PLAIN
from vicino import VectorSpec
from vicino.collection.limits import Limits
from vicino.collection.value_specs import MultiSpec, SparseSpec, TextSpec
from vicino.env import Env
from vicino.env.recording import RecordingEnv, RecordingFiles
from vicino.errors import CorruptionError


@pytest.fixture(scope="module")
def tree():
    return small_database()


@pytest.fixture(scope="module")
def intact(tree):
    with vicino.open(ROOT, mode="r", _env=cast(Env, RecordingEnv(files=RecordingFiles(tree)))) as database:
        return read_database(database)


def test_the_database_is_small_enough_to_damage_every_byte(tree):
    assert 16 << 10 < sum(len(node.data) for _, node in files_of(tree)) <= 64 << 10


def test_one_flipped_bit_in_every_byte_is_detected_or_harmless(tree, intact):
    check_flips(tree, intact, bits_of=lambda data, offset: [offset % 8] if data[offset] or offset % 16 == 0 else [])


@pytest.mark.long
@pytest.mark.timeout(0)
def test_every_flipped_bit_is_detected_or_harmless(tree, intact):
    check_flips(tree, intact)


def check_flips(tree, intact, **options):
    n_flips, wrong = wrong_flips(tree, intact, range(64 << 10), **options)
    assert not wrong, f"{len(wrong)} of {n_flips} flips:\n" + "\n".join(wrong[:10])


def test_a_truncated_file_is_detected_or_harmless(tree, intact):
    """Logs are apart: the end of the last one may always be torn, see below."""
    wrong = []
    for path, node in files_of(tree):
        original = bytes(node.data)
        sizes = [] if "/wal-" in path else sorted({0, 1, len(original) // 2, max(0, len(original) - 1), *range(0, len(original), 509)})
        for size in sizes:
            node.data = original[:size]
            found = {mode: outcome(tree, intact, mode) for mode in ("r", "rw")}
            if not GOOD.issuperset(found.values()):
                wrong.append(f"{path} cut to {size} of {len(original)}: {found}")
        node.data = original
    assert not wrong, f"{len(wrong)} truncations:\n" + "\n".join(wrong[:10])


def test_a_log_that_was_cut_off_after_a_restart_is_read_up_to_a_commit(tree, intact):
    """Nothing outside a log says how long it was, once the machine has restarted: a cut is a torn tail, and only whole commits count."""
    node = next(node for path, node in files_of(tree) if path.startswith("/db/c-") and "/wal-" in path)
    original, versions = bytes(node.data), []
    for size in range(64, len(original) + 1):
        node.data = original[:size]
        with vicino.open(ROOT, mode="r", _env=cast(Env, RecordingEnv(files=RecordingFiles(tree), boot=7))) as database:
            versions.append(database["docs"].version)
            assert database["docs"].count() == {1: 30, 2: 28, 3: 28, 4: 29}[versions[-1]]
    node.data = original
    assert versions == sorted(versions)
    assert set(versions) == {1, 2, 3, 4}


def test_a_missing_file_is_detected_or_harmless(tree, intact):
    wrong = []
    for path, _ in list(files_of(tree)):
        folder_path, _, name = path.rpartition("/")
        folder = tree
        for part in folder_path.strip("/").split("/"):
            folder = folder.entries[part]
        node = folder.entries.pop(name)
        if (found := outcome(tree, intact, "rw")) not in {*GOOD} and "NotFoundError" not in found and name != "CURRENT":
            wrong.append(f"{path}: {found}")
        folder.entries[name] = node
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def two_segments():
    env = RecordingEnv(3)
    limits = Limits(head_rows_max=10, merge_fan_in=100)
    with vicino.open(ROOT, _env=cast(Env, env), limits=limits) as database:
        specs = {"vector": VectorSpec(2, index="flat"), "bag": SparseSpec(), "tokens": MultiSpec(2)}
        docs = database.create_collection("docs", vectors=specs, text={"text": TextSpec(analyzer=PLAIN)})
        records = [{"id": n, "vector": [n, 1], "bag": {n: 1.0}, "tokens": [[n, 1]], "text": f"word{n} and more"} for n in range(21)]
        for part in (records[:10], records[10:20], records[20:]):
            docs.upsert(part)
    return env


def damage(env, ending, which=0):
    """Flips a byte in the middle of the content of one of the collection's files; its name."""
    folder = next(f"{ROOT}/{name}" for name in env.files.list(ROOT) if name.startswith("c-"))
    name = [name for name in env.files.list(folder) if name.endswith(ending)][which]
    content = bytearray(env.files.read(f"{folder}/{name}"))
    content[4096 + 8] ^= 0xFF
    env.files.open(f"{folder}/{name}").write_at(0, bytes(content))
    return name


@pytest.mark.parametrize("ending", [".ids", ".fields", ".vectors", ".values", ".terms", ".multi"])
def test_check_names_the_damaged_file(two_segments, ending):
    name = damage(two_segments, ending)
    with vicino.open(ROOT, mode="rescue", _env=cast(Env, two_segments)) as database:
        report = database.check()
    assert not report.is_sound
    assert any(name in where or name in what for where, what in report.problems), report


@pytest.mark.parametrize("which", [0, 1])
def test_rescue_reads_the_other_segments(two_segments, which):
    """The damaged segment cannot be opened at all: its header is gone."""
    folder = next(f"{ROOT}/{name}" for name in two_segments.files.list(ROOT) if name.startswith("c-"))
    name = [name for name in two_segments.files.list(folder) if name.endswith(".ids")][which]
    two_segments.files.open(f"{folder}/{name}").write_at(0, b"\xff" * 64)
    with pytest.raises(CorruptionError):
        vicino.open(ROOT, mode="r", _env=cast(Env, two_segments))["docs"].count()
    with vicino.open(ROOT, mode="rescue", _env=cast(Env, two_segments)) as database:
        ids = {view.id for view in database["docs"].iter()}
        assert len(ids) == 11
        assert 20 in ids
        problems = database.check().problems
    assert any(name in what for _, what in problems), problems


def test_rescue_reads_the_log_up_to_the_damage():
    env = RecordingEnv(4)
    with vicino.open(ROOT, _env=cast(Env, env)) as database:
        docs = database.create_collection("docs", dim=2)
        for n in range(10):
            docs.upsert({"id": n, "vector": [n, 1]})
    folder = next(f"{ROOT}/{name}" for name in env.files.list(ROOT) if name.startswith("c-"))
    content = bytearray(env.files.read(f"{folder}/wal-1"))
    content[len(content) // 2] ^= 1
    env.files.open(f"{folder}/wal-1").write_at(0, bytes(content))
    with pytest.raises(CorruptionError):
        vicino.open(ROOT, mode="r", _env=cast(Env, env))["docs"].count()
    with vicino.open(ROOT, mode="rescue", _env=cast(Env, env)) as database:
        assert 2 <= database["docs"].count() <= 7
        assert not database.check().is_sound
