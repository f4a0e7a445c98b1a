"""From a name or a folder to an embedder. Every file that decides the vectors is hashed on the way: the hashes are its identity."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any, Literal

from vicino.config import Config, from_environment
from vicino.env import Files, RealEnv
from vicino.errors import CorruptionError, InvalidArgument, ModelNotFound
from vicino.models.bert import check_tensors, read_shape
from vicino.models.bert_numpy import NumpyBert, view_tensors
from vicino.models.bert_onnx import build_graph
from vicino.models.catalog import CATALOG, ModelSpec, find_spec, missing_model
from vicino.models.folder import ModelFolder, read_folder
from vicino.models.local import LocalEmbedder
from vicino.models.onnx_runner import OnnxRunner
from vicino.models.runner import Runner
from vicino.models.safetensors import read_tensors
from vicino.models.tokenizer import TextTokenizer

RunnerName = Literal["onnx", "numpy"]

# In this order: an .onnx file at the top was put there on purpose; onnx/ is where the hub keeps one of several forms.
_WEIGHTS = ("model.onnx", "model.safetensors", "onnx/model.onnx")
_PRECISION = "float32"


def load_model(
    name_or_path: str | os.PathLike[str],
    *,
    runner: RunnerName = "onnx",
    threads: int | None = None,
    config: Config | None = None,
) -> LocalEmbedder:
    """The embedder called `name_or_path`, or the one in that folder; see `vicino.models.load`."""
    if runner not in ("onnx", "numpy"):
        raise InvalidArgument(f'runner must be "onnx" or "numpy", got {runner!r}')
    config = config or from_environment()
    files = RealEnv().files
    given = os.fspath(name_or_path)
    threads = threads or config.models.threads
    if given in CATALOG and isinstance(name_or_path, str):
        return _load_known(files, CATALOG[given], config, runner, threads)
    folder = os.path.abspath(os.path.expanduser(given))
    if not files.is_dir(folder):
        if os.sep in given or not isinstance(name_or_path, str):
            raise ModelNotFound(f"there is no model folder {folder}")
        find_spec(given)  # raises, with the names there are
    labels = {"name": os.path.basename(folder), "source": None, "revision": None, "location": folder}
    return _load_folder(files, folder, labels, runner, threads, None)


def _load_known(files: Files, spec: ModelSpec, config: Config, runner: RunnerName, threads: int | None) -> LocalEmbedder:
    if not spec.is_pulled(files, config.models.folder):
        raise missing_model(spec, config)
    folder = spec.folder(config.models.folder)
    digests = {file.path: sha256_of(files, os.path.join(folder, file.path)) for file in spec.files}
    for file in spec.files:
        if digests[file.path] != file.sha256:
            raise CorruptionError(
                f"{os.path.join(folder, file.path)} has SHA-256 {digests[file.path]}, expected {file.sha256}; "
                f"repair it with `vicino models pull {spec.name}`"
            )
    labels = {"name": spec.name, "source": spec.hub, "revision": spec.revision, "location": spec.name}
    return _load_folder(files, folder, labels, runner, threads, digests)


def _load_folder(
    files: Files, folder: str, labels: Mapping[str, Any], runner: RunnerName, threads: int | None, digests: Mapping[str, str] | None
) -> LocalEmbedder:
    """digests: SHA-256 of files by their path in the folder, where they are known already."""
    model = read_folder(files, folder)
    weights = _find_weights(files, model)
    tokenizer_path = os.path.join(model.path, "tokenizer.json")
    if not files.exists(tokenizer_path):
        raise InvalidArgument(f"{tokenizer_path} is missing; export the tokenizer in its fast form (tokenizer.json)")
    known = {os.path.join(folder, path): digest for path, digest in (digests or {}).items()}
    built = _build_runner(files, model, weights, runner, threads)
    identity = {
        **labels,
        "dim": built.dim,
        "files": digests_of(files, known, weights=weights, tokenizer=tokenizer_path, config=os.path.join(model.path, "config.json")),
        "pooling": model.pooling,
        "normalize": model.normalize,
        "max_tokens": model.max_tokens,
        "lower": model.lower,
        "prompts": dict(model.prompts),
        "precision": _PRECISION,
    }
    return LocalEmbedder(
        name=labels["name"],
        tokenizer=TextTokenizer(files.read(tokenizer_path), path=tokenizer_path, max_tokens=model.max_tokens, lower=model.lower),
        runner=built,
        pooling=model.pooling,
        normalize=model.normalize,
        prompts=model.prompts,
        identity=identity,
    )


def _find_weights(files: Files, model: ModelFolder) -> str:
    for name in _WEIGHTS:
        if files.exists(path := os.path.join(model.path, name)):
            return path
    raise ModelNotFound(f"{model.path} holds no model: none of {', '.join(_WEIGHTS)} is there")


def _build_runner(files: Files, model: ModelFolder, weights: str, runner: RunnerName, threads: int | None) -> Runner:
    if weights.endswith(".onnx"):
        if runner != "onnx":
            raise InvalidArgument(f'{weights} can be run by runner "onnx" only, got {runner!r}')
        return OnnxRunner(weights, path=weights, threads=threads)
    # A hub's cache keeps links to its files; the graph names a file beside it, so the link is followed first.
    path = os.path.realpath(weights)
    shape = read_shape(os.path.join(model.path, "config.json"), model.config)
    if model.max_tokens > shape.n_positions:
        raise InvalidArgument(f"{model.path}: max_seq_length {model.max_tokens} is above max_position_embeddings {shape.n_positions}")
    tensors = read_tensors(files, path)
    check_tensors(path, shape, tensors)
    arrays = view_tensors(files.map(path), tensors)
    if runner == "numpy":
        return NumpyBert(shape, arrays)
    graph = build_graph(shape, tensors, arrays, os.path.basename(path))
    return OnnxRunner(graph, path=path, weights_folder=os.path.dirname(path), threads=threads)


def digests_of(files: Files, known: Mapping[str, str], *, weights: str, tokenizer: str, config: str) -> dict[str, str]:
    """SHA-256 of each part of a model that is there. An .onnx file may keep its tensors in files named after it: they count too."""
    folder, name = os.path.split(weights)
    beside = [other for other in files.list(folder) if other.startswith(name) and other != name] if name.endswith(".onnx") else []
    parts = {"weights": weights, "tokenizer": tokenizer, "config": config, **{other: os.path.join(folder, other) for other in beside}}
    return {part: known.get(path) or sha256_of(files, path) for part, path in parts.items() if files.exists(path)}


def sha256_of(files: Files, path: str) -> str:
    """About 60 ms for the 91 MB of MiniLM on a processor with SHA instructions."""
    return hashlib.sha256(memoryview(files.map(path))).hexdigest()
