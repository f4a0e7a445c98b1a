"""A process ends without harm whatever vicino is doing in the background."""

from __future__ import annotations

import subprocess
import sys

import pytest

ENDS = """
import sys
import numpy as np
import vicino
from vicino.collection.limits import Limits
docs = vicino.open(sys.argv[1] or None, limits=Limits(head_rows_max=4000, graph_rows_min=1000)).create_collection("docs", dim=64)
rows = np.random.default_rng(0).standard_normal((12_000, 64), dtype=np.float32)
for start in range(0, 12_000, 1000):
    docs.upsert(ids=range(start, start + 1000), vectors=rows[start : start + 1000])
"""


@pytest.mark.parametrize("place", ["memory", "folder"])
def test_a_process_may_end_while_segments_are_built(tmp_path, place):
    for turn in range(6):
        folder = "" if place == "memory" else str(tmp_path / str(turn))
        done = subprocess.run([sys.executable, "-c", ENDS, folder], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
