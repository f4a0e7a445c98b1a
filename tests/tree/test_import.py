"""`import vicino` costs numpy and the core, and nothing else."""

from __future__ import annotations

import subprocess
import sys

BANNED = [
    "msgspec", "click", "rich", "onnxruntime", "tokenizers", "pyarrow", "pandas", "polars", "asyncio", "tomllib",
    "vicino.aio", "vicino.cli",
]  # fmt: skip
USES = {
    "import vicino": "pass",
    "searching": """
with vicino.open() as db:
    docs = db.create_collection("docs", dim=2)
    docs.upsert([{"id": 1, "vector": [1, 0], "year": 2000}])
    assert docs.search([1, 0], where=vicino.F.year >= 2000).ids == [1]
    assert docs.search([1, 0], where="year >= 2000").ids == [1]
""",
}


def loaded(use: str) -> set[str]:
    code = f"import sys, vicino\n{use}\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_import_loads_nothing_optional() -> None:
    assert not loaded(USES["import vicino"]) & set(BANNED)


def test_searching_in_memory_loads_nothing_optional() -> None:
    assert not loaded(USES["searching"]) & set(BANNED)


def test_only_numpy_is_loaded_of_others() -> None:
    third_party = {name.partition(".")[0] for name in loaded(USES["import vicino"])}
    known = {"numpy", "vicino", "nanobind"} | set(sys.stdlib_module_names)
    ours = {name for name in third_party - known if not name.startswith(("_", "sitecustomize", "usercustomize", "__editable__"))}
    assert not ours, f"import vicino loads {sorted(ours)}; import them inside the function that needs them"
