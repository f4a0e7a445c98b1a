"""What the tests of the tree know of the sources: modules, their imports, the layer each belongs to."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "vicino"


@cache
def modules() -> dict[str, Path]:
    """Dotted name -> file of every Python module of the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def layer_name(module: str) -> str:
    """`vicino.storage.log` belongs to `storage`, `vicino` itself to ""."""
    return module.split(".")[1] if "." in module else ""


def imports(module: str, *, deferred: bool = True) -> Iterator[tuple[str, int]]:
    """Modules of the package that a module imports, with the line. deferred: imports inside functions and for type checkers too."""
    for node in _statements(tree(modules()[module]), deferred):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            assert node.level == 0, f"{module}: relative import; write the full name"
            base = node.module or ""
            # `from vicino import models` names a module, `from vicino.types import Metric` a thing inside one.
            names = [full if (full := f"{base}.{alias.name}") in modules() or full == "vicino._core" else base for alias in node.names]
        for name in names:
            if name.partition(".")[0] == "vicino":
                yield name, node.lineno


def _statements(node: ast.AST, deferred: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif deferred or not (isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or _is_for_checkers(child)):
            yield from _statements(child, deferred)


def _is_for_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
