"""How commands are declared: the options all of them share, help that starts with examples, and suggestions for misspelt names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import click

from vicino.cli.session import Session
from vicino.config import SETTINGS, Resolved, file_candidates, publish, resolve
from vicino.elsewhere import command_hint
from vicino.env import RealEnv
from vicino.errors import NotFoundError
from vicino.storage.files import absolute

_CLICK_TYPES: Mapping[str, Any] = {"text": str, "size": str, "integer": int, "number": float}


class Command(click.Command):
    """A command whose help starts with examples."""

    def __init__(self, *arguments: Any, examples: str = "", **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.examples = examples.strip()

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.splitlines():
                    formatter.write(f"  {line.strip()}\n")
            formatter.write_paragraph()
        super().format_help(ctx, formatter)
        formatter.write_paragraph()
        formatter.write(f"Settings, on every command (`vicino config show` explains them):\n  {' '.join(_flags())}\n")


class Group(click.Group):
    """Commands that are imported when they are called. lazy: name -> (module, first line of its help)."""

    def __init__(self, *arguments: Any, lazy: Mapping[str, tuple[str, str]] | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*self.lazy, *self.commands])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.lazy:
            return import_module(self.lazy[cmd_name][0]).command
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            raise click.UsageError(f'there is no command "{name}".{command_hint(name, self.list_commands(ctx))}', ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        help_of = {name: found.get_short_help_str(limit=80) for name, found in self.commands.items()}
        help_of |= {name: line for name, (_, line) in self.lazy.items()}
        lines = [(name, help_of[name]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(lines)


def command(name: str, *, examples: str) -> Callable[[Callable[..., None]], Command]:
    """Declares a command: the function gets a Session and its own parameters; its docstring is the help."""

    def declare(function: Callable[..., None]) -> Command:
        def call(**values: Any) -> None:
            function(_session(values), **values)

        call.__doc__ = function.__doc__
        call.__click_params__ = list(getattr(function, "__click_params__", []))  # type: ignore[attr-defined]
        wrapped: Any = call
        for option in reversed(_SHARED + _setting_options()):
            wrapped = option(wrapped)
        return click.command(name, cls=Command, examples=examples)(wrapped)

    return declare


_SHARED: list[Callable[[Any], Any]] = [
    click.option("--json", "is_json", is_flag=True, help="Print one JSON document."),
    click.option("-q", "--quiet", "is_quiet", is_flag=True, help="No progress, no notes; errors only."),
    click.option("-v", "--verbose", "is_verbose", is_flag=True, help="Say more on standard error."),
    click.option("--no-progress", is_flag=True, help="No progress bars."),
    click.option("--config", "config_file", metavar="FILE", help="Settings file instead of vicino.toml."),
]


def _setting_options() -> list[Callable[[Any], Any]]:
    """A flag for every setting, hidden in the list of a command's own options."""
    found = []
    for setting in SETTINGS.values():
        parameter = _parameter(setting.name)
        if setting.kind == "switch":
            flag = f"{setting.flag}/--no-{setting.flag[2:]}"
            found.append(click.option(flag, parameter, default=None, hidden=True, help=setting.help))
        else:
            kind = click.Choice(setting.choices) if setting.choices else _CLICK_TYPES[setting.kind]
            found.append(click.option(setting.flag, parameter, type=kind, hidden=True, help=setting.help))
    return found


def _flags() -> list[str]:
    return [setting.flag for setting in SETTINGS.values()]


def _parameter(name: str) -> str:
    return "setting_" + name.replace(".", "_")


def _session(values: dict[str, Any]) -> Session:
    """Takes the shared options out of a command's parameters."""
    flags = {name: values.pop(_parameter(name)) for name in SETTINGS}
    settings = load_settings(flags, values.pop("config_file"))
    publish(settings)
    return Session(
        settings,
        is_json=values.pop("is_json"),
        is_quiet=values.pop("is_quiet"),
        is_verbose=values.pop("is_verbose"),
        has_progress=not values.pop("no_progress"),
    )


def load_settings(flags: Mapping[str, Any], config_file: str | None) -> Resolved:
    """Flags, environment and the first settings file there is. Raises NotFoundError for a named file that does not exist."""
    files = RealEnv().files
    candidates = [config_file] if config_file else file_candidates()
    for path in candidates:
        if files.exists(absolute(path)):
            return resolve(flags, file=(absolute(path), files.read(absolute(path))))
    if len(candidates) == 1:  # somebody named it
        raise NotFoundError(f"there is no settings file {absolute(candidates[0])}; correct --config or VICINO_CONFIG")
    return resolve(flags)
