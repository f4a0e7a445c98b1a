"""`memory_limit=` in a child that the system kills when it takes more: a cgroup (v2) of its own with `memory.max`, page cache included.

What the child has before it enters the group stays charged to the group it comes from, so `memory.max` is the limit and the input's slack.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.memory.limited import LIMITED, MB
from tests.processes.child import Child

ROOT = Path("/sys/fs/cgroup")
SLACK = 24 << 20
WORK = """
with open(args["group"] + "/cgroup.procs", "w") as members:
    members.write(str(os.getpid()))
n, dim = args["n"], 384
with vicino.open(path, memory_limit=LIMIT) as db:
    docs = db.create_collection("docs", dim=dim)
    for start in range(0, n, 1000):
        docs.upsert(ids=list(range(start, start + 1000)), vectors=vectors(1000, dim, start), fields=[{"text": "x" * 500}] * 1000)
    docs.optimize()
    found = [docs.search(vectors(1000, dim, start)[7], limit=1, exact=True)[0].id for start in range(0, n, 10_000)]
    refused = refusal(lambda: docs.search_many(vectors(100, dim), limit=10_000))
    iterated = sum(1 for view in docs.iter())
with vicino.open(path, memory_limit=LIMIT) as db:
    again = db["docs"].count()
finish(found=found, refused=refused, iterated=iterated, again=again)
"""


@pytest.fixture
def group():
    """A fresh cgroup next to or below this process's own, removed at the end."""
    parent = _parent()
    folder = parent / f"vicino-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made in {parent}: {error.strerror}")
    try:
        (folder / "memory.max").write_text(str(32 * MB + SLACK))
        if (folder / "memory.swap.max").exists():
            (folder / "memory.swap.max").write_text("0")
        yield folder
    finally:
        folder.rmdir()


def _parent() -> Path:
    """The nearest cgroup above this process that hands the memory controller on; nothing of its settings is changed for the test."""
    own = next((line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), None)
    if own is None or not (ROOT / "cgroup.controllers").exists():
        pytest.skip(f"{ROOT} is not a cgroup v2 hierarchy")
    here = ROOT / own.strip("/")
    for folder in (here, *here.parents):
        control = folder / "cgroup.subtree_control"
        if control.exists() and "memory" in control.read_text().split() and os.access(folder, os.W_OK):
            return folder
        if folder == ROOT:
            break
    pytest.skip("no cgroup above this process may be written and hands the memory controller on")


def test_a_child_lives_in_a_group_of_the_limits_size(tmp_path, group):
    n = 60_000
    with Child(tmp_path / "data", LIMITED + WORK, limit=32 * MB, slack=SLACK, n=n, group=str(group), rlimit=False) as child:
        facts = child.hear(240)
        child.end()
    assert facts["again"] == facts["iterated"] == n
    assert facts["found"] == [start + 7 for start in range(0, n, 10_000)]
    assert facts["refused"]["needed"] > facts["refused"]["available"]
