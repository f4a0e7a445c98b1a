"""A model folder as sentence-transformers lays it out, read file by file.

    modules.json                        the steps: Transformer, Pooling and perhaps Normalize, each with the path of its own folder
    config.json                         the encoder
    sentence_bert_config.json           max_seq_length, do_lower_case
    config_sentence_transformers.json   prompts (optional)
    1_Pooling/config.json               how token vectors become one
    tokenizer.json                      the tokenizer
    model.onnx, onnx/model.onnx or model.safetensors

What cannot be honored is refused by name: a vector that is nearly right would be found out much later, by bad answers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vicino.env import Files
from vicino.errors import CorruptionError, InvalidArgument
from vicino.models.local import Pooling

_POOLING_MODES: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
_UNLIMITED = 1 << 20  # tokenizers without a limit of their own say 10^30
_ENCODER_STEPS = {"Transformer", "Pooling", "Normalize"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """What a folder says about its model; `config` is its config.json, or empty if there is none."""

    path: str
    config: Mapping[str, Any]
    pooling: Pooling
    normalize: bool
    max_tokens: int
    lower: bool
    prompts: Mapping[str, str]


def read_folder(files: Files, path: str) -> ModelFolder:
    """Read and check the settings in folder `path`. Raises InvalidArgument naming the file and setting that vicino cannot honor."""
    steps = _steps(files, path)
    transformer = os.path.join(path, steps.get("Transformer", ""))
    config = read_json(files, os.path.join(transformer, "config.json")) or {}
    sentence = read_json(files, os.path.join(transformer, "sentence_bert_config.json")) or {}
    prompts = _prompts(files, path)
    return ModelFolder(
        path=transformer,
        config=config,
        pooling=_pooling(files, os.path.join(path, steps.get("Pooling", "1_Pooling"), "config.json"), has_prompts=any(prompts.values())),
        normalize="Normalize" in steps,
        max_tokens=max_tokens_of(files, transformer, config, sentence),
        lower=bool(sentence.get("do_lower_case", False)),
        prompts=prompts,
    )


def read_json(files: Files, path: str) -> dict[str, Any] | None:
    """The JSON object in a file; None if there is no such file."""
    if not files.exists(path):
        return None
    try:
        content = json.loads(files.read(path))
    except (ValueError, RecursionError) as error:
        raise CorruptionError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise CorruptionError(f"{path} must hold a JSON object, got {type(content).__name__}")
    return content


def _steps(files: Files, folder: str) -> dict[str, str]:
    """Last word of each step's type -> its path. Without a modules.json: the encoder and whatever pooling file lies there."""
    path = os.path.join(folder, "modules.json")
    if not files.exists(path):
        return {"Transformer": "", "Pooling": "1_Pooling"}
    try:
        modules = json.loads(files.read(path))
        steps = {str(module["type"]).rsplit(".", 1)[-1]: str(module.get("path", "")) for module in modules}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise CorruptionError(f'{path} must hold a list of steps with "type" and "path": {error!r}') from error
    if unknown := sorted(steps.keys() - _ENCODER_STEPS):
        raise InvalidArgument(f"{path}: step {', '.join(unknown)} is not supported; supported are {', '.join(sorted(_ENCODER_STEPS))}")
    if any(os.path.isabs(step) or ".." in step.split("/") for step in steps.values()):
        raise InvalidArgument(f"{path}: a step lies outside the model's folder: {', '.join(sorted(steps.values()))}")
    return steps


def _pooling(files: Files, path: str, *, has_prompts: bool) -> Pooling:
    if (settings := read_json(files, path)) is None:
        raise InvalidArgument(
            f"{path} is missing, so it is unknown how token vectors become one; "
            'write the file, for example {"pooling_mode_mean_tokens": true} (see the model\'s card)'
        )
    modes = [key for key, value in settings.items() if key.startswith("pooling_mode_") and value is True]
    if len(modes) != 1 or modes[0] not in _POOLING_MODES:
        raise InvalidArgument(f"{path}: exactly one of {', '.join(_POOLING_MODES)} must be true, got {', '.join(modes) or 'none'}")
    if has_prompts and settings.get("include_prompt", True) is not True:
        raise InvalidArgument(f"{path}: include_prompt false (prompts left out of pooling) is not supported")
    return _POOLING_MODES[modes[0]]


def max_tokens_of(files: Files, folder: str, config: Mapping[str, Any], sentence: Mapping[str, Any]) -> int:
    """The smallest limit that the files of a model state. Raises InvalidArgument if none does."""
    tokenizer = read_json(files, os.path.join(folder, "tokenizer_config.json")) or {}
    stated = [sentence.get("max_seq_length"), tokenizer.get("model_max_length"), config.get("max_position_embeddings")]
    limits = [int(limit) for limit in stated if isinstance(limit, int | float) and 0 < limit < _UNLIMITED]
    if not limits:
        raise InvalidArgument(
            f'{folder}: no limit of tokens found; write it to sentence_bert_config.json, for example {{"max_seq_length": 512}}'
        )
    return min(limits)


def _prompts(files: Files, folder: str) -> dict[str, str]:
    """What is put before a document and before a query; empty texts if the model has no prompts."""
    path = os.path.join(folder, "config_sentence_transformers.json")
    settings = read_json(files, path) or {}
    prompts = settings.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(prompt, str) for prompt in prompts.values()):
        raise CorruptionError(f"{path}: prompts must be an object of texts, got {str(prompts)[:100]}")
    default = prompts.get(settings.get("default_prompt_name") or "", "")
    document = next((prompts[name] for name in _DOCUMENT_PROMPTS if name in prompts), default)
    return {"document": document, "query": prompts.get("query", default)}
