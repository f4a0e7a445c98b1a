"""`vicino doctor`: every checksum and invariant of a database, and what this machine offers."""

from __future__ import annotations

import platform
import sys
from typing import Any

import click
import numpy as np

import vicino
from vicino import _core, models
from vicino.cli import exit_codes
from vicino.cli.command import command as declare
from vicino.cli.session import Session, is_database
from vicino.config import unknown_variables
from vicino.env import RealEnv
from vicino.errors import CorruptionError, FormatError, NotFoundError
from vicino.segment.memory import show_bytes
from vicino.storage.files import absolute
from vicino.storage.lock import read_holder


@declare(
    "doctor",
    examples="""
    vicino doctor data
    vicino doctor data --json
    vicino export data docs saved.jsonl --rescue      # what damage has left
    """,
)
@click.argument("folder", required=False)
@click.pass_context
def command(ctx: click.Context, session: Session, folder: str | None) -> None:
    """Verify every checksum and invariant of a database and name what is damaged; say what this machine offers.

    It reads beside a writer and changes nothing. The exit code is 6 if anything is damaged.
    """
    place = folder or session.settings.value("data")
    document: dict[str, Any] = {"machine": _machine()}
    if is_database(place) or folder is not None:
        document["database"] = _database(session, place)
    session.finish(document, lambda: _show(document))
    for variable, meant in unknown_variables().items():
        session.note(f"the environment has {variable}, which is no setting.{meant}")
    if "database" not in document:
        session.note(f"no database was checked: there is none in {absolute(place)}")
    elif not document["database"]["sound"]:
        ctx.exit(exit_codes.CHECK_FAILED)


def _machine() -> dict[str, Any]:
    kernels = dict(_core.active_kernels())
    return {
        "vicino": vicino.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "kernels": sorted(set(kernels.values())),
        "kernel_sets": list(_core.kernel_sets()),
        "models": [info.name for info in models.list() if info.is_pulled],
    }


def _database(session: Session, folder: str) -> dict[str, Any]:
    path = absolute(folder)
    if not is_database(folder):
        raise NotFoundError(f"there is no vicino database in {path}")
    env = RealEnv()
    facts: dict[str, Any] = {"folder": path, "free_bytes": env.files.free_bytes(path)}
    pid, host = read_holder(env, path)
    facts["last_writer"] = None if pid is None else {"pid": pid, "host": host}
    try:
        with session.database(folder) as database:
            report = database.check()
    except (CorruptionError, FormatError) as error:
        return {**facts, "sound": False, "files": 0, "bytes": 0, "records": 0, "problems": [{"where": path, "what": str(error)}]}
    return {**facts, **report.to_dict()}


def _show(document: dict[str, Any]) -> None:
    machine = document["machine"]
    click.echo(f"vicino {machine['vicino']}, Python {machine['python']}, numpy {machine['numpy']}, {machine['system']}")
    click.echo(f"kernels {', '.join(machine['kernels'])} (this machine runs {', '.join(machine['kernel_sets'])})")
    click.echo(f"models here: {', '.join(machine['models']) or 'none; `vicino models pull minilm` fetches one'}")
    if (database := document.get("database")) is None:
        return
    read = f"{database['files']} files, {show_bytes(database['bytes'])}, {database['records']:,} records"
    click.echo(f"{database['folder']}: {'sound' if database['sound'] else 'DAMAGED'} ({read}; {show_bytes(database['free_bytes'])} free)")
    for problem in database["problems"]:
        click.echo(f"  {problem['where']}: {problem['what']}")
    if not database["sound"]:
        click.echo(
            f"Stop writing, keep a copy of the folder, and restore a snapshot; `{sys.argv[0].rpartition('/')[2] or 'vicino'} export "
            "FOLDER COLLECTION FILE --rescue` saves what can be read."
        )
