"""A model small enough to make in a test: two layers, 32 dimensions, thirty words, random weights from a seed."""

from __future__ import annotations

import hashlib
import http.server
import json
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vicino.config import Config, ModelSettings
from vicino.models import catalog
from vicino.models.bert import BertShape
from vicino.models.catalog import ModelSpec, PinnedFile, Wheel

MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
SENTENCE = "a wing stalls at high angle of attack heat flows through the thin plate in supersonic boundary layer"
WORDS = MARKS + SENTENCE.split()
SHAPE = BertShape(n_layers=2, n_heads=4, dim=32, inner_dim=64, n_words=len(WORDS), n_positions=24, n_types=2, epsilon=1e-12)


def write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    header, offset = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + b"".join(values.tobytes() for values in tensors.values()))


def write_model(folder: Path) -> None:
    rng = np.random.default_rng(7)
    weights = {name: rng.normal(0.0, 0.3, extents).astype(np.float32) for name, extents in SHAPE.tensors()}
    write_safetensors(folder / "model.safetensors", weights)
    config = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "num_hidden_layers": SHAPE.n_layers,
        "num_attention_heads": SHAPE.n_heads,
        "hidden_size": SHAPE.dim,
        "intermediate_size": SHAPE.inner_dim,
        "vocab_size": SHAPE.n_words,
        "max_position_embeddings": SHAPE.n_positions,
        "type_vocab_size": SHAPE.n_types,
        "layer_norm_eps": SHAPE.epsilon,
    }
    write_json(folder / "config.json", config)
    steps = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    write_json(folder / "modules.json", [{"type": f"sentence_transformers.models.{name}", "path": path} for name, path in steps.items()])
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 16, "do_lower_case": False})
    (folder / "1_Pooling").mkdir()
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": SHAPE.dim, "pooling_mode_mean_tokens": True})
    write_tokenizer(folder / "tokenizer.json")


def write_tokenizer(path: Path) -> None:
    marks = [{"id": WORDS.index(mark), "content": mark, "special": True} for mark in MARKS]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    tokenizer = {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0},
        "padding": None,
        "added_tokens": [mark | flags for mark in marks],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": False,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {word: index for index, word in enumerate(WORDS)},
        },
    }
    write_json(path, tokenizer)


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))


@pytest.fixture(scope="session")
def _written_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_model(folder)
    return folder


@pytest.fixture
def tiny_folder(_written_once: Path, tmp_path: Path) -> Path:
    """A model folder of its own for one test, to be changed at will."""
    folder = tmp_path / "tiny model"
    for source in sorted(_written_once.rglob("*")):
        target = folder / source.relative_to(_written_once)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_file():
            target.write_bytes(source.read_bytes())
    return folder


@pytest.fixture
def tiny_spec(_written_once: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """The tiny model as one that vicino knows by the name "tiny"."""
    pinned = [
        PinnedFile(str(path.relative_to(_written_once)), path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(_written_once.rglob("*"))
        if path.is_file()
    ]
    spec = ModelSpec(
        name="tiny",
        title="Tiny BERT",
        description="random weights",
        dim=SHAPE.dim,
        max_tokens=16,
        license="CC0-1.0",
        hub="somebody/tiny",
        revision="0123456789abcdef",
        files=tuple(pinned),
        wheel=Wheel(package="tiny-model", version="1.0", prefix="tiny_model/files/"),
    )
    monkeypatch.setitem(catalog.CATALOG, "tiny", spec)
    return spec


class Hub:
    """A stand-in for the model hub: serves a folder at the addresses of one model, and lies where it is told to."""

    def __init__(self, folder: Path, spec: ModelSpec) -> None:
        self.requests: list[str] = []
        self.replaced: dict[str, bytes] = {}
        self.cut: dict[str, int] = {}
        self.status = 200
        hub, prefix = self, f"/{spec.hub}/resolve/{spec.revision}/"

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.removeprefix(prefix)
                hub.requests.append(path)
                content = hub.replaced.get(path, (folder / path).read_bytes()) if self.path.startswith(prefix) else b""
                self.send_response(hub.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: hub.cut.get(path, len(content))])

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def hub(_written_once: Path, tiny_spec: ModelSpec) -> Iterator[Hub]:
    hub = Hub(_written_once, tiny_spec)
    thread = threading.Thread(target=hub.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield hub
    hub.server.shutdown()
    hub.server.server_close()
    thread.join()


@pytest.fixture
def config(hub: Hub, tmp_path: Path) -> Config:
    return Config(models=ModelSettings(folder=str(tmp_path / "models"), hub_url=hub.url))
