"""The file of a collection's calibrations: what was measured, and the real queries that were kept to measure with.

A container of kind "recall": section "json" holds per slot of a vector its calibration, and how many queries of how many bytes are kept;
section "queries" holds their bytes, slot after slot in the order of "json".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from vicino import _core
from vicino.errors import CorruptionError
from vicino.recall.calibration import Calibration
from vicino.recall.live import KEPT_MAX
from vicino.recall.sampling import Bytes
from vicino.storage.container import ContainerWriter
from vicino.storage.shape import expect_shape

KIND = "recall"


@dataclass(frozen=True, slots=True)
class Recorded:
    """By slot: calibrations, and kept queries, one a row."""

    calibrations: Mapping[int, Calibration] = field(default_factory=dict)
    kept: Mapping[int, Bytes] = field(default_factory=dict)


def write(writer: ContainerWriter, recorded: Recorded) -> None:
    """Writes the whole file; the caller finishes it."""
    facts = {
        "calibrations": {str(slot): calibration.to_json() for slot, calibration in recorded.calibrations.items()},
        "kept": {str(slot): list(rows.shape) for slot, rows in recorded.kept.items()},
    }
    writer.add("json", json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())
    writer.add("queries", *(np.ascontiguousarray(recorded.kept[int(slot)]) for slot in sorted(facts["kept"])))


def read(container: _core.Container) -> Recorded:
    """Reads what `write` wrote. Raises CorruptionError for anything else."""
    place = f"{container.name}: calibration"
    try:
        facts = json.loads(bytes(container.section("json")))
    except ValueError as error:
        raise CorruptionError(f"{place} is no JSON: {error}; restore the folder from a snapshot or a copy") from error
    expect_shape(facts, {"calibrations": {str: {}}, "kept": {str: [int]}}, place)
    if odd := [slot for kind in facts.values() for slot in kind if not (slot.isascii() and slot.isdigit())]:
        raise CorruptionError(f"{place} names slot {odd[0]!r}; restore the folder from a snapshot or a copy")
    blob = np.frombuffer(bytes(container.section("queries")), np.uint8)
    kept, position = {}, 0
    for slot, shape in sorted(facts["kept"].items()):
        if len(shape) != 2 or shape[0] > KEPT_MAX or shape[0] * shape[1] > len(blob) - position:
            raise CorruptionError(f"{place}: kept queries of slot {slot} have shape {shape}; restore the folder from a snapshot or a copy")
        size = shape[0] * shape[1]
        kept[int(slot)] = blob[position : position + size].reshape(shape)
        position += size
    return Recorded({int(slot): Calibration.from_json(parts, place) for slot, parts in facts["calibrations"].items()}, kept)
