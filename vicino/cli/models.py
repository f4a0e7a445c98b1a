"""`vicino models`: which embedding models there are, and fetching one."""

from __future__ import annotations

import click

from vicino import models
from vicino.cli import output
from vicino.cli.command import Group
from vicino.cli.command import command as declare
from vicino.cli.session import Session
from vicino.models import ModelInfo
from vicino.segment.memory import show_bytes


@click.group(cls=Group)
def command() -> None:
    """List and fetch embedding models. Nothing else ever downloads anything."""


@declare("list", examples="""
    vicino models list
    vicino models list --json
    """)
def list_command(session: Session) -> None:
    """List the models vicino knows by name, and whether they are on this machine."""
    known = models.list()
    rows = [
        (info.name, info.title, info.dim, info.max_tokens, show_bytes(info.size_bytes), info.license, "yes" if info.is_pulled else "no")
        for info in known
    ]
    headers = ["model", "title", "dim", "tokens", "size", "license", "here"]
    session.finish(
        {"models": [_document(info) for info in known]}, lambda: output.write_table(headers, rows, numeric=["dim", "tokens", "size"])
    )


@declare("pull", examples="""
    vicino models pull minilm
    """)
@click.argument("model")
def pull_command(session: Session, model: str) -> None:
    """Fetch the files of a model, each checked against its pinned hash. Does nothing if they are here."""
    info = models.pull(model, progress=session.progress)
    summary = f"{info.name} ({info.title}, {show_bytes(info.size_bytes)}, {info.license}) is in {info.path}"
    session.finish(_document(info), lambda: click.echo(summary))


def _document(info: ModelInfo) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(info)


command.add_command(list_command)
command.add_command(pull_command)
