"""Embedding models and rerankers: which there are, getting their files, loading them.

vicino.models.pull("minilm")            # once; nothing else ever downloads
model = vicino.models.load("minilm")    # or the folder of a model of your own
model.embed_query("how do wings stall")
"""

from __future__ import annotations

import builtins
import os
from typing import TYPE_CHECKING, Literal

from vicino.models.catalog import ModelInfo, list_models
from vicino.models.embedder import Embedder, check_identity
from vicino.models.multi import FixedEncoding, pool_tokens
from vicino.models.rerank import Reranker, load_reranker, register_reranker
from vicino.models.rerank_hosted import HostedReranker

if TYPE_CHECKING:
    from vicino.config import Config
    from vicino.models.progress import Progress

__all__ = [
    "Embedder",
    "FixedEncoding",
    "HostedReranker",
    "ModelInfo",
    "Reranker",
    "check_identity",
    "list",
    "load",
    "load_reranker",
    "pool_tokens",
    "pull",
    "register_reranker",
]


def list(*, config: Config | None = None) -> builtins.list[ModelInfo]:
    """All models vicino knows by name, sorted by it, and whether their files are on this machine."""
    return list_models(config=config)


def load(
    name_or_path: str | os.PathLike[str],
    *,
    download: bool = False,
    runner: Literal["onnx", "numpy"] = "onnx",
    threads: int | None = None,
    progress: Progress = None,
    config: Config | None = None,
) -> Embedder:
    """The embedder of a model: one of `list()` by name, or a folder as sentence-transformers lays it out, with a model.onnx.

    download: pull the model first if its files are not here; without it a missing model raises ModelNotFound.
    runner: "onnx" needs onnxruntime; "numpy" is slower and needs it not, and cannot run a model.onnx.
    threads: how many threads embed; default from the settings, else all cores. The numpy runner follows numpy's own setting.
    Takes some 0.2 s for minilm: every file is compared with its pinned hash. Raises MissingExtraError without `vicino[embed]`.
    """
    from vicino.models.loading import load_model

    if download and any(model.name == name_or_path and not model.is_pulled for model in list(config=config)):
        pull(str(name_or_path), progress=progress, config=config)
    return load_model(name_or_path, runner=runner, threads=threads, config=config)


def pull(name: str, *, progress: Progress = None, config: Config | None = None) -> ModelInfo:
    """Get the files of a model called `name`, each checked against its pinned hash; does nothing if they are here and whole.

    progress: None shows a bar on stderr after two seconds if that is a terminal, True at once, False never; a callable gets (done,
    total) in bytes. Raises ModelNotFound if the name is unknown or VICINO_OFFLINE forbids it, CorruptionError if a source gives other
    bytes than the pinned ones, StorageError if no source can be reached.
    """
    from vicino.models.fetch import pull_model

    return pull_model(name, progress=progress, config=config)
