"""The peers' virtual environments under build/, one each, made on demand: their requirements contradict one another and ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.report import ROOT

FOLDER = ROOT / "build" / "bench-envs"

PACKAGES = {"qdrant": "qdrant-edge-py", "chroma": "chromadb", "lance": "lancedb", "zvec": "zvec"}
"""Peer -> the package on PyPI that holds it."""


class MissingPeer(Exception):
    """The peer's package cannot be installed here; the message says why."""


def interpreter(peer: str, folder: Path = FOLDER) -> Path:
    """The Python that has this peer; installs it first if need be. vicino itself runs in the present one."""
    if peer == "vicino":
        return Path(sys.executable)
    package = PACKAGES[peer]
    python = folder / package / "bin" / "python"
    ready = folder / package / "ready"
    if not ready.exists():
        _run([sys.executable, "-m", "venv", str(folder / package)], package)
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package, "numpy"], package)
        ready.touch()
    return python


def _run(command: list[str], package: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise MissingPeer(f"{package} does not install: {reason[-1] if reason else f'exit status {done.returncode}'}")
