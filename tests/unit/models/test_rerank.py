"""Finding rerankers by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from vicino.config import Config, ModelSettings
from vicino.errors import InvalidArgument, ModelNotFound
from vicino.models import Reranker, load_reranker, register_reranker, rerank
from vicino.models.rerank import named_reranker


class Fixed:
    name, max_length = "fixed", 100

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        return [0.0] * len(texts)


@pytest.fixture(autouse=True)
def _registry_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerank, "_registered", {})


def test_registered_reranker_is_found_by_its_name() -> None:
    reranker = Fixed()
    register_reranker("house", reranker)
    assert named_reranker("house") is load_reranker("house") is reranker


def test_registered_function_is_called_once() -> None:
    made: list[Fixed] = []
    register_reranker("house", lambda: made.append(Fixed()) or made[-1])
    assert named_reranker("house") is named_reranker("house") is made[0]
    assert len(made) == 1


def test_function_that_makes_no_reranker_is_named() -> None:
    register_reranker("house", lambda: 7)  # type: ignore[arg-type,return-value]
    with pytest.raises(InvalidArgument, match='"house" gave int'):
        named_reranker("house")


def test_what_cannot_score_is_not_registered() -> None:
    with pytest.raises(InvalidArgument, match="must have scores"):
        register_reranker("house", object())  # type: ignore[arg-type]


def test_object_with_the_members_is_a_reranker() -> None:
    assert isinstance(Fixed(), Reranker)


def test_unknown_name_is_told_with_what_was_meant(tmp_path: Path) -> None:
    register_reranker("house", Fixed())
    with pytest.raises(ModelNotFound, match='no reranker is called "hose"\\. Did you mean "house"'):
        named_reranker("hose", config=Config(models=ModelSettings(folder=str(tmp_path))))


@pytest.mark.parametrize("name", ["../outside", "/etc", "..", "a/b"])
def test_name_leads_to_no_folder_outside(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelNotFound, match="no reranker is called"):
        named_reranker(name, config=Config(models=ModelSettings(folder=str(tmp_path / "models"))))


def test_folder_that_is_not_there_is_told() -> None:
    with pytest.raises(ModelNotFound, match=r"no folder .*nowhere, and not of the form cohere/MODEL"):
        load_reranker("./nowhere")


def test_options_of_folders_do_not_go_with_services() -> None:
    with pytest.raises(InvalidArgument, match="go with a folder"):
        load_reranker("cohere/rerank-v3.5", pins={"model.onnx": "00"})
