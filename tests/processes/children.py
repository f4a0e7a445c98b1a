"""What the child processes of these tests run, and how they are started: real processes, told what to do by name and JSON.

A child prints one line of JSON for everything the test must know; it is killed when the test ends, whatever happened.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def child(role: str, **arguments: Any) -> Iterator[Child]:
    """Runs a role of this file in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.processes.children", role, json.dumps(arguments)],
        stdout=subprocess.PIPE, stdin=subprocess.PIPE, cwd=ROOT, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        yield Child(process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stdin):
            assert pipe is not None
            pipe.close()


class Child:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid

    def line(self) -> Any:
        """The next thing it says."""
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        if not text:
            raise AssertionError(f"the child ended with {self.process.wait(10)} before it said what was expected")
        return json.loads(text)

    def lines(self) -> list[Any]:
        """Everything it says until it ends; a line that was cut off by its end is left out."""
        assert self.process.stdout is not None
        text = self.process.stdout.read()
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def go_on(self) -> None:
        """Lets a child go on that waits for it."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def end(self, timeout: float = 30) -> int:
        return self.process.wait(timeout)


# ---- the roles


def say(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def wait() -> None:
    sys.stdin.readline()


def small_limits() -> Any:
    from vicino.collection.limits import Limits

    return Limits(head_rows_max=200, merge_fan_in=2, graph_rows_min=100, close_log_bytes_max=4096)


def hold(path: str, mode: str = "rw") -> None:
    """Opens the database and holds it."""
    import vicino

    database = vicino.open(path, mode=mode)  # type: ignore[arg-type]
    say({"names": database.names()})
    wait()
    database.close()
    say("closed")


def write_for_ever(path: str, seed: int = 0) -> None:
    """Batches of ten records that carry the number of their batch, deletes and updates; says every batch that was acknowledged.

    Batch b writes the records b * 10 … b * 10 + 9, updates those of batch b - 1 and deletes half of those of batch b - 2.
    """
    import numpy as np

    import vicino

    database = vicino.open(path, limits=small_limits())
    docs = database.create_collection("docs", dim=8, exist_ok=True)
    chance = np.random.default_rng(seed)
    batch = 1 + max((view.fields["batch"] for view in docs.iter(select="batch")), default=-1)
    if batch:  # what a killed one had begun is finished
        docs.update(where={"batch": {"$lt": batch}, "updated": False}, set={"updated": True})
        docs.delete([one * 10 + row for one in range(batch) for row in range(5)])
    say({"first": batch})
    while True:
        ids = list(range(batch * 10, batch * 10 + 10))
        docs.upsert(ids=ids, vectors=chance.random((10, 8), np.float32), fields=[{"batch": batch, "updated": False}] * 10)
        say({"written": batch})
        if batch >= 1:
            docs.update(where={"batch": batch - 1}, set={"updated": True})
            say({"updated": batch - 1})
        if batch >= 2:
            docs.delete(list(range((batch - 2) * 10, (batch - 2) * 10 + 5)))
            say({"deleted": batch - 2})
        batch += 1


def stamp(path: str, count: int, pause_s: float) -> None:
    """Writes the time into one record, again and again."""
    import vicino

    database = vicino.open(path)
    docs = database.create_collection("docs", dim=2, exist_ok=True)
    docs.upsert({"id": "stamp", "vector": [1, 1], "at": time.time()})
    say("ready")
    for _ in range(count):
        time.sleep(pause_s)
        docs.upsert({"id": "stamp", "vector": [1, 1], "at": time.time()})
    say("done")
    wait()


def follow(path: str, seconds: float) -> None:
    """Reads what another process writes; says how late each new stamp was seen, and every torn state."""
    import vicino

    database = vicino.open(path, mode="r")
    docs = database["docs"]
    seen, delays, start = 0.0, [], time.monotonic()
    while time.monotonic() - start < seconds:
        at = docs["stamp"].fields["at"]
        if at != seen:
            if seen:
                delays.append(time.time() - at)
            seen = at
        time.sleep(0.002)
    say(delays)


def read_batches(path: str, seconds: float) -> None:
    """Reads the records of write_for_ever over and over: every state seen must be whole and never go back."""
    import vicino

    database = vicino.open(path, mode="r")
    docs = database["docs"]
    start, newest, n_reads, wrong = time.monotonic(), -1, 0, []
    while time.monotonic() - start < seconds:
        problem, top = whole_batches([(view.id, view.fields) for view in docs.iter()])
        if problem:
            wrong.append(problem)
        if top < newest:
            wrong.append(f"went back from batch {newest} to {top}")
        newest, n_reads = max(newest, top), n_reads + 1
        hits = docs.search([1.0] * 8, limit=5)
        if [hit.distance for hit in hits] != sorted(hit.distance for hit in hits):
            wrong.append("hits out of order")
    say({"reads": n_reads, "newest": newest, "wrong": wrong[:5]})


def whole_batches(records: list[tuple[Any, Any]]) -> tuple[str, int]:
    """What is wrong with the records of write_for_ever, empty if nothing, and the newest batch. Each commit is atomic."""
    batches: dict[int, dict[int, bool]] = {}
    for record_id, fields in records:
        batches.setdefault(fields["batch"], {})[record_id % 10] = fields["updated"]
    top = max(batches, default=-1)
    for batch, rows in batches.items():
        updated = set(rows.values())
        if len(updated) > 1:
            return f"batch {batch} is half updated", top
        if set(rows) not in ({*range(10)}, {*range(5, 10)}):
            return f"batch {batch} has rows {sorted(rows)}", top
        if batch < top - 2 and set(rows) != {*range(5, 10)}:
            return f"batch {batch} was deleted from and has rows {sorted(rows)}", top
        if batch < top - 1 and updated != {True}:
            return f"batch {batch} is not updated", top
    if set(batches) != {*range(top + 1)}:
        return f"batches {sorted({*range(top + 1)} - set(batches))[:5]} are missing", top
    return "", top


def search_for_long(path: str) -> None:
    """A long search and a long upsert that Ctrl-C interrupts; says how long each took to stop, and that the database still works."""
    import numpy as np

    import vicino

    database = vicino.open(path)
    docs = database.create_collection("docs", dim=128, index="flat")
    rows = np.random.default_rng(0).random((20_000, 128), np.float32)
    docs.upsert(ids=list(range(len(rows))), vectors=rows)
    queries = np.random.default_rng(1).random((20_000, 128), np.float32)
    for what, act in (
        ("search", lambda: docs.search_many(queries, limit=10, exact=True)),
        ("upsert", lambda: docs.upsert(({"id": n, "vector": queries[n % 20_000]} for n in range(10_000_000)), batch=100)),
    ):
        say(what)
        try:
            act()
            say("not interrupted")
        except KeyboardInterrupt:
            say(time.time())
    say({"sound": database.check().is_sound, "found": len(docs.search(queries[0], limit=3))})
    docs.upsert({"id": "after", "vector": queries[0]})
    database.close()
    say("closed")


if __name__ == "__main__":
    globals()[sys.argv[1]](**json.loads(sys.argv[2]))
