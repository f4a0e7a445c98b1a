"""Which part of a ranking a search gives back, and other numbers it takes: checked here, where a message can name them."""

from __future__ import annotations

import math

import numpy as np

from vicino.errors import InvalidArgument

LIMIT_MAX = 10_000
OFFSET_MAX = 2**31 - 1
EF_MAX = 1_000_000


def check_page(limit: int, offset: int) -> int:
    """How many records have to be ranked. Raises InvalidArgument for what is no number of hits or lies out of range."""
    if type(limit) is type(offset) is int and 1 <= limit <= LIMIT_MAX and 0 <= offset <= OFFSET_MAX:  # as nearly all searches ask
        return limit + offset
    if not _is_whole(limit) or not 1 <= limit <= LIMIT_MAX:
        raise InvalidArgument(f"limit must be between 1 and {LIMIT_MAX}, got {limit!r}; use iter() to read everything")
    if not _is_whole(offset) or not 0 <= offset <= OFFSET_MAX:
        raise InvalidArgument(f"offset must be at least 0 and at most {OFFSET_MAX}, got {offset!r}")
    return int(limit) + int(offset)


def check_numbers(min_score: float | None, ef: int | None, timeout: float | None, nprobe: int | None = None) -> None:
    """Raises InvalidArgument for what is no number or lies out of range; None is always fine."""
    if min_score is not None and (not _is_number(min_score) or math.isnan(min_score)):
        raise InvalidArgument(f"min_score must be a number, got {min_score!r}")
    if ef is not None and (not _is_whole(ef) or not 1 <= ef <= EF_MAX):
        raise InvalidArgument(f"ef must be an integer between 1 and {EF_MAX}, got {ef!r}")
    if nprobe is not None and (not _is_whole(nprobe) or not 1 <= nprobe <= EF_MAX):
        raise InvalidArgument(f"nprobe must be an integer between 1 and {EF_MAX}, got {nprobe!r}")
    if timeout is not None and (not _is_number(timeout) or not timeout >= 0):
        raise InvalidArgument(f"timeout must be a number of seconds, 0 or more, got {timeout!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _is_whole(number: object) -> bool:
    return isinstance(number, int | np.integer) and not isinstance(number, bool)
