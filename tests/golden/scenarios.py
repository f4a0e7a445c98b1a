"""Runs scenarios: text files with the story in comments, a command, ----, and what it printed.

    # A collection is made.
    $ vicino create data docs --dim 3
    ----
    <Collection "docs": 0 records, …>

Lines of standard error begin with "! "; an exit code other than 0 is the last line. Whatever differs from run to run (times, rates, paths,
sizes of files, versions of programs) is shown as "…". To write the expected output anew, for a change that is meant:

    .venv/bin/python tests/golden/scenarios.py
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCENARIOS = sorted(HERE.glob("*.txt"))

VARYING = [
    (r'("(?:took_s|search_s|queries_per_s|spread|vectors_per_s_\w+)": )[\d.e+-]+', r"\1…"),
    (r'("(?:\w*_?bytes|bookkeeping|log|manifest|fields|vectors|ids|index|other|free_bytes|pid|cores|files|size_bytes)": )\d+', r"\1…"),
    (r'("(?:host|numpy|python|system|path|version_of_python)": )"[^"]*"', r'\1"…"'),
    (r'("kernels?(?:_sets)?": )\[[^\]]*\]', r"\1[…]"),
    (r'("script": )".*"', r'\1"…"'),
    (r'("models": )\[[^\]{]*\]', r"\1[…]"),
    (r"in [\d.]+ (ms|s)\b", r"in … \1"),
    (r"[\d.]+ ms\b", "… ms"),
    (r"\([\d,]+ a second\)", "(… a second)"),
    (r"[\d.,]+ (bytes|kB|MB|GB)\b", r"… \1"),
    (r"\d+ files", "… files"),
    (r"process \d+ on [\w.-]+", "process … on …"),
]


class _Stream(io.TextIOWrapper):
    """Standard input or output of one command."""

    def __init__(self, content: bytes = b"") -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8", write_through=True)

    def text(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode()  # type: ignore[attr-defined]


def run_command(line: str, stdin: bytes = b"") -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command line of vicino in this process."""
    from vicino.cli.app import run

    name, *arguments = shlex.split(line)
    assert name == "vicino", f"a scenario runs vicino, got {name!r}"
    out, err = _Stream(), _Stream()
    before, before_stdin = dict(os.environ), sys.stdin
    sys.stdin = _Stream(stdin)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(arguments)
    finally:
        sys.stdin = before_stdin
        os.environ.clear()
        os.environ.update(before)
    return code, out.text(), err.text()


def played(text: str, folder: Path) -> str:
    """The scenario with the output of this run."""
    lines: list[str] = []
    for story, command in _steps(text):
        lines += [*story, command, "----"]
        line, _, given = command.removeprefix("$ ").partition(" <<< ")
        stdin = shlex.split(given)[0].encode().decode("unicode_escape").encode("latin-1") if given else b""
        code, out, err = run_command(line, stdin)
        lines += out.splitlines() + [f"! {line}".rstrip() for line in err.splitlines()] + ([f"exit {code}"] if code else [])
        lines.append("")
    return _settled("\n".join(lines).rstrip() + "\n", folder)


def _steps(text: str) -> list[tuple[list[str], str]]:
    steps: list[tuple[list[str], str]] = []
    story: list[str] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            steps.append((story, line))
            story = []
        elif line.startswith("#"):
            story.append(line)
    return steps


def _settled(text: str, folder: Path) -> str:
    text = text.replace(str(folder.resolve()), "…").replace(str(folder), "…")
    for pattern, replacement in VARYING:
        text = re.sub(pattern, replacement, text)
    return text


@contextlib.contextmanager
def quiet_place(folder: Path):
    """The working folder of a scenario, with the judged set beside this file and without settings of whoever runs it."""
    before, environment = Path.cwd(), dict(os.environ)
    for name in [name for name in os.environ if name.startswith("VICINO_")]:
        del os.environ[name]
    os.environ |= {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_DATA_HOME": str(folder / "share"), "NO_COLOR": "1"}
    shutil.copytree(HERE / "judged", folder / "judged")
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)


if __name__ == "__main__":
    for path in SCENARIOS:
        with tempfile.TemporaryDirectory() as name, quiet_place(Path(name)):
            path.write_text(played(path.read_text(), Path(name)))
