"""Writes vicino/_core.pyi, the typed face of the native module, from the module itself. A test compares the two.

    .venv/bin/python scripts/make_core_stub.py

What a binding cannot say is added here: buffers, the attributes of exceptions, and `Any` where a value depends on the data.
"""

from __future__ import annotations

import re
from pathlib import Path

from nanobind.stubgen import StubGen

import vicino._core

TARGET = Path(__file__).resolve().parent.parent / "vicino" / "_core.pyi"
HEAD = "# Written by scripts/make_core_stub.py; change core/bind/ and run that again.\n"

# Lines put at the head of a class's body.
MEMBERS = {
    "Blob": ["def __buffer__(self, flags: int, /) -> memoryview: ..."],
    "FieldValueError": ["index: int", "path: str", "reason: str"],
}


def stub() -> str:
    """The text of the stub for the module as it is built now."""
    generator = StubGen(vicino._core, recursive=False)
    generator.put(vicino._core)
    text = "\n".join(line.rstrip() for line in generator.get().strip().splitlines()) + "\n"
    text = re.sub(r"-> object\b", "-> Any", text)
    text = re.sub(r"\b(list|dict|tuple|Sequence|Mapping|Iterator)\[([^\]\n]*)\bobject\b", r"\1[\2Any", text)
    for name, members in MEMBERS.items():
        body = "".join(f"    {member}\n" for member in members)
        text = re.sub(rf"^(class {name}\b[^\n]*:\n)", rf"\g<1>{body}", text, flags=re.MULTILINE)
    if re.search(r"\bAny\b", text):
        text = text.replace("from typing import ", "from typing import Any, ", 1)
    return HEAD + text


if __name__ == "__main__":
    TARGET.write_text(stub())
