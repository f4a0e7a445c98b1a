"""Every snippet of the documentation runs, and every link leads somewhere."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import vicino
from vicino.errors import Error

sys.path.insert(0, str(Path(__file__).resolve().parent))
from pages import PAGES, ROOT, blocks, run_page

RUNNABLE = [path for path in PAGES if any(language in ("python", "console") for language, _, _ in blocks(path))]
PRODUCTS = ROOT / "examples" / "products.jsonl.gz"


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder of a page, with the products beside it as in a checkout, and nobody's settings."""
    before = dict(os.environ)
    for variable in [variable for variable in os.environ if variable.startswith("VICINO_") and variable != "VICINO_MODELS__FOLDER"]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    work = tmp_path / "work"
    (work / "examples").mkdir(parents=True)
    (work / "examples" / "products.jsonl.gz").symlink_to(PRODUCTS)
    monkeypatch.chdir(work)
    yield work
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.parametrize("path", RUNNABLE, ids=name)
def test_snippets_run(path: Path, empty_folder: Path) -> None:
    if "minilm" in path.read_text():
        try:
            here = vicino.models.pull("minilm").path
            (empty_folder / "path" / "to").mkdir(parents=True)
            (empty_folder / "path" / "to" / "my-model").symlink_to(here)  # the "model of your own" of docs/howto/models.md
        except Error as error:
            pytest.skip(f"the page needs a model: {error}")
    run_page(path)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target or target.startswith("mailto:"):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), f"{name(path)} links to {target}, which does not exist"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{name(path)} links to {target}; there is no such heading"


def anchors(path: Path) -> set[str]:
    text = path.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))
