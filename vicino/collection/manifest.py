"""What the journal of a collection says: the exact state at one version, from which the log goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vicino.collection.settings import Settings
from vicino.segment.files import SegmentFiles
from vicino.storage.shape import expect_shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """State of a collection at `version`; time_us is when that version was written, microseconds since the epoch.

    recall: the file of calibrations, see `vicino.recall.file`; None when recall was never measured.
    """

    version: int = 0
    time_us: int = 0
    settings: Settings = field(default_factory=Settings)
    segments: tuple[SegmentFiles, ...] = ()
    recall: str | None = None

    @property
    def files(self) -> list[str]:
        found = [name for segment in self.segments for name in segment.names]
        return found if self.recall is None else [*found, self.recall]

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "time_us": self.time_us,
            "settings": self.settings.to_json(),
            "segments": [segment.to_json() for segment in self.segments],
            **({} if self.recall is None else {"recall": self.recall}),
            "files": self.files,
        }

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> Manifest:
        """Reads `to_json`'s form. Raises CorruptionError for anything else, FormatError for settings of a newer version."""
        parts = {"recall": None, **parts}
        expect_shape(parts, {"version": int, "time_us": int, "settings": {}, "segments": [{}], "recall": (str, None)}, "the manifest")
        return cls(
            version=parts["version"],
            time_us=parts["time_us"],
            settings=Settings.from_json(parts["settings"]),
            segments=tuple(SegmentFiles.from_json(segment) for segment in parts["segments"]),
            recall=parts["recall"],
        )
