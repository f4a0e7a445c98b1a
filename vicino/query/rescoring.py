"""How what codes have found is scored: by the vectors as far as the bound of the codes asks for, so many times the limit, or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np

from vicino.errors import InvalidArgument

OVERSAMPLING_MAX = 1000.0

RescoreBy = float | str | bool
"""What `rescore=` takes: "bound" (or "auto"), how many times the limit is scored by the vectors, "off" (or False)."""


def read_rescore(given: Any) -> float | str:
    """What `rescore=` says: "bound", "off", or how many times as many candidates are scored by the vectors as records are asked for."""
    if given is False or given == "off":
        return "off"
    if isinstance(given, str) and given in ("auto", "bound"):
        return "bound"
    if isinstance(given, int | float | np.integer | np.floating) and not isinstance(given, bool) and 1 <= given <= OVERSAMPLING_MAX:
        return float(given)
    raise InvalidArgument(
        f'rescore must be "bound", "off", or a number from 1 to {OVERSAMPLING_MAX:g}: how many times the limit is scored by the vectors; '
        f"got {given!r}"
    )


def oversampling(rescore: float | str) -> float:
    """What the core takes for it: below 0 by the bound of the codes, 0 not at all."""
    return -1.0 if rescore == "bound" else 0.0 if rescore == "off" else float(rescore)
