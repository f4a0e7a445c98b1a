"""From a name or a folder to an embedder."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vicino import models
from vicino.config import Config
from vicino.env import RealEnv
from vicino.errors import CorruptionError, InvalidArgument, MissingExtraError, ModelMismatchError, ModelNotFound
from vicino.models.bert import read_shape
from vicino.models.bert_numpy import view_tensors
from vicino.models.bert_onnx import build_graph
from vicino.models.catalog import MINILM, ModelSpec
from vicino.models.safetensors import read_tensors

TEXTS = ["a wing stalls at high angle of attack", "heat flows through the plate", ""]


def add_onnx(folder: Path, name: str = "model.onnx") -> None:
    """The tiny model as an .onnx file of a user, beside its weights."""
    import json

    files, weights = RealEnv().files, str(folder / "model.safetensors")
    tensors = read_tensors(files, weights)
    shape = read_shape("config.json", json.loads((folder / "config.json").read_text()))
    (folder / name).write_bytes(build_graph(shape, tensors, view_tensors(files.map(weights), tensors), "model.safetensors"))


def test_folder_of_weights_gives_equal_vectors_from_both_runners(tiny_folder: Path) -> None:
    by_onnx = models.load(tiny_folder, threads=1).embed_documents(TEXTS)
    by_numpy = models.load(tiny_folder, runner="numpy").embed_documents(TEXTS)
    assert by_onnx.shape == (3, 32)
    assert np.abs(by_onnx - by_numpy).max() < 1e-5
    assert np.linalg.norm(by_onnx, axis=1) == pytest.approx([1, 1, 1], abs=1e-6)


def test_folder_of_an_onnx_model_is_accepted(tiny_folder: Path) -> None:
    expected = models.load(tiny_folder, threads=1).embed_documents(TEXTS)
    add_onnx(tiny_folder)
    model = models.load(str(tiny_folder), threads=1)
    assert np.array_equal(model.embed_documents(TEXTS), expected)
    assert model.identity()["files"]["weights"] == hashlib.sha256((tiny_folder / "model.onnx").read_bytes()).hexdigest()


def test_tensors_beside_an_onnx_file_belong_to_its_identity(tiny_folder: Path) -> None:
    add_onnx(tiny_folder)
    (tiny_folder / "model.onnx_data").write_bytes(b"tensors")
    assert models.load(tiny_folder, threads=1).identity()["files"]["model.onnx_data"] == hashlib.sha256(b"tensors").hexdigest()


def test_weights_may_be_a_link(tiny_folder: Path, tmp_path: Path) -> None:
    expected = models.load(tiny_folder, threads=1).embed_query("wing")
    (tiny_folder / "model.safetensors").rename(tmp_path / "blob")
    (tiny_folder / "model.safetensors").symlink_to(tmp_path / "blob")
    assert np.array_equal(models.load(tiny_folder, threads=1).embed_query("wing"), expected)


def test_identity_says_everything_that_decides_the_vectors(tiny_folder: Path) -> None:
    def digest(name: str) -> str:
        return hashlib.sha256((tiny_folder / name).read_bytes()).hexdigest()

    assert models.load(tiny_folder, threads=1).identity() == {
        "name": "tiny model",
        "source": None,
        "revision": None,
        "location": str(tiny_folder),
        "dim": 32,
        "files": {"weights": digest("model.safetensors"), "tokenizer": digest("tokenizer.json"), "config": digest("config.json")},
        "pooling": "mean",
        "normalize": True,
        "max_tokens": 16,
        "lower": False,
        "prompts": {"document": "", "query": ""},
        "precision": "float32",
    }


def test_model_with_another_pooling_does_not_match(tiny_folder: Path) -> None:
    stored = models.load(tiny_folder, threads=1).identity()
    (tiny_folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    with pytest.raises(ModelMismatchError, match="pooling 'mean' there, 'cls' here"):
        models.check_identity(stored, models.load(tiny_folder, threads=1))


def test_known_model_that_is_not_here_names_size_license_and_command(config: Config) -> None:
    with pytest.raises(ModelNotFound) as raised:
        models.load("minilm", config=config)
    assert str(raised.value) == (
        'model "minilm" (all-MiniLM-L6-v2, 91 MB, Apache-2.0) is not on this machine '
        f"(looked in {config.models.folder}); download it once with `vicino models pull minilm`"
    )


def test_offline_says_so_instead_of_naming_a_command_that_fails(config: Config) -> None:
    with pytest.raises(ModelNotFound) as raised:
        models.load("minilm", config=replace(config, offline=True))
    expected = (
        f"VICINO_OFFLINE is set, so nothing is downloaded; unset it, or copy the model's files to {MINILM.folder(config.models.folder)}"
    )
    assert expected in str(raised.value)


def test_misspelt_name_is_answered_with_the_right_one(config: Config) -> None:
    with pytest.raises(ModelNotFound, match=r'no model is called "minilmm"\. Did you mean "minilm"\?'):
        models.load("minilmm", config=config)


def test_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=f"there is no model folder {tmp_path}/nothing"):
        models.load(tmp_path / "nothing")


def test_folder_without_a_model_says_what_is_missing(tiny_folder: Path) -> None:
    (tiny_folder / "model.safetensors").unlink()
    with pytest.raises(ModelNotFound, match=r"none of model\.onnx, model\.safetensors, onnx/model\.onnx is there"):
        models.load(tiny_folder)


def test_folder_without_a_tokenizer_says_so(tiny_folder: Path) -> None:
    (tiny_folder / "tokenizer.json").unlink()
    with pytest.raises(InvalidArgument, match=r"tokenizer\.json is missing"):
        models.load(tiny_folder)


def test_numpy_cannot_run_an_onnx_file(tiny_folder: Path) -> None:
    add_onnx(tiny_folder)
    with pytest.raises(InvalidArgument, match="can be run by runner \"onnx\" only, got 'numpy'"):
        models.load(tiny_folder, runner="numpy")


def test_unknown_runner_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(InvalidArgument, match='runner must be "onnx" or "numpy", got \'torch\''):
        models.load(tiny_folder, runner="torch")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers"])
def test_missing_package_gives_the_line_that_installs_it(tiny_folder: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf'{package} is needed to .*; run: pip install "vicino\[embed\]"'):
        models.load(tiny_folder)


def test_numpy_runner_needs_no_onnxruntime(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert models.load(tiny_folder, runner="numpy").embed_query("wing").shape == (32,)


def test_damaged_file_of_a_known_model_is_found_by_its_hash(tiny_spec: ModelSpec, config: Config) -> None:
    path = Path(models.pull("tiny", config=config).path) / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptionError) as raised:
        models.load("tiny", config=config)
    assert f"{path} has SHA-256 {hashlib.sha256(content).hexdigest()}, expected" in str(raised.value)
    assert "repair it with `vicino models pull tiny`" in str(raised.value)


def test_download_pulls_a_model_that_is_not_here(tiny_spec: ModelSpec, config: Config) -> None:
    model = models.load("tiny", download=True, threads=1, config=config)
    assert (model.name, model.dim, model.identity()["revision"]) == ("tiny", 32, tiny_spec.revision)


def test_known_model_and_a_folder_of_the_same_files_match(tiny_spec: ModelSpec, tiny_folder: Path, config: Config) -> None:
    stored = models.load("tiny", download=True, threads=1, config=config).identity()
    models.check_identity(stored, models.load(tiny_folder, threads=1))


def test_list_says_what_is_here(tiny_spec: ModelSpec, config: Config) -> None:
    models.pull("tiny", config=config)
    found = {model.name: (model.dim, model.license, model.is_pulled) for model in models.list(config=config)}
    assert found == {"minilm": (384, "Apache-2.0", False), "tiny": (32, "CC0-1.0", True)}
