"""System calls that fail under a real process, by `strace -e inject`: is every acknowledged write there afterwards?

A sample by hand of what tests/durability/test_every_operation_fails.py does exhaustively through `Env`; here nothing can go round it.
`python -m benchmarks.durability.strace_faults` needs strace and writes benchmarks/results/strace_faults.json.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Any

import vicino
from benchmarks.report import RESULTS, WORK, commit, machine
from vicino.collection.limits import Limits
from vicino.errors import Error

CALLS = {"fdatasync": "EIO", "fsync": "EIO", "pwritev2": "ENOSPC", "rename": "EIO", "unlink": "EIO", "mkdir": "ENOSPC"}
"""Every call that changes files; the log and all containers are written with pwritev2."""
WHEN = [1, 2, 3, 5, 8, 13, 21, 34]
LIMITS = Limits(head_rows_max=16, merge_fan_in=2, graph_rows_min=8, close_log_bytes_max=0)
COMMITS = 60


def write(folder: str) -> None:
    """The child: small commits with seals and merges under way; prints the number of each that was acknowledged."""
    with vicino.open(folder, limits=LIMITS) as db:
        docs = db.create_collection("docs", dim=4, exist_ok=True)
        print("ready", flush=True)
        for number in range(COMMITS):
            try:
                docs.upsert([{"id": number * 4 + i, "vector": [number, i, 0, 1], "n": number} for i in range(4)])
            except Error as error:
                print(f"error {type(error).__name__}", flush=True)
                continue
            sys.stdout.write(f"acknowledged {number}\n")
            sys.stdout.flush()


def run(call: str, when: int) -> dict[str, Any]:
    folder = WORK / "strace_faults"
    shutil.rmtree(folder, ignore_errors=True)
    inject = f"inject={call}:error={CALLS[call]}:when={when}"
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
    child = subprocess.run(
        [*command, sys.executable, "-m", __spec__.name, "write", str(folder)], capture_output=True, text=True, timeout=300
    )
    lines = child.stdout.split("\n")
    acknowledged = [int(line.split()[1]) for line in lines if line.startswith("acknowledged")]
    lost: list[int] = []
    if (folder / "catalog").exists():
        with vicino.open(folder, limits=LIMITS) as db:
            sound = db.check().is_sound
            lost = [number for number in acknowledged if db["docs"].count(where={"n": number}) != 4]
    else:
        sound, lost = True, acknowledged
    errors = sorted({line.split()[1] for line in lines if line.startswith("error")})
    crashed = child.returncode != 0 and "vicino.errors." not in child.stderr
    return {
        "call": call,
        "error": CALLS[call],
        "when": when,
        "acknowledged": len(acknowledged),
        "lost": lost,
        "sound": sound,
        "errors": errors,
        "crashed": crashed,
    }


def main() -> int:
    if len(sys.argv) > 2 and sys.argv[1] == "write":
        write(sys.argv[2])
        return 0
    runs = [run(call, when) for call in CALLS for when in WHEN]
    bad = [found for found in runs if found["lost"] or not found["sound"] or found["crashed"]]
    content = {
        "answers": "acknowledged writes lost when one system call of a real process fails",
        "command": "python -m benchmarks.durability.strace_faults",
        "commit": commit(),
        "machine": machine(),
        "runs": runs,
        "bad": len(bad),
    }
    (RESULTS / "strace_faults.json").write_text(json.dumps(content, indent=1) + "\n")
    print(f"{len(runs)} runs, {len(bad)} bad")
    for found in bad[:5]:
        print(found)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
