"""Analyzers: what makes words of text, as values that are stored with a collection.

An `Analyzer` is asked four things: the terms of documents as a text index stores them (`analyze_many`), the terms of a query
(`query_terms`), where in a text each term comes from (`spans`), and what it is (`describe`, `to_json`). All work on characters happens in
the core (core/text).

What a collection wrote yesterday must be found today, so an analyzer is never replaced in silence: `resolve` fixes what "auto" means at the
moment of creation, and what is stored holds the versions of the rules, of Unicode and of the stemmer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vicino import _core
from vicino.errors import FormatError, InvalidArgument, close_match, did_you_mean
from vicino.text.languages import DETECTED, LANGUAGES
from vicino.text.stemming import Stemmers, require_stemmer, stemmer_version
from vicino.types import RecordId

# Raised whenever the same text would give other terms: rules, tables, stop words.
ANALYZER_VERSION = 1

Tokenizer = Literal["words", "code", "keyword", "ngram", "edge"]
Accents = Literal["no", "yes", "both"]
Text = str | Sequence[str] | None

# What the forms of one query word weigh, the exact one being 1. The engine adds up the forms that a document has, and a document with the
# exact spelling has the folded one too; so a small weight only orders what else would not be found.
FOLDED_WEIGHT = 0.05
# The whole of `get_user_name` says little more than its parts together.
WHOLE_WEIGHT = 0.5
# A single character of a pair, in scripts without spaces.
CHARACTER_WEIGHT = 0.15
# Forms of a word in another language than the query's own: rare among the documents, and heavy for that.
FOREIGN_WEIGHT = 0.5

_GRAMS = {"ngram": (2, 3), "edge": (1, 12)}


@dataclass(frozen=True)
class Analyzer:
    """How text becomes terms. The default suits prose of any language; `for_language` names one, `tokenizer="code"` is for source text.

    tokenizer: "words" (Unicode's word break; pairs of characters in scripts without spaces), "code" (identifiers and their parts),
        "keyword" (the whole text is one term), "ngram" (all pieces of each word), "edge" (the beginnings of each word).
    language: a code of `LANGUAGES`, "auto" (detected for each text; English for code) or None (no stop words, no stemming).
    stem: words are reduced to their stems; "auto" does so where the language has a stemmer and PyStemmer is installed.
    stop_words: True for the language's own, False for none, or words. Documents keep theirs (phrases need them), which do not count for
        their length; queries leave them out unless they hold nothing else.
    accents: "no" keeps them, "yes" folds them away, "both" finds either spelling and ranks the exact one first.
    possessives: strips 's, and articles before an apostrophe (l'eau).
    grams: shortest and longest piece in characters, for "ngram" (2, 3) and "edge" (1, 12).
    """

    tokenizer: Tokenizer = "words"
    language: str | None = "auto"
    stem: bool | Literal["auto"] = "auto"
    stop_words: bool | tuple[str, ...] = True
    accents: Accents = "both"
    possessives: bool = True
    grams: tuple[int, int] | None = None
    # Of stored analyzers: what made their terms. None until `resolve`.
    version: int | None = field(default=None, kw_only=True)
    unicode: str | None = field(default=None, kw_only=True)
    stemmer: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _one_of("tokenizer", self.tokenizer, ("words", "code", "keyword", "ngram", "edge"))
        _one_of("accents", self.accents, ("no", "yes", "both"))
        if self.language not in ("auto", None) and self.language not in LANGUAGES:
            close = did_you_mean(str(self.language), LANGUAGES)
            raise InvalidArgument(f'language must be "auto", None or a code, got {self.language!r}.{close}')
        if not (isinstance(self.stem, bool) or self.stem == "auto"):
            raise InvalidArgument(f'stem must be True, False or "auto", got {self.stem!r}')
        if not isinstance(self.possessives, bool):
            raise InvalidArgument(f"possessives must be True or False, got {self.possessives!r}")
        if self.stem is True and not self._stemmed_languages:
            raise InvalidArgument(
                f'stem=True needs a language with a stemmer and tokenizer "words" or "code", '
                f'got language {self.language!r}, tokenizer "{self.tokenizer}"'
            )
        if not isinstance(self.stop_words, bool):
            words = (self.stop_words,) if isinstance(self.stop_words, str) else tuple(self.stop_words)
            if not all(isinstance(word, str) for word in words):
                raise InvalidArgument(f"stop_words must be True, False or strings, got {self.stop_words!r}")
            object.__setattr__(self, "stop_words", words)
        if self.grams is not None:
            object.__setattr__(self, "grams", self._checked_grams(self.grams))

    def _checked_grams(self, grams: Sequence[int]) -> tuple[int, int]:
        if self.tokenizer not in _GRAMS:
            raise InvalidArgument(f'grams are for tokenizer "ngram" and "edge", got tokenizer "{self.tokenizer}"')
        pair = tuple(grams)
        if len(pair) != 2 or not all(type(size) is int for size in pair) or not 1 <= pair[0] <= pair[1] <= 64:
            raise InvalidArgument(f"grams must be (shortest, longest) with 1 <= shortest <= longest <= 64, got {grams!r}")
        return pair[0], pair[1]

    @classmethod
    def for_language(cls, language: str | None, **settings: Any) -> Analyzer:
        """The default analyzer of one language; `settings` are those of `Analyzer`."""
        return cls(language=language, **settings)

    # What is stored

    def resolve(self) -> Analyzer:
        """This analyzer with everything fixed that depends on what is installed: call it when a collection is created.

        Without PyStemmer `stem="auto"` becomes False, and `describe` says so; `stem=True` raises MissingExtraError.
        """
        if self.version is not None:
            return self
        wants = self.stem is not False and bool(self._stemmed_languages)
        stemmer = require_stemmer("this analyzer") if self.stem is True else stemmer_version() if wants else None
        return replace(self, stem=stemmer is not None, version=ANALYZER_VERSION, unicode=_core.UNICODE_VERSION, stemmer=stemmer)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads; stored with the collection once resolved."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        kept = {name: value for name, value in values.items() if value is not None or name == "language"}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Analyzer:
        if not isinstance(stored, dict):
            raise InvalidArgument(f"an analyzer is stored as a JSON object, got {stored!r}")
        known = {each.name for each in fields(cls)}
        version = stored.get("version")
        if version is not None and (type(version) is not int or version < 1):
            raise InvalidArgument(f"version of an analyzer must be a number from 1, got {version!r}")
        if version is not None and version > ANALYZER_VERSION:
            raise FormatError(
                f"an analyzer of version {version} was stored; this vicino knows them up to {ANALYZER_VERSION}: update vicino"
            )
        if unknown := sorted(set(stored) - known):
            raise InvalidArgument(f"an analyzer has no setting {unknown[0]!r}.{did_you_mean(unknown[0], known)}")
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
        return cls(**values)

    def notes(self) -> list[str]:
        """What a user should know about this analyzer here: missing or other versions than those its terms were made with."""
        found = []
        installed = stemmer_version()
        if self.version is None and self.stem == "auto" and self._stemmed_languages and installed is None:
            found.append('words are not stemmed, because PyStemmer is missing: pip install "vicino[text]"')
        if self.version is not None and not self.stem and self._stemmed_languages:
            found.append("words are not stemmed; create the index anew to change that")
        if self.stemmer and installed is None:
            found.append(f'terms were made with {self.stemmer}, which is not installed: pip install "vicino[text]"')
        elif self.stemmer and installed != self.stemmer:
            found.append(
                f"terms were made with {self.stemmer}, installed is {installed}: some words may be missed until the index is built anew"
            )
        if self.unicode and self.unicode != _core.UNICODE_VERSION:
            found.append(f"terms were made by the rules of Unicode {self.unicode}, these are of {_core.UNICODE_VERSION}")
        return found

    def describe(self) -> str:
        """What this analyzer does, in one line for people, and its notes."""
        parts = [self.tokenizer]
        if self.grams or self.tokenizer in _GRAMS:
            parts.append("{} to {} characters".format(*(self.grams or _GRAMS[self.tokenizer])))
        if self.tokenizer in ("words", "code"):
            parts.append("language detected" if self.detects else LANGUAGES[self._languages[0]].name if self._languages else "no language")
            parts.append(f"stemmed ({self.stemmer or stemmer_version() or 'PyStemmer'})" if self._is_stemmed else "not stemmed")
        parts.append({"no": "accents kept", "yes": "accents folded", "both": "accents folded and kept"}[self.accents])
        return "; ".join([", ".join(parts), *self.notes()])

    # What it makes

    def analyze_many(
        self, texts: Sequence[Text], *, positions: bool = True
    ) -> tuple[bytes, NDArray[np.uint64], NDArray[np.bool_], frozenset[str]]:
        """The text values of documents, as docs/design/0005 lays them out.

        texts: one str per document, or a list of str (one document, with a gap of 100 positions between items), or None (absent, no bytes).
        Returns (values end to end, offsets of n + 1, which documents have one, languages used); queries are to be told the last.
        """
        return self._for_documents.analyze(texts, positions)  # type: ignore[return-value]

    def query_terms(self, text: str, languages: Iterable[str] = ()) -> list[list[tuple[bytes, float]]]:
        """The words of a query, each as its forms with weights, the heaviest first; a word that is repeated comes repeatedly.

        languages: all that documents of the index were analyzed in, where they are detected; the words go through each of them.
        """
        return [forms for _, forms in self.query_positions(text, languages)]

    def query_positions(self, text: str, languages: Iterable[str] = ()) -> list[tuple[int, list[tuple[bytes, float]]]]:
        """`query_terms` with the position of each word, which documents of the same text have too: for phrases."""
        return self._for_queries.query(text, list(languages))

    def _words_query(self, text: str, languages: Iterable[str], field: tuple[int, float, float, float]) -> _core.TextQuery | None:
        """The core's query for any of the words of a text in one field, (slot, boost, k1, b); None when no words are left of it.

        Finds what the words of `query_positions` find, without making them values of Python.
        """
        return self._for_queries.words_query(text, sorted(languages) if self.detects else (), field)

    def _search_words(
        self,
        snapshot: _core.Snapshot,
        text: str,
        languages: Iterable[str],
        field: tuple[int, float, float, float],
        k: int,
        matches: _core.Matches | None,
        cancel: _core.Cancel,
    ) -> tuple[list[RecordId], NDArray[np.int64], list[float], int]:
        """What a snapshot has for `_words_query`: ids, locators and minus the scores of the k best, and how many records were scored."""
        through = sorted(languages) if self.detects else ()
        return self._for_queries.search_words(snapshot, text, through, field, k, matches, cancel)  # type: ignore[return-value]

    def spans(self, text: str, languages: Iterable[str] = ()) -> list[tuple[int, int, list[bytes]]]:
        """(start, end, terms) of each word: characters of the source text, and the terms that they became.

        Spans overlap in scripts without spaces: each pair of characters has one, and its first character.
        """
        return self._for_queries.spans(text, list(languages))

    def language_of(self, text: str) -> str:
        """The language that a text is taken for; "und" for none."""
        return self._for_queries.language_of(text)

    # The core's part: two, so that no query waits for a batch of documents.

    @cached_property
    def _for_documents(self) -> _core.TextAnalyzer:
        return self._new_core()

    @cached_property
    def _for_queries(self) -> _core.TextAnalyzer:
        return self._new_core()

    def _new_core(self) -> _core.TextAnalyzer:
        if self.stem is True:
            require_stemmer(f"the analyzer ({self.tokenizer}, language {self.language!r}), stored with stem=True,")
        stems = self._is_stemmed
        rows = [
            (code, known.script, self._stop_words_of(code), stems and known.snowball is not None, known.folds_accents)
            for code, known in ((code, LANGUAGES[code]) for code in self._languages)
        ]
        return _core.TextAnalyzer(
            tokenizer=self.tokenizer,
            accents=self.accents,
            possessives=self.possessives,
            grams=self.grams or _GRAMS.get(self.tokenizer, (1, 1)),
            languages=rows,
            detects=self.detects,
            leaves_stop_words_out=self.stop_words is not False,
            weights=(FOLDED_WEIGHT, WHOLE_WEIGHT, CHARACTER_WEIGHT, FOREIGN_WEIGHT),
            stem=Stemmers() if stems else None,
        )

    @property
    def detects(self) -> bool:
        """Whether the language is found out for each text; only then must a query be told which ones documents are in."""
        return self.language == "auto" and self.tokenizer == "words"

    @property
    def _languages(self) -> tuple[str, ...]:
        if self.tokenizer not in ("words", "code") or self.language is None:
            return ()
        if self.language != "auto":
            return (self.language,)
        # Names in source text are English by custom, and single letters and keywords would pass for words of other languages.
        return ("en",) if self.tokenizer == "code" else DETECTED

    @property
    def _stemmed_languages(self) -> tuple[str, ...]:
        return tuple(code for code in self._languages if LANGUAGES[code].snowball)

    @property
    def _is_stemmed(self) -> bool:
        if not self._stemmed_languages:
            return False
        return stemmer_version() is not None if self.stem == "auto" else self.stem

    def _stop_words_of(self, code: str) -> list[str]:
        own = LANGUAGES[code].stop_words if isinstance(self.stop_words, bool) else self.stop_words
        return [_core.fold_text(word) for word in own]

    def __getstate__(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


def _one_of(name: str, value: object, known: Sequence[str]) -> None:
    if value not in known:
        raise InvalidArgument(f"{name} must be one of {', '.join(known)}, got {value!r}.{close_match(str(value), known)}")
