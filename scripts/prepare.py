"""Makes .venv ready for what a Makefile target is about to do: `python3 scripts/prepare.py test` from the root of a checkout.

It uses nothing but the standard library of any Python since 3.11. The requirements come from pyproject.toml, so there is one list of
them. The checkout itself is put on the path of .venv and its command into .venv/bin, so that the core can be built in place and an edit
of a Python file counts at once. When nothing has changed since the last call, it returns at once.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"

# What each purpose needs besides the base dependencies and what builds the core.
PURPOSES: dict[str, tuple[str, ...]] = {"core": (), "demo": ("embed",), "test": ("embed", "text", "parquet", "pandas", "polars", "dev")}

COMMAND = """#!/bin/sh
# Runs the vicino of this checkout.
exec "$(dirname "$0")/python" -m vicino "$@"
"""


def requirements(purpose: str) -> list[str]:
    import tomllib  # not in Pythons that are too old, which main() answers by name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = [*project["project"]["dependencies"], *project["build-system"]["requires"], "cmake>=3.24", "ninja"]
    for extra in PURPOSES[purpose]:
        found += [line for line in project["project"]["optional-dependencies"][extra] if not line.startswith("vicino[")]
    return list(dict.fromkeys(found))


def make_venv() -> None:
    if PYTHON.exists():
        return
    print(f"making .venv with Python {sys.version.split()[0]}", flush=True)
    try:
        venv.create(VENV, with_pip=True, clear=VENV.exists())
    except subprocess.CalledProcessError:
        sys.exit("this Python cannot make virtual environments; on Debian and Ubuntu `apt install python3-venv` adds what is missing")


def link_checkout() -> None:
    """.venv imports vicino from this checkout, and has its command."""
    query = [str(PYTHON), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(query, check=True, capture_output=True, text=True).stdout.strip())
    (site / "vicino-checkout.pth").write_text(f"{ROOT}\n")
    command = VENV / "bin" / "vicino"
    command.write_text(COMMAND)
    command.chmod(0o755)


def main() -> None:
    purpose = sys.argv[1] if len(sys.argv) == 2 else ""
    if purpose not in PURPOSES:
        sys.exit(f"usage: python3 scripts/prepare.py {'|'.join(PURPOSES)}")
    if sys.version_info < (3, 11):  # noqa: UP036  whoever runs this has no .venv yet
        sys.exit(f"vicino needs Python 3.11 or newer, this is {sys.version.split()[0]}; name another one: make PYTHON=python3.12")
    wanted = requirements(purpose)
    stamp = VENV / f".prepared-{purpose}"
    mark = hashlib.sha256("\n".join([str(ROOT), *wanted]).encode()).hexdigest()
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == mark:
        return
    make_venv()
    print(f"installing {len(wanted)} packages into .venv", flush=True)
    pip = [str(PYTHON), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input", *wanted]
    if subprocess.run(pip, check=False).returncode:
        sys.exit("pip could not install what the build needs; its message is above")
    link_checkout()
    stamp.write_text(mark)


if __name__ == "__main__":
    main()
