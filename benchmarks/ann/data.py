"""The sets of vectors. Drawn ones are kept under build/, so that every process reads the same file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.ann.synthetic import Generator, Law, Rows
from benchmarks.datasets import DATA
from benchmarks.report import ROOT

CACHE = ROOT / "build" / "bench" / "ann"
LAWS = {
    "synth768": (Law(dim=768, metric="cosine", falloff=0.5, weights=(1.0, 1.0, 1.6)), 100_000),
    "synth384": (Law(dim=384, metric="cosine", falloff=0.5, weights=(1.0, 1.0, 1.6)), 100_000),
    "l2sift128": (Law(dim=128, metric="l2", falloff=0.45, weights=(1.0, 1.0, 1.3), n_details=8000), 300_000),
}
"""Drawn sets -> their law and the usual number of rows."""
SETS = ("debian", "minilm", *LAWS)
N_QUERIES = 1000
N_CLUSTERS = 20


class Dataset(NamedTuple):
    """metric "cosine": rows and queries have unit length, so that inner product, cosine and L2 rank alike. "l2": they have any length."""

    name: str
    metric: str
    base: Rows
    queries: Rows

    def describe(self, k: int) -> dict[str, Any]:
        n, dim = self.base.shape
        return {"set": self.name, "n": n, "dim": dim, "dtype": "float32", "metric": self.metric, "queries": len(self.queries), "k": k}


class TooSmall(Exception):
    """A set has fewer rows than were asked for."""


def load(name: str, n: int | None = None, n_queries: int = N_QUERIES, *, is_mapped: bool = False) -> Dataset:
    """A set by name, its first n rows. Real sets have as many queries as they have, at most n_queries are taken.

    is_mapped: rows of a drawn set are read from their file as they are touched, in pages that all processes share. Where times count, they
    are copied, so that all of them are in memory before anything is measured.
    """
    if name in LAWS:
        law, usual = LAWS[name]
        mapped = _drawn(name, law, n or usual, n_queries)
        return mapped if is_mapped else mapped._replace(base=np.array(mapped.base))
    base, queries = _debian() if name == "debian" else _minilm()
    n = n or len(base)
    if n > len(base):
        raise TooSmall(f"the set {name} has {len(base)} rows, {n} were asked for; use one of {', '.join(LAWS)} for more")
    return Dataset(name, "cosine", _unit(base[:n]), _unit(queries[:n_queries]))


def _unit(rows: npt.NDArray[Any]) -> Rows:
    wide = rows.astype(np.float32)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def _debian() -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    folder = DATA / "vectors-debian"
    return np.load(folder / "base.f16.npy", mmap_mode="r"), np.load(folder / "query.f16.npy")


def _minilm() -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Documents and queries of three collections together: the queries are questions, another kind of text than the rows."""
    folder, names = DATA / "vectors-minilm", ("npl", "cacm", "cranfield")
    documents, queries = (np.concatenate([np.load(folder / f"{name}.{kind}.f16.npy") for name in names]) for kind in ("docs", "queries"))
    # In random order, so that a prefix holds rows and queries of all three.
    return np.random.default_rng(0).permutation(documents), np.random.default_rng(1).permutation(queries)


def _drawn(name: str, law: Law, n: int, n_queries: int) -> Dataset:
    CACHE.mkdir(parents=True, exist_ok=True)
    kept = sorted((int(path.stem.rpartition("-")[2]), path) for path in CACHE.glob(f"{name}-*.npy"))
    path = next((path for rows, path in kept if rows >= n), None)
    if path is None:
        path = _write(CACHE / f"{name}-{n}.npy", Generator(law).rows(n), n, law.dim)
    queries = CACHE / f"queries.{name}-{n_queries}.npy"
    if not queries.exists():
        _write(queries, Generator(law).queries(n_queries), n_queries, law.dim)
    return Dataset(name, law.metric, np.load(path, mmap_mode="r")[:n], np.load(queries))


def sample(dataset: Dataset) -> Rows:
    """A hundred of the rows or a few more, by which sets of one name are told apart."""
    return np.ascontiguousarray(dataset.base[:: max(1, len(dataset.base) // 100)])


def _write(path: Path, batches: Iterable[Rows], n: int, dim: int) -> Path:
    """Writes rows into a file, which appears under its name only when it is whole."""
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    rows = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.float32, shape=(n, dim))
    first = 0
    for batch in batches:
        rows[first : first + len(batch)] = batch
        first += len(batch)
    rows.flush()
    os.replace(unfinished, path)
    return path
