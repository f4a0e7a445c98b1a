"""Settings from the environment."""

from __future__ import annotations

import os

import pytest

from vicino.config import SETTINGS, Config, ModelSettings, file_candidates, from_environment, json_schema, publish, resolve
from vicino.errors import InvalidArgument


def test_nothing_set_gives_the_defaults() -> None:
    config = from_environment({"HOME": "/home/ada"})
    assert (config.offline, config.kernels, config.models.hub_url, config.models.threads) == (False, "auto", "https://huggingface.co", None)


def test_models_lie_in_the_users_data_folder() -> None:
    assert from_environment({"XDG_DATA_HOME": "/data"}).models.folder == "/data/vicino/models"


def test_relative_data_folder_is_ignored() -> None:
    folder = from_environment({"XDG_DATA_HOME": "data"}).models.folder
    assert folder == os.path.join(os.path.expanduser("~"), ".local", "share", "vicino", "models")


@pytest.mark.parametrize(("word", "is_on"), [("1", True), ("true", True), ("ON", True), ("0", False), ("no", False), ("", False)])
def test_offline_is_a_switch(word: str, is_on: bool) -> None:
    assert from_environment({"VICINO_OFFLINE": word}).offline is is_on


def test_switch_that_is_neither_on_nor_off_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"VICINO_OFFLINE must be 1, true, yes, on or 0, false, no, off, got 'maybe'"):
        from_environment({"VICINO_OFFLINE": "maybe"})


def test_settings_of_a_section_are_named_with_two_underscores() -> None:
    variables = {"VICINO_MODELS__FOLDER": "/m", "VICINO_MODELS__HUB_URL": "http://mirror/", "VICINO_MODELS__THREADS": "3"}
    assert from_environment(variables).models == ModelSettings(folder="/m", hub_url="http://mirror", threads=3)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"VICINO_MODELS__THREADS": "two"}, "VICINO_MODELS__THREADS must be a whole number, got 'two'"),
        ({"VICINO_MODELS__THREADS": "0"}, "models.threads must be between 1 and 1024, got 0"),
        ({"VICINO_MODELS__FOLDER": "models"}, "models.folder must be an absolute path, got 'models'"),
        ({"VICINO_MODELS__HUB_URL": "mirror"}, "models.hub_url must start with https:// or http://"),
        ({"VICINO_KERNELS": "avx51"}, "unknown kernels 'avx51'. Did you mean \"avx512\"?"),
    ],
    ids=["not a number", "too small", "relative", "no scheme", "misspelt"],
)
def test_bad_values_are_refused_by_name(variables: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        from_environment(variables)
    assert message in str(raised.value)


def test_variables_of_others_are_left_alone() -> None:
    variables = {"VICINO_PORT": "tcp://10.0.0.1:80", "XDG_DATA_HOME": "/data"}
    assert from_environment(variables) == Config(models=ModelSettings(folder="/data/vicino/models"))


def test_flag_wins_over_environment_over_file_over_default() -> None:
    file = ("vicino.toml", b'data = "f"\nretain = 1\nthreads = 1\n[models]\nthreads = 4\n')
    found = resolve({"data": "flag", "retain": None}, environment={"VICINO_DATA": "e", "VICINO_RETAIN": "2"}, file=file)
    assert [found.value(name) for name in ("data", "retain", "threads", "models.threads", "sync")] == ["flag", 2, 1, 4, "commit"]
    assert [found.origins[name] for name in ("data", "retain", "threads", "sync")] == [
        "flag --data", "environment VICINO_RETAIN", "file vicino.toml", "default",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"dta = 1", 'vicino.toml: there is no setting "dta". Did you mean "data"?'),
        (b"[models]\nfoldr = 1", 'there is no setting "models.foldr". Did you mean "models.folder"?'),
        (b"retain = true", "vicino.toml: retain must be a whole number, got True"),
        (b'offline = "yes"', "vicino.toml: offline must be true or false, got 'yes'"),
        (b"data = ", "vicino.toml is not valid TOML"),
        (b'sync = "never"', "unknown sync 'never'"),
    ],
    ids=["unknown", "unknown in section", "switch for number", "text for switch", "no TOML", "no such level"],
)
def test_slips_in_a_file_are_named(content: bytes, message: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        resolve(environment={}, file=("vicino.toml", content))
    assert message in str(raised.value)


def test_file_is_looked_for_here_and_in_the_users_folder() -> None:
    assert file_candidates({"XDG_CONFIG_HOME": "/c"}) == ["vicino.toml", "/c/vicino/vicino.toml"]
    assert file_candidates({"VICINO_CONFIG": "mine.toml"}) == ["mine.toml"]


def test_files_and_flags_reach_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    publish(resolve({"models.threads": 3}, environment={"VICINO_SYNC": "off"}, file=("vicino.toml", b"offline = true")))
    assert dict(os.environ) == {"VICINO_MODELS__THREADS": "3", "VICINO_OFFLINE": "1"}


def test_every_setting_is_in_the_schema() -> None:
    properties = json_schema()["properties"]
    for name in SETTINGS:
        section, _, key = name.rpartition(".")
        assert key in (properties[section]["properties"] if section else properties)
