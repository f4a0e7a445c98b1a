"""The core's filters by hand-made examples: paths, how work is shared between indexes and documents, facets, order, estimates, errors."""

from __future__ import annotations

import datetime as dt
import random
import unicodedata
import uuid
from typing import Any

import pytest

from vicino import _core
from vicino.errors import CorruptionError, FilterError, FormatError, InvalidArgument
from vicino.filter import model
from vicino.filter.compile import compile_filter


def record_list(documents: list[dict[str, Any]], *, indexes: dict[str, str] | None = None) -> _core.RecordList:
    data, offsets = _core.encode_documents(documents)
    records = _core.RecordList(data, offsets, list(range(len(documents))), [[] for _ in documents])
    for path, kind in (indexes or {}).items():
        records.add_index(path, records.build_index(path, kind))
    return records


def rows(records: _core.RecordList, condition: model.Condition) -> list[int]:
    return records.evaluate(compile_filter(condition))[0]


def work(records: _core.RecordList, condition: model.Condition) -> dict[str, Any]:
    return records.evaluate(compile_filter(condition))[1]


NESTED = {"a": {"b": 1, "c": [{"b": 2}, {"b": [3]}, [{"b": 4}]]}, "x.y": {"z": 5}, "": 6}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b", 1),
        ("a.c[].b", 2),
        ("a.c[].b", 3),
        ("a.c[0].b", 2),
        ("a.c[2][0].b", 4),
        ("a.c[][].b", 4),
        ('"x.y".z', 5),
        ('"a"."b"', 1),
        ('""', 6),
    ],
)
def test_paths_lead_to_values(path: str, value: int) -> None:
    assert rows(record_list([NESTED]), model.Equal(path, value)) == [0]


@pytest.mark.parametrize("path", ["b", "a.c.b", "a.c[3]", "a.c[1].b[1]", "x.y", "a[].b", "a.b[]", "a[0]"])
def test_paths_leave_behind_what_does_not_fit(path: str) -> None:
    assert rows(record_list([NESTED]), model.Exists(path)) == []


@pytest.mark.parametrize(
    "path", ["", ".", "a.", ".a", "a..b", "a[", "a]", "a[x]", "a[-1]", "a[0", "[]", "[0]", 'a"b', '"a', '"a"b', "a[]b", "a[].[]"]
)
def test_malformed_paths_are_refused_where_they_break(path: str) -> None:
    with pytest.raises(FilterError, match="position"):
        compile_filter(model.Exists(path))


@pytest.mark.parametrize(("path", "canonical"), [('"a"."b"', "a.b"), ('"a.b"', '"a.b"'), ('"a"[07][]', "a[7][]"), ('""', '""')])
def test_paths_have_one_canonical_spelling(path: str, canonical: str) -> None:
    assert _core.canonical_path(path) == canonical


def test_an_index_is_found_by_any_spelling_of_its_path() -> None:
    records = record_list([{"a": 1}], indexes={'"a"': "auto"})
    assert work(records, model.Equal("a", 1)) == {"rows_scanned": 0, "paths_indexed": ["a"], "paths_scanned": []}


def test_words_are_runs_of_letters_marks_and_numbers_folded() -> None:
    assert _core.words_of("Éa's RED_fox, ½ Ⅷ naïve—Straße") == ["éa", "s", "red", "fox", "½", "ⅷ", "naïve", "straße"]


def test_word_and_fold_tables_follow_the_rule_for_every_character() -> None:
    if unicodedata.unidata_version != "14.0.0":
        pytest.skip("the tables are those of Unicode 14, this Python has " + unicodedata.unidata_version)

    def folded(character: str) -> str:
        return next((one for one in (character.casefold(), character.lower()) if len(one) == 1), character)

    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
    words = [folded(character) for character in characters if unicodedata.category(character)[0] in "LMN"]
    assert _core.words_of(" ".join(characters)) == words


TEN = [{"n": n, "word": f"w{n % 3}"} for n in range(10)]


def test_an_index_answers_without_reading_documents() -> None:
    records = record_list(TEN, indexes={"n": "auto", "word": "auto"})
    condition = model.And((model.Range("n", gte=2, lt=8), model.Not(model.Equal("word", "w2"))))
    assert rows(records, condition) == [3, 4, 6, 7]
    assert work(records, condition) == {"rows_scanned": 0, "paths_indexed": ["n", "word"], "paths_scanned": []}


def test_documents_are_read_only_for_rows_that_indexes_leave_open() -> None:
    condition = model.And((model.Equal("word", "w1"), model.Range("n", lt=3)))
    assert work(record_list(TEN, indexes={"n": "auto"}), condition) == {
        "rows_scanned": 3,
        "paths_indexed": ["n"],
        "paths_scanned": ["word"],
    }


def test_an_or_reads_only_documents_that_indexes_did_not_accept() -> None:
    condition = model.Or((model.Equal("word", "w1"), model.Range("n", lt=8)))
    assert work(record_list(TEN, indexes={"n": "auto"}), condition)["rows_scanned"] == 2


def test_conditions_without_index_share_one_pass() -> None:
    condition = model.And((model.Equal("word", "w1"), model.Range("n", lt=3), model.Exists("n")))
    assert work(record_list(TEN), condition)["rows_scanned"] == 10


def test_only_stale_rows_are_read_beside_an_index() -> None:
    records = record_list(TEN, indexes={"n": "auto"})
    records.update(0, _core.encode_documents([{"n": 9}])[0])
    records.update(9, _core.encode_documents([{}])[0])
    assert rows(records, model.Equal("n", 9)) == [0]
    assert work(records, model.Equal("n", 9))["rows_scanned"] == 2


def test_places_are_read_from_documents_even_with_an_index() -> None:
    from vicino.types import GeoPoint

    records = record_list([{"at": GeoPoint(1, 1)}, {"at": GeoPoint(2, 2)}], indexes={"at": "auto"})
    condition = model.GeoRadius("at", GeoPoint(1, 1), 1000)
    assert rows(records, condition) == [0]
    assert work(records, condition)["paths_scanned"] == ["at"]


def test_a_text_index_verifies_only_what_words_leave_open() -> None:
    documents = [{"t": "red fox"}, {"t": "fox red"}, {"t": ["red", "fox"]}, {"t": ["red fox", "x"]}, {"t": "blue"}]
    records = record_list(documents, indexes={"t": "text"})
    assert rows(records, model.TextMatch("t", "Red Fox")) == [0, 1, 3]
    assert work(records, model.TextMatch("t", "Red Fox"))["rows_scanned"] == 2  # the two with several strings
    assert rows(records, model.TextMatch("t", "red fox", "phrase")) == [0, 3]
    assert work(records, model.TextMatch("t", "red blue", "any"))["rows_scanned"] == 0


def test_a_text_index_leaves_whole_strings_to_the_documents() -> None:
    records = record_list([{"t": "red fox"}, {"t": 1}], indexes={"t": "text"})
    assert rows(records, model.Equal("t", "red fox")) == [0]
    assert work(records, model.Equal("t", "red fox"))["paths_scanned"] == ["t"]
    assert work(records, model.Equal("t", 1))["paths_indexed"] == ["t"]


def test_a_large_list_of_ids_is_one_condition() -> None:
    records = record_list([{} for _ in range(100)])
    assert rows(records, model.HasId(tuple(range(50, 150)))) == list(range(50, 100))


def test_an_empty_list_of_records_matches_nothing() -> None:
    records = record_list([], indexes={"a": "auto"})
    assert rows(records, model.Not(model.Exists("a"))) == []
    assert records.estimate(compile_filter(model.Exists("a"))) == (0, 0, 0)


@pytest.mark.parametrize("indexes", [{}, {"n": "auto"}], ids=["scanned", "indexed"])
def test_ints_and_floats_compare_exactly_around_the_precision_of_floats(indexes: dict[str, str]) -> None:
    records = record_list([{"n": 2**53}, {"n": 2**53 + 1}, {"n": float(2**53)}, {"n": 2.0**53 + 2}], indexes=indexes)
    assert rows(records, model.Equal("n", 2**53)) == [0, 2]
    assert rows(records, model.Equal("n", float(2**53))) == [0, 2]
    assert rows(records, model.Equal("n", 2**53, strict=True)) == [0]
    assert rows(records, model.Equal("n", 2**53 + 1)) == [1]
    assert rows(records, model.Range("n", gt=float(2**53))) == [1, 3]
    assert rows(records, model.Range("n", gte=2**53 + 1)) == [1, 3]
    assert rows(records, model.Range("n", lt=2**53 + 1)) == [0, 2]


@pytest.mark.parametrize("indexes", [{}, {"n": "auto"}], ids=["scanned", "indexed"])
def test_bounds_beyond_64_bits_are_exact(indexes: dict[str, str]) -> None:
    records = record_list([{"n": 2**63 - 1}, {"n": 2.0**63}, {"n": 2.0**70}, {"n": -(2**63)}, {"n": -(2.0**70)}], indexes=indexes)
    assert rows(records, model.Range("n", gte=2**63)) == [1, 2]
    assert rows(records, model.Range("n", gt=2**63)) == [2]
    assert rows(records, model.Range("n", gt=2**70 - 1)) == [2]
    assert rows(records, model.Range("n", gt=2**70 + 1)) == []
    assert rows(records, model.Range("n", lt=2**70 + 1, gt=2**63 - 1)) == [1, 2]
    assert rows(records, model.Range("n", lt=-(2**63))) == [4]
    assert rows(records, model.Range("n", gt=-(10**400), lt=10**400)) == [0, 1, 2, 3, 4]
    assert rows(records, model.Equal("n", 2**70)) == [2]
    assert rows(records, model.Equal("n", 2**70, strict=True)) == []


def test_infinite_bounds_are_open() -> None:
    records = record_list([{"n": 2**63 - 1}, {"n": -1e308}])
    assert rows(records, model.Range("n", gt=float("-inf"), lt=float("inf"))) == [0, 1]
    assert rows(records, model.Range("n", gte=float("inf"))) == []


def test_nan_is_refused_as_a_bound() -> None:
    with pytest.raises(FilterError, match="NaN"):
        compile_filter(model.Range("n", gt=float("nan")))


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (model.Range("n"), "needs bounds"),
        (model.Range("n", gt=1, lt="x"), "all numbers, all strings or all datetimes"),
        (model.Range("n", gt=True), "got bool True"),  # type: ignore[arg-type]
        (model.Equal("n", b"x"), "got bytes"),  # type: ignore[arg-type]
        (model.Slice(3, 3), "slice 3 of 3"),
        (model.Slice(3, -1), "slice -1 of 3"),
        (model.Slice(0, 0), "slice 0 of 0"),
        (model.HasId((True,)), "an id must be an int, a str or a uuid.UUID, got bool"),
        (model.Equal("n", "\ud800"), "unpaired surrogate"),
        (model.TextMatch("n", "x", "some"), 'mode "all", "any" or "phrase"'),  # type: ignore[arg-type]
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_conditions_without_meaning_are_refused(condition: model.Condition, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        compile_filter(condition)


def test_a_tree_too_deep_is_refused() -> None:
    condition: model.Condition = model.Exists("a")
    for _ in range(5000):
        condition = model.Not(condition)
    with pytest.raises(FilterError, match="nested too deeply"):
        compile_filter(condition)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (model.Equal("n", 3), (1, 1, 1)),
        (model.Range("n", gte=2, lt=8), (6, 6, 6)),
        (model.Not(model.Equal("n", 3)), (9, 9, 9)),
        (model.In("word", ("w0", "w1")), (7, 7, 7)),
        (model.NotIn("word", ("w0", "w1")), (3, 3, 3)),
        (model.Exists("n"), (10, 10, 10)),
        (model.IsEmpty("n"), (0, 0, 0)),
        (model.And((model.Range("n", lt=5), model.Equal("word", "w0"))), (0, 2, 4)),
        (model.Or((model.Range("n", lt=5), model.Equal("word", "w0"))), (5, 7, 9)),
        (model.Equal("unknown", 1), (0, 3, 10)),
        (model.HasId((1, 2, 3)), (0, 3, 3)),
    ],
    ids=str,
)
def test_estimates_come_from_indexes(condition: model.Condition, expected: tuple[int, int, int]) -> None:
    records = record_list(TEN, indexes={"n": "auto", "word": "auto"})
    assert records.estimate(compile_filter(condition)) == expected


def test_stale_rows_widen_an_estimate() -> None:
    records = record_list(TEN, indexes={"n": "auto"})
    records.update(0, _core.encode_documents([{"n": 9}])[0])
    assert records.estimate(compile_filter(model.Range("n", gte=8))) == (1, 2, 3)


@pytest.mark.parametrize("indexes", [{}, {"v": "auto"}, {"v": "text"}], ids=["scanned", "indexed", "text"])
def test_facets_count_rows_per_value_most_frequent_first(indexes: dict[str, str]) -> None:
    one = uuid.UUID(int=1)
    documents = [{"v": "b"}, {"v": ["a", "a", "b"]}, {"v": [1, 1.0, True]}, {"v": None}, {}, {"v": [{"x": 1}, one]}, {"v": "b"}]
    found = record_list(documents, indexes=indexes).facet("v")
    assert repr(found) == repr([("b", 3), (True, 1), (1, 1), (1.0, 1), ("a", 1), (one, 1)])


def test_order_is_by_number_then_datetime_then_string() -> None:
    moment = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    documents = [{"v": "b"}, {"v": 2}, {"v": moment}, {"v": 1.5}, {"v": "a"}, {"v": None}, {}, {"v": True}, {"v": 2.0}]
    records = record_list(documents)
    assert records.order_by("v") == [3, 1, 8, 2, 4, 0]
    assert records.order_by("v", descending=True) == [0, 4, 2, 1, 8, 3]
    assert records.order_by("v", limit=2) == [3, 1]


def test_a_row_with_several_values_is_ordered_by_the_one_that_comes_first() -> None:
    records = record_list([{"v": [5, 1]}, {"v": [3]}, {"v": [4, 2]}])
    assert records.order_by("v") == [0, 2, 1]
    assert records.order_by("v", descending=True) == [0, 2, 1]


def test_ints_and_floats_are_ordered_exactly() -> None:
    records = record_list([{"v": 2**53 + 1}, {"v": 2.0**53}, {"v": 2.0**53 + 2}, {"v": 2**63 - 1}, {"v": 2.0**63}])
    assert records.order_by("v") == [1, 0, 2, 3, 4]


def test_an_index_of_a_newer_format_is_refused() -> None:
    records = record_list(TEN)
    index = bytearray(records.build_index("n"))
    index[8] = 2
    with pytest.raises(FormatError, match="format 2, this version reads up to 1"):
        records.add_index("n", bytes(index))


@pytest.mark.parametrize("size", [0, 7, 31, 100])
def test_a_truncated_index_is_refused(size: int) -> None:
    records = record_list(TEN)
    with pytest.raises(CorruptionError, match="field index"):
        records.add_index("n", records.build_index("n")[:size])


def test_an_index_of_other_rows_is_refused() -> None:
    records = record_list(TEN[:9])
    records.add_index("n", record_list(TEN).build_index("n"))
    with pytest.raises(CorruptionError, match="covers 10 rows, the segment has 9"):
        rows(records, model.Equal("n", 1))


def test_an_unknown_kind_of_index_is_refused() -> None:
    with pytest.raises(InvalidArgument, match='got "hash"'):
        record_list(TEN).build_index("n", "hash")


@pytest.mark.parametrize("kind", ["auto", "text"])
def test_the_memory_of_building_an_index_covers_at_least_its_result(kind: str) -> None:
    records = record_list([{"v": [f"word{n} and{n % 7}", n, n / 2, uuid.UUID(int=n), "2024-01-01"]} for n in range(500)])
    size = len(records.build_index("v", kind))
    assert size < records.index_build_bytes("v", kind) < 20 * size


def test_a_large_indexed_list_agrees_with_the_scan() -> None:
    """Enough rows for every form of row set: lists, lists of the rows outside, and bitmap words."""
    generator = random.Random(7)
    documents: list[dict[str, Any]] = []
    for n in range(3000):
        documents.append({"n": n % 700, "half": None if n % 2 else [], "rare": n} if n % 100 else {})
        if generator.random() < 0.1:
            documents[-1]["n"] = [n, generator.choice(["x", None, 1.5])]
    paths = ("n", "half", "rare")
    scanned, indexed = record_list(documents), record_list(documents, indexes=dict.fromkeys(paths, "auto"))
    for path in paths:
        for condition in (
            model.IsNull(path), model.IsEmpty(path), model.Exists(path), model.CountRange(path, gte=1), model.CountRange(path, lt=1),
            model.Range(path, gte=100, lt=2000), model.NotIn(path, (5, "x")), model.In(path, (5, "x", None)),
        ):  # fmt: skip
            assert rows(indexed, condition) == rows(scanned, condition)
            low, likely, high = indexed.estimate(compile_filter(condition))
            assert low <= len(rows(scanned, condition)) <= high
            assert low <= likely <= high
