"""Progress of long calls: a bar on standard error after two seconds, on a terminal or in a notebook only; or the caller's own function."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

BAR_AFTER_S = 2.0


@contextmanager
def progress_of(progress: bool | Callable[[int, int | None], None] | None, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Gives a function that is told how many more are done.

    progress: None shows a bar if the work takes over two seconds and standard error is a terminal; True shows it at once, False never; a
    function is called with (done, total), total None when it is not known.
    """
    if callable(progress):
        done = 0

        def tell(count: int) -> None:
            nonlocal done
            done += count
            progress(done, total)

        yield tell
    elif progress is False or (progress is None and not _is_shown()):
        yield lambda _count: None
    else:
        bar = _Bar(what, total, 0.0 if progress else BAR_AFTER_S)
        try:
            yield bar.advance
        finally:
            bar.close()


def _is_shown() -> bool:
    return sys.stderr.isatty() or "ipykernel" in sys.modules


class _Bar:
    """A rich bar that appears only when the work turns out to be long."""

    def __init__(self, what: str, total: int | None, after_s: float) -> None:
        from vicino.env import RealEnv

        self._what, self._total, self._clock = what, total, RealEnv().monotonic
        self._appears_at = self._clock() + after_s
        self._done = 0
        self._bar: Any = None

    def advance(self, count: int) -> None:
        self._done += count
        if self._bar is None and self._clock() >= self._appears_at:
            self._show()
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task(self._what, total=self._total)
        self._bar.start()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
