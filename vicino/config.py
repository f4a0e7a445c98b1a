"""Settings that do not belong to one database, and the only reader of environment variables.

A setting has one name everywhere: `folder` of section `models` is `[models] folder` in a file and `VICINO_MODELS__FOLDER` in the
environment; a setting of no section is `VICINO_OFFLINE`. What is not set has the default written here.

Unknown names in the environment are left alone: a container platform invents some of its own (`VICINO_PORT=tcp://…` for a service called
vicino), and refusing them would break the process for no fault of its owner.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from vicino.errors import InvalidArgument, did_you_mean

Kernels = Literal["auto", "scalar", "avx2", "avx512", "neon"]

_SWITCH_WORDS = {"1": True, "true": True, "yes": True, "on": True, "": False, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Where embedding models lie and come from.

    folder: absolute path; made by the first pull.
    hub_url: address of the model hub or of a mirror with the same layout, without a slash at its end.
    threads: how many threads embed; None lets the runner use all cores.
    """

    folder: str
    hub_url: str = "https://huggingface.co"
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
    """All settings. `offline` forbids every download; `kernels` overrides the choice of native kernels (the core reads it itself)."""

    offline: bool = False
    kernels: Kernels = "auto"
    models: ModelSettings = field(default_factory=lambda: ModelSettings(folder=default_model_folder(os.environ)))

    def __post_init__(self) -> None:
        if self.kernels not in get_args(Kernels):
            raise InvalidArgument(f"unknown kernels {self.kernels!r}.{did_you_mean(self.kernels, get_args(Kernels))}")


def default_model_folder(environment: Mapping[str, str]) -> str:
    """Beside other data of the user: a model was asked for by name, so no cleaner of caches may take it away."""
    data = environment.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data):  # the XDG rule: a relative path there is to be ignored
        data = os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(data, "vicino", "models")


def from_environment(environment: Mapping[str, str] | None = None) -> Config:
    """The settings of this process: defaults, overridden by environment variables."""
    variables = os.environ if environment is None else environment
    models = ModelSettings(
        folder=variables.get("VICINO_MODELS__FOLDER") or default_model_folder(variables),
        hub_url=(variables.get("VICINO_MODELS__HUB_URL") or "https://huggingface.co").rstrip("/"),
        threads=_integer(variables, "VICINO_MODELS__THREADS"),
    )
    return Config(
        offline=_switch(variables, "VICINO_OFFLINE"),
        kernels=cast(Kernels, variables.get("VICINO_KERNELS") or "auto"),
        models=models,
    )


def _switch(variables: Mapping[str, str], name: str) -> bool:
    word = variables.get(name, "")
    if (value := _SWITCH_WORDS.get(word.strip().lower())) is None:
        raise InvalidArgument(f"{name} must be 1, true, yes, on or 0, false, no, off, got {word!r}")
    return value


def _integer(variables: Mapping[str, str], name: str) -> int | None:
    word = variables.get(name, "").strip()
    if not word:
        return None
    try:
        return int(word)
    except ValueError:
        raise InvalidArgument(f"{name} must be a whole number, got {word!r}") from None
