"""Folders of documents, queries and judgments."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from vicino.errors import InvalidArgument, NotFoundError
from vicino.evaluate import read_judged_set, read_queries

QUERIES = '{"_id": "q1", "text": "cats"}\n{"_id": "q2", "text": "dogs", "answer": 7}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d1", "title": "Cats", "text": "purr"}\n')
    (tmp_path / "queries.jsonl").write_text(QUERIES)
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq2\td1\t1\n")
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    return tmp_path


def test_folder_of_beir_is_read(folder: Path) -> None:
    judged = read_judged_set(folder)
    assert judged.name == folder.name
    assert judged.queries == {"q1": "cats", "q2": "dogs"}
    assert judged.judgments == {"q1": {"d1": 1}}
    assert judged.corpus == str(folder / "corpus.jsonl")


def test_split_is_chosen(folder: Path) -> None:
    assert list(read_judged_set(folder, split="dev").judgments) == ["q2"]


def test_only_split_is_taken(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").unlink()
    assert list(read_judged_set(folder).judgments) == ["q2"]


def test_split_must_be_named_where_none_is_test(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").rename(folder / "qrels" / "train.tsv")
    with pytest.raises(InvalidArgument, match="has judgments of dev, train; name one"):
        read_judged_set(folder)


def test_unknown_split_is_refused(folder: Path) -> None:
    with pytest.raises(NotFoundError, match=r'no judgments of split "tset"\. Did you mean "test"'):
        read_judged_set(folder, split="tset")


def test_one_file_of_judgments_is_enough(folder: Path) -> None:
    (folder / "qrels.trec.gz").write_bytes(gzip.compress(b"q1 0 d1 2\n"))
    assert read_judged_set(folder).judgments == {"q1": {"d1": 2}}


def test_files_may_lie_elsewhere(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "topics.tsv").write_text("q9\tbirds\n")
    (elsewhere / "judged.txt").write_text("q9 0 d1 1\n")
    judged = read_judged_set(folder, queries=elsewhere / "topics.tsv", qrels=elsewhere / "judged.txt")
    assert (judged.queries, judged.judgments) == ({"q9": "birds"}, {"q9": {"d1": 1}})


@pytest.mark.parametrize(
    ("lacking", "said"), [("queries.jsonl", "has no queries; expected one of queries.jsonl"), ("qrels", "has no judgments")]
)
def test_what_is_missing_is_named(folder: Path, lacking: str, said: str) -> None:
    (folder / lacking).rename(folder / "away")
    with pytest.raises(NotFoundError, match=said):
        read_judged_set(folder)


def test_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no folder"):
        read_judged_set(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"_id": "q1", "text": "again"}', 'line 3: query "q1" is there twice'),
        ('{"_id": "q3"}', "line 3: a query is a JSON object"),
        ("[1]", "line 3: a query is a JSON object"),
        ("{", "line 3: "),
    ],
)
def test_wrong_query_is_named(folder: Path, line: str, said: str) -> None:
    (folder / "queries.jsonl").write_text(QUERIES + line + "\n")
    with pytest.raises(InvalidArgument, match=said):
        read_queries(folder / "queries.jsonl")


def test_table_of_queries_without_tab_is_refused(tmp_path: Path) -> None:
    (tmp_path / "queries.tsv").write_text("q1 cats\n")
    with pytest.raises(InvalidArgument, match="line 1: a query is an id, a tab and its text"):
        read_queries(tmp_path / "queries.tsv")
