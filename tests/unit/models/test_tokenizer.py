"""Text to token ids. Of the tiny vocabulary, 0 to 3 are [PAD] [UNK] [CLS] [SEP], 4 is "a", 5 is "wing"."""

from __future__ import annotations

from pathlib import Path

import pytest

from vicino.errors import CorruptionError, InvalidArgument
from vicino.models.tokenizer import TextTokenizer


def tokenizer(folder: Path, *, max_tokens: int = 16, lower: bool = False) -> TextTokenizer:
    path = folder / "tokenizer.json"
    return TextTokenizer(path.read_bytes(), path=str(path), max_tokens=max_tokens, lower=lower)


def ids(made: TextTokenizer, *texts: str, prompt: str = "") -> list[list[int]]:
    return [tokens.tolist() for tokens in made.encode(texts, prompt=prompt)]


def test_each_text_has_its_own_length(tiny_folder: Path) -> None:
    assert ids(tokenizer(tiny_folder), "a wing", "", "a") == [[2, 4, 5, 3], [2, 3], [2, 4, 3]]


def test_limit_is_the_given_one_not_the_one_in_the_file(tiny_folder: Path) -> None:
    made = tokenizer(tiny_folder, max_tokens=8)
    assert [len(tokens) for tokens in made.encode(["a " * 100])] == [8]


def test_prompt_comes_first(tiny_folder: Path) -> None:
    assert ids(tokenizer(tiny_folder), "wing", prompt="a ") == [[2, 4, 5, 3]]


def test_lower_case_is_a_setting(tiny_folder: Path) -> None:
    assert ids(tokenizer(tiny_folder), "A") == [[2, 1, 3]]
    assert ids(tokenizer(tiny_folder, lower=True), "A") == [[2, 4, 3]]


def test_text_that_is_no_str_is_refused_with_its_position(tiny_folder: Path) -> None:
    with pytest.raises(InvalidArgument, match="text 12 to embed must be a str, got bytes"):
        tokenizer(tiny_folder).encode(["a", "a", b"a"], first=10)  # pyright: ignore[reportArgumentType]


def test_unpaired_surrogate_is_refused_with_its_position(tiny_folder: Path) -> None:
    with pytest.raises(InvalidArgument, match="text 1 to embed has unpaired surrogates"):
        tokenizer(tiny_folder).encode(["a", "a\ud800"])


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[1]"], ids=["empty", "no model", "no utf-8", "list"])
def test_damaged_file_is_named(content: bytes) -> None:
    with pytest.raises(CorruptionError, match=r"/m/tokenizer\.json is not a tokenizer that can be used"):
        TextTokenizer(content, path="/m/tokenizer.json", max_tokens=8, lower=False)
