"""Passages of real text, and queries for them: titles and texts of `shared/data`, and the documentation that Debian's packages install.

A passage is fifty words that follow one another. Where there are fewer than asked for, the rest are made of the front of one and the back
of another: so words keep their frequencies, and rare ones do not become more of them.
"""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.datasets import DATA

DOCUMENTATION = Path("/usr/share/doc")
WORDS = 50
SHORTEST = 10
FILE_CHARACTERS_MAX = 400_000
JUDGED = ("cacm", "cosqa", "cranfield", "npl")
"""Sets whose queries are asked: English questions and topics, written by people."""
TITLED = ("movies", "products")
"""Sets whose titles are asked."""


class Passages(NamedTuple):
    texts: list[str]
    queries: dict[str, list[str]]
    """By kind: questions of judged sets; titles; two to four words."""
    n_real: int


class MissingData(Exception):
    """There is no text to make passages of; the message says what is looked for."""


def load_passages(n: int, n_queries: int, *, seed: int = 1, data: Path = DATA, documentation: Path = DOCUMENTATION) -> Passages:
    """The same passages and queries for the same numbers, data and documentation."""
    chance = random.Random(seed)
    real = list(_pieces(_texts(data, documentation)))
    if not real:
        raise MissingData(f"no text in {data} (*/corpus.jsonl.gz) nor in {documentation}; passages are made of these")
    chance.shuffle(real)
    texts = real[:n]
    while len(texts) < n:
        front, back = (real[chance.randrange(len(real))].split() for _ in range(2))
        cut = chance.randrange(5, WORDS - 5)
        texts.append(" ".join(front[:cut] + back[cut:]))
    queries = {"questions": _questions(data), "titles": _titles(data), "short": _short(real, n_queries, chance)}
    return Passages(texts, {kind: _some(found, n_queries, chance) for kind, found in queries.items() if found}, min(n, len(real)))


def _some(texts: list[str], n: int, chance: random.Random) -> list[str]:
    texts = sorted(set(texts))
    return chance.sample(texts, min(n, len(texts)))


def _texts(data: Path, documentation: Path) -> Iterator[str]:
    for corpus in sorted(data.glob("*/corpus.jsonl.gz")):
        for document in _json_lines(corpus):
            yield f"{document.get('title') or ''} {document.get('text') or document.get('description') or ''}"
    for folder, folders, names in os.walk(documentation):
        folders.sort()
        for name in sorted(names):
            text = _read(Path(folder, name))
            if "\0" not in text:
                yield text


def _read(path: Path) -> str:
    """The begin of a file that is text, perhaps compressed; nothing of one that cannot be read, as broken links are."""
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8", errors="ignore") as file:
                return file.read(FILE_CHARACTERS_MAX)
        with path.open(encoding="utf-8", errors="ignore") as file:
            return file.read(FILE_CHARACTERS_MAX)
    except OSError:
        return ""


def _pieces(texts: Iterator[str]) -> Iterator[str]:
    for text in texts:
        words = text.split()
        for first in range(0, len(words), WORDS):
            if len(words) - first >= SHORTEST:
                yield " ".join(words[first : first + WORDS])


def _questions(data: Path) -> list[str]:
    found = []
    for name in JUDGED:
        path = data / name / "queries.jsonl"
        if path.exists():
            found += [query["text"] for query in _json_lines(path)]
    return found


def _titles(data: Path) -> list[str]:
    found = []
    for name in TITLED:
        path = data / name / "corpus.jsonl.gz"
        if path.exists():
            found += [document["title"] for document in _json_lines(path) if 2 <= len(document["title"].split()) <= 8]
    return found


def _short(passages: list[str], n: int, chance: random.Random) -> list[str]:
    """Two to four words that follow one another somewhere, letters only."""
    found: list[str] = []
    for _ in range(50 * n):
        if len(found) == n:
            break
        words = passages[chance.randrange(len(passages))].split()
        size = chance.randrange(2, 5)
        first = chance.randrange(len(words) - size)
        asked = words[first : first + size]
        if all(word.isalpha() and word.isascii() and len(word) > 3 for word in asked):
            found.append(" ".join(asked))
    return found


def _json_lines(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
