"""Makes golden folders: `python -m tests.formats.make_golden NAME`. Run once for each; what is committed stays.

format-1 holds what a folder could hold at first: every dtype, tombstones, a patch, graphs, both kinds of field indexes, history, aliases,
several collections, ids and fields of every type, and a log that is not sealed. format-1-values holds what came to it without a new
number: text indexes, sparse and multi-vectors. format-1-codes holds vectors without raw rows and codes chosen by name. format-1-lists holds
every kind of inverted lists, rows in the order of lists, and lists of words and of a sparse vector so long that they have impacts.
format-1-disk holds graphs that are walked from disk. format-1-recall holds what was measured of a promised recall, the queries that
were kept for it, and inverted lists over vectors that are kept as codes alone.
`describe` says what must be read from them, for ever.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import sys
import uuid
from pathlib import Path
from typing import Any, cast

import numpy as np

import vicino
from tests.property.oracle import key_of
from vicino import Database, IndexSpec, VectorSpec
from vicino.collection.limits import Limits
from vicino.collection.value_specs import MultiSpec, SparseSpec, TextSpec
from vicino.env import Env
from vicino.env.recording import RecordingEnv
from vicino.text.analyzer import Analyzer

HERE = Path(__file__).parent
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


def fill_values(database: Database) -> None:
    """Short lists and long ones, rows without, dead rows, a text index built later, and a log; words of one language, so that no stemmer is
    needed to read them."""
    plain = Analyzer(language=None)
    vectors = {"bag": SparseSpec(), "tokens": MultiSpec(4, dtype="int8")}
    every = database.create_collection("every", vectors=vectors, text={"text": TextSpec(analyzer=plain)})
    every.upsert([valued(n) for n in range(160)])
    code = Analyzer(tokenizer="code", language=None)
    every.add_text("built", TextSpec(("title", "text"), analyzer=code, positions=False)).wait()
    every.delete([3, 4, 150])
    every.update([5, 6], set={"text": "other words of the same kind"})
    every.upsert([valued(n) for n in range(158, 165)])


LISTS: dict[str, Any] = {
    "flat": VectorSpec(6, "l2", index=vicino.IndexSpec("ivf_flat", nlist=12)),
    "coded": VectorSpec(6, "cosine", index=vicino.IndexSpec("ivf", nlist=12, copies=True)),
    "pq": VectorSpec(6, "dot", index=vicino.IndexSpec("ivf_pq", nlist=12)),
    "opq": VectorSpec(6, "l2", "float16", index=vicino.IndexSpec("ivf_opq", nlist=12, subvectors=3, bits=8)),
    "hnsw": VectorSpec(6, "cosine", index=vicino.IndexSpec("ivf_hnsw", nlist=12)),
}
LISTS_ROWS = 700


def listed(n: int) -> dict[str, Any]:
    """A record of the collection with lists: small whole numbers, so that every distance is exact."""
    chance = np.random.default_rng(n)
    record: dict[str, Any] = {name: chance.integers(1, 9, spec.dim).astype(spec.numpy_dtype) for name, spec in LISTS.items()}
    return {"id": n, "n": n, "text": f"common group{n % 9}", "bag": {0: 1.0 + n % 4, n % 13 + 1: 0.5}, **record}


def fill_lists(database: Database) -> None:
    plain = Analyzer(language=None)
    every = database.create_collection("every", vectors={**LISTS, "bag": SparseSpec()}, text={"text": TextSpec(analyzer=plain)})
    every.upsert([listed(n) for n in range(LISTS_ROWS)])
    every.optimize()
    every.delete([3, 4, 150])
    every.upsert([listed(n) for n in range(LISTS_ROWS, LISTS_ROWS + 20)])


def describe_lists(database: Database) -> dict[str, Any]:
    """Of each kind the distances when every list is probed; of words and the sparse vector how many are found, the best, and the ids."""
    every = database["every"]
    found: dict[str, Any] = {}
    for name in LISTS:
        hits = every.search(listed(5000)[name], vector=name, limit=5, nprobe=1000)
        found[name] = [f"{hit.score:.3e}" for hit in hits]
    for name, part in {"words": vicino.Text("common group3", fields="text"), "sparse": vicino.Sparse({0: 1.0, 5: 2.0})}.items():
        hits = every.search(part, limit=2000)
        found[name] = [len(hits), f"{hits[0].score:.3e}", sum(hits.ids)]
    return found


def valued(n: int) -> dict[str, Any]:
    record: dict[str, Any] = {"id": n, "n": n}
    if n % 6:
        record["text"] = " ".join(["common", f"group{n % 9}", "déjà vu", "日本語", f"single{n}"] * (1 + n % 3))
        record["title"] = [f"parse_HTTP{n % 7}", "getUserName"]
    if n % 5:
        record["bag"] = {0: 1.0 + n % 4, n % 13 + 1: 0.5, 2**32 - 1: -0.25}
    if n % 4:
        record["tokens"] = np.array([[n % 7, 1, -2, k] for k in range(1 + n % 3)], np.int8)
    return record


CODED = {
    "kept": VectorSpec(64, "cosine", "float32", IndexSpec("graph", codes="8bit"), keep_raw=False),
    "half": VectorSpec(70, "dot", "float16", IndexSpec("flat", codes="4bit"), keep_raw=False),
    "eight": VectorSpec(16, "l2", "float32", IndexSpec("flat", codes="8bit")),
    "one": VectorSpec(20, "cosine", "float32", IndexSpec("flat", codes="1bit", rescore=5)),
    "rows": VectorSpec(64, "l2", "float32", IndexSpec("hnsw", codes="none"), keep_raw=False),
}


def coded(n: int) -> dict[str, Any]:
    chance = np.random.default_rng(n)
    return {
        name: chance.standard_normal(spec.dim).astype(spec.numpy_dtype)
        for number, (name, spec) in enumerate(CODED.items())
        if (n + number) % 7
    }


def fill_codes(database: Database) -> None:
    """A sealed segment with every kind of codes, rows without a vector, and a log with vectors as they were written."""
    every = database.create_collection("every", vectors=CODED)
    every.upsert([{"id": n, "n": n, **coded(n)} for n in range(90)])
    every.optimize()
    every.delete([3, 4])
    every.upsert([{"id": n, "n": n, **coded(n)} for n in range(88, 95)])


DISK = {
    "cosine": VectorSpec(64, "cosine", index=IndexSpec("graph", layout="disk")),
    "coded": VectorSpec(64, "l2", index=IndexSpec("auto", layout="disk"), keep_raw=False),
}


def on_disk(n: int) -> dict[str, Any]:
    chance = np.random.default_rng(n)
    return {name: chance.standard_normal(spec.dim).astype(spec.numpy_dtype) for name, spec in DISK.items()}


def fill_disk(database: Database) -> None:
    every = database.create_collection("every", vectors=DISK)
    every.upsert([{"id": n, "n": n, **on_disk(n // 2)} for n in range(60)])
    every.optimize()
    every.delete([3, 4])
    every.upsert([{"id": n, "n": n, **on_disk(n)} for n in range(58, 64)])


PROMISED = {
    "promised": VectorSpec(6, "l2", index="graph", recall=0.9),
    "coded lists": VectorSpec(64, "l2", index=IndexSpec("ivf", nlist=6), keep_raw=False),
}


def promised(n: int) -> dict[str, Any]:
    chance = np.random.default_rng(n)
    return {name: chance.standard_normal(spec.dim).astype(spec.numpy_dtype) for name, spec in PROMISED.items()}


def fill_recall(database: Database) -> None:
    every = database.create_collection("every", vectors=PROMISED, keep_queries=320)
    every.upsert([{"id": n, "n": n, **promised(n)} for n in range(300)])
    every.search_many(np.stack([promised(1000 + n)["promised"] for n in range(320)]), vector="promised", limit=5)
    every.optimize()
    every.delete([3, 4])
    every.upsert([{"id": n, "n": n, **promised(n)} for n in range(298, 304)])


def describe_recall(database: Database) -> dict[str, Any]:
    """What is promised without measuring anew, and what is found."""
    every = database["every"]
    lists = {name: 100 if PROMISED[name].index_spec.has_lists else None for name in PROMISED}
    found: dict[str, Any] = {name: every.search(row, vector=name, limit=5, nprobe=lists[name]).ids for name, row in promised(9).items()}
    promise = every.search(promised(9)["promised"], vector="promised", limit=5).plan.promise
    assert promise is not None
    return found | {"promise": [promise.pending, promise.exact, promise.effort, round(promise.low, 3), promise.n_queries, promise.source]}


VALUE_QUERIES: dict[str, Any] = {
    "words": vicino.Text("common group3 vu", fields="text"),
    "phrase": vicino.Text("group3 déjà vu", fields="text", phrase=True, slop=1),
    "prefix": vicino.Text("common sing", fields="text", prefix=True),
    "fuzzy": vicino.Text("comon", fields="text", fuzzy=1),
    "code": vicino.Text("http3 user", fields="built", operator="and"),
    "characters": vicino.Text("日本", fields="text"),
    "clauses": vicino.Bool(must=vicino.Text("common", fields="text"), must_not=vicino.Text("group1", fields="text")),
    "sparse": vicino.Sparse({0: 1.0, 5: 2.0, 2**32 - 1: 1.0}),
    "idf": vicino.Sparse({3: 1.0, 4: 0.5}, idf=True),
    "multi": vicino.MultiVector([[1, 2, 3, 4], [0, 1, 0, -1]]),
}


def describe_values(database: Database) -> dict[str, Any]:
    """How many records each search finds, its best score to four digits, and the sum of the ids."""
    found = {name: database["every"].search(part, limit=300, exact=True) for name, part in VALUE_QUERIES.items()}
    return {name: [len(hits), f"{hits[0].score:.3e}", sum(hits.ids)] for name, hits in found.items()}


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
                    "vectors": {vector: bytes_of(row).hex() for vector, row in view.vectors.items()},
                }
                for view in sorted(collection.iter(vectors=True), key=lambda one: repr(key_of(one.id)))
            },
        }
    every = database["every"]
    if LISTS.keys() <= every.settings.vectors.keys():
        return found | {"lists": describe_lists(database)}
    if every.settings.texts:
        return found | {"values": describe_values(database)}
    if PROMISED.keys() <= every.settings.vectors.keys():
        return found | {"recall": describe_recall(database)}
    if "kept" in every.settings.vectors:
        return found | {"searches": {name: every.search(coded(9)[name], vector=name, limit=5).ids for name in coded(9)}}
    if DISK.keys() <= every.settings.vectors.keys():
        return found | {"searches": {name: every.search(on_disk(9)[name], vector=name, limit=5).ids for name in DISK}}
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


def bytes_of(row: Any) -> bytes:
    if isinstance(row, vicino.SparseVector):
        return row.indices.tobytes() + row.values.tobytes()
    return np.ascontiguousarray(row).tobytes()


FILLS = {
    "format-1": fill,
    "format-1-values": fill_values,
    "format-1-codes": fill_codes,
    "format-1-lists": fill_lists,
    "format-1-disk": fill_disk,
    "format-1-recall": fill_recall,
}


def main(name: str) -> None:
    env = RecordingEnv(1)
    retain = 6 if name == "format-1" else 0
    with vicino.open("/db", _env=cast(Env, env), limits=LIMITS, retain=retain) as database:
        FILLS[name](database)
        answers = describe(database)
    shutil.rmtree(HERE / name, ignore_errors=True)
    _write(env, "/db", HERE / name)
    (HERE / f"{name}.json").write_text(json.dumps(answers, indent=1, sort_keys=True, ensure_ascii=True) + "\n")


def _write(env: RecordingEnv, source: str, target: Path) -> None:
    target.mkdir(parents=True)
    for name in env.files.list(source):
        if env.files.is_dir(f"{source}/{name}"):
            _write(env, f"{source}/{name}", target / name)
        elif name not in ("LOCK", "position"):
            (target / name).write_bytes(env.files.read(f"{source}/{name}"))


if __name__ == "__main__":
    main(sys.argv[1])
