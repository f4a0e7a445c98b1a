"""A small database and every way to damage its bytes: what is opened after a flip is refused, named by check(), or answers as before."""

from __future__ import annotations

from collections.abc import Iterator
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
