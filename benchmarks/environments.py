"""The peers' virtual environments under build/, made on demand: one for each database, and one that holds every peer of `ann` side by side.

The databases of `ingest` run alone, so each has its own. A duel needs both sides in one process; the packages of `ann` install together.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import ROOT

FOLDER = ROOT / "build" / "bench-envs"

PACKAGES = {"qdrant": "qdrant-edge-py", "chroma": "chromadb", "lance": "lancedb", "zvec": "zvec"}
"""Peer -> the package on PyPI that holds it."""
TEXT_PACKAGES = {"tantivy": ("tantivy",), "bm25s": ("bm25s", "PyStemmer", "numba"), "qdrant": ("qdrant-edge-py",)}
"""The same of search engines, and what they are faster with."""


class MissingPeer(Exception):
    """The peer's package cannot be installed here; the message says why."""


def interpreter(peer: str, folder: Path = FOLDER) -> Path:
    """The Python that has this peer; installs it first if need be. vicino itself runs in the present one."""
    if peer == "vicino":
        return Path(sys.executable)
    package, *others = TEXT_PACKAGES.get(peer) or (PACKAGES[peer],)
    python = folder / package / "bin" / "python"
    ready = folder / package / "ready"
    if not ready.exists():
        _run([sys.executable, "-m", "venv", str(folder / package)], package)
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package, *others, "numpy"], package)
        ready.touch()
    return python


SHARED = "ann"
"""Name of the environment that holds several peers."""


def shared_interpreter(packages: Sequence[str], folder: Path = FOLDER) -> Path:
    """The Python that has all of these beside whatever was installed before; installs what is missing."""
    python = folder / SHARED / "bin" / "python"
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(folder / SHARED)], SHARED)
    for package in ("numpy", *packages):
        ready = folder / SHARED / f"ready-{package.partition('[')[0]}"
        if not ready.exists():
            _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package], package)
            ready.touch()
    return python


def _run(command: list[str], package: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise MissingPeer(f"{package} does not install: {reason[-1] if reason else f'exit status {done.returncode}'}")
