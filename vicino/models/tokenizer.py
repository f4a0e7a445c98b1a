"""Text to token ids, with the tokenizer.json of a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vicino.errors import CorruptionError, InvalidArgument
from vicino.models.extra import import_extra
from vicino.models.runner import TokenIds


class TextTokenizer:
    """Cuts every text to `max_tokens`, counting the marks at its ends, and pads nothing, whatever the file says about both."""

    def __init__(self, content: bytes, *, path: str, max_tokens: int, lower: bool) -> None:
        tokenizers = import_extra("tokenizers", "split text into the tokens of an embedding model")
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(content.decode())
        except Exception as error:  # it raises plain Exception
            raise CorruptionError(f"{path} is not a tokenizer that can be used: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        self._lower = lower

    def encode(self, texts: Sequence[str], *, prompt: str = "", first: int = 0) -> list[TokenIds]:
        """Token ids of each text behind `prompt`. first: position of the first text in what the user gave, for errors.

        One text at a time, at some 0.1 ms each: the batch call of tokenizers starts threads of its own that do not survive a fork.
        """
        return [self._encode(text, prompt, position) for position, text in enumerate(texts, start=first)]

    def _encode(self, text: str, prompt: str, position: int) -> TokenIds:
        if not isinstance(text, str):
            raise InvalidArgument(f"text {position} to embed must be a str, got {type(text).__name__}")
        prompted = prompt + text
        try:
            encoding = self._tokenizer.encode(prompted.lower() if self._lower else prompted)
        except (TypeError, UnicodeEncodeError) as error:
            raise InvalidArgument(f"text {position} to embed has unpaired surrogates, which no encoding can hold: {text[:40]!r}") from error
        return np.asarray(encoding.ids, dtype=np.int64)
