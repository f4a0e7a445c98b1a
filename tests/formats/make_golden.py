"""Makes the golden folder of the present format: `python -m tests.formats.make_golden`. Run once for each format; what is committed stays.

It holds what a folder can hold: every dtype, tombstones, a patch, graphs, both kinds of field indexes, history, aliases, several
collections, ids and fields of every type, and a log that is not sealed. `describe` says what must be read from it, for ever.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import uuid
from pathlib import Path
from typing import Any, cast

import numpy as np

import vicino
from tests.property.oracle import key_of
from vicino import Database, VectorSpec
from vicino.collection.limits import Limits
from vicino.env import Env
from vicino.env.recording import RecordingEnv

FOLDER = Path(__file__).parent / "format-1"
ANSWERS = FOLDER.with_suffix(".json")
LIMITS = Limits(head_rows_max=1000, graph_rows_min=8, close_log_bytes_max=1 << 30)
SPECS = {
    "f32": VectorSpec(3, "cosine"),
    "f16": VectorSpec(4, "l2", "float16"),
    "i8": VectorSpec(5, "dot", "int8"),
    "u8": VectorSpec(2, "l1", "uint8"),
    "bits": VectorSpec(12, "hamming", "binary"),
    "sets": VectorSpec(9, "jaccard", "binary", "flat"),
}


def vectors(seed: int) -> dict[str, Any]:
    chance = np.random.default_rng(seed)
    found: dict[str, Any] = {}
    for name, spec in SPECS.items():
        if spec.dtype == "binary":
            found[name] = np.packbits(chance.random(spec.dim) < 0.5)
        else:
            found[name] = chance.integers(0, 9, spec.dim).astype(spec.numpy_dtype)
    return found


def fields(n: int) -> dict[str, Any]:
    return {
        "n": n,
        "price": n / 4,
        "text": f"row number {n}",
        "flag": n % 2 == 0,
        "none": None,
        "when": dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=n),
        "key": uuid.UUID(int=n),
        "place": vicino.GeoPoint(n % 90, n % 180),
        "list": [n, "x", None, n / 2],
        "deep": {"a": {"b": n}, "é": [{"c": n}, {"c": n + 1}]},
    }


def fill(database: Database) -> None:
    every = database.create_collection("every", vectors=SPECS)
    ids: list[Any] = [*range(20), "text", "1", uuid.UUID(int=7), -(2**63), 2**63, 2**100]
    every.upsert([{"id": record_id, **vectors(n), **fields(n)} for n, record_id in enumerate(ids)])
    every.create_index("n")
    every.create_index("text", kind="text")
    every.optimize()
    every.delete([3, 4, "text"])
    every.update([5, "1"], set={"n": 500, "text": "patched"})
    every.upsert([{"id": 6, "f32": [1, 2, 3], "n": 600}, {"id": "new", **vectors(99), **fields(99)}])
    every._shard.freeze()  # a second segment, tombstones and a patch for the first
    every.update(7, set={"n": 700})
    every.delete(8)
    database.create_collection("empty", dim=2)
    database.create_collection("fields only", ttl="until").upsert({"id": 1, "until": dt.datetime(2999, 1, 1, tzinfo=dt.UTC)})
    database.alias("also", "every")


def describe(database: Database) -> dict[str, Any]:
    """Everything that can be read, as JSON; floats and bytes exactly."""
    found: dict[str, Any] = {"names": database.names(), "aliases": database.aliases()}
    for name in database.names():
        collection = database[name]
        found[name] = {
            "version": collection.version,
            "settings": json.loads(json.dumps(collection.settings.to_json())),
            "records": {
                repr(key_of(view.id)): {
                    "version": view.version,
                    "fields": repr(sorted(view.fields.items())),
                    "vectors": {vector: np.ascontiguousarray(row).tobytes().hex() for vector, row in view.vectors.items()},
                }
                for view in sorted(collection.iter(vectors=True), key=lambda one: repr(key_of(one.id)))
            },
        }
    every = database["every"]
    found["searches"] = {
        name: [repr(hit.id) for hit in every.search(vectors(2)[name], vector=name, limit=3, exact=True)][:1] for name in SPECS
    }
    found["filters"] = {
        text: sorted(repr(view.id) for view in every.iter(where=text))
        for text in ("n >= 500", "flag == True and price < 2", "deep.a.b == 9")
    }
    found["history"] = {
        str(version): sorted(repr(view.id) for view in every.at(version).iter()) for version in range(every.version - 4, every.version)
    }
    return found


def main() -> None:
    env = RecordingEnv(1)
    with vicino.open("/db", _env=cast(Env, env), limits=LIMITS, retain=6) as database:
        fill(database)
        answers = describe(database)
    shutil.rmtree(FOLDER, ignore_errors=True)
    _write(env, "/db", FOLDER)
    ANSWERS.write_text(json.dumps(answers, indent=1, sort_keys=True, ensure_ascii=True) + "\n")


def _write(env: RecordingEnv, source: str, target: Path) -> None:
    target.mkdir(parents=True)
    for name in env.files.list(source):
        if env.files.is_dir(f"{source}/{name}"):
            _write(env, f"{source}/{name}", target / name)
        elif name not in ("LOCK", "position"):
            (target / name).write_bytes(env.files.read(f"{source}/{name}"))


if __name__ == "__main__":
    main()
