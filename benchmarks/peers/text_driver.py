"""Runs one phase of one search engine in a process of its own, on one core, and prints one JSON line. Started by
`benchmarks.text_speed` with the engine's interpreter.

    python text_driver.py '{"module": "tantivy_text", "class": "TantivyText", "phase": "index", …}'

phase "index": load, index, count bytes. "search": open, then each kind of queries one query at a time; with "filters", each also filtered.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import Any

from text_peer import TextPeer

K = 10


def clocks() -> tuple[float, float]:
    """Seconds that passed, and seconds that this process worked."""
    return time.perf_counter(), time.process_time()


def since(start: tuple[float, float]) -> tuple[float, float]:
    now = clocks()
    return now[0] - start[0], now[1] - start[1]


def index(peer: TextPeer, task: dict[str, Any]) -> dict[str, Any]:
    n = peer.load(task)
    start = clocks()
    peer.index(task["path"])
    passed, worked = since(start)
    return {"n": n, "seconds": passed, "cpu_seconds": worked, "bytes": peer.index_bytes(task["path"])}


def search(peer: TextPeer, task: dict[str, Any]) -> dict[str, Any]:
    with open(task["queries"], encoding="utf-8") as file:
        kinds: dict[str, Any] = json.load(file)
    peer.open(task["path"])
    return {kind: search_kind(peer, given, task["filters"]) for kind, given in kinds.items()}


def search_kind(peer: TextPeer, given: dict[str, Any], filters: dict[str, Any]) -> dict[str, Any]:
    queries = peer.prepare(given)
    for query in queries[: max(1, len(queries) // 10)]:
        peer.search(query, K)
    found, took = [], []
    begin = clocks()
    for query in queries:
        start = time.perf_counter()
        found.append(peer.search(query, K))
        took.append(time.perf_counter() - start)
    passed, worked = since(begin)
    measured = {"found": found, "seconds": passed, "cpu_seconds": worked, "took": took}
    begin = clocks()
    if peer.search_all(queries, K) is not None:
        measured["seconds_at_once"] = since(begin)[0]
    if filters:
        measured["filtered"] = search_filtered(peer, queries, filters)
    return measured


def search_filtered(peer: Any, queries: list[Any], filters: dict[str, Any]) -> dict[str, Any]:
    """Each query without a filter and with each, one right after the other, so that all see the same machine."""
    took: dict[str, list[float]] = {name: [] for name in ("all", *filters)}
    found: dict[str, list[list[int]]] = {name: [] for name in took}
    for query in queries:
        for name in took:
            start = time.perf_counter()
            hits = peer.search(query, K, filters.get(name))
            took[name].append(time.perf_counter() - start)
            found[name].append(hits)
    return {name: {"seconds": sum(took[name]), "found": found[name]} for name in took}


def main() -> None:
    task = json.loads(sys.argv[1])
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    answer = os.dup(1)  # whatever the engine prints goes to stderr, so that stdout holds the answer alone
    os.dup2(2, 1)
    peer: TextPeer = getattr(importlib.import_module(task["module"]), task["class"])()
    measured = index(peer, task) if task["phase"] == "index" else search(peer, task)
    with os.fdopen(answer, "w", encoding="utf-8") as out:
        json.dump(measured | {"version": peer.version(), "configuration": peer.configuration}, out)
        out.flush()
        os._exit(0)  # some engines keep threads that delay or spoil the end of the interpreter


if __name__ == "__main__":
    main()
