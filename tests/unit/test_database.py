"""Databases: names, aliases, opening, closing."""

import pytest

import vicino
from vicino.errors import ClosedError, ExistsError, InvalidArgument, LockedError, NotFoundError, ReadOnlyError


@pytest.fixture
def db(tmp_path):
    with vicino.open(tmp_path / "data") as database:
        yield database


def test_an_unknown_collection_is_named_with_the_nearest(db):
    db.create_collection("books")
    with pytest.raises(NotFoundError, match='Did you mean "books"'):
        db["boks"]


def test_a_taken_name_is_refused(db):
    db.create_collection("books")
    with pytest.raises(ExistsError, match="exist_ok"):
        db.create_collection("books")


def test_exist_ok_checks_that_the_settings_agree(db):
    first = db.create_collection("books", dim=3)
    assert db.create_collection("books", dim=3, exist_ok=True) is first
    with pytest.raises(ExistsError, match='dim of vector "vector" is 3, asked for 4'):
        db.create_collection("books", dim=4, exist_ok=True)


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "x" * 256, 7])
def test_names_that_cannot_be_are_refused(db, name):
    with pytest.raises(InvalidArgument):
        db.create_collection(name)


def test_a_renamed_collection_keeps_handles_and_aliases(db):
    books = db.create_collection("books")
    db.alias("b", "books")
    db.rename_collection("books", "works")
    assert (books.name, db["b"].name, db.names()) == ("works", "works", ["works"])


def test_an_alias_switches_atomically(db):
    db.create_collection("old")
    db.create_collection("new")
    db.alias("live", "old")
    db.alias("live", "new")
    assert db.aliases() == {"live": "new"}
    db.alias("live", None)
    assert "live" not in db


def test_aliases_go_with_their_collection(db):
    db.create_collection("books")
    db.alias("b", "books")
    db.delete_collection("books")
    assert (db.names(), db.aliases()) == ([], {})


def test_names_of_aliases_and_collections_exclude_each_other(db):
    db.create_collection("books")
    db.create_collection("films")
    db.alias("b", "books")
    with pytest.raises(ExistsError):
        db.create_collection("b")
    with pytest.raises(ExistsError):
        db.alias("films", "books")
    with pytest.raises(InvalidArgument, match="is an alias"):
        db.delete_collection("b")


def test_deleting_what_is_not_there(db):
    with pytest.raises(NotFoundError):
        db.delete_collection("books")
    db.delete_collection("books", missing_ok=True)


def test_the_database_is_a_container_of_names(db):
    db.create_collection("books")
    assert ("books" in db, len(db), list(db), db.collections()[0].name) == (True, 1, ["books"], "books")


def test_everything_is_there_after_reopening(tmp_path):
    with vicino.open(tmp_path / "data") as db:
        db.create_collection("books", dim=2).upsert({"id": 1, "vector": [1, 2]})
        db.alias("b", "books")
    with vicino.open(tmp_path / "data") as db:
        assert (db["b"].count(), db["books"].settings.vectors["vector"].spec.dim) == (1, 2)


def test_opening_twice_gives_the_same_database(tmp_path):
    first, second = vicino.open(tmp_path / "data"), vicino.open(tmp_path / "data")
    assert first is second
    second.close()
    assert first.names() == []
    first.close()
    with pytest.raises(ClosedError):
        first.names()


def test_a_closed_collection_says_so(tmp_path):
    with vicino.open(tmp_path / "data") as db:
        books = db.create_collection("books", dim=2)
    with pytest.raises(ClosedError, match="open the database again"):
        books.count()
    with pytest.raises(ClosedError):
        books.upsert({"id": 1})


def test_reading_mode_refuses_writes(tmp_path):
    vicino.open(tmp_path / "data").close()
    with vicino.open(tmp_path / "data", mode="r") as db, pytest.raises(ReadOnlyError):
        db.create_collection("books")


def test_reading_needs_a_database(tmp_path):
    with pytest.raises(NotFoundError, match="no vicino database"):
        vicino.open(tmp_path / "data", mode="r")


def test_a_folder_of_something_else_is_not_taken_over(tmp_path):
    (tmp_path / "thesis.txt").write_text("do not touch")
    with pytest.raises(InvalidArgument, match="not empty"):
        vicino.open(tmp_path)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidArgument, match="is a file"):
        vicino.open(tmp_path / "file")


def test_databases_in_memory_are_separate():
    with vicino.open() as one, vicino.open() as two:
        one.create_collection("books")
        assert two.names() == []


@pytest.mark.parametrize(
    "options", [{"mode": "w"}, {"sync": "never"}, {"retain": -1}, {"threads": 0}, {"lock_timeout": -1}, {"memory_limit": "1 kB"}]
)
def test_options_out_of_range_are_refused(tmp_path, options):
    with pytest.raises(InvalidArgument):
        vicino.open(tmp_path / "data", **options)


def test_a_url_is_no_folder():
    with pytest.raises(InvalidArgument, match="takes a folder"):
        vicino.open("http://localhost:6333")


def test_a_second_environment_meets_the_lock(tmp_path):
    from vicino.env import RealEnv

    with vicino.open(tmp_path / "data"), pytest.raises(LockedError, match="writes to this database") as caught:
        vicino.open(tmp_path / "data", _env=RealEnv())
    assert caught.value.pid
