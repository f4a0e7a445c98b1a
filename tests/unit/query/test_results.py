from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from vicino import _core
from vicino.collection.record import Record
from vicino.errors import InvalidArgument, MissingExtraError
from vicino.query.hit import Hit, RecordView, Shape, embedded_text
from vicino.query.results import Results
from vicino.query.table import text_table
from vicino.types import GeoPoint, Metric, VectorColumn

SHAPE = Shape(record=Record, embed=("title",))


def encode(document: dict[str, Any]) -> bytes:
    return _core.encode_documents([document])[0]


def results(documents: list[dict[str, Any]], *, metric: Metric = "cosine", shape: Shape[Any] = SHAPE, **options: Any) -> Results[Any]:
    n = len(documents)
    distances = np.arange(n, dtype=np.float32) / 4
    return Results(list(range(n)), distances, [encode(document) for document in documents], shape=shape, metric=metric, **options)


BOOKS = [{"title": "Emma", "year": 1815}, {"title": "Ada", "year": 1969}, {"title": "Ulysses", "year": 1922}]


@pytest.mark.parametrize(
    ("metric", "distance", "score"),
    [("cosine", 0.25, 0.75), ("dot", -12.5, 12.5), ("l2", 2.0, -2.0), ("l1", 3.0, -3.0), ("hamming", 5.0, -5.0), ("jaccard", 0.5, -0.5)],
)
def test_score_is_larger_for_nearer(metric: Metric, distance: float, score: float) -> None:
    hit = Results([1], np.array([distance], np.float32), None, shape=SHAPE, metric=metric)[0]
    assert (hit.score, hit.distance) == (score, distance)


def test_score_of_distance_zero_has_no_sign() -> None:
    assert str(Results([1], [0.0], None, shape=SHAPE, metric="l2")[0].score) == "0.0"


def test_hit_is_a_flat_mapping() -> None:
    hit = results(BOOKS)[0]
    assert dict(hit) == {"id": 0, "title": "Emma", "year": 1815}
    assert len(hit) == 3
    assert hit["year"] == 1815
    assert "pages" not in hit
    with pytest.raises(KeyError):
        hit["pages"]


def test_field_named_id_or_vector_is_reachable_in_fields() -> None:
    hit = Hit(7, {"id": "x", "vector": "y", "a": 1}, shape=SHAPE, distance=0, score=1, vectors={"vector": np.ones(2)})
    assert hit["id"] == 7
    assert list(hit) == ["id", "vector", "a"]
    assert hit.fields == {"id": "x", "vector": "y", "a": 1}


def test_document_is_decoded_when_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    found = results(BOOKS)

    def fail(_: object) -> dict[str, Any]:
        raise AssertionError("decoded")

    with monkeypatch.context() as patch:
        patch.setattr(_core, "decode_document", fail)
        assert [(hit.id, hit.score) for hit in found] == [(0, 1.0), (1, 0.75), (2, 0.5)]
    assert found[0]["title"] == "Emma"


def test_hits_are_made_once() -> None:
    found = results(BOOKS)
    assert found[1] is found[-2]


def test_select_keeps_the_asked_fields() -> None:
    hit = results(BOOKS, shape=Shape(record=Record, select=("year", "pages")))[0]
    assert hit.fields == {"year": 1815}


def test_text_is_what_the_model_embedded() -> None:
    assert results(BOOKS)[0].text == "Emma"
    assert embedded_text({"a": "x", "b": 3, "c": "y"}, ["c", "b", "a"]) == "y x"
    assert embedded_text({"b": 3}, ["b"]) is None


def test_vectors_are_those_the_record_has() -> None:
    column = VectorColumn(np.array([[1, 2], [0, 0]], np.float32), np.array([True, False]))
    found = results(BOOKS[:2], vectors={"image": column})
    assert found[0].vectors["image"].tolist() == [1, 2]
    assert found[0].vector is found[0].vectors["image"] or found[0].vector.tolist() == [1, 2]  # type: ignore[union-attr]
    assert found[1].vectors == {}
    assert found[1].vector is None


def test_vectors_that_were_not_read_say_how_to_read_them() -> None:
    with pytest.raises(InvalidArgument, match="record 0 were not read; ask for them with vectors=True"):
        _ = results(BOOKS)[0].vector


def test_versions_belong_to_hits() -> None:
    found = results(BOOKS, version=9, versions=np.array([3, 4, 5]))
    assert found.version == 9
    assert [hit.version for hit in found] == [3, 4, 5]


def test_record_is_an_object_of_the_collections_class() -> None:
    class Book(Record):
        title: str
        year: int

    found: Results[Book] = results(BOOKS, shape=Shape(record=Book))
    assert found[0].record.title == "Emma"
    assert found[0].record.fields == {"title": "Emma", "year": 1815}


def test_slice_is_results_again() -> None:
    column = VectorColumn(np.eye(3, dtype=np.float32))
    found = results(BOOKS, version=4, took_s=0.5, versions=[1, 2, 3], vectors={"vector": column})[1:]
    assert isinstance(found, Results)
    assert (found.ids, found.version, found.took, len(found)) == ([1, 2], 4, 0.5, 2)
    assert found[0].vector.tolist() == [0, 1, 0]  # type: ignore[union-attr]
    assert found[0].version == 2
    assert found == results(BOOKS, version=4, versions=[1, 2, 3], vectors={"vector": column})[1:]


@pytest.mark.parametrize("index", [3, -4])
def test_index_beyond_the_hits_is_refused(index: int) -> None:
    with pytest.raises(IndexError, match=f"there are 3 hits, got index {index}"):
        results(BOOKS)[index]


def test_to_dicts_has_id_score_and_fields() -> None:
    assert results([{"title": "Emma", "score": 5}]).to_dicts() == [{"id": 0, "score": 1.0, "title": "Emma", "fields.score": 5}]


MIXED = [
    {
        "n": 1,
        "s": "a",
        "at": dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        "key": uuid.UUID(int=1),
        "place": GeoPoint(1, 2),
        "any": 1,
        "o": {"x": 1},
    },
    {"n": 2, "any": "text", "tags": ["a", "b"]},
]


def test_to_arrow_has_typed_columns_and_json_for_mixed_ones() -> None:
    table = results(MIXED).to_arrow()
    assert table.column_names == ["id", "score", "n", "s", "at", "key", "place", "any", "o", "tags"]
    assert table.schema.field("at").type == pa.timestamp("us", "UTC")
    assert table.to_pylist()[0]["key"] == str(uuid.UUID(int=1))
    assert table["place"].to_pylist() == [{"lat": 1.0, "lon": 2.0}, None]
    assert table["any"].to_pylist() == ["1", '"text"']
    assert table["o"].to_pylist() == ['{"x":1}', None]
    assert table["tags"].to_pylist() == [None, ["a", "b"]]


def test_vectors_are_fixed_size_lists_in_arrow() -> None:
    column = VectorColumn(np.ones((2, 3), np.float16), np.array([True, False]))
    table = results(MIXED, vectors={"vector": column}).to_arrow()
    assert table.schema.field("vector").type == pa.list_(pa.float16(), 3)
    assert table["vector"].to_pylist() == [[1.0, 1.0, 1.0], None]


def test_results_are_read_through_the_arrow_stream() -> None:
    assert pa.RecordBatchReader.from_stream(results(BOOKS)).read_all().to_pylist() == results(BOOKS).to_dicts()


def test_to_pandas_keeps_python_objects() -> None:
    frame = results(MIXED).to_pandas()
    assert list(frame.columns)[:3] == ["id", "score", "n"]
    assert frame["key"][0] == uuid.UUID(int=1)
    assert frame["n"].tolist() == [1, 2]


def test_to_polars_has_a_column_for_every_field() -> None:
    column = VectorColumn(np.ones((2, 3), np.float32))
    frame = results(MIXED, vectors={"vector": column}).to_polars()
    assert frame["vector"].dtype == pl.Array(pl.Float32, 3)
    assert frame["any"].to_list() == ["1", '"text"']
    assert frame["tags"].to_list() == [None, ["a", "b"]]


def test_no_hits_make_an_empty_frame() -> None:
    found = results([])
    assert found.to_arrow().column_names == found.to_polars().columns == list(found.to_pandas().columns) == ["id", "score"]
    assert repr(found) == "0 hits in 0.00 ms, version 0"


@pytest.mark.parametrize(
    ("method", "module", "extra"),
    [("to_arrow", "pyarrow", "parquet"), ("to_pandas", "pandas", "pandas"), ("to_polars", "polars", "polars")],
)
def test_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, method: str, module: str, extra: str) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(MissingExtraError, match=rf'{module} is not installed; run: pip install "vicino\[{extra}\]"'):
        getattr(results(BOOKS), method)()


# ---- as text


def test_repr_is_an_aligned_table() -> None:
    assert repr(results(BOOKS, version=4, took_s=0.0012)).splitlines() == [
        "3 hits in 1.20 ms, version 4",
        "id  score  title    year",
        " 0      1  Emma     1815",
        " 1   0.75  Ada      1969",
        " 2    0.5  Ulysses  1922",
    ]


def test_table_fits_the_terminal_and_names_what_does_not() -> None:
    rows = [{"id": 1, "title": "x" * 50, "body": "y" * 50, "note": "z"}]
    text = text_table(rows, width=40)
    assert all(len(line) <= 40 for line in text.splitlines()[:2])
    assert text.splitlines()[-1] == "more columns: body, note"


def test_table_shows_twenty_rows_and_counts_the_others() -> None:
    assert text_table([{"id": i} for i in range(25)]).splitlines()[-1] == "… 5 more rows"


def test_wide_letters_keep_columns_aligned() -> None:
    lines = text_table([{"a": "日本", "b": "x"}, {"a": "abcd", "b": "y"}]).splitlines()
    assert lines[1:] == ["日本  x", "abcd  y"]


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert text_table([{"a": "x\x1b[31m\ny"}]).splitlines()[1] == "x [31m y"


def test_html_is_escaped() -> None:
    html = results([{"<b>": "<script>alert(1)</script>"}])._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;b&gt;" in html


def test_repr_of_a_hit_shows_score_and_fields() -> None:
    assert repr(results(BOOKS)[1]) == "Hit(id=1, score=0.7500, title='Ada', year=1969)"


def test_views_are_equal_by_content() -> None:
    def view(id: Any, value: float) -> RecordView[Any]:
        return RecordView(id, {"a": 1}, shape=SHAPE, vectors={"v": np.array([value])})

    assert view(1, 2.0) == view(1, 2.0)
    assert view(1, 2.0) != view(1, 3.0)
    assert view(1, 2.0) != view("1", 2.0)
