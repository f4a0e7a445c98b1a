"""`Decay`: how near a field is to a target, as a factor in formulas."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from vicino.errors import InvalidArgument
from vicino.query.formula import Candidates, Expression, GeoDistance, Instant, Value, Values, as_expression, assign, seconds_of
from vicino.query.part import choice, finite

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


@dataclass(frozen=True)
class Decay(Expression):
    """1 at the target, `midpoint` at a distance of `scale` from it, falling: "exp", "gauss" or "linear" (0 from some distance on).

    of: an expression or a field. target: a number; a datetime or a place (a GeoPoint, a pair (lat, lon), a mapping with both) make a field
    be read as one. scale: a number, meters for places, or for time a timedelta or text like "30d", from now unless there is a target.
    half_life: a scale at which the value is one half.
    """

    tag: ClassVar[str] = "decay"
    reads_fields: ClassVar[bool] = True
    of: Any
    target: Any = None
    scale: Any = None
    midpoint: float = 0.5
    shape: Literal["exp", "gauss", "linear"] = "exp"
    half_life: Any = None

    def __post_init__(self) -> None:
        choice(self.shape, "shape", ("exp", "gauss", "linear"))
        if (self.scale is None) == (self.half_life is None):
            raise InvalidArgument("Decay takes either scale= or half_life=")
        if self.half_life is not None and self.midpoint != 0.5:
            raise InvalidArgument("half_life= means a midpoint of 0.5; give scale= with another one")
        scale = self.half_life if self.scale is None else self.scale
        is_time = isinstance(scale, str | dt.timedelta) or seconds_of(self.target) is not None
        of, target = self.of, self.target
        place = None
        if isinstance(target, tuple | list | Mapping):
            from vicino.filter.operands import place as place_of

            place = place_of("the target of Decay", target)
        if not isinstance(of, Expression):
            of = GeoDistance(of, *place) if place else Instant(of) if is_time else as_expression(Value(of) if isinstance(of, str) else of)
        seconds = seconds_of(target)
        if place:
            target = 0.0
        elif seconds is not None:
            target = seconds
        elif target is None and not is_time:
            target = 0.0
        assign(self, of=of, target=None if target is None else finite(target, "target"), scale=_scale(scale), half_life=None)
        assign(self, midpoint=finite(self.midpoint, "midpoint"))
        if not 0 < self.midpoint < 1:
            raise InvalidArgument(f"midpoint must be between 0 and 1, got {self.midpoint}")

    def to_json(self) -> dict[str, Any]:
        # A target of None means now, so that "no target", which reads as 0 for numbers, has to be told apart by the form of the scale.
        shown = super().to_json()
        if self.target is None:
            shown["decay"]["scale"] = f"{self.scale!r}s"
        else:
            shown["decay"]["target"] = self.target
        return shown

    def evaluate(self, over: Candidates) -> Values:
        distance = np.abs(self.of.evaluate(over) - (over.now if self.target is None else self.target)) / self.scale
        if self.shape == "linear":
            return np.maximum(0.0, 1.0 - (1.0 - self.midpoint) * distance)
        return np.exp(math.log(self.midpoint) * (distance if self.shape == "exp" else distance**2))


def _scale(scale: Any) -> float:
    """A scale as a number; of time, seconds."""
    if isinstance(scale, dt.timedelta):
        scale = scale.total_seconds()
    if isinstance(scale, str):
        unit = scale.lstrip("0123456789.e+-")
        try:
            scale = float(scale.removesuffix(unit)) * _SECONDS[unit] if unit else float(scale)
        except (ValueError, KeyError):
            raise InvalidArgument(f'a time is written like "30d" or "12h" ({", ".join(_SECONDS)}), got {scale!r}') from None
    number = finite(scale, "scale")
    if number <= 0:
        raise InvalidArgument(f"scale must be greater than 0, got {number:g}")
    return number
