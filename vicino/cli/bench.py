"""`vicino bench`: how fast this machine answers, with the recall of the very answers that were timed.

Without a collection it makes one in memory, of vectors in clusters, so that neither the easy case (few clusters, far apart) nor the
hopeless one (uniform noise) is measured. With a collection it uses that: its own vectors, a little shaken, are the queries. Every rate is
the median of three runs over all queries, one query a call, on one thread. It says nothing about other data, other machines, or the disk.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from statistics import median
from typing import Any

import click
import numpy as np
import numpy.typing as npt

import vicino
from vicino import _core
from vicino.cli import exit_codes, output
from vicino.cli.command import command as declare
from vicino.cli.session import Session
from vicino.collection.collection import Collection
from vicino.env import RealEnv
from vicino.errors import InvalidArgument

_N_CLUSTERS = 200
_RUNS = 3
_monotonic = RealEnv().monotonic


@dataclass(frozen=True, slots=True)
class Measured:
    """One way of searching. queries_per_s: median of the runs; spread: the largest difference from it; recall: against exact answers."""

    search: str
    queries_per_s: float
    spread: float
    recall: float


@declare(
    "bench",
    examples="""
    vicino bench
    vicino bench --records 100000 --dim 384
    vicino bench data docs --gate 0.95
    """,
)
@click.argument("words", nargs=-1, metavar="[[FOLDER] COLLECTION]")
@click.option("--records", type=click.IntRange(min=1), default=20_000, show_default=True, help="Records, when vectors are made.")
@click.option("--dim", type=click.IntRange(1, 8192), default=128, show_default=True, help="Dimensions, when vectors are made.")
@click.option("--queries", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="Hits per query.")
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--gate", type=click.FloatRange(0.0, 1.0), help="End with exit code 6 if the recall of the default search is below.")
@click.pass_context
def command(
    ctx: click.Context, session: Session, words: tuple[str, ...], records: int, dim: int, queries: int, limit: int, seed: int,
    gate: float | None,
) -> None:  # fmt: skip
    """Measure search, and writing where it makes the vectors itself; recall stands beside every rate."""
    rng = np.random.default_rng(seed)
    document: dict[str, Any] = {"machine": _machine(), "limit": limit, "queries": queries, "seed": seed}
    if words:
        folder, (name,) = session.place(words, "COLLECTION")
        with session.database(folder) as database:
            collection = database.collection(name)
            document |= {"collection": name, **_facts(collection)}
            document["searches"] = [asdict(row) for row in _measure(collection, _own_queries(collection, queries, rng), limit)]
    else:
        with vicino.open() as database:
            collection = database.create_collection("bench", dim=dim)
            points, asked = _clusters(records, queries, dim, rng)
            document |= {"writing": _write(session, collection, points)} | _facts(collection)
            document["searches"] = [asdict(row) for row in _measure(collection, asked, limit, where="tenth == 3")]
    session.finish(document, lambda: _show(document))
    recall = next(row["recall"] for row in document["searches"] if row["search"] == "default")
    if gate is not None and recall < gate:
        session.note(f"recall@{limit} of the default search is {recall:.4f}, below the gate of {gate}")
        ctx.exit(exit_codes.CHECK_FAILED)


def _machine() -> dict[str, Any]:
    import os

    return {
        "vicino": vicino.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "kernels": sorted(set(dict(_core.active_kernels()).values())),
    }


def _facts(collection: Collection[Any]) -> dict[str, Any]:
    vectors = {name: spec.to_json() for name, spec in collection.settings.specs.items()}
    return {"n_records": len(collection), "vectors": vectors, "unindexed_rows": collection.stats().unindexed_rows}


def _clusters(n: int, n_queries: int, dim: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    centers = rng.normal(size=(_N_CLUSTERS, dim))
    members = centers[rng.integers(_N_CLUSTERS, size=n + n_queries)] + rng.normal(size=(n + n_queries, dim))
    return members[:n].astype(np.float32), members[n:].astype(np.float32)


def _own_queries(collection: Collection[Any], n: int, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Stored vectors with a tenth of their length of noise: a query that is itself stored would be too easy."""
    specs = collection.settings.specs
    name = "vector" if "vector" in specs else next(iter(specs), None)
    if name is None or specs[name].dtype == "binary" or len(specs) > 1:
        raise InvalidArgument(f'collection "{collection.name}" must have one vector of numbers to be measured, it has {len(specs)} vectors')
    step = max(1, len(collection) // n)
    rows = [view.vector for view in islice(collection.iter(select=(), vectors=True), 0, None, step)][:n]
    stored = np.array([row for row in rows if row is not None], dtype=np.float32)
    if not len(stored):
        raise InvalidArgument(f'collection "{collection.name}" has no vectors to measure with')
    scale = 0.1 * np.linalg.norm(stored, axis=1, keepdims=True) / np.sqrt(stored.shape[1])
    shaken = stored + scale * rng.normal(size=stored.shape)
    dtype = specs[name].numpy_dtype
    return shaken.astype(dtype) if np.issubdtype(dtype, np.floating) else np.clip(np.rint(shaken), *_range(dtype)).astype(dtype)


def _range(dtype: Any) -> tuple[int, int]:
    return np.iinfo(dtype).min, np.iinfo(dtype).max


def _write(session: Session, collection: Collection[Any], points: npt.NDArray[np.float32]) -> dict[str, float]:
    n = len(points)
    start = _monotonic()
    for first in range(0, n, 1000):
        ids = range(first, min(first + 1000, n))
        collection.add(ids=list(ids), vectors=points[first : first + 1000], fields=[{"tenth": number % 10} for number in ids])
    written = _monotonic()
    session.note("building the index")
    collection.optimize()
    return {"vectors_per_s_written": n / (written - start), "vectors_per_s_indexed": n / (_monotonic() - start)}


def _measure(collection: Collection[Any], queries: npt.NDArray[Any], limit: int, where: str | None = None) -> list[Measured]:
    filters = [("", None)] + ([(f", where {where}", where)] if where else [])
    rows = []
    for label, condition in filters:
        truth = [set(collection.search(query, where=condition, limit=limit, exact=True).ids) for query in queries]
        for name, exact in (("default", False), ("exact", True)):
            search = partial(collection.search, where=condition, limit=limit, exact=exact)
            rows.append(_time(f"{name}{label}", search, queries, truth))
    return rows


def _time(name: str, search: Callable[[Any], Any], queries: npt.NDArray[Any], truth: list[set[Any]]) -> Measured:
    rates, found = [], []
    for _ in range(_RUNS):
        start = _monotonic()
        found = [search(query).ids for query in queries]
        rates.append(len(queries) / (_monotonic() - start))
    hits = sum(len(expected & set(ids)) for expected, ids in zip(truth, found, strict=True))
    middle = median(rates)
    return Measured(name, middle, max(abs(rate - middle) for rate in rates), hits / max(1, sum(map(len, truth))))


def _show(document: dict[str, Any]) -> None:
    machine = document["machine"]
    spec = next(iter(document["vectors"].values()))
    click.echo(
        f"{document['n_records']:,} records, {spec['dim']} × {spec['dtype']} {spec['metric']}; "
        f"{document['queries']} queries, one at a time; {machine['cores']} cores, kernels {', '.join(machine['kernels'])}"
    )
    if writing := document.get("writing"):
        click.echo(
            f"written at {writing['vectors_per_s_written']:,.0f} vectors/s (in memory), "
            f"indexed at {writing['vectors_per_s_indexed']:,.0f} vectors/s"
        )
    rows = [
        (row["search"], f"{row['queries_per_s']:,.0f}", f"± {row['spread']:,.0f}", f"{row['recall']:.4f}") for row in document["searches"]
    ]
    output.write_table(["search", "queries/s", "spread", f"recall@{document['limit']}"], rows, numeric=["queries/s", "spread"])
    if document["unindexed_rows"]:
        click.echo(f"{document['unindexed_rows']:,} rows are scanned: no graph covers them yet")
