"""Builds and runs core/tests: what Python cannot reach. They link the objects of the module in use, so that only they are compiled."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / "build" / "dev"
NINJA = ROOT / ".venv" / "bin" / "ninja"


@pytest.fixture(scope="module")
def binary():
    if not (BUILD / "build.ninja").exists() or not NINJA.exists():
        pytest.skip("there is no build folder; `make core` makes it")
    if shutil.which("g++") is None:
        pytest.skip("there is no g++")
    # `make core` holds the same lock while it builds.
    command = ["flock", ROOT / "build" / "lock", NINJA, "-C", BUILD, "--quiet", "core_tests"]
    built = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert built.returncode == 0, built.stdout + built.stderr
    return BUILD / "core_tests"


def test_the_core_passes_its_own_tests(binary):
    ran = subprocess.run([binary], capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("ok ") >= 9
