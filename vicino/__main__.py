"""`python -m vicino` is the command `vicino`."""

from vicino.cli import main

main()
