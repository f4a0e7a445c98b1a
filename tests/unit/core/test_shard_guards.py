"""What the core's shard refuses, because files and log records may hold anything."""

import struct

import numpy as np
import pytest

from tests.property.shard_model import DELETE, FIELDS, PLAIN, SPARSE, Stored, container, encode_upsert, files_of
from vicino import _core
from vicino.errors import CorruptionError, FormatError, InvalidArgument
from vicino.filter import model
from vicino.filter.compile import compile_filter

UPSERT = 1
ONE = np.ones(2, np.float32).tobytes()


def record(fields=None, sparse=None):
    return Stored(1, fields or {}, ONE, sparse)


def state_with(records):
    state = _core.ShardState(0)
    state.apply(UPSERT, encode_upsert(records), 1)
    state.publish()
    return state


def sealed(records):
    """A state with one sealed segment, and the files of it."""
    state = state_with(records)
    frozen = state.freeze()
    rewrite = _core.Rewrite(frozen, [0])
    files = files_of(rewrite)
    key = frozen.entries[0]["key"]
    state.install(rewrite, files.open(key), True)
    return state, files, key


def upsert_payload(columns, ids=(b"\x01" + bytes(8),)):
    """An upsert of records without fields, with columns as (slot, dim, dtype, metric, rows)."""

    def texts(parts):
        offsets = np.cumsum([0, *map(len, parts)]).astype(np.uint32)
        return offsets.tobytes() + b"".join(parts)

    out = struct.pack("<II", len(ids), len(columns)) + texts(ids) + texts([b""] * len(ids))
    for slot, dim, dtype, metric, rows in columns:
        out += struct.pack("<IIBBBB", slot, dim, dtype, metric, 0, 0) + rows
    return out


@pytest.mark.parametrize("make", [lambda: state_with({1: record()}), lambda: sealed({1: record()})[0]])
@pytest.mark.parametrize(
    "column",
    [
        (0, 300, _core.Dtype.float32, _core.Metric.l2),
        (0, 2, _core.Dtype.float16, _core.Metric.l2),
        (0, 2, _core.Dtype.float32, _core.Metric.cosine),
    ],
)
def test_a_column_of_another_shape_than_the_stored_one_is_refused(make, column):
    snapshot = make().snapshot()
    query = np.ones(column[1], np.float32).view(np.uint8)
    with pytest.raises(CorruptionError, match="vector slot 0 is stored with dim 2"):
        snapshot.search(column, query, 3, 0, False, None, _core.Cancel())
    with pytest.raises(CorruptionError, match="vector slot 0 is stored with dim 2"):
        snapshot.vectors(column, snapshot.find([1]))
    with pytest.raises(CorruptionError, match="vector slot 0 is stored with dim 2"):
        _core.Rewrite(snapshot, [0]).vectors(column, 0, 1)


def test_a_record_that_gives_one_slot_twice_is_refused():
    state = _core.ShardState(0)
    with pytest.raises(CorruptionError, match="slot 0 comes twice"):
        state.apply(UPSERT, upsert_payload([(0, 2, 0, 2, bytes(8)), (0, 2, 0, 2, bytes(8))]), 1)


def test_a_record_with_a_metric_that_its_dtype_does_not_have_is_refused():
    state = _core.ShardState(0)
    with pytest.raises(CorruptionError, match="metric and dtype do not go together"):
        state.apply(UPSERT, upsert_payload([(0, 9, 4, 0, bytes(2))]), 1)


def test_two_segments_with_one_key_are_refused():
    _, files, key = sealed({1: record(), 2: record()})
    state = _core.ShardState(1)
    state.add_segment(files.open(key), None, None)
    with pytest.raises(CorruptionError, match=f"two segments have the key {key}"):
        state.add_segment(files.open(key), None, None)


@pytest.mark.parametrize(("type", "payload"), [(UPSERT, b""), (DELETE, b"\xff" * 4), (FIELDS, b"\1\0\0\0"), (9, b"")])
def test_a_refused_record_leaves_the_state_as_it_was(type, payload):
    state = state_with({1: record()})
    with pytest.raises(CorruptionError):
        state.apply(type, payload, 2)
    assert state.version == 1
    assert state.publish().n_records == 1


def test_a_refused_update_of_fields_changes_no_record():
    state = state_with({1: record({"n": 1})})
    with pytest.raises(CorruptionError, match="does not exist"):
        state.apply(FIELDS, _core.encode_fields([1, 2], *_core.encode_documents([{"n": 5}, {"n": 6}])), 2)
    snapshot = state.publish()
    assert _core.decode_document(snapshot.documents(snapshot.find([1]))[0]) == {"n": 1}


def nested_document(depth):
    """{"n": [[[…]]]}, deeper than any writer makes it."""

    def varint(value):
        out = b""
        while value >= 0x80:
            out += bytes([value & 0x7F | 0x80])
            value >>= 7
        return out + bytes([value])

    [inner] = [_core.encode_documents([{"n": []}])[0]]
    tag = inner[2:3]
    value = tag + varint(0) + varint(0)
    parts = [value]
    size = len(value)
    for _ in range(depth):
        head = tag + varint(1) + varint(size)
        parts.append(head)
        size += len(head)
    return b"\x01n" + b"".join(reversed(parts))


def test_nesting_without_end_is_refused_or_looked_at_in_bounded_stack():
    document = nested_document(200_000)
    payload = _core.encode_fields([1], document, np.array([0, len(document)], np.uint64))
    state = state_with({1: record()})
    state.apply(FIELDS, payload, 2)
    snapshot = state.publish()
    for path in ("n", "n[]", "n[][]", "n[].m"):
        for condition in (model.Equal(path, 1), model.Exists(path), model.IsEmpty(path), model.CountRange(path, gte=1)):
            snapshot.match(compile_filter(condition), {}, _core.Cancel())
        snapshot.facet(path, None, _core.Cancel())
        snapshot.ordered(path, None, False, _core.Cancel())
    with pytest.raises(CorruptionError, match="nested"):
        _core.decode_document(document)
    with pytest.raises(CorruptionError, match="nested"):
        _core.validate_document(document)


def test_an_id_table_whose_rows_are_out_of_bounds_is_refused_when_used():
    _, files, key = sealed({i: record() for i in range(5)})
    parts = {name: bytes(files.ids.section(name)) for name, _, _ in files.ids.sections}
    parts["table"] = np.full(len(parts["table"]) // 4, 77, np.uint32).tobytes()
    files.ids = container("ids", *parts.items())
    state = _core.ShardState(1)
    state.add_segment(files.open(key), None, None)
    with pytest.raises(CorruptionError, match="names row 76 of 5"):
        state.snapshot().find([0, 1, 2, 3, 4])


def test_matches_of_another_snapshot_are_refused():
    state, _, _ = sealed({1: record(sparse=bytes(12))})
    other = state_with({1: record()}).snapshot()
    matches = other.match(None, {}, _core.Cancel())
    with pytest.raises(InvalidArgument, match="another snapshot"):
        state.snapshot().search(SPARSE, np.ones(3, np.float32).view(np.uint8), 3, 0, False, matches, _core.Cancel())
    assert PLAIN[0] == 0


def not_finite_documents(values):
    """Documents {"n": value} with some values overwritten by NaN, as damage can do."""
    data, offsets = _core.encode_documents([{"n": value} for value in values])
    out = bytearray(data)
    for row in range(0, len(values), 3):
        out[int(offsets[row]) + 3 : int(offsets[row]) + 11] = struct.pack("<d", float("nan"))
    return bytes(out), offsets


def test_floats_that_are_not_finite_reach_no_sort():
    values = [float(i * 37 % 101) + 0.5 for i in range(200)]
    state = state_with({i: record() for i in range(200)})
    state.apply(FIELDS, _core.encode_fields(list(range(200)), *not_finite_documents(values)), 2)
    snapshot = state.publish()
    with pytest.raises(CorruptionError, match="not finite"):
        snapshot.ordered("n", None, False, _core.Cancel())
    frozen = state.freeze()
    key = frozen.entries[0]["key"]
    rewrite = _core.Rewrite(frozen, [0])
    state.install(rewrite, files_of(rewrite).open(key), True)
    with pytest.raises(CorruptionError, match="not finite"):
        state.base().build_index(key, "n", "scalar", _core.Cancel())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_graph_is_built_over_numbers_that_are_not_finite(value):
    vectors = np.ones((40, 3), np.float32)
    vectors[17, 1] = value
    with pytest.raises(CorruptionError, match="row 17 holds numbers that are not finite"):
        _core.build_graph(vectors, "l2")


def vectors_file(rewrite, column, form, *, coded):
    meta = bytearray(rewrite.column_meta(column, coded))
    meta[10] = form
    return container("vectors", ("meta", bytes(meta)), ("rows", rewrite.vectors(column, 0, rewrite.n_rows, coded)))


def test_rows_kept_in_a_form_of_a_newer_version_are_refused():
    rewrite = _core.Rewrite(state_with({1: record()}).freeze(), [0])
    files = files_of(rewrite)
    files.vectors[0] = vectors_file(rewrite, PLAIN, 2, coded=True)
    with pytest.raises(FormatError, match=r"keeps rows in a form \(2\) that this version does not know"):
        files.open(1)


@pytest.mark.parametrize(("form", "coded"), [(0, True), (1, False)])
def test_rows_in_another_form_than_their_file_says_are_refused(form, coded):
    rewrite = _core.Rewrite(state_with({1: record(), 2: record()}).freeze(), [0])
    files = files_of(rewrite)
    files.vectors[0] = vectors_file(rewrite, PLAIN, form, coded=coded)
    with pytest.raises(CorruptionError, match="section rows has a wrong size"):
        files.open(1)


def test_integers_are_not_coded():
    rewrite = _core.Rewrite(state_with({1: record()}).freeze(), [0])
    with pytest.raises((InvalidArgument, CorruptionError)):
        rewrite.vectors((0, 2, _core.Dtype.int8, _core.Metric.l2), 0, 1, True)


def test_an_index_that_says_how_it_was_made_in_no_text_is_refused():
    state, _, key = sealed({i: record() for i in range(40)})
    pieces: list[bytes] = []
    state.base().write_vector_index(key, PLAIN[0], 1, _core.Cancel(), pieces.append, "graph")
    with pytest.raises(CorruptionError, match='section "made" is no UTF-8 text'):
        state.attach_vector_index(key, container("graph", ("meta", bytes(4)), ("graph", b"".join(pieces)), ("made", b"graph\xff")))


def test_hits_are_asked_by_the_number_of_their_query():
    stored = {number: Stored(1, {}, ONE, None) for number in (1, 2, 3)}
    snapshot, column = state_with(stored).snapshot(), (0, 2, _core.Dtype.float32, _core.Metric.l2)
    two = np.ones(4, np.float32).view(np.uint8)
    hits, _ = snapshot.search(column, two, 3, 0, False, None, _core.Cancel())
    assert len(hits) == 2
    for read in (hits.ids, hits.distances, hits.documents, hits.versions, hits.locators, hits.count):
        with pytest.raises(ValueError, match="there are 2 queries, got the number 2"):
            read(2)
    with pytest.raises(ValueError, match="there are 2 queries, got the number 2"):
        hits.truncate(2, 0)
    before = [hits.ids(0), hits.ids(1)]
    assert len(before[0]) > 1
    hits.skip(1)
    hits.truncate(1, 0)
    assert [hits.ids(0), hits.ids(1)] == [before[0][1:], []]
    hits.append(snapshot.search(column, two, 3, 0, False, None, _core.Cancel())[0])
    assert [hits.ids(query) for query in range(4)] == [before[0][1:], [], *before]
    assert hits.n_hits() == len(before[0]) - 1 + len(before[0]) + len(before[1])
    with pytest.raises(ValueError, match="rows of another snapshot"):
        hits.append(state_with(stored).snapshot().search(column, two, 3, 0, False, None, _core.Cancel())[0])
