"""What does `import vicino` cost over `import numpy`?

Answers: wall time of the import alone in a fresh interpreter that has imported numpy already, bytecode cached, over many processes; the
same for the import and a first database in memory with one write and one search, since modules that load late are paid there.
Does not answer: a first import from a cold disk, or without cached bytecode.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import report

LIMIT_MS = 50.0

IMPORT = "import vicino"
FIRST_USE = """import vicino
collection = vicino.open().create_collection("rows", dim=2)
collection.upsert([{"id": 1, "vector": [1, 0], "year": 2020}])
collection.search([1, 0], where="year > 2000")"""
CASES = {"import": IMPORT, "import and first use": FIRST_USE}

PROGRAM = """import time, sys, numpy
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)"""


def seconds(statement: str) -> float:
    """Seconds a statement takes in a new interpreter with numpy imported."""
    program = PROGRAM.format(statement=statement)
    done = subprocess.run([sys.executable, "-c", program], cwd=report.ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout)


def modules(statement: str) -> dict[str, float]:
    """Milliseconds each module took by itself, the dearest first, as the interpreter counts them."""
    command = [sys.executable, "-X", "importtime", "-c", f"import numpy\n{statement}"]
    done = subprocess.run(command, cwd=report.ROOT, capture_output=True, text=True, check=True)
    found: dict[str, float] = {}
    for own, name in re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", done.stderr):
        found[name] = int(own) / 1e3
    names = list(found)
    ours = {name: found[name] for name in names[names.index("numpy") + 1 :]}
    return dict(sorted(ours.items(), key=lambda entry: -entry[1])[:15])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=30, help="fresh interpreters a case")
    options = parser.parse_args(arguments)
    measured: dict[str, Any] = {}
    for statement in CASES.values():
        seconds(statement)  # writes the bytecode
    samples: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(options.runs):
        for name, statement in CASES.items():
            samples[name].append(seconds(statement) * 1e3)
    for name, statement in CASES.items():
        measured[name] = {"ms": report.spread(samples[name]), "modules_ms": modules(statement)}
    figures = [
        report.Figure.at_most("import vicino over numpy", measured["import"]["ms"]["median"], LIMIT_MS, "ms"),
        report.Figure("import and first use over numpy", "", f"{measured['import and first use']['ms']['median']:.3g} ms"),
    ]
    report.write("import_time", figures, data={"set": "none"}, cases=measured)


if __name__ == "__main__":
    main()
