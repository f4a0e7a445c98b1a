"""A small database and every way to damage its bytes: what is opened after a flip is refused, named by check(), or answers as before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import cast

import numpy as np

import vicino
from tests.property.invariants import read_database
from tests.property.oracle import DatabaseState, difference
from vicino import VectorSpec
from vicino.collection.limits import Limits
from vicino.env import Env
from vicino.env.memory import Folder, Node
from vicino.env.recording import RecordingEnv, RecordingFiles
from vicino.errors import CorruptionError, FormatError

ROOT = "/db"
GOOD = {"refused", "named", "harmless"}


def small_database() -> Folder:
    """At most 64 KiB: a segment with tombstones, and a log with an update, a delete and a change of settings."""
    env = RecordingEnv(1)
    with vicino.open(ROOT, _env=cast(Env, env), limits=Limits(head_rows_max=1000)) as database:
        docs = database.create_collection("docs", vectors={"v": VectorSpec(4, "l2", index="flat")})
        chance = np.random.default_rng(1)
        docs.upsert(
            ids=list(range(30)), vectors={"v": chance.random((30, 4), np.float32)}, fields=[{"n": n, "text": f"row {n}"} for n in range(30)]
        )
        docs.optimize()
        docs.delete([3, 4])
        docs.update(5, set={"n": 50})
        docs.upsert({"id": "new", "v": [1, 2, 3, 4]})
        database.alias("also", "docs")
    state = env.crash_state()
    state.advance_to(env.n_events)
    return state.survivors()


def files_of(folder: Folder, path: str = "") -> Iterator[tuple[str, Node]]:
    for name, child in sorted(folder.entries.items()):
        if isinstance(child, Folder):
            yield from files_of(child, f"{path}/{name}")
        else:
            yield f"{path}/{name}", child


def wrong_flips(
    tree: Folder, intact: DatabaseState, offsets: range, bits_of: Callable[[bytes, int], Iterable[int]] = lambda data, offset: range(8)
) -> tuple[int, list[str]]:
    """How many bits were flipped, one at a time, and those that were neither detected nor harmless.

    offsets: counted through all files, in the order of `files_of`. bits_of: which bits of a file's byte are flipped.
    """
    wrong, n_flips, start = [], 0, 0
    for path, node in files_of(tree):
        original = bytes(node.data)
        for offset in range(max(0, offsets.start - start), min(len(original), offsets.stop - start)):
            for bit in bits_of(original, offset):
                damaged = bytearray(original)
                damaged[offset] ^= 1 << bit
                node.data = bytes(damaged)
                n_flips += 1
                found = outcome(tree, intact, "rw" if (offset + bit) % 2 else "r")
                if found not in GOOD:
                    wrong.append(f"{path} byte {offset} bit {bit}: {found}")
        node.data = original
        start += len(original)
    return n_flips, wrong


def outcome(tree: Folder, intact: DatabaseState, mode: str) -> str:
    """ "refused", "named", "harmless", or what is wrong in words. The tree is left as it was: opening to write works on a copy."""
    env = RecordingEnv(2, files=RecordingFiles(tree), boot=7)
    if mode == "rw":
        state = env.crash_state()
        env = RecordingEnv(2, files=RecordingFiles(state.survivors()), boot=7)
    try:
        with vicino.open(ROOT, mode=mode, _env=cast(Env, env)) as database:  # type: ignore[arg-type]
            if not database.check().is_sound:
                return "named"
            found = read_database(database)
    except (CorruptionError, FormatError):
        return "refused"
    except Exception as error:
        return f"not a clean error: {error!r}"
    wrong = difference(intact, found)
    return f"accepted with other content: {wrong}" if wrong else "harmless"
