"""Runs the code of a page of documentation, top to bottom, in an empty folder.

A block that begins with ">>>" is a doctest. Another ```python block is run. In a ```console block, lines that begin with "$ vicino" are run
and must succeed; "$" lines of other programs, and output, are for people. A fence without a language is never run.
"""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    if not path.is_relative_to(ROOT / "docs" / "design") and path.name != "CHANGELOG.md"
)

_BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(path: Path) -> list[tuple[str, str, int]]:
    """(language, code, line) of every fenced block."""
    text = path.read_text()
    return [(found[1], found[2], text.count("\n", 0, found.start()) + 2) for found in _BLOCK.finditer(text)]


def run_page(path: Path) -> None:
    """Raises AssertionError, or what the code raises, at the first block that fails."""
    is_doctest = ">>> " in path.read_text()
    names: dict[str, Any] = {"__name__": "__main__"}
    for language, code, line in blocks(path):
        place = f"{path.relative_to(ROOT)}:{line}"
        if language == "python" and ">>> " in code:
            _run_doctest(code, names, place)
        elif language == "python" and not is_doctest:
            exec(compile("\n" * (line - 1) + code, str(path), "exec"), names)  # the namespace runs on from block to block
        elif language == "console":
            _run_console(code, place)
    for value in names.values():
        if callable(close := getattr(value, "close", None)) and type(value).__name__ == "Database":
            close()


def _run_doctest(code: str, names: dict[str, Any], place: str) -> None:
    test = doctest.DocTestParser().get_doctest(code, names, place, place, 0)
    output: list[str] = []
    result = doctest.DocTestRunner(optionflags=_OPTIONS, verbose=False).run(test, out=output.append, clear_globs=False)
    names.update(test.globs)
    assert result.failed == 0, "".join(output)


def _run_console(code: str, place: str) -> None:
    from vicino.cli.app import run

    for line in code.replace("\\\n", " ").splitlines():
        if line.startswith("$ vicino "):
            code_of_exit = run(shlex.split(line.removeprefix("$ vicino "), comments=True))
            assert code_of_exit == 0, f"{place}: `{line}` ended with {code_of_exit}"
