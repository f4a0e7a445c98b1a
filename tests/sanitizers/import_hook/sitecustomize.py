"""Put on PYTHONPATH by scripts/sanitize.sh: `vicino._core` is the build that the environment names, here and in child processes."""

import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec


class SanitizedCore:
    """Finds one module: the sanitized build of the core in place of the one that lies beside the package."""

    def __init__(self, path: str) -> None:
        self._path = path

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, self._path) if name == "vicino._core" else None


if "VICINO_SANITIZED_CORE" in os.environ:
    sys.meta_path.insert(0, SanitizedCore(os.environ["VICINO_SANITIZED_CORE"]))
