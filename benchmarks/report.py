"""What every benchmark shares: statistics of repeated runs, facts about the machine, and the one JSON file a run leaves in results/.

A number without its machine, commit and command cannot be compared with another, and a fast wrong answer looks like a fast right one: so
every report carries all of them, and a checksum over the results that were found.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "bench"
RESULTS = Path(os.environ.get("VICINO_BENCH_RESULTS", ROOT / "benchmarks" / "results"))


# ---- statistics


def spread(samples: Iterable[float], digits: int = 6) -> dict[str, float]:
    """Median, extremes and quartiles of several runs of one measurement."""
    ordered = sorted(samples)
    if not ordered:
        raise ValueError("a spread needs at least one sample")
    low, middle, high = (float(np.quantile(ordered, at)) for at in (0.25, 0.5, 0.75))
    found = {"median": middle, "min": ordered[0], "p25": low, "p75": high, "max": ordered[-1]}
    return {name: float(f"{value:.{digits}g}") for name, value in found.items()} | {"runs": len(ordered)}


def timed(call: Callable[[], Any]) -> float:
    """Seconds one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def median_us(call: Callable[[], Any], repeats: int) -> float:
    """Median of many single calls, in microseconds; a tenth of them more run first to warm up."""
    for _ in range(max(1, repeats // 10)):
        call()
    took = []
    for _ in range(repeats):
        start = time.perf_counter_ns()
        call()
        took.append(time.perf_counter_ns() - start)
    return statistics.median(took) / 1e3


def checksum(*parts: Any) -> str:
    """Short fingerprint of results: equal results, equal text."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
    return digest.hexdigest()[:16]


# ---- facts


def fsyncs_per_second(folder: Path, seconds: float = 1.0) -> float:
    """How often a second 4 KiB appended to one file can be made durable: the disk's own bound on commits one after another."""
    path = folder / f"fsync-probe-{os.getpid()}"
    block, count = b"\0" * 4096, 0
    descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    try:
        start = time.perf_counter()
        while (took := time.perf_counter() - start) < seconds or count == 0:
            os.write(descriptor, block)
            os.fdatasync(descriptor)
            count += 1
        return count / took
    finally:
        os.close(descriptor)
        path.unlink()


def file_system(folder: Path) -> str:
    """Type of the file system a folder lies on."""
    best, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, found, *_ = line.split()
        if os.path.commonpath([mount, folder.resolve()]) == mount and len(mount) >= len(best):
            best, kind = mount, found
    return kind


def machine() -> dict[str, Any]:
    """What the numbers depend on besides the code; the disk is the one below WORK, where the measured databases lie."""
    WORK.mkdir(parents=True, exist_ok=True)
    facts = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    from vicino import _core

    return {
        "cpu": facts.get("model name", platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "kernels": sorted({found for _, found in _core.active_kernels()}),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "file_system": file_system(WORK),
        "fsyncs_per_s": round(fsyncs_per_second(WORK)),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def commit() -> str:
    """The commit measured, marked when the engine's own files differ from it."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    if head.returncode:
        return "unknown"
    changed = subprocess.run(["git", "status", "--porcelain", "--", "vicino", "core"], cwd=ROOT, capture_output=True, text=True, check=True)
    return head.stdout.strip() + ("+changes" if changed.stdout.strip() else "")


def memory_of(pid: int | str = "self") -> dict[str, int]:
    """Resident bytes of a process: all, and the anonymous part, which the system cannot drop."""
    fields = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "RssAnon"):
            fields[name] = int(value.split()[0]) * 1024
    return {"rss": fields["VmRSS"], "anonymous": fields["RssAnon"]}


def folder_bytes(path: Path) -> int:
    """Bytes allocated on disk below a folder."""
    return sum(os.lstat(os.path.join(folder, name)).st_blocks * 512 for folder, _, names in os.walk(path) for name in names)


# ---- the report


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the summary. met: None where there is nothing to meet."""

    name: str
    target: str
    got: str
    met: bool | None = None

    @classmethod
    def at_most(cls, name: str, value: float, limit: float, unit: str) -> Figure:
        return cls(name, f"<= {limit:g} {unit}", f"{value:.3g} {unit}", value <= limit)

    @classmethod
    def at_least(cls, name: str, value: float, limit: float, unit: str = "") -> Figure:
        return cls(name, f">= {limit:g} {unit}".rstrip(), f"{value:.3g} {unit}".rstrip(), value >= limit)

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "target": self.target, "got": self.got, "met": self.met}


def command() -> str:
    """How to run this again."""
    return command_of(Path(sys.argv[0]).stem, sys.argv[1:])


def command_of(module: str, arguments: Sequence[str]) -> str:
    return shlex.join(["python", "-m", f"benchmarks.{module}", *arguments])


def write(name: str, figures: Sequence[Figure], **content: Any) -> Path:
    """Writes results/<name>.json and prints its figures. content: the benchmark's own numbers, with `data`: set, n, dim, dtype, …"""
    report = {
        "benchmark": name,
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "command": command(),
        "machine": machine(),
        "figures": [figure.to_dict() for figure in figures],
        **content,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(table(figures))
    return path


def table(figures: Sequence[Figure | Mapping[str, Any]]) -> str:
    """Figures as aligned text: name, target, got, and whether it was met."""
    rows = [figure.to_dict() if isinstance(figure, Figure) else dict(figure) for figure in figures]
    verdict = {True: "met", False: "MISSED", None: ""}
    cells = [["figure", "target", "got", ""], *([row["name"], row["target"], row["got"], verdict[row["met"]]] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(3)]
    return "\n".join("  ".join([*(text.ljust(width) for text, width in zip(line, widths)), line[3]]).rstrip() for line in cells)
