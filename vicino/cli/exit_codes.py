"""Exit codes: what a script may conclude. They depend on an error's kind and on nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from vicino.errors import Kind

SUCCESS = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
CONFLICT = 4
NOT_PERMITTED = 5
CHECK_FAILED = 6
UNREACHABLE = 7
INTERRUPTED = 130

MEANING: Mapping[int, str] = {
    SUCCESS: "success",
    FAILED: "failed, or declined at the prompt",
    USAGE: "wrong usage",
    NOT_FOUND: "not found",
    CONFLICT: "conflict: exists already, changed meanwhile, or locked by another process",
    NOT_PERMITTED: "not permitted",
    CHECK_FAILED: "a check did not pass, or data is damaged",
    UNREACHABLE: "a disk, network or package could not be reached in time; may be retried",
    INTERRUPTED: "interrupted",
}

CODE_OF_KIND: Mapping[Kind, int] = {
    "invalid_argument": USAGE,
    "not_found": NOT_FOUND,
    "already_exists": CONFLICT,
    "conflict": CONFLICT,
    "permission_denied": NOT_PERMITTED,
    "resource_exhausted": FAILED,
    "unavailable": UNREACHABLE,
    "timeout": UNREACHABLE,
    "corruption": CHECK_FAILED,
    "internal": FAILED,
}
