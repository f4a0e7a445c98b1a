"""What the process asks of the system, seen from outside: the core opens no file for writing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

SCRIPT = """
import sys, numpy as np, vicino
from vicino.collection.limits import Limits
with vicino.open(sys.argv[1], limits=Limits(head_rows_max=100, merge_fan_in=2, graph_rows_min=32)) as db:
    docs = db.create_collection("docs", dim=4)
    rows = np.random.default_rng(0).random((400, 4), np.float32)
    for first in range(0, 400, 100):
        docs.upsert(ids=list(range(first, first + 100)), vectors=rows[first:first + 100], fields=[{"n": first}] * 100)
    docs.create_index("n").wait(30)
    docs.optimize()
    docs.search(rows[0]), docs.count(where={"n": 100}), db.check()
"""
OWN = re.compile(
    r"/(LOCK|readers/.*|CURRENT|position|wal-\d+|[0-9a-f]{16}\.(current|manifest|ids|fields|vectors|graph|index|patch|tombstones))$"
)
OPEN = re.compile(r'(?:openat|open|creat)\([^"]*"([^"]+)", ([A-Z_|]+)')


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.timeout(120)
def test_only_the_environment_opens_files_for_writing(tmp_path):
    """Every file written is one that the storage layer names, and no mapping is writable and shared."""
    trace = tmp_path / "trace"
    path = str(tmp_path / "data")
    command = ["strace", "-f", "-o", str(trace), "-e", "trace=openat,open,creat,mmap", sys.executable, "-B", "-c", SCRIPT, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=os.getcwd())
    if done.returncode and "ptrace" in done.stderr:
        pytest.skip("this process may not trace")
    assert done.returncode == 0, done.stderr[-1000:]
    text = trace.read_text()
    written = [name for name, flags in OPEN.findall(text) if ("O_WRONLY" in flags or "O_RDWR" in flags) and name != "/dev/null"]
    assert written
    assert [name for name in written if not (name.startswith(path) and OWN.search(name))] == []
    shared = [line for line in text.splitlines() if "MAP_SHARED" in line and "PROT_WRITE" in line]
    assert shared == []
