"""The command `vicino`. Standard output carries data only; progress, warnings and errors go to standard error.

One module per command, imported when that command is called. Prints and exit codes live in this folder and nowhere else.
"""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command line of this process and ends it with the exit code of `vicino.cli.exit_codes`."""
    from vicino.cli.app import run

    sys.exit(run(sys.argv[1:]))
