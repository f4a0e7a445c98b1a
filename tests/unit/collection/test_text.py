"""Text indexes of a collection: what a search by words finds, and that it stays right through every kind of write."""

from __future__ import annotations

import threading

import pytest

import vicino
from tests.property.lexical import PLAIN, expect_values_agree
from vicino import Analyzer, Bool, Text, TextSpec
from vicino.collection.jobs import Job
from vicino.collection.limits import Limits
from vicino.collection.policy import BuildTerms, BuildVectorIndex
from vicino.errors import InvalidArgument, NotFoundError, NotReadyError

SMALL = Limits(head_rows_max=8, merge_fan_in=2, graph_rows_min=4, close_log_bytes_max=0)


@pytest.fixture
def docs():
    with vicino.open(limits=SMALL) as db:
        docs = db.create_collection("docs", vectors={}, text={"title": TextSpec(analyzer=PLAIN), "body": TextSpec(analyzer=PLAIN)})
        docs.upsert(
            [
                {"id": 1, "title": "red fox", "body": "the quick red fox jumps over the lazy dog"},
                {"id": 2, "title": "blue whale", "body": "the whale sings and the red fox listens"},
                {"id": 3, "title": "foxes", "body": "many foxes live in dens dug into the red earth"},
                {"id": 4, "title": "dogs and wolves", "body": "wolves hunt foxe and dog alike"},
                {"id": 5, "n": 5},
            ]
        )
        yield docs


def found(docs, part, **options):
    return set(docs.search(part, limit=100, **options).ids)


# ---- what parts of a query find


def test_any_word_is_enough(docs):
    assert found(docs, Text("whale wolves")) == {2, 4}


def test_and_needs_every_word(docs):
    assert found(docs, Text("red dog", fields="body", operator="and")) == {1}


@pytest.mark.parametrize(("minimum", "ids"), [(1, {1, 2, 3, 4}), (2, {1, 2}), (3, {1}), ("67%", {1, 2}), ("100%", {1})])
def test_minimum_is_a_number_or_a_share_of_the_words(docs, minimum, ids):
    assert found(docs, Text("red fox dog", fields="body", minimum=minimum)) == ids


def test_phrase_needs_words_side_by_side_in_order(docs):
    assert found(docs, Text("red fox", fields="body", phrase=True)) == {1, 2}
    assert found(docs, Text("fox red", fields="body", phrase=True)) == set()


def test_slop_lets_words_of_a_phrase_stand_apart(docs):
    assert found(docs, Text("fox over", fields="body", phrase=True)) == set()
    assert found(docs, Text("fox over", fields="body", phrase=True, slop=1)) == {1}


def test_phrase_is_worth_less_the_further_its_words_stand_apart(docs):
    docs.upsert([{"id": 10, "body": "alpha beta"}, {"id": 11, "body": "alpha x beta"}, {"id": 12, "body": "alpha x x beta"}])
    hits = docs.search(Text("alpha beta", fields="body", phrase=True, slop=2))
    assert hits.ids == [10, 11, 12]


def test_prefix_completes_the_last_word(docs):
    assert found(docs, Text("fox", fields="body")) == {1, 2}
    assert found(docs, Text("fox", fields="body", prefix=True)) == {1, 2, 3, 4}


def test_a_fuzzy_word_keeps_its_first_letters(docs):
    assert found(docs, Text("vox", fields="body", fuzzy=1)) == set()
    assert found(docs, Text("vox", fields="body", fuzzy=1, fuzzy_prefix=0)) == {1, 2}


def test_a_prefix_stands_for_so_many_words_at_most(docs):
    assert found(docs, Text("fox", fields="body", prefix=True, expansions=1)) == {1, 2}
    with pytest.raises(InvalidArgument, match="expansions must be an integer, between 1 and 1024, got 0"):
        Text("fox", expansions=0)


@pytest.mark.parametrize(("edits", "ids"), [(0, {1, 2}), (1, {1, 2, 4}), (2, {1, 2, 3, 4})])
def test_fuzzy_word_may_differ_by_so_many_letters(docs, edits, ids):
    assert found(docs, Text("fox", fields="body", fuzzy=edits)) == ids


def test_nearer_spelling_comes_first(docs):
    docs.upsert([{"id": 10, "body": "gazelle"}, {"id": 11, "body": "gazette"}, {"id": 12, "body": "gazellle"}])
    assert docs.search(Text("gazelle", fields="body", fuzzy=2), limit=1).ids == [10]


def test_must_should_and_must_not(docs):
    assert found(docs, Bool(must="red", must_not=Text("whale", fields="title"))) == {1, 3}
    assert found(docs, Bool(should=["whale", "wolves", "lazy"], minimum=1)) == {1, 2, 4}
    assert found(docs, Bool(must="red", should=["lazy", "sings"], minimum=1)) == {1, 2}


def test_field_that_weighs_more_decides(docs):
    assert docs.search(Text("fox whale", fields=["title^10", "body"]), limit=1).ids == [2]
    assert docs.search(Text("red fox", fields=["title^10", "body"]), limit=1).ids == [1]


def test_boost_multiplies_the_score(docs):
    (single,), (double,) = docs.search(Text("sings"), limit=1), docs.search(Text("sings", boost=2.0), limit=1)
    assert double.score == pytest.approx(2 * single.score)


def test_repeated_word_of_a_query_counts_twice(docs):
    (once,), (twice,) = docs.search(Text("sings"), limit=1), docs.search(Text("sings sings"), limit=1)
    assert twice.score == pytest.approx(2 * once.score)


def test_condition_keeps_the_scores(docs):
    all_scores = {hit.id: hit.score for hit in docs.search(Text("red fox", fields="body"))}
    assert {hit.id: hit.score for hit in docs.search(Text("red fox", fields="body"), where="title == 'red fox'")} == {1: all_scores[1]}


def test_statistics_of_the_matches_are_those_of_a_collection_of_them_alone():
    with vicino.open() as db:
        shared, own = (db.create_collection(name, vectors={}, text={"text": TextSpec(analyzer=PLAIN)}) for name in ("shared", "own"))
        mine = [{"id": n, "tenant": "me", "text": f"word{n % 3} common " + "long " * (n % 4)} for n in range(20)]
        shared.upsert([*mine, *({"id": 100 + n, "tenant": "other", "text": "word0 word1 and others"} for n in range(50))])
        own.upsert(mine)
        part = Text("word0 common", statistics="matches")
        wanted = {hit.id: hit.score for hit in own.search(Text("word0 common"), limit=50)}
        assert {hit.id: hit.score for hit in shared.search(part, where={"tenant": "me"}, limit=50)} == pytest.approx(wanted)
        assert {hit.id: hit.score for hit in shared.search(Text("word0 common"), where={"tenant": "me"}, limit=50)} != pytest.approx(wanted)


def test_words_that_nobody_has_find_nothing(docs):
    assert found(docs, Text("zebra")) == set()
    assert found(docs, Text("")) == set()


def test_equal_scores_come_in_the_order_of_writing():
    with vicino.open(limits=SMALL) as db:
        docs = db.create_collection("docs", vectors={}, text={"text": TextSpec(analyzer=PLAIN)})
        docs.upsert([{"id": number, "text": "same words"} for number in range(30)])
        for _ in range(2):
            assert docs.search(Text("words"), limit=30).ids == list(range(30))
            docs.optimize()


def test_list_of_strings_is_one_text_whose_parts_no_phrase_spans():
    with vicino.open() as db:
        docs = db.create_collection("docs", vectors={}, text={"tags": TextSpec(analyzer=PLAIN)})
        docs.upsert({"id": 1, "tags": ["dark red", "light blue"]})
        assert found(docs, Text("red light")) == {1}
        assert found(docs, Text("red light", phrase=True)) == set()


# ---- errors


def test_phrase_without_positions_is_refused_with_the_name_of_the_index():
    with vicino.open() as db:
        docs = db.create_collection("docs", vectors={}, text={"text": TextSpec(analyzer=PLAIN, positions=False)})
        docs.upsert({"id": 1, "text": "a b"})
        with pytest.raises(InvalidArgument, match=r'text index "text" of collection "docs" .*positions=False'):
            docs.search(Text("a b", phrase=True))


def test_search_of_a_dropped_index_is_refused(docs):
    docs.drop_text("title")
    with pytest.raises(InvalidArgument, match='no text index over field "title"'):
        docs.search(Text("fox", fields="title"))


# ---- indexes that come and go


def test_index_added_later_finds_what_was_there_and_what_comes(docs):
    docs.upsert({"id": 6, "note": "early"})
    job = docs.add_text("note", analyzer=PLAIN)
    docs.upsert({"id": 7, "note": "late"})
    job.wait()
    assert found(docs, Text("early late", fields="note")) == {6, 7}


def test_index_added_twice_under_one_name_after_a_drop_starts_anew(docs):
    docs.drop_text("body")
    docs.update(1, set={"body": "changed meanwhile"})
    docs.add_text("body", analyzer=PLAIN).wait()
    assert found(docs, Text("changed lazy", fields="body")) == {1}


def test_search_while_an_index_is_built_says_how_many_records_are_left(docs, monkeypatch):
    from vicino.collection.maintenance import Maintenance

    with monkeypatch.context() as patch:
        patch.setattr(Maintenance, "_texts_wanted", lambda self: [])
        docs.add_text("note", analyzer=PLAIN).wait()
        with pytest.raises(NotReadyError, match='text index "note" of collection "docs" is being built, 5 records are left'):
            docs.search(Text("early", fields="note"))
    docs.optimize()
    assert found(docs, Text("early", fields="note")) == set()


def test_index_survives_reopening_and_merges(tmp_path):
    for round_number in range(3):
        with vicino.open(tmp_path / "data", limits=SMALL) as db:
            docs = db.create_collection("docs", vectors={}, text={"text": TextSpec(analyzer=PLAIN)}, exist_ok=True)
            docs.upsert([{"id": 100 * round_number + n, "text": f"word{n} common"} for n in range(20)])
            docs.delete([100 * round_number])
            docs.update(100 * round_number + 1, set={"text": "word0"})
            expect_values_agree(docs)
            docs.optimize()
            expect_values_agree(docs)


def test_past_version_is_searched_as_it_was(tmp_path):
    with vicino.open(tmp_path / "data", limits=SMALL, retain=100) as db:
        docs = db.create_collection("docs", vectors={}, text={"text": TextSpec(analyzer=PLAIN)})
        docs.upsert([{"id": n, "text": "old words"} for n in range(12)])
        version = docs.version
        docs.update(list(range(6)), set={"text": "new words"})
        docs.delete([11])
        docs.optimize()
        assert found(docs.at(version), Text("old")) == set(range(12))
        assert found(docs, Text("old")) == set(range(6, 11))


def test_build_of_an_index_that_was_dropped_meanwhile_does_nothing(docs):
    docs.optimize()
    (key, *_) = [entry["key"] for entry in docs._shard.snapshot().entries if entry["sealed"]]
    docs._maintenance.perform(BuildTerms(key, slot=999), Job("building"))
    docs._maintenance.perform(BuildVectorIndex(key, slot=999), Job("building"))
    assert docs._maintenance.last_error is None


# ---- writes beside changes of settings


def test_record_read_before_an_index_was_added_is_indexed_when_it_is_written(docs):
    """The load takes its records one by one; the index comes while it runs."""

    def records():
        yield {"id": 20, "note": "before"}
        docs.add_text("note", analyzer=PLAIN).wait()
        yield {"id": 21, "note": "after"}

    docs.upsert(records(), batch=1)
    assert found(docs, Text("before after", fields="note")) == {20, 21}


def test_text_changed_while_an_index_is_added_is_found_as_it_is(docs, monkeypatch):
    """The update was decided on when there was no index over the field, and is written when there is."""
    from vicino.collection.writing import Writes

    docs.upsert({"id": 20, "note": "before"})
    update, once = Writes.update, [True]

    def later(self, *arguments, **options):
        if once and once.pop():
            docs.add_text("note", analyzer=PLAIN).wait()
        return update(self, *arguments, **options)

    monkeypatch.setattr(Writes, "update", later)
    docs.update(20, set={"note": "after"})
    assert found(docs, Text("before", fields="note")) == set()
    assert found(docs, Text("after", fields="note")) == {20}


def test_update_of_a_text_by_condition_leaves_records_that_no_longer_meet_it(docs, monkeypatch):
    chosen, once = type(docs)._chosen_ids, [True]

    def and_then_changed(self, ids, where):
        found = chosen(self, ids, where)
        if where is not None and once and once.pop():
            docs.upsert({"id": 1, "title": "no longer", "kept": True})
            docs.delete(2)
        return found

    monkeypatch.setattr(type(docs), "_chosen_ids", and_then_changed)
    assert docs.update(where={"body": {"$matches": "red"}}, set={"title": "changed"}).count == 1
    assert docs[1]["title"] == "no longer"
    assert docs[3]["title"] == "changed"


def test_languages_of_many_writers_are_all_known_to_queries():
    texts = [
        "the cat sat on the mat with the dog",
        "der Hund und die Katze sind nicht im Haus",
        "le chat et le chien ne sont pas dans la maison",
    ]
    with vicino.open() as db:
        docs = db.create_collection("docs", vectors={}, text={"text": TextSpec(analyzer=Analyzer())})
        threads = [threading.Thread(target=docs.upsert, args=({"id": n, "text": text},)) for n, text in enumerate(texts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert docs.settings.texts["text"].languages >= {"en", "de", "fr"}
        for n, word in enumerate(["mat", "Hund", "chien"]):
            assert found(docs, Text(word)) == {n}


def test_update_of_a_missing_record_is_refused(docs):
    with pytest.raises(NotFoundError, match="99"):
        docs.update([1, 99], set={"body": "x"})


# ---- words alone, which go straight to the core

DOCUMENTS = ["Die Straße führt nach Köln", "the roads of Cologne", "a road to nowhere", "what.is.this", "東京の天気", "so far away"]
QUERIES = ["road", "roads to nowhere", "Köln", "koln straße", "what is this", "東京", "so", "the of", "", "!?", "road road away"]


@pytest.mark.parametrize("words", QUERIES)
@pytest.mark.parametrize("language", ["en", "auto"])
def test_words_alone_find_what_the_same_query_written_out_finds(language: str, words: str) -> None:
    """`operator="or"` beside a field is the default, and is asked for by a tree of clauses."""
    with vicino.open() as database:
        docs = database.create_collection("docs", vectors={}, text={"body": TextSpec(analyzer=Analyzer(language=language, stem=False))})
        docs.upsert([{"id": number, "body": text} for number, text in enumerate(DOCUMENTS)])
        plain, written_out = docs.search(words), docs.search(Text(words, fields=["body"]))
        assert [(hit.id, hit.score) for hit in plain] == [(hit.id, hit.score) for hit in written_out]
        assert [hit.highlights for hit in plain] == [hit.highlights for hit in written_out]
        assert plain.plan.query == Text(words)


def test_words_alone_give_pages_and_respect_a_filter_and_a_least_score() -> None:
    with vicino.open() as database:
        docs = database.create_collection("docs", vectors={}, text="body")
        docs.upsert([{"id": number, "body": "word " * (number + 1) + "other " * 5, "n": number} for number in range(9)])
        everything = [(hit.id, hit.score) for hit in docs.search("word", limit=9)]
        assert [(hit.id, hit.score) for hit in docs.search("word", limit=3, offset=4)] == everything[4:7]
        assert docs.search("word", where="n < 3").ids == [record_id for record_id, _ in everything if record_id < 3]
        assert docs.search("word", min_score=everything[5][1]).ids == [record_id for record_id, _ in everything[:6]]
        assert [hit.version for hit in docs.search("word", limit=2)] == [docs.version] * 2
