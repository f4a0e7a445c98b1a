"""Writing containers, the form of every immutable file (core/storage/container.h draws it): front to back, in one pass, checksummed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vicino import _core
from vicino.env import Buffer, File

_GATHER_BYTES = 1 << 18  # small pieces are collected to writes of about this size


class ContainerWriter:
    """Streams named sections into a new file. The file counts only once `finish` has returned; until then it has no trailer."""

    def __init__(self, file: File, kind: str) -> None:
        self.path = file.path
        self._file = file
        self._sections: list[tuple[str, int, int, list[int]]] = []
        self._open_section: SectionWriter | None = None
        self._offset = 0
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self.write(_core.encode_container_header(kind))

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.path.rpartition("/")[2]

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._offset

    @contextmanager
    def section(self, name: str) -> Iterator[SectionWriter]:
        """A new section, written with `.write(buffer)` as often as needed. Sections follow each other, they do not nest."""
        assert self._open_section is None, f"section {name!r} begun inside another"
        self.write(bytes(-self._offset % _core.SECTION_ALIGNMENT))
        self._open_section = SectionWriter(self)
        start = self._offset
        yield self._open_section
        self._sections.append((name, start, self._offset - start, self._open_section.checksums))
        self._open_section = None

    def add(self, name: str, *buffers: Buffer) -> None:
        """A whole section."""
        with self.section(name) as section:
            for buffer in buffers:
                section.write(buffer)

    def finish(self) -> None:
        """Write table and trailer, sync and close. The file's name is not yet durable: that takes a sync of its folder."""
        self.write(_core.encode_container_end(self._sections, self._offset))
        self._write_gathered()
        self._file.sync()
        self._file.close()

    def close(self) -> None:
        """Give up without finishing; what was written is left for its owner to remove."""
        self._file.close()

    def write(self, buffer: Buffer) -> None:
        view = memoryview(buffer).cast("B")
        self._offset += view.nbytes
        if view.nbytes >= _GATHER_BYTES:
            self._write_gathered()
            self._file.append(view)
            return
        self._gathered.append(bytes(view))
        self._gathered_bytes += view.nbytes
        if self._gathered_bytes >= _GATHER_BYTES:
            self._write_gathered()

    def _write_gathered(self) -> None:
        if self._gathered:
            self._file.append(*self._gathered)
            self._gathered, self._gathered_bytes = [], 0


class SectionWriter:
    """The open section of a container: passes bytes on and keeps one checksum for each started block."""

    def __init__(self, container: ContainerWriter) -> None:
        self.checksums: list[int] = []
        self._container = container
        self._block_left = 0

    def write(self, buffer: Buffer) -> None:
        view = memoryview(buffer)
        if not view.nbytes:
            return
        view = view.cast("B")
        self._container.write(view)
        while view.nbytes:
            if not self._block_left:
                self.checksums.append(0)
                self._block_left = _core.CHECKSUM_BLOCK
            part = view[: self._block_left]
            self.checksums[-1] = _core.crc32c(part, self.checksums[-1])
            self._block_left -= part.nbytes
            view = view[part.nbytes :]
