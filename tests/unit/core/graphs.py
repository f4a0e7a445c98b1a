"""What graphs of every kind are tested with: rows to build them over, damage to a buffer, the memory of a build in its own process."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np

from vicino.errors import CorruptionError, FormatError


def gaussians(n: int, dim: int = 32, seed: int = 1) -> np.ndarray:
    """Rows around centers, a hundred each."""
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((max(1, n // 100), dim))
    return (centers[rng.integers(0, len(centers), n)] + 0.5 * rng.standard_normal((n, dim))).astype(np.float32)


def bits(n: int, n_bytes: int = 16) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (n, n_bytes), dtype=np.uint8)


def near_copies(n: int = 3000) -> np.ndarray:
    """Ordinary rows; the first and every other one from 500 to 1500 are the same but for noise, some of these byte for byte."""
    vectors = gaussians(n)
    rng = np.random.default_rng(8)
    vectors[500:1500:2] = vectors[0] + 1e-5 * rng.standard_normal((500, vectors.shape[1]), dtype=np.float32)
    vectors[500:700:20] = vectors[540]
    return vectors


DEGENERATE = {
    "all equal": np.ones((3000, 16), np.float32),
    "all zero": np.zeros((3000, 16), np.float32),
    "two values": np.repeat(np.eye(2, 16, dtype=np.float32), 1500, axis=0),
    "one dimension": np.random.default_rng(3).standard_normal((3000, 1), dtype=np.float32),
    "one dimension, few values": np.random.default_rng(4).integers(0, 40, (3000, 1)).astype(np.float32),
    "on a line": np.outer(np.arange(3000), np.ones(16)).astype(np.float32),
    "one far away": np.vstack([np.random.default_rng(5).random((2999, 16)), np.full((1, 16), 1e30)]).astype(np.float32),
    "extreme and tiny": (np.random.default_rng(6).standard_normal((3000, 16)) * np.logspace(-37, 37, 3000)[:, None]).astype(np.float32),
    "all at one distance": np.eye(2000, dtype=np.float32),
    "equal but for one bit": np.nextafter(np.ones((3000, 16), np.float32), np.arange(3000)[:, None] % 2 * 2, dtype=np.float32),
}
"""Rows that graphs find hard, by what is the matter with them."""


def expect_damage_is_harmless(built: bytes, rows_found: Callable[[bytes], np.ndarray], n_rows: int) -> None:
    """A bit turned anywhere is an error that names it, or an answer of rows that exist; more than a quarter of them are errors."""
    refused = 0
    for position in range(len(built)):
        damaged = bytearray(built)
        damaged[position] ^= 0x80
        try:
            rows = rows_found(bytes(damaged))
        except (CorruptionError, FormatError):
            refused += 1
        else:
            assert rows.max() < n_rows
    assert refused > len(built) // 4


# The peak of resident memory is reset before the build: a child inherits the peak of the process that started it.
_MEMORY_SCRIPT = """
import re, sys
import numpy as np
from vicino import _core
def status(key):
    return 1024 * int(re.search(key + r":\\s+(\\d+)", open("/proc/self/status").read()).group(1))
name, n, dim, dtype, options = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], eval(sys.argv[5])
vectors = np.random.default_rng(1).standard_normal((n, dim), dtype=np.float32)
vectors = np.packbits(vectors > 0, axis=1) if dtype == "binary" else vectors.astype(dtype)
metric = "hamming" if dtype == "binary" else "l2"
build = getattr(_core, f"build_{name}")
build(vectors[:200], metric)
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
built = build(vectors, metric, threads=2, **options)
print(status("VmHWM") - before, len(built), getattr(_core, f"{name}_build_bytes")(n, dim, dtype, threads=2, **options))
"""


def expect_build_within_stated_memory(name: str, n: int, dim: int, dtype: str, **options: int) -> None:
    """name: "graph" or "hnsw". Linux only."""
    command = [sys.executable, "-W", "ignore", "-c", _MEMORY_SCRIPT, name, str(n), str(dim), dtype, repr(options)]
    used, result, stated = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert stated / 3 < used <= stated + result  # Python's copy of the result comes on top
