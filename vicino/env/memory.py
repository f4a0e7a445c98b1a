"""Files in memory: a tree of folders and nodes with the rules of a POSIX file system, for databases without a path and for tests."""

from __future__ import annotations

import errno
import posixpath
import threading
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, NoReturn

from vicino.env.base import Buffer, FileLock, storage_error
from vicino.env.real import Machine

if TYPE_CHECKING:
    from vicino._core import Blob

_FREE_BYTES = 1 << 50  # memory_limit, not the store, bounds a database in memory


class Node:
    """The bytes of a file, apart from its names. `data` is bytes once it has been mapped and a bytearray while it grows."""

    __slots__ = ("data", "id")
    entries: ClassVar[Mapping[str, Node | Folder]] = MappingProxyType({})  # no path leads through a file

    def __init__(self, node_id: int, data: bytes | bytearray = b"") -> None:
        self.id = node_id
        self.data = data

    def writable(self) -> bytearray:
        if not isinstance(self.data, bytearray):
            self.data = bytearray(self.data)
        return self.data

    def frozen(self) -> bytes:
        if not isinstance(self.data, bytes):
            self.data = bytes(self.data)
        return self.data


class Folder:
    __slots__ = ("entries", "id")

    def __init__(self, node_id: int) -> None:
        self.id = node_id
        self.entries: dict[str, Node | Folder] = {}


@lru_cache(maxsize=4096)
def _parts(path: str) -> tuple[str, ...]:
    """The names a path consists of."""
    return tuple(name for name in posixpath.normpath(path).split("/") if name and name != ".")


class MemoryFile:
    def __init__(self, files: MemoryFiles, path: str, node: Node) -> None:
        self.path = path
        self._files = files
        self._node = node

    @property
    def size(self) -> int:
        return len(self._node.data)

    def append(self, *buffers: Buffer) -> int:
        for buffer in buffers:
            self.write_at(len(self._node.data), buffer)
        return len(self._node.data)

    def write_at(self, offset: int, *buffers: Buffer) -> None:
        with self._files.guard:
            data = self._node.writable()
            for buffer in buffers:
                view = memoryview(buffer).cast("B")
                if offset > len(data):
                    data.extend(bytes(offset - len(data)))
                data[offset : offset + view.nbytes] = view
                self._files.record("write", self._node, offset, view)
                offset += view.nbytes

    def truncate(self, size: int) -> None:
        with self._files.guard:
            data = self._node.writable()
            if size > len(data):
                data.extend(bytes(size - len(data)))
            del data[size:]
            self._files.record("truncate", self._node, size)

    def sync(self) -> None:
        with self._files.guard:
            self._files.record("sync", self._node)

    def sync_data(self) -> None:
        self.sync()

    def fail_sync(self) -> None:
        """What a failed sync leaves: the bytes are still there to read, and no later sync will make them durable."""
        with self._files.guard:
            self._files.record("fail_sync", self._node)

    def close(self) -> None:
        pass


class MemoryFileLock:
    def __init__(self, files: MemoryFiles, path: str) -> None:
        self.path = path
        self._files = files

    def write(self, content: bytes) -> None:
        file = self._files.open(self.path)
        file.write_at(0, content)
        file.truncate(len(content))

    def release(self, *, unlink: bool = False) -> None:
        with self._files.guard:
            if self._files.locked.pop(self.path, None) is self and unlink and self._files.exists(self.path):
                self._files.unlink(self.path)


class MemoryFiles:
    """Safe to use from many threads. `record` is told every change, in order, while `guard` is held."""

    def __init__(self) -> None:
        self.guard = threading.RLock()
        self.locked: dict[str, MemoryFileLock] = {}
        self._next_id = 1
        self.root = Folder(0)

    def record(self, change: str, node: Node | Folder, *details: object) -> None:
        """Overridden where changes are to be remembered."""

    def create(self, path: str) -> MemoryFile:
        with self.guard:
            folder, name = self._parent("create", path)
            if name in folder.entries:
                self._refuse("create", path, errno.EEXIST)
            node = Node(self._new_id())
            folder.entries[name] = node
            self.record("link", folder, name, node)
            return MemoryFile(self, path, node)

    def open(self, path: str) -> MemoryFile:
        with self.guard:
            return MemoryFile(self, path, self._file("open", path))

    def read(self, path: str) -> bytes:
        with self.guard:
            return bytes(self._file("read", path).data)

    def read_range(self, path: str, offset: int, size: int) -> bytes:
        with self.guard:
            return bytes(memoryview(self._file("read", path).data)[offset : offset + size])

    def map(self, path: str) -> Blob:
        from vicino import _core

        with self.guard:
            return _core.Blob(self._file("map", path).frozen())

    def size(self, path: str) -> int:
        with self.guard:
            return len(self._file("stat", path).data)

    def exists(self, path: str) -> bool:
        with self.guard:
            return self._find(path) is not None

    def is_dir(self, path: str) -> bool:
        with self.guard:
            return isinstance(self._find(path), Folder)

    def list(self, path: str) -> list[str]:
        with self.guard:
            return sorted(self._folder("list", path).entries)

    def rename(self, old: str, new: str) -> None:
        with self.guard:
            source, old_name = self._parent("rename", old)
            target, new_name = self._parent("rename", new)
            node = source.entries.get(old_name)
            if node is None:
                self._refuse("rename", old, errno.ENOENT)
            if isinstance(replaced := target.entries.get(new_name), Folder) and replaced.entries:
                self._refuse("rename", new, errno.ENOTEMPTY)
            del source.entries[old_name]
            target.entries[new_name] = node
            self.record("rename", source, old_name, target, new_name, node)

    def unlink(self, path: str) -> None:
        with self.guard:
            folder, name = self._parent("unlink", path)
            self._file("unlink", path)
            del folder.entries[name]
            self.record("unlink", folder, name)

    def mkdir(self, path: str) -> None:
        with self.guard:
            folder, name = self._parent("make the folder", path)
            if name in folder.entries:
                self._refuse("make the folder", path, errno.EEXIST)
            made = Folder(self._new_id())
            folder.entries[name] = made
            self.record("link", folder, name, made)

    def rmdir(self, path: str) -> None:
        with self.guard:
            folder, name = self._parent("remove the folder", path)
            if self._folder("remove the folder", path).entries:
                self._refuse("remove the folder", path, errno.ENOTEMPTY)
            del folder.entries[name]
            self.record("unlink", folder, name)

    def sync_dir(self, path: str) -> None:
        with self.guard:
            self.record("sync_dir", self._folder("sync the folder", path))

    def lock(self, path: str) -> FileLock | None:
        with self.guard:
            if path in self.locked:
                return None
            if self._find(path) is None:
                self.create(path)
            self.locked[path] = MemoryFileLock(self, path)
            return self.locked[path]

    def free_bytes(self, path: str) -> int:
        with self.guard:
            self._folder("ask the free space of", path)
            return _FREE_BYTES

    def link_or_copy(self, source: str, target: str) -> None:
        with self.guard:
            node = self._file("link", source)
            folder, name = self._parent("link", target)
            if name in folder.entries:
                self._refuse("link", target, errno.EEXIST)
            folder.entries[name] = node
            self.record("link", folder, name, node)

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def _find(self, path: str) -> Node | Folder | None:
        return self._walk(_parts(path))

    def _walk(self, parts: tuple[str, ...]) -> Node | Folder | None:
        here: Node | Folder | None = self.root
        for name in parts:
            here = here.entries.get(name)
            if here is None:
                return None
        return here

    def _parent(self, operation: str, path: str) -> tuple[Folder, str]:
        parts = _parts(path)
        return self._expect_folder(operation, path, self._walk(parts[:-1])), parts[-1] if parts else ""

    def _folder(self, operation: str, path: str) -> Folder:
        return self._expect_folder(operation, path, self._find(path))

    def _expect_folder(self, operation: str, path: str, found: Node | Folder | None) -> Folder:
        if found is None:
            self._refuse(operation, path, errno.ENOENT)
        if isinstance(found, Node):
            self._refuse(operation, path, errno.ENOTDIR)
        return found

    def _file(self, operation: str, path: str) -> Node:
        found = self._find(path)
        if found is None:
            self._refuse(operation, path, errno.ENOENT)
        if isinstance(found, Folder):
            self._refuse(operation, path, errno.EISDIR)
        return found

    @staticmethod
    def _refuse(operation: str, path: str, number: int) -> NoReturn:
        raise storage_error(operation, path, number)


class MemoryEnv(Machine):
    """The real clock, randomness and threads over files in memory, which go with the last reference to this object."""

    def __init__(self, files: MemoryFiles | None = None) -> None:
        super().__init__()
        self.files = files or MemoryFiles()
