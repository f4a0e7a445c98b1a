"""A module imports from layers below its own only; no import goes round; the core's folders likewise."""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from layers import CORE_LAYERS, PYTHON_EXCEPTIONS, PYTHON_LAYERS, PYTHON_OUTSIDE, PYTHON_ROOTS
from source import ROOT, imports, layer_name, modules

DEPTH = {name: depth for depth, layer in enumerate(PYTHON_LAYERS) for name in layer}
FOR_TESTS = ("vicino.env.recording", "vicino.env.faulty", "vicino.filter.match")  # real parts that only tests set to work
CORE_DEPTH = {name: depth for depth, layer in enumerate(CORE_LAYERS) for name in layer}


def test_every_module_has_a_layer() -> None:
    unknown = {layer_name(module) for module in modules()} - DEPTH.keys() - PYTHON_ROOTS
    assert not unknown, f"no layer in tests/tree/layers.py: {sorted(unknown)}"


@pytest.mark.parametrize("module", sorted(set(modules())))
def test_imports_go_to_lower_layers(module: str) -> None:
    own = layer_name(module)
    if own in PYTHON_ROOTS:
        return
    for imported, line in imports(module):
        target = layer_name(imported)
        if target == "":
            assert own in PYTHON_OUTSIDE, f"{modules()[module]}:{line}: import the module itself, not the public face"
            continue
        allowed = target == own or DEPTH[target] < DEPTH[own] or (own, target) in PYTHON_EXCEPTIONS
        assert allowed, f"{modules()[module]}:{line}: {own} may not import {target}; the order is in tests/tree/layers.py"


def test_no_import_goes_round() -> None:
    known = modules().keys() - {"vicino"}
    graph = {module: {found for found, _ in imports(module, deferred=False) if found in known} for module in modules()}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"imports go round: {' -> '.join(error.args[1])}")


def test_no_module_is_dead() -> None:
    from vicino.cli.app import COMMANDS

    reached: set[str] = set()
    todo = ["vicino", "vicino.aio", "vicino.__main__", *FOR_TESTS, *(f"vicino.cli.{name}" for name in COMMANDS)]
    lazily = re.compile(r'"(vicino(?:\.\w+)+)"')
    while todo:
        module = todo.pop()
        if module in reached or module not in modules():
            continue
        reached.add(module)
        todo += [found for found, _ in imports(module)] + lazily.findall(modules()[module].read_text())
        todo += [module.rpartition(".")[0]]
    dead = set(modules()) - reached
    assert not dead, f"nothing imports {sorted(dead)}; delete them or use them"


CORE_FILES = [path for name in CORE_DEPTH for pattern in ("*.h", "*.cpp") for path in sorted(ROOT.glob(f"core/{name}/{pattern}"))]


@pytest.mark.parametrize("path", CORE_FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_core_includes_go_to_lower_layers(path: Path) -> None:
    own = path.parent.name
    for line, included in enumerate(path.read_text().splitlines(), start=1):
        if found := re.match(r'#include "(\w+)/', included):
            target = found[1]
            assert target == own or CORE_DEPTH[target] < CORE_DEPTH[own], f"{path}:{line}: {own} may not include {target}"


@pytest.mark.parametrize("folder", sorted(CORE_DEPTH.keys() - {"bind"}))
def test_only_bind_knows_python(folder: str) -> None:
    for path in [*ROOT.glob(f"core/{folder}/*.h"), *ROOT.glob(f"core/{folder}/*.cpp")]:
        assert not re.search(r"#include <(nanobind|Python)", path.read_text()), f"{path}: only core/bind/ may know Python"
