"""Calls that belong to one place: files, clock, chance and threads to the environment, printing to the command line."""

from __future__ import annotations

import ast
import re
import subprocess

import pytest
from source import PACKAGE, ROOT, modules, tree

ENV = "go through Env (vicino/env)"

# Name as it is written -> what to write instead.
BANNED: dict[str, str] = {
    "open": f"{ENV}.files",
    "io.open": f"{ENV}.files",
    "print": "print in vicino/cli, with click.echo",
    "input": "ask in vicino/cli, with click.confirm",
    "time.time": f"{ENV}.now()",
    "time.monotonic": f"{ENV}.monotonic()",
    "time.perf_counter": f"{ENV}.monotonic()",
    "time.sleep": f"{ENV}.sleep()",
    "datetime.now": f"{ENV}.now()",
    "dt.datetime.now": f"{ENV}.now()",
    "dt.datetime.utcnow": f"{ENV}.now()",
    "uuid.uuid4": f"{ENV}.random_bytes()",
    "threading.Thread": f"{ENV}.spawn()",
    "threading.Timer": f"{ENV}.spawn_periodic()",
    "eval": "ast.parse with an allow-list",
    "exec": "a function",
    "pickle.loads": "a format of our own: pickles run code",
}
BANNED_MODULES: dict[str, str] = {
    "time": ENV,
    "random": f"{ENV}.random_bytes()",
    "secrets": f"{ENV}.random_bytes()",
    "pickle": "a format of our own: pickles run code",
    "pathlib": f"{ENV}.files and vicino/storage/files.py",
    "tempfile": f"{ENV}.files",
    "fcntl": f"{ENV}.files.lock()",
    "mmap": f"{ENV}.files.map()",
    "socket": "nothing here listens, and only vicino/models/fetch.py and rerank_http.py connect",
    "logging": "vicino/observe",
}
# Of the module os, only what touches no file.
OS_ALLOWED = {"path", "fspath", "PathLike", "sep", "environ", "cpu_count", "strerror", "devnull"}

EXCEPTIONS: dict[tuple[str, str], str] = {
    ("vicino.cli.app", "os.dup2"): "standard output is replaced when its reader has gone",
    ("vicino.cli.app", "os.open"): "standard output is replaced when its reader has gone",
    ("vicino.cli.app", "os.O_WRONLY"): "standard output is replaced when its reader has gone",
}
ONLY_CONFIG_READS = "os.environ"


def names(node: ast.AST) -> str | None:
    """`a.b.c` as written, None for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := names(node.value)) is not None:
        return f"{base}.{node.attr}"
    return None


def outside_env() -> list[str]:
    return sorted(module for module in modules() if not module.startswith("vicino.env") and module != "vicino.storage.files")


@pytest.mark.parametrize("module", outside_env())
def test_calls_go_through_their_place(module: str) -> None:
    path = modules()[module]
    own = {node.name for node in tree(path).body if isinstance(node, ast.FunctionDef)} | imported_names(path)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and (called := names(node.func)) in BANNED and called not in own:
            assert called is not None
            assert module.startswith("vicino.cli") and called == "print", f"{path}:{node.lineno}: {called}() is banned; {BANNED[called]}"  # noqa: PT018
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported = node.names[0].name if isinstance(node, ast.Import) else node.module or ""
            assert imported not in BANNED_MODULES, f"{path}:{node.lineno}: {imported} is banned here; {BANNED_MODULES[imported]}"


@pytest.mark.parametrize("module", outside_env())
def test_os_touches_no_file(module: str) -> None:
    for node in ast.walk(tree(modules()[module])):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            used, place = f"os.{node.attr}", f"{modules()[module]}:{node.lineno}"
            assert node.attr in OS_ALLOWED or (module, used) in EXCEPTIONS, f"{place}: {used} is banned here; {ENV}"


def imported_names(path) -> set[str]:
    return {alias.asname or alias.name for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_only_config_reads_the_environment() -> None:
    for module, path in modules().items():
        if module == "vicino.config":
            continue
        for node in ast.walk(tree(path)):
            assert names(node) not in (ONLY_CONFIG_READS, "os.getenv"), f"{path}: environment variables are read by vicino/config.py only"


def test_core_writes_no_file() -> None:
    banned = re.compile(r"\b(ofstream|fstream|fopen|fwrite|O_WRONLY|O_RDWR|O_CREAT|pwrite|ftruncate|unlink|rename|mkdir)\b")
    for path in [*ROOT.glob("core/*/*.cpp"), *ROOT.glob("core/*/*.h")]:
        for line, text in enumerate(path.read_text().splitlines(), start=1):
            code = text.partition("//")[0]
            assert not banned.search(code), f"{path}:{line}: the core writes no file; storage does, through Env"


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_tree_names_no_machine() -> None:
    machine = re.compile(rb"/(?:root|home|work|Users)/[a-z][\w.-]*/|\.internal\b|\bpypi\.[a-z]+\.[a-z]+/simple|index-url")
    known = {"tests/tree/test_banned.py"}
    for name in tracked():
        if name in known or name.endswith((".gz", ".png", ".npy", ".parquet")):
            continue
        found = machine.search((ROOT / name).read_bytes())
        assert not found or b"/home/ada" in found[0], f"{name} names a machine: {found[0]!r}"


def test_files_stay_readable() -> None:
    for module, path in modules().items():
        assert len(path.read_text().splitlines()) <= 800, f"{module} has over 800 lines; when a file needs chapters, it is two files"


def test_there_is_no_utils() -> None:
    assert not [module for module in modules() if module.rpartition(".")[2] in ("utils", "util", "helpers", "common", "misc")]
    assert (PACKAGE / "py.typed").exists()
