"""Runs one phase of one peer in a process of its own and prints one JSON line. Started by `benchmarks.ingest` with the peer's interpreter.

    python driver.py '{"peer": "chroma", "phase": "ingest", …}'

phase "write": create and write only, for counting system calls. "ingest": write, index, search. "background": write and wait until that is
indexed by itself (vicino). "reopen": open, first query, memory.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from peer import Peer, Rows


def memory() -> dict[str, int]:
    """Resident bytes now, and the part of them that the system cannot drop."""
    found = {}
    with open("/proc/self/status", encoding="ascii") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name in ("VmRSS", "RssAnon", "VmHWM"):
                found[name] = int(value.split()[0]) * 1024
    return {"rss": found["VmRSS"], "anonymous": found["RssAnon"], "peak": found["VmHWM"]}


def write_all(peer: Peer, task: dict[str, Any]) -> list[float]:
    """Writes every row in batches; seconds of each batch."""
    rows, batch, took = load(task["vectors"])[: task["n"]], task["batch"], []
    for first in range(0, len(rows), batch):
        part = np.ascontiguousarray(rows[first : first + batch])  # read before the clock starts: the database is measured, not the input
        start = time.perf_counter()
        peer.write(first, part)
        took.append(time.perf_counter() - start)
    return took


def load(path: str) -> Rows:
    """A float32 array, mapped."""
    return np.load(path, mmap_mode="r")


def search_all(peer: Peer, task: dict[str, Any]) -> dict[str, Any]:
    """One query at a time: ids found, and microseconds each took."""
    queries = np.ascontiguousarray(load(task["queries"]))
    found, took = [], []
    for query in queries:
        start = time.perf_counter()
        found.append(peer.search(query, task["k"]))
        took.append((time.perf_counter() - start) * 1e6)
    return {"found": found, "query_us": float(np.median(took))}


def write_only(peer: Peer, task: dict[str, Any]) -> dict[str, Any]:
    peer.create(task["path"], task["dim"], task["threads"])
    write_all(peer, task)
    os._exit(0)  # no orderly end: only what the writes themselves did is counted


def ingest(peer: Peer, task: dict[str, Any]) -> dict[str, Any]:
    before = memory()
    start = time.perf_counter()
    peer.create(task["path"], task["dim"], task["threads"])
    created = time.perf_counter()
    batches = write_all(peer, task)
    peer.flush()
    durable = time.perf_counter()
    peer.index()
    indexed = time.perf_counter()
    after = memory()
    found = search_all(peer, task)
    peer.close()
    return {
        "create_s": created - start,
        "batch_s_median": float(np.median(batches)),
        "batch_s_max": max(batches),
        "durable_s": durable - created,
        "indexed_s": indexed - created,
        "memory_peak": after["peak"] - before["rss"],
        **found,
    }


def background(peer: Any, task: dict[str, Any]) -> dict[str, Any]:
    """The same without asking for an index: until what writes began in the background has indexed them."""
    peer.create(task["path"], task["dim"], task["threads"])
    start = time.perf_counter()
    write_all(peer, task)
    peer.settle()
    settled = time.perf_counter()
    peer.close()
    return {"settled_s": settled - start}


def reopen(peer: Peer, task: dict[str, Any]) -> dict[str, Any]:
    query = np.ascontiguousarray(load(task["queries"])[0])
    before = memory()
    start = time.perf_counter()
    peer.open(task["path"], task["threads"])
    opened = time.perf_counter()
    peer.search(query, task["k"])
    answered = time.perf_counter()
    search_all(peer, task)
    after = memory()
    peer.close()
    memory_used = {name: after[name] - before[name] for name in ("rss", "anonymous")}
    return {"open_s": opened - start, "first_query_s": answered - opened, "memory": memory_used}


PHASES: dict[str, Callable[[Peer, dict[str, Any]], dict[str, Any]]] = {
    "write": write_only,
    "ingest": ingest,
    "background": background,
    "reopen": reopen,
}


def main() -> None:
    task = json.loads(sys.argv[1])
    answer = os.dup(1)  # whatever the database prints goes to stderr, so that stdout holds the answer alone
    os.dup2(2, 1)
    name = task["peer"]
    peer: Peer = getattr(importlib.import_module(f"{name}_peer"), f"{name.capitalize()}Peer")()
    result = PHASES[task["phase"]](peer, task) | {"version": peer.version(), "acknowledged": peer.acknowledged}
    os.write(answer, json.dumps(result).encode())
    os._exit(0)  # some peers keep threads that delay or spoil the end of the interpreter


if __name__ == "__main__":
    main()
