"""The error tree. Every error states the actual values, the place and the next step.

    Error                                     kind
    ├── NotFoundError(KeyError)               not_found            no collection, alias, record, version or file of that name
    ├── ExistsError                           already_exists       the name is taken
    ├── DuplicateIdError                      already_exists       `add` met ids that exist, or an id twice in one call (.ids)
    ├── InvalidArgument(ValueError)           invalid_argument     an argument is out of range or of the wrong type
    │   ├── DimensionError                                         a vector has the wrong length
    │   ├── SchemaError                                            a field or setting does not fit the schema
    │   └── FilterError                                            a condition cannot be understood
    ├── ConflictError                         conflict             a condition of the write does not hold (if_absent, if_version)
    ├── LockedError                           conflict             another process writes to this folder (.pid, .host)
    ├── ModelMismatchError                    conflict             vectors of another model than the collection's
    ├── ModelNotFound(LookupError)            not_found            the model's files are not on this machine
    ├── MemoryLimitError(MemoryError)         resource_exhausted   the call would pass `memory_limit` (.needed, .available)
    ├── TimeoutError(TimeoutError)            timeout              `timeout=` passed
    ├── CorruptionError                       corruption           a checksum or an invariant does not hold: stop, restore
    ├── FormatError                           corruption           written by a newer version
    ├── StorageError(OSError)                 unavailable          the file system refused an operation
    ├── ServiceError                          unavailable          a service on the network refused, failed or was not reached (.status)
    ├── RecallUnreachable                     conflict             no effort that is allowed reaches the recall (.target, .reachable)
    ├── NotReadyError                         unavailable          what the call needs is still being built; wait for its job
    ├── ReadOnlyError                         permission_denied    opened with mode="r", or a snapshot
    ├── ClosedError                           invalid_argument     the handle was closed, or belongs to the parent of this forked process
    ├── MissingExtraError(ImportError)        unavailable          an optional dependency is not installed
    └── InternalError                         internal             our bug

`kind` says what the caller can do: not_found and invalid_argument are the caller's to mend, conflict and already_exists a matter of state,
resource_exhausted means slow down or raise a limit, unavailable and timeout may be retried, corruption means stop and restore, internal is
a bug to report.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal

Kind = Literal[
    "invalid_argument", "not_found", "already_exists", "conflict", "permission_denied",
    "resource_exhausted", "unavailable", "timeout", "corruption", "internal",
]  # fmt: skip


class Error(Exception):
    """Base of every error vicino raises. `kind` is stable API, `code` names the case, the message is for people."""

    kind: ClassVar[Kind] = "internal"
    code: ClassVar[str] = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message

    @property
    def url(self) -> str:
        """Where this error is documented, relative to the documentation's root."""
        return f"reference/errors.md#{self.code}"


class NotFoundError(Error, KeyError):
    kind, code = "not_found", "not-found"


class ExistsError(Error):
    kind, code = "already_exists", "exists"


class DuplicateIdError(Error):
    kind, code = "already_exists", "duplicate-id"

    def __init__(self, message: str, ids: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.ids = list(ids)


class InvalidArgument(Error, ValueError):
    kind, code = "invalid_argument", "invalid-argument"


class DimensionError(InvalidArgument):
    code = "dimension"


class SchemaError(InvalidArgument):
    code = "schema"


class FilterError(InvalidArgument):
    code = "filter"


class ConflictError(Error):
    kind, code = "conflict", "conflict"


class LockedError(Error):
    kind, code = "conflict", "locked"

    def __init__(self, message: str, *, pid: int | None = None, host: str | None = None) -> None:
        super().__init__(message)
        self.pid, self.host = pid, host


class ModelMismatchError(Error):
    kind, code = "conflict", "model-mismatch"


class ModelNotFound(Error, LookupError):
    kind, code = "not_found", "model-not-found"


class MemoryLimitError(Error, MemoryError):
    kind, code = "resource_exhausted", "memory-limit"

    def __init__(self, message: str, *, needed: int = 0, available: int = 0) -> None:
        super().__init__(message)
        self.needed, self.available = needed, available


class TimeoutError(Error, builtins.TimeoutError):
    kind, code = "timeout", "timeout"


class CorruptionError(Error):
    kind, code = "corruption", "corruption"


class FormatError(Error):
    kind, code = "corruption", "format"


class StorageError(Error, OSError):
    kind, code = "unavailable", "storage"

    def __init__(self, message: str, *, errno: int | None = None) -> None:
        Error.__init__(self, message)
        self.errno = errno


class ServiceError(Error):
    kind, code = "unavailable", "service"

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class RecallUnreachable(Error):
    """No effort that is allowed has been proven to reach the recall asked for. reachable: what the largest one has; None if unknown."""

    kind, code = "conflict", "recall-unreachable"

    def __init__(self, message: str, *, target: float = 1.0, reachable: float | None = None) -> None:
        super().__init__(message)
        self.target, self.reachable = target, reachable


class NotReadyError(Error):
    kind, code = "unavailable", "not-ready"


class ReadOnlyError(Error):
    kind, code = "permission_denied", "read-only"


class ClosedError(Error):
    kind, code = "invalid_argument", "closed"


class MissingExtraError(Error, ImportError):
    kind, code = "unavailable", "missing-extra"


class InternalError(Error):
    kind, code = "internal", "internal"


def close_match(name: str, known: Iterable[str]) -> str:
    """` Did you mean "price"?` for a misspelt name, else an empty string: for messages that say themselves what there is."""
    import difflib

    by_folded = {other.casefold(): other for other in known}
    close = difflib.get_close_matches(name.casefold(), sorted(by_folded), n=1, cutoff=0.6)
    return f' Did you mean "{by_folded[close[0]]}"?' if close else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean "price"?` for a misspelt name, else the list of what there is (at most ten), else an empty string."""
    names = sorted(known)
    if close := close_match(name, names):
        return close
    if not names:
        return ""
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return f" There are: {shown}."


def shortened(value: object) -> str:
    """A value as messages show it: its repr on one line, and not much of it where it is long, as an array is."""
    shown = " ".join(repr(value).split())
    return f"{shown[:79]}…" if len(shown) > 80 else shown
