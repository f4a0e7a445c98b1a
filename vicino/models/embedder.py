"""What turns text into vectors, and how two of them are told apart.

A collection remembers the identity of the model that made its vectors. Vectors of another model, or of the same one with another pooling,
prompt or limit, lie in another space: comparing the two gives numbers that mean nothing, so a mixed write is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from vicino.errors import ModelMismatchError

Matrix = npt.NDArray[np.float32]
"""Vectors as rows, (n, dim) float32."""

_LABELS = frozenset({"name", "source", "revision", "location"})


@runtime_checkable
class Embedder(Protocol):
    """Text to vectors. Any object with these members will do; all of them may be called from several threads at once."""

    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...
    def embed_documents(self, texts: Sequence[str]) -> Matrix:
        """The vectors of texts to be found: (len(texts), dim) float32, C-contiguous."""
        ...

    def embed_query(self, text: str) -> Matrix:
        """The vector of a question: (dim,) float32. Some models prepare questions and documents differently."""
        ...

    def identity(self) -> dict[str, Any]:
        """Everything that decides the vectors, as JSON values: at least `name` and `dim`.

        With `files` (name -> SHA-256 of what the model is made of), `name`, `source`, `revision` and `location` are labels that may
        differ; without it they count.
        """
        ...


def check_identity(stored: Mapping[str, Any], embedder: Embedder) -> None:
    """Raise ModelMismatchError unless `embedder` is the model whose identity is `stored`. Costs microseconds."""
    given = embedder.identity()
    labels = _LABELS if stored.get("files") and given.get("files") else frozenset({"location"})
    keys = sorted((stored.keys() | given.keys()) - labels)
    differences = [_difference(key, stored.get(key), given.get(key)) for key in keys if stored.get(key) != given.get(key)]
    if differences:
        raise ModelMismatchError(
            f"the collection's vectors come from model {_title(stored)}, this is {_title(given)}: {'; '.join(differences)}. "
            "Use the model of the collection, or create another collection for this one"
        )


def _title(identity: Mapping[str, Any]) -> str:
    revision = identity.get("revision")
    return f'"{identity.get("name", "?")}"' + (f" (revision {str(revision)[:12]})" if revision else "")


def _difference(key: str, stored: object, given: object) -> str:
    if key == "files" and isinstance(stored, Mapping) and isinstance(given, Mapping):
        names = sorted(name for name in stored.keys() | given.keys() if stored.get(name) != given.get(name))
        return ", ".join(f"SHA-256 of {name} {_short(stored.get(name))} there, {_short(given.get(name))} here" for name in names)
    return f"{key} {stored!r} there, {given!r} here"


def _short(digest: object) -> str:
    return f"{str(digest)[:12]}…" if digest else "none"
