"""The root of the command line: finds the command, runs it, and turns every way it can end into a message and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import click

import vicino
from vicino.cli import exit_codes
from vicino.cli.command import Group
from vicino.errors import Error

COMMANDS: Mapping[str, str] = {
    "bench": "Measure this machine or a collection: speed with its recall.",
    "completion": "Print the completion script of a shell.",
    "config": "Show the settings in force and where each came from.",
    "create": "Create a collection.",
    "delete": "Delete a collection, or records of it.",
    "doctor": "Verify a database and look at the machine.",
    "eval": "Measure how good the answers to judged queries are.",
    "explain": "Run a search and say how it went.",
    "export": "Write records to a Parquet or JSONL file.",
    "facet": "Count the values of a field and sum them up.",
    "get": "Print records by id.",
    "index": "Give a vector another index.",
    "list": "List the collections of a database.",
    "load": "Write the records of files into a collection.",
    "models": "List and fetch embedding models.",
    "restore": "Restore a snapshot into a new folder.",
    "search": "Find the records nearest to a text or vector.",
    "snapshot": "Copy a database, consistent, while it is in use.",
    "stats": "Say how large a database is and what holds the bytes.",
    "update": "Change fields of records.",
    "verify": "Measure how much of the true nearest records searches find.",
    "why": "Say why a record is, or is not, among the hits of a query.",
}

_EPILOG = "Exit codes:\n\n\b\n" + "\n".join(f"{code:>3}  {meaning}" for code, meaning in exit_codes.MEANING.items())

_EXAMPLES = """\
Examples:
  vicino models pull minilm
  vicino create data docs --model minilm --embed text
  vicino load data docs texts.jsonl
  vicino search data docs "how do wings stall" --where "year >= 2020"
"""


class _Root(Group):
    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(_EXAMPLES + "\n")
        super().format_help(ctx, formatter)


@click.group(
    cls=_Root,
    lazy={name: (f"vicino.cli.{name}", help) for name, help in COMMANDS.items()},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog=_EPILOG,
)
@click.version_option(vicino.__version__, message="vicino %(version)s")
def app() -> None:
    """A vector database in a folder: documents and vectors in, answers by meaning out.

    Every command takes the folder of the database first. It may be left out: then it is VICINO_DATA, `data` in vicino.toml, or
    ./vicino-data.
    """


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code. Never raises, never shows a traceback for a vicino.Error."""
    as_json = "--json" in arguments
    try:
        code = app.main(args=list(arguments), prog_name="vicino", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else exit_codes.SUCCESS
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.Abort as aborted:
        if isinstance(aborted.__cause__, KeyboardInterrupt):
            return _interrupted()
        click.echo("Nothing was changed.", err=True)
        return exit_codes.FAILED
    except click.ClickException as error:
        return _usage(error, as_json)
    except Error as error:
        code = exit_codes.CODE_OF_KIND[error.kind]
        _complain(error.kind, error.code, str(error), as_json)
        return code
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        # Whoever read our output has enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.FAILED


def _usage(error: click.ClickException, as_json: bool) -> int:
    if not as_json and isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(f"{error.ctx.get_usage()}\nSee `{error.ctx.command_path} --help`.\n", err=True)
    _complain("invalid_argument", "usage", error.format_message(), as_json)
    return exit_codes.USAGE


def _interrupted() -> int:
    click.echo("interrupted; what was written before is kept", err=True)
    return exit_codes.INTERRUPTED


def _complain(kind: str, code: str, message: str, as_json: bool) -> None:
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode({"error": {"kind": kind, "code": code, "message": message}}).decode(), err=True)
    else:
        click.echo(f"{click.style('error:', fg='red', bold=True)} {message}", err=True)
