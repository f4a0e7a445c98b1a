"""`vicino completion`: the script that teaches a shell the command's names and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from vicino.cli.command import command as declare
from vicino.cli.session import Session


@declare("completion", examples="""
    eval "$(vicino completion bash)"
    vicino completion zsh > ~/.zfunc/_vicino
    vicino completion fish > ~/.config/fish/completions/vicino.fish
    """)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="SHELL")
def command(session: Session, shell: str) -> None:
    """Print the completion script of a shell: bash, zsh or fish."""
    from vicino.cli.app import app

    found = get_completion_class(shell)
    assert found is not None, shell
    script = found(app, {}, "vicino", "_VICINO_COMPLETE").source()
    session.finish({"shell": shell, "script": script}, lambda: click.echo(script))
