"""Which part of a ranking a search gives back."""

from __future__ import annotations

import numpy as np

from vicino.errors import InvalidArgument

LIMIT_MAX = 10_000
OFFSET_MAX = 2**31 - 1


def check_page(limit: int, offset: int) -> int:
    """How many records have to be ranked. Raises InvalidArgument for what is no number of hits or lies out of range."""
    if not _is_whole(limit) or not 1 <= limit <= LIMIT_MAX:
        raise InvalidArgument(f"limit must be between 1 and {LIMIT_MAX}, got {limit!r}; use iter() to read everything")
    if not _is_whole(offset) or not 0 <= offset <= OFFSET_MAX:
        raise InvalidArgument(f"offset must be at least 0 and at most {OFFSET_MAX}, got {offset!r}")
    return int(limit) + int(offset)


def _is_whole(number: object) -> bool:
    return isinstance(number, int | np.integer) and not isinstance(number, bool)
