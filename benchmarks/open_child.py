"""The processes that `benchmarks.open_time` times: each does one thing in a new interpreter, prints one JSON line, and may kill itself.

    python -m benchmarks.open_child '{"do": "open", "path": …}'

Modules are loaded before the clock starts, by using a database in memory: what they cost is `benchmarks.import_time`'s to say.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import vicino
from benchmarks.report import memory_of
from vicino.collection.limits import Limits

NEVER_SEALED = Limits(head_rows_max=1 << 31, head_bytes_max=1 << 40)
"""Everything stays in the log, however long it gets, so that a crash leaves exactly the log that is wanted."""


def load_modules() -> None:
    with vicino.open() as database:
        collection = database.create_collection("rows", dim=2)
        collection.upsert([{"id": 1, "vector": [1, 0], "n": 1}])
        collection.search([1, 0])


def open_and_search(task: dict[str, Any]) -> dict[str, Any]:
    """Opens a database with one collection, asks one query, closes it."""
    query = np.random.default_rng(5).standard_normal(task["dim"], dtype=np.float32)
    before = memory_of()
    start = time.perf_counter()
    database = vicino.open(task["path"])
    collection = database["rows"]
    opened = time.perf_counter()
    found = collection.search(query)
    answered = time.perf_counter()
    after = memory_of()
    n, ids = collection.count(), found.ids
    database.close()
    used = {name: after[name] - before[name] for name in before}
    return {"open_s": opened - start, "first_query_s": answered - opened, "n": n, "ids": ids, "memory": used}


def open_many(task: dict[str, Any]) -> dict[str, Any]:
    """Opens a database of many collections and lists them, then opens one, then every one."""
    start = time.perf_counter()
    database = vicino.open(task["path"])
    opened = time.perf_counter()
    names = database.names()
    listed = time.perf_counter()
    first = database[names[0]].count()
    one = time.perf_counter()
    before = memory_of()
    collections = [database[name] for name in names]
    all_opened = time.perf_counter()
    after = memory_of()
    n = first + sum(collection.count() for collection in collections[1:])
    used = {name: (after[name] - before[name]) / len(names) for name in before}
    descriptors = len(os.listdir("/proc/self/fd"))
    database.close()
    return {
        "open_s": opened - start,
        "list_s": listed - opened,
        "one_s": one - listed,
        "all_s": all_opened - one,
        "n": n,
        "memory_each": used,
        "descriptors": descriptors,
    }


def crash(task: dict[str, Any]) -> None:
    """Writes until the log has the wanted size, every batch acknowledged as durable, and dies."""
    random, dim, batch = np.random.default_rng(3), task["dim"], task["batch"]
    database = vicino.open(task["path"], limits=NEVER_SEALED)
    collection: Any = database.create_collection("rows", dim=dim)
    first = 0
    while collection._shard.journal.log_bytes < task["bytes"]:
        fields = [{"n": row, "name": f"record {row}"} for row in range(first, first + batch)]
        collection.upsert(ids=range(first, first + batch), vectors=random.standard_normal((batch, dim), dtype=np.float32), fields=fields)
        first += batch
    print(json.dumps({"n": first, "log_bytes": collection._shard.journal.log_bytes}), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def replay(task: dict[str, Any]) -> None:
    """Opens what a crash left, and dies without closing, so that the next one finds the same log."""
    start = time.perf_counter()
    database = vicino.open(task["path"], limits=NEVER_SEALED)
    collection = database["rows"]
    took = time.perf_counter() - start
    ids = collection.search(np.ones(task["dim"], np.float32)).ids
    print(json.dumps({"open_s": took, "n": collection.count(), "ids": ids}), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


ACTIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
    "open": open_and_search,
    "open many": open_many,
    "crash": crash,
    "replay": replay,
}


if __name__ == "__main__":
    load_modules()
    given = json.loads(sys.argv[1])
    print(json.dumps(ACTIONS[given["do"]](given)))
