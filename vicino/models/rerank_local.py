"""A cross-encoder that lies on this machine: query and text go through one encoder together, and one number comes out.

    model.onnx, else onnx/model.onnx    inputs input_ids, attention_mask and perhaps token_type_ids; one output of a number per pair
    tokenizer.json                      with the marks of a pair in its post-processor
    config.json                         num_labels, max_position_embeddings, which function follows the output (optional)
    tokenizer_config.json               model_max_length (optional)

This is how `optimum-cli export onnx --task text-classification` writes one. Every file that decides the scores is hashed while loading;
the hashes are part of `identity()` and can be pinned.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vicino.env import Files, RealEnv
from vicino.errors import CorruptionError, InvalidArgument, ModelNotFound
from vicino.models.extra import import_extra
from vicino.models.folder import max_tokens_of, read_json
from vicino.models.loading import digests_of, sha256_of
from vicino.models.local import batches
from vicino.models.onnx_runner import failed_batch, integer_inputs, open_session

Scores = npt.NDArray[np.float64]

_WEIGHTS = ("model.onnx", "onnx/model.onnx")
_OUTPUTS = ("logits", "score", "scores")
_ACTIVATION_KEYS = ("sbert_ce_default_activation_function", "activation_fn")


def _sigmoid(values: Scores) -> Scores:
    return np.exp(-np.logaddexp(0.0, -values))  # in this form small ones stay apart from each other and nothing overflows


_ACTIVATIONS: Mapping[str, Callable[[Scores], Scores]] = {"Sigmoid": _sigmoid, "Identity": lambda values: values}


class PairTokenizer:
    """Token ids of (query, text), the text cut so that both fit into `max_length` with the marks around them.

    A query longer than half of that is cut there: of a text nothing would be left to read otherwise.
    """

    def __init__(self, content: bytes, *, path: str, max_length: int) -> None:
        tokenizers = import_extra("tokenizers", "split text into the tokens of a reranker")
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(content.decode())
        except Exception as error:  # it raises plain Exception
            raise CorruptionError(f"{path} is not a tokenizer that can be used: {error}") from error
        self._tokenizer.no_padding()
        # The longest is cut first, and after `cut_query` that is the text.
        self._tokenizer.enable_truncation(max_length, strategy="longest_first")
        self._query_tokens = max_length // 2

    def cut_query(self, query: str) -> str:
        offsets = self._encoded(query).offsets if query else []
        return query if len(offsets) <= self._query_tokens else query[: offsets[self._query_tokens][0]]

    def encode(self, query: str, text: str) -> tuple[list[int], list[int]]:
        """(token ids, type ids)."""
        encoding = self._encoded(query, text)
        return encoding.ids, encoding.type_ids

    def _encoded(self, *texts: str) -> Any:
        try:
            return self._tokenizer.encode(*texts)
        except (TypeError, UnicodeEncodeError) as error:
            raise InvalidArgument(
                f"a text to rerank must be a str without unpaired surrogates, got {', '.join(repr(text)[:60] for text in texts)}"
            ) from error


class LocalReranker:
    """A cross-encoder in this process. Scores are those of its activation function: 0 to 1, or any number where it says "Identity"."""

    batch_size = 4
    """Texts between two looks at the clock: some 0.2 s on one core for passages and a small model."""

    def __init__(
        self, *, name: str, max_length: int, tokenizer: PairTokenizer, session: Any, path: str, pad: int, activation: str, identity: Any
    ) -> None:
        self.name, self.max_length = name, max_length
        self._tokenizer, self._session, self._path, self._pad = tokenizer, session, path, pad
        self._activation = _ACTIVATIONS[activation]
        self._identity = dict(identity)
        self._inputs = integer_inputs(path, session)
        self._output = _choose_output(path, session)
        self.scores("a", ["a"])  # a model that gives no number for a pair is found out now

    def __repr__(self) -> str:
        return f"<reranker {self.name}: {self.max_length} tokens, onnx>"

    def identity(self) -> dict[str, Any]:
        """What decides the scores: SHA-256 of every file, the limit of tokens, the activation."""
        return {**self._identity, "files": dict(self._identity["files"])}

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        if isinstance(texts, str):
            raise InvalidArgument("scores takes a list of texts, got a single str; use scores(query, [text])")
        short = self._tokenizer.cut_query(query)
        pairs = [self._tokenizer.encode(short, text) for text in texts]
        found = np.empty(len(pairs))
        for rows in batches([len(ids) for ids, _ in pairs]):
            found[rows] = self._score([pairs[row] for row in rows])
        if not np.isfinite(found).all():
            row = int(np.argmin(np.isfinite(found)))
            raise CorruptionError(f"{self._path}: the model gives {found[row]} for text {row}, {texts[row][:40]!r}")
        return self._activation(found).tolist()

    def _score(self, pairs: list[tuple[list[int], list[int]]]) -> Scores:
        shape = (len(pairs), max(1, max(len(ids) for ids, _ in pairs)))
        available = {name: np.zeros(shape, np.int64) for name in ("input_ids", "attention_mask", "token_type_ids")}
        available["input_ids"][:] = self._pad
        for row, (ids, types) in enumerate(pairs):
            available["input_ids"][row, : len(ids)] = ids
            available["attention_mask"][row, : len(ids)] = 1
            available["token_type_ids"][row, : len(types)] = types
        feed = {name: available[name].astype(integer, copy=False) for name, integer in self._inputs.items()}
        try:
            output = np.asarray(self._session.run([self._output], feed)[0], np.float64)
        except Exception as error:  # its exceptions share no base of their own
            raise failed_batch(self._path, shape, error) from error
        if output.shape not in ((len(pairs),), (len(pairs), 1)):
            raise InvalidArgument(
                f'{self._path}: output "{self._output}" has shape {output.shape} for {len(pairs)} pairs, expected one number for each; '
                "classifiers of several labels are no rerankers"
            )
        return output.reshape(len(pairs))


def load_local_reranker(
    folder: str, *, pins: Mapping[str, str], threads: int | None, files: Files | None = None, name: str | None = None
) -> LocalReranker:
    """The cross-encoder in a folder. Raises ModelNotFound, InvalidArgument for what cannot be run, CorruptionError for other bytes."""
    files = files or RealEnv().files
    _check_pins(files, folder, pins)
    weights = next((path for part in _WEIGHTS if files.exists(path := os.path.join(folder, part))), None)
    if weights is None:
        raise ModelNotFound(f"{folder} holds no reranker: none of {', '.join(_WEIGHTS)} is there")
    tokenizer_path, config_path = os.path.join(folder, "tokenizer.json"), os.path.join(folder, "config.json")
    if not files.exists(tokenizer_path):
        raise InvalidArgument(f"{tokenizer_path} is missing; export the tokenizer in its fast form (tokenizer.json)")
    config = read_json(files, config_path) or {}
    max_length = max_tokens_of(files, folder, config, {})
    if max_length < 8:
        raise InvalidArgument(f"{folder}: a limit of {max_length} tokens leaves no room for a query and a text")
    activation = _activation_of(config_path, config)
    name = name or os.path.basename(os.path.normpath(folder))
    identity = {
        "name": name,
        "files": digests_of(files, {}, weights=weights, tokenizer=tokenizer_path, config=config_path),
        "max_length": max_length,
        "activation": activation,
    }
    return LocalReranker(
        name=name,
        max_length=max_length,
        tokenizer=PairTokenizer(files.read(tokenizer_path), path=tokenizer_path, max_length=max_length),
        session=open_session(weights, path=weights, threads=threads, purpose="run a reranker"),
        path=weights,
        pad=_pad_of(config_path, config),
        activation=activation,
        identity=identity,
    )


def _check_pins(files: Files, folder: str, pins: Mapping[str, str]) -> None:
    for part, expected in pins.items():
        path = os.path.join(folder, part)
        if not files.exists(path):
            raise ModelNotFound(f"{path} is pinned and not there")
        if (found := sha256_of(files, path)) != expected.lower():
            raise CorruptionError(f"{path} has SHA-256 {found}, pinned is {expected}; get the file again from where it came from")


def _activation_of(path: str, config: Mapping[str, Any]) -> str:
    """The function that sentence-transformers would apply: the one named in config.json, a sigmoid if none is."""
    inner = config.get("sentence_transformers")
    places = [config, inner] if isinstance(inner, dict) else [config]
    stated = next((place[key] for place in places for key in _ACTIVATION_KEYS if place.get(key)), "Sigmoid")
    activation = str(stated).rpartition(".")[2]
    if activation not in _ACTIVATIONS:
        raise InvalidArgument(f"{path}: activation {stated!r} is not supported; supported are {', '.join(_ACTIVATIONS)}")
    labels = config.get("num_labels") or len(config.get("id2label") or [0])
    if labels != 1:
        raise InvalidArgument(f"{path}: the model has {labels} labels, a reranker has 1")
    return activation


def _pad_of(path: str, config: Mapping[str, Any]) -> int:
    pad = config.get("pad_token_id") or 0
    if not isinstance(pad, int) or pad < 0:
        raise InvalidArgument(f"{path}: pad_token_id must be the id of a token, got {pad!r}")
    return pad


def _choose_output(path: str, session: Any) -> str:
    names = [output.name for output in session.get_outputs()]
    if len(names) == 1:
        return names[0]
    for name in _OUTPUTS:
        if name in names:
            return name
    raise InvalidArgument(f"{path}: no output with scores of pairs; its outputs are {', '.join(names) or 'none'}")
