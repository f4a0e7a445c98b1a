"""A real second process for a test: it runs the source it is given, one line of JSON at a time goes each way.

The source sees `path` (the database's folder), `args`, `say(value)`, which the test receives with `hear()`, and `hear()`, which waits for
the test's `say(value)`.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import textwrap
import time
from typing import Any

PRELUDE = """
import json, os, signal, sys, threading, time
import numpy as np
import vicino
from vicino.collection.limits import Limits
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests in the background may have had it ignored
path, args = sys.argv[1], json.loads(sys.argv[2])
def say(value):
    print(json.dumps(value), flush=True)
def hear():
    return json.loads(sys.stdin.readline())
"""
PATIENCE_S = 60.0


class Child:
    """Ends with the `with` block, killed if it must be."""

    def __init__(self, path: object, source: str, **args: Any) -> None:
        command = [sys.executable, "-c", PRELUDE + textwrap.dedent(source), str(path), json.dumps(args)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        self._lines = b""
        self._selector = selectors.DefaultSelector()
        assert self.process.stdout is not None
        self._selector.register(self.process.stdout, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        return self.process.pid

    def hear(self, timeout: float = PATIENCE_S) -> Any:
        """The next value the child said. Fails with the child's traceback when it ended instead."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._lines:
            assert self._selector.select(max(0.0, deadline - time.monotonic())), f"the child said nothing for {timeout} s"
            assert self.process.stdout is not None
            part = os.read(self.process.stdout.fileno(), 1 << 16)
            if not part:
                self.process.wait()
                raise AssertionError(f"the child ended with {self.process.returncode}:\n{self._errors()}")
            self._lines += part
        line, _, self._lines = self._lines.partition(b"\n")
        return json.loads(line)

    def say(self, value: Any = None) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(value).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, value: Any = None) -> Any:
        self.say(value)
        return self.hear()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self, timeout: float = PATIENCE_S) -> None:
        """Waits for the child to end well."""
        self.process.wait(timeout)
        assert self.process.returncode == 0, self._errors()

    def _errors(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self.process.poll() is None:
            self.kill()
        self._selector.close()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
