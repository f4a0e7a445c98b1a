"""Text indexes as they are asked for."""

from __future__ import annotations

from vicino import Analyzer, TextSpec


def test_language_code_stands_for_the_analyzer_of_source_text() -> None:
    assert TextSpec("body", language="code").analyzer == Analyzer(tokenizer="code")


def test_language_is_detected_by_default() -> None:
    assert TextSpec("body").analyzer.language == "auto"
