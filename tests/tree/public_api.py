"""The public signatures as text, to be compared with public_api.txt.

    .venv/bin/python tests/tree/public_api.py       # writes them anew, for a change that is meant
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import vicino
import vicino.aio
import vicino.errors
import vicino.evaluate
import vicino.models
import vicino.types

TARGET = Path(__file__).with_name("public_api.txt")
MODULES = (vicino, vicino.aio, vicino.errors, vicino.evaluate, vicino.models, vicino.types)


def public_api() -> str:
    lines: list[str] = []
    for module in MODULES:
        lines.append(f"# {module.__name__}")
        for name in sorted(_public(module)):
            lines += _described(f"{module.__name__}.{name}", getattr(module, name))
        lines.append("")
    return "\n".join(lines)


def _public(module: Any) -> list[str]:
    if (declared := getattr(module, "__all__", None)) is not None:
        return list(declared)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", module.__name__) == module.__name__ and not inspect.ismodule(value)
    ]


def _described(path: str, value: Any) -> list[str]:
    if inspect.isclass(value):
        bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
        lines = [f"class {path}({bases})" if bases else f"class {path}"]
        members = _members(value)
        for name in sorted(members):
            if not name.startswith("_") or name == "__init__":
                lines += ["    " + line for line in _member(name, members[name])]
        return lines
    if callable(value):
        return [f"{path}{_signature(value)}"]
    return [f"{path}: {type(value).__name__}"]


def _members(cls: type) -> dict[str, Any]:
    """Of the class itself and of those bases that users never name."""
    members: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base is cls or (base.__module__.startswith("vicino.") and base.__name__ not in vicino.__all__):
            members |= vars(base)
    return members


def _member(name: str, value: Any) -> list[str]:
    if isinstance(value, classmethod | staticmethod):
        return [f"{type(value).__name__} {name}{_signature(value.__func__)}"]
    if isinstance(value, property):
        assert value.fget is not None
        return [f"property {name}: {inspect.signature(value.fget).return_annotation}"]
    if inspect.isfunction(value):
        return [f"{name}{_signature(value)}"]
    return [f"{name}"]


def _signature(value: Any) -> str:
    try:
        text = str(inspect.signature(value))
    except (TypeError, ValueError):
        return "(...)"
    return re.sub(r" at 0x[0-9a-f]+", "", text)


if __name__ == "__main__":
    TARGET.write_text(public_api())
