"""What is done with whole files and folders, over any Env."""

from __future__ import annotations

import os

from vicino.env import Files, is_missing
from vicino.errors import StorageError


def absolute(path: str | os.PathLike[str]) -> str:
    """The absolute path of what a user wrote, `~` included."""
    return os.path.abspath(os.path.expanduser(os.fspath(path)))


def replace_file(files: Files, path: str, temporary: str, content: bytes) -> None:
    """Put `content` at `path` so that any crash leaves the old content or the new, whole. `temporary` lies in the same folder.

    The first sync of the folder comes before the rename: without it a crash may keep the rename and lose the names of files that
    `content` speaks of. The second makes the rename durable.
    """
    folder = path.rpartition("/")[0]
    file = files.create(temporary)
    try:
        file.append(content)
        file.sync()
    finally:
        file.close()
    files.sync_dir(folder)
    files.rename(temporary, path)
    files.sync_dir(folder)


def size_if_present(files: Files, path: str) -> int:
    """0 for a file that is gone: background work may remove one between the look at a list of names and this."""
    try:
        return files.size(path)
    except StorageError as error:
        if not is_missing(error):
            raise
        return 0


def make_folders(files: Files, path: str) -> None:
    """Makes a folder and those above it, durable, where they are missing; somebody else may make them at the same time."""
    if files.is_dir(path):
        return
    parent = path.rpartition("/")[0] or "/"
    make_folders(files, parent)
    try:
        files.mkdir(path)
    except StorageError:
        if not files.is_dir(path):
            raise
    files.sync_dir(parent)


def unlink_if_present(files: Files, path: str) -> None:
    try:
        files.unlink(path)
    except StorageError as error:
        if not is_missing(error):
            raise


def remove_tree(files: Files, path: str) -> None:
    """Remove a folder and all in it; nothing happens when there is none. Not atomic: what refers to the folder must be gone before."""
    try:
        names = files.list(path)
    except StorageError as error:
        if is_missing(error):
            return
        raise
    for name in names:
        child = f"{path}/{name}"
        if files.is_dir(child):
            remove_tree(files, child)
        else:
            unlink_if_present(files, child)
    files.rmdir(path)
