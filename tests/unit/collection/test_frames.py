from __future__ import annotations

import datetime as dt
import subprocess
import sys
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from vicino.collection.records import Batch, batches
from vicino.collection.settings import Settings
from vicino.collection.vector_spec import VectorSpec
from vicino.errors import DimensionError, InvalidArgument, MissingExtraError, SchemaError

SETTINGS = Settings().with_vector("vector", VectorSpec(2))
ROWS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
MOMENT = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)


def one(frame: Any) -> Batch:
    found = list(batches(frame, SETTINGS))
    assert len(found) == 1
    return found[0]


def arrow_table() -> pa.Table:
    return pa.table(
        {
            "id": [1, 2, 3],
            "vector": pa.array(ROWS, pa.list_(pa.float32(), 2)),
            "title": ["a", None, "c"],
            "at": pa.array([MOMENT, None, None], pa.timestamp("ns", "UTC")),
        }
    )


DOCUMENTS = [{"title": "a", "at": MOMENT}, {}, {"title": "c"}]


class OnlyArrow:
    """Any library's object: all it has is the Arrow C stream."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    "convert",
    [
        lambda table: table,
        lambda table: table.to_batches()[0],
        lambda table: table.to_reader(),
        OnlyArrow,
        pl.DataFrame,
        lambda table: table.to_pandas(),
        lambda table: table.set_column(1, "vector", pa.array(ROWS, pa.large_list(pa.float64()))),
    ],
    ids=["table", "record-batch", "reader", "stream", "polars", "pandas", "lists"],
)
def test_table_becomes_records_whose_nulls_are_absent(convert: Callable[[pa.Table], Any]) -> None:
    frame = convert(arrow_table())
    batch = one(frame)
    assert batch.ids == [1, 2, 3]
    assert batch.vectors["vector"].rows.tolist() == ROWS
    assert [{name: as_utc(value) for name, value in document.items()} for document in batch.documents] == DOCUMENTS


def test_duckdb_relation_is_a_table() -> None:
    # In a process of its own: duckdb reports what it has not freed when the process ends, and that would end up in our output.
    script = """
import duckdb
from vicino.collection.records import batches
from vicino.collection.settings import Settings
[batch] = batches(duckdb.sql("select 7 as id, 'a' as title"), Settings())
print(batch.ids, batch.documents)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[7] [{'title': 'a'}]\n"


def as_utc(value: Any) -> Any:
    return value.astimezone(dt.UTC) if isinstance(value, dt.datetime) else value


def test_matrix_column_is_not_taken_apart() -> None:
    matrix = np.ones((3, 2), np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), 2)
    batch = one(pa.table({"id": [1, 2, 3], "vector": column}))
    assert np.shares_memory(batch.vectors["vector"].rows, matrix)


@pytest.mark.parametrize("kind", [pa.list_(pa.float32(), 2), pa.list_(pa.float32())], ids=["fixed", "list"])
def test_sliced_table_with_null_vectors_keeps_rows_apart(kind: pa.DataType) -> None:
    table = pa.table({"id": [1, 2, 3, 4], "vector": pa.array([[9, 9], [1, 2], None, [5, 6]], kind)}).slice(1)
    column = one(table).vectors["vector"]
    assert column.present is not None
    assert column.present.tolist() == [True, False, True]
    assert column.rows.tolist() == [[1, 2], [0, 0], [5, 6]]


def test_polars_array_column_is_a_matrix() -> None:
    frame = pl.DataFrame({"id": [1, 2, 3], "vector": np.array(ROWS, np.float32)})
    assert one(frame).vectors["vector"].rows.tolist() == ROWS


def test_struct_loses_its_nulls() -> None:
    frame = pl.DataFrame({"id": [1, 2], "o": [{"a": 1}, {"b": 2}]}, schema={"id": pl.Int64, "o": pl.Struct({"a": pl.Int64, "b": pl.Int64})})
    assert one(frame).documents == [{"o": {"a": 1}}, {"o": {"b": 2}}]


def test_dates_become_midnight_in_utc() -> None:
    assert one(pa.table({"id": [1], "d": [dt.date(2024, 5, 1)]})).documents == [{"d": dt.datetime(2024, 5, 1, tzinfo=dt.UTC)}]


def test_pandas_objects_keep_their_type() -> None:
    frame = pd.DataFrame({"id": [1, 2], "key": [uuid.UUID(int=1), None], "n": [1, 2], "x": [0.5, np.nan], "tags": [["a"], ["b"]]})
    assert one(frame).documents == [{"key": uuid.UUID(int=1), "n": 1, "x": 0.5, "tags": ["a"]}, {"n": 2, "tags": ["b"]}]


def test_pandas_index_named_id_gives_the_ids() -> None:
    frame = pd.DataFrame({"n": [1, 2]}, index=pd.Index(["a", "b"], name="id"))
    assert one(frame).ids == ["a", "b"]


def test_filtered_pandas_frame_does_not_leak_its_index() -> None:
    frame = pd.DataFrame({"id": [1, 2], "n": [1, 2]})
    assert one(frame[frame.n > 1]).documents == [{"n": 2}]


def test_arrow_uuid_column_gives_uuids() -> None:
    column = pa.array([uuid.UUID(int=3).bytes], pa.uuid())
    assert one(pa.table({"id": column})).ids == [uuid.UUID(int=3)]


def test_large_table_is_read_in_pieces_with_positions_that_go_on() -> None:
    n = 10_000
    table = pa.table({"id": range(n), "vector": pa.array([[1.0, 2.0]] * (n - 1) + [[1.0]], pa.list_(pa.float32()))})
    with pytest.raises(DimensionError, match="record 9999 at row 9999 of the table"):
        list(batches(table, SETTINGS))


def test_float_ids_are_refused_with_a_hint() -> None:
    with pytest.raises(SchemaError, match=r"got float 1\.0; convert the column to integers"):
        one(pd.DataFrame({"id": [1.0, 2.0]}))


def test_table_without_id_names_its_columns() -> None:
    with pytest.raises(SchemaError, match="the table has no column \"id\"; its columns are 'key', 'n'"):
        one(pl.DataFrame({"key": [1], "n": [2]}))


def test_pandas_columns_must_have_names() -> None:
    with pytest.raises(SchemaError, match="must be named by strings, got int 0"):
        one(pd.DataFrame([[1, 2]]))


def test_lazy_frame_is_refused_with_the_next_step() -> None:
    with pytest.raises(InvalidArgument, match=r"call \.collect\(\) on it first"):
        one(pl.LazyFrame({"id": [1]}))


def test_arrow_array_that_is_no_table_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="that Arrow cannot read as a table"):
        one(pa.array([1, 2]))


def without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    for module in modules:
        monkeypatch.setitem(__import__("sys").modules, module, None)


def test_arrow_data_is_read_through_polars_where_pyarrow_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = OnlyArrow(arrow_table())
    without(monkeypatch, "pyarrow")
    assert one(stream).vectors["vector"].rows.tolist() == ROWS


def test_missing_libraries_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = OnlyArrow(arrow_table())
    without(monkeypatch, "pyarrow", "polars")
    with pytest.raises(MissingExtraError, match=r'pip install "vicino\[parquet\]"'):
        one(stream)
