"""The two small files that say where a journal stands: CURRENT, which is the commit, and `position`, which is a message to readers.

    CURRENT, 96 bytes:   magic "VICINOCU", format u32, zero u32, required features u64, floor u64 (first log to replay),
                         manifest name, 60 bytes padded with zeros, crc32c u32 of the 92 bytes before it
    position, 64 bytes:  magic "VICINOPO", log number u64, offset u64, version u64, boot id 16 bytes, flags u32 (1: closed cleanly),
                         8 zero bytes, crc32c u32 of the 60 bytes before it

CURRENT is replaced by rename and synced. `position` is overwritten in place and never synced: it speaks of the page cache that all
processes of this machine share, so it counts only within the boot that wrote it. After a restart what is on the disk is durable anyway.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vicino import _core
from vicino.env import Env, is_missing
from vicino.errors import CorruptionError, FormatError, NotFoundError, StorageError

CURRENT = "CURRENT"
POSITION = "position"

_FORMAT = 1
_FEATURES = 0  # bits of required features this version understands
_CURRENT_MAGIC = b"VICINOCU"
_CURRENT = struct.Struct("<8sIIQQ60sI")
_POSITION_MAGIC = b"VICINOPO"
_POSITION = struct.Struct("<8sQQQ16sI8sI")
_CLEAN = 1
_TORN_READS = 100  # a reader may see half of an overwrite; it looks again at once


@dataclass(frozen=True, slots=True)
class Current:
    manifest: str
    floor: int

    def encode(self) -> bytes:
        body = _CURRENT.pack(_CURRENT_MAGIC, _FORMAT, 0, 0, self.floor, self.manifest.encode("ascii"), 0)[:-4]
        return body + _core.crc32c(body).to_bytes(4, "little")


def decode_current(data: bytes, path: str) -> Current:
    restore = "restore the folder from a snapshot or a copy"
    if len(data) != _CURRENT.size:
        raise CorruptionError(f"{path}: has {len(data)} bytes, expected {_CURRENT.size}; {restore}")
    magic, number, _, features, floor, manifest, checksum = _CURRENT.unpack(data)
    if magic != _CURRENT_MAGIC:
        raise CorruptionError(f"{path}: is not a vicino CURRENT file (wrong first 8 bytes); {restore}")
    if number != _FORMAT:
        raise FormatError(f"{path}: has format {number}, this version reads format {_FORMAT}; upgrade vicino")
    if (found := _core.crc32c(data[:-4])) != checksum:
        raise CorruptionError(f"{path}: checksum is {found:08x}, expected {checksum:08x}; {restore}")
    if unknown := features & ~_FEATURES:
        raise FormatError(f"{path}: requires features {unknown:#x} that this version does not know; upgrade vicino")
    name = manifest.rstrip(b"\0")
    if b"/" in name or not name.isascii():
        raise CorruptionError(f"{path}: names {name!r}, which is not a manifest; {restore}")
    return Current(name.decode("ascii"), floor)


def read_current(env: Env, folder: str) -> Current:
    path = f"{folder}/{CURRENT}"
    try:
        data = env.files.read(path)
    except StorageError as error:
        if is_missing(error):
            raise NotFoundError(f"{path}: no such file; {folder} holds no vicino data, or its creation never finished") from error
        raise
    return decode_current(data, path)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Up to where other processes may read: `offset` bytes of log `number`, which end with the record of `version`."""

    number: int
    offset: int
    version: int = 0
    clean: bool = False

    def encode(self, boot_id: bytes) -> bytes:
        flags = _CLEAN if self.clean else 0
        body = _POSITION.pack(_POSITION_MAGIC, self.number, self.offset, self.version, boot_id, flags, bytes(8), 0)[:-4]
        return body + _core.crc32c(body).to_bytes(4, "little")


def read_position(env: Env, folder: str) -> Position | None:
    """The position, if one was published since the machine started."""
    path = f"{folder}/{POSITION}"
    for _ in range(_TORN_READS):
        try:
            data = env.files.read(path)
        except StorageError as error:
            if is_missing(error):
                return None
            raise
        if len(data) != _POSITION.size:
            continue
        magic, number, offset, version, boot_id, flags, _, checksum = _POSITION.unpack(data)
        if magic == _POSITION_MAGIC and _core.crc32c(data[:-4]) == checksum:
            return Position(number, offset, version, bool(flags & _CLEAN)) if boot_id == env.boot_id() else None
    return None
