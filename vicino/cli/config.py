"""`vicino config`: the settings in force with their origins, and the schema of vicino.toml."""

from __future__ import annotations

import click

from vicino.cli import output
from vicino.cli.command import Group
from vicino.cli.command import command as declare
from vicino.cli.session import Session
from vicino.config import SETTINGS, json_schema, unknown_variables


@click.group(cls=Group)
def command() -> None:
    """Show the settings in force and where each came from."""


@declare("show", examples="""
    vicino config show
    VICINO_OFFLINE=1 vicino config show --json
    """)
def show_command(session: Session) -> None:
    """Show every setting, its value, and whether flag, environment, file or default decided it."""
    resolved = session.settings
    entries = [{"name": name, "value": resolved.value(name), "origin": resolved.origins[name]} for name in SETTINGS]
    rows = [(entry["name"], entry["value"], entry["origin"]) for entry in entries]
    session.finish({"settings": entries}, lambda: output.write_table(["setting", "value", "from"], rows))
    for variable, meant in unknown_variables().items():
        session.note(f"the environment has {variable}, which is no setting.{meant}")


@declare("schema", examples="""
    vicino config schema > vicino.schema.json
    """)
def schema_command(session: Session) -> None:
    """Print the JSON Schema of vicino.toml, for editors."""
    session.finish(json_schema(), lambda: output.write_json(json_schema()))


command.add_command(show_command)
command.add_command(schema_command)
