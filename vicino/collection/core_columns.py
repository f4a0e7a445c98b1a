"""The vectors, values and text indexes of a collection in the form the core knows them."""

from __future__ import annotations

from typing import Any

from vicino import _core
from vicino.collection.settings import Settings
from vicino.collection.value_specs import MultiSpec, SparseSpec, ValueSpec
from vicino.collection.vector_spec import VectorSlot
from vicino.segment.files import Column, ValueColumns


def core_column(settings: Settings, name: str) -> Column:
    """A dense vector: slot, dim, dtype and metric."""
    return core_slot(settings.vectors[name])


def core_slot(entry: VectorSlot) -> Column:
    """The same of a vector whose name does not matter."""
    return (entry.slot, entry.spec.dim, getattr(_core.Dtype, entry.spec.dtype), getattr(_core.Metric, entry.spec.metric))


def columns_of(settings: Settings) -> list[Column]:
    """All dense vectors."""
    return [core_column(settings, name) for name in settings.vectors]


def coded_slots(settings: Settings) -> frozenset[int]:
    """Slots of the dense vectors whose rows are kept in 8 bits a number."""
    return frozenset(entry.slot for entry in settings.vectors.values() if not entry.spec.keep_raw)


def core_values(slot: int, spec: ValueSpec | None) -> ValueColumns:
    """A sparse or multi-vector, or (None) a text index: slot, kind, dim, dtype and metric."""
    if isinstance(spec, MultiSpec):
        return (slot, _core.ValueKind.multi, spec.dim, getattr(_core.Dtype, spec.dtype), getattr(_core.Metric, spec.metric))
    kind: Any = _core.ValueKind.sparse if isinstance(spec, SparseSpec) else _core.ValueKind.text
    return (slot, kind, 0, _core.Dtype.float32, _core.Metric.dot)


def values_of(settings: Settings) -> list[ValueColumns]:
    """All sparse vectors, multi-vectors and text indexes."""
    return [core_values(entry.slot, entry.spec) for entry in settings.values.values()] + [
        core_values(entry.slot, None) for entry in settings.texts.values()
    ]


def slots_of(settings: Settings) -> set[int]:
    """Every slot in use."""
    return {entry.slot for entries in (settings.vectors, settings.values, settings.texts) for entry in entries.values()}
