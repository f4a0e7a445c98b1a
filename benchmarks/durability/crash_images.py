"""Crash images by the hundred thousand: how many disks that a power failure or a kill could leave open well, with nothing lost.

`python -m benchmarks.durability.crash_images --seeds A:B` runs the scripts of these seeds, each crashed at many moments, and appends one
line of results. A seed gives the same script and the same crashes on every machine, so ranges can be split over machines and days; the file
says which ranges are done. Even seeds do background work at once, odd ones let it lag. A range whose failures led to a fix is given that
commit as "fixed_by" and counts no more; it is run again.

It does not answer whether the file system keeps its own promises: the images follow what POSIX leaves open, not what one disk does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS, command_of, commit, machine
from tests.durability.database_scenario import DatabaseScenario
from tests.durability.harness import Report, check_crashes
from tests.durability.journal_scenario import JournalScenario

RESULT = RESULTS / "crash_images.json"
N_STEPS = 25
PORTION = 50
"""Seeds between two lines of progress; the lines in the results file cover a whole call."""


def run(kind: str, seeds: range, images: int) -> dict[str, Any]:
    """One range of seeds. Stops early when the promises are broken, or at Ctrl-C; the result says which seeds are done."""
    n_images, failures, start = 0, [], time.perf_counter()
    done = seeds.start
    with contextlib.suppress(KeyboardInterrupt):
        for first in range(seeds.start, seeds.stop, PORTION):
            report = _portion(kind, range(first, min(first + PORTION, seeds.stop)), images)
            n_images += report.n_images
            failures += report.failures
            done = min(first + PORTION, seeds.stop)
            print(f"seeds {seeds.start}:{done}: {n_images} images, {len(failures)} failures", file=sys.stderr, flush=True)
            if len(failures) > 20:
                break
    return {
        "kind": kind,
        "seeds": f"{seeds.start}:{done}",
        "images": n_images,
        "failures": len(failures),
        "first_failures": failures[:5],
        "seconds": round(time.perf_counter() - start, 1),
    }


def _portion(kind: str, seeds: range, images: int) -> Report:
    if kind == "journal":
        return check_crashes(JournalScenario, seeds, n_steps=N_STEPS, images_per_seed=images)
    total = Report()
    for deferred in (False, True):
        chosen = range(seeds.start + (seeds.start + deferred) % 2, seeds.stop, 2)
        report = check_crashes(
            lambda deferred=deferred: DatabaseScenario(deferred=deferred), chosen, n_steps=N_STEPS, images_per_seed=images
        )
        total = Report(total.n_images + report.n_images, total.failures + report.failures)
    return total


def append(result: dict[str, Any], path: Path = RESULT) -> None:
    """Adds one range to the results; the total says how many images there were in all."""
    entry = {**result, "command": command_of("durability.crash_images", sys.argv[1:]), "commit": commit(), "machine": machine()}
    found = json.loads(path.read_text()) if path.exists() else {"images": 0, "failures": 0, "runs": []}
    found["runs"].append(entry)
    standing = [entry for entry in found["runs"] if "fixed_by" not in entry]
    found["images"] = sum(entry["images"] for entry in standing)
    found["failures"] = sum(entry["failures"] for entry in standing)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1000:1100", help="A:B, B excluded; 0:200 are part of the tests")
    parser.add_argument("--images", type=int, default=100, help="crashes of every script")
    parser.add_argument("--kind", choices=["database", "journal"], default="database")
    given = parser.parse_args()
    first, last = (int(part) for part in given.seeds.split(":"))
    result = run(given.kind, range(first, last), given.images)
    append(result)
    print(json.dumps(result, indent=1))
    return 1 if result["failures"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
