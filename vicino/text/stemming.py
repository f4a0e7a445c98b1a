"""Snowball stemming, which comes with the extra `[text]`."""

from __future__ import annotations

from vicino.errors import MissingExtraError
from vicino.text.languages import LANGUAGES


def stemmer_version() -> str | None:
    """The version of the installed stemmer; None without one."""
    try:
        import Stemmer
    except ImportError:
        return None
    return f"PyStemmer {Stemmer.version()}"


def require_stemmer(what: str) -> str:
    if version := stemmer_version():
        return version
    raise MissingExtraError(f'{what} stems its words, which needs PyStemmer: pip install "vicino[text]"')


class Stemmers:
    """Words to stems, by language. One of these belongs to one analyzer of the core, which calls it under its own lock."""

    def __init__(self) -> None:
        self._by_language: dict[str, object] = {}

    def __call__(self, language: str, words: list[str]) -> list[str]:
        import Stemmer

        stemmer = self._by_language.get(language)
        if stemmer is None:
            # No cache of its own: the core remembers what every word became.
            stemmer = self._by_language[language] = Stemmer.Stemmer(LANGUAGES[language].snowball, 0)
        return stemmer.stemWords(words)  # type: ignore[attr-defined]
