"""kill -9 on a writing process, two hundred times: does the folder hold all that was acknowledged, whole, each time?

The process upserts, updates and deletes with heads of 200 rows, so seals, merges and graph builds are under way when it dies. The page
cache survives a kill, so this proves the order of writes and the recovery, not the syncs; the crash images prove those.

`python -m benchmarks.durability.kill_rounds --rounds 200` writes benchmarks/results/kill_rounds.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time

from benchmarks.report import RESULTS, WORK, command_of, commit, machine
from tests.processes.test_processes import rounds_of_kills


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=2)
    given = parser.parse_args()
    folder = WORK / "kill-rounds"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    start, failure = time.perf_counter(), None
    try:
        rounds_of_kills(str(folder / "data"), given.rounds, given.seed)
    except AssertionError as error:
        failure = str(error)
    found = {
        "rounds": given.rounds,
        "seed": given.seed,
        "failure": failure,
        "seconds": round(time.perf_counter() - start, 1),
        "command": command_of("durability.kill_rounds", sys.argv[1:]),
        "commit": commit(),
        "machine": machine(),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "kill_rounds.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    if failure is None:
        shutil.rmtree(folder)
    return 0 if failure is None else 1


if __name__ == "__main__":
    raise SystemExit(main())
