"""Ctrl-C at every step of a call, one after another: what a real signal meets once in a thousand times."""

from __future__ import annotations

import contextlib
import dis
import gc
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """A block that must not wait for ever."""

    def fail(_number: int, _frame: object) -> None:
        raise AssertionError("it has not ended after 10 s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, 10)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


_LOOKED_AFTER = ("CALL", "RESUME", "JUMP_BACKWARD")
"""Python looks for signals where a function begins, where a loop goes back and where a call returns: after instructions so called."""


def struck_at(step: int, call: Callable[[], object]) -> bool:
    """Runs `call`, striking it the `step`-th time that Python would look for signals, as Ctrl-C may at any. False when there are fewer."""
    steps = 0
    last: dict[int, str] = {}  # instruction of each frame, by its identity: to hold frames would keep alive what the interrupt ends

    def trace(frame: Any, event: str, _argument: object) -> Any:
        nonlocal steps
        frame.f_trace_opcodes = True
        if event == "call":
            last.pop(id(frame), None)
        if event == "opcode":
            before, last[id(frame)] = last.get(id(frame), ""), dis.opname[frame.f_code.co_code[frame.f_lasti]]
            steps += before.startswith(_LOOKED_AFTER)
            if steps == step:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    gc.collect()
    gc.disable()  # what is raised where garbage is collected reaches nobody, in any program
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
        gc.enable()
    assert steps < step, "the interrupt was swallowed"
    return False
