"""Optional packages of the extra `vicino[embed]`, imported when a model is loaded and not before."""

from __future__ import annotations

import importlib
from typing import Any

from vicino.errors import MissingExtraError


def import_extra(package: str, purpose: str) -> Any:
    """The module `package`; MissingExtraError with the line that installs it if it is not there."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtraError(
            f'{package} is needed to {purpose} and cannot be imported ({error}); run: pip install "vicino[embed]"'
        ) from error
