"""Settings of a model folder: honored or refused, never guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vicino.env import RealEnv
from vicino.errors import CorruptionError, Error, InvalidArgument
from vicino.models.folder import ModelFolder, read_folder


def read(folder: Path, changed: dict[str, Any] | None = None) -> ModelFolder:
    for name, content in (changed or {}).items():
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return read_folder(RealEnv().files, str(folder))


def step(name: str, path: str) -> dict[str, str]:
    return {"type": f"sentence_transformers.models.{name}", "path": path}


def test_reads_the_layout_of_sentence_transformers(tiny_folder: Path) -> None:
    model = read(tiny_folder)
    assert (model.pooling, model.normalize, model.max_tokens, model.lower) == ("mean", True, 16, False)
    assert model.prompts == {"document": "", "query": ""}


def test_vectors_keep_their_length_without_a_normalize_step(tiny_folder: Path) -> None:
    assert not read(tiny_folder, {"modules.json": [step("Transformer", ""), step("Pooling", "1_Pooling")]}).normalize
    assert not read(tiny_folder, {"modules.json": None}).normalize


def test_encoder_may_lie_in_a_folder_of_its_own(tiny_folder: Path) -> None:
    (tiny_folder / "0_Transformer").mkdir()
    (tiny_folder / "0_Transformer" / "sentence_bert_config.json").write_text('{"max_seq_length": 9}')
    model = read(tiny_folder, {"modules.json": [step("Transformer", "0_Transformer"), step("Pooling", "1_Pooling")]})
    assert (model.path, model.max_tokens) == (str(tiny_folder / "0_Transformer"), 9)


@pytest.mark.parametrize("mode", [("cls_token", "cls"), ("max_tokens", "max"), ("lasttoken", "last")], ids=lambda mode: mode[1])
def test_pooling_modes(tiny_folder: Path, mode: tuple[str, str]) -> None:
    settings = {"pooling_mode_mean_tokens": False, f"pooling_mode_{mode[0]}": True}
    assert read(tiny_folder, {"1_Pooling/config.json": settings}).pooling == mode[1]


def test_smallest_limit_counts(tiny_folder: Path) -> None:
    limits = {"sentence_bert_config.json": {"max_seq_length": 100}, "tokenizer_config.json": {"model_max_length": 1e30}}
    assert read(tiny_folder, limits).max_tokens == 24


def test_prompts_are_found_by_side(tiny_folder: Path) -> None:
    prompts = {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": None}
    assert read(tiny_folder, {"config_sentence_transformers.json": prompts}).prompts == {"document": "passage: ", "query": "query: "}


def test_default_prompt_serves_both_sides(tiny_folder: Path) -> None:
    prompts = {"prompts": {"sts": "sts: "}, "default_prompt_name": "sts"}
    assert read(tiny_folder, {"config_sentence_transformers.json": prompts}).prompts == {"document": "sts: ", "query": "sts: "}


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"1_Pooling/config.json": None}, InvalidArgument, "1_Pooling/config.json is missing, so it is unknown how token vectors"),
        ({"1_Pooling/config.json": {}}, InvalidArgument, "must be true, got none"),
        (
            {"1_Pooling/config.json": {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}},
            InvalidArgument,
            "must be true, got pooling_mode_mean_tokens, pooling_mode_cls_token",
        ),
        ({"1_Pooling/config.json": {"pooling_mode_weightedmean_tokens": True}}, InvalidArgument, "got pooling_mode_weightedmean_tokens"),
        ({"modules.json": [step("Transformer", ""), step("Dense", "2_Dense")]}, InvalidArgument, "step Dense is not supported"),
        ({"modules.json": [step("Pooling", "../1_Pooling")]}, InvalidArgument, "a step lies outside the model's folder"),
        ({"modules.json": [step("Pooling", "/1_Pooling")]}, InvalidArgument, "a step lies outside the model's folder"),
        ({"modules.json": "[5]"}, CorruptionError, 'must hold a list of steps with "type" and "path"'),
        ({"modules.json": "{"}, CorruptionError, "must hold a list of steps"),
        ({"config.json": "{"}, CorruptionError, "config.json is not JSON"),
        ({"config.json": "[]"}, CorruptionError, "config.json must hold a JSON object, got list"),
        ({"config_sentence_transformers.json": {"prompts": {"query": 5}}}, CorruptionError, "prompts must be an object of texts"),
        ({"config.json": {}, "sentence_bert_config.json": None}, InvalidArgument, "no limit of tokens found"),
    ],
    ids=[
        "no pooling", "empty pooling", "two poolings", "unknown pooling", "unknown step", "step above", "absolute step", "odd step",
        "broken modules", "broken config", "list config", "odd prompts", "no limit",
    ],
)  # fmt: skip
def test_what_cannot_be_honored_is_refused(tiny_folder: Path, changed: dict[str, Any], kind: type[Error], message: str) -> None:
    with pytest.raises(kind) as raised:
        read(tiny_folder, changed)
    assert message in str(raised.value)


def test_prompts_left_out_of_pooling_are_refused(tiny_folder: Path) -> None:
    pooling = {"pooling_mode_mean_tokens": True, "include_prompt": False}
    assert read(tiny_folder, {"1_Pooling/config.json": pooling}).pooling == "mean"
    with pytest.raises(InvalidArgument, match="include_prompt false"):
        read(tiny_folder, {"config_sentence_transformers.json": {"prompts": {"query": "query: "}}})
