"""Settings that do not belong to one collection, and the only reader of environment variables.

A setting has one name everywhere: `folder` of section `models` is `[models] folder` in vicino.toml, `VICINO_MODELS__FOLDER` in the
environment and `--models-folder` as a flag; a setting of no section is `offline`, `VICINO_OFFLINE`, `--offline`. The first of flag,
environment, file, default wins, and every value remembers which of them it came from. Files and flags are the command's; a program that
imports vicino says what it wants in its calls, and gets the settings of `models` and `offline` from the environment alone.

An unknown name in a file is an error: it is a slip. Unknown names in the environment are left alone: a container platform invents some of
its own (`VICINO_PORT=tcp://…` for a service called vicino), and refusing them would break the process for no fault of its owner.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from vicino.errors import InvalidArgument, did_you_mean

Kernels = Literal["auto", "scalar", "avx2", "avx512", "amx", "neon"]
Sync = Literal["commit", "interval", "off"]
Kind = Literal["text", "size", "integer", "number", "switch"]

FILE_NAME = "vicino.toml"
FILE_VARIABLE = "VICINO_CONFIG"
DEFAULT_HUB_URL = "https://huggingface.co"

_SWITCH_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Where embedding models lie and come from.

    folder: absolute path; made by the first pull.
    hub_url: address of the model hub or of a mirror with the same layout, without a slash at its end.
    threads: how many threads embed; None lets the runner use all cores.
    """

    folder: str
    hub_url: str = DEFAULT_HUB_URL
    threads: int | None = None

    def __post_init__(self) -> None:
        if not os.path.isabs(self.folder):
            raise InvalidArgument(f"models.folder must be an absolute path, got {self.folder!r}")
        if not self.hub_url.startswith(("https://", "http://")) or self.hub_url.endswith("/"):
            raise InvalidArgument(f"models.hub_url must start with https:// or http:// and not end with a slash, got {self.hub_url!r}")
        if self.threads is not None and not 1 <= self.threads <= 1024:
            raise InvalidArgument(f"models.threads must be between 1 and 1024, got {self.threads}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings.

    offline forbids every download; `kernels` overrides the choice of native kernels (the core reads it from the environment itself).
    The others are what the command opens a database with: see `vicino.open`, whose arguments they are.
    """

    data: str = "vicino-data"
    memory_limit: str | None = None
    sync: Sync = "commit"
    lock_timeout: float = 0.0
    retain: int = 0
    threads: int | None = None
    offline: bool = False
    kernels: Kernels = "auto"
    models: ModelSettings = field(default_factory=lambda: ModelSettings(folder=default_model_folder(os.environ)))

    def __post_init__(self) -> None:
        if self.kernels not in get_args(Kernels):
            raise InvalidArgument(f"unknown kernels {self.kernels!r}.{did_you_mean(self.kernels, get_args(Kernels))}")
        if self.sync not in get_args(Sync):
            raise InvalidArgument(f"unknown sync {self.sync!r}.{did_you_mean(self.sync, get_args(Sync))}")
        if not self.data:
            raise InvalidArgument("data must be the path of a folder, got an empty text")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as files, environment, flags and documentation see it."""

    name: str
    kind: Kind
    help: str
    choices: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        return "VICINO_" + self.name.upper().replace(".", "__")

    @property
    def flag(self) -> str:
        return "--" + self.name.replace(".", "-").replace("_", "-")


SETTINGS: Mapping[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting("data", "text", "folder of the database when a command is given none"),
        Setting("memory_limit", "size", 'bytes, or a text such as "2GB", that vicino\'s own memory stays below'),
        Setting("sync", "text", "when a write is durable: as it returns, within 0.1 s, or when the system likes", get_args(Sync)),
        Setting("lock_timeout", "number", "seconds to wait for another process that writes to the folder"),
        Setting("retain", "integer", "how many past versions of a collection stay readable"),
        Setting("threads", "integer", "threads for building indexes in the background, and for the queries of one call"),
        Setting("offline", "switch", "forbid every download"),
        Setting("kernels", "text", "native kernels to use instead of the best this machine runs", get_args(Kernels)),
        Setting("models.folder", "text", "absolute path of the folder that embedding models lie in"),
        Setting("models.hub_url", "text", "address of the model hub or a mirror of it"),
        Setting("models.threads", "integer", "threads that embed; all cores if not set"),
    )
}


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings in force. origins: name -> "default", "environment VICINO_…", "file …" or "flag --…"."""

    config: Config
    origins: Mapping[str, str]

    def value(self, name: str) -> Any:
        section, _, key = name.rpartition(".")
        return getattr(getattr(self.config, section) if section else self.config, key)


def default_model_folder(environment: Mapping[str, str]) -> str:
    """Beside other data of the user: a model was asked for by name, so no cleaner of caches may take it away."""
    data = environment.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data):  # the XDG rule: a relative path there is to be ignored
        data = os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(data, "vicino", "models")


def from_environment(environment: Mapping[str, str] | None = None) -> Config:
    """The settings of this process: defaults, overridden by environment variables."""
    return resolve(environment=environment).config


def read_secret(variable: str, environment: Mapping[str, str] | None = None) -> str | None:
    """A key of a service, or None. It is no setting: nothing shows it, and no file of ours holds it."""
    variables = os.environ if environment is None else environment
    return variables.get(variable, "").strip() or None


def resolve(
    flags: Mapping[str, Any] | None = None, *, environment: Mapping[str, str] | None = None, file: tuple[str, bytes] | None = None
) -> Resolved:
    """The settings in force and where each came from.

    flags: values by name, None for those not given. file: path and content of a vicino.toml.
    Raises InvalidArgument naming the flag, the variable, or file and key.
    """
    variables = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    origins = dict.fromkeys(SETTINGS, "default")
    if file is not None:
        for name, value in read_file(*file).items():
            values[name], origins[name] = value, f"file {file[0]}"
    for name, setting in SETTINGS.items():
        if word := variables.get(setting.variable, "").strip():
            values[name], origins[name] = _from_text(setting, word), f"environment {setting.variable}"
    for name, value in (flags or {}).items():
        if value is not None:
            values[name], origins[name] = _typed(SETTINGS[name], value, SETTINGS[name].flag), f"flag {SETTINGS[name].flag}"
    return Resolved(_config(values, variables), origins)


def _config(values: Mapping[str, Any], environment: Mapping[str, str]) -> Config:
    models = {name.partition(".")[2]: value for name, value in values.items() if name.startswith("models.")}
    models.setdefault("folder", default_model_folder(environment))
    if "hub_url" in models:
        models["hub_url"] = models["hub_url"].rstrip("/")
    top = {name: value for name, value in values.items() if "." not in name}
    return Config(**cast(dict[str, Any], top), models=ModelSettings(**models))


def file_candidates(environment: Mapping[str, str] | None = None) -> list[str]:
    """Where vicino.toml is looked for when no flag names it, the first that exists counts: the one VICINO_CONFIG names, else the working
    directory, then the user's configuration folder."""
    variables = os.environ if environment is None else environment
    if named := variables.get(FILE_VARIABLE, "").strip():
        return [named]
    home = variables.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(home):
        home = os.path.join(os.path.expanduser("~"), ".config")
    return [FILE_NAME, os.path.join(home, "vicino", FILE_NAME)]


def read_file(path: str, content: bytes) -> dict[str, Any]:
    """The settings of a vicino.toml by name. Raises InvalidArgument for what is no TOML, no setting, or of the wrong type."""
    import tomllib

    try:
        tree = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"{path} is not valid TOML: {error}") from error
    found: dict[str, Any] = {}
    for key, value in tree.items():
        inner = {f"{key}.{name}": entry for name, entry in value.items()} if isinstance(value, dict) else {key: value}
        for name, entry in inner.items():
            if name not in SETTINGS:
                raise InvalidArgument(f'{path}: there is no setting "{name}".{did_you_mean(name, SETTINGS)}')
            found[name] = _typed(SETTINGS[name], entry, f"{path}: {name}")
    return found


def unknown_variables(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that begin like ours and are none, each with what was perhaps meant: for commands that diagnose."""
    variables = os.environ if environment is None else environment
    known = {setting.variable for setting in SETTINGS.values()} | {FILE_VARIABLE}
    return {name: did_you_mean(name, known) for name in sorted(variables) if name.startswith("VICINO_") and name not in known}


def publish(resolved: Resolved) -> None:
    """Puts what files and flags say into this process's environment, where the core, the models and child processes look."""
    for name, origin in resolved.origins.items():
        value = resolved.value(name)
        if origin.startswith(("file ", "flag ")) and value is not None:
            os.environ[SETTINGS[name].variable] = ("1" if value else "0") if isinstance(value, bool) else str(value)


def json_schema() -> dict[str, Any]:
    """JSON Schema of vicino.toml, for editors."""
    top: dict[str, Any] = {}
    sections: dict[str, dict[str, Any]] = {}
    for setting in SETTINGS.values():
        section, _, key = setting.name.rpartition(".")
        entry: dict[str, Any] = {"description": setting.help, **_SCHEMA_TYPES[setting.kind]}
        if setting.choices:
            entry["enum"] = list(setting.choices)
        (sections.setdefault(section, {}) if section else top)[key] = entry
    nested = {name: {"type": "object", "additionalProperties": False, "properties": keys} for name, keys in sections.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": FILE_NAME,
        "type": "object",
        "additionalProperties": False,
        "properties": {**top, **nested},
    }


_SCHEMA_TYPES: dict[Kind, dict[str, Any]] = {
    "text": {"type": "string"},
    "size": {"type": ["string", "integer"]},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "switch": {"type": "boolean"},
}


def _from_text(setting: Setting, word: str) -> Any:
    """The value of an environment variable."""
    if setting.kind == "switch":
        if (value := _SWITCH_WORDS.get(word.lower())) is None:
            raise InvalidArgument(f"{setting.variable} must be 1, true, yes, on or 0, false, no, off, got {word!r}")
        return value
    if setting.kind in ("integer", "number"):
        try:
            return int(word) if setting.kind == "integer" else float(word)
        except ValueError:
            kind = "a whole number" if setting.kind == "integer" else "a number"
            raise InvalidArgument(f"{setting.variable} must be {kind}, got {word!r}") from None
    return word


def _typed(setting: Setting, value: Any, place: str) -> Any:
    """The value of a file or flag, if it has the type of its setting."""
    wanted: dict[Kind, tuple[tuple[type, ...], str]] = {
        "text": ((str,), "a text"),
        "size": ((str, int), "a text or a whole number"),
        "integer": ((int,), "a whole number"),
        "number": ((int, float), "a number"),
        "switch": ((bool,), "true or false"),
    }
    types, words = wanted[setting.kind]
    if not isinstance(value, types) or (isinstance(value, bool) and setting.kind != "switch"):
        raise InvalidArgument(f"{place} must be {words}, got {value!r}")
    return str(value) if setting.kind == "size" else value
