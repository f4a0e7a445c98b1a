"""How far a download is: told to a callable, or drawn on stderr when it takes long enough to wonder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = bool | Callable[[int, int], None] | None
"""None: a bar on stderr after two seconds, on a terminal only. True: at once. False: never. A callable gets (done, total) in bytes."""

_PATIENCE_S = 2.0


@contextmanager
def follow(progress: Progress, title: str, total: int, monotonic: Callable[[], float]) -> Iterator[Callable[[int], None]]:
    """Gives a function to call with the bytes done so far, as often as one likes."""
    if callable(progress):
        yield lambda done: progress(done, total)
    elif progress is False or (progress is None and not sys.stderr.isatty()):
        yield lambda done: None
    else:
        bar = _Bar(title, total, monotonic, patience_s=0.0 if progress else _PATIENCE_S)
        try:
            yield bar.show
        finally:
            bar.close()


class _Bar:
    """rich is imported when the bar appears: a download that takes a second never needs it."""

    def __init__(self, title: str, total: int, monotonic: Callable[[], float], *, patience_s: float) -> None:
        self._title, self._total = title, total
        self._monotonic = monotonic
        self._appears_at = monotonic() + patience_s
        self._update: Callable[[int], None] | None = None
        self._stop: Callable[[], None] = lambda: None

    def show(self, done: int) -> None:
        if self._update is None:
            if self._monotonic() < self._appears_at:
                return
            self._appear()
        assert self._update is not None
        self._update(done)

    def _appear(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
        from rich.progress import Progress as RichProgress

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
        task = bar.add_task(self._title, total=self._total)
        bar.start()
        self._update = lambda done: bar.update(task, completed=done)
        self._stop = bar.stop

    def close(self) -> None:
        self._stop()
