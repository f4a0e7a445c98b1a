"""Telling models apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vicino.errors import ModelMismatchError
from vicino.models import Embedder, check_identity

STORED: dict[str, Any] = {
    "name": "minilm",
    "revision": "1110a243fdf4",
    "location": "minilm",
    "dim": 384,
    "files": {"weights": "53aa51172d142c89", "tokenizer": "be50c3628f2bf5bb"},
    "pooling": "mean",
}


class Model:
    """An embedder of a user: it needs nothing from vicino."""

    def __init__(self, identity: dict[str, Any]) -> None:
        self.name, self.dim = identity["name"], identity["dim"]
        self._identity = identity

    def embed_documents(self, texts: Any) -> Any:
        return np.zeros((len(texts), self.dim), dtype=np.float32)

    def embed_query(self, text: str) -> Any:
        return np.zeros(self.dim, dtype=np.float32)

    def identity(self) -> dict[str, Any]:
        return self._identity


def test_any_object_with_the_members_is_an_embedder() -> None:
    assert isinstance(Model(STORED), Embedder)


def test_the_same_model_is_accepted() -> None:
    check_identity(STORED, Model(dict(STORED)))


@pytest.mark.parametrize("label", ["name", "source", "revision", "location"])
def test_labels_may_differ_when_the_files_are_equal(label: str) -> None:
    check_identity(STORED, Model(STORED | {label: "other"}))


def test_other_weights_are_refused_naming_both_hashes() -> None:
    other = STORED | {"files": STORED["files"] | {"weights": "0123456789abcdef"}}
    with pytest.raises(ModelMismatchError) as raised:
        check_identity(STORED, Model(other))
    assert str(raised.value) == (
        'the collection\'s vectors come from model "minilm" (revision 1110a243fdf4), this is "minilm" (revision 1110a243fdf4): '
        "SHA-256 of weights 53aa51172d14… there, 0123456789ab… here. "
        "Use the model of the collection, or create another collection for this one"
    )


def test_missing_part_of_a_model_is_a_difference() -> None:
    with pytest.raises(ModelMismatchError, match="SHA-256 of tokenizer be50c3628f2b… there, none here"):
        check_identity(STORED, Model(STORED | {"files": {"weights": "53aa51172d142c89"}}))


@pytest.mark.parametrize(("key", "value"), [("pooling", "cls"), ("dim", 768), ("max_tokens", 512)])
def test_other_settings_of_the_same_files_are_refused(key: str, value: object) -> None:
    with pytest.raises(ModelMismatchError, match=f"{key} .* there, {value!r} here"):
        check_identity(STORED, Model(STORED | {key: value}))


def test_name_counts_for_models_without_files() -> None:
    stored = {"name": "remote-small", "dim": 8}
    check_identity(stored, Model(dict(stored)))
    with pytest.raises(ModelMismatchError, match="name 'remote-small' there, 'remote-large' here"):
        check_identity(stored, Model({"name": "remote-large", "dim": 8}))
