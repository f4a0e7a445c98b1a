"""Files that somebody else may have written: every one of a database is damaged at random, its checksums made right again, and used.

What is tested is what lies behind the checksums: each offset, count, tag, name and number of each format. A use may find nothing, find
nonsense or raise an error of vicino; it must not crash, hang, or take memory without bound, and no other error may come out.
"""

from __future__ import annotations

import datetime as dt
import json
import posixpath
import random
import struct
import uuid
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

import numpy as np

import vicino
from tests.property.invariants import some_query
from tests.property.shard_model import container_bytes
from vicino import Database, GeoPoint, VectorSpec, _core
from vicino.collection.limits import Limits
from vicino.collection.value_specs import MultiSpec, SparseSpec, TextSpec
from vicino.env.memory import Folder, Node
from vicino.env.recording import RecordingEnv, RecordingFiles
from vicino.errors import Error, InternalError
from vicino.text.analyzer import Analyzer

ROOT = "/db"
LIMITS = Limits(head_rows_max=12, merge_fan_in=3, graph_rows_min=4, dead_share_max=0.9, updated_share_max=0.9)
ONE_HEAD = Limits(head_rows_max=900, graph_rows_min=4)
_INTERESTING = (0, 1, 2, 7, 8, 63, 64, 65, 127, 128, 255, 4096, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**63 - 1, 2**64 - 1)
_JUNK_NUMBERS = (-1, 0, 1, 3, 300, 2**31, 2**32, 2**63, 2**64, 2**70, -(2**70), 0.5, 1e308)
_JUNK = (*_JUNK_NUMBERS, None, True, "", "x", "../x", "\ud800", "0" * 16, [], [1], {}, {"a": 1})

_FILTERS: tuple[dict[str, Any], ...] = (
    {"n": {"$gte": 2}},
    {"n": 1.0},
    {"text": {"$matches": "word1"}},
    {"tags": {"$nin": ["a", 3]}},
    {"deep.list": {"$exists": True}},
    {"deep.list[].x": 4},
    {"when": {"$lt": dt.datetime(2020, 1, 9, tzinfo=dt.UTC)}},
)

_PLAIN = Analyzer(language=None)
_QUERIES: tuple[Any, ...] = (
    vicino.Text("common w3 w17"),
    vicino.Text("common w3", fields=["title^2", "text"]),
    vicino.Text("common w3", operator="and"),
    vicino.Text("common w3", fields="text^2", phrase=True, slop=3),
    vicino.Text("w", fields="text", prefix=True),
    vicino.Text("cammon", fields="text", fuzzy=2),
    vicino.Bool(must=vicino.Text("common"), must_not=vicino.Text("w5", fields="title")),
    vicino.Sparse({0: 1.0, 3: 0.5, 2**32 - 1: 2.0}),
    vicino.Sparse({0: -1.0, 3: 0.5}, idf=True),
    vicino.MultiVector([[1, 2, 3, 4], [4, 3, 2, 1]]),
    vicino.MultiVector([[1, 0, 0, 0]], exact=True),
)

Files = dict[str, bytes]


def make_files() -> Files:
    """A database with every kind of file: several segments, tombstones, patches, graphs, indexes, and logs with every kind of record."""
    env = RecordingEnv(1)
    with vicino.open(ROOT, _env=env, limits=ONE_HEAD) as database:
        big = database.create_collection("big", dim=4, metric="cosine")
        big.create_index("n")
        big.upsert([_record(i, {"vector": [1.0, i % 7, i % 11, i % 13 - 6]}) for i in range(900)])
        big.upsert([_record(i, {"vector": [1.0, 2.0, 3.0, 4.0]}) for i in range(900, 905)])
    specs = {"vector": VectorSpec(3, "l2"), "half": VectorSpec(5, "dot", "float16"), "bits": VectorSpec(9, "jaccard", "binary")}
    with vicino.open(ROOT, _env=env, limits=LIMITS, retain=3) as database:
        small = database.create_collection("small", vectors=specs)
        small.create_index("n")
        small.create_index("text", kind="text")
        ids = [*range(30), "a", "é", uuid.UUID(int=5), 2**80]
        for i, key in enumerate(ids):
            half, bits = np.full(5, i, np.float16), np.array([i, i % 2 * 128], np.uint8)
            vectors = {"vector": [i, 1, 0], **({"half": half, "bits": bits} if i % 3 else {})}
            small.upsert(vicino.Record(key, vectors=vectors, fields=_fields(i)))
        small.update([1, 2, 14], set={"n": -1})
        small.delete([3, 15])
        small.upsert([_record(i, {"vector": [0, 0, i]}) for i in range(40, 48)])
        small.update([4, 41], set={"n": 5, "more": "of the log"})
        small.delete([42, "a"])
        small.create_index("tags")
        small.upsert([_record(50, {"vector": [0, 0, 1]})])
        database.alias("other", "small")
    with vicino.open(ROOT, _env=env, limits=ONE_HEAD) as database:
        _fill_words(database)
    return files_in(env)


def _fill_words(database: Database) -> None:
    """Texts, sparse and multi-vectors, in a segment with long and short lists, in another with dead rows, and in the log."""
    values = {"bag": SparseSpec(), "tokens": MultiSpec(4, dtype="int8")}
    text = {"text": TextSpec(analyzer=_PLAIN), "title": TextSpec(analyzer=_PLAIN, positions=False)}
    words = database.create_collection("words", vectors=values, text=text)
    words.upsert([_valued(i) for i in range(300)])
    words._shard.freeze()
    words.upsert([_valued(i) for i in range(290, 310)])
    words.delete([5, 295])
    words._shard.freeze()
    words.upsert([_valued(i) for i in range(320, 326)])
    words.add_text("more", TextSpec("text", analyzer=_PLAIN)).wait()
    words.upsert([_valued(i) for i in (7, 400)])


def _valued(i: int) -> dict[str, Any]:
    record: dict[str, Any] = {"id": i, "n": i % 5}
    if i % 7:
        record["text"] = " ".join(["common"] * (i % 4) + [f"w{i % 50}", "ünï", f"rare{i}"] * (1 + i % 2))
        record["title"] = f"common w{i % 9}"
    if i % 3:
        record["bag"] = {0: float(i % 11), i % 60: -0.5 if i % 31 == 0 else 1.5, 2**32 - 1: 0.25}
    if i % 5:
        record["tokens"] = np.array([[i % 100, 1, -2, 3]] * (1 + i % 3), np.int8)
    return record


def _record(i: int, parts: dict[str, Any]) -> dict[str, Any]:
    return {"id": i, **parts, **_fields(i)}


def _fields(i: int) -> dict[str, Any]:
    fields: dict[str, Any] = {"n": i % 5, "text": f"word{i % 3} and {'ünï' * (i % 2)}", "tags": ["a", i % 4, None]}
    if i % 4 == 0:
        fields |= {"deep": {"list": [[1], {"x": i}]}, "when": dt.datetime(2020, 1, 1 + i % 20, tzinfo=dt.UTC)}
        fields |= {"at": GeoPoint(1.0, i % 90)}
    if i % 4 == 1:
        fields |= {"n": float(i), "who": uuid.UUID(int=i), "yes": i % 8 == 1, "empty": []}
    return fields


def files_in(env: RecordingEnv) -> Files:
    return dict(_walk(env.files.root, ROOT))


def _walk(root: Folder, path: str) -> Iterator[tuple[str, bytes]]:
    here: Any = root
    for name in path.strip("/").split("/"):
        here = here.entries[name]
    for name, node in here.entries.items():
        if isinstance(node, Node):
            yield f"{path}/{name}", bytes(node.data)
        else:
            yield from _walk(root, f"{path}/{name}")


def disk_of(files: Files) -> RecordingEnv:
    """An environment that finds exactly these files."""
    root = Folder(0)
    number = 0
    for path, data in files.items():
        here = root
        for name in posixpath.dirname(path).strip("/").split("/"):
            number += 1
            made = here.entries.setdefault(name, Folder(number))
            assert isinstance(made, Folder)
            here = made
        number += 1
        here.entries[posixpath.basename(path)] = Node(number, data)
    return RecordingEnv(2, files=RecordingFiles(root), boot=1)


# ---- damage


def damaged(files: Files, chance: random.Random, kinds: Collection[str] = ()) -> tuple[str, Files]:
    """The files with one of them damaged, and which. kinds: of these alone, as files end and "wal"; none: of any."""
    by_kind: dict[str, list[str]] = {}
    for path in sorted(files):
        name = posixpath.basename(path)
        kind = "wal" if name.startswith("wal-") else name.rpartition(".")[2]
        if name != "LOCK" and (not kinds or kind in kinds):
            by_kind.setdefault(kind, []).append(path)
    path = chance.choice(by_kind[chance.choice(sorted(by_kind))])
    data = files[path]
    name = posixpath.basename(path)
    if name in ("CURRENT", "position"):
        data = _checksummed(damage(data[:-4], chance, grow=False))
    elif name.startswith("wal-"):
        data = damaged_log(data, chance)
    else:
        data = damaged_container(data, chance)
    return path, {**files, path: data}


def _checksummed(body: bytes) -> bytes:
    return body + _core.crc32c(body).to_bytes(4, "little")


def damage(data: bytes, chance: random.Random, *, grow: bool = True) -> bytes:
    """One to four bytes or words of it become something else; with `grow` it may also get longer or shorter."""
    out = bytearray(data)
    kinds = [_flip, _flip, _set_byte, _set_word, _set_word, *([_insert, _delete, _duplicate, _cut] if grow else [])]
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        chance.choice(kinds)(out, chance)
    return bytes(out)


def _flip(out: bytearray, chance: random.Random) -> None:
    if out:
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)


def _set_byte(out: bytearray, chance: random.Random) -> None:
    if out:
        out[chance.randrange(len(out))] = chance.choice([0, 1, 127, 128, 255, chance.randrange(256)])


def _set_word(out: bytearray, chance: random.Random) -> None:
    width = chance.choice([4, 8])
    if len(out) >= width:
        at = chance.randrange(len(out) - width + 1) // chance.choice([1, width]) * 1
        value = chance.choice([*_INTERESTING, len(out), len(out) + 1, chance.randrange(2**64)])
        out[at : at + width] = (value % 2 ** (8 * width)).to_bytes(width, "little")


def _insert(out: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(out) + 1)
    out[at:at] = chance.randbytes(chance.choice([1, 4, 8, 64]))


def _delete(out: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(out) + 1)
    del out[at : at + chance.choice([1, 4, 8, 64])]


def _duplicate(out: bytearray, chance: random.Random) -> None:
    at, size = chance.randrange(len(out) + 1), chance.choice([1, 4, 8, 64])
    out[at:at] = out[at : at + size]


def _cut(out: bytearray, chance: random.Random) -> None:
    del out[chance.randrange(len(out) + 1) :]


def damaged_container(data: bytes, chance: random.Random) -> bytes:
    """Mostly the content of one section; sometimes its name or presence, the kind, the header, the table or the trailer."""
    container = _core.Container.open(_core.Blob(data), "whole")
    sections = [(name, data[offset : offset + size]) for name, offset, size in container.sections]
    what = chance.choices(["content", "sections", "kind", "header", "table", "trailer"], [20, 2, 1, 1, 2, 1])[0]
    kind = container.kind
    if what == "content":
        at = chance.randrange(len(sections))
        name, content = sections[at]
        change = damaged_json if name == "json" and chance.random() < 0.8 else damage
        sections[at] = (name, change(content, chance))
    elif what == "sections":
        at = chance.randrange(len(sections))
        chance.choice(
            [
                lambda: sections.pop(at),
                lambda: sections.insert(at, sections[at]),
                lambda: sections.insert(at, (chance.choice(sections)[0], sections.pop(at)[1])),
            ]
        )()
    elif what == "kind":
        kind = chance.choice(["ids", "fields", "vectors", "graph", "index", "patch", "tombstones", "manifest", "values", "terms", "multi"])
    whole = bytearray(container_bytes(kind, sections))
    table_offset, table_size = struct.unpack_from("<QQ", whole, len(whole) - 32)
    if what == "header":
        whole[:64] = _checksummed(damage(bytes(whole[:60]), chance, grow=False))
    elif what == "table":
        table = damage(bytes(whole[table_offset : table_offset + table_size]), chance)
        trailer = struct.pack("<QQII4s", table_offset, len(table), len(sections), _core.crc32c(table), b"END\n")
        whole[table_offset:] = table + _checksummed(trailer)
    elif what == "trailer":
        whole[-32:] = _checksummed(damage(bytes(whole[-32:-4]), chance, grow=False))
    return bytes(whole)


def damaged_log(data: bytes, chance: random.Random) -> bytes:
    """One record's payload or numbers, or the file header; records may also be left out, repeated or exchanged."""
    nonce = struct.unpack_from("<Q", data, 32)[0]
    if chance.random() < 0.1:
        return _checksummed(damage(data[:60], chance, grow=False)) + data[64:]
    reader = _core.LogReader(_core.Blob(data), 0, "whole")
    records = []
    while (record := reader.next()) is not None:
        records.append([record[0], record[1], record[2], record[3], bytes(record[4])])
    if not records:
        return damage(data, chance)
    at = chance.randrange(len(records))
    what = chance.choices(["payload", "number", "order"], [12, 2, 1])[0]
    if what == "payload":
        change = damaged_json if records[at][0] == 4 and chance.random() < 0.8 else damage
        records[at][4] = change(records[at][4], chance)
    elif what == "number":
        field, limit = chance.choice([(0, 2**8), (1, 2**64), (2, 2**64), (3, 2**64)])
        records[at][field] = chance.choice([0, 1, 2, 3, 4, 5, 6, 255, limit - 1, records[at][field] + 1]) % limit
    else:
        other = chance.randrange(len(records))
        records[at], records[other] = records[other], records[chance.choice([at, other])]
    out = data[:64]
    for type, version, time_us, durable, payload in records:
        out += _core.encode_log_header(nonce, type, version, time_us, min(durable, len(out)), [payload]) + payload
    return out


def damaged_json(data: bytes, chance: random.Random) -> bytes:
    """One value of a JSON text becomes another one, goes, or comes twice."""
    whole: Any = {"": json.loads(data)}
    places: list[tuple[Any, Any]] = []
    stack: list[Any] = [whole]
    while stack:
        here = stack.pop()
        keys = list(here) if isinstance(here, dict) else range(len(here))
        places += [(here, key) for key in keys]
        stack += [here[key] for key in keys if isinstance(here[key], dict | list)]
    parent, key = chance.choice(places[1:])
    what = chance.random()
    if what < 0.6:
        parent[key] = chance.choice(_JUNK)
    elif what < 0.8:
        del parent[key]
    elif isinstance(parent, list):
        parent.append(parent[key])
    else:
        parent[chance.choice(["new", "0", "-1", "4294967296"])] = parent[key]
    return json.dumps(whole[""], sort_keys=True, separators=(",", ":")).encode()


# ---- use


def use(files: Files, chance: random.Random, user_class: type[User] | None = None) -> list[Error]:
    """Opens, reads in every way, checks, writes, rewrites. Returns the errors of vicino that were met, raises any other."""
    user = (user_class or User)(disk_of(files), chance)
    user.attempt(chance.choices([user.read_all, user.rescue, user.read_and_write], [2, 1, 4])[0])
    return user.errors


class User:
    def __init__(self, env: RecordingEnv, chance: random.Random) -> None:
        self._env = env
        self.chance = chance
        self.errors: list[Error] = []

    def attempt(self, act: Callable[[], object]) -> None:
        try:
            act()
        except InternalError:
            raise
        except Error as error:
            self.errors.append(error)

    def read_all(self) -> None:
        with vicino.open(ROOT, mode="r", _env=self._env) as database:
            self._read(database)

    def rescue(self) -> None:
        with vicino.open(ROOT, mode="rescue", _env=self._env) as database:
            self._read(database)

    def read_and_write(self) -> None:
        with vicino.open(ROOT, _env=self._env, limits=LIMITS, retain=3) as database:
            self._read(database)
            self._write(database)
            self._read(database)
            for _, maintenance in database._shards.values():
                if maintenance is not None and maintenance.last_error is not None:
                    self.attempt(lambda error=maintenance.last_error: _raise(error))

    def _read(self, database: Database) -> None:
        self.attempt(lambda: database.check().raise_first())
        for name in database.names():
            self.attempt(lambda name=name: self.read_collection(database, name))

    def read_collection(self, database: Database, name: str) -> None:
        collection = database.collection(name)
        attempts: list[Callable[[], object]] = [
            lambda: list(collection.iter(vectors=True)),
            lambda: collection.get([0, 1, 2, "a", "é", uuid.UUID(int=5), 2**80, 999]),
            lambda: collection.facet("n"),
            lambda: collection.stats(),
            lambda: list(collection.iter(order_by="n")),
        ]
        if name == "small":
            attempts.append(lambda: collection.at(collection.version - 1).count())
        for condition in _FILTERS:
            attempts += [partial(collection.count, where=condition), partial(collection.estimate, condition)]
        if name == "words":
            attempts += [partial(collection.search, query, where=condition) for query in _QUERIES for condition in (None, {"n": 1})]
        for vector, spec in collection.settings.specs.items():
            for condition in (None, {"n": 1}):
                attempts.append(partial(collection.search, some_query(spec), vector=vector, where=condition, limit=5, vectors=True))
        for attempt in attempts:
            self.attempt(attempt)

    def _write(self, database: Database) -> None:
        for name in database.names():
            self.attempt(lambda name=name: self.write_collection(database, name))

    def write_collection(self, database: Database, name: str) -> None:
        collection = database.collection(name)
        attempts: list[Callable[[], object]] = [
            lambda: collection.update([1], set={"n": 7}),
            lambda: collection.delete([0, 43]),
            lambda: collection.update(where={"n": {"$gte": 3}}, set={"n": 2}),
            lambda: collection.delete(where={"text": {"$matches": "word2"}}),
        ]
        if name == "words":
            attempts += [lambda: collection.upsert([_valued(i) for i in (8, 401, 402)]), collection.optimize]
            attempts += [
                lambda: collection.add_text("new", TextSpec("title", analyzer=_PLAIN)).wait(),
                lambda: collection.drop_text("more"),
            ]
        if name == "small":
            attempts += [lambda: collection.upsert([_record(i, {"vector": [0, i, 0]}) for i in range(60, 65)])]
            attempts += [lambda: collection.create_index("new").wait(), collection.optimize]
        for attempt in self.chance.sample(attempts, self.chance.randint(1, len(attempts))):
            self.attempt(attempt)


def _raise(error: BaseException) -> None:
    raise error
