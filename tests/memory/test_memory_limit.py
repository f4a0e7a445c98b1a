"""`memory_limit` in a real process: what vicino adds to its anonymous memory stays below it, or the call says how much is missing.

The child opens, writes, builds, merges, searches and reads while a thread samples RssAnon. It also runs under RLIMIT_DATA, so that an
allocation nobody counted ends it instead of going by unseen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

CHILD = """
import json, resource, sys, threading, time
import numpy as np
import vicino
from vicino.errors import MemoryLimitError
from vicino.collection.limits import Limits

path, limit, slack = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))
vicino.open().create_collection("warm", dim=2).upsert({"id": 1, "vector": [1, 2]})   # modules are loaded before the count begins
np.random.default_rng(0).random((2000, 256), np.float32)
base, peak, ended = anonymous(), 0, False
def watch():
    global peak
    while not ended:
        peak = max(peak, anonymous() - base)
        time.sleep(0.002)
watcher = threading.Thread(target=watch)
watcher.start()
resource.setrlimit(resource.RLIMIT_DATA, (base + limit + slack + (256 << 20), resource.RLIM_INFINITY))
refused = []
with vicino.open(path, memory_limit=limit, threads=1) as db:
    docs = db.create_collection("docs", dim=256, metric="l2", exist_ok=True)
    chance = np.random.default_rng(1)
    for first in range(0, 40_000, 2000):
        rows = chance.random((2000, 256), np.float32)
        try:
            docs.upsert(ids=np.arange(first, first + 2000).tolist(), vectors=rows, fields=[{"n": first}] * 2000)
        except MemoryLimitError as error:
            refused.append([error.needed, error.available])
    try:
        docs.optimize()
    except MemoryLimitError as error:
        refused.append([error.needed, error.available])
    found = len(docs.search(rows[0], limit=10))
    docs.search_many(rows[:200], limit=10)
    count = docs.count(where={"n": {"$lt": 10_000}})
    used = db.stats().memory_bytes
ended = True
watcher.join()
print(json.dumps({"peak": peak, "refused": refused, "found": found, "count": count, "used": used}))
"""
SLACK = 24 << 20
"""What is not vicino's: the batch the caller made, the interpreter's own growth, the allocator's fragments."""


def run(path, limit):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), str(limit), str(SLACK)], capture_output=True, text=True, timeout=240, cwd=os.getcwd()
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("limit_mib", [64, 128])
def test_anonymous_memory_stays_below_the_limit(tmp_path, limit_mib):
    limit = limit_mib << 20
    found = run(tmp_path / "data", limit)
    assert found["peak"] <= limit + SLACK, (
        f"{found['peak'] >> 20} MiB over the start, allowed {limit_mib} MiB and {SLACK >> 20} MiB of slack"
    )
    assert found["used"] <= limit
    assert found["found"] == 10
    assert found["count"] == 10_000 or found["refused"]
    assert all(needed > available for needed, available in found["refused"])
