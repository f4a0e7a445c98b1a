"""How a command line says an index: its kind, and parameters as NAME=VALUE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from vicino.collection.index_spec import IndexSpec
from vicino.errors import InvalidArgument
from vicino.query.rescoring import RescoreBy

index_option = click.option(
    "--index-option",
    "index_options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Parameter of the index, such as m=32, nlist=1024, nprobe=16, bits=8 or layout=disk; may be given again.",
)


def read_index(kind: str, options: Sequence[str], **more: Any) -> IndexSpec:
    """The index of this kind with the parameters that were typed. Raises InvalidArgument for those that the kind does not have."""
    return IndexSpec.read({"kind": kind, **more, **dict(map(_parameter, options))})


def read_rescoring(given: str | None) -> RescoreBy | None:
    """What `--rescore` says: a word, or a number."""
    return None if given is None else _value(given)


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise InvalidArgument(f"--index-option takes NAME=VALUE, such as nlist=1024, got {text!r}")
    return name, _value(value)


def _value(text: str) -> Any:
    """A number or a truth value where it is one, else the word itself."""
    if text in ("true", "false"):
        return text == "true"
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text
