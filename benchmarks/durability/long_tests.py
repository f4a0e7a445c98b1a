"""The long tests of durability in pieces: each can be stopped after a while and gone on with, and the results say which pieces are done.

`python -m benchmarks.durability.long_tests KIND --units A:B --seconds S` does the units from A on, until B or until S seconds have passed,
and appends a line to benchmarks/results/<KIND>.json:

    failing_operations   a unit is one of the 500 calls of a script; every operation of it on files fails, in every way
    flipped_bits         a unit is one byte of a small database; each of its bits is flipped
    state_machine        a unit is 20 examples of 50 steps of the whole public API against an oracle, drawn from the unit's number as a seed
    core_shards          a unit is one seed of 120 steps of the core's shard against a dict

A line whose failures led to a fix is given that commit as "fixed_by" and counts no more; its units are done again.

The tests marked `long` are the same checks in one go.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from benchmarks.report import RESULTS, commit, machine


@dataclass(slots=True)
class Piece:
    """done: the first unit that was not. checks: what was examined, in the words of its kind."""

    done: int
    checks: int = 0
    failures: list[str] = field(default_factory=list)


Run = Callable[[range, Callable[[], bool]], Piece]
"""Takes the units and whether it is time to end; that is asked after every unit."""


def failing_operations(units: range, enough: Callable[[], bool]) -> Piece:
    from tests.durability.failing_operations import fail_every_operation

    outcome = fail_every_operation(3, units, enough=enough)
    return Piece(outcome.n_calls, outcome.n_faults, outcome.failures)


def flipped_bits(units: range, enough: Callable[[], bool]) -> Piece:
    import vicino
    from tests.durability.damage import ROOT, files_of, small_database, wrong_flips
    from tests.property.invariants import read_database
    from vicino.env import Env
    from vicino.env.recording import RecordingEnv, RecordingFiles

    tree = small_database()
    with vicino.open(ROOT, mode="r", _env=cast(Env, RecordingEnv(files=RecordingFiles(tree)))) as database:
        intact = read_database(database)
    units = range(units.start, min(units.stop, sum(len(node.data) for _, node in files_of(tree))))

    def one(unit: int) -> tuple[int, list[str]]:
        return wrong_flips(tree, intact, range(unit, unit + 1))

    return _one_by_one(units, enough, one)


def state_machine(units: range, enough: Callable[[], bool]) -> Piece:
    from hypothesis import seed, settings
    from hypothesis.stateful import run_state_machine_as_test

    from tests.property.test_database_machine import COMMON, DatabaseMachine

    drawn = settings(max_examples=20, stateful_step_count=50, database=None, **COMMON)

    def one(unit: int) -> tuple[int, list[str]]:
        try:
            run_state_machine_as_test(seed(unit)(type("Machine", (DatabaseMachine,), {})), settings=drawn)
        except Exception as error:
            return 20, [f"unit {unit}: {error!r}\n" + "\n".join(getattr(error, "__notes__", []))]
        return 20, []

    return _one_by_one(units, enough, one)


def core_shards(units: range, enough: Callable[[], bool]) -> Piece:
    from tests.property.test_shard_state import live

    def one(unit: int) -> tuple[int, list[str]]:
        try:
            live(unit, 120)
        except Exception as error:
            return 1, [f"unit {unit}: {error!r}"]
        return 1, []

    return _one_by_one(units, enough, one)


def _one_by_one(units: range, enough: Callable[[], bool], check: Callable[[int], tuple[int, list[str]]]) -> Piece:
    piece = Piece(units.start)
    for unit in units:
        checks, failures = check(unit)
        piece.done, piece.checks = unit + 1, piece.checks + checks
        piece.failures += failures
        if failures or enough():
            break
    return piece


KINDS: dict[str, tuple[Run, str]] = {
    "failing_operations": (failing_operations, "0:500"),
    "flipped_bits": (flipped_bits, "0:65536"),
    "state_machine": (state_machine, "0:100"),
    "core_shards": (core_shards, "1000:11000"),
}
"""How each is run, and the units that are the whole of it."""


def append(kind: str, units: range, piece: Piece, seconds: float) -> dict[str, Any]:
    path = RESULTS / f"{kind}.json"
    found = json.loads(path.read_text()) if path.exists() else {"whole": KINDS[kind][1], "checks": 0, "failures": 0, "runs": []}
    found["runs"].append(
        {
            "units": f"{units.start}:{piece.done}",
            "checks": piece.checks,
            "failures": len(piece.failures),
            "first_failures": piece.failures[:3],
            "seconds": round(seconds, 1),
            "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "command": f"python -m benchmarks.durability.long_tests {kind} --units {units.start}:{units.stop}",
            "commit": commit(),
            "machine": machine(),
        }
    )
    standing = [entry for entry in found["runs"] if "fixed_by" not in entry]
    found["checks"] = sum(entry["checks"] for entry in standing)
    found["failures"] = sum(entry["failures"] for entry in standing)
    RESULTS.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")
    return found["runs"][-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("--units", help="A:B, B excluded; all if not given")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no further unit is begun after so long")
    given = parser.parse_args()
    run, whole = KINDS[given.kind]
    first, last = (int(part) for part in (given.units or whole).split(":"))
    start = time.perf_counter()
    piece = run(range(first, last), lambda: time.perf_counter() - start > given.seconds)
    print(json.dumps(append(given.kind, range(first, last), piece, time.perf_counter() - start), indent=1))
    return 1 if piece.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
