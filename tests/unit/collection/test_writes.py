"""What writes do, and what they refuse."""

import datetime as dt
import uuid

import numpy as np
import pytest

import vicino
from vicino import F
from vicino.errors import ConflictError, DuplicateIdError, InvalidArgument, NotFoundError, SchemaError

from .conftest import records


def test_add_refuses_an_id_that_exists_and_writes_nothing(docs):
    docs.add(records(1))
    with pytest.raises(DuplicateIdError, match="already has record 1") as caught:
        docs.add(records(2, 1))
    assert caught.value.ids == [1]
    assert [view.id for view in docs.iter()] == [1]


def test_add_refuses_an_id_given_twice(docs):
    with pytest.raises(DuplicateIdError, match="record 1 twice in one call"):
        docs.add(records(1, 2, 1))
    assert docs.count() == 0


def test_upsert_keeps_the_last_of_an_id_given_twice(docs):
    docs.upsert([{"id": 1, "n": 1}, {"id": 2, "n": 2}, {"id": 1, "n": 3}])
    assert {view.id: view["n"] for view in docs.iter()} == {1: 3, 2: 2}


def test_upsert_replaces_fields_and_vectors_whole(docs):
    docs.upsert({"id": 1, "vector": [1, 2], "a": 1, "b": 2})
    docs.upsert({"id": 1, "b": 3})
    view = docs.get(1, vectors=True)
    assert (view.fields, view.vectors) == ({"b": 3}, {})


@pytest.mark.parametrize(
    "same", [(1, "1"), ("a", "A"), (0, uuid.UUID(int=0)), (str(uuid.UUID(int=7)), uuid.UUID(int=7)), (2**63, -(2**63))]
)
def test_ids_of_different_types_are_different_records(docs, same):
    docs.upsert([{"id": record_id, "place": place} for place, record_id in enumerate(same)])
    assert [docs[record_id]["place"] for record_id in same] == [0, 1]


@pytest.mark.parametrize("record_id", [0, -5, 2**63 - 1, 2**64, -(10**40), "", "ünï", "a" * 5000, uuid.uuid4()])
def test_ids_come_back_as_given(docs, record_id):
    docs.upsert({"id": record_id})
    (found,) = docs.iter()
    assert found.id == record_id
    assert type(found.id) is type(record_id)


def test_if_absent_keeps_what_is_there(docs):
    docs.upsert({"id": 1, "n": 1})
    result = docs.upsert([{"id": 1, "n": 2}, {"id": 2, "n": 2}], if_absent=True)
    assert result.count == 1
    assert (docs[1]["n"], docs[2]["n"]) == (1, 2)


def test_if_version_refuses_a_record_that_changed(docs):
    docs.upsert({"id": 1, "n": 1})
    seen = docs[1].version
    docs.upsert({"id": 1, "n": 2})
    with pytest.raises(ConflictError, match="record 1 is at version 2, if_version asked for 1"):
        docs.upsert({"id": 1, "n": 3}, if_version=seen)
    docs.upsert({"id": 1, "n": 3}, if_version=docs[1].version)
    assert docs[1]["n"] == 3


def test_if_version_zero_means_that_the_record_must_not_exist(docs):
    docs.upsert({"id": 1}, if_version=0)
    with pytest.raises(ConflictError):
        docs.upsert({"id": 1}, if_version=0)


def test_where_on_upsert_replaces_only_matching_records(docs):
    docs.upsert([{"id": 1, "stale": True}, {"id": 2, "stale": False}])
    docs.upsert([{"id": 1, "n": 1}, {"id": 2, "n": 2}, {"id": 3, "n": 3}], where=F.stale == True)  # noqa: E712
    assert {view.id: view.get("n") for view in docs.iter()} == {1: 1, 2: None, 3: 3}


def test_delete_counts_the_records_there_were(docs):
    docs.upsert(records(1, 2, 3))
    assert docs.delete([1, 1, 7]).count == 1
    assert sorted(view.id for view in docs.iter()) == [2, 3]


def test_delete_by_condition(docs):
    docs.upsert(records(1, 2, kind="a") + records(3, kind="b"))
    assert docs.delete(where="kind == 'a'").count == 2
    assert [view.id for view in docs.iter()] == [3]


def test_a_bare_delete_is_refused(docs):
    with pytest.raises(InvalidArgument, match=r"where=\{\}"):
        docs.delete()


def test_delete_everything_is_spelled_out(docs):
    docs.upsert(records(1, 2))
    assert docs.delete(where={}).count == 2


def test_update_merges_fields_and_keeps_the_vector(docs):
    docs.upsert({"id": 1, "vector": [1, 2], "a": 1, "b": 2})
    docs.update(1, set={"b": 3, "c": 4}, unset="a")
    view = docs.get(1, vectors=True)
    assert view.fields == {"b": 3, "c": 4}
    assert view.vector.tolist() == [1, 2]


def test_update_with_replace_leaves_only_what_is_set(docs):
    docs.upsert({"id": 1, "a": 1, "b": 2})
    docs.update(1, set={"c": 3}, replace=True)
    assert docs[1].fields == {"c": 3}


def test_update_by_condition_counts_records(docs):
    docs.upsert(records(1, 2, 3, kind="a"))
    assert docs.update(where=F.kind == "a", set={"kind": "b"}).count == 3
    assert docs.count(where="kind == 'b'") == 3


def test_update_names_the_records_there_are_not(docs):
    docs.upsert(records(1))
    with pytest.raises(NotFoundError, match="no records 2, 3"):
        docs.update([1, 2, 3], set={"a": 1})
    assert docs[1].fields == {}


@pytest.mark.parametrize("call", ["get", "update", "delete"])
def test_a_record_is_not_taken_for_its_id(docs, call):
    docs.upsert(records(1, 2))
    options = {"set": {"a": 1}} if call == "update" else {}
    said = "must be an integer, a string or a UUID, got {} .*; give the id alone, not the record"
    with pytest.raises(SchemaError, match=rf"the id of {call}\(\) {said.format('dict')}"):
        getattr(docs, call)({"id": 1, "vector": [1, 2]}, **options)
    with pytest.raises(SchemaError, match=rf"the id of {call}\(\), position 1 {said.format('RecordView')}"):
        getattr(docs, call)([2, docs[1]], **options)


def test_one_named_vector_is_updated_alone(db):
    pair = db.create_collection("pair", vectors={"a": vicino.VectorSpec(2, "l2"), "b": vicino.VectorSpec(3, "l2")})
    pair.upsert({"id": 1, "a": [1, 2], "b": [1, 2, 3], "n": 5})
    pair.update(1, vectors={"a": [3, 4]})
    view = pair.get(1, vectors=True)
    assert {name: vector.tolist() for name, vector in view.vectors.items()} == {"a": [3, 4], "b": [1, 2, 3]}
    assert view.fields == {"n": 5}


def test_a_vector_is_removed_with_none(docs):
    docs.upsert(records(1))
    docs.update(1, vectors={"vector": None})
    assert docs.get(1, vectors=True).vectors == {}
    assert len(docs.search([1, 0])) == 0


def test_columns_are_a_spelling_of_records(docs):
    docs.upsert(ids=[1, 2], vectors=np.array([[1, 0], [0, 1]], np.float32), fields=[{"n": 1}, {"n": 2}])
    assert docs.get(2, vectors=True).vector.tolist() == [0, 1]


def test_large_input_is_committed_in_slices(docs):
    result = docs.upsert(records(*range(10)), batch=4)
    assert (result.count, result.commits, result.version) == (10, 3, 3)


def test_atomic_refuses_what_is_larger_than_one_commit(docs):
    with pytest.raises(InvalidArgument, match="larger than one commit"):
        docs.upsert(records(*range(10)), batch=4, atomic=True)
    assert docs.count() == 0


def test_an_error_in_a_later_slice_says_what_was_written(docs):
    def stream():
        yield from records(*range(4096))
        yield {"id": 5000, "vector": [1, 2, 3]}

    with pytest.raises(vicino.errors.DimensionError, match=r"4000 records in 4 commits were written before, up to version 4"):
        docs.upsert(stream(), batch=1000)


def test_expired_records_vanish_at_their_instant(db):
    notes = db.create_collection("notes", ttl="until")
    now = dt.datetime.now(dt.UTC)
    notes.upsert([{"id": 1, "until": now - dt.timedelta(seconds=1)}, {"id": 2, "until": now + dt.timedelta(hours=1)}, {"id": 3}])
    assert sorted(view.id for view in notes.iter()) == [2, 3]
    assert (notes.get(1), 1 in notes, notes.count()) == (None, False, 2)


def test_an_expired_record_may_be_added_again(db):
    notes = db.create_collection("notes", ttl="until")
    notes.add({"id": 1, "until": dt.datetime(2020, 1, 1)})
    notes.add({"id": 1, "n": 2})
    assert notes[1]["n"] == 2


def test_records_that_may_expire_are_found_again_when_sealing_has_moved_them(db):
    """Reading remembers which rows have not expired; the version stays, the rows move."""
    notes = db.create_collection("notes", ttl="until")
    for record_id in (1, 2, 1):
        notes.upsert({"id": record_id, "until": dt.datetime(2900, 1, 1)})
    before = sorted(view.id for view in notes.iter())
    version = notes.version
    notes.optimize()
    assert (sorted(view.id for view in notes.iter()), notes.version) == (before, version) == ([1, 2], version)


def test_purging_returns_the_space_of_expired_records(db):
    notes = db.create_collection("notes", ttl="until")
    notes.upsert([{"id": 1, "until": dt.datetime(2020, 1, 1)}, {"id": 2}])
    assert notes.purge_expired() == 1
    assert notes.stats().n_records == 1


@pytest.mark.parametrize(
    ("metric", "dtype"),
    [(metric, dtype) for metric in ("cosine", "dot", "l2", "l1") for dtype in ("float32", "float16", "int8", "uint8")]
    + [("hamming", "binary"), ("jaccard", "binary")],
)
def test_vectors_come_back_bit_for_bit(db, metric, dtype):
    spec = vicino.VectorSpec(16, metric, dtype)
    given = np.random.default_rng(1).integers(0, 100, (5, spec.width)).astype(spec.numpy_dtype)
    made = db.create_collection("made", vectors={"v": spec})
    made.upsert(ids=list(range(5)), vectors={"v": given})
    made.optimize()
    found = np.stack([view.vectors["v"] for view in made.get(list(range(5)), vectors=True)])
    assert found.dtype == given.dtype
    assert found.tobytes() == given.tobytes()


class LengthModel:
    """Embeds a text as its length: slow enough to think, exact enough to check."""

    name, dim = "length", 1

    def __init__(self) -> None:
        self.before_embedding = lambda: None

    def embed_documents(self, texts):
        self.before_embedding()
        return np.array([[len(text)] for text in texts], np.float32)

    def embed_query(self, text):
        return np.array([len(text)], np.float32)

    def identity(self):
        return {"name": "length", "dim": 1}


@pytest.fixture
def model():
    return LengthModel()


@pytest.fixture
def texts(db, model):
    return db.create_collection("texts", model=model, embed="text", metric="l2")


def test_text_is_embedded_by_the_collections_model(texts):
    texts.upsert([{"id": 1, "text": "four"}, {"id": 2, "text": "sevenths"}])
    assert texts.search("1234567", limit=1).ids == [2]
    assert texts.search("four")[0].text == "four"


def test_updating_embedded_text_makes_its_vector_anew(texts):
    texts.upsert({"id": 1, "text": "four", "n": 1})
    texts.update(1, set={"text": "eleven char"})
    view = texts.get(1, vectors=True)
    assert (view.vector.tolist(), view.fields) == ([11.0], {"text": "eleven char", "n": 1})


def test_updating_other_fields_embeds_nothing(texts, model):
    texts.upsert({"id": 1, "text": "four"})
    model.before_embedding = lambda: pytest.fail("nothing to embed")
    texts.update(1, set={"n": 2})
    assert texts.get(1, vectors=True).vector.tolist() == [4.0]


def test_a_change_during_embedding_is_not_lost(texts, model):
    texts.upsert({"id": 1, "text": "four", "n": 1})

    def interfere():
        model.before_embedding = lambda: None
        texts.update(1, set={"n": 2})

    model.before_embedding = interfere
    texts.update(1, set={"text": "seven c"})
    assert texts[1].fields == {"text": "seven c", "n": 2}


def test_a_record_without_text_is_named(texts):
    with pytest.raises(vicino.errors.SchemaError, match=r"record 7 .* has neither a vector"):
        texts.upsert({"id": 7, "title": "no text"})


def test_a_model_needs_the_field_to_embed(db, model):
    with pytest.raises(InvalidArgument, match="embed="):
        db.create_collection("more", model=model)


def test_update_refuses_a_value_that_no_field_holds(docs):
    docs.upsert(records(1))
    with pytest.raises(SchemaError, match=r'field "x\.y" of record 1: complex is not a field type'):
        docs.update(1, set={"x": {"y": 1j}})
