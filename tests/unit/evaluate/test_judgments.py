"""Judgments in the spellings of TREC and BEIR."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from vicino.errors import InvalidArgument, NotFoundError
from vicino.evaluate import Judgments

EXPECTED = {"q1": {"d1": 2, "d2": 0}, "q2": {"d1": 1}}


@pytest.mark.parametrize(
    "text",
    [
        "q1 0 d1 2\nq1 0 d2 0\nq2 0 d1 1\n",
        "q1\t0\td1\t2\r\nq1\t0\td2\t0\r\n\r\nq2\t0\td1\t1",
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td1\t1\n",
        "q1 d1 2\nq1 d2 0\nq2 d1 1\n",
    ],
    ids=["TREC", "TREC with tabs", "BEIR", "BEIR without header"],
)
def test_judgments_are_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "qrels.tsv").write_bytes(text.encode())
    assert Judgments.read(tmp_path / "qrels.tsv") == EXPECTED


def test_compressed_judgments_are_read(tmp_path: Path) -> None:
    (tmp_path / "qrels.tsv.gz").write_bytes(gzip.compress(b"q1 0 d1 2\nq1 0 d2 0\nq2 0 d1 1\n"))
    assert Judgments.read(tmp_path / "qrels.tsv.gz") == EXPECTED


def test_byte_order_mark_is_no_part_of_an_id(tmp_path: Path) -> None:
    (tmp_path / "qrels").write_bytes("\ufeffq1 0 d1 1\n".encode())
    assert list(Judgments.read(tmp_path / "qrels")) == ["q1"]


def test_tabs_part_ids_that_hold_blanks(tmp_path: Path) -> None:
    (tmp_path / "qrels").write_text("query-id\tcorpus-id\tscore\nq 1\td 1\t1\n")
    assert Judgments.read(tmp_path / "qrels") == {"q 1": {"d 1": 1}}


def test_judgment_said_twice_is_one(tmp_path: Path) -> None:
    (tmp_path / "qrels").write_text("q1 0 d1 1\nq1 0 d1 1\n")
    assert Judgments.read(tmp_path / "qrels") == {"q1": {"d1": 1}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("q1 0 d1 1\nq1 0 d1 2\n", 'line 2: document "d1" of query "q1" is graded 2, and 1 above'),
        ("q1 0 d1 1\nq1 d1\n", "line 2: a judgment has the columns"),
        ("q1 0 d1 good\n", "line 1: a grade is an integer, got 'good'"),
        ("q1 0 d1 1.5\n", "line 1: a grade is an integer, got '1.5'"),
        ("q1 0 d1 1001\n", "line 1: a grade is an integer from -1000 to 1000, got 1001"),
    ],
)
def test_wrong_line_is_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "qrels").write_text(text)
    with pytest.raises(InvalidArgument, match=said):
        Judgments.read(tmp_path / "qrels")


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "qrels").write_bytes(b"q1 0 d1 1\nq1 0 \xff 1\n")
    with pytest.raises(InvalidArgument, match="line 2: not UTF-8"):
        Judgments.read(tmp_path / "qrels")


@pytest.mark.parametrize("cut", [2, 20])
def test_damaged_compressed_file_is_named(cut: int, tmp_path: Path) -> None:
    (tmp_path / "qrels.gz").write_bytes(gzip.compress(b"q1 0 d1 1\n" * 100)[:cut])
    with pytest.raises(InvalidArgument, match=r"qrels.gz cannot be uncompressed"):
        Judgments.read(tmp_path / "qrels.gz")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere"):
        Judgments.read(tmp_path / "nowhere")


def test_ids_count_as_they_are_printed() -> None:
    assert Judgments({1: {7: 1}}) == {"1": {"7": 1}}


@pytest.mark.parametrize("grade", [1.0, True, "1", None])
def test_grade_that_is_no_integer_is_refused(grade: object) -> None:
    with pytest.raises(InvalidArgument, match='judgment of document "d" for query "q"'):
        Judgments({"q": {"d": grade}})  # type: ignore[dict-item]
